export { openPostgresStore } from './postgres.ts';
export type { PostgresStoreOptions } from './postgres.ts';

import type { SharedStore } from './port.ts';
import type { PostgresStoreOptions } from './postgres/index.ts';

/** {@link SharedStore} in a Postgres database; loaded only where one is used. @throws StoreError not_a_store, unavailable, in_use */
export async function openPostgresStore(options: PostgresStoreOptions): Promise<SharedStore> {
  return (await import('./postgres/index.ts')).openPostgresStore(options);
}

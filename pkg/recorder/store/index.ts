export { cutTag } from './retention-rules.ts';
export { clockSkewMs } from './session-time.ts';
export { openSqliteStore } from './sqlite.ts';
export type { SqliteStoreOptions } from './sqlite.ts';
export { openPostgresStore } from './open-postgres.ts';
export type { PostgresStoreOptions } from './postgres/index.ts';
export { cursorBefore } from './search/cursor.ts';
export { labelTags } from './search/label-tags.ts';
export { sequenceOf } from './search/session-lines.ts';
export { StoreError } from './store-error.ts';
export type { StoreErrorCode } from './store-error.ts';
export type {
  Addition,
  ArchivedEntry,
  ArchiveMark,
  Block,
  ChainPosition,
  DeletionRule,
  DepartedChain,
  EndFacts,
  Hold,
  HoldTerms,
  LogState,
  RecordStore,
  RestoredEntry,
  SessionChain,
  SessionPage,
  SessionQuery,
  SessionSummary,
  SharedStore,
  ShipTable,
  StartFacts,
  StoredEntry,
  StoredHead,
  StoreSpace,
  StoreStats,
  StreamTable,
} from './port.ts';

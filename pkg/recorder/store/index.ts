export { cutTag } from './retention-rules.ts';
export { aboutOf, createHoldMatcher } from './hold-match.ts';
export type { HeldFacts } from './hold-match.ts';
export { clockSkewMs, seenTime } from './session-time.ts';
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
  ArchivedHold,
  ArchiveHolds,
  ArchiveMark,
  Block,
  BlockPlace,
  ChainPosition,
  DeletionRule,
  DeletionStep,
  DepartedChain,
  EndFacts,
  HeldCount,
  Hold,
  HoldsDue,
  HoldTerms,
  LogState,
  RecordStore,
  RestoredEntry,
  SessionChain,
  SealedCount,
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
  StoreUse,
  StreamTable,
} from './port.ts';

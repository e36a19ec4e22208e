// The recorder: takes the records of all sidecars in, keeps them outside of the pods, finds and proves them.
export { createIndexCheck } from './index-difference.ts';
export { createCommitter } from './ingest/committer.ts';
export type { Committer, CommitterOptions } from './ingest/committer.ts';
export { silentObserver } from './ingest/observer.ts';
export type { IngestObserver, IngestRefusal } from './ingest/observer.ts';
export { shareStreams } from './pods/shared-streams.ts';
export type { SharedStreams } from './pods/shared-streams.ts';
export { watchVanished } from './pods/vanished.ts';
export type { VanishedWatch, VanishedWatchOptions } from './pods/vanished.ts';
export { recorderMetrics } from './metrics.ts';
export { keepAuthorities } from './log/authorities.ts';
export { keepHeads } from './log/heads.ts';
export { writeRetention } from './log/retention.ts';
export type { HeadKeeper } from './log/heads.ts';
export { publishHeads } from './log/published-heads.ts';
export type { HeadMap, HeadPublisher } from './log/published-heads.ts';
export { createIngestServer, ingestLimits } from './ingest/server.ts';
export type { IngestLimits, IngestServer, IngestServerOptions } from './ingest/server.ts';
export { createShares } from './ingest/shares.ts';
export type { Shares, ShareSettings } from './ingest/shares.ts';
export { openPostgresStore } from './store/open-postgres.ts';
export { openSqliteStore } from './store/sqlite.ts';
export type { SqliteStoreOptions } from './store/sqlite.ts';
export type { PostgresStoreOptions } from './store/postgres/index.ts';
export { StoreError } from './store/store-error.ts';
export type { StoreErrorCode } from './store/store-error.ts';
export type {
  Addition,
  Block,
  ChainPosition,
  DeletionRule,
  DepartedChain,
  EndFacts,
  Hold,
  HoldTerms,
  LogState,
  RecordStore,
  SessionPage,
  SessionQuery,
  SessionSummary,
  SharedStore,
  ShipTable,
  StartFacts,
  StoredEntry,
  StoredHead,
  StoreStats,
  StreamTable,
} from './store/port.ts';
export { needPublished } from './log/published-first.ts';
export { controllersOf } from './ingest/controllers.ts';
export {
  createEventSource,
  fileBook,
  openReceivers,
  parseReceivers,
  sharedBook,
  shipMetrics,
  startShipper,
} from './ship/index.ts';
export type { ReceiverSettings, ShipBook, Shipper, ShipperOptions } from './ship/index.ts';
export { textsOfBlock } from './store/search/joined-texts.ts';
export { keepUp } from './store/upkeep.ts';
export type { Upkeep } from './store/upkeep.ts';
export type { RetentionDays } from './store/retention-rules.ts';
export {
  conflictsInArchive,
  openArchive,
  openArchivedLog,
  parseLocation,
  restoreArchive,
  searchArchive,
  sessionInArchive,
  startArchiver,
  startHoldKeeper,
  verifyArchive,
} from './archive/index.ts';
export type {
  ArchivedLog,
  ArchivedQuestion,
  ArchivedSession,
  ArchiveFault,
  ArchiveLocation,
  Archiver,
  ArchiverOptions,
  ObjectLock,
  HoldKeeperOptions,
  ObjectStore,
  Restoration,
} from './archive/index.ts';
export { createAuditAuthorizer } from './api/authorize.ts';
export type { AuditAuthorizer, Auditor } from './api/authorize.ts';
export { createPeople } from './api/people.ts';
export { followRevoked } from './api/revoked.ts';
export type { People, Person } from './api/people.ts';
export { parsePeople } from './api/people-settings.ts';
export type { PeopleSettings, Role, RoleSettings } from './api/people-settings.ts';
export { readQuery, readTerms } from './api/query.ts';
export type { Shipping } from './api/ship-routes.ts';
export { createAuditServer } from './api/server.ts';
export type { AuditServer, AuditServerOptions } from './api/server.ts';
export { consoleAssets } from './console/assets/index.ts';
export { createConsole } from './console/console.ts';
export type { WebConsole, WebConsoleOptions } from './console/console.ts';
export { loginResults } from './console/logins.ts';
export type { LoginResult } from './console/logins.ts';
export type { ConsoleAsset } from './console/pages.ts';
export { parseConsole } from './console/settings.ts';
export type { ConsoleSettings } from './console/settings.ts';

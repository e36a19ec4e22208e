// The log outside of the store: segments and heads in a bucket, a store that is made again from them, and search in them.
export { startArchiver } from './archiver.ts';
export type { Archiver, ArchiverOptions } from './archiver.ts';
export { conflictsInArchive } from './conflicts.ts';
export type { ArchivedConflict } from './conflicts.ts';
export { parseLocation } from './location.ts';
export type { ArchiveLocation } from './location.ts';
export type { ObjectLock, ObjectStore } from './object-store.ts';
export { ObjectStoreError } from './object-store-error.ts';
export { openArchive } from './open.ts';
export { openArchivedLog } from './read-archive.ts';
export type { ArchivedLog } from './read-archive.ts';
export { searchArchive } from './search.ts';
export { sessionInArchive } from './session.ts';
export type { ArchivedQuestion, ArchivedSession } from './session.ts';
export { SegmentError } from './segment.ts';
export { verifyArchive } from './verify.ts';
export { restoreArchive } from './restore.ts';
export type { ArchiveFault, Restoration } from './restore.ts';

/**
 * A bucket, or what stands in front of one: objects by name that are written once. s3.ts is the real one.
 *
 * A lock keeps what was written, and not its name: others who may write there can put something else over it, or below it before it is written, or
 * have it look deleted. So what is locked, held or believed is a version whose bytes were looked at.
 */
export interface ObjectStore {
  /**
   * Writes an object, which nobody may change or delete before the lock ends. Resolves when the store itself has said that it is there: whole,
   * and locked at least so long.
   *
   * @returns `exists`: there is one of that name, which stays as it is, whatever is in it and however it is locked
   * @throws ObjectStoreError not_kept: it is not there as it was written, or not locked
   */
  put(key: string, body: Uint8Array, lock: ObjectLock): Promise<'written' | 'exists'>;
  /**
   * Has a version that is there locked so long: where it is locked shorter by more than a day, or not so strictly, its lock is made so.
   *
   * @throws ObjectStoreError not_kept: the store says that it is not so locked all the same
   */
  keep(key: string, version: string, lock: ObjectLock): Promise<void>;
  /**
   * Puts a legal hold on a version, or takes it off: nobody deletes it while that is there, whatever its lock says.
   *
   * @throws ObjectStoreError not_kept: the store says that it is not so all the same
   */
  hold(key: string, version: string, on: boolean): Promise<void>;
  /**
   * @param version One of {@link versions}; undefined: the first.
   * @param most Bytes of its beginning that are wanted; default: all.
   * @returns undefined: there is none
   * @throws ObjectStoreError
   */
  get(key: string, version?: string, most?: number): Promise<Uint8Array | undefined>;
  /**
   * @param listed As the last {@link list} that went over it had them, if one did: others may have written there since.
   * @returns undefined: there is none
   * @throws ObjectStoreError
   */
  versions(key: string, listed?: boolean): Promise<ObjectVersions | undefined>;
  /** Names that begin with a prefix, ascending. @throws ObjectStoreError */
  list(prefix: string): AsyncIterable<string>;
  /** What follows a prefix up to the next `/`, each once, ascending. @throws ObjectStoreError */
  folders(prefix: string): Promise<readonly string[]>;
  close(): void;
}

/** What was written under one name. */
export interface ObjectVersions {
  /** Oldest first; of very many the oldest. */
  readonly ids: readonly string[];
  /** What somebody did there after it was first written: `written` over it, or `deleted` it while it is locked. Undefined: nothing. */
  readonly covered: 'written' | 'deleted' | undefined;
}

export interface ObjectLock {
  /** COMPLIANCE: nobody can shorten it. GOVERNANCE: who has the right to (`s3:BypassGovernanceRetention`) can. */
  readonly mode: 'COMPLIANCE' | 'GOVERNANCE';
  /** Epoch milliseconds. */
  readonly until: number;
}

/** Most bytes of an object that is read. */
export const maxObjectBytes = 256 * 1024 * 1024;

import type { ConflictKind } from '../../record/index.ts';
import type { RecordGoodbyeReason } from '../../wire/index.ts';

/** Why a connection did not become a stream, or a stream was cut. */
export type IngestRefusal =
  'tls' | 'http' | 'certificate' | 'overloaded' | 'identity' | 'protocol' | 'chains' | 'signer' | 'slow' | 'share';

/**
 * What a sidecar has had its turns of, so that its lines wait: small batches, those that say more of their sessions than their bytes give room
 * for, signatures that are verified, or room for a frame.
 */
export type IngestWait = 'small' | 'heavy' | 'signatures' | 'memory';

/** What ingest tells of itself, for metrics. */
export interface IngestObserver {
  opened(): void;
  closed(reason: RecordGoodbyeReason | 'peer'): void;
  refused(why: IngestRefusal): void;
  received(events: number, bytes: number): void;
  duplicate(events: number): void;
  /** Lines of one hole, a million at most. */
  hole(events: number): void;
  /** Events that the sidecar could not record, a million of each line at most. */
  gap(events: number): void;
  conflict(kind: ConflictKind): void;
  /** Starts and ends of sessions that are not found by all that their lines say. */
  cut(facts: number): void;
  /** Lines of a sidecar wait for its turn. */
  waited(why: IngestWait): void;
  /** Lines came whose time cannot be: of a sidecar whose clock is wrong. */
  clockWrong(): void;
  committed(commit: { readonly additions: number; readonly bytes: number; readonly ms: number }): void;
  commitFailed(): void;
}

const nothing = (): void => undefined;

export const silentObserver: IngestObserver = {
  opened: nothing,
  closed: nothing,
  refused: nothing,
  received: nothing,
  duplicate: nothing,
  hole: nothing,
  gap: nothing,
  conflict: nothing,
  cut: nothing,
  waited: nothing,
  clockWrong: nothing,
  committed: nothing,
  commitFailed: nothing,
};

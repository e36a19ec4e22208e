import { hash } from 'node:crypto';
import { describeError } from '../../base/index.ts';
import type { Clock, Logger } from '../../base/index.ts';
import type { ConflictEntry, ConflictKind } from '../../record/index.ts';
import type { Committer } from './committer.ts';

/** What a sidecar sent that does not go with its chain. */
export interface Conflict {
  /** SPIFFE id of the sidecar. */
  readonly source: string;
  readonly chain: string;
  readonly sequence: number;
  readonly what: ConflictKind;
  /** What came. */
  readonly line: Uint8Array;
}

/**
 * Keeps what does not go with its chain beside the record, so much of each sidecar that none fills the store: of the first conflicts of a sidecar
 * the line as it came, each line of a chain once; of those behind them the last line of some minutes, and how many there were.
 */
export interface EvidenceBook {
  /** Resolves when it is on the disk, or counts in an entry that follows. Rejects with what the store threw: it is kept when it comes again. */
  take(conflict: Conflict): Promise<void>;
  /** Writes the entries whose time has come. */
  tick(): void;
  /** Writes all that is counted. */
  close(): Promise<void>;
}

/** Conflicts of one sidecar of which each has an entry of its own. */
const mostKept = 32;
/** Bytes of a line that are kept, and of the last of many. */
const mostBytes = { one: 64 * 1024, many: 1_024 };
/** How often an entry says how many more there were of one sidecar. */
const tellMs = 10 * 60_000;
/** Sidecars that are remembered. */
const mostSources = 10_000;

interface Known {
  /** Chain and SHA-256 of what is kept. */
  readonly kept: Set<string>;
  /** Those that no entry counts yet, and the last of them. */
  waiting: { readonly last: Conflict; readonly count: number } | undefined;
  /** Monotonic; when an entry last counted some. */
  toldAt: number;
}

export function createEvidenceBook(options: {
  readonly committer: Pick<Committer, 'add'>;
  readonly clock: Clock;
  readonly logger: Logger;
}): EvidenceBook {
  const { committer, clock, logger } = options;
  const sources = new Map<string, Known>();
  const writing = new Set<Promise<void>>();

  const add = ({ source, chain, sequence, what }: Conflict, evidence: Buffer, more: number): Promise<void> => {
    const entry: ConflictEntry = {
      type: 'conflict',
      at: clock.now(),
      source,
      chain,
      sequence,
      what,
      evidence: hash('sha256', evidence, 'hex'),
      ...(more > 0 && { more }),
    };
    return committer.add({ entry, evidence });
  };
  const tell = (known: Known): void => {
    const { waiting } = known;
    if (waiting === undefined) return;
    known.waiting = undefined;
    known.toldAt = clock.monotonic();
    const { last, count } = waiting;
    const written = add(last, Buffer.from(last.line), count - 1)
      .catch((error: unknown) => {
        // Counted with the next ones.
        known.waiting = { last: known.waiting?.last ?? last, count: (known.waiting?.count ?? 0) + count };
        logger.error('conflicts of a sidecar are not on record yet', {
          source: last.source,
          conflicts: count,
          error: describeError(error),
        });
      })
      .finally(() => writing.delete(written));
    writing.add(written);
  };
  const knownOf = (source: string): Known => {
    const known = sources.get(source) ?? { kept: new Set(), waiting: undefined, toldAt: -Infinity };
    // The one of which nothing came for longest goes first.
    sources.delete(source);
    sources.set(source, known);
    const [oldest] = sources;
    if (sources.size > mostSources && oldest !== undefined) {
      tell(oldest[1]);
      sources.delete(oldest[0]);
    }
    return known;
  };
  const isDue = ({ toldAt }: Known): boolean => clock.monotonic() - toldAt >= tellMs;

  return {
    async take(conflict) {
      const known = knownOf(conflict.source);
      const evidence = Buffer.from(conflict.line.subarray(0, mostBytes.one));
      const which = `${conflict.chain} ${hash('sha256', evidence, 'hex')}`;
      if (known.kept.has(which)) return;
      if (known.kept.size < mostKept) {
        await add(conflict, evidence, 0);
        known.kept.add(which);
        return;
      }
      // A copy: the line is a piece of a frame.
      const last = { ...conflict, line: Buffer.from(evidence.subarray(0, mostBytes.many)) };
      known.waiting = { last, count: (known.waiting?.count ?? 0) + 1 };
      if (isDue(known)) tell(known);
    },
    tick() {
      for (const known of sources.values()) if (known.waiting !== undefined && isDue(known)) tell(known);
    },
    async close() {
      for (const known of sources.values()) tell(known);
      await Promise.all(writing);
    },
  };
}

import { describeError } from '../../base/index.ts';
import type { Clock, Logger } from '../../base/index.ts';
import { StoreError } from '../store/index.ts';
import type { Addition, RecordStore } from '../store/index.ts';

/** Puts what comes from all streams into the store, many in one transaction: each costs an fsync. */
export interface Committer {
  /** Resolves when it is on the disk. Rejects with what the store threw; then nothing of it is there. */
  add(addition: Addition): Promise<void>;
  /** Bytes that wait. */
  readonly waiting: number;
  /** More waits than should: whoever reads from a peer stops until {@link Committer.whenRoom}. */
  readonly full: boolean;
  whenRoom(): Promise<void>;
  /** Resolves when all that was given until now has been decided. */
  settled(): Promise<void>;
}

export interface CommitterOptions {
  readonly store: Pick<RecordStore, 'append'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Bytes that may wait; default 16 MiB. */
  readonly maxWaiting?: number;
  readonly onCommit?: (commit: { readonly additions: number; readonly bytes: number; readonly ms: number }) => void;
  readonly onFailure?: () => void;
}

interface Waiting {
  readonly addition: Addition;
  readonly bytes: number;
  readonly done: PromiseWithResolvers<void>;
}

/** Bytes of lines in one transaction. */
const mostBytes = 4 * 1024 * 1024;

export function createCommitter(options: CommitterOptions): Committer {
  const { store, clock, logger, maxWaiting = 16 * 1024 * 1024, onCommit, onFailure } = options;
  let queue: Waiting[] = [];
  let waiting = 0;
  let running: Promise<void> | undefined;
  let rooms: (() => void)[] = [];
  /** Additions that were given, and that were decided, which is in the same order. */
  const count = { given: 0, decided: 0 };
  let settlers: { readonly at: number; readonly resolve: () => void }[] = [];

  const write = async (taken: readonly Waiting[], bytes: number): Promise<void> => {
    const began = clock.monotonic();
    try {
      await store.append(taken.map(({ addition }) => addition));
      onCommit?.({ additions: taken.length, bytes, ms: clock.monotonic() - began });
      for (const { done } of taken) done.resolve();
    } catch (error) {
      onFailure?.();
      logger.error('the store did not take what was sent', { error: describeError(error), additions: taken.length });
      // Where the disk is well, one of them is at fault: the others must not suffer for it.
      if (taken.length > 1 && !(error instanceof StoreError && error.code === 'unavailable')) {
        for (const one of taken) await write([one], one.bytes);
      } else for (const { done } of taken) done.reject(error);
    }
  };
  const commit = async (): Promise<void> => {
    // What other streams have at this moment goes along.
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (queue.length > 0) {
      let bytes = 0;
      let many = 0;
      while (many < queue.length && (many === 0 || bytes < mostBytes)) bytes += queue[many++]?.bytes ?? 0;
      const taken = queue.slice(0, many);
      queue = queue.slice(many);
      await write(taken, bytes);
      waiting -= bytes;
      count.decided += taken.length;
      for (const { at, resolve } of settlers) if (at <= count.decided) resolve();
      settlers = settlers.filter(({ at }) => at > count.decided);
      if (waiting < maxWaiting) {
        const freed = rooms;
        rooms = [];
        for (const room of freed) room();
      }
      // Sockets are read between two transactions.
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    running = undefined;
  };

  return {
    add(addition) {
      const bytes = 'block' in addition ? addition.block.lines.length + 512 : 1_024;
      const done = Promise.withResolvers<void>();
      queue.push({ addition, bytes, done });
      count.given++;
      waiting += bytes;
      running ??= commit();
      return done.promise;
    },
    get waiting() {
      return waiting;
    },
    get full() {
      return waiting >= maxWaiting;
    },
    whenRoom: () => (waiting < maxWaiting ? Promise.resolve() : new Promise((resolve) => void rooms.push(resolve))),
    settled: () =>
      count.decided === count.given
        ? Promise.resolve()
        : new Promise((resolve) => void settlers.push({ at: count.given, resolve })),
  };
}

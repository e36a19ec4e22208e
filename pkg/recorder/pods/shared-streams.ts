import { randomUUID } from 'node:crypto';
import { describeError } from '../../base/index.ts';
import type { Clock, Logger } from '../../base/index.ts';
import type { StreamTable } from '../store/index.ts';

/** Tells the other recorders of a store which sidecars have a stream here, so that none of these counts as gone there. */
export interface SharedStreams {
  /** Whether any recorder has a stream of this sidecar (SPIFFE id). */
  held(source: string): Promise<boolean>;
  /** Tells now; otherwise each 3 s. */
  tell(): Promise<void>;
  close(): Promise<void>;
}

const tellMs = 3_000;
/** After which what a recorder has told counts no more: it was killed, or its database was away. */
const countsMs = 15_000;

export function shareStreams(options: {
  readonly table: StreamTable;
  /** Sidecars with a stream here. */
  readonly sources: () => readonly string[];
  readonly clock: Clock;
  readonly logger: Logger;
}): SharedStreams {
  const { table, sources, clock, logger } = options;
  const holder = randomUUID();
  let working: Promise<void> | undefined;
  let told = '';
  const tell = (): Promise<void> => {
    working ??= table
      .keep(holder, sources(), countsMs)
      .then(
        () => {
          told = '';
        },
        (error: unknown) => {
          const why = describeError(error);
          if (why !== told) logger.error('other recorders could not be told of the streams here', { error: why });
          told = why;
        },
      )
      .finally(() => {
        working = undefined;
      });
    return working;
  };
  const timer = clock.every(tellMs, () => void tell());
  return {
    held: (source) => table.held(source),
    tell,
    async close() {
      timer.cancel();
      await working;
      // Otherwise it counts no more in a moment.
      await table.release(holder).catch(() => undefined);
    },
  };
}

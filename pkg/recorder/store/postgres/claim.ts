import { randomUUID } from 'node:crypto';
import type { Clock } from '../../../base/index.ts';
import type { StoreUse } from '../port.ts';
import { StoreError } from '../store-error.ts';
import type { Database, Run } from './connection.ts';

/**
 * Who has a database: as many recorders as like, or one restoration of an archive. Each says so for some seconds by the database's clock, and again, so
 * that one that was killed keeps nobody out for long. Claims are made with the log's row locked, as turns are.
 */
export interface Claim {
  /** Of a restoration, as the log's row has it while it goes on. Undefined: of a recorder. */
  readonly restoration: string | undefined;
  release(): Promise<void>;
}

/** A recorder that says nothing for so long has gone; what it has of streams counts as long. */
const recorderMs = 15_000;
/** Between two segments it waits for the archive. */
const restorationMs = 60_000;
const againMs = 3_000;

const inUse = (): StoreError =>
  new StoreError('in_use', 'a recorder uses the database, or did some seconds ago: stop all that do, and restore then');
const beingRestored = (use: StoreUse): StoreError =>
  new StoreError(
    'in_use',
    `${use === 'recorder' ? '' : 'another '}audit restore writes into the database, or was broken off less than a minute ago`,
  );

/** Of a recorder that had said nothing for a while, and a restoration has begun: lines wait in the spools. */
export const restoredMeanwhile = (): StoreError =>
  new StoreError('unavailable', 'audit restore writes into the database: this recorder writes nothing there');
/** Of a restoration that had said nothing for a while, and a recorder has started. */
export const claimLost = (): StoreError =>
  new StoreError('in_use', 'a recorder has started on the database meanwhile: the restoration has ended');

const hasRecorders = async (run: Run): Promise<boolean> =>
  (await run('SELECT 1 FROM stream WHERE until > now() LIMIT 1')).length > 0;

/**
 * That a claim may be made, before tables of another version are brought to this one, after which others write nothing there.
 *
 * @throws StoreError in_use
 */
export async function needFree(
  { transaction }: Pick<Database, 'transaction'>,
  schema: string,
  use: StoreUse,
): Promise<void> {
  await transaction(async (run) => {
    const [there] = await run(
      `SELECT to_regclass($1) IS NOT NULL AS streams,
         EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass($2) AND attname = 'restoring_until' AND NOT attisdropped) AS claims`,
      [`${schema}.stream`, `${schema}.log`],
    );
    if (use === 'restoration' && there?.['streams'] === true && (await hasRecorders(run))) throw inUse();
    if (there?.['claims'] === true && (await run('SELECT 1 FROM log WHERE restoring_until > now()')).length > 0)
      throw beingRestored(use);
  });
}

/** @throws StoreError in_use */
export async function claim(
  { transaction, write }: Pick<Database, 'transaction' | 'write'>,
  use: StoreUse,
  clock: Clock,
): Promise<Claim> {
  const holder = randomUUID();
  const isRecorder = use === 'recorder';
  const say = (run: Run): Promise<unknown> =>
    isRecorder
      ? run(
          `INSERT INTO stream (holder, sources, until) VALUES ($1, '{}', now() + $2 * interval '1 millisecond')
           ON CONFLICT (holder) DO UPDATE SET until = excluded.until`,
          [holder, recorderMs],
        )
      : run(`UPDATE log SET restoring_until = now() + $2 * interval '1 millisecond' WHERE restoring = $1`, [
          holder,
          restorationMs,
        ]);
  await transaction(async (run) => {
    const [log] = await run('SELECT restoring_until > now() AS restored FROM log FOR UPDATE');
    if (log?.['restored'] === true) throw beingRestored(use);
    if (!isRecorder && (await hasRecorders(run))) throw inUse();
    await run('UPDATE log SET restoring = $1, restoring_until = NULL', [isRecorder ? null : holder]);
    await say(run);
  });
  let working: Promise<void> | undefined;
  const timer = clock.every(againMs, () => {
    // Where the database is away, it is said again in a moment, and each turn looks.
    working ??= say(write)
      .catch(() => undefined)
      .then(() => {
        working = undefined;
      });
  });
  return {
    restoration: isRecorder ? undefined : holder,
    async release() {
      timer.cancel();
      await working;
      const gone = isRecorder
        ? write('DELETE FROM stream WHERE holder = $1', [holder])
        : write('UPDATE log SET restoring = NULL, restoring_until = NULL WHERE restoring = $1', [holder]);
      // Otherwise it counts no more in a moment.
      await gone.catch(() => undefined);
    },
  };
}

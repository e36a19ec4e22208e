import { StoreError } from '../store-error.ts';
import { createNameMarks } from '../name-marks.ts';
import type { NameMarks } from '../name-marks.ts';
import type { Database, Row, Run } from './connection.ts';
import type { Log } from './log.ts';

/**
 * Removes the names that nothing has any more: those of callers whose sessions are deleted, their models, paths and addresses. Which names are in
 * use is read session by session, outside of turns. Meanwhile the log's row has the number of the sweep, by which every recorder notes in the
 * table `name_used` what names its turns give out (names.ts).
 */
export interface NameSweep {
  /** A bounded step. False: nothing is left to do. */
  step(): Promise<boolean>;
}

const sessionsAtOnce = 20_000;
const namesAtOnce = 5_000;

/** Numbers of the names in sessions from one on, up to another. */
const ofSessions = `SELECT DISTINCT number FROM (
  SELECT unnest(ARRAY[namespace, pod, provider, issuer, subject, peer, method, path, dialect, operation, model, outcome, code]
    || coalesce(groups, '{}') || coalesce(tags, '{}')) AS number FROM session WHERE id >= $1 AND id < $2
  ) used WHERE number IS NOT NULL`;
const ofOthers = `SELECT DISTINCT number FROM (
  SELECT unnest(ARRAY[source, namespace, pod]) AS number FROM chain
  UNION ALL SELECT unnest(ARRAY[namespace, pod, subject]) FROM hold
  UNION ALL SELECT unnest(sources) FROM stream
  ) used WHERE number IS NOT NULL`;

interface Sweep {
  readonly number: number;
  readonly marks: NameMarks;
  /** Sessions that were deleted before it. */
  readonly unswept: number;
  /** Those from here on have names that were noted. */
  readonly end: number;
  session: number;
  name: number;
}

const isGoing = async (run: Run, { number }: Sweep): Promise<boolean> =>
  Number((await run('SELECT names_sweep FROM log'))[0]?.['names_sweep']) === number;

export function createNameSweep(database: Pick<Database, 'read'>, log: Pick<Log, 'turn'>): NameSweep {
  let going: Sweep | undefined;
  const { read } = database;

  const begin = (): Promise<Sweep> =>
    log.turn(async ({ run }) => {
      await run('DELETE FROM name_used');
      const [row] = await run(
        `UPDATE log SET names_sweep = nextval('name_sweep') RETURNING names_sweep, unswept, next_session`,
      );
      const [last] = await run('SELECT coalesce(max(id), 0) AS id FROM name');
      return {
        number: Number(row?.['names_sweep']),
        marks: createNameMarks(Number(last?.['id'])),
        unswept: Number(row?.['unswept']),
        end: Number(row?.['next_session']),
        session: 0,
        name: 0,
      };
    });
  const mark = ({ marks }: Sweep, rows: readonly Row[]): void => {
    for (const row of rows) marks.add(Number(row['number']));
  };
  /** @returns whether there are more */
  const remove = async (sweep: Sweep): Promise<boolean> => {
    const { marks } = sweep;
    const rows = await read('SELECT id FROM name WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3', [
      sweep.name,
      marks.upTo,
      namesAtOnce,
    ]);
    const all = rows.map((row) => Number(row['id']));
    const unused = all.filter((number) => !marks.has(number));
    if (unused.length > 0)
      await log.turn(async ({ run }) => {
        // Another recorder has begun one of its own, by other notes.
        if (!(await isGoing(run, sweep))) throw new StoreError('moved', 'another recorder sweeps the names');
        await run(
          `DELETE FROM name n WHERE n.id = ANY ($1::integer[]) AND NOT EXISTS (SELECT 1 FROM name_used u WHERE u.id = n.id)`,
          [unused],
        );
        // Who has names in memory reads them anew.
        await run('UPDATE log SET names_removed = names_removed + 1');
      });
    sweep.name = all.at(-1) ?? marks.upTo;
    return all.length === namesAtOnce;
  };
  const end = (sweep: Sweep): Promise<void> =>
    log.turn(async ({ run }) => {
      await run('UPDATE log SET names_sweep = 0, unswept = unswept - $2 WHERE names_sweep = $1', [
        sweep.number,
        sweep.unswept,
      ]);
      await run('DELETE FROM name_used WHERE (SELECT names_sweep FROM log) = 0');
    });

  return {
    async step() {
      if (going === undefined && Number((await read('SELECT unswept FROM log'))[0]?.['unswept']) === 0) return false;
      const sweep = (going ??= await begin());
      try {
        if (sweep.session < sweep.end) {
          const next = sweep.session + sessionsAtOnce;
          mark(sweep, await read(ofSessions, [sweep.session, Math.min(next, sweep.end)]));
          sweep.session = next;
          if (next >= sweep.end) mark(sweep, await read(ofOthers));
          return true;
        }
        if (await remove(sweep)) return true;
        await end(sweep);
      } catch (error) {
        going = undefined;
        if (error instanceof StoreError && error.code === 'moved') return false;
        throw error;
      }
      going = undefined;
      return false;
    },
  };
}

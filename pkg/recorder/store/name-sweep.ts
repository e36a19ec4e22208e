import type { DatabaseSync } from 'node:sqlite';
import { createNameMarks } from './name-marks.ts';
import type { NameMarks } from './name-marks.ts';
import type { Names } from './names.ts';

/**
 * Removes the names that nothing has any more: those of callers whose sessions are deleted, their models, paths and addresses. Which names are in
 * use is read session by session beside what is taken in; what is given out meanwhile is marked as it is.
 */
export interface NameSweep {
  /** A bounded step. False: nothing is left to do. */
  step(): Promise<boolean>;
}

/** Names in use by some sessions from one on; `next`: where to go on, undefined: those were the last. */
export interface UsedNames {
  readonly numbers: readonly number[];
  readonly next: number | undefined;
}

/** Columns of sessions that are numbers of names. */
const columns = [
  'namespace',
  'pod',
  'provider',
  'issuer',
  'subject',
  'groups',
  'peer',
  'method',
  'path',
  'dialect',
  'operation',
  'model',
  'outcome',
  'code',
  'tags',
] as const;

const sessionsAtOnce = 4_000;
const namesAtOnce = 2_000;

/** What reads the names in use, of a store that is `record` of the connection. @param from Row of a session. */
export function createNameReader(db: DatabaseSync): (from: number) => UsedNames {
  const rows = db.prepare(
    `SELECT id, ${columns.join()} FROM record.session WHERE id >= ? ORDER BY id LIMIT ${sessionsAtOnce}`,
  );
  rows.setReturnArrays(true);
  return (from) => {
    const numbers = new Set<number>();
    let last = from;
    let count = 0;
    for (const row of rows.iterate(from) as unknown as Iterable<readonly (number | null)[]>) {
      count++;
      last = row[0] ?? last;
      for (let at = 1; at < row.length; at++) {
        const number = row[at];
        if (number !== null && number !== undefined) numbers.add(number);
      }
    }
    return { numbers: [...numbers], next: count < sessionsAtOnce ? undefined : last + 1 };
  };
}

/**
 * @param used Asks {@link createNameReader} over a connection of its own.
 * @param transaction Runs what writes.
 */
export function createNameSweep(
  db: DatabaseSync,
  names: Names,
  used: (from: number) => Promise<UsedNames>,
  transaction: (run: () => void) => void,
): NameSweep {
  const sql = {
    unswept: db.prepare(`SELECT value FROM counter WHERE name = 'unswept'`),
    swept: db.prepare(`UPDATE counter SET value = value - ? WHERE name = 'unswept'`),
    sweeps: db.prepare(`UPDATE counter SET value = value + 1 WHERE name = 'sweeps'`),
    last: db.prepare('SELECT max(id) AS id FROM name'),
    others: db.prepare(
      `SELECT source AS a, namespace AS b, pod AS c FROM chain UNION SELECT namespace, pod, subject FROM hold`,
    ),
    // One value after the other: of each there may be millions.
    nextTag: db.prepare('SELECT min(tag) AS tag FROM tag WHERE tag > ?'),
    names: db.prepare('SELECT id FROM name WHERE id > ? AND id <= ? ORDER BY id LIMIT ?'),
  };
  let going:
    { readonly marks: NameMarks; readonly unswept: number; session: number | undefined; name: number } | undefined;

  const begin = (unswept: number): NonNullable<typeof going> => {
    const marks = createNameMarks(Number(sql.last.get()?.['id'] ?? 0));
    names.mark(marks);
    return { marks, unswept, session: 0, name: 0 };
  };
  const markOthers = (marks: NameMarks): void => {
    for (const row of sql.others.iterate())
      for (const number of [row['a'], row['b'], row['c']]) if (number !== null) marks.add(Number(number));
    for (let tag: unknown = -1; tag !== null;) {
      tag = sql.nextTag.get(Number(tag))?.['tag'] ?? null;
      if (tag !== null) marks.add(Number(tag));
    }
  };
  /** @returns whether there are more */
  const remove = (sweep: NonNullable<typeof going>): boolean => {
    const { marks } = sweep;
    const rows = sql.names.all(sweep.name, marks.upTo, namesAtOnce).map((row) => Number(row['id']));
    const unused = rows.filter((number) => !marks.has(number));
    if (unused.length > 0)
      transaction(() => {
        for (const number of unused) names.remove(number);
        // Who has names in memory reads them anew.
        sql.sweeps.run();
      });
    sweep.name = rows.at(-1) ?? marks.upTo;
    return rows.length === namesAtOnce;
  };

  return {
    async step() {
      const unswept = Number(sql.unswept.get()?.['value'] ?? 0);
      if (going === undefined && unswept === 0) return false;
      const sweep = (going ??= begin(unswept));
      try {
        if (sweep.session !== undefined) {
          const { numbers, next } = await used(sweep.session);
          for (const number of numbers) sweep.marks.add(number);
          sweep.session = next;
          if (next === undefined) markOthers(sweep.marks);
          return true;
        }
        if (remove(sweep)) return true;
        transaction(() => void sql.swept.run(sweep.unswept));
      } catch (error) {
        names.mark(undefined);
        going = undefined;
        throw error;
      }
      names.mark(undefined);
      going = undefined;
      return false;
    },
  };
}

import type { DatabaseSync } from 'node:sqlite';
import type { Names } from '../names.ts';
import type { SessionQuery } from '../port.ts';

/** Columns with an index of their own and of time, those that leave least first. */
export const columns = {
  subject: 'user',
  pod: 'pod',
  code: 'code',
  groups: 'group',
  namespace: 'namespace',
  model: 'model',
  operation: 'operation',
  outcome: 'outcome',
} as const satisfies Readonly<Record<string, keyof SessionQuery>>;

type Column = keyof typeof columns;
/** A column's index, or that of tags. */
export type Way = Column | 'tag';
const all = Object.keys(columns) as readonly Column[];

/** Rows of one value that are counted: what has more is common. */
const mostCounted = 2_000;

/**
 * By which index a question is answered: that of the condition which the fewest sessions meet. SQLite knows how many values a column has
 * and not which of them are rare; counting stops early, so that it costs less than a millisecond.
 *
 * @returns a column, `tag`, or undefined for the index of time alone
 */
export function createChoice(
  db: DatabaseSync,
  names: Names,
): (query: SessionQuery, groupLists: readonly number[] | undefined, tag: number | undefined) => Way | undefined {
  const counter = (table: string, column: string) =>
    db.prepare(`SELECT count(*) AS n FROM (SELECT 1 FROM ${table} WHERE ${column} = ? LIMIT ${mostCounted})`);
  const counters = new Map(all.map((column) => [column, counter('session', column)]));
  const tags = counter('tag', 'tag');
  return (query, groupLists, tag) => {
    if (query.session !== undefined) return undefined;
    let best: Way | undefined;
    let least = Number.POSITIVE_INFINITY;
    const offer = (name: Way, count: number): void => {
      if (count >= least) return;
      best = name;
      least = count;
    };
    const count = (column: Column, value: number): number => Number(counters.get(column)?.get(value)?.['n'] ?? 0);
    for (const column of all) {
      const text = query[columns[column]];
      if (text === undefined || (column === 'groups' && groupLists === undefined)) continue;
      const number = names.find(text);
      const values = column === 'groups' ? (groupLists ?? []) : number === undefined ? [] : [number];
      offer(
        column,
        values.reduce((sum, value) => (sum >= mostCounted ? sum : sum + count(column, value)), 0),
      );
    }
    if (tag !== undefined) offer('tag', Number(tags.get(tag)?.['n'] ?? 0));
    return best;
  };
}

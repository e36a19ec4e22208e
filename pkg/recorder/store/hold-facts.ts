import type { DatabaseSync } from 'node:sqlite';
import { aboutOf, createHoldMatcher } from './hold-match.ts';
import type { HeldFacts, HoldMatcher } from './hold-match.ts';
import type { Names } from './names.ts';
import type { ArchiveHolds, HeldCount, Hold } from './port.ts';

// What of the embedded store's sessions holds go by.

type Row = Readonly<Record<string, unknown>>;

/** Of a session `s`. Without its start there is no `peer`, which every start has. */
export const factColumns =
  's.request, s.namespace, s.pod, s.at, s.said, s.peer, s.subject, s.model, s.path, s.operation, s.groups, s.endSequence, s.tags';

/** @returns reads a row of {@link factColumns}, of a session in a block that was received then */
export function createFactsReader(names: Pick<Names, 'text'>): (row: Row, received: number) => HeldFacts {
  const text = (value: unknown): string => (value === null ? '' : names.text(Number(value)));
  const optional = (value: unknown): string | null => (value === null ? null : names.text(Number(value)));
  return (row, received) => ({
    session: Buffer.from(row['request'] as Uint8Array).toString('hex'),
    namespace: text(row['namespace']),
    pod: text(row['pod']),
    at: Number(row['at']),
    said: row['said'] === null ? null : Number(row['said']),
    received,
    start:
      row['peer'] === null
        ? undefined
        : {
            user: optional(row['subject']),
            model: optional(row['model']),
            groups: text(row['groups']).split('\n'),
            about: aboutOf({ operation: text(row['operation']), path: text(row['path']) }),
          },
    tags: row['endSequence'] === null ? undefined : text(row['tags']).split('\n'),
  });
}

/** Sessions whose blocks are read at once. */
const window = 1_000;

/**
 * Counts what goes with holds, newest sessions first, as far as the time goes.
 *
 * @param db The store is its `record`.
 * @returns `whole` false: the time was over
 */
export function createHeldCounter(
  db: DatabaseSync,
  names: Pick<Names, 'text'>,
): (holds: HoldMatcher, forMs: number) => HeldCount {
  const sql = {
    last: db.prepare('SELECT max(id) AS id FROM record.session'),
    parts: db.prepare(
      `SELECT s.id, p.block, b.received, ${factColumns} FROM record.session s JOIN record.part p ON p.session = s.id
       JOIN record.block b ON b.id = p.block WHERE s.id > ? AND s.id <= ? ORDER BY s.id`,
    ),
  };
  const factsOf = createFactsReader(names);
  return (holds, forMs) => {
    const until = performance.now() + forMs;
    const blocks = new Set<number>();
    const sessions = new Set<number>();
    const counts = (whole: boolean): HeldCount => ({ sessions: sessions.size, blocks: blocks.size, whole });
    for (let last = Number(sql.last.get()?.['id'] ?? 0); last > 0; last -= window)
      for (const row of sql.parts.iterate(last - window, last)) {
        if (performance.now() >= until) return counts(false);
        if (!holds.some(factsOf(row, Number(row['received'])))) continue;
        blocks.add(Number(row['block']));
        sessions.add(Number(row['id']));
      }
    return counts(true);
  };
}

type Between = Awaited<ReturnType<ArchiveHolds['between']>>;

/** @param db The store is its `record`. @returns as {@link ArchiveHolds.between} says it */
export function createHeldBetween(
  db: DatabaseSync,
  names: Pick<Names, 'text'>,
): (first: number, end: number, holds: readonly Pick<Hold, 'id' | 'terms'>[]) => Between {
  const sql = {
    sessions: db.prepare(
      `SELECT b.received, ${factColumns} FROM record.block b JOIN record.part p ON p.block = b.id
       JOIN record.session s ON s.id = p.session WHERE b.id >= ? AND b.id < ?`,
    ),
    gone: db.prepare(
      `SELECT 1 FROM record.entry e WHERE e.id >= ? AND e.id < ? AND substr(e.text, 1, 21) = '{"v":1,"type":"block"'
       AND NOT EXISTS (SELECT 1 FROM record.block b WHERE b.id = e.id) LIMIT 1`,
    ),
  };
  const factsOf = createFactsReader(names);
  return (first, end, holds) => {
    const matcher = createHoldMatcher(holds);
    const held = new Set<number>();
    for (const row of sql.sessions.iterate(first, end)) {
      for (const id of matcher.matching(factsOf(row, Number(row['received'])))) held.add(id);
      if (held.size === holds.length) break;
    }
    return { held: [...held], gone: sql.gone.get(first, end) !== undefined };
  };
}

import type { DatabaseSync } from 'node:sqlite';
import { guarded } from './guarded.ts';
import type { ArchiveHolds, Hold } from './port.ts';
import type { ReaderClient } from './search/reader-client.ts';

/** What holds want of the archive, in the embedded store. */
export function createArchiveHolds(
  db: DatabaseSync,
  reader: Pick<ReaderClient, 'ask'>,
  holds: () => readonly Hold[],
  transaction: <Result>(run: () => Result) => Result,
): ArchiveHolds {
  const standing = 'EXISTS (SELECT 1 FROM hold h WHERE h.id = a.hold)';
  const sql = {
    least: db.prepare('SELECT min(archived) AS at FROM hold WHERE archived < ?'),
    most: db.prepare('SELECT max(archived) AS at FROM hold WHERE archived < ?'),
    upTo: db.prepare('SELECT id, archived FROM hold WHERE archived <= ?'),
    add: db.prepare('INSERT OR IGNORE INTO archive_hold (segment, hold) VALUES (?, ?)'),
    move: db.prepare('UPDATE hold SET archived = ? WHERE archived = ? AND id IN (SELECT value FROM json_each(?))'),
    todo: db.prepare(
      `SELECT t.segment, EXISTS (SELECT 1 FROM archive_hold a WHERE a.segment = t.segment AND ${standing}) AS wanted
       FROM (SELECT DISTINCT segment FROM archive_hold WHERE done = 0 AND segment > ? ORDER BY segment LIMIT ?) t`,
    ),
    wanted: db.prepare(`SELECT 1 FROM archive_hold a WHERE a.segment = ? AND ${standing} LIMIT 1`),
    nobodys: db.prepare('INSERT OR IGNORE INTO archive_hold (segment, hold) VALUES (?, 0)'),
    undo: db.prepare('UPDATE archive_hold SET done = 0 WHERE segment = ?'),
    done: db.prepare('UPDATE archive_hold SET done = 1, asked = ? WHERE segment = ?'),
    forget: db.prepare(`DELETE FROM archive_hold AS a WHERE a.segment = ? AND NOT ${standing}`),
    absent: db.prepare('DELETE FROM archive_hold WHERE segment = ?'),
    again: db.prepare('UPDATE archive_hold SET done = 0 WHERE done = 1 AND (asked IS NULL OR abs(asked - ?) >= ?)'),
    counts: db.prepare(
      `SELECT h.id, h.archived, (SELECT count(*) FROM archive_hold a WHERE a.hold = h.id AND a.done = 1) AS segments,
         (SELECT count(*) FROM archive_hold a WHERE a.hold = h.id AND a.done = 0) AS waiting FROM hold h ORDER BY h.id`,
    ),
    toFree: db.prepare(
      `SELECT count(DISTINCT segment) AS n FROM archive_hold t WHERE done = 0
       AND NOT EXISTS (SELECT 1 FROM archive_hold a WHERE a.segment = t.segment AND ${standing})`,
    ),
  };
  return {
    async due(upTo, which = 'least') {
      return guarded(() => {
        const at = sql[which].get(upTo)?.['at'];
        if (typeof at !== 'number') return undefined;
        const seen = new Map(sql.upTo.all(at).map((row) => [Number(row['id']), Number(row['archived'])]));
        const standing = holds();
        return {
          from: at,
          holds: standing.filter(({ id }) => seen.get(id) === at),
          behind: standing.filter(({ id }) => (seen.get(id) ?? at) < at),
        };
      });
    },
    between: (first, end, given) =>
      reader.ask(
        'heldBetween',
        first,
        end,
        given.map(({ id, terms }) => ({ id, terms })),
      ),
    async looked({ from, holds: due }, to, { segment, holds: wanted }) {
      transaction(() => {
        for (const hold of wanted) sql.add.run(segment, hold);
        sql.move.run(to, from, JSON.stringify(due.map(({ id }) => id)));
      });
    },
    async todo(atMost, after = -1) {
      return guarded(() =>
        sql.todo.all(after, atMost).map((row) => ({
          segment: Number(row['segment']),
          wanted: Number(row['wanted']) === 1,
        })),
      );
    },
    async settle(segment, held, at) {
      return transaction(() => {
        if ((sql.wanted.get(segment) !== undefined) !== held) {
          sql.undo.run(segment);
          // Of what is there by now nothing may be known any more.
          if (held) sql.nobodys.run(segment);
          return false;
        }
        sql.forget.run(segment);
        sql.done.run(Math.floor(at), segment);
        return true;
      });
    },
    async absent(segment) {
      transaction(() => void sql.absent.run(segment));
    },
    async again(at, ofMs) {
      transaction(() => void sql.again.run(Math.floor(at), ofMs));
    },
    async counts() {
      return guarded(() => ({
        holds: sql.counts.all().map((row) => ({
          id: Number(row['id']),
          segments: Number(row['segments']),
          waiting: Number(row['waiting']),
          lookedTo: Number(row['archived']),
        })),
        toFree: Number(sql.toFree.get()?.['n']),
      }));
    },
  };
}

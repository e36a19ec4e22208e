import { createHoldMatcher } from '../hold-match.ts';
import type { ArchiveHolds } from '../port.ts';
import type { Database } from './connection.ts';
import { factsReader, factColumns } from './hold-facts.ts';
import type { Names } from './names.ts';
import { readHolds } from './retention.ts';

const standing = 'EXISTS (SELECT 1 FROM hold h WHERE h.id = a.hold)';
/** Blocks whose sessions are read at once. */
const blocksAtOnce = 50;

/** What holds want of the archive, in a database. */
export function createArchiveHolds(
  { read, write, transaction }: Pick<Database, 'read' | 'write' | 'transaction'>,
  names: Names,
): ArchiveHolds {
  return {
    async due(upTo, which = 'least') {
      const far = which === 'least' ? 'min' : 'max';
      const rows = await write(
        `SELECT id, archived FROM hold WHERE archived <= (SELECT ${far}(archived) FROM hold WHERE archived < $1)`,
        [upTo],
      );
      if (rows.length === 0) return undefined;
      const seen = new Map(rows.map((row) => [Number(row['id']), Number(row['archived'])]));
      const from = Math.max(...seen.values());
      const standing = await readHolds(read);
      return {
        from,
        holds: standing.filter(({ id }) => seen.get(id) === from),
        behind: standing.filter(({ id }) => (seen.get(id) ?? from) < from),
      };
    },
    async between(first, end, holds) {
      const matcher = createHoldMatcher(holds);
      // The day that a block is in is that of its entry.
      const entries = await read(
        `SELECT e.id, b.received FROM entry e
         LEFT JOIN block b ON b.id = e.id AND b.received = substring(e.text FROM '"at":([0-9]+)')::bigint
         WHERE e.id >= $1 AND e.id < $2 AND starts_with(e.text, '{"v":1,"type":"block"') ORDER BY e.id`,
        [first, end],
      );
      const blocks = entries.filter((row) => row['received'] !== null);
      const received = new Map(blocks.map((row) => [Number(row['id']), Number(row['received'])]));
      const ids = [...received.keys()];
      const held = new Set<number>();
      for (let at = 0; at < ids.length && held.size < holds.length; at += blocksAtOnce) {
        const rows = await read(
          `SELECT p.block, ${factColumns} FROM part p JOIN session s ON s.id = p.session WHERE p.block = ANY ($1)`,
          [ids.slice(at, at + blocksAtOnce)],
        );
        const factsOf = await factsReader(read, names, rows);
        for (const row of rows)
          for (const id of matcher.matching(factsOf(row, received.get(Number(row['block'])) ?? 0))) held.add(id);
      }
      return { held: [...held], gone: blocks.length < entries.length };
    },
    looked: ({ from, holds }, to, { segment, holds: wanted }) =>
      transaction(async (run) => {
        await run(
          'INSERT INTO archive_hold (segment, hold) SELECT $1::bigint, unnest($2::integer[]) ON CONFLICT DO NOTHING',
          [segment, wanted],
        );
        await run('UPDATE hold SET archived = $1 WHERE archived = $2 AND id = ANY ($3)', [
          to,
          from,
          holds.map(({ id }) => id),
        ]);
      }),
    async todo(atMost, after = -1) {
      const rows = await write(
        `SELECT t.segment, EXISTS (SELECT 1 FROM archive_hold a WHERE a.segment = t.segment AND ${standing}) AS wanted
         FROM (SELECT DISTINCT segment FROM archive_hold WHERE NOT done AND segment > $2 ORDER BY segment LIMIT $1) t`,
        [atMost, after],
      );
      return rows.map((row) => ({ segment: Number(row['segment']), wanted: row['wanted'] === true }));
    },
    settle: (segment, held, at) =>
      transaction(async (run) => {
        // Neither placed nor released meanwhile.
        await run('LOCK TABLE hold IN SHARE MODE');
        const wanted = await run(`SELECT 1 FROM archive_hold a WHERE a.segment = $1 AND ${standing} LIMIT 1`, [
          segment,
        ]);
        if (wanted.length > 0 !== held) {
          await run('UPDATE archive_hold SET done = false WHERE segment = $1', [segment]);
          // Of what is there by now nothing may be known any more.
          if (held)
            await run('INSERT INTO archive_hold (segment, hold) VALUES ($1, 0) ON CONFLICT DO NOTHING', [segment]);
          return false;
        }
        await run(`DELETE FROM archive_hold a WHERE a.segment = $1 AND NOT ${standing}`, [segment]);
        await run('UPDATE archive_hold SET done = true, asked = $2 WHERE segment = $1', [segment, Math.floor(at)]);
        return true;
      }),
    async absent(segment) {
      await write('DELETE FROM archive_hold WHERE segment = $1', [segment]);
    },
    async again(at, ofMs) {
      await write('UPDATE archive_hold SET done = false WHERE done AND (asked IS NULL OR abs(asked - $1) >= $2)', [
        Math.floor(at),
        ofMs,
      ]);
    },
    async counts() {
      const rows = await read(
        `SELECT h.id, h.archived, count(a.hold) FILTER (WHERE a.done)::integer AS segments,
           count(a.hold) FILTER (WHERE NOT a.done)::integer AS waiting
         FROM hold h LEFT JOIN archive_hold a ON a.hold = h.id GROUP BY h.id, h.archived ORDER BY h.id`,
      );
      const [free] = await read(
        `SELECT count(DISTINCT segment)::integer AS n FROM archive_hold t WHERE NOT done
         AND NOT EXISTS (SELECT 1 FROM archive_hold a WHERE a.segment = t.segment AND ${standing})`,
      );
      return {
        holds: rows.map((row) => ({
          id: Number(row['id']),
          segments: Number(row['segments']),
          waiting: Number(row['waiting']),
          lookedTo: Number(row['archived']),
        })),
        toFree: Number(free?.['n']),
      };
    },
  };
}

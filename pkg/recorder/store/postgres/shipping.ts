import type { ShipTable } from '../port.ts';
import type { Run } from './connection.ts';
import { clean } from './names.ts';

/** Events that a receiver never took are kept, the newest so many of each, and of them so many bytes. */
const mostDead = { events: 10_000, bytes: 16 * 1024 * 1024 };

/** The last of them that may be kept at all. */
function newest(events: readonly string[]): readonly string[] {
  let room = mostDead.bytes;
  const last = events.slice(-mostDead.events);
  let from = last.length;
  while (from > 0 && (room -= Buffer.byteLength(last[from - 1] ?? '')) >= 0) from--;
  return last.slice(from);
}

/** Each step is one statement: a turn rests on no connection, so that it outlives one, and ends though its holder's was never cut. */
export const createShipTable = (run: Run): ShipTable => ({
  async take(receiver, holder, forMs) {
    const [row] = await run(
      `INSERT INTO ship AS s (receiver, entry, events, holder, until)
       VALUES ($1, 0, 0, $2, now() + $3 * interval '1 millisecond')
       ON CONFLICT (receiver) DO UPDATE SET holder = excluded.holder, until = excluded.until
       WHERE s.holder = excluded.holder OR s.holder IS NULL OR s.until < now()
       RETURNING entry, events`,
      [receiver, holder, forMs],
    );
    return row && { entry: Number(row['entry']), events: Number(row['events']) };
  },
  async move(receiver, holder, { entry, events }, forMs) {
    const rows = await run(
      `UPDATE ship SET entry = $3, events = $4, until = now() + $5 * interval '1 millisecond'
       WHERE receiver = $1 AND holder = $2 RETURNING 1`,
      [receiver, holder, entry, events, forMs],
    );
    return rows.length === 1;
  },
  async release(receiver, holder) {
    await run('UPDATE ship SET holder = NULL WHERE receiver = $1 AND holder = $2', [receiver, holder]);
  },
  async again(receiver, entry) {
    await run(
      `INSERT INTO ship AS s (receiver, entry, events, holder, until) VALUES ($1, $2, 0, NULL, now())
       ON CONFLICT (receiver) DO UPDATE SET entry = excluded.entry, events = 0, holder = NULL, until = excluded.until`,
      [receiver, entry],
    );
  },
  async keepDead(receiver, events) {
    const kept = newest(events.map(clean));
    const bytes = kept.reduce((sum, event) => sum + Buffer.byteLength(event), 0);
    // What is inserted is not seen by the rest of the statement.
    await run(
      `WITH kept AS (INSERT INTO ship_dead (receiver, event) SELECT $1, unnest($2::text[])),
         old AS (SELECT id, row_number() OVER newer AS number, sum(octet_length(event)) OVER newer AS bytes
           FROM ship_dead WHERE receiver = $1 WINDOW newer AS (ORDER BY id DESC))
       DELETE FROM ship_dead WHERE id IN (SELECT id FROM old WHERE number > $3 OR bytes > $4)`,
      [receiver, kept, mostDead.events - kept.length, mostDead.bytes - bytes],
    );
  },
});

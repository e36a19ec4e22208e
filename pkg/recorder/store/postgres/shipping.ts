import type { ShipTable } from '../port.ts';
import type { Run } from './connection.ts';
import { clean } from './names.ts';

/** Events that a receiver never took are kept, the newest so many of each. */
const mostDead = 10_000;

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
  async keepDead(receiver, events) {
    await run(
      `WITH kept AS (INSERT INTO ship_dead (receiver, event) SELECT $1, unnest($2::text[]))
       DELETE FROM ship_dead WHERE receiver = $1 AND id <=
         (SELECT id FROM ship_dead WHERE receiver = $1 ORDER BY id DESC OFFSET $3 LIMIT 1)`,
      [receiver, events.map(clean), Math.max(0, mostDead - events.length)],
    );
  },
});

import type { StreamTable } from '../port.ts';
import type { Run } from './connection.ts';
import type { Names } from './names.ts';

/** One row for each recorder, with the numbers of its sidecars. */
export const createStreamTable = (run: Run, names: Names): StreamTable => ({
  async keep(holder, sources, forMs) {
    const number = await names.find(run, sources);
    await run(
      `WITH gone AS (DELETE FROM stream WHERE until < now() - interval '1 hour')
       INSERT INTO stream (holder, sources, until) VALUES ($1, $2::integer[], now() + $3 * interval '1 millisecond')
       ON CONFLICT (holder) DO UPDATE SET sources = excluded.sources, until = excluded.until`,
      [holder, sources.map(number).filter((one) => one !== undefined), forMs],
    );
  },
  async release(holder) {
    await run('DELETE FROM stream WHERE holder = $1', [holder]);
  },
  async held(source) {
    const number = (await names.find(run, [source]))(source);
    if (number === undefined) return false;
    return (await run('SELECT 1 FROM stream WHERE until > now() AND $1 = ANY (sources)', [number])).length > 0;
  },
});

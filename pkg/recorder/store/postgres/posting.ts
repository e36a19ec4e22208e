import { StoreError } from '../store-error.ts';
import type { Run } from './connection.ts';
import { partsOf } from './partitions.ts';

/**
 * The words of older sessions. A session's own list of words takes as much room as its lines, compressed; here each word of a part of the
 * sessions stands once, with the sessions that have it, by their place in the part.
 */

/** Sessions in one part; also in one partition of `recent`, where a search reads all of them. */
export const sessionsAPart = 4_096;

export const partOf = (session: number): number => Math.floor(session / sessionsAPart);

/** Words of sessions that are moved at once: it costs the server a second or two. */
export const mostMoved = 2_000_000;
/** Words of a part that forget sessions at once. */
export const mostForgotten = 50_000;

/**
 * Moves words of the oldest part that is full, and has no session that goes on, out of `recent`, and removes its table with the last of them.
 * What comes later of its sessions is moved once more.
 *
 * @param most Words of sessions, at least those of one.
 */
export async function moveWords(run: Run, most: number): Promise<void> {
  const parts = (await partsOf(run, 'recent')).toSorted((one, other) => one - other);
  if (parts.length < 2) return;
  const unfinished = await run('SELECT DISTINCT session / $1::bigint AS part FROM unfinished', [sessionsAPart]);
  const goOn = new Set(unfinished.map((row) => Number(row['part'])));
  // Words come in the order of sessions: with the first of the next part, all are there of those before.
  const part = parts.slice(0, -1).find((one) => !goOn.has(one));
  if (part === undefined) return;
  await run(`SET LOCAL work_mem = '64MB'`);
  await run(
    `WITH next AS (
       SELECT session, sum(length(words)) OVER (ORDER BY session) - length(words) AS before FROM recent_${part}
     ), gone AS (
       DELETE FROM recent_${part} WHERE session IN (SELECT session FROM next WHERE before < $3::bigint) RETURNING session, words
     )
     INSERT INTO posting
     SELECT w.word, $1::integer, array_agg(w.place) FROM (
       SELECT unnest(tsvector_to_array(words)) AS word, (session - $1::bigint * $2::bigint)::smallint AS place FROM gone
     ) w GROUP BY w.word
     ON CONFLICT (word, part) DO UPDATE SET sessions =
       ARRAY(SELECT DISTINCT place FROM unnest(posting.sessions || excluded.sessions) AS p (place) ORDER BY place)`,
    [part, sessionsAPart, most],
  );
  if ((await run(`SELECT 1 FROM recent_${part} LIMIT 1`)).length > 0) return;
  // Where somebody reads it, the next time.
  await run('SAVEPOINT removal');
  try {
    await run(`SET LOCAL lock_timeout = '200ms'`);
    await run(`DROP TABLE recent_${part}`);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    await run('ROLLBACK TO removal');
  }
}

/** Notes that the words of sessions have to go: to look for them costs too much where lines are taken in meanwhile. */
export async function noteForgotten(run: Run, sessions: readonly number[]): Promise<void> {
  await run(
    `INSERT INTO forgotten (part, place) SELECT id / $2::bigint, id % $2::bigint FROM unnest($1::bigint[]) AS d (id)
     ON CONFLICT DO NOTHING`,
    [sessions, sessionsAPart],
  );
}

/**
 * Takes the words of deleted sessions out of one part: an hour after the first of them was deleted, so that a part is gone through once for
 * many; at once where no session of it is left.
 *
 * @param most Words that are changed.
 * @returns whether there was something to do: there may be more
 */
export async function forgetWords(run: Run, most: number): Promise<boolean> {
  const [next] = await run(
    `SELECT part, empty FROM (
       SELECT f.part, min(f.at) AS since, NOT EXISTS (
         SELECT 1 FROM session s WHERE s.id >= f.part * $1::bigint AND s.id < (f.part + 1) * $1::bigint) AS empty
       FROM forgotten f GROUP BY f.part
     ) p WHERE empty OR since <= now() - interval '1 hour' ORDER BY since LIMIT 1`,
    [sessionsAPart],
  );
  if (next === undefined) return false;
  const { part, empty } = next;
  // What is noted from here on is left for the next time.
  const places = (await run('SELECT place FROM forgotten WHERE part = $1', [part])).map((row) => Number(row['place']));
  const changed = await run(
    empty === true
      ? 'DELETE FROM posting WHERE part = $1 AND word IN (SELECT word FROM posting WHERE part = $1 LIMIT $2) RETURNING 1'
      : `UPDATE posting SET sessions = ARRAY(
           SELECT p.place FROM unnest(sessions) AS p (place)
           WHERE p.place NOT IN (SELECT f.place FROM forgotten f WHERE f.part = $1) ORDER BY p.place)
         WHERE part = $1 AND word IN (
           SELECT DISTINCT word FROM posting, unnest(sessions) AS p (place)
           WHERE part = $1 AND p.place IN (SELECT f.place FROM forgotten f WHERE f.part = $1) LIMIT $2)
         RETURNING 1`,
    [part, most],
  );
  await run('DELETE FROM posting WHERE part = $1 AND cardinality(sessions) = 0', [part]);
  if (changed.length < most)
    await run('DELETE FROM forgotten WHERE part = $1 AND place = ANY ($2::smallint[])', [part, places]);
  return true;
}

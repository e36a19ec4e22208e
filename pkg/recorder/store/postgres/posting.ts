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

/** Forgets parts of which no session is left. */
export async function dropPostings(run: Run, sessions: readonly number[]): Promise<void> {
  await run(
    `DELETE FROM posting WHERE part IN (
       SELECT d.part FROM unnest($1::integer[]) AS d (part) WHERE NOT EXISTS (
         SELECT 1 FROM session s WHERE s.id >= d.part * $2::bigint AND s.id < (d.part + 1) * $2::bigint))`,
    [[...new Set(sessions.map(partOf))], sessionsAPart],
  );
}

import { decompress } from '../compress.ts';
import { holdsTexts, linesOfSession, readSessionLine } from '../search/session-lines.ts';
import type { SessionLine } from '../search/session-lines.ts';
import type { Database, Run } from './connection.ts';
import { foldWords } from '../search/fold-words.ts';
import { createPartitions } from './partitions.ts';
import { forgetWords, mostForgotten, mostMoved, moveWords, sessionsAPart } from './posting.ts';

/**
 * The words of sessions' texts. They follow the blocks, in steps of which one recorder does one at a time. A session is indexed when its end
 * has come, and before that each minute as far as it is.
 */
export interface WordIndex {
  /** @param whole Also sessions that go on. @returns what was done */
  step(now: number, whole: boolean): Promise<'done' | 'more' | 'busy'>;
  /** Blocks that no step has reached. */
  behind(): Promise<number>;
}

/** Bytes of lines of one step, and sessions that went on. */
const stepBytes = 1024 * 1024;
const stepSessions = 200;
const unfinishedMs = 60_000;

/** What a step has read of a session. */
interface Seen {
  readonly texts: string[];
  started: boolean;
  ended: boolean;
}

/** @param most As {@link moveWords} is told. */
export function createWordIndex(database: Database, most = mostMoved): WordIndex {
  let moved = most;
  const write = async (run: Run, words: ReadonlyMap<number, readonly string[]>): Promise<void> => {
    if (words.size === 0) return;
    // Looked for anew: one that was there may have been moved, by another recorder too.
    await createPartitions('recent', sessionsAPart).make(run, words.keys());
    // Not of sessions that are deleted meanwhile.
    await run(
      `INSERT INTO recent SELECT w.session, array_to_tsvector(w.words)
       FROM json_to_recordset($1) AS w (session bigint, words text[])
       WHERE EXISTS (SELECT 1 FROM session s WHERE s.id = w.session FOR KEY SHARE)
       ON CONFLICT (session) DO UPDATE SET words = excluded.words`,
      [JSON.stringify([...words].map(([session, list]) => ({ session, words: list })))],
    );
  };
  /** Reads blocks on. @returns words of sessions that are whole in them */
  const readOn = async (run: Run, now: number): Promise<{ words: Map<number, readonly string[]>; more: boolean }> => {
    const [at] = await run('SELECT received, block FROM indexed');
    const blocks = await run(
      `SELECT id, received, chain, size, data FROM (
         SELECT id, received, chain, size, data, sum(size) OVER (ORDER BY received, id) AS total
         FROM (SELECT * FROM block WHERE received >= $1 AND (received, id) > ($1, $2) ORDER BY received, id LIMIT 500) next
       ) summed WHERE total - size < $3 ORDER BY received, id`,
      [at?.['received'], at?.['block'], stepBytes],
    );
    const last = blocks.at(-1);
    const words = new Map<number, readonly string[]>();
    if (last === undefined) return { words, more: false };
    const seen = new Map<string, Seen>();
    for (const { chain, data, size } of blocks)
      for (const line of decompress(data as Uint8Array, Number(size))
        .toString('utf8')
        .split('\n')) {
        const read = readSessionLine(line);
        if (read !== undefined) see(seen, `${String(chain)} ${read.session}`, read);
      }
    const keys = [...seen.keys()].map((key) => key.split(' '));
    const rows = await run(
      `SELECT s.id, s.chain, s.request, EXISTS (SELECT 1 FROM recent w WHERE w.session = s.id) AS known
       FROM unnest($1::integer[], $2::uuid[]) AS k (chain, request)
       JOIN session s ON s.request = k.request AND s.chain = k.chain`,
      [keys.map(([chain]) => Number(chain)), keys.map(([, session]) => session)],
    );
    const unfinished: { session: number; due: number }[] = [];
    for (const row of rows) {
      const id = Number(row['id']);
      const one = seen.get(`${String(row['chain'])} ${String(row['request']).replaceAll('-', '')}`);
      if (one?.started === true && one.ended && row['known'] !== true) words.set(id, foldWords(one.texts));
      else unfinished.push({ session: id, due: one?.ended === true ? now : now + unfinishedMs });
    }
    await run(
      `INSERT INTO unfinished SELECT * FROM json_populate_recordset(NULL::unfinished, $1)
       ON CONFLICT (session) DO UPDATE SET due = least(unfinished.due, excluded.due)`,
      [JSON.stringify(unfinished)],
    );
    await run('UPDATE indexed SET received = $1, block = $2', [last['received'], last['id']]);
    return { words, more: true };
  };
  /** Words of sessions that were spread over steps, from all of their lines. */
  const readUnfinished = async (run: Run, before: number): Promise<Map<number, readonly string[]>> => {
    const due = await run(
      `DELETE FROM unfinished WHERE session IN (SELECT session FROM unfinished WHERE due <= $1 ORDER BY due LIMIT $2)
       RETURNING session`,
      [before, stepSessions],
    );
    const words = new Map<number, readonly string[]>();
    for (const { session } of due) {
      const blocks = await run(
        `SELECT b.data, b.size, s.request FROM part p JOIN session s ON s.id = p.session
         JOIN block b ON b.received = p.received AND b.id = p.block WHERE p.session = $1 ORDER BY p.block`,
        [session],
      );
      const texts = function* (): Iterable<string> {
        for (const block of blocks)
          for (const line of linesOfSession(block, String(block['request']).replaceAll('-', '')))
            yield readSessionLine(line)?.text() ?? '';
      };
      words.set(Number(session), foldWords(texts()));
    }
    return words;
  };

  return {
    async step(now, whole) {
      try {
        const done = await database.transaction(async (run) => {
          if (!(await takeTurn(run))) return 'busy';
          const { words, more } = await readOn(run, now);
          const spread = await readUnfinished(run, whole && !more ? Number.MAX_SAFE_INTEGER : now);
          const all = new Map([...words, ...spread]);
          await write(run, all);
          if (all.size > 0) await moveWords(run, moved);
          return more || spread.size === stepSessions ? 'more' : 'done';
        });
        moved = most;
        // Nobody who searches waits for it, and where it fails the words that were read stay.
        if (whole || done === 'busy') return done;
        const forgets = await database.transaction(
          async (run) => (await takeTurn(run)) && (await forgetWords(run, mostForgotten)),
        );
        return forgets ? 'more' : done;
      } catch (error) {
        // A server that is slow has less to do the next time.
        moved /= 2;
        throw error;
      }
    },
    async behind() {
      const [row] = await database.read(
        `SELECT count(*) AS n FROM block b, indexed i WHERE b.received >= i.received AND (b.received, b.id) > (i.received, i.block)`,
      );
      return Number(row?.['n'] ?? 0);
    },
  };
}

/** What a crash takes of it is made again: words and how far they go are lost together. @returns false: another recorder has it */
async function takeTurn(run: Run): Promise<boolean> {
  return (
    (await run(`SELECT set_config('synchronous_commit', 'off', true) FROM indexed FOR UPDATE SKIP LOCKED`)).length > 0
  );
}

function see(seen: Map<string, Seen>, key: string, line: SessionLine): void {
  const one = seen.get(key) ?? { texts: [], started: false, ended: false };
  seen.set(key, one);
  if (line.type === 'start') one.started = true;
  if (line.type === 'end') one.ended = true;
  if (holdsTexts(line)) one.texts.push(line.text());
}

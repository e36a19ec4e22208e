import { unpacked } from '../compress.ts';
import { JoinedTexts } from '../search/joined-texts.ts';
import { holdsTexts, linesOfSession, readSessionLine } from '../search/session-lines.ts';
import type { SessionLine } from '../search/session-lines.ts';
import type { Database, Run } from './connection.ts';
import { foldWords } from '../search/fold-words.ts';
import { schemaVersion } from './schema.ts';
import { forgetWords, fullPairs, mergeSegments, writeWords } from './segments.ts';

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
  readonly joined: JoinedTexts;
  started: boolean;
  ended: boolean;
}

/** Words of the sessions that one step reads from all of their lines. */
const stepWords = 1_000_000;
/** Pages of words that are looked through at once for sessions that are deleted. */
const mostPages = 256;

export interface WordIndexOptions {
  /** Pairs of word and session that are moved at once, as {@link mergeSegments} is told. */
  readonly mostPairs?: number;
  /** As {@link forgetWords} is told. */
  readonly mostPages?: number;
}

/** How much is done at once: half of it where it failed, since a server that is slow ends what takes too long; twice as much after that. */
function createBound(most: number): { now(): number; halve(): void; grow(): void } {
  let bound = most;
  return {
    now: () => bound,
    halve() {
      bound = Math.max(1, Math.floor(bound / 2));
    },
    grow() {
      bound = Math.min(most, bound * 2);
    },
  };
}

export function createWordIndex(database: Database, options: WordIndexOptions = {}): WordIndex {
  const pairs = createBound(options.mostPairs ?? 2 * fullPairs);
  const pages = createBound(options.mostPages ?? mostPages);
  /** Reads blocks on. @returns words of sessions that are whole in them */
  const readOn = async (run: Run, now: number): Promise<{ words: Map<number, readonly string[]>; more: boolean }> => {
    const [at] = await run('SELECT received, block FROM words_read');
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
      for (const line of unpacked(data as Uint8Array, Number(size))
        ?.toString('utf8')
        .split('\n') ?? []) {
        const read = readSessionLine(line);
        if (read !== undefined) see(seen, `${String(chain)} ${read.session}`, read);
      }
    const keys = [...seen.keys()].map((key) => key.split(' '));
    const rows = await run(
      `SELECT s.id, s.chain, s.request, EXISTS (SELECT 1 FROM part p WHERE p.session = s.id AND p.block <= $3) AS known
       FROM unnest($1::integer[], $2::uuid[]) AS k (chain, request)
       JOIN session s ON s.request = k.request AND s.chain = k.chain`,
      [keys.map(([chain]) => Number(chain)), keys.map(([, session]) => session), at?.['block']],
    );
    const unfinished: { session: number; due: number }[] = [];
    for (const row of rows) {
      const id = Number(row['id']);
      const one = seen.get(`${String(row['chain'])} ${String(row['request']).replaceAll('-', '')}`);
      if (one?.started === true && one.ended && row['known'] !== true)
        words.set(id, foldWords([...one.texts, one.joined.rest()]));
      else unfinished.push({ session: id, due: one?.ended === true ? now : now + unfinishedMs });
    }
    await run(
      `INSERT INTO unfinished SELECT * FROM json_populate_recordset(NULL::unfinished, $1)
       ON CONFLICT (session) DO UPDATE SET due = least(unfinished.due, excluded.due)`,
      [JSON.stringify(unfinished)],
    );
    await run('UPDATE words_read SET received = $1, block = $2', [last['received'], last['id']]);
    return { words, more: true };
  };
  /** Words of sessions that were spread over steps, from all of their lines. */
  const readUnfinished = async (
    run: Run,
    before: number,
  ): Promise<{ words: Map<number, readonly string[]>; more: boolean }> => {
    const due = await run('SELECT session FROM unfinished WHERE due <= $1 ORDER BY due LIMIT $2', [
      before,
      stepSessions,
    ]);
    const words = new Map<number, readonly string[]>();
    let read = 0;
    for (const { session } of due) {
      const blocks = await run(
        `SELECT b.data, b.size, s.request FROM part p JOIN session s ON s.id = p.session
         JOIN block b ON b.received = p.received AND b.id = p.block WHERE p.session = $1 ORDER BY p.block`,
        [session],
      );
      const texts = function* (): Iterable<string> {
        const joined = new JoinedTexts();
        for (const block of blocks)
          for (const line of linesOfSession(block, String(block['request']).replaceAll('-', ''))) {
            const read = readSessionLine(line);
            if (read !== undefined) yield joined.add(read);
          }
        yield joined.rest();
      };
      const list = foldWords(texts());
      words.set(Number(session), list);
      read += list.length;
      if (read >= stepWords) break;
    }
    await run('DELETE FROM unfinished WHERE session = ANY ($1::bigint[])', [[...words.keys()]]);
    return { words, more: words.size < due.length || due.length === stepSessions };
  };

  /** Beside the traffic: nobody who searches waits for it, and where it fails the words that were read stay. */
  const tidy = async (): Promise<boolean> => {
    const bounded = async (
      bound: typeof pairs,
      work: (run: Run, most: number) => Promise<boolean>,
    ): Promise<boolean> => {
      try {
        const did = await database.transaction(async (run) => (await takeTurn(run)) && (await work(run, bound.now())));
        bound.grow();
        return did;
      } catch (error) {
        bound.halve();
        throw error;
      }
    };
    const merged = await bounded(pairs, mergeSegments);
    const forgot = await bounded(pages, forgetWords);
    // What they have left is used again. A server that has no time for it now does it by itself later.
    if (merged || forgot) await database.vacuum('posting').catch(() => undefined);
    return merged || forgot;
  };

  return {
    async step(now, whole) {
      const done = await database.transaction(async (run) => {
        if (!(await takeTurn(run))) return 'busy';
        const { words, more } = await readOn(run, now);
        const spread = await readUnfinished(run, whole && !more ? Number.MAX_SAFE_INTEGER : now);
        await writeWords(run, new Map([...words, ...spread.words]));
        return more || spread.more ? 'more' : 'done';
      });
      if (whole || done === 'busy') return done;
      return (await tidy()) ? 'more' : done;
    },
    async behind() {
      const [row] = await database.read(
        `SELECT count(*) AS n FROM block b, words_read i WHERE b.received >= i.received AND (b.received, b.id) > (i.received, i.block)`,
      );
      return Number(row?.['n'] ?? 0);
    },
  };
}

/** What a crash takes of it is made again: words and how far they go are lost together. @returns false: another recorder has it, or the whole store */
async function takeTurn(run: Run): Promise<boolean> {
  return (
    (
      await run(
        `SELECT set_config('synchronous_commit', 'off', true) FROM words_read WHERE (SELECT version FROM store) = $1 FOR UPDATE SKIP LOCKED`,
        [schemaVersion],
      )
    ).length > 0
  );
}

function see(seen: Map<string, Seen>, key: string, line: SessionLine): void {
  const one = seen.get(key) ?? { texts: [], joined: new JoinedTexts(), started: false, ended: false };
  seen.set(key, one);
  if (line.type === 'start') one.started = true;
  if (line.type === 'end') one.ended = true;
  if (holdsTexts(line)) one.texts.push(one.joined.add(line));
}

import type { Run } from './connection.ts';
import { insertBytes } from './rows.ts';
import { mergeWords, numbersIn, packWords, textOf, unpackWords, wordOf } from './word-page.ts';
import type { Word, WordEntry } from './word-page.ts';

/**
 * The words of sessions, in segments: each has the words of some sessions, packed into pages (word-page.ts), which stand with their first word.
 * A step of the index writes one; many small ones become a larger one. Numbers in pages count from the first session of their segment.
 */

/** Pairs of word and session of a segment that is left as it is. */
export const fullPairs = 4_000_000;
/** So many segments of like size become one. */
const fanIn = 16;
/** Pages of one statement: what makes them holds the event loop for some 20 ms. */
const pagesAtOnce = 16;
/** Segments that a search reads with one statement: some 4 KB for each of them and each word. */
const segmentsAtOnce = 64;
/** Deleted sessions that are forgotten together. */
const mostForgotten = 50_000;

interface Segment {
  readonly id: number;
  /** Its first session and its last. */
  readonly low: number;
  readonly high: number;
  readonly pairs: number;
}

async function insertSegment(
  run: Run,
  { low, high, swept }: Pick<Segment, 'low' | 'high'> & { readonly swept: number },
  entries: Iterable<WordEntry>,
): Promise<void> {
  const [row] = await run('INSERT INTO segment (low, high, pairs) VALUES ($1, $2, 0) RETURNING id', [low, high]);
  const id = Number(row?.['id']);
  let pairs = 0;
  const counted = (function* (): Generator<WordEntry> {
    for (const entry of entries) {
      pairs += entry[1].length;
      yield entry;
    }
  })();
  let pages: unknown[][] = [];
  const flush = async (): Promise<void> => {
    await insertBytes(run, 'posting', pages);
    pages = [];
  };
  for (const { first, data } of packWords(counted)) {
    pages.push([id, textOf(first), swept, data]);
    if (pages.length === pagesAtOnce) await flush();
  }
  await flush();
  await run('UPDATE segment SET pairs = $2 WHERE id = $1', [id, pairs]);
}

/** Writes the words of sessions, of those that are not deleted meanwhile, as a new segment. */
export async function writeWords(run: Run, words: ReadonlyMap<number, readonly string[]>): Promise<void> {
  // Who deletes one of them waits, and notes it after this.
  const rows = await run('SELECT id FROM session WHERE id = ANY ($1::bigint[]) ORDER BY id FOR KEY SHARE', [
    [...words.keys()],
  ]);
  const sessions = rows.map((row) => Number(row['id']));
  const [low, high] = [sessions[0], sessions.at(-1)];
  if (low === undefined || high === undefined) return;
  const numbers = new Map<string, number[]>();
  for (const session of sessions)
    for (const text of words.get(session) ?? []) {
      const list = numbers.get(text);
      if (list === undefined) numbers.set(text, [session - low]);
      else list.push(session - low);
    }
  if (numbers.size === 0) return;
  const [noted] = await run('SELECT coalesce(max(id), 0) AS upto FROM forgotten');
  const entries = Array.from(numbers, ([text, list]): WordEntry => [wordOf(text), list]);
  entries.sort(([one], [other]) => (one < other ? -1 : 1));
  await insertSegment(run, { low, high, swept: Number(noted?.['upto']) }, entries);
}

/** The oldest segments of like size that are enough to become one. */
function mergeable(segments: readonly Segment[], most: number): readonly Segment[] {
  const alike = Map.groupBy(segments, ({ pairs }) => Math.floor(Math.log(Math.max(1, pairs)) / Math.log(fanIn)));
  for (const some of alike.values()) {
    let pairs = 0;
    const chosen = some.slice(0, fanIn).filter((one) => {
      if (pairs >= fullPairs) return false;
      pairs += one.pairs;
      return true;
    });
    if (chosen.length < fanIn && pairs < fullPairs) continue;
    while (chosen.length > 1 && pairs > Math.max(most, 1)) pairs -= chosen.pop()?.pairs ?? 0;
    if (chosen.length > 1) return chosen;
  }
  return [];
}

/**
 * Makes one segment of many small ones, where there are enough.
 *
 * @param most Pairs of word and session that are moved.
 * @returns false: there was nothing to do
 */
export async function mergeSegments(run: Run, most: number): Promise<boolean> {
  const rows = await run('SELECT id, low, high, pairs FROM segment WHERE pairs < $1 ORDER BY id', [fullPairs]);
  const chosen = mergeable(rows as unknown as readonly Segment[], most);
  if (chosen.length === 0) return false;
  const low = Math.min(...chosen.map((one) => one.low));
  const high = Math.max(...chosen.map((one) => one.high));
  const inputs = [];
  let swept = Number.MAX_SAFE_INTEGER;
  for (const one of chosen) {
    const pages = await run('SELECT data, swept FROM posting WHERE segment = $1 ORDER BY first', [one.id]);
    inputs.push({ pages: pages.map((page) => page['data'] as Uint8Array), by: one.low - low });
    for (const page of pages) swept = Math.min(swept, Number(page['swept']));
  }
  await insertSegment(run, { low, high, swept }, mergeWords(inputs));
  const ids = chosen.map(({ id }) => id);
  await run('DELETE FROM posting WHERE segment = ANY ($1::bigint[])', [ids]);
  await run('DELETE FROM segment WHERE id = ANY ($1::bigint[])', [ids]);
  return true;
}

/** Notes that the words of sessions have to go: to look for them costs too much where lines are taken in meanwhile. */
export async function noteForgotten(run: Run, sessions: readonly number[]): Promise<void> {
  await run('INSERT INTO forgotten (session) SELECT unnest($1::bigint[])', [sessions]);
}

/**
 * Takes the words of deleted sessions out of some pages: of a segment of which no session is left at once, otherwise an hour after a session was
 * deleted, so that pages are gone through once for many.
 *
 * @param most Pages that are read or removed.
 * @returns whether there was something to do: there may be more
 */
export async function forgetWords(run: Run, most: number): Promise<boolean> {
  const [some] = await run('SELECT 1 FROM forgotten LIMIT 1');
  if (some === undefined) return false;
  return (await removeEmpty(run, most)) || (await sweep(run, most));
}

/** Pages of a segment without any session. */
async function removeEmpty(run: Run, most: number): Promise<boolean> {
  const [empty] = await run(
    `SELECT g.id, g.low, g.high FROM segment g
     WHERE EXISTS (SELECT 1 FROM forgotten f WHERE f.session BETWEEN g.low AND g.high)
       AND NOT EXISTS (SELECT 1 FROM session s WHERE s.id BETWEEN g.low AND g.high) LIMIT 1`,
  );
  if (empty === undefined) return false;
  const gone = await run(
    `DELETE FROM posting WHERE segment = $1 AND first IN (SELECT first FROM posting WHERE segment = $1 LIMIT $2) RETURNING 1`,
    [empty['id'], most],
  );
  if (gone.length < most) {
    await run('DELETE FROM segment WHERE id = $1', [empty['id']]);
    // Those that no other segment has.
    await run(
      `DELETE FROM forgotten f WHERE f.session BETWEEN $1 AND $2
         AND NOT EXISTS (SELECT 1 FROM segment g WHERE f.session BETWEEN g.low AND g.high)`,
      [empty['low'], empty['high']],
    );
  }
  return true;
}

async function sweep(run: Run, most: number): Promise<boolean> {
  const noted = await run(
    `SELECT id, session FROM forgotten WHERE at <= now() - interval '1 hour' ORDER BY id LIMIT $1`,
    [mostForgotten],
  );
  if (noted.length === 0) return false;
  const upto = Math.max(...noted.map((row) => Number(row['id'])));
  const forgotten = new Set(noted.map((row) => Number(row['session'])));
  const pages = await run(
    `SELECT g.id, g.low, p.first, p.data FROM segment g JOIN posting p ON p.segment = g.id
     WHERE p.swept < $1 AND EXISTS (SELECT 1 FROM forgotten f WHERE f.id <= $1 AND f.session BETWEEN g.low AND g.high)
     ORDER BY g.id, p.first LIMIT $2`,
    [upto, most],
  );
  for (let at = 0; at < pages.length; at += pagesAtOnce) {
    const changed = pages.slice(at, at + pagesAtOnce).map((page) => ({
      segment: Number(page['id']),
      first: String(page['first']),
      left: without(page['data'] as Uint8Array, (number) => forgotten.has(Number(page['low']) + number)),
    }));
    const kept = changed.flatMap(({ segment, first, left }) =>
      left === undefined ? [] : [{ segment, first, ...left }],
    );
    const empty = changed.filter(({ left }) => left === undefined);
    // Its first word may be one that nothing has any more.
    await run(
      `UPDATE posting p SET first = c.now, data = c.data, swept = $5
       FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bytea[]) AS c (segment, first, now, data)
       WHERE p.segment = c.segment AND p.first = c.first COLLATE "C"`,
      [
        kept.map(({ segment }) => segment),
        kept.map(({ first }) => first),
        kept.map(({ now }) => now),
        kept.map(({ data }) => data),
        upto,
      ],
    );
    await run(
      `DELETE FROM posting p USING unnest($1::bigint[], $2::text[]) AS c (segment, first)
       WHERE p.segment = c.segment AND p.first = c.first COLLATE "C"`,
      [empty.map(({ segment }) => segment), empty.map(({ first }) => first)],
    );
  }
  if (pages.length < most) {
    await run('DELETE FROM forgotten WHERE id <= $1', [upto]);
    await run('DELETE FROM segment g WHERE NOT EXISTS (SELECT 1 FROM posting p WHERE p.segment = g.id)');
  }
  return true;
}

/** A page without some of its numbers, and its first word; undefined: nothing is left of it. */
function without(
  page: Uint8Array,
  gone: (number: number) => boolean,
): { readonly now: string; readonly data: Buffer } | undefined {
  const left: WordEntry[] = [];
  for (const [word, numbers] of unpackWords(page)) {
    const kept = numbers.filter((number) => !gone(number));
    if (kept.length > 0) left.push([word, kept]);
  }
  // One, since it has become no longer.
  const [packed] = packWords(left);
  return packed && { now: textOf(packed.first), data: packed.data };
}

/** Sessions from `begin` up to and without `end` that have all of the words, oldest first; among them may be some that are deleted. */
export async function sessionsWith(
  run: Run,
  texts: readonly string[],
  begin: number,
  end: number,
): Promise<readonly number[]> {
  const words = texts.map(wordOf);
  const segments = await run('SELECT id, low FROM segment WHERE low < $2 AND high >= $1 ORDER BY id', [begin, end]);
  const found = new Set<number>();
  for (let at = 0; at < segments.length; at += segmentsAtOnce) {
    const some = segments.slice(at, at + segmentsAtOnce);
    const rows = await run(
      `SELECT g.id, w.place, p.data FROM unnest($1::bigint[]) AS g (id)
       CROSS JOIN unnest($2::text[]) WITH ORDINALITY AS w (word, place)
       CROSS JOIN LATERAL (
         SELECT data FROM posting WHERE segment = g.id AND first <= w.word COLLATE "C" ORDER BY first DESC LIMIT 1) p`,
      [some.map(({ id }) => id), texts],
    );
    const pages = new Map(rows.map((row) => [`${String(row['id'])} ${String(row['place'])}`, row['data']]));
    for (const { id, low } of some)
      for (const number of inAll(words, (place) => pages.get(`${String(id)} ${place + 1}`) as Uint8Array | undefined)) {
        const session = Number(low) + number;
        if (session >= begin && session < end) found.add(session);
      }
  }
  return [...found].sort((one, other) => one - other);
}

/** Numbers that each word has in its page. */
function inAll(words: readonly Word[], pageOf: (place: number) => Uint8Array | undefined): readonly number[] {
  let all: number[] | undefined;
  for (const [place, word] of words.entries()) {
    const page = pageOf(place);
    const numbers = page === undefined ? [] : numbersIn(page, word);
    if (numbers.length === 0) return [];
    if (all === undefined) all = numbers;
    else {
      const these = new Set(numbers);
      all = all.filter((number) => these.has(number));
    }
  }
  return all ?? [];
}

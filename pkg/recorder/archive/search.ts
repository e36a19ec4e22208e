import { jsonValue, parseJson } from '../../base/index.ts';
import type { BlockEntry } from '../../record/index.ts';
import { LineConflict, readLines } from '../ingest/read-lines.ts';
import type { ArchivedEntry, EndFacts, SessionQuery, SessionSummary } from '../store/index.ts';
import { foldWords } from '../store/search/fold-words.ts';
import { holdsTexts, readSessionLine } from '../store/search/session-lines.ts';
import { wordsOf } from '../store/search/words.ts';
import { matches } from './matches.ts';
import { dayOf, readKey } from './names.ts';
import type { ArchivedLog } from './read-archive.ts';
import { SegmentError } from './segment.ts';
import type { Segment } from './segment.ts';

const dayMs = 86_400_000;
/**
 * How much later than it began a session may reach the log and be found by `until`, and how far a sidecar's clock may be ahead of the recorder's
 * and the session be found by `since`.
 */
const lateMs = 2 * dayMs;
const aheadMs = dayMs;

/** What later segments say of a session whose start is in an earlier one. */
interface Later {
  end: Omit<EndFacts, 'session'> | undefined;
  /** Words of the question that its texts have. */
  readonly words: Set<string>;
}

/**
 * Finds sessions in an archive, without a store: segment by segment from the newest on, each in memory alone. They come as the log has their
 * starts, newest first; those of a segment by time.
 *
 * @param query Without cursor; `limit` is for whoever takes.
 * @param onFault Told of a segment that is not what it was, and is left out.
 * @throws StoreError query; ObjectStoreError
 */
export async function* searchArchive(
  log: ArchivedLog,
  query: SessionQuery,
  onFault: (name: string, error: SegmentError) => void,
): AsyncIterable<SessionSummary> {
  const wanted = query.text === undefined ? [] : foldWords(wordsOf(query.text));
  const last = query.until === undefined ? '9999' : dayOf(query.until + lateMs);
  const names: string[] = [];
  const from = query.since === undefined ? undefined : dayOf(Math.max(0, query.since - aheadMs));
  for await (const name of log.segments(from)) if ((readKey(name)?.day ?? '') <= last) names.push(name);
  const later = new Map<string, Later>();
  for (const name of names.reverse()) {
    let found: readonly SessionSummary[];
    try {
      const segment = await log.segment(name);
      if (query.namespace !== undefined && !segment.header.namespaces.includes(query.namespace)) continue;
      found = await readSegment(segment, later, wanted);
    } catch (error) {
      if (!(error instanceof SegmentError)) throw error;
      onFault(name, error);
      continue;
    }
    for (const session of found) if (matches(query, session)) yield session;
  }
}

const keyOf = (source: string, chain: string, session: string): string => `${source} ${chain} ${session}`;

/** Sessions that begin in a segment and have all the words, newest first. */
async function readSegment(
  segment: Segment,
  later: Map<string, Later>,
  wanted: readonly string[],
): Promise<readonly SessionSummary[]> {
  const begun: Omit<SessionSummary, 'end'>[] = [];
  const laterOf = (key: string): Later => {
    const known = later.get(key) ?? { end: undefined, words: new Set() };
    later.set(key, known);
    return known;
  };
  for await (const { text, pod, data } of segment.entries()) {
    if (pod === undefined || data === undefined) continue;
    const entry = jsonValue(parseJson(text)) as unknown as BlockEntry;
    const { source, chain } = entry;
    const { block } = readBlock(entry, data);
    for (const { session, ...end } of block.ends) laterOf(keyOf(source, chain, session)).end = end;
    for (const start of block.starts) begun.push({ ...start, source, chain, namespace: pod.namespace, pod: pod.name });
    if (wanted.length === 0) continue;
    for (const line of Buffer.from(data).toString('utf8').split('\n')) {
      const read = readSessionLine(line);
      if (read === undefined || !holdsTexts(read)) continue;
      const words = new Set(foldWords([read.text()]));
      const { words: had } = laterOf(keyOf(source, chain, read.session));
      for (const word of wanted) if (words.has(word)) had.add(word);
    }
  }
  const found = begun.flatMap((start): SessionSummary[] => {
    const key = keyOf(start.source, start.chain, start.session);
    const known = later.get(key);
    later.delete(key);
    return wanted.every((word) => known?.words.has(word)) ? [{ ...start, end: known?.end }] : [];
  });
  return found.sort((one, other) => other.at - one.at);
}

function readBlock(
  { first, prev }: BlockEntry,
  data: NonNullable<ArchivedEntry['data']>,
): ReturnType<typeof readLines> {
  try {
    return readLines(Buffer.from(data), { sequence: first - 1, hash: prev });
  } catch (error) {
    if (!(error instanceof LineConflict)) throw error;
    throw new SegmentError('changed', 'lines that are not those of their entry', { cause: error });
  }
}

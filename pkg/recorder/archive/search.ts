import { jsonValue, parseJson } from '../../base/index.ts';
import type { BlockEntry } from '../../record/index.ts';
import { LineConflict, readLines } from '../ingest/read-lines.ts';
import type { ArchivedEntry, SessionQuery, SessionSummary, StartFacts } from '../store/index.ts';
import { matches } from '../store/search/matches.ts';
import { mayMeet, uncutOf } from '../store/search/partly.ts';
import { foldWords } from '../store/search/fold-words.ts';
import { JoinedTexts } from '../store/search/joined-texts.ts';
import { holdsTexts, readSessionLine } from '../store/search/session-lines.ts';
import { foldedWordsOf } from '../store/search/words.ts';
import { longestStayMs, seenTime } from '../store/session-time.ts';
import { dayOf, readKey } from './names.ts';
import type { ArchivedLog } from './read-archive.ts';
import { SegmentError } from './segment.ts';
import type { Segment } from './segment.ts';

const dayMs = 86_400_000;
/** How long before it reached the log a session may have begun, as far as that is believed: {@link seenTime}. */
const lateMs = longestStayMs;
/** How far a session's time may be ahead of its entry's, with room for the day at which segments begin. */
const aheadMs = dayMs;

/** How far before `since` the beginning of a session is looked for: one that goes on for longer is named as one without its start. */
const longestSessionMs = 7 * dayMs;

/** What is known of a session of which the segments that were read do not have the beginning. */
interface Known {
  /** From the first of its lines that were read, as a store has it that knows no more. */
  summary: Omit<SessionSummary, 'end'>;
  /** Its start is in the first block that has a line of it. */
  begun: boolean;
  /** The first that was read. */
  end: SessionSummary['end'];
  /** Words of the question that its texts have. */
  readonly words: Set<string>;
  /** Of the lines that were read. */
  readonly texts: JoinedTexts;
}

/** Sessions by source, chain and id. */
type Sessions = Map<string, Known>;

/**
 * Finds sessions in an archive, without a store: segment by segment from the newest on, each in memory alone. They come as the log has their
 * first lines, newest first; those of a segment by time. Behind them come those whose start is not in the log. Each is what a store has of it: of
 * several starts, and of several ends, the first counts, and its time is what was believed of its sidecar's.
 *
 * @param query Without cursor; `limit` is for whoever takes.
 * @param onFault Told of a segment that is not what it was, and is left out.
 * @param onSealed Of a search by text: told of each session that meets the other conditions, and that has sealed texts, of which nobody knows the words.
 * @param onPartly Told of each session that may be among what is asked for, and is not found: of what it would be found by something was cut.
 * @throws StoreError query; ObjectStoreError
 */
export async function* searchArchive(
  log: ArchivedLog,
  query: SessionQuery,
  onFault: (name: string, error: SegmentError) => void,
  onSealed: () => void = () => undefined,
  onPartly: (session: SessionSummary) => void = () => undefined,
): AsyncIterable<SessionSummary> {
  const wanted = query.text === undefined ? [] : foldedWordsOf(query.text);
  const last = query.until === undefined ? '9999' : dayOf(query.until + lateMs);
  const from = query.since === undefined ? undefined : dayOf(Math.max(0, query.since - aheadMs));
  const later: Sessions = new Map();
  const read = async (name: string): Promise<Sessions> => {
    try {
      const segment = await log.segment(name);
      if (query.namespace !== undefined && !segment.header.namespaces.includes(query.namespace)) return new Map();
      return await readSegment(segment, wanted);
    } catch (error) {
      if (!(error instanceof SegmentError)) throw error;
      onFault(name, error);
      return new Map();
    }
  };
  const isSealed = ({ texts }: Known): boolean => wanted.length > 0 && texts.isSealed;
  const hasWords = ({ words }: Known): boolean => wanted.every((word) => words.has(word));
  const fits = ({ summary, end }: Known): boolean => matches(query, { ...summary, end });
  const uncut = uncutOf(query);
  const mayFit = ({ summary, end }: Known): boolean =>
    matches(uncut, { ...summary, end }) && mayMeet(query, { ...summary, end });
  const isInQuestion = (known: Known): boolean =>
    (fits(known) || mayFit(known)) && (hasWords(known) || isSealed(known));
  /** Of each session once. */
  const found = (known: Known): readonly SessionSummary[] => {
    if (!fits(known)) {
      if (mayFit(known) && (hasWords(known) || isSealed(known))) onPartly({ ...known.summary, end: known.end });
      return [];
    }
    if (isSealed(known)) onSealed();
    return hasWords(known) ? [{ ...known.summary, end: known.end }] : [];
  };
  const names = await namesOf(log, from);
  for (const name of [...names].reverse()) {
    if ((readKey(name)?.day ?? '') > last) continue;
    const begun = withLater(await read(name), later, wanted);
    yield* begun.flatMap(found).sort(newestFirst);
  }
  // Their start is in segments that were not read, or nowhere. One of a session that is asked for by its id is looked for in all of them.
  for (const [key, known] of later) if (!isInQuestion(known)) later.delete(key);
  if (later.size > 0 && query.since !== undefined) {
    const back = query.session === undefined ? dayOf(Math.max(0, query.since - aheadMs - longestSessionMs)) : undefined;
    for (const name of (await namesOf(log, back)).reverse()) {
      if (names.includes(name)) continue;
      if (later.size === 0) break;
      const begun = withLater(only(await read(name), later), later, wanted);
      yield* begun.flatMap(found).sort(newestFirst);
    }
  }
  yield* [...later.values()].flatMap(found).sort(newestFirst);
}

const newestFirst = (one: SessionSummary, other: SessionSummary): number => other.at - one.at;

async function namesOf(log: ArchivedLog, from: string | undefined): Promise<string[]> {
  const names: string[] = [];
  for await (const name of log.segments(from)) names.push(name);
  return names;
}

const only = (sessions: Sessions, keys: ReadonlyMap<string, unknown>): Sessions =>
  new Map([...sessions].filter(([key]) => keys.has(key)));

/**
 * Joins sessions of a segment with what later ones have of them.
 *
 * @returns those that begin in it; the others stay in `later`
 */
function withLater(earlier: Sessions, later: Sessions, wanted: readonly string[]): readonly Known[] {
  const begun: Known[] = [];
  for (const [key, known] of earlier) {
    const after = later.get(key);
    known.end ??= after?.end;
    for (const word of after?.words ?? []) known.words.add(word);
    if (after !== undefined) addWords(known, known.texts.followedBy(after.texts), wanted);
    if (known.begun) {
      begun.push(known);
      later.delete(key);
    } else later.set(key, known);
  }
  return begun;
}

/** Of the words that are wanted, those that a text has. */
function addWords({ words }: Known, text: string, wanted: readonly string[]): void {
  if (wanted.length === 0 || text === '') return;
  const all = new Set(foldWords([text]));
  for (const word of wanted) if (all.has(word)) words.add(word);
}

/** Every session with lines in a segment. */
async function readSegment(segment: Segment, wanted: readonly string[]): Promise<Sessions> {
  const sessions: Sessions = new Map();
  for await (const { text, pod, data } of segment.entries()) {
    if (pod === undefined || data === undefined) continue;
    const entry = jsonValue(parseJson(text)) as unknown as BlockEntry;
    const { block } = readBlock(entry, data);
    const keyOf = (session: string): string => `${entry.source} ${entry.chain} ${session}`;
    const starts = new Map(block.starts.map((start) => [start.session, start]));
    for (const session of block.sessions) {
      const key = keyOf(session);
      if (sessions.has(key)) continue;
      const start = starts.get(session);
      const summary = summaryOf(entry, pod, session, start);
      sessions.set(key, {
        summary,
        begun: start !== undefined,
        end: undefined,
        words: new Set(),
        texts: new JoinedTexts(),
      });
    }
    for (const { session, ...end } of block.ends) {
      const known = sessions.get(keyOf(session));
      if (known !== undefined) known.end ??= end;
    }
    if (wanted.length === 0) continue;
    for (const line of Buffer.from(data).toString('utf8').split('\n')) {
      const read = readSessionLine(line);
      if (read === undefined || !holdsTexts(read)) continue;
      const known = sessions.get(keyOf(read.session));
      if (known !== undefined) addWords(known, known.texts.add(read), wanted);
    }
  }
  for (const known of sessions.values()) addWords(known, known.texts.rest(), wanted);
  return sessions;
}

/** As a store has it: one without its start has the time and the place of the first line that came. */
function summaryOf(
  { source, chain, at: received, first }: BlockEntry,
  { namespace, name: pod }: NonNullable<ArchivedEntry['pod']>,
  session: string,
  start: StartFacts | undefined,
): Omit<SessionSummary, 'end'> {
  const { at, said } = seenTime(start?.at ?? received, received);
  const facts = start ?? { ...startless, session, sequence: first };
  return { ...facts, at, ...(said === null ? {} : { saidAt: said }), source, chain, namespace, pod };
}

const startless = {
  provider: null,
  issuer: null,
  subject: null,
  groups: [],
  peer: '',
  method: '',
  path: '',
  dialect: '',
  operation: '',
  model: null,
} as const;

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

import { parseJson } from '../base/index.ts';
import { readWorkloadId } from '../pki/index.ts';
import { createBlockFacts } from './ingest/block-facts.ts';
import { mostOfText } from './bounds.ts';
import { seenTime } from './store/session-time.ts';
import type { EndFacts, SessionSummary, StartFacts } from './store/index.ts';

/** What the entry of a block says of it. */
export interface IndexedBlock {
  readonly source: string;
  readonly chain: string;
  /** When it came. */
  readonly at: number;
}

/** Compares block by block, in the order of the log. */
export interface IndexCheck {
  /**
   * @param lines Of the block, proven.
   * @param found What the index says of sessions with lines in it.
   * @returns the first difference, in words without content; undefined: none
   */
  difference(block: IndexedBlock, lines: string, found: readonly SessionSummary[]): string | undefined;
}

/** Sessions whose start and end are known while the log is read: some 60 MB. A second start behind so many others differs. */
const mostSeen = 250_000;

/** Numbers of lines that were read and are a session's first start or end, by chain. */
interface Seen {
  start?: number;
  end?: number;
}

/**
 * What a recorder's index says of blocks otherwise than the lines of the blocks. What is searched, shown and proven of a session goes by
 * that index, which is in no tree: who can write the store could hide a session, or a part of it, and leave every line in its place.
 */
export function createIndexCheck(): IndexCheck {
  const seen = new Map<string, Seen>();
  const seenOf = (key: string): Seen => {
    const known = seen.get(key) ?? {};
    seen.set(key, known);
    for (const oldest of seen.keys()) {
      if (seen.size <= mostSeen) break;
      seen.delete(oldest);
    }
    return known;
  };
  return {
    difference(block, lines, found) {
      const sessions = sessionsIn(lines);
      const before = new Map<string, Seen>();
      for (const [session, { start, end }] of sessions) {
        if (start === undefined && end === undefined) continue;
        const known = seenOf(`${block.source} ${block.chain} ${session}`);
        before.set(session, { ...known });
        if (start !== undefined) known.start ??= start.all.sequence;
        if (end !== undefined) known.end ??= end.all.sequence;
      }
      return differenceOf(block, sessions, before, found);
    },
  };
}

/** What lines say of a session, and as much of it as a store keeps. */
interface Said<Facts> {
  readonly all: Facts;
  readonly fitted: Facts;
}
interface SaidOfSession {
  readonly start: Said<StartFacts> | undefined;
  readonly end: Said<EndFacts> | undefined;
}

function sessionsIn(lines: string): ReadonlyMap<string, SaidOfSession> {
  const facts = createBlockFacts();
  const sessions = new Set<string>();
  let bytes = 0;
  for (const line of lines.split('\n')) {
    if (line === '') continue;
    bytes += Buffer.byteLength(line) + 1;
    const root = parseJson(line, { loneSurrogates: true });
    const session = root.get('session')?.string;
    if (session === undefined || !/^[0-9a-f]{32}$/.test(session)) continue;
    sessions.add(session);
    const at = Date.parse(root.get('time')?.string ?? '');
    facts.note(root, { session, sequence: root.get('seq')?.number ?? 0, at });
  }
  const [all, fitted] = [facts.all(), facts.fitted(bytes)];
  const said = <Facts>(one: Facts | undefined, kept: Facts | undefined): Said<Facts> | undefined =>
    one === undefined ? undefined : { all: one, fitted: kept ?? one };
  return new Map(
    Array.from(sessions, (session) => [
      session,
      {
        start: said(all.starts.get(session), fitted.starts.get(session)),
        end: said(all.ends.get(session), fitted.ends.get(session)),
      },
    ]),
  );
}

function differenceOf(
  block: IndexedBlock,
  sessions: ReadonlyMap<string, SaidOfSession>,
  before: ReadonlyMap<string, Seen>,
  found: readonly SessionSummary[],
): string | undefined {
  const rows = new Map<string, SessionSummary>(found.map((row) => [row.session, row]));
  if (rows.size !== found.length) return 'the index has a session with lines in it twice';
  const namespace = readWorkloadId(block.source, undefined)?.namespace;
  const stranger = found.find(({ session }) => !sessions.has(session));
  if (stranger !== undefined) return `the index has lines of session ${stranger.session} in it, which it has not`;
  for (const [session, { start, end }] of sessions) {
    const row = rows.get(session);
    if (row === undefined) return `the index does not know that it has lines of session ${session}`;
    const known = before.get(session) ?? {};
    const other =
      row.source !== block.source || row.chain !== block.chain
        ? 'chain'
        : row.namespace !== namespace
          ? 'namespace'
          : row.searchedTags !== undefined
            ? 'tags, by which it is searched'
            : ((start && startDifference(start, block.at, row, known.start)) ??
              (end && endDifference(end, row, known.end)));
    if (other !== undefined) return `the index says otherwise of session ${session}: its ${other}`;
  }
  return undefined;
}

type Value = string | number | null | readonly string[];

/** The index may have less of a long text or list: earlier versions cut them shorter. */
function same(line: Value, index: Value): boolean {
  if (typeof line === 'string' && typeof index === 'string')
    return line === index || (index.length >= mostOfText && line.startsWith(index));
  if (Array.isArray(line) && Array.isArray(index))
    return index.every((one) => line.includes(one)) && new Set(index).size >= Math.min(64, new Set(line).size);
  return line === index;
}

const startKeys = [
  'provider',
  'issuer',
  'subject',
  'groups',
  'peer',
  'method',
  'path',
  'dialect',
  'operation',
  'model',
] as const;
const endKeys = [
  'outcome',
  'status',
  'code',
  'tags',
  'bytesIn',
  'bytesOut',
  'inputTokens',
  'outputTokens',
  'durationMs',
] as const;

/** @param first Number of its start in an earlier block that was read */
function startDifference(
  { all: start, fitted }: Said<StartFacts>,
  received: number,
  row: SessionSummary,
  first: number | undefined,
): string | undefined {
  // A second start is no more than a line.
  if (first !== undefined) return row.sequence === first ? undefined : 'start';
  if (row.sequence !== start.sequence) return 'start';
  // Between the sidecar's word, which earlier versions took, and what the log's time lets it say: the recorder's clock may have been behind that.
  const seen = seenTime(start.at, received).at;
  if (!(row.at >= Math.min(start.at, seen) && row.at <= Math.max(start.at, seen))) return 'time';
  // Earlier versions kept groups without a name.
  const indexed = { ...row, groups: row.groups.filter((group) => group !== '') };
  // Earlier versions kept all of it.
  return startKeys.find((key) => !same(fitted[key], indexed[key]) && !same(start[key], indexed[key]));
}

function endDifference(
  { all: end, fitted }: Said<EndFacts>,
  { end: row }: SessionSummary,
  first: number | undefined,
): string | undefined {
  if (row === undefined) return 'end';
  if (first !== undefined) return row.sequence === first ? undefined : 'end';
  if (row.sequence !== end.sequence) return 'end';
  const isSame = (said: EndFacts, key: (typeof endKeys)[number]): boolean =>
    same(key === 'durationMs' ? Math.round(said[key]) : said[key], row[key]);
  return endKeys.find((key) => !isSame(fitted, key) && !isSame(end, key));
}

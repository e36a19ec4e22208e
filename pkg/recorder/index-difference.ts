import { parseJson } from '../base/index.ts';
import { factsOf } from './ingest/facts.ts';
import type { LineFacts } from './ingest/facts.ts';
import { mostOfText } from './bounds.ts';
import { seenTime } from './store/session-time.ts';
import type { EndFacts, SessionSummary, StartFacts } from './store/index.ts';

/**
 * What a recorder's index says of a block otherwise than the lines of the block. What is searched, shown and proven of a session goes by
 * that index, which is in no tree: who can write the store could hide a session, or a part of it, and leave every line in its place.
 *
 * @param lines Of the block, proven.
 * @param received When the block came: what its entry says.
 * @param found What the index says of sessions with lines in it.
 * @returns the first difference, in words without content; undefined: none
 */
export function indexDifference(lines: string, received: number, found: readonly SessionSummary[]): string | undefined {
  const sessions = new Map<string, LineFacts>();
  for (const line of lines.split('\n')) {
    if (line === '') continue;
    const root = parseJson(line, { loneSurrogates: true });
    const session = root.get('session')?.string;
    if (session === undefined || !/^[0-9a-f]{32}$/.test(session)) continue;
    const at = Date.parse(root.get('time')?.string ?? '');
    const facts = factsOf(root, { session, sequence: root.get('seq')?.number ?? 0, at });
    // Of each the first counts.
    sessions.set(session, { ...facts, ...sessions.get(session) });
  }
  const rows = new Map<string, SessionSummary>(found.map((row) => [row.session, row]));
  const stranger = found.find(({ session }) => !sessions.has(session));
  if (stranger !== undefined) return `the index has lines of session ${stranger.session} in it, which it has not`;
  for (const [session, { start, end }] of sessions) {
    const row = rows.get(session);
    if (row === undefined) return `the index does not know that it has lines of session ${session}`;
    const other = (start && startDifference(start, received, row)) ?? (end && endDifference(end, row));
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
    return index.every((one) => line.includes(one)) && index.length >= Math.min(64, new Set(line).size);
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

function startDifference(start: StartFacts, received: number, row: SessionSummary): string | undefined {
  // A second start is no more than a line.
  if (row.sequence < start.sequence) return undefined;
  if (row.sequence !== start.sequence) return 'start';
  // Earlier versions took the sidecar's word.
  if (row.at !== start.at && row.at !== seenTime(start.at, received).at) return 'time';
  return startKeys.find((key) => !same(start[key], row[key]));
}

function endDifference(end: EndFacts, { end: row }: SessionSummary): string | undefined {
  if (row === undefined) return 'end';
  if (row.sequence < end.sequence) return undefined;
  if (row.sequence !== end.sequence) return 'end';
  return endKeys.find((key) => !same(key === 'durationMs' ? Math.round(end[key]) : end[key], row[key]));
}

import { parseJson } from '../../base/index.ts';
import type { JsonValue } from '../../base/index.ts';
import { isKubeError } from '../../kube/index.ts';
import type { Answer, AuditClient } from '../audit/client.ts';
import { blocksOfFile } from '../audit/log-pages.ts';
import { refuseEmptyRange, timeOf } from '../audit/time.ts';

/** A session as the record has it. */
export interface SourceSession {
  readonly id: string;
  readonly namespace: string;
  readonly lines: readonly string[];
  /** Its lines were not read: they are more than one answer may have. */
  readonly isTooLong?: true;
}

const terms = ['namespace', 'pod', 'user', 'group', 'issuer', 'model', 'operation', 'outcome', 'code', 'text'] as const;
const pageSize = 50;

/** Reads `since=7d,namespace=ml`. @throws Error in words */
export function questionOf(text: string, now: number): Record<string, JsonValue> {
  const question: Record<string, JsonValue> = {};
  for (const part of text.split(/[,\s]+/).filter((one) => one !== '')) {
    const at = part.indexOf('=');
    const [name, value] = [part.slice(0, at), part.slice(at + 1)];
    if (Object.hasOwn(question, name)) throw new Error(`--against: ${name} is given twice`);
    if (name === 'since' || name === 'until') question[name] = timeOf(value, now);
    else if (terms.some((one) => one === name) && value !== '') question[name] = value;
    else throw new Error(`--against: ${part.slice(0, 40)} is no condition; known: since, until, ${terms.join(', ')}`);
  }
  refuseEmptyRange(question['since'], question['until']);
  return question;
}

const ofProcess = /^\{"v":1,"seq":[0-9]+,"time":"[^"]*","prev":"[0-9a-f]{64}","type":"(?:process|change)",/;
/** What befell a process, or who decided what: found as sessions are, and none. */
const isNone = (lines: readonly string[]): boolean => lines.length > 0 && lines.every((line) => ofProcess.test(line));

/**
 * Sessions with their lines. A page begins with a whole session, however long it is: of one that is more than an answer may have, what is known
 * without its lines, which are null.
 */
async function pageOf(audit: AuditClient, asked: Record<string, JsonValue>): Promise<Answer> {
  try {
    return await audit.post('/v1/sessions', asked);
  } catch (error) {
    if (!isKubeError(error) || error.code !== 'too_large') throw error;
    const page = await audit.post('/v1/search', { ...asked, limit: 1 });
    const found = Array.isArray(page['sessions']) ? page['sessions'] : [];
    return { ...page, sessions: found.map((session) => ({ session, lines: null })) };
  }
}

/**
 * What the recorder finds, newest first.
 *
 * @param onUnsearched Told of blocks of the record that a question by text did not reach.
 * @param onPartly Told of sessions that have more words, groups or other texts than the index takes, and whether there are more of them.
 * @param onSealed Told how many sessions, at least, have sealed texts, of which a question by text knows no word.
 */
export async function* sessionsOfRecorder(
  audit: AuditClient,
  question: Record<string, JsonValue>,
  onUnsearched: (blocks: number) => void,
  onPartly: (sessions: readonly string[], more: boolean) => void,
  onSealed: (sessions: number) => void,
): AsyncGenerator<SourceSession> {
  let cursor: JsonValue = null;
  do {
    const asked: Record<string, JsonValue> = { ...question, limit: pageSize };
    if (cursor !== null) asked['cursor'] = cursor;
    const page = await pageOf(audit, asked);
    const unsearched = page['unsearched'];
    if (typeof unsearched === 'number' && unsearched > 0) onUnsearched(unsearched);
    const partly = Array.isArray(page['partly']) ? page['partly'] : [];
    const partlyMore = page['partlyMore'] === true;
    if (partly.length > 0 || partlyMore) onPartly(partly.map(String), partlyMore);
    const { sessions: sealed } = (page['sealed'] ?? {}) as { readonly sessions?: JsonValue };
    if (typeof sealed === 'number' && sealed > 0) onSealed(sealed);
    for (const one of Array.isArray(page['sessions']) ? page['sessions'] : []) {
      const { session, lines } = one as unknown as {
        readonly session: { readonly session: string; readonly namespace: string };
        readonly lines: readonly string[] | null;
      };
      const { session: id, namespace } = session;
      if (lines === null) yield { id, namespace, lines: [], isTooLong: true };
      else if (!isNone(lines)) yield { id, namespace, lines };
    }
    cursor = page['cursor'] ?? null;
  } while (cursor !== null);
}

/**
 * What `audit export` wrote, each session when its end stands there; those without an end come last.
 *
 * @param lines Of the file, from its first one at each call.
 * @throws JsonError
 */
export async function* sessionsOfFile(
  lines: () => AsyncIterable<string> | Iterable<string>,
): AsyncGenerator<SourceSession> {
  const open = new Map<string, { id: string; namespace: string; lines: string[] }>();
  for await (const { entry, block } of blocksOfFile(lines)) {
    const source = parseJson(entry).get('source')?.string ?? '';
    const namespace = /\/ns\/([^/]+)\//.exec(source)?.[1] ?? '';
    for (const line of block.split('\n')) {
      const id = /,"session":"([0-9a-f]{32})"/.exec(line)?.[1];
      if (id === undefined) continue;
      const key = `${source} ${id}`;
      const session = open.get(key) ?? { id, namespace, lines: [] };
      session.lines.push(line);
      if (line.includes('"type":"end","session":"')) {
        open.delete(key);
        yield session;
      } else open.set(key, session);
    }
  }
  for (const session of open.values()) if (!isNone(session.lines)) yield session;
}

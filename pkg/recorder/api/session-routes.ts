import type { JsonValue } from '../../base/index.ts';
import { inclusionProof } from '../../record/index.ts';
import type { SessionProof } from '../../record/index.ts';
import type { RecordStore, SessionPage, SessionQuery, SessionSummary } from '../store/index.ts';
import { readQuery } from './query.ts';
import { Refusal, badQuestion } from './question.ts';
import type { Question, Route } from './question.ts';

/** Blocks of one session that a proof holds: its lines may be spread over many. */
const mostBlocks = 64;
/** Of one page that has the lines of its sessions: sessions, and characters of lines. A session that has more stands alone, whole. */
const mostWithLines = 50;
const mostCharacters = 4 * 1024 * 1024;
/** Chains that are asked for one id, at once and in all, and of those that one may read how many are answered. */
const chainsAtOnce = 100;
const mostChains = 10_000;
const mostAnswered = 10;
/** Sessions that an export finds at once. */
const exportPage = 200;

/** A session as it is answered with its lines. */
type Found = { readonly session: JsonValue; readonly lines: string[] };

function refusedRead(error: unknown): false {
  if (error instanceof Refusal && error.status === 403) return false;
  throw error;
}

/** Sessions: a namespace's auditor may search that namespace and read what is in it. */
export function sessionRoutes(
  store: Pick<
    RecordStore,
    'search' | 'sessionLines' | 'sessionBlocks' | 'entries' | 'blockLines' | 'node' | 'lastHead'
  >,
): readonly Route[] {
  const read = (level: number, index: number): Promise<Uint8Array> => store.node(level, index);

  /** The session, as far as they may read it: one for each chain that has the id, since a sidecar that lies may record under any. */
  const find = async ({ part, allow }: Question): Promise<readonly SessionSummary[]> => {
    if (!/^[0-9a-f]{32}$/.test(part)) throw badQuestion('a session is named by 32 hex digits');
    const allowed = new Map<string, boolean>();
    const mayRead = async (namespace: string): Promise<boolean> => {
      const known = allowed.get(namespace) ?? (await allow(namespace).then(() => true, refusedRead));
      allowed.set(namespace, known);
      return known;
    };
    const found: SessionSummary[] = [];
    let cursor: string | undefined;
    let seen = 0;
    do {
      const page = await store.search({ session: part, limit: chainsAtOnce, ...(cursor !== undefined && { cursor }) });
      for (const session of page.sessions) if (await mayRead(session.namespace)) found.push(session);
      ({ cursor } = page);
      seen += page.sessions.length;
    } while (cursor !== undefined && found.length < mostAnswered && seen < mostChains);
    if (found.length > 0) return found.slice(0, mostAnswered);
    // Who may read nothing of it does not learn whether there is one.
    await allow(undefined);
    throw new Refusal(404, 'not_found', 'there is no such session');
  };

  /** @returns undefined: its lines are longer together than `atMost` */
  const linesWithin = async (session: SessionSummary, atMost: number): Promise<string[] | undefined> => {
    const lines: string[] = [];
    let length = 0;
    for await (const line of store.sessionLines(session.session, session)) {
      length += line.length;
      if (length > atMost) return undefined;
      lines.push(line);
    }
    return lines;
  };
  const linesOf = async (session: SessionSummary): Promise<string[]> =>
    (await linesWithin(session, Number.POSITIVE_INFINITY)) ?? [];

  /** What of a page fits into one answer: at least its first session. */
  const withLines = async ({
    sessions,
    cursors,
    cursor,
  }: SessionPage): Promise<{ found: Found[]; cursor: JsonValue }> => {
    const found: Found[] = [];
    let room = mostCharacters;
    for (const [at, session] of sessions.entries()) {
      const lines = await linesWithin(session, at === 0 ? Number.POSITIVE_INFINITY : room);
      if (lines === undefined) return { found, cursor: cursors[at - 1] ?? null };
      found.push({ session: session as unknown as JsonValue, lines });
      room -= lines.reduce((sum, line) => sum + line.length, 0);
    }
    return { found, cursor: cursor ?? null };
  };

  const blocksOf = async (sessions: readonly SessionSummary[]): Promise<readonly number[]> => {
    const lists = await Promise.all(sessions.map((one) => store.sessionBlocks(one.session, one, mostBlocks)));
    const all = lists.flat().toSorted((one, other) => one - other);
    return all.slice(0, mostBlocks);
  };

  /** Every session that is found, with its lines, page by page. */
  const exported = async function* (query: SessionQuery): AsyncIterable<JsonValue> {
    let { cursor } = query;
    do {
      const page = await store.search({ ...query, limit: exportPage, ...(cursor === undefined ? {} : { cursor }) });
      for (const session of page.sessions) {
        yield { session: session as unknown as JsonValue, lines: await linesOf(session) };
      }
      ({ cursor } = page);
    } while (cursor !== undefined);
  };

  return [
    {
      method: 'POST',
      path: '/v1/search',
      async answer({ body, allow, note }) {
        const query = readQuery(body);
        await allow(query.namespace);
        await note('search', JSON.stringify(body));
        const { sessions, cursor, unsearched = 0 } = await store.search(query);
        return { sessions: sessions as unknown as JsonValue, cursor: cursor ?? null, unsearched };
      },
    },
    {
      method: 'POST',
      path: '/v1/sessions',
      async answer({ body, allow, note }) {
        const query = readQuery(body);
        await allow(query.namespace);
        await note('sessions', JSON.stringify(body));
        const page = await store.search({ ...query, limit: Math.min(query.limit, mostWithLines) });
        const { found, cursor } = await withLines(page);
        return { sessions: found, cursor, unsearched: page.unsearched ?? 0 };
      },
    },
    {
      method: 'POST',
      path: '/v1/export',
      async answer({ body, allow, note }) {
        const query = readQuery(body);
        await allow(query.namespace);
        await note('export', JSON.stringify(body));
        return exported(query);
      },
    },
    {
      method: 'GET',
      path: '/v1/sessions/{session}',
      async answer(question) {
        const sessions = await find(question);
        await question.note('session', question.part);
        const lines = await Promise.all(sessions.map(linesOf));
        return { sessions: sessions as unknown as JsonValue, lines: lines.flat() };
      },
    },
    {
      method: 'GET',
      path: '/v1/sessions/{session}/proof',
      async answer(question) {
        const sessions = await find(question);
        await question.note('proof', question.part);
        const head = await store.lastHead();
        if (head === undefined) throw new Refusal(404, 'not_signed', 'the log has no signed head yet');
        const indices = await blocksOf(sessions);
        const blocks = await Promise.all(
          indices
            .filter((index) => index < head.size)
            .map(async (index) => {
              const [entry] = await store.entries(index, 1);
              const lines = await store.blockLines(index);
              const path = await inclusionProof(index, head.size, read);
              return {
                index,
                entry: entry?.text ?? '',
                lines: Buffer.from(lines ?? []).toString(),
                path: path.map((one) => Buffer.from(one).toString('hex')),
              };
            }),
        );
        const proof: SessionProof = { head: head.text, blocks, unsigned: indices.length - blocks.length };
        return proof as unknown as JsonValue;
      },
    },
  ];
}

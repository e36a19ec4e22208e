import type { JsonValue } from '../../base/index.ts';
import { inclusionProof } from '../../record/index.ts';
import type { SessionProof } from '../../record/index.ts';
import type { RecordStore, SessionQuery, SessionSummary } from '../store/index.ts';
import { readQuery } from './query.ts';
import { Refusal, badQuestion } from './question.ts';
import type { Question, Route } from './question.ts';

/** Blocks of one session that a proof holds: its lines may be spread over many. */
const mostBlocks = 64;
/** Sessions of one page that has their lines. */
const mostWithLines = 50;
/** Sessions that an export finds at once. */
const exportPage = 200;

/** Sessions: a namespace's auditor may search that namespace and read what is in it. */
export function sessionRoutes(
  store: Pick<
    RecordStore,
    'search' | 'sessionLines' | 'sessionBlocks' | 'entries' | 'blockLines' | 'node' | 'lastHead'
  >,
): readonly Route[] {
  const read = (level: number, index: number): Promise<Uint8Array> => store.node(level, index);

  /** The session, which they may read: one for each chain that has the id, and of those that are not returned nothing is answered. */
  const find = async ({ part, allow }: Question): Promise<readonly SessionSummary[]> => {
    if (!/^[0-9a-f]{32}$/.test(part)) throw badQuestion('a session is named by 32 hex digits');
    const { sessions } = await store.search({ session: part, limit: 10 });
    // Who may read nothing does not learn whether there is one.
    for (const namespace of new Set(sessions.map((one) => one.namespace))) await allow(namespace);
    if (sessions.length > 0) return sessions;
    await allow(undefined);
    throw new Refusal(404, 'not_found', 'there is no such session');
  };

  const linesOf = async (session: SessionSummary): Promise<string[]> => {
    const lines: string[] = [];
    for await (const line of store.sessionLines(session.session, session)) lines.push(line);
    return lines;
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
        const {
          sessions,
          cursor,
          unsearched = 0,
        } = await store.search({
          ...query,
          limit: Math.min(query.limit, mostWithLines),
        });
        const withLines = await Promise.all(
          sessions.map(async (session) => ({
            session: session as unknown as JsonValue,
            lines: await linesOf(session),
          })),
        );
        return { sessions: withLines, cursor: cursor ?? null, unsearched };
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

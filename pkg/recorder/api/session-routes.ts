import type { JsonValue } from '../../base/index.ts';
import type { RecordStore, SessionSummary } from '../store/index.ts';
import { findSessions, sessionParameters } from './find-sessions.ts';
import { readQuery } from './query.ts';
import { Refusal, Streamed } from './question.ts';
import type { Question, Route } from './question.ts';
import { exported, linesPage, noneSealed, proofParts, sessionsPage } from './session-answers.ts';

/** Blocks with lines of the sessions that are proven together: a stream has some in each second. More than a proof holds. */
const mostBlocks = 100_000;
/** Sessions of one page that has their lines. */
const mostWithLines = 50;

/** Sessions: a namespace's auditor may search that namespace and read what is in it. */
export function sessionRoutes(
  store: Pick<
    RecordStore,
    'search' | 'sessionLines' | 'sessionBlocks' | 'entries' | 'blockLines' | 'node' | 'lastHead'
  >,
): readonly Route[] {
  const blocksOf = async (sessions: readonly SessionSummary[]): Promise<readonly number[]> => {
    const lists = await Promise.all(sessions.map((one) => store.sessionBlocks(one.session, one, mostBlocks)));
    const all = lists.flat().toSorted((one, other) => one - other);
    return all.slice(0, mostBlocks);
  };
  const inTurn = ({ turn }: Question): typeof store => ({
    ...store,
    search: (query) => turn(() => store.search(query)),
  });
  const asked = ({ part, search }: Question): string => (search.size === 0 ? part : `${part}?${search.toString()}`);

  return [
    {
      method: 'POST',
      path: '/v1/search',
      async answer(question) {
        const { body, allow, note } = question;
        const query = readQuery(body);
        await allow(query.namespace);
        await note('search', JSON.stringify(body));
        const {
          sessions,
          cursor,
          unsearched = 0,
          partly = [],
          partlyMore = false,
          sealed = noneSealed,
        } = await inTurn(question).search(query);
        return {
          sessions: sessions as unknown as JsonValue,
          cursor: cursor ?? null,
          unsearched,
          partly: [...partly],
          partlyMore,
          sealed: { ...sealed },
        };
      },
    },
    {
      method: 'POST',
      path: '/v1/sessions',
      async answer(question) {
        const { body, allow, note } = question;
        const query = readQuery(body);
        await allow(query.namespace);
        await note('sessions', JSON.stringify(body));
        const page = await inTurn(question).search({ ...query, limit: Math.min(query.limit, mostWithLines) });
        return new Streamed('application/json', sessionsPage(store, page));
      },
    },
    {
      method: 'POST',
      path: '/v1/export',
      async answer(question) {
        const { body, allow, note } = question;
        const query = readQuery(body);
        await allow(query.namespace);
        await note('export', JSON.stringify(body));
        return new Streamed('application/jsonl', exported(inTurn(question), query));
      },
    },
    {
      method: 'GET',
      path: '/v1/sessions/{session}',
      parameters: sessionParameters.page,
      async answer(question) {
        const found = await findSessions(inTurn(question), question);
        await question.note('session', asked(question));
        return new Streamed('application/json', linesPage(store, found));
      },
    },
    {
      method: 'GET',
      path: '/v1/sessions/{session}/proof',
      // No page: it would be a proof without the others.
      parameters: sessionParameters.proof,
      async answer(question) {
        const { sessions, others } = await findSessions(inTurn(question), question);
        await question.note('proof', asked(question));
        if (others !== undefined)
          throw new Refusal(
            409,
            'many_chains',
            'more sidecars have recorded under this id than one proof holds: name one by its chain, source, namespace or pod',
          );
        const head = await store.lastHead();
        if (head === undefined) throw new Refusal(404, 'not_signed', 'the log has no signed head yet');
        return new Streamed('application/json', proofParts(store, head, question.part, await blocksOf(sessions)));
      },
    },
  ];
}

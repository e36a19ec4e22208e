import { cursorBefore } from '../store/index.ts';
import type { RecordStore, SessionSummary } from '../store/index.ts';
import { readQuery } from './query.ts';
import { Refusal, badQuestion } from './question.ts';
import type { Question } from './question.ts';

/** Chains that are asked for one id, at once and in all, and of those that one may read how many are answered. */
const chainsAtOnce = 100;
const mostChains = 10_000;
const mostAnswered = 10;

/** Parameters of a question of one session: by these its chain is named; `from` is the `next` of the page before. */
const chainNames = ['namespace', 'pod', 'source', 'chain'] as const;
export const sessionParameters = { page: [...chainNames, 'from'], proof: chainNames } as const;

/** Where a page of a session begins: behind a line of the first chain that is found with this cursor. */
interface Place {
  readonly after: number;
  readonly cursor?: string;
}

/** What was recorded under an id, as far as who asks may read it. */
export interface FoundSessions {
  /** Newest first, one for each chain. */
  readonly sessions: readonly SessionSummary[];
  /** Line of the first of them behind which to begin. */
  readonly after: number;
  /** Where a page begins that goes on behind a line of one of them. */
  placeIn(at: number, after: number): string;
  /** Where a page begins that has the chains after these; undefined: there are none. */
  readonly others: string | undefined;
}

const placeOf = ({ after, cursor = '' }: Place): string => `${after}.${cursor}`;
function readPlace(text: string): Place {
  const [, after, cursor] = /^([0-9]{1,15})\.(.{1,40})$/.exec(text) ?? [];
  if (after === undefined || cursor === undefined) throw badQuestion('from is the next of a page before');
  return { after: Number(after), cursor };
}

/**
 * The sessions with an id: one for each chain that has it, since a sidecar that lies may record under any. The question may name the chain.
 *
 * @throws Refusal, StoreError query
 */
export async function findSessions(store: Pick<RecordStore, 'search'>, question: Question): Promise<FoundSessions> {
  const { part, search, allow } = question;
  if (!/^[0-9a-f]{32}$/.test(part)) throw badQuestion('a session is named by 32 hex digits');
  const { from, ...named } = Object.fromEntries(search);
  const query = readQuery({ ...named, session: part, limit: chainsAtOnce });
  const place = from === undefined ? { after: 0 } : readPlace(from);
  const allowed = new Map<string, boolean>();
  const mayRead = async (namespace: string): Promise<boolean> => {
    const before = allowed.get(namespace) ?? (await allow(namespace).then(() => true, refusedRead));
    allowed.set(namespace, before);
    return before;
  };

  const found: { readonly session: SessionSummary; readonly cursor: string }[] = [];
  let others: string | undefined;
  let { cursor }: Place = place;
  for (let seen = 0; others === undefined;) {
    const page = await store.search({ ...query, ...(cursor === undefined ? {} : { cursor }) });
    for (const [at, session] of page.sessions.entries()) {
      if (!(await mayRead(session.namespace))) continue;
      if (found.length === mostAnswered) {
        others = found.at(-1)?.cursor;
        break;
      }
      found.push({ session, cursor: page.cursors[at] ?? '' });
    }
    ({ cursor } = page);
    if (cursor === undefined) break;
    seen += page.sessions.length;
    // What else there is may be nothing that they may read.
    if (seen >= mostChains) others ??= cursor;
  }
  if (found.length === 0) {
    // Who may read nothing of it does not learn whether there is one.
    await allow(undefined);
    throw new Refusal(404, 'not_found', 'there is no such session');
  }
  return {
    sessions: found.map(({ session }) => session),
    after: place.after,
    placeIn: (at, after) => placeOf({ after, cursor: cursorBefore(found[at]?.cursor ?? '') }),
    others: others === undefined ? undefined : placeOf({ after: 0, cursor: others }),
  };
}

function refusedRead(error: unknown): false {
  if (error instanceof Refusal && error.status === 403) return false;
  throw error;
}

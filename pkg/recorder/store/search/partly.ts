import { cutText } from '../../bounds.ts';
import type { SessionPage, SessionQuery, SessionSummary } from '../port.ts';
import { cutTag } from '../retention-rules.ts';
import { matches } from './matches.ts';
import { mostNamed, notAllWords } from './not-all-words.ts';
import { sealedWords } from './sealed-words.ts';

/** Of the first page of a search: what may be among what it asks for, and was not found. */
export type Partly = Pick<SessionPage, 'partly' | 'partlyMore'>;

/** Conditions on one thing of which a session may have more, or another, than a store keeps. */
interface Cut {
  /** Of a question: these conditions of it; undefined: it has none. */
  asked(query: SessionQuery): Partial<SessionQuery> | undefined;
  /** By this sessions are found of which something was left out. */
  readonly marked: Partial<SessionQuery>;
}

const textual = ['model', 'issuer', 'outcome', 'code', 'group'] as const;

const cuts: readonly Cut[] = [
  {
    asked: ({ tags = [], label }) =>
      tags.length === 0 && label === undefined ? undefined : { tags, ...(label !== undefined && { label }) },
    marked: { tags: [cutTag] },
  },
  ...textual.map((key): Cut => ({
    asked: ({ [key]: text }) => (text === undefined ? undefined : { [key]: text }),
    marked: { [key]: cutText },
  })),
];

const meets = (conditions: Partial<SessionQuery>, session: SessionSummary): boolean =>
  matches({ ...conditions, limit: 1 }, session);

/**
 * Whether a session that meets all conditions on what is never cut may meet the others as well, and what is kept of it does not tell: it meets each
 * of them, or what that one is about was cut, and does not meet all.
 */
export function mayMeet(query: SessionQuery, session: SessionSummary): boolean {
  let isMet = true;
  for (const { asked, marked } of cuts) {
    const conditions = asked(query);
    if (conditions === undefined || meets(conditions, session)) continue;
    if (!meets(marked, session)) return false;
    isMet = false;
  }
  return !isMet;
}

/** A question without its conditions on what may be cut. */
export function uncutOf(query: SessionQuery): SessionQuery {
  const rest: Record<string, unknown> = { ...query };
  for (const key of [...textual, 'tags', 'label']) delete rest[key];
  return rest as unknown as SessionQuery;
}

/** Sessions of which something was cut that are looked at, and for how long: a sidecar that lies can have any number of them. */
const mostLooked = 1_000;
const lookMs = 500;

/**
 * Looks for sessions that a question may be about and does not find, since they have more words, rules, groups or other texts than the store keeps.
 * Yields questions, and is to be given their answers.
 */
export function* lookForPartly(query: SessionQuery): Generator<SessionQuery, Partly, SessionPage> {
  if (query.cursor !== undefined || query.block !== undefined) return {};
  const found = new Map<string, number>();
  let isMore = false;
  const add = ({ session, at }: SessionSummary): void => {
    found.set(session, Math.max(at, found.get(session) ?? 0));
  };
  if (query.text !== undefined) {
    const page = yield { ...query, text: notAllWords, limit: mostNamed };
    page.sessions.forEach(add);
    isMore ||= page.cursor !== undefined;
  }
  const until = performance.now() + lookMs;
  let looked = 0;
  // Those whose words are not all known either are among them.
  const texts = query.text === undefined ? [undefined] : [query.text, notAllWords, sealedWords];
  for (const { asked, marked } of cuts) {
    if (asked(query) === undefined) continue;
    for (const text of texts) {
      let cursor: string | undefined;
      do {
        if (looked >= mostLooked || performance.now() >= until) {
          isMore = true;
          break;
        }
        const page: SessionPage = yield {
          ...uncutOf(query),
          ...marked,
          ...(text !== undefined && { text }),
          ...(cursor !== undefined && { cursor }),
          limit: mostNamed,
        };
        page.sessions.filter((session) => mayMeet(query, session)).forEach(add);
        looked += page.sessions.length;
        ({ cursor } = page);
      } while (cursor !== undefined);
    }
  }
  const newest = [...found].toSorted(([, one], [, other]) => other - one).map(([session]) => session);
  return {
    ...(newest.length > 0 && { partly: newest.slice(0, mostNamed) }),
    ...((isMore || newest.length > mostNamed) && { partlyMore: true as const }),
  };
}

import type { IncomingMessage, ServerResponse } from 'node:http';
import { createBucket, createKeyedBuckets, describeError, jsonValue, parseJson } from '../../base/index.ts';
import type { Clock, JsonValue, Logger } from '../../base/index.ts';
import { auditForHeader } from '../../contract/index.ts';
import type { Committer } from '../ingest/committer.ts';
import { StoreError } from '../store/index.ts';
import type { RecordStore } from '../store/index.ts';
import type { AuditAuthorizer, Auditor } from './authorize.ts';
import { withoutForeignChanges } from './foreign-changes.ts';
import { holdRoutes } from './hold-routes.ts';
import { logRoutes } from './log-routes.ts';
import { noted } from './noted.ts';
import { Refusal, Streamed, badQuestion, matchRoute, refuseOthers } from './question.ts';
import type { Route } from './question.ts';
import { createRefusedQuestions } from './refused-questions.ts';
import { refusedText } from './refused-text.ts';
import { respond, respondStreamed, respondWhole } from './respond.ts';
import { sessionRoutes } from './session-routes.ts';
import { shipRoutes } from './ship-routes.ts';
import type { Shipping } from './ship-routes.ts';
import { createTurns } from './turns.ts';
import { wholeBody } from './whole-body.ts';

export interface AnswersOptions {
  readonly store: RecordStore;
  readonly committer: Committer;
  readonly authorizer: Pick<AuditAuthorizer, 'mayRead' | 'mayChange'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onAnswered?: ((status: number) => void) | undefined;
  /** Whether a source is a controller, which alone says who decided what. */
  readonly isController: (source: string) => boolean;
  /** Receivers of the log; default: none. */
  readonly shipping?: Shipping | undefined;
}

const noReceivers: Shipping = { receivers: [], again: () => Promise.reject(new Error('no receiver')) };

/** What the API answers, whichever way a question comes. */
export interface Answers {
  /** `GET /v1/log` and so on. */
  readonly routes: readonly string[];
  /**
   * Resolves when the answer was taken, or nobody takes it.
   *
   * @param auditor Who asks.
   * @throws Refusal, StoreError, RangeError
   */
  answer(
    request: IncomingMessage,
    response: ServerResponse,
    url: URL,
    auditor: Auditor,
    asked?: AskedBy,
  ): Promise<void>;
  /** Puts on record that nobody whom it knows asked this, and what it was refused by, where {@link Answers.answer} has not. */
  refuseStranger(request: IncomingMessage, url: URL, error: unknown): void;
  /** Puts the rest of what was refused on record. */
  close(): void;
  /** Does what answers a request; of what it throws, the answer says what who asked may know. */
  guarded(response: ServerResponse, act: () => Promise<void>): Promise<void>;
}

export interface AskedBy {
  /** Puts what is asked on record by `write`, or knows that it is there already; default: by `write`. */
  readonly put?: (what: string, question: string, write: () => Promise<void>) => Promise<void>;
  /** Who asks as they are by now, for an answer that takes long; default: as at first. @throws where they are nobody any more */
  readonly again?: () => Promise<Auditor>;
}

const maxBody = 64 * 1024;
const questionLimits = { maxDepth: 4, maxNodes: 200 };
/** Questions at work at once: each may read many blocks. */
const mostAtOnce = 16;
/** Of one account. */
const mostOfOne = 8;
/** Places that only an account takes which has none. */
const keptPlaces = 4;
/**
 * Entries of one account's questions, which the log keeps for ever: so many a second after so many at once, each of so many characters. A page of blocks
 * is one, so that who proves the whole log is not held up by it.
 */
const ownEntries = { perSecond: 5, burst: 300, characters: 256 } as const;
/**
 * Of all accounts together, and what each may have of more where the others take all of it: so many a second after so many at once; of such
 * shares together as many as of the rest.
 */
const allEntries = { perSecond: 20, burst: 3_000 } as const;
const shareEntries = { perSecond: 0.2, burst: 20 } as const;
/** Seconds in which there is room for the longest question again. */
const againAfter = 2;
/** Where too much is at work at once. */
const busyAfter = 1;
/** And of a share for one question. */
const sharedAfter = 5;
/** How long a right to read counts while an answer is sent. */
const rightMs = 30_000;

export function createAnswers(options: AnswersOptions): Answers {
  const { committer, authorizer, clock, logger, onAnswered, shipping = noReceivers } = options;
  const store = withoutForeignChanges(options.store, options.isController);
  const routes: readonly Route[] = [
    ...sessionRoutes(store),
    ...logRoutes(store),
    ...holdRoutes(store, clock),
    ...shipRoutes(store, clock, shipping),
  ];

  const refusalOf = (error: unknown): Refusal => {
    const known = knownRefusal(error);
    if (known !== undefined) return known;
    logger.error('a question could not be answered', { error: describeError(error) });
    return new Refusal(503, 'unavailable', 'this cannot be answered now');
  };
  const refused = createRefusedQuestions(clock, (who, question) => {
    committer
      .add({ entry: { type: 'read', at: clock.now(), who, what: 'refused', question: noted(question) } })
      .catch((error: unknown) =>
        logger.error('a question that was refused is not on record', { error: describeError(error) }),
      );
  });
  const seen = new WeakSet<object>();
  /** @param body As it was read. */
  const refuse = (
    { who, proven }: { readonly who: string; readonly proven: boolean },
    { method = '' }: IncomingMessage,
    url: URL,
    error: unknown,
    body?: JsonValue,
  ): void => {
    const why = knownRefusal(error);
    // What could not be answered is nobody's fault who asks.
    if (why === undefined || why.status >= 500 || seen.has(error as object)) return;
    seen.add(error as object);
    const text = `${refusedText(method, url, proven)}${body === undefined ? '' : ` ${JSON.stringify(body)}`}`;
    refused.note(who, proven, text, why);
  };
  const mayRead = async (auditor: Auditor, namespace: string | undefined): Promise<void> => {
    if (await authorizer.mayRead(auditor, namespace)) return;
    // Who may read everything may read this.
    if (namespace !== undefined && (await authorizer.mayRead(auditor, undefined))) return;
    throw notAllowed(auditor, 'read these records', 'get');
  };
  const entries = createKeyedBuckets(clock, ownEntries.perSecond, ownEntries.burst);
  const ofAll = createBucket(clock, allEntries.perSecond, allEntries.burst);
  const shares = createKeyedBuckets(clock, shareEntries.perSecond, shareEntries.burst);
  const ofShares = createBucket(clock, allEntries.perSecond, allEntries.burst);
  const takeShare = (username: string): boolean => {
    if (!shares.take(username)) return false;
    if (ofShares.take()) return true;
    shares.give(username);
    return false;
  };
  /** Refuses who has put too much on record, and where all have. */
  const takeEntry = ({ username }: Auditor, question: string): void => {
    for (let left = Math.max(1, question.length); left > 0; left -= ownEntries.characters) {
      if (!entries.take(username))
        throw new Refusal(429, 'too_many', 'too many questions of this account: each is kept on record', againAfter);
      if (ofAll.take() || takeShare(username)) continue;
      entries.give(username);
      throw new Refusal(429, 'too_many', 'too many questions of all accounts: each is kept on record', sharedAfter);
    }
  };
  const turns = createTurns();
  let working = 0;
  const ofEach = new Map<string, number>();
  /** A place to be at work, for an account. @returns what gives it back @throws Refusal `busy` */
  const takePlace = (username: string): (() => void) => {
    const own = ofEach.get(username) ?? 0;
    if (working >= mostAtOnce - (own > 0 ? keptPlaces : 0))
      throw new Refusal(503, 'busy', 'too many questions at once: ask again', busyAfter);
    if (own >= mostOfOne)
      throw new Refusal(503, 'busy', 'too many questions of this account at once: ask again', busyAfter);
    working++;
    ofEach.set(username, own + 1);
    return () => {
      working--;
      const left = (ofEach.get(username) ?? 1) - 1;
      if (left === 0) ofEach.delete(username);
      else ofEach.set(username, left);
    };
  };
  const reply = async (
    request: IncomingMessage,
    response: ServerResponse,
    url: URL,
    auditor: Auditor,
    asked: AskedBy & { readonly question: { body?: JsonValue }; readonly place: () => void },
  ): Promise<void> => {
    const { put = (_what, _question, write) => write(), again = () => Promise.resolve(auditor) } = asked;
    const { question, place } = asked;
    const route = routes.find((one) => one.method === request.method && matchRoute(one, url.pathname) !== undefined);
    if (route === undefined) throw new Refusal(404, 'not_found', 'there is no such page');
    refuseOthers(route, url.searchParams);
    if (request.method === 'POST') question.body = await readQuestion(request, response, clock);
    const says = request.headers[auditForHeader];
    const claim = typeof says === 'string' && /^[\x21-\x7e]{1,200}$/.test(says) ? ` (says: ${says})` : '';
    const who = `${auditor.username}${claim}`;
    const granted = new Set<string | undefined>();
    const found = await route.answer({
      who,
      search: url.searchParams,
      part: matchRoute(route, url.pathname) ?? '',
      body: question.body,
      async allow(namespace) {
        await mayRead(auditor, namespace);
        place();
        granted.add(namespace);
      },
      async allowChanges(what) {
        if (!(await authorizer.mayChange(auditor))) throw notAllowed(auditor, what, 'update');
        place();
        takeEntry(auditor, '');
      },
      turn: (search) => turns.take(auditor.username, search),
      note: (what, spelled) => {
        const text = noted(spelled);
        return put(what, text, async () => {
          takeEntry(auditor, text);
          await committer.add({ entry: { type: 'read', at: clock.now(), who, what, question: text } });
        });
      },
    });
    if (!(found instanceof Streamed)) return respondWhole(response, found, clock);
    // Without chunks nobody can tell lines that were broken off from all of them: a proxy would make one of the other.
    if (found.type === 'application/jsonl' && request.httpVersion === '1.0')
      throw new Refusal(505, 'http_version', 'this answer is sent in chunks: ask for it by HTTP/1.1');
    let until = clock.monotonic() + rightMs;
    const check = async (): Promise<void> => {
      if (clock.monotonic() < until) return;
      try {
        const now = await again();
        for (const namespace of granted) await mayRead(now, namespace);
      } catch (error) {
        logger.warn('an answer was broken off: who asked may not read it any more', {
          who,
          error: describeError(error),
        });
        throw error;
      }
      until = clock.monotonic() + rightMs;
    };
    return respondStreamed(response, found, { clock, check });
  };
  return {
    routes: routes.map(({ method, path }) => `${method} ${path}`),
    async answer(request, response, url, auditor, asked = {}) {
      const question: { body?: JsonValue } = {};
      let leave: (() => void) | undefined;
      // Not before a right was found: who may read nothing takes nobody's place.
      const place = (): void => {
        leave ??= takePlace(auditor.username);
      };
      try {
        await reply(request, response, url, auditor, { ...asked, question, place });
      } catch (error) {
        refuse({ who: auditor.username, proven: true }, request, url, error, question.body);
        throw error;
      } finally {
        leave?.();
      }
    },
    refuseStranger: (request, url, error) =>
      refuse({ who: request.socket.remoteAddress ?? 'no address', proven: false }, request, url, error),
    close: () => refused.flush(),
    async guarded(response, act) {
      try {
        await act();
        onAnswered?.(response.statusCode);
      } catch (error) {
        const { status, code, message, retryAfter } = refusalOf(error);
        onAnswered?.(status);
        respond(response, status, { code, message }, retryAfter);
      }
    },
  };
}

/** What is told to who asked; undefined: it is not of the question. */
function knownRefusal(error: unknown): Refusal | undefined {
  if (error instanceof Refusal) return error;
  if (error instanceof StoreError && error.code === 'query') return badQuestion(error.message);
  if (error instanceof StoreError && error.code === 'not_found') return new Refusal(404, 'not_found', error.message);
  return error instanceof RangeError ? badQuestion(error.message) : undefined;
}

/** @param verb What RBAC would have to give them. */
function notAllowed({ person }: Auditor, what: string, verb: string): Refusal {
  const lacks =
    person === undefined ? `${verb} records.sidegate.dev` : 'no role of the recorder’s settings gives it to you';
  return new Refusal(403, 'not_allowed', `you may not ${what}: ${lacks}`);
}

async function readQuestion(request: IncomingMessage, response: ServerResponse, clock: Clock): Promise<JsonValue> {
  const text = await wholeBody(request, response, { most: maxBody, clock });
  try {
    return jsonValue(parseJson(text, questionLimits));
  } catch {
    throw badQuestion('the question is not JSON');
  }
}

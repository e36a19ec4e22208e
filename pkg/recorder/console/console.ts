import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createKeyedBuckets, describeError } from '../../base/index.ts';
import type { Clock, JsonValue, Logger } from '../../base/index.ts';
import { clientAddress, noProxies, trustedProxies } from '../../http/index.ts';
import type { Answers } from '../api/answers.ts';
import { auditorOf } from '../api/authorize.ts';
import type { Auditor } from '../api/authorize.ts';
import type { People } from '../api/people.ts';
import { Refusal } from '../api/question.ts';
import { wholeBody } from '../api/whole-body.ts';
import { respond, respondWhole } from '../api/respond.ts';
import type { RecordStore } from '../store/index.ts';
import { createAccounts } from './accounts.ts';
import type { Account } from './accounts.ts';
import { createBegunLogins } from './begun-logins.ts';
import { cookieLine, cookieOf } from './cookies.ts';
import { createDecisions, readReason } from './decisions.ts';
import type { Decider, Decisions } from './decisions.ts';
import { createExchange } from './fetch.ts';
import { guardAnswer, isForeign, refuseForeign } from './headers.ts';
import { createLoginClient } from './login-client.ts';
import { createLogins } from './logins.ts';
import type { LoginResult } from './logins.ts';
import { encodeAsset, redirect, sendAsset } from './pages.ts';
import type { ConsoleAsset } from './pages.ts';
import { createPolicyView } from './policies.ts';
import { createPolicyHealth } from './policy-health.ts';
import { createRate } from './rate.ts';
import { createRepeats } from './repeats.ts';
import { createSessions, isSame } from './sessions.ts';
import type { ConsoleSettings } from './settings.ts';

/**
 * The web console: pages, logins and sessions. It has no right of its own; what it answers is what the API answers to the person, and
 * what is decided the controller decides by the person's own token.
 *
 *     GET  /console/                          the page; /console/assets/NAME what it loads
 *     GET  /console/login?to=PATH             begins a login; GET /console/callback ends it
 *     POST /console/logout                    ends the session, and says where it is ended at the issuer
 *     GET  /console/session                   who is logged in, and the token against forged requests
 *     …    /console/v1/…                      the API
 *     GET  /console/approvals                 what the person may decide
 *     POST /console/approvals/NAMESPACE/NAME/approve|deny
 *     GET  /console/policies                  what records say of policies, and how the controller says that they are
 */
export interface WebConsole {
  /** Answers everything below `/console`. @throws Refusal, StoreError */
  handle(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void>;
  /** Sessions that stand. */
  readonly sessions: number;
}

export interface WebConsoleOptions {
  readonly settings: ConsoleSettings;
  /** Of people's tokens. */
  readonly issuer: string;
  readonly people: People;
  readonly answers: Pick<Answers, 'answer'>;
  readonly store: Pick<RecordStore, 'search' | 'sessionLines'>;
  /** With `index.html`. */
  readonly assets: readonly ConsoleAsset[];
  /** File with authorities (PEM) of the issuer beside the public ones. */
  readonly issuerCa?: string | undefined;
  /** File with the client's secret, read at each use; undefined: a public client. */
  readonly clientSecretFile?: string | undefined;
  /** File with the authorities (PEM) of the controller; undefined: the public ones. */
  readonly decisionsCa?: string | undefined;
  /** The recorder's certificate, by which the controller knows it. */
  readonly own?: (() => { readonly cert: string; readonly key: string }) | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onLogin?: (result: LoginResult) => void;
}

const prefix = '/console';
const home = `${prefix}/`;
const csrfHeader = 'x-sidegate-csrf';
const longestBody = 8_192;
/** Requests to the controller at once, of approvals and of policies, and of one person: apart from questions to the store, since it may hang. */
const mostForwarded = { all: 16, each: 4 } as const;
/** The page asks the same over and over while it follows: that is on record once in this time. */
const sameQuestionMs = 60_000;
const decisionPath =
  /^\/approvals\/([a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)\/([a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?)\/(approve|deny)$/;

/** What a session is answered. */
interface SessionRoute {
  readonly method: 'GET' | 'POST';
  answer(account: Account, request: IncomingMessage, response: ServerResponse): JsonValue | Promise<JsonValue>;
}

export function createConsole(options: WebConsoleOptions): WebConsole {
  const { settings, issuer, people, answers, store, assets, clock, logger, clientSecretFile } = options;
  const sessions = createSessions(
    {
      idleMs: settings.idleMinutes * 60_000,
      lifeMs: settings.hours * 3_600_000,
      each: settings.sessionsEach,
      all: settings.sessions,
    },
    clock,
  );
  const client = createLoginClient({
    settings,
    issuer,
    exchange: createExchange(clock, { ca: options.issuerCa }),
    clientSecret: clientSecretFile === undefined ? undefined : () => readFileSync(clientSecretFile, 'utf8').trim(),
    clock,
  });
  const accountOf = createAccounts({ sessions, people, login: client, clock, logger });
  const begun = createBegunLogins(clock);
  const logins = createLogins({
    client,
    begun,
    sessions,
    people,
    admitted: createRate(clock),
    logger,
    onLogin: options.onLogin,
  });
  // By our certificate the controller knows for whom we may say that we ask.
  const ofController = createExchange(clock, { ca: options.decisionsCa, alone: true, own: options.own });
  const decisions = settings.decisions === undefined ? undefined : createDecisions(settings.decisions, ofController);
  const health = settings.controller === undefined ? undefined : createPolicyHealth(settings.controller, ofController);
  const policies = createPolicyView({ store, health, clock, logger });
  const proxies = trustedProxies(settings.trustedProxies) ?? noProxies;
  const byPath = new Map(
    assets.map((asset) => [asset.name === 'index.html' ? '/' : `/assets/${asset.name}`, encodeAsset(asset)]),
  );

  /** Who asks; whoever changes something has the session's token, which no other site can read. */
  const account = async (request: IncomingMessage): Promise<Account> => {
    refuseForeign(request, settings.url);
    const found = await accountOf(cookieOf(request, 'session'));
    const csrf = request.headers[csrfHeader];
    if (request.method !== 'GET' && (typeof csrf !== 'string' || !isSame(csrf, found.session.csrf)))
      throw new Refusal(403, 'csrf', `${csrfHeader} is not that of the session: load the page again`);
    return found;
  };
  const sessionInfo = ({ session, person, endsAt }: Account): JsonValue => ({
    person: { name: session.name, issuer: session.issuer, subject: session.subject },
    role: person.role === 'Investigator' ? 'investigator' : 'auditor',
    namespaces: [...person.namespaces],
    csrf: session.csrf,
    expires: new Date(endsAt).toISOString(),
    approvals: decisions !== undefined,
    policies: true,
  });
  const toApprovals = createForwarding();
  const toPolicies = createForwarding();
  const turns = createKeyedBuckets(clock, 1, 20);
  const decide = async (
    to: Decisions,
    { session }: Account,
    { request, response }: { readonly request: IncomingMessage; readonly response: ServerResponse },
    [, namespace = '', approval = '', verb]: readonly string[],
  ): Promise<JsonValue> => {
    // Whole, before it takes a place.
    const text = await wholeBody(request, response, { most: longestBody, clock });
    const choice = { decision: verb === 'approve' ? 'Approve' : 'Deny', comment: readReason(text) } as const;
    // All of the console goes to the endpoint by a few connections: what one person sends too often takes none of them.
    if (!turns.take(personOf(session)))
      throw new Refusal(429, 'too_many', 'too many decisions at once: try again in some seconds');
    const decided = () => to.decide({ namespace, name: approval }, choice, deciderOf(session, request));
    const done = await toApprovals(personOf(session), decided);
    logger.info('a decision was forwarded', { namespace, approval, decision: choice.decision });
    return done;
  };
  const deciderOf = ({ tokens }: Account['session'], request: IncomingMessage): Decider => ({
    token: tokens.token,
    from: clientAddress(request, proxies),
  });
  const routeOf = (path: string): SessionRoute | undefined => {
    if (path === '/session') return { method: 'GET', answer: sessionInfo };
    if (path === '/policies')
      return {
        method: 'GET',
        answer: ({ session, person }) => toPolicies(personOf(session), () => policies.of(person)),
      };
    if (decisions === undefined) return undefined;
    if (path === '/approvals')
      return {
        method: 'GET',
        answer: ({ session }, request) =>
          toApprovals(personOf(session), () => decisions.list(deciderOf(session, request))),
      };
    const named = decisionPath.exec(path);
    return named === null
      ? undefined
      : {
          method: 'POST',
          answer: (found, request, response) => decide(decisions, found, { request, response }, named),
        };
  };

  /** The session is over here, whatever the issuer says to it. Not waited for: an issuer that hangs keeps nobody. */
  const leave = ({ tokens: { refresh } }: Account['session']): void => {
    if (refresh === undefined) return;
    client.revoke(refresh).catch((error: unknown) => {
      logger.warn('what renews a session of the console was not taken back', { error: describeError(error) });
    });
  };

  const repeats = createRepeats<Account['session']>(clock, sameQuestionMs);
  return {
    get sessions() {
      return sessions.size;
    },
    async handle(request, response, url, prove = () => undefined) {
      guardAnswer(response);
      const path = url.pathname.slice(prefix.length);
      if (path.startsWith('/v1/')) {
        const { session, person } = await account(request);
        prove();
        const api = new URL(`${path}${url.search}`, url);
        const put = (what: string, question: string, write: () => Promise<void>): Promise<void> =>
          what === 'search' ? repeats.once(session, question, write) : write();
        const again = async (): Promise<Auditor> => auditorOf((await account(request)).person);
        return answers.answer(request, response, api, auditorOf(person), { put, again });
      }
      const only = (method: string): void => {
        if (request.method === method) return;
        response.setHeader('allow', method);
        throw new Refusal(405, 'method', `this answers ${method} alone`);
      };
      const page = {
        '': () => redirect(response, home, []),
        '/login': () => logins.begin(request, response, url),
        '/callback': () => logins.finish(request, response, url),
      }[path];
      const asset = byPath.get(path);
      if (page !== undefined || asset !== undefined) {
        only('GET');
        // What an address asks is asked in its reader's name: who only followed a link is shown what it would ask (search.js, session.js; main.js of all other pages).
        if (path === '/' && url.search !== '' && !url.searchParams.has('linked') && isForeign(request)) {
          if (!begun.isBack(cookieOf(request, 'back') ?? '', `${home}${url.search}`))
            return redirect(response, `${home}${url.search}&linked=`, []);
          response.setHeader('set-cookie', cookieLine('back', '', 0));
        }
        return asset === undefined ? page?.() : sendAsset(request, response, asset);
      }
      if (path === '/logout') {
        only('POST');
        const { session } = await account(request);
        sessions.end(cookieOf(request, 'session') ?? '');
        response.setHeader('set-cookie', cookieLine('session', '', 0));
        leave(session);
        return respond(response, 200, { leaving: client.leaving(session.name) ?? null });
      }
      const route = routeOf(path);
      if (route === undefined) throw new Refusal(404, 'not_found', 'there is no such page');
      only(route.method);
      const found = await account(request);
      prove();
      await respondWhole(response, await route.answer(found, request, response), clock);
    },
  };
}

const personOf = ({ issuer, subject }: Account['session']): string => JSON.stringify([issuer, subject]);

/** Bounds what is asked of another at once: of all people, and of each, so that nobody takes the places of others. */
function createForwarding(): (person: string, ask: () => Promise<JsonValue>) => Promise<JsonValue> {
  const ofEach = new Map<string, number>();
  let all = 0;
  return async (person, ask) => {
    const own = ofEach.get(person) ?? 0;
    if (all >= mostForwarded.all || own >= mostForwarded.each)
      throw new Refusal(503, 'busy', 'too many questions at once: ask again', 1);
    all++;
    ofEach.set(person, own + 1);
    try {
      return await ask();
    } finally {
      all--;
      const left = (ofEach.get(person) ?? 1) - 1;
      if (left === 0) ofEach.delete(person);
      else ofEach.set(person, left);
    }
  };
}

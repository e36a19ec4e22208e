import type { IncomingMessage, ServerResponse } from 'node:http';
import { describeError } from '../../base/index.ts';
import type { Logger } from '../../base/index.ts';
import type { People } from '../api/people.ts';
import { backSeconds, loginSeconds } from './begun-logins.ts';
import type { BegunLogin, BegunLogins } from './begun-logins.ts';
import { cookieLine, cookieOf } from './cookies.ts';
import { LoginFault, newAttempt } from './login-client.ts';
import type { LoginClient, Tokens } from './login-client.ts';
import { redirect, sendLoginPage } from './pages.ts';
import type { Sessions } from './sessions.ts';

/** How a login ended, for a metric. A closed set. */
export const loginResults = ['done', 'limited', 'not_begun', 'refused', 'invalid', 'unavailable', 'no_role'] as const;
export type LoginResult = (typeof loginResults)[number];

export interface LoginsOptions {
  readonly client: LoginClient;
  readonly begun: BegunLogins;
  readonly sessions: Sessions;
  readonly people: Pick<People, 'prove'>;
  /** Whether a begun login, by its state, may be tried once more. */
  readonly admitted: (state: string) => boolean;
  readonly logger: Logger;
  readonly onLogin?: ((result: LoginResult) => void) | undefined;
}

/** The two steps of a login, which browsers take: what goes wrong is a page. */
export interface Logins {
  begin(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void>;
  finish(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void>;
}

const home = '/console/';
const longestTarget = 2_048;

const faults: Readonly<Record<Exclude<LoginResult, 'done'>, readonly [number, string]>> = {
  limited: [429, 'There were too many logins. Wait a minute.'],
  not_begun: [400, 'This login was not begun in this browser, or more than ten minutes ago.'],
  refused: [403, 'The identity provider did not log you in.'],
  invalid: [400, 'What came back is no answer of the identity provider to this login.'],
  unavailable: [503, 'The identity provider does not answer. Try again in a minute.'],
  no_role: [403, 'You have no role here. Ask whoever runs Sidegate for one (recorder.oidc.roles).'],
};

export function createLogins(options: LoginsOptions): Logins {
  const { client, begun, sessions, people, admitted, logger, onLogin } = options;

  const fail = (response: ServerResponse, result: Exclude<LoginResult, 'done'>): void => {
    onLogin?.(result);
    const [status, words] = faults[result];
    sendLoginPage(response, status, words, {
      'set-cookie': [cookieLine('login', '', 0)],
      ...(status === 429 || status === 503 ? { 'retry-after': '30' } : {}),
    });
  };
  const failWith = (response: ServerResponse, error: unknown): void => {
    // Not a fault of a login: what else can fail here is the issuer's keys.
    const known = error instanceof LoginFault ? error.code : 'unavailable';
    logger.warn('a login at the console failed', { why: known, error: describeError(error) });
    fail(response, known);
  };
  const enter = async (response: ServerResponse, tokens: Tokens, { to, own }: BegunLogin): Promise<void> => {
    const person = await people.prove(tokens.token);
    if (person?.role === undefined) {
      const why = person === undefined ? 'its token is not one of recorder.oidc' : 'no role';
      logger.warn('a login at the console failed', { why });
      return fail(response, 'no_role');
    }
    const { issuer, subject } = person;
    const cookie = sessions.open({ issuer, subject, name: tokens.name ?? subject, tokens });
    onLogin?.('done');
    // The browser comes from the issuer: it says that another site led it there.
    const back = own && to !== home ? [cookieLine('back', begun.sealBack(to), backSeconds)] : [];
    redirect(response, to, [cookieLine('session', cookie), cookieLine('login', '', 0), ...back]);
  };

  return {
    // Not limited: it keeps nothing, and asks the issuer nothing but its metadata.
    async begin(request, response, url) {
      const to = targetOf(url.searchParams.get('to') ?? home);
      if (to === undefined) return fail(response, 'invalid');
      const attempt = newAttempt();
      const own = request.headers['sec-fetch-site'] === 'same-origin';
      try {
        const address = await client.address(attempt);
        redirect(response, address, [cookieLine('login', begun.seal({ ...attempt, to, own }), loginSeconds)]);
      } catch (error) {
        failWith(response, error);
      }
    },
    async finish(request, response, url) {
      const sealed = cookieOf(request, 'login');
      const login = sealed === undefined ? undefined : begun.open(sealed);
      if (login === undefined) return fail(response, 'not_begun');
      if (!admitted(login.state)) return fail(response, 'limited');
      try {
        await enter(response, await client.finish(url.searchParams, login), login);
      } catch (error) {
        failWith(response, error);
      }
    },
  };
}

/** A path within the console, as it is sent back; one too long for a cookie is home. Undefined: it leads elsewhere. */
function targetOf(text: string): string | undefined {
  const base = 'https://console';
  if (text.length > longestTarget) return home;
  if (!/^\/console\/[\x21-\x5b\x5d-\x7e]*$/.test(text)) return undefined;
  const url = URL.parse(text, base);
  if (url === null || url.origin !== base || !url.pathname.startsWith(home)) return undefined;
  return `${url.pathname}${url.search}`;
}

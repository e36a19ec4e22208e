import { readBody } from '../../base/index.ts';
import type { IncomingMessage } from 'node:http';
import type { Clock } from '../../base/index.ts';
import { tokenKeySet } from '../../identity/index.ts';
import type { TokenKeyState } from '../../identity/index.ts';
import type { RouteAnswer, Routes } from '../decisions/index.ts';
import type { BrowserLogin, Step } from './browser-login.ts';
import { confirmPath, loginPage } from './login-page.ts';
import { accessTokenType } from './token-exchange.ts';
import type { TokenExchange } from './token-exchange.ts';
import type { ExchangeFault } from './token-giver.ts';

/** An assertion of the greatest length, base64, percent-encoded, and some room. */
const longestForm = 300_000;

const statuses: Readonly<Record<ExchangeFault, number>> = {
  invalid_request: 400,
  invalid_grant: 400,
  invalid_target: 400,
  unsupported_grant_type: 400,
  temporarily_unavailable: 503,
};
const refused = (fault: ExchangeFault): RouteAnswer => ({
  status: statuses[fault],
  body: { error: fault },
  result: fault === 'temporarily_unavailable' ? 'failed' : 'refused',
});
const malformed = (status: number, error: string): RouteAnswer => ({ status, body: { error }, result: 'malformed' });

/** This host alone, by TLS alone, out of reach of scripts. The identity provider's answer comes by POST from another site, the person's from here. */
const cookieName = '__Host-sidegate-login';
const cookieEnd = (site: 'None' | 'Strict'): string => `Path=/; Secure; HttpOnly; SameSite=${site}`;
const cookieSeconds = 600;

function cookieOf({ headers }: IncomingMessage): string | undefined {
  const found = (headers.cookie ?? '').split(';').map((one) => one.trim().split('='));
  const values = found.filter(([name]) => name === cookieName);
  return values.length === 1 ? values[0]?.[1] : undefined;
}

function stepAnswer(step: Step): RouteAnswer {
  if (step.kind === 'fault') return refused(step.fault);
  const { cookie } = step;
  const age = cookie === '' ? 0 : cookieSeconds;
  const site = step.kind === 'question' ? 'Strict' : 'None';
  const headers = {
    'set-cookie': `${cookieName}=${cookie}; Max-Age=${age}; ${cookieEnd(site)}`,
    'referrer-policy': 'no-referrer',
  };
  if (step.kind === 'redirect')
    return { status: 303, body: {}, headers: { ...headers, location: step.location }, result: 'decided' };
  const page = loginPage(step.question);
  return { status: 200, body: page.body, headers: { ...headers, ...page.headers }, result: 'viewed' };
}

/**
 * `POST /v1/token` (RFC 6749 section 3.2), `GET /v1/keys`, a JWK set, and for browsers `GET /v1/saml/NAME/login` and
 * `POST /v1/saml/acs` and `POST /v1/saml/continue`.
 */
export function createTokenRoutes(options: {
  readonly exchange: TokenExchange;
  readonly browser: BrowserLogin;
  readonly keys: () => TokenKeyState | undefined;
  readonly clock: Pick<Clock, 'now'>;
}): Routes {
  const { browser, clock } = options;
  const formOf = async (request: IncomingMessage): Promise<URLSearchParams | RouteAnswer> => {
    if (request.method !== 'POST') return malformed(405, 'method');
    if (!/^application\/x-www-form-urlencoded(?:;|$)/i.test(request.headers['content-type'] ?? ''))
      return malformed(400, 'invalid_request');
    const form = await readBody(request, longestForm);
    return form === undefined ? malformed(413, 'too_large') : new URLSearchParams(form);
  };
  const exchange = async (request: IncomingMessage, from: string): Promise<RouteAnswer> => {
    const form = await formOf(request);
    if (!(form instanceof URLSearchParams)) return form;
    const done = await options.exchange.exchange(form, from);
    if (done.kind === 'fault') return refused(done.fault);
    const body = {
      access_token: done.token,
      issued_token_type: accessTokenType,
      token_type: 'Bearer',
      expires_in: Math.floor((done.expiresAt - clock.now()) / 1_000),
    };
    return { status: 200, body, result: 'decided' };
  };
  const consume = async (request: IncomingMessage, from: string): Promise<RouteAnswer> => {
    const form = await formOf(request);
    if (!(form instanceof URLSearchParams)) return form;
    return stepAnswer(await browser.consume(form, cookieOf(request), from));
  };
  const confirm = async (request: IncomingMessage): Promise<RouteAnswer> => {
    const form = await formOf(request);
    return form instanceof URLSearchParams ? stepAnswer(browser.confirm(form, cookieOf(request))) : form;
  };
  const keySet = (): RouteAnswer => {
    const state = options.keys();
    if (state === undefined) return refused('temporarily_unavailable');
    return { status: 200, body: tokenKeySet(state), result: 'viewed' };
  };
  return async (request, { from }) => {
    const [path = '', query = ''] = (request.url ?? '').split('?', 2);
    if (path === '/v1/token') return await exchange(request, from);
    if (path === '/v1/saml/acs') return await consume(request, from);
    if (path === confirmPath) return await confirm(request);
    if (request.method !== 'GET') return undefined;
    if (path === '/v1/keys') return keySet();
    const [, idp] = /^\/v1\/saml\/([a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)\/login$/.exec(path) ?? [];
    return idp === undefined ? undefined : stepAnswer(browser.begin(idp, new URLSearchParams(query)));
  };
}

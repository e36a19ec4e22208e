import type { IncomingMessage } from 'node:http';
import { tokenKeySet } from '../../identity/index.ts';
import type { TokenKeyState } from '../../identity/index.ts';
import { readBody } from '../decisions/index.ts';
import type { RouteAnswer, Routes } from '../decisions/index.ts';
import { accessTokenType } from './token-exchange.ts';
import type { ExchangeFault, TokenExchange } from './token-exchange.ts';

/** An assertion of the greatest length, base64, percent-encoded, and some room. */
const longestForm = 300_000;

const statuses: Readonly<Record<ExchangeFault, number>> = {
  invalid_request: 400,
  invalid_grant: 400,
  invalid_target: 400,
  unsupported_grant_type: 400,
  temporarily_unavailable: 503,
};

/** `POST /v1/token` (RFC 6749 section 3.2) and `GET /v1/keys`, a JWK set. */
export function createTokenRoutes(options: {
  readonly exchange: TokenExchange;
  readonly keys: () => TokenKeyState | undefined;
}): Routes {
  const exchange = async (request: IncomingMessage): Promise<RouteAnswer> => {
    if (request.method !== 'POST') return { status: 405, body: { error: 'method' }, result: 'malformed' };
    if (!/^application\/x-www-form-urlencoded(?:;|$)/i.test(request.headers['content-type'] ?? ''))
      return { status: 400, body: { error: 'invalid_request' }, result: 'malformed' };
    const form = await readBody(request, longestForm);
    if (form === undefined) return { status: 413, body: { error: 'too_large' }, result: 'malformed' };
    const done = await options.exchange.exchange(new URLSearchParams(form));
    if (done.kind === 'fault') return { status: statuses[done.fault], body: { error: done.fault }, result: 'refused' };
    const { token, expiresInSeconds } = done;
    const body = {
      access_token: token,
      issued_token_type: accessTokenType,
      token_type: 'Bearer',
      expires_in: expiresInSeconds,
    };
    return { status: 200, body, result: 'decided' };
  };
  return async (request) => {
    if (request.url === '/v1/token') return await exchange(request);
    if (request.url !== '/v1/keys' || request.method !== 'GET') return undefined;
    const state = options.keys();
    if (state === undefined) return { status: 503, body: { error: 'temporarily_unavailable' }, result: 'failed' };
    return { status: 200, body: tokenKeySet(state), result: 'viewed' };
  };
}

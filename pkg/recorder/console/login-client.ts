import * as oauth from 'oauth4webapi';
import { CodedError, Secret } from '../../base/index.ts';
import type { Clock } from '../../base/index.ts';
import { isPlain } from '../api/people-settings.ts';
import { ExchangeError } from './fetch.ts';
import type { Exchange } from './fetch.ts';
import type { ConsoleSettings } from './settings.ts';

/** Logs people in at the issuer: OpenID Connect, authorization code with PKCE. */
export interface LoginClient {
  /** Where the browser is sent. @throws LoginFault unavailable */
  address(attempt: Attempt): Promise<string>;
  /** Takes what the browser came back with. @throws LoginFault */
  finish(parameters: URLSearchParams, attempt: Attempt): Promise<Tokens>;
  /** @throws LoginFault */
  renew(refresh: Secret): Promise<Tokens>;
  /**
   * Takes back at the issuer what would renew a session (RFC 7009). Nothing, where the issuer takes nothing back.
   *
   * @throws LoginFault
   */
  revoke(refresh: Secret): Promise<void>;
  /**
   * Where a browser ends its session at the issuer (OpenID Connect RP-Initiated Logout 1.0), by what the issuer last said of itself;
   * undefined: nowhere. The address bears no token: one that still proves somebody has no place in a browser's history. So the
   * issuer asks the person.
   */
  leaving(name: string): string | undefined;
}

/** What one login is bound to: none of it is in an answer of the issuer before the login was begun. */
export interface Attempt {
  readonly state: string;
  readonly nonce: string;
  /** RFC 7636. */
  readonly verifier: string;
}

export interface Tokens {
  /** The one that says who somebody is. */
  readonly token: Secret;
  readonly refresh: Secret | undefined;
  /** What a person is called; for the eye alone. */
  readonly name: string | undefined;
}

/** `refused`: the issuer said no. `invalid`: what came is no answer to this login. `unavailable`: the issuer does not answer. */
export class LoginFault extends CodedError<'refused' | 'invalid' | 'unavailable'> {}

export const newAttempt = (): Attempt => ({
  state: oauth.generateRandomState(),
  nonce: oauth.generateRandomNonce(),
  verifier: oauth.generateRandomCodeVerifier(),
});

export const callbackPath = '/console/callback';
/** How long what the issuer says of itself counts. */
const metadataMs = 3_600_000;

export interface LoginClientOptions {
  readonly settings: ConsoleSettings;
  readonly issuer: string;
  readonly exchange: Exchange;
  /** The client's secret; undefined: it is a public client. */
  readonly clientSecret: (() => string) | undefined;
  readonly clock: Clock;
}

export function createLoginClient(options: LoginClientOptions): LoginClient {
  const { settings, issuer, exchange, clock } = options;
  const { clientId, scopes, parameters, token: kind } = settings;
  const client: oauth.Client = { client_id: clientId };
  const redirect = `${settings.url}${callbackPath}`;
  const http = {
    [oauth.customFetch]: async (url: string, { method, headers, body }: oauth.CustomFetchOptions<string, unknown>) => {
      const { status, type, text } = await exchange({
        url,
        method,
        headers,
        body: body === undefined || body === null ? undefined : String(body as URLSearchParams),
      });
      return new Response(text, { status, headers: { 'content-type': type } });
    },
    [oauth.allowInsecureRequests]: isPlain(issuer),
  };

  /** However old: whoever leaves does not wait. */
  let last: oauth.AuthorizationServer | undefined;
  let known: { readonly server: oauth.AuthorizationServer; readonly until: number } | undefined;
  const readMetadata = async (): Promise<oauth.AuthorizationServer> => {
    const url = new URL(issuer);
    const server = await oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, http));
    // The library compares addresses; tokens are compared letter by letter.
    if (server.issuer !== issuer) throw new LoginFault('unavailable', 'the metadata names another issuer');
    known = { server, until: clock.monotonic() + metadataMs };
    last = server;
    return server;
  };
  let reading: Promise<oauth.AuthorizationServer> | undefined;
  /** One reading for all who wait: whoever begins logins makes the issuer no more work. */
  const discover = (): Promise<oauth.AuthorizationServer> => {
    if (known !== undefined && clock.monotonic() < known.until) return Promise.resolve(known.server);
    reading ??= readMetadata().finally(() => (reading = undefined));
    return reading;
  };
  const proofOf = (server: oauth.AuthorizationServer): oauth.ClientAuth => {
    const secret = options.clientSecret?.();
    if (secret === undefined) return oauth.None();
    const { token_endpoint_auth_methods_supported: methods = ['client_secret_basic'] } = server;
    return methods.includes('client_secret_basic') ? oauth.ClientSecretBasic(secret) : oauth.ClientSecretPost(secret);
  };
  const tokensOf = (given: oauth.TokenEndpointResponse): Tokens => {
    const token = kind === 'Id' ? given.id_token : given.access_token;
    if (token === undefined) throw new LoginFault('refused', 'the issuer gave no ID token');
    const claims = oauth.getValidatedIdTokenClaims(given);
    const name = [claims?.['name'], claims?.['preferred_username'], claims?.['email']].find(
      (one) => typeof one === 'string' && one !== '',
    );
    return {
      token: new Secret(token),
      refresh: given.refresh_token === undefined ? undefined : new Secret(given.refresh_token),
      name: typeof name === 'string' ? name.slice(0, 200) : undefined,
    };
  };

  return {
    address: (attempt) =>
      told(async () => {
        const { authorization_endpoint: endpoint } = await discover();
        if (endpoint === undefined || !URL.canParse(endpoint))
          throw new LoginFault('unavailable', 'the issuer names no authorization endpoint');
        const url = new URL(endpoint);
        const all = {
          ...parameters,
          response_type: 'code',
          client_id: clientId,
          redirect_uri: redirect,
          scope: scopes.join(' '),
          state: attempt.state,
          nonce: attempt.nonce,
          code_challenge: await oauth.calculatePKCECodeChallenge(attempt.verifier),
          code_challenge_method: 'S256',
        };
        for (const [name, value] of Object.entries(all)) url.searchParams.set(name, value);
        return url.href;
      }),
    finish: (parameters, { state, nonce, verifier }) =>
      told(async () => {
        const server = await discover();
        // State, and the issuer where the answer names it (RFC 9207).
        const answer = oauth.validateAuthResponse(server, client, parameters, state);
        const response = await oauth.authorizationCodeGrantRequest(
          server,
          client,
          proofOf(server),
          answer,
          redirect,
          verifier,
          http,
        );
        const checks = { expectedNonce: nonce, requireIdToken: true };
        return tokensOf(await oauth.processAuthorizationCodeResponse(server, client, response, checks));
      }),
    renew: (refresh) =>
      told(async () => {
        const server = await discover();
        const response = await oauth.refreshTokenGrantRequest(server, client, proofOf(server), refresh.reveal(), http);
        const tokens = tokensOf(await oauth.processRefreshTokenResponse(server, client, response));
        return { ...tokens, refresh: tokens.refresh ?? refresh };
      }),
    revoke: (refresh) =>
      told(async () => {
        const server = await discover();
        if (server.revocation_endpoint === undefined) return;
        const asked = { ...http, additionalParameters: { token_type_hint: 'refresh_token' } };
        const response = await oauth.revocationRequest(server, client, proofOf(server), refresh.reveal(), asked);
        await oauth.processRevocationResponse(response);
      }),
    leaving(name) {
      const url = URL.parse(last?.end_session_endpoint ?? '');
      if (url === null || (url.protocol !== 'https:' && !(isPlain(issuer) && url.protocol === 'http:')))
        return undefined;
      url.searchParams.set('client_id', clientId);
      url.searchParams.set('logout_hint', name);
      return url.href;
    },
  };
}

/** What the library throws, in three words. */
async function told<Value>(act: () => Promise<Value>): Promise<Value> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof LoginFault) throw error;
    if (error instanceof ExchangeError) throw new LoginFault('unavailable', error.message, { cause: error });
    if (error instanceof oauth.AuthorizationResponseError || error instanceof oauth.ResponseBodyError) {
      const status = error instanceof oauth.ResponseBodyError ? error.status : 400;
      const word = error.error.replaceAll(/[^a-z_]/g, '').slice(0, 60);
      if (status >= 500 || word === 'temporarily_unavailable' || word === 'server_error')
        throw new LoginFault('unavailable', `the issuer answered ${word}`, { cause: error });
      throw new LoginFault('refused', `the issuer answered ${word}`, { cause: error });
    }
    if (error instanceof oauth.OperationProcessingError || error instanceof oauth.UnsupportedOperationError) {
      const { code = 'no code', message, cause } = error;
      // An answer that is none of OAuth's: a proxy's page, a status of 5xx.
      if (cause instanceof Response && cause.status !== 200)
        throw new LoginFault('unavailable', `the issuer answered ${cause.status}`, { cause: error });
      throw new LoginFault('invalid', `${message} (${code})`, { cause: error });
    }
    throw error;
  }
}

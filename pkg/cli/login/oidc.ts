import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { claimsOf, fieldsOf, textOf } from './json.ts';
import type { Fields } from './json.ts';
import { LoginError } from './login-io.ts';
import type { LoginIo, LoopbackAnswer, LoopbackRequest } from './login-io.ts';
import type { TokenKind } from './profile.ts';

/** A client of an OpenID Connect issuer, as the flags name it. It has no secret that would be one on a person's machine. */
export interface OidcClient {
  readonly issuer: string;
  readonly clientId: string;
  /** Some issuers (Google) ask installed programs for one. */
  readonly clientSecret?: string | undefined;
  readonly scope: string;
  /** More parameters of the request: `audience`, `resource`. */
  readonly extra: Readonly<Record<string, string>>;
  /** PEM. */
  readonly ca?: string | undefined;
}

export interface Endpoints {
  readonly authorization: string | undefined;
  readonly token: string;
  readonly device: string | undefined;
}

/** What the token endpoint gave. */
export interface Given {
  readonly access: string | undefined;
  readonly id: string | undefined;
  readonly refresh: string | undefined;
}

/** OpenID Connect Discovery 1.0 section 4. @throws LoginError */
export async function discover(io: LoginIo, { issuer, ca }: Pick<OidcClient, 'issuer' | 'ca'>): Promise<Endpoints> {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const { status, body } = await io.exchange({ url, ca });
  const metadata = fieldsOf(body);
  if (status !== 200 || metadata['issuer'] !== issuer)
    throw new LoginError(`${url} does not answer as the issuer ${issuer}: --issuer must be as its metadata has it`);
  const token = textOf(metadata['token_endpoint']);
  if (token === undefined) throw new LoginError(`${issuer} names no token endpoint`);
  return {
    authorization: textOf(metadata['authorization_endpoint']),
    token,
    device: textOf(metadata['device_authorization_endpoint']),
  };
}

/** @throws LoginError with the issuer's word */
export async function askForTokens(
  io: LoginIo,
  at: { readonly endpoint: string; readonly ca?: string | undefined },
  client: Pick<OidcClient, 'clientId' | 'clientSecret'>,
  form: Readonly<Record<string, string>>,
): Promise<Given> {
  const answer = await tryForTokens(io, at, client, form);
  if (typeof answer === 'string') throw new LoginError(`the issuer gave no token: ${answer}`);
  return answer;
}

/** The tokens, or the `error` of RFC 6749 section 5.2. */
async function tryForTokens(
  io: LoginIo,
  { endpoint, ca }: { readonly endpoint: string; readonly ca?: string | undefined },
  { clientId, clientSecret }: Pick<OidcClient, 'clientId' | 'clientSecret'>,
  form: Readonly<Record<string, string>>,
): Promise<Given | string> {
  const { status, body } = await io.exchange({
    url: endpoint,
    form: { ...form, client_id: clientId, ...(clientSecret !== undefined && { client_secret: clientSecret }) },
    ca,
  });
  const fields = fieldsOf(body);
  if (status !== 200) return errorOf(fields) ?? `status ${status}`;
  const [access, id, refresh] = ['access_token', 'id_token', 'refresh_token'].map((name) => textOf(fields[name]));
  return { access, id, refresh };
}

/** Words of others are shown without what moves a terminal's cursor. */
const errorOf = (fields: Fields): string | undefined =>
  textOf(fields['error'])
    ?.replaceAll(/[^\x20-\x7e]/g, '?')
    .slice(0, 100);

/** The one of them that sidecars are shown. @throws LoginError */
export function chosen(given: Given, kind: TokenKind): string {
  const token = kind === 'id' ? given.id : given.access;
  if (token === undefined)
    throw new LoginError(`the issuer gave no ${kind} token${kind === 'id' ? ': ask for the scope openid' : ''}`);
  return token;
}

const callbackPath = '/callback';
const loginMs = 300_000;

/** Authorization code with PKCE (RFC 7636) on a loopback address (RFC 8252 section 7.3). @throws LoginError */
export async function loginByBrowser(
  io: LoginIo,
  client: OidcClient,
  endpoints: Endpoints,
  person: { readonly redirectHost: string; tell(text: string): void },
): Promise<Given> {
  if (endpoints.authorization === undefined) throw new LoginError(`${client.issuer} names no authorization endpoint`);
  const [verifier, state, nonce] = [random(), random(), random()];
  const { promise: code, resolve, reject } = Promise.withResolvers<string>();
  code.catch(() => undefined);
  const answer = ({ method, target }: LoopbackRequest): LoopbackAnswer => {
    const url = new URL(target, 'http://127.0.0.1');
    if (method !== 'GET' || url.pathname !== callbackPath) return { status: 404, text: 'nothing is here' };
    const told = (name: string): string => url.searchParams.get(name) ?? '';
    // Whoever guesses the port has not guessed this: it is no answer to what was asked.
    if (!same(told('state'), state)) return { status: 400, text: 'this is no answer to a login that was begun here' };
    const issuer = url.searchParams.get('iss');
    if (issuer !== null && issuer !== client.issuer) reject(new LoginError('another issuer answered (RFC 9207)'));
    else if (told('code') !== '') resolve(told('code'));
    else
      reject(
        new LoginError(
          `the issuer refused: ${told('error')
            .replaceAll(/[^\x20-\x7e]/g, '?')
            .slice(0, 100)}`,
        ),
      );
    return { status: 200, text: 'You may close this window and go back to the terminal.' };
  };
  const server = await io.listen({
    answer,
    ms: loginMs,
    late: () => reject(new LoginError('nobody logged in within five minutes')),
  });
  try {
    const redirect = `http://${person.redirectHost}:${server.port}${callbackPath}`;
    const url = new URL(endpoints.authorization);
    const parameters = {
      response_type: 'code',
      client_id: client.clientId,
      redirect_uri: redirect,
      scope: client.scope,
      state,
      nonce,
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
      ...client.extra,
    };
    for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
    const shown = io.browse(url.href);
    person.tell(`${shown ? 'Log in in the browser, or open' : 'Open'} this address: ${url.href}\n`);
    const form = {
      grant_type: 'authorization_code',
      code: await code,
      redirect_uri: redirect,
      code_verifier: verifier,
    };
    const given = await askForTokens(io, { endpoint: endpoints.token, ca: client.ca }, client, form);
    // OpenID Connect Core section 3.1.3.7: an ID token of another login was put in this one's place.
    if (given.id !== undefined && claimsOf(given.id)?.['nonce'] !== nonce)
      throw new LoginError('the ID token is of another login');
    return given;
  } finally {
    server.close();
  }
}

const random = (): string => randomBytes(32).toString('base64url');

function same(a: string, b: string): boolean {
  const [left, right] = [a, b].map((text) => createHash('sha256').update(text).digest());
  return left !== undefined && right !== undefined && timingSafeEqual(left, right);
}

/** RFC 8628: for a terminal without a browser. @throws LoginError */
export async function loginByDevice(
  io: LoginIo,
  client: OidcClient,
  endpoints: Endpoints,
  person: { tell(text: string): void; sleep(ms: number): Promise<void> },
): Promise<Given> {
  if (endpoints.device === undefined)
    throw new LoginError(`${client.issuer} has no device flow: log in without --device`);
  const { clientId, clientSecret, scope, extra, ca } = client;
  const { status, body } = await io.exchange({
    url: endpoints.device,
    form: {
      client_id: clientId,
      scope,
      ...extra,
      ...(clientSecret !== undefined && { client_secret: clientSecret }),
    },
    ca,
  });
  const fields = fieldsOf(body);
  const [device, user, address] = ['device_code', 'user_code', 'verification_uri'].map((name) => textOf(fields[name]));
  if (status !== 200 || device === undefined || user === undefined || address === undefined)
    throw new LoginError(`the issuer began no login: ${errorOf(fields) ?? `status ${status}`}`);
  const clean = (text: string): string => text.replaceAll(/[^\x21-\x7e]/g, '?');
  person.tell(
    `Open ${clean(textOf(fields['verification_uri_complete']) ?? address)} and confirm the code ${clean(user)}\n`,
  );
  const { interval, expires_in: life } = fields;
  let seconds = typeof interval === 'number' && interval > 0 ? interval : 5;
  let left = typeof life === 'number' && life > 0 ? Math.min(life, 1_800) : 300;
  const form = { grant_type: 'urn:ietf:params:oauth:grant-type:device_code', device_code: device };
  while (left > 0) {
    await person.sleep(seconds * 1_000);
    left -= seconds;
    const answer = await tryForTokens(io, { endpoint: endpoints.token, ca }, client, form);
    if (typeof answer !== 'string') return answer;
    if (answer === 'slow_down') seconds += 5;
    else if (answer !== 'authorization_pending') throw new LoginError(`the issuer gave no token: ${answer}`);
  }
  throw new LoginError('nobody confirmed the code in time');
}

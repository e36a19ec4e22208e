import { codeByBrowser, printable, randomText } from './code-by-browser.ts';
import type { BrowserPerson } from './code-by-browser.ts';
import { claimsOf, fieldsOf, textOf } from './json.ts';
import type { Fields } from './json.ts';
import { LoginError } from './login-io.ts';
import type { LoginIo } from './login-io.ts';
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

function errorOf(fields: Fields): string | undefined {
  const error = textOf(fields['error']);
  return error === undefined ? undefined : printable(error);
}

/** The one of them that sidecars are shown. @throws LoginError */
export function chosen(given: Given, kind: TokenKind): string {
  const token = kind === 'id' ? given.id : given.access;
  if (token === undefined)
    throw new LoginError(`the issuer gave no ${kind} token${kind === 'id' ? ': ask for the scope openid' : ''}`);
  return token;
}

/** Authorization code with PKCE. @throws LoginError */
export async function loginByBrowser(
  io: LoginIo,
  client: OidcClient,
  endpoints: Endpoints,
  person: BrowserPerson,
): Promise<Given> {
  const { issuer, clientId, scope, extra, ca } = client;
  if (endpoints.authorization === undefined) throw new LoginError(`${issuer} names no authorization endpoint`);
  const nonce = randomText();
  const { code, redirect, verifier } = await codeByBrowser(io, person, {
    address: endpoints.authorization,
    parameters: { response_type: 'code', client_id: clientId, scope, nonce, ...extra },
    issuer,
  });
  const form = { grant_type: 'authorization_code', code, redirect_uri: redirect, code_verifier: verifier };
  const given = await askForTokens(io, { endpoint: endpoints.token, ca }, client, form);
  // OpenID Connect Core section 3.1.3.7: an ID token of another login was put in this one's place.
  if (given.id !== undefined && claimsOf(given.id)?.['nonce'] !== nonce)
    throw new LoginError('the ID token is of another login');
  return given;
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
  // Whatever the issuer says: it is not asked more than once a second, nor left for longer than a minute.
  let seconds = typeof interval === 'number' && interval > 0 ? Math.min(Math.max(interval, 1), 60) : 5;
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

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { LoginError } from './login-io.ts';
import type { LoginIo, LoopbackAnswer, LoopbackRequest } from './login-io.ts';

/** A code that a browser brought to a loopback address (RFC 8252 section 7.3), and what belongs to it (RFC 7636). */
export interface BroughtCode {
  readonly code: string;
  readonly redirect: string;
  readonly verifier: string;
}

export interface BrowserPerson {
  /** Of the address that the browser comes back to: 127.0.0.1 or localhost. */
  readonly redirectHost: string;
  tell(text: string): void;
}

const callbackPath = '/callback';
const loginMs = 300_000;

/**
 * Sends the person's browser to `address` with these parameters more: redirect_uri, state, code_challenge.
 *
 * @param issuer who must answer, where the answer says who does (RFC 9207)
 * @throws LoginError
 */
export async function codeByBrowser(
  io: LoginIo,
  person: BrowserPerson,
  {
    address,
    parameters,
    issuer,
  }: {
    readonly address: string;
    readonly parameters: Readonly<Record<string, string>>;
    readonly issuer?: string;
  },
): Promise<BroughtCode> {
  const [verifier, state] = [randomText(), randomText()];
  const { promise: brought, resolve, reject } = Promise.withResolvers<string>();
  brought.catch(() => undefined);
  const answer = ({ method, target }: LoopbackRequest): LoopbackAnswer => {
    const { pathname, searchParams } = new URL(target, 'http://127.0.0.1');
    if (method !== 'GET' || pathname !== callbackPath) return { status: 404, text: 'nothing is here' };
    const [code, error] = ['code', 'error'].map((name) => searchParams.get(name) ?? '');
    // Whoever guesses the port has not guessed this: it is no answer to what was asked.
    if (!same(searchParams.get('state') ?? '', state))
      return { status: 400, text: 'this is no answer to a login that was begun here' };
    const by = searchParams.get('iss');
    if (by !== null && issuer !== undefined && by !== issuer)
      reject(new LoginError('another issuer answered (RFC 9207)'));
    else if (code !== undefined && code !== '') resolve(code);
    else reject(new LoginError(`the issuer refused: ${printable(error ?? '')}`));
    return { status: 200, text: 'You may close this window and go back to the terminal.' };
  };
  const server = await io.listen({
    answer,
    ms: loginMs,
    late: () => reject(new LoginError('nobody logged in within five minutes')),
  });
  try {
    const redirect = `http://${person.redirectHost}:${server.port}${callbackPath}`;
    const url = new URL(address);
    const all = {
      ...parameters,
      redirect_uri: redirect,
      state,
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
    };
    for (const [name, value] of Object.entries(all)) url.searchParams.set(name, value);
    const shown = io.browse(url.href);
    person.tell(`${shown ? 'Log in in the browser, or open' : 'Open'} this address: ${url.href}\n`);
    return { code: await brought, redirect, verifier };
  } finally {
    server.close();
  }
}

export const randomText = (): string => randomBytes(32).toString('base64url');

/** Words of others, without what moves a terminal's cursor. */
export const printable = (text: string): string => text.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 100);

function same(a: string, b: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}

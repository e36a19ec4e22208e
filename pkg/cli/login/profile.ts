import { claimsOf, fieldsOf, textOf } from './json.ts';
import { LoginError } from './login-io.ts';
import type { LoginIo } from './login-io.ts';

/**
 * What a login leaves: the token, and by what it is renewed without the person. A file of its owner alone, one a name.
 */
export interface Profile {
  /** Undefined: it cannot be renewed, as after SAML. */
  readonly renewal?: Renewal;
  /** What the SDK is given. */
  readonly token: string;
  /** Epoch milliseconds. */
  readonly expiresAt: number;
  /** How to log in again: the command line. */
  readonly again: string;
}

export interface Renewal {
  readonly issuer: string;
  readonly tokenEndpoint: string;
  readonly clientId: string;
  readonly clientSecretFile?: string;
  readonly caFile?: string;
  readonly kind: TokenKind;
  readonly refreshToken: string;
}

/** Which of the issuer's tokens sidecars are shown. */
export type TokenKind = 'access' | 'id';

const nameForm = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** What is wrong with the name of a profile; undefined: the default one. */
export const profileFaults = (name: string | undefined): readonly string[] =>
  name === undefined || nameForm.test(name) ? [] : ['--profile must be letters, digits, ., - and _'];

/** @throws LoginError */
export function profilePath(io: LoginIo, name: string): string {
  const [fault] = profileFaults(name);
  if (fault !== undefined) throw new LoginError(fault);
  return `${io.folder}/profiles/${name}.json`;
}

export function writeProfile(io: LoginIo, name: string, profile: Profile): void {
  io.writePrivate(profilePath(io, name), `${JSON.stringify({ version: 1, ...profile }, undefined, 2)}\n`);
}

/** @throws LoginError where there is none, or one that cannot be used. */
export function readProfile(io: LoginIo, name: string): Profile {
  const text = io.readPrivate(profilePath(io, name));
  if (text === undefined) throw new LoginError(`nobody is logged in as profile ${name}: kubectl sidegate login --help`);
  const { version, token, expiresAt, again, renewal } = fieldsOf(text);
  if (version !== 1 || typeof token !== 'string' || typeof expiresAt !== 'number' || typeof again !== 'string')
    throw new LoginError(`profile ${name} cannot be read: log in again (kubectl sidegate login --help)`);
  const read = renewal === undefined ? undefined : renewalOf(JSON.stringify(renewal));
  return { token, expiresAt, again, ...(read !== undefined && { renewal: read }) };
}

function renewalOf(text: string): Renewal | undefined {
  const fields = fieldsOf(text);
  const [issuer, tokenEndpoint, clientId, refreshToken] = ['issuer', 'tokenEndpoint', 'clientId', 'refreshToken'].map(
    (key) => textOf(fields[key]),
  );
  if (issuer === undefined || tokenEndpoint === undefined || clientId === undefined || refreshToken === undefined)
    return undefined;
  const [clientSecretFile, caFile] = [textOf(fields['clientSecretFile']), textOf(fields['caFile'])];
  return {
    issuer,
    tokenEndpoint,
    clientId,
    refreshToken,
    kind: fields['kind'] === 'id' ? 'id' : 'access',
    ...(clientSecretFile !== undefined && { clientSecretFile }),
    ...(caFile !== undefined && { caFile }),
  };
}

/** When a token ends, by its own word. @throws LoginError where it is no JWT: a sidecar could not read it. */
export function endOf(token: string): number {
  const exp = claimsOf(token)?.['exp'];
  if (typeof exp === 'number') return exp * 1_000;
  throw new LoginError(
    'the issuer gave a token that is no JWT, which only the issuer can read: ask for one with --audience or --resource, or take the ID token with --token id',
  );
}

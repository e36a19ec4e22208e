import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { CodedError, Secret, jsonValue, parseJson } from '../../base/index.ts';
import type { JsonValue } from '../../base/index.ts';
import { sidegateAlgorithm } from '../algorithms.ts';

/**
 * The keys that sign Sidegate's own tokens and their rotation, as a state that is kept in one Secret and moves in four steps:
 *
 *   create   the first key
 *   publish  a second one is made and told to all sidecars; the first still signs
 *   switch   the second signs; the first still counts
 *   drop     the first is forgotten
 *
 * Between publish and switch every sidecar has had time to learn the new key; between switch and drop every token of the old one has
 * ended. So each token counts everywhere from its first second to its last.
 */
export interface TokenKeyState {
  /** Signs. */
  readonly current: TokenKey;
  /** Counts, and does not sign yet. */
  readonly next?: TokenKey;
  /** Counts, and signs no more: its private half is gone. */
  readonly previous?: PublicJwk;
  /** When the last step was taken, epoch milliseconds. */
  readonly since: number;
}

export interface TokenKey {
  readonly jwk: PublicJwk;
  /** PKCS#8 PEM. */
  readonly key: Secret;
}

/** A public key on P-256; `kid` is its thumbprint (RFC 7638). */
export interface PublicJwk {
  readonly kty: 'EC';
  readonly crv: 'P-256';
  readonly x: string;
  readonly y: string;
  readonly kid: string;
  readonly use: 'sig';
  readonly alg: string;
}

export type TokenKeyStep = 'create' | 'publish' | 'switch' | 'drop';

export interface TokenKeyTiming {
  /** How long a key signs before another is published; default 30 days. */
  readonly signMs: number;
  /** From publish to switch; default 48 h: longer than a sidecar serves without its controller. */
  readonly publishMs: number;
  /** From switch to drop; default 2 h: longer than a token lives. */
  readonly dropMs: number;
}

const hour = 3_600_000;
export const tokenKeyTiming: TokenKeyTiming = { signMs: 720 * hour, publishMs: 48 * hour, dropMs: 2 * hour };

/** The Secret with the keys is no good: it is reported, and never replaced, for sidecars believe what it was. */
export class TokenKeyError extends CodedError<'token_keys_invalid'> {
  constructor(message: string, options?: { readonly cause?: unknown }) {
    super('token_keys_invalid', message, options);
    this.name = 'TokenKeyError';
  }
}

/** What is due now; undefined: nothing. Pure. A clock that went back makes it wait, never hurry. */
export function dueTokenKeyStep(
  state: TokenKeyState | undefined,
  now: number,
  timing: TokenKeyTiming = tokenKeyTiming,
): TokenKeyStep | undefined {
  if (state === undefined) return 'create';
  const waited = now - state.since;
  if (state.previous !== undefined) return waited >= timing.dropMs ? 'drop' : undefined;
  if (state.next !== undefined) return waited >= timing.publishMs ? 'switch' : undefined;
  return waited >= timing.signMs ? 'publish' : undefined;
}

/** The state after the step that is due. */
export function afterTokenKeyStep(state: TokenKeyState | undefined, step: TokenKeyStep, since: number): TokenKeyState {
  if (state === undefined) return { current: createTokenKey(), since };
  const { current, next } = state;
  if (step === 'publish') return { current, next: createTokenKey(), since };
  if (step === 'switch' && next !== undefined) return { current: next, previous: current.jwk, since };
  return { current, since };
}

export function createTokenKey(): TokenKey {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return tokenKeyOf(privateKey);
}

function tokenKeyOf(privateKey: KeyObject): TokenKey {
  const { kty, crv, x, y } = createPublicKey(privateKey).export({ format: 'jwk' });
  if (kty !== 'EC' || crv !== 'P-256' || x === undefined || y === undefined)
    throw new TokenKeyError('a key of tokens is not on P-256');
  return {
    jwk: publicJwk(x, y),
    key: new Secret(privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()),
  };
}

function publicJwk(x: string, y: string): PublicJwk {
  const kid = createHash('sha256')
    .update(JSON.stringify({ crv: 'P-256', kty: 'EC', x, y }))
    .digest('base64url');
  return { kty: 'EC', crv: 'P-256', x, y, kid, use: 'sig', alg: sidegateAlgorithm };
}

/** All keys that count now, as a JWK set (RFC 7517 section 5). Equal states give equal texts. */
export function tokenKeySet({ current, next, previous }: TokenKeyState): string {
  const keys = [current.jwk, next?.jwk, previous].filter((key) => key !== undefined);
  return JSON.stringify({ keys: keys.sort((a, b) => (a.kid < b.kid ? -1 : 1)) });
}

const names = { current: 'current.pem', next: 'next.pem', previous: 'previous.json', since: 'since' } as const;

/** The data of the Secret, as text. */
export function writeTokenKeys({ current, next, previous, since }: TokenKeyState): Readonly<Record<string, string>> {
  return {
    [names.current]: current.key.reveal(),
    ...(next === undefined ? {} : { [names.next]: next.key.reveal() }),
    ...(previous === undefined ? {} : { [names.previous]: JSON.stringify(previous) }),
    [names.since]: new Date(since).toISOString(),
  };
}

/** What {@link writeTokenKeys} wrote. @throws TokenKeyError */
export function readTokenKeys(data: Readonly<Record<string, string>>): TokenKeyState {
  const since = Date.parse(data[names.since] ?? '');
  if (Number.isNaN(since)) throw new TokenKeyError(`the keys of tokens have no date in ${names.since}`);
  const { [names.next]: next, [names.previous]: previous } = data;
  return {
    current: readKey(data[names.current]),
    ...(next === undefined ? {} : { next: readKey(next) }),
    ...(previous === undefined ? {} : { previous: readPrevious(previous) }),
    since,
  };
}

function readKey(pem: string | undefined): TokenKey {
  try {
    return tokenKeyOf(createPrivateKey(pem ?? ''));
  } catch (cause) {
    throw new TokenKeyError('a key of tokens cannot be read', { cause });
  }
}

function readPrevious(text: string): PublicJwk {
  let value: JsonValue;
  try {
    value = jsonValue(parseJson(text));
  } catch (cause) {
    throw new TokenKeyError(`${names.previous} of the keys of tokens cannot be read`, { cause });
  }
  const { x, y } = typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {};
  if (typeof x !== 'string' || typeof y !== 'string')
    throw new TokenKeyError(`${names.previous} of the keys of tokens is no key`);
  return publicJwk(x, y);
}

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { Secret } from '../base/index.ts';
import { certificateFacts } from './certificate-facts.ts';
import { PkiError } from './pki-error.ts';

/**
 * An authority and its rotation, as a state that is kept in one Secret and moves in four steps:
 *
 *   create   the first authority
 *   publish  a second one is made and trusted; the first still signs
 *   switch   the second signs; the first is still trusted
 *   drop     the first is forgotten
 *
 * Between publish and switch every reader has had time to learn the new authority; between switch and drop every leaf of
 * the old one has ended. So at each moment whoever keeps up trusts all that is signed.
 */
export interface AuthorityState {
  /** Signs. */
  readonly current: AuthorityPair;
  /** Trusted, and does not sign yet. */
  readonly next?: AuthorityPair;
  /** PEM; trusted, and signs no more. */
  readonly previous?: string;
  /** When the last step was taken, epoch milliseconds. */
  readonly since: number;
}

export interface AuthorityPair {
  /** PEM. */
  readonly cert: string;
  /** PKCS#8 PEM. */
  readonly key: Secret;
}

export type AuthorityStep = 'create' | 'publish' | 'switch' | 'drop';

export interface RotationTiming {
  /** From publish to switch; default 48 h: longer than a sidecar serves without its controller. */
  readonly publishMs: number;
  /** From switch to drop; default 25 h: longer than a leaf lives. */
  readonly dropMs: number;
}

const hour = 3_600_000;
export const rotationTiming: RotationTiming = { publishMs: 48 * hour, dropMs: 25 * hour };

/**
 * What is due now; undefined: nothing. Pure.
 *
 * @param asked An operator wants a new authority: published at once, then as always.
 */
export function dueStep(
  state: AuthorityState | undefined,
  now: number,
  timing: RotationTiming = rotationTiming,
  asked = false,
): AuthorityStep | undefined {
  if (state === undefined) return 'create';
  const { notBefore, notAfter } = certificateFacts(state.current.cert);
  // A clock that went back makes it wait, never hurry.
  const waited = now - state.since;
  if (state.previous !== undefined) return waited >= timing.dropMs ? 'drop' : undefined;
  // What nobody accepts any more is not worth waiting for.
  if (state.next !== undefined) return waited >= timing.publishMs || now >= notAfter ? 'switch' : undefined;
  return asked || now >= notBefore + ((notAfter - notBefore) * 2) / 3 ? 'publish' : undefined;
}

/**
 * The state after a step. Pure, but for the pair that `create` and `publish` need.
 *
 * @throws RangeError for a step that the state does not have.
 */
export function afterStep(
  state: AuthorityState | undefined,
  step: AuthorityStep,
  now: number,
  fresh?: AuthorityPair,
): AuthorityState {
  const since = now;
  if (step === 'create' && state === undefined && fresh !== undefined) return { current: fresh, since };
  if (state !== undefined) {
    const { current, next, previous } = state;
    const steady = next === undefined && previous === undefined;
    if (step === 'publish' && steady && fresh !== undefined) return { current, next: fresh, since };
    if (step === 'switch' && next !== undefined) return { current: next, previous: current.cert, since };
    if (step === 'drop' && previous !== undefined) return { current, since };
  }
  throw new RangeError(`an authority in this state has no step ${step}`);
}

/** PEM of every authority that counts: the one that signs first. */
export function bundleOf(state: AuthorityState): string {
  return [state.current.cert, state.next?.cert, state.previous]
    .filter((pem) => pem !== undefined)
    .map((pem) => `${pem.trim()}\n`)
    .join('');
}

const keys = {
  cert: 'ca.crt',
  key: 'ca.key',
  nextCert: 'next.crt',
  nextKey: 'next.key',
  previous: 'previous.crt',
  since: 'since',
} as const;

/** The data of the Secret, as text. */
export function writeAuthority(state: AuthorityState): Readonly<Record<string, string>> {
  return {
    [keys.cert]: state.current.cert,
    [keys.key]: state.current.key.reveal(),
    ...(state.next === undefined ? {} : { [keys.nextCert]: state.next.cert, [keys.nextKey]: state.next.key.reveal() }),
    ...(state.previous === undefined ? {} : { [keys.previous]: state.previous }),
    [keys.since]: new Date(state.since).toISOString(),
  };
}

/**
 * What {@link writeAuthority} wrote. A Secret that is no good is an error and never a reason to make a new authority: all
 * that runs trusts the old one.
 *
 * @throws PkiError authority_invalid
 */
export function readAuthority(data: Readonly<Record<string, string>>): AuthorityState {
  const since = Date.parse(data[keys.since] ?? '');
  if (Number.isNaN(since)) throw new PkiError('authority_invalid', `the authority has no date in ${keys.since}`);
  const current = readPair(data, keys.cert, keys.key);
  const next =
    data[keys.nextCert] === undefined && data[keys.nextKey] === undefined
      ? undefined
      : readPair(data, keys.nextCert, keys.nextKey);
  const previous = data[keys.previous];
  if (previous !== undefined) readCertificate(previous, keys.previous);
  if (next !== undefined && previous !== undefined)
    throw new PkiError('authority_invalid', `the authority has both ${keys.nextCert} and ${keys.previous}`);
  return {
    current,
    ...(next === undefined ? {} : { next }),
    ...(previous === undefined ? {} : { previous }),
    since,
  };
}

function readPair(data: Readonly<Record<string, string>>, certKey: string, keyKey: string): AuthorityPair {
  const [cert, key] = [data[certKey], data[keyKey]];
  if (cert === undefined || key === undefined)
    throw new PkiError('authority_invalid', `the authority has no ${cert === undefined ? certKey : keyKey}`);
  const certificate = readCertificate(cert, certKey);
  try {
    if (certificate.checkPrivateKey(createPrivateKey(key))) return { cert, key: new Secret(key) };
  } catch (cause) {
    throw new PkiError('authority_invalid', `${keyKey} of the authority is not a private key`, { cause });
  }
  throw new PkiError('authority_invalid', `${keyKey} of the authority is not the key of ${certKey}`);
}

function readCertificate(pem: string, at: string): X509Certificate {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(pem);
  } catch (cause) {
    throw new PkiError('authority_invalid', `${at} of the authority is not a certificate`, { cause });
  }
  if (!certificate.ca) throw new PkiError('authority_invalid', `${at} of the authority is not an authority's`);
  return certificate;
}

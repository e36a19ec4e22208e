import { randomBytes } from 'node:crypto';
import { isIP } from 'node:net';
import { Secret } from '../base/index.ts';
import type { Clock } from '../base/index.ts';
import { bundleOf } from './authority-state.ts';
import type { AuthorityPair, AuthorityState } from './authority-state.ts';
import { certificateFacts } from './certificate-facts.ts';
import { issueAuthority } from './issue.ts';
import { PkiError } from './pki-error.ts';
import { provenKey } from './request.ts';
import { createSigner } from './signer.ts';
import type { Signer } from './signer.ts';

/**
 * The authority of a cluster, as a process holds it: signs requests with names that the caller of {@link Authority.sign}
 * decided, and never with anything that stands in the request.
 *
 * A certificate is for clients or for servers, never both; it lives 24 h, and never longer than its authority.
 */
export interface Authority {
  /** PEM of every authority that counts now. */
  bundle(): string;
  state(): AuthorityState;
  /** Takes another state of the same authority, after a step of its rotation. */
  replace(state: AuthorityState): void;
  /** Called after {@link replace}. Returns how to stop. */
  subscribe(listener: () => void): () => void;
  /**
   * @returns PEM.
   * @throws PkiError request_invalid, names_invalid, authority_expired
   */
  sign(request: CertificateSigning): Promise<string>;
}

export type CertificateSigning =
  /** `uri`: a SPIFFE id. */
  | { readonly purpose: 'client'; readonly csr: string; readonly uri: string }
  /** DNS names, each once. */
  | { readonly purpose: 'server'; readonly csr: string; readonly dnsNames: readonly string[] };

const hour = 3_600_000;
const day = 24 * hour;
export const leafLifeMs = day;
/** Peers' clocks may be a little behind. */
const backdateMs = 5 * 60_000;
const authorityLifeMs = 365 * day;

/** A fresh pair for the steps `create` and `publish`. */
export async function createAuthorityPair(clock: Clock, lifeMs = authorityLifeMs): Promise<AuthorityPair> {
  const now = clock.now();
  // A name of its own: readers tell authorities apart by it when they build a chain.
  const { cert, key } = await issueAuthority(`Sidegate CA ${randomBytes(8).toString('hex')}`, {
    notBefore: now - backdateMs,
    notAfter: now + lifeMs,
  });
  return { cert, key: new Secret(key) };
}

export interface AuthorityOptions {
  readonly state: AuthorityState;
  readonly clock: Clock;
}

export function createAuthority({ state: initial, clock }: AuthorityOptions): Authority {
  let state = initial;
  let bundle = bundleOf(state);
  let signer: { readonly cert: string; readonly made: Promise<Signer>; readonly until: number } | undefined;
  const listeners = new Set<() => void>();

  const currentSigner = (): NonNullable<typeof signer> => {
    const { cert, key } = state.current;
    if (signer?.cert === cert) return signer;
    const made = createSigner({ cert, key: key.reveal() });
    signer = { cert, made, until: certificateFacts(cert).notAfter };
    return signer;
  };

  return {
    bundle: () => bundle,
    state: () => state,
    replace(next) {
      state = next;
      bundle = bundleOf(next);
      for (const listener of [...listeners]) listener();
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async sign(request) {
      const names = namesOf(request);
      const publicKey = provenKey(request.csr);
      const { made, until } = currentSigner();
      const now = clock.now();
      if (now >= until) throw new PkiError('authority_expired', 'the time of the authority is over');
      const validity = { notBefore: now - backdateMs, notAfter: Math.min(now + leafLifeMs, until) };
      return (await made).sign({ publicKey, usage: request.purpose, names, validity });
    },
  };
}

/** RFC 1123, lower case, no wildcard. */
const dnsName = /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/;
/** The characters that a SPIFFE id has (SPIFFE-ID section 2); none of them needs quoting anywhere. */
const spiffeId = /^spiffe:\/\/[a-z0-9._-]{1,253}(?:\/[A-Za-z0-9._-]{1,253}){1,16}$/;
const mostNames = 300;

function namesOf(request: CertificateSigning): readonly { readonly type: 'dns' | 'url'; readonly value: string }[] {
  if (request.purpose === 'client') {
    if (!spiffeId.test(request.uri)) throw new PkiError('names_invalid', 'not a SPIFFE id');
    return [{ type: 'url', value: request.uri }];
  }
  const names = [...new Set(request.dnsNames)];
  if (names.length === 0 || names.length > mostNames)
    throw new PkiError('names_invalid', `a server certificate has 1 to ${mostNames} names`);
  // An address in a DNS name would be read as one by some clients.
  if (!names.every((name) => dnsName.test(name) && isIP(name) === 0))
    throw new PkiError('names_invalid', 'not a DNS name');
  return names.map((value) => ({ type: 'dns', value }));
}

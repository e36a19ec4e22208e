import { hash, randomBytes } from 'node:crypto';
import { createSeldom, describeError } from '../base/index.ts';
import type { Clock, Logger } from '../base/index.ts';
import type { CompiledProvider, Identity } from '../core/index.ts';
import { BoundedCache } from './bounded-cache.ts';
import { boundCertificate } from './certificate-binding.ts';
import { checkTimes, isForAny } from './claims.ts';
import { maxTokenLength, parseCompactToken } from './compact-token.ts';
import type { ParsedToken } from './compact-token.ts';
import { createHttpGet } from './http-get.ts';
import type { HttpGet } from './http-get.ts';
import { defaultKeySetTimes } from './key-set.ts';
import { KeySetPool, sourceName } from './key-set-pool.ts';
import type { KeyFinder, KeySetHolder } from './key-set-pool.ts';
import type { KeySourceSpec } from './key-source.ts';
import { KeysUnavailable, provenBy } from './signature.ts';
import { TokenFault } from './token-fault.ts';
import { createTokenProvider } from './token-provider.ts';
import type { TokenProvider } from './token-provider.ts';
import type { VerificationKey } from './verification-key.ts';

/**
 * Says of one token who it proves to each of many providers, as whoever serves many namespaces has to.
 *
 * Promise: as of {@link createIdentityVerifier}, but of each provider by itself, and of an issuer and its keys one signature is computed however
 * many providers take them. A token that is bound to a certificate proves nobody here: there is none.
 */
export interface TokenWitness {
  /** Whether somebody was proven by it lately. Costs one digest. */
  knows(token: string): boolean;
  /** What is known of it without a signature being computed; undefined: one would have to be. Costs one digest where nothing is known. */
  recall(token: string, providers: readonly CompiledProvider[]): TokenProof | undefined;
  /** Never rejects. */
  prove(token: string, providers: readonly CompiledProvider[]): Promise<TokenProof>;
}

export interface TokenProof {
  /** In the order of the providers. */
  readonly identities: readonly Identity[];
  /** An issuer that may have signed it does not answer. */
  readonly unavailable: boolean;
}

export interface TokenWitnessOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** How metadata and keys are fetched; default `node:https`, no redirects, capped in size and time. */
  readonly fetch?: HttpGet;
}

/** Tokens that were proven, and signatures that were refused. */
const mostProven = 10_000;
const mostRefused = 10_000;
const provenMs = 300_000;
const refusedMs = 5_000;
/** Issuers with their keys that are kept fresh; of the others the one that was not asked for longest goes. */
const mostSources = 1_024;
/** One token may be proven by the keys of so many policies; more are asked anew each time. */
const mostSourcesOfOne = 64;

interface Proof {
  readonly key: VerificationKey;
  /** Monotonic. */
  readonly until: number;
}

type Signature = VerificationKey | 'refused' | 'unavailable';

const nobody: TokenProof = { identities: [], unavailable: false };

export function createTokenWitness(options: TokenWitnessOptions): TokenWitness {
  const { clock, logger } = options;
  const seldom = createSeldom(clock);
  const sources = new Sources(
    new KeySetPool({ clock, logger, get: options.fetch ?? createHttpGet(clock), times: defaultKeySetTimes }),
  );
  /** Of each provider as it was compiled, so that an edit makes another. */
  const ready = new WeakMap<CompiledProvider, { readonly provider: TokenProvider | undefined }>();
  const proofs = new BoundedCache<Map<string, Proof>>(mostProven);
  const refusals = new BoundedCache<number>(mostRefused);
  const pending = new Map<string, Promise<Signature>>();
  /** Tokens are kept as digests under a key that never leaves: a dump names none. */
  const digestKey = randomBytes(32).toString('base64');
  const digestOf = (token: string): string => hash('sha256', digestKey + token, 'base64');

  const readyOf = (provider: CompiledProvider): TokenProvider | undefined => {
    let found = ready.get(provider);
    if (found === undefined) {
      found = { provider: createTokenProvider(provider, sources, undefined, logger) };
      ready.set(provider, found);
    }
    return found.provider;
  };
  const told = (provider: string | undefined, why: string): void => {
    const unsaid = seldom(why);
    if (unsaid === undefined) logger.debug('a token was refused', { provider, why });
    else logger.info('a token was refused', { provider, why, unsaid });
  };
  const parse = (token: string): ParsedToken | undefined => {
    try {
      return parseCompactToken(token);
    } catch (error) {
      told(undefined, error instanceof TokenFault ? error.code : 'not_a_token');
      return undefined;
    }
  };
  const meantBy = ({ claims, algorithm }: ParsedToken, providers: readonly CompiledProvider[]): TokenProvider[] => {
    const meant: TokenProvider[] = [];
    for (const one of providers) {
      const provider = readyOf(one);
      if (provider === undefined || provider.issuer !== claims['iss']) continue;
      if (isForAny(claims, provider.audiences) && provider.algorithms.has(algorithm)) meant.push(provider);
    }
    return meant;
  };

  const proofOf = (digest: string, source: string): VerificationKey | undefined => {
    const known = proofs.get(digest)?.get(source);
    return known !== undefined && !known.key.retired && clock.monotonic() < known.until ? known.key : undefined;
  };
  const isRefused = (digest: string, source: string): boolean =>
    clock.monotonic() < (refusals.get(digest + source) ?? Number.NEGATIVE_INFINITY);
  const keep = (digest: string, source: string, key: VerificationKey): void => {
    const bySource = proofs.get(digest) ?? new Map<string, Proof>();
    if (!bySource.has(source) && bySource.size >= mostSourcesOfOne) return;
    bySource.set(source, { key, until: clock.monotonic() + provenMs });
    proofs.set(digest, bySource);
  };

  const judge = async (token: string, parsed: ParsedToken, digest: string, keys: KeyFinder): Promise<Signature> => {
    try {
      const key = await provenBy(token, parsed, keys);
      keep(digest, keys.name, key);
      return key;
    } catch (error) {
      if (error instanceof KeysUnavailable) return 'unavailable';
      if (!(error instanceof TokenFault)) logger.error('a token could not be judged', { error: describeError(error) });
      else told(undefined, error.code);
      // An unknown key may be published in the next moment, and costs no signature.
      if (!(error instanceof TokenFault && error.code === 'key_unknown'))
        refusals.set(digest + keys.name, clock.monotonic() + refusedMs);
      return 'refused';
    }
  };
  /** Of one token and one source at a time one is computed. */
  const signatureOf = (token: string, parsed: ParsedToken, digest: string, keys: KeyFinder): Promise<Signature> => {
    const name = digest + keys.name;
    const known = proofOf(digest, keys.name) ?? (isRefused(digest, keys.name) ? 'refused' : pending.get(name));
    if (known !== undefined) return Promise.resolve(known);
    const judged = judge(token, parsed, digest, keys).finally(() => pending.delete(name));
    pending.set(name, judged);
    return judged;
  };

  const identityOf = ({ claims }: ParsedToken, provider: TokenProvider): Identity | undefined => {
    try {
      if (boundCertificate(claims) !== undefined) throw new TokenFault('binding');
      return provider.identityOf(claims, checkTimes(claims, clock.now(), provider.skewMs));
    } catch (error) {
      if (!(error instanceof TokenFault)) throw error;
      told(provider.id, error.code);
      return undefined;
    }
  };
  const proofBy = (
    parsed: ParsedToken,
    meant: readonly TokenProvider[],
    signatures: ReadonlyMap<string, Signature>,
  ): TokenProof => {
    const signed = meant.filter(({ keys }) => typeof signatures.get(keys.name) === 'object');
    return {
      identities: signed.flatMap((provider) => identityOf(parsed, provider) ?? []),
      unavailable: [...signatures.values()].includes('unavailable'),
    };
  };

  return {
    knows: (token) => token.length <= maxTokenLength && proofs.get(digestOf(token)) !== undefined,
    recall(token, providers) {
      if (token.length > maxTokenLength) return nobody;
      const digest = digestOf(token);
      // Most of what is made up ends here: nothing of it is read.
      if (proofs.get(digest) === undefined) return undefined;
      const parsed = parse(token);
      if (parsed === undefined) return nobody;
      const meant = meantBy(parsed, providers);
      const signatures = new Map<string, Signature>();
      for (const { keys } of meant) {
        const known = proofOf(digest, keys.name) ?? (isRefused(digest, keys.name) ? 'refused' : undefined);
        if (known === undefined) return undefined;
        signatures.set(keys.name, known);
      }
      return proofBy(parsed, meant, signatures);
    },
    async prove(token, providers) {
      if (token.length > maxTokenLength) return nobody;
      const parsed = parse(token);
      if (parsed === undefined) return nobody;
      const meant = meantBy(parsed, providers);
      const digest = digestOf(token);
      const signatures = new Map<string, Signature>();
      const finders = new Map(meant.map(({ keys }) => [keys.name, keys]));
      await Promise.all(
        [...finders].map(async ([name, keys]) => {
          signatures.set(name, await signatureOf(token, parsed, digest, keys));
        }),
      );
      return proofBy(parsed, meant, signatures);
    },
  };
}

/** Key sets by where they come from, of which only those are held that tokens ask for. */
class Sources implements KeySetHolder {
  readonly #pool: KeySetPool;
  readonly #held = new Map<string, ReturnType<KeySetPool['acquire']>>();

  constructor(pool: KeySetPool) {
    this.#pool = pool;
  }

  acquire(spec: KeySourceSpec): { readonly keys: KeyFinder; release(): void } {
    const name = sourceName(spec);
    const keys: KeyFinder = {
      name,
      find: (keyId, algorithm) => this.#of(name, spec).find(keyId, algorithm),
      newer: (algorithm) => this.#of(name, spec).newer(algorithm),
    };
    return { keys, release: () => undefined };
  }

  #of(name: string, spec: KeySourceSpec): KeyFinder {
    const held = this.#held.get(name) ?? this.#pool.acquire(spec);
    this.#held.delete(name);
    this.#held.set(name, held);
    const [oldest] = this.#held.keys();
    if (this.#held.size > mostSources && oldest !== undefined) {
      this.#held.get(oldest)?.release();
      this.#held.delete(oldest);
    }
    return held.keys;
  }
}

import { hash, randomBytes } from 'node:crypto';
import { createSeldom, describeError } from '../base/index.ts';
import type { Clock, Logger, Seldom } from '../base/index.ts';
import type {
  CompiledProvider,
  Identity,
  IdentityResult,
  IdentityVerifier,
  IdentityVerifierFactory,
  PresentedCredentials,
} from '../core/index.ts';
import { BoundedCache } from './bounded-cache.ts';
import { boundCertificate, thumbprintOf } from './certificate-binding.ts';
import { CertificateVerifier } from './certificate-verifier.ts';
import { checkTimes, isForAny } from './claims.ts';
import { maxTokenLength, parseCompactToken } from './compact-token.ts';
import type { ParsedToken } from './compact-token.ts';
import { createHttpGet } from './http-get.ts';
import type { HttpGet, ReadSecret } from './http-get.ts';
import { defaultKeySetTimes } from './key-set.ts';
import type { KeySetTimes } from './key-set.ts';
import { KeySetPool } from './key-set-pool.ts';
import { KeysUnavailable, provenBy } from './signature.ts';
import { TokenFault } from './token-fault.ts';
import type { TokenFaultCode } from './token-fault.ts';
import { createTokenProvider } from './token-provider.ts';
import type { ClusterIssuer, TokenProvider } from './token-provider.ts';
import type { VerificationKey } from './verification-key.ts';

/**
 * Proves callers by token or client certificate.
 *
 * Promise: an identity comes only from a token that one of the providers' issuers signed for one of that provider's
 * audiences, with an asymmetric algorithm, and that is valid now; or from a certificate of one of the providers'
 * authorities. A proven token is remembered for five minutes, never past its `exp` and never past the next refresh that
 * no longer has its key. Nothing is remembered across verifiers: a policy change judges every token anew.
 *
 * When both a token and a certificate are presented, **the token decides**, also when it is refused: a mesh presents
 * its certificate with every connection, and the caller behind it is whom the token names. The certificate then only
 * serves tokens that are bound to it (`cnf`, RFC 8705).
 */

export interface IdentityCaches {
  /** Proven tokens remembered per verifier; default 10,000 (about 1 KiB each). */
  readonly tokens?: number;
  /** Refused tokens remembered per verifier; default 2,000. */
  readonly refusals?: number;
  /** Certificates judged and remembered per verifier; default 2,000. */
  readonly certificates?: number;
  /** Longest time a proven token is believed without another look, milliseconds; default 5 min. */
  readonly tokenMs?: number;
  /** How long a refusal is remembered, milliseconds; default 5 s. */
  readonly refusalMs?: number;
}

export interface IdentityOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** How metadata and keys are fetched; default `node:https`, no redirects, capped in size and time. */
  readonly fetch?: HttpGet;
  /** Secrets that policies name: authorities of issuers. Default: there is no cluster, so they are missing. */
  readonly secret?: ReadSecret;
  readonly caches?: IdentityCaches;
  readonly keySets?: Partial<KeySetTimes>;
  /** For providers of service-account tokens that name no issuer. */
  readonly cluster?: ClusterIssuer;
  /** Told of each token: `hit` when it was answered from memory, proven or refused; `miss` when it had to be judged. */
  readonly onCache?: (result: 'hit' | 'miss') => void;
}

/** Verifiers of one factory share issuers' keys, so that a policy swap fetches nothing again. */
export function createIdentityVerifier(options: IdentityOptions): IdentityVerifierFactory {
  const { clock, logger } = options;
  const pool = new KeySetPool({
    clock,
    logger,
    get: options.fetch ?? createHttpGet(clock, options.secret),
    times: { ...defaultKeySetTimes, ...options.keySets },
  });
  const seldom = createSeldom(clock);
  return (providers) => new ProviderVerifier(providers, pool, options, seldom);
}

type Refusal = Extract<IdentityResult, { kind: 'refused' }>;

interface Proof {
  readonly kind: 'proof';
  readonly result: { readonly kind: 'proven'; readonly identity: Identity };
  readonly key: VerificationKey;
  /** SHA-256 of the certificate that must come with the token; undefined: a plain bearer token. */
  readonly boundTo: string | undefined;
  /** Wall clock: the token's own end. */
  readonly expiresAt: number;
  /** Monotonic: when it is looked at again. */
  readonly until: number;
}

const absent: IdentityResult = { kind: 'absent' };
const invalid: Refusal = { kind: 'refused', reason: 'token_invalid' };
const expired: Refusal = { kind: 'refused', reason: 'token_expired' };
const unavailable: Refusal = { kind: 'refused', reason: 'identity_unavailable' };

/** There is no cluster. */
const noSecret: ReadSecret = () => undefined;

/** These may end without the token changing: a key appears, time passes. All others are remembered for a moment. */
const passing: ReadonlySet<TokenFaultCode> = new Set(['key_unknown', 'not_yet_valid']);

class ProviderVerifier implements IdentityVerifier {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #seldom: Seldom;
  /** In policy order. */
  readonly #byIssuer = new Map<string, TokenProvider[]>();
  readonly #certificates: CertificateVerifier;
  readonly #proofs: BoundedCache<Proof>;
  readonly #refusals: BoundedCache<{ readonly refusal: Refusal; readonly until: number }>;
  readonly #pending = new Map<string, Promise<Proof | Refusal>>();
  readonly #tokenMs: number;
  readonly #refusalMs: number;
  readonly #onCache: ((result: 'hit' | 'miss') => void) | undefined;
  /** Tokens are kept as digests under a key of this verifier, which never leaves it: a dump of the map names no token. */
  readonly #digestKey = randomBytes(32).toString('base64');

  constructor(providers: readonly CompiledProvider[], pool: KeySetPool, options: IdentityOptions, seldom: Seldom) {
    this.#seldom = seldom;
    const { clock, logger, caches = {} } = options;
    this.#clock = clock;
    this.#logger = logger;
    this.#tokenMs = caches.tokenMs ?? 300_000;
    this.#refusalMs = caches.refusalMs ?? 5_000;
    this.#onCache = options.onCache;
    this.#proofs = new BoundedCache(caches.tokens ?? 10_000);
    this.#refusals = new BoundedCache(caches.refusals ?? 2_000);
    this.#certificates = new CertificateVerifier(providers, {
      clock,
      logger,
      secret: options.secret ?? noSecret,
      remembered: caches.certificates ?? 2_000,
    });
    for (const provider of providers) {
      const ready = createTokenProvider(provider, pool, options.cluster, logger);
      if (ready === undefined) continue;
      const same = this.#byIssuer.get(ready.issuer);
      if (same === undefined) this.#byIssuer.set(ready.issuer, [ready]);
      else same.push(ready);
    }
  }

  verify(credentials: PresentedCredentials): IdentityResult | Promise<IdentityResult> {
    if (credentials.token !== undefined) return this.#token(credentials.token, credentials.certificate);
    if (credentials.certificate !== undefined) return this.#certificates.verify(credentials.certificate);
    return absent;
  }

  clientAuthorities(): string | undefined {
    return this.#certificates.authorities();
  }

  /** Stops what runs in the background. Requests that still hold this verifier are judged as before. */
  close(): void {
    for (const providers of this.#byIssuer.values()) for (const provider of providers) provider.release();
    this.#certificates.close();
  }

  #token(token: string, certificate: Uint8Array | undefined): IdentityResult | Promise<IdentityResult> {
    if (token.length > maxTokenLength) {
      this.#told('too_large', undefined);
      return invalid;
    }
    const digest = hash('sha256', this.#digestKey + token, 'base64');
    const proof = this.#proofs.get(digest);
    if (proof !== undefined) {
      if (this.#stands(proof)) {
        this.#onCache?.('hit');
        return this.#settle(proof, certificate);
      }
      this.#proofs.delete(digest);
    }
    const refused = this.#refusals.get(digest);
    if (refused !== undefined) {
      if (this.#clock.monotonic() < refused.until) {
        this.#onCache?.('hit');
        return refused.refusal;
      }
      this.#refusals.delete(digest);
    }
    this.#onCache?.('miss');
    return this.#judgeOnce(digest, token, certificate);
  }

  #stands(proof: Proof): boolean {
    return !proof.key.retired && this.#clock.now() < proof.expiresAt && this.#clock.monotonic() < proof.until;
  }

  /** Requests that bring the same token at the same time wait for one judgement. */
  #judgeOnce(
    digest: string,
    token: string,
    certificate: Uint8Array | undefined,
  ): IdentityResult | Promise<IdentityResult> {
    let pending = this.#pending.get(digest);
    if (pending === undefined) {
      const selected = this.#select(token);
      if (selected instanceof TokenFault) return this.#refuse(digest, selected, undefined);
      pending = this.#judge(digest, token, selected).finally(() => this.#pending.delete(digest));
      this.#pending.set(digest, pending);
    }
    return pending.then((outcome) => (outcome.kind === 'proof' ? this.#settle(outcome, certificate) : outcome));
  }

  /** Everything that can be said before a signature is computed: costs no promise and no key. */
  #select(token: string): Selection | TokenFault {
    try {
      const parsed = parseCompactToken(token);
      const { iss } = parsed.claims;
      const issued = typeof iss === 'string' ? this.#byIssuer.get(iss) : undefined;
      if (issued === undefined) return new TokenFault('issuer');
      const meant = issued.filter((provider) => isForAny(parsed.claims, provider.audiences));
      if (meant.length === 0) return new TokenFault('audience');
      const able = meant.filter((provider) => provider.algorithms.has(parsed.algorithm));
      return able.length === 0 ? new TokenFault('algorithm') : { parsed, providers: able };
    } catch (error) {
      return error instanceof TokenFault ? error : new TokenFault('not_a_token', { cause: error });
    }
  }

  /** The first provider that proves it wins; else the first refusal counts. Never rejects. */
  async #judge(digest: string, token: string, { parsed, providers }: Selection): Promise<Proof | Refusal> {
    const faults: { readonly error: unknown; readonly provider: string }[] = [];
    for (const provider of providers) {
      try {
        const proof = await this.#prove(token, parsed, provider);
        if (this.#stands(proof)) this.#proofs.set(digest, proof);
        return proof;
      } catch (error) {
        faults.push({ error, provider: provider.id });
      }
    }
    return this.#refuse(digest, faults[0]?.error, faults[0]?.provider);
  }

  async #prove(token: string, parsed: ParsedToken, provider: TokenProvider): Promise<Proof> {
    const key = await provenBy(token, parsed, provider.keys);
    const expiresAt = checkTimes(parsed.claims, this.#clock.now(), provider.skewMs);
    return {
      kind: 'proof',
      result: { kind: 'proven', identity: provider.identityOf(parsed.claims, expiresAt) },
      key,
      boundTo: boundCertificate(parsed.claims),
      expiresAt,
      until: this.#clock.monotonic() + this.#tokenMs,
    };
  }

  #settle(proof: Proof, certificate: Uint8Array | undefined): IdentityResult {
    const result = settle(proof, certificate);
    if (result === invalid) this.#told('binding', undefined);
    return result;
  }

  /** One line a minute of each kind; the others where the level is debug. */
  #told(why: TokenFaultCode, provider: string | undefined): void {
    const unsaid = this.#seldom(`${provider} ${why}`);
    if (unsaid === undefined) this.#logger.debug('a token was refused', { provider, why });
    else this.#logger.info('a token was refused', { provider, why, unsaid });
  }

  #refuse(digest: string, error: unknown, provider: string | undefined): Refusal {
    if (error instanceof KeysUnavailable) return unavailable;
    if (!(error instanceof TokenFault)) {
      this.#logger.error('a token could not be judged', { provider, error: describeError(error) });
      return invalid;
    }
    this.#told(error.code, provider);
    const refusal = error.code === 'expired' ? expired : invalid;
    if (!passing.has(error.code)) {
      this.#refusals.set(digest, { refusal, until: this.#clock.monotonic() + this.#refusalMs });
    }
    return refusal;
  }
}

interface Selection {
  readonly parsed: ParsedToken;
  readonly providers: readonly TokenProvider[];
}

function settle(proof: Proof, certificate: Uint8Array | undefined): IdentityResult {
  if (proof.boundTo === undefined) return proof.result;
  return certificate !== undefined && thumbprintOf(certificate) === proof.boundTo ? proof.result : invalid;
}

import { createHash } from 'node:crypto';
import type { X509Certificate } from 'node:crypto';
import { describeError } from '../base/index.ts';
import type { Clock, Logger } from '../base/index.ts';
import type { ClientCertificateSpec, CompiledProvider, IdentityResult } from '../core/index.ts';
import { BoundedCache } from './bounded-cache.ts';
import { CertificateAuthorities } from './certificate-authorities.ts';
import type { AuthoritiesOptions } from './certificate-authorities.ts';
import { CertificateFault, certificateIdentity } from './client-certificate.ts';

/** A proven certificate is judged again after this long, though it changes only with its authorities or its dates. */
const rememberedMs = 300_000;

interface CertificateProvider {
  readonly provider: CompiledProvider;
  readonly spec: ClientCertificateSpec;
  readonly authorities: CertificateAuthorities;
}

interface Remembered {
  readonly result: Extract<IdentityResult, { kind: 'proven' }>;
  readonly authorities: CertificateAuthorities;
  /** The list that proved it: another list is another judgement. */
  readonly anchors: readonly X509Certificate[];
  readonly until: number;
}

/** Judges the connection's certificate by every provider of certificates, in policy order; always at once. */
export class CertificateVerifier {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #providers: readonly CertificateProvider[];
  readonly #remembered: BoundedCache<Remembered>;

  constructor(providers: readonly CompiledProvider[], options: AuthoritiesOptions & { readonly remembered: number }) {
    const { clock, logger } = options;
    this.#clock = clock;
    this.#logger = logger;
    this.#remembered = new BoundedCache(options.remembered);
    this.#providers = providers.flatMap((provider) => {
      const spec = provider.clientCertificate;
      if (spec === undefined) return [];
      return [{ provider, spec, authorities: new CertificateAuthorities(spec.ca, options) }];
    });
  }

  /** `absent` when no provider takes certificates: then one that happens to be there says nothing. */
  verify(der: Uint8Array): IdentityResult {
    if (this.#providers.length === 0) return { kind: 'absent' };
    const digest = createHash('sha256').update(der).digest('base64');
    const known = this.#remembered.get(digest);
    if (known !== undefined && this.#stands(known)) return known.result;
    return this.#judge(digest, der);
  }

  /** Authorities of all providers together, PEM; undefined when there are none. */
  authorities(): string | undefined {
    const all = this.#providers.flatMap(({ authorities }) => authorities.anchors ?? []);
    return all.length === 0 ? undefined : [...new Set(all.map((one) => one.toString()))].join('');
  }

  close(): void {
    for (const { authorities } of this.#providers) authorities.close();
  }

  #stands({ result, authorities, anchors, until }: Remembered): boolean {
    return (
      authorities.anchors === anchors &&
      this.#clock.monotonic() < until &&
      this.#clock.now() <= (result.identity.expiresAt ?? Number.NEGATIVE_INFINITY)
    );
  }

  #judge(digest: string, der: Uint8Array): IdentityResult {
    let isExpired = false;
    let isUnavailable = false;
    for (const { provider, spec, authorities } of this.#providers) {
      const { anchors } = authorities;
      if (anchors === undefined) {
        isUnavailable = true;
        continue;
      }
      try {
        const identity = certificateIdentity(provider, spec, anchors, der, this.#clock.now());
        const result = { kind: 'proven', identity } as const;
        this.#remembered.set(digest, { result, authorities, anchors, until: this.#clock.monotonic() + rememberedMs });
        return result;
      } catch (error) {
        const why = error instanceof CertificateFault ? error.code : describeError(error);
        this.#logger.debug('a client certificate was refused', { provider: provider.id, why });
        isExpired ||= why === 'expired';
      }
    }
    if (isUnavailable) return { kind: 'refused', reason: 'identity_unavailable' };
    return { kind: 'refused', reason: isExpired ? 'token_expired' : 'token_invalid' };
  }
}

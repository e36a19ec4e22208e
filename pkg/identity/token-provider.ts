import type { Logger } from '../base/index.ts';
import type { CompiledProvider, Identity, SecretRef, SidegateSpec } from '../core/index.ts';
import { sidegateAlgorithm, signatureAlgorithm, signatureAlgorithms } from './algorithms.ts';
import { nameIdClaim } from './claims.ts';
import type { Claims } from './compact-token.ts';
import type { KeyFinder, KeySetHolder } from './key-set-pool.ts';
import type { KeySourceSpec } from './key-source.ts';
import { oidcIdentity, serviceAccountIdentity } from './token-identity.ts';

/** Allowed clock difference: the policy has no field for it; as the default of OIDC providers. */
const serviceAccountSkewMs = 30_000;

/** As {@link serviceAccountSkewMs}: the controller's clock against the sidecar's. */
const sidegateSkewMs = 30_000;

/** The cluster's own issuer of service-account tokens, for providers that name none. */
export interface ClusterIssuer {
  readonly issuer: string;
  readonly jwksUri?: string;
  readonly ca?: SecretRef;
}

/** A provider of tokens, ready to judge. */
export interface TokenProvider {
  readonly id: string;
  readonly issuer: string;
  readonly audiences: readonly string[];
  readonly skewMs: number;
  readonly algorithms: ReadonlySet<string>;
  readonly keys: KeyFinder;
  /** @throws TokenFault */
  identityOf(claims: Claims, expiresAt: number): Identity;
  release(): void;
}

/** Undefined for providers that prove callers otherwise, and for service accounts of an unknown cluster. */
export function createTokenProvider(
  provider: CompiledProvider,
  pool: KeySetHolder,
  cluster: ClusterIssuer | undefined,
  logger: Logger,
): TokenProvider | undefined {
  const { oidc, serviceAccount, sidegate } = provider;
  if (oidc !== undefined) {
    const listed = oidc.algorithms.length === 0 ? signatureAlgorithms : oidc.algorithms;
    return {
      id: provider.id,
      issuer: oidc.issuer,
      audiences: oidc.audiences,
      skewMs: oidc.clockSkewMs,
      algorithms: new Set(listed.filter((name) => signatureAlgorithm(name) !== undefined)),
      ...pool.acquire(oidc),
      identityOf: (claims, expiresAt) => oidcIdentity(provider, oidc, claims, expiresAt),
    };
  }
  if (sidegate !== undefined) return sidegateProvider(provider, sidegate, pool, logger);
  if (serviceAccount === undefined) return undefined;
  const source: KeySourceSpec | undefined =
    serviceAccount.issuer !== undefined
      ? { ...serviceAccount, issuer: serviceAccount.issuer }
      : cluster && {
          issuer: cluster.issuer,
          jwksUri: serviceAccount.jwksUri ?? cluster.jwksUri,
          ca: serviceAccount.ca ?? cluster.ca,
          allowInsecureLoopback: serviceAccount.allowInsecureLoopback,
        };
  if (source === undefined) {
    logger.error('service accounts need an issuer outside of a cluster', { provider: provider.id });
    return undefined;
  }
  return {
    id: provider.id,
    issuer: source.issuer,
    audiences: serviceAccount.audiences,
    skewMs: serviceAccountSkewMs,
    algorithms: new Set(signatureAlgorithms),
    ...pool.acquire(source),
    identityOf: (claims, expiresAt) => serviceAccountIdentity(provider, source.issuer, claims, expiresAt),
  };
}

/** Only with the issuer and the keys that the controller gave: nothing is fetched, and no other algorithm than its own counts. */
function sidegateProvider(
  provider: CompiledProvider,
  { idp, issuer, keys, audiences }: SidegateSpec,
  pool: KeySetHolder,
  logger: Logger,
): TokenProvider | undefined {
  if (issuer === undefined || keys === undefined) {
    logger.error('the controller gives no tokens for this identity provider', { provider: provider.id, idp });
    return undefined;
  }
  return {
    id: provider.id,
    issuer,
    audiences,
    skewMs: sidegateSkewMs,
    algorithms: new Set([sidegateAlgorithm]),
    ...pool.acquire({ issuer, jwksUri: undefined, ca: undefined, allowInsecureLoopback: false, keys }),
    identityOf: (claims, expiresAt) =>
      oidcIdentity(
        provider,
        { issuer, groupsClaim: 'groups', scopesClaim: undefined, subjectClaim: 'sub', knownBy: nameIdClaim },
        claims,
        expiresAt,
      ),
  };
}

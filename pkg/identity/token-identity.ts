import type { JsonValue } from '../base/index.ts';
import { kubernetesName, namingOf } from '../core/index.ts';
import type { CompiledProvider, Identity, OidcSpec } from '../core/index.ts';
import { claimAt, isName, nameOf, namesOf } from './claims.ts';
import type { Claims } from './compact-token.ts';
import { TokenFault } from './token-fault.ts';

/** Who a token of an OIDC provider, or of Sidegate, speaks of. The token must be verified already. @throws TokenFault */
export function oidcIdentity(
  provider: CompiledProvider,
  spec: Pick<OidcSpec, 'issuer' | 'groupsClaim' | 'scopesClaim' | 'subjectClaim'> & {
    /** Claim by which the issuer knows people beside the subject; default `sub`, where that is not the subject. */
    readonly knownBy?: string;
  },
  claims: Claims,
  expiresAt: number,
): Identity {
  refuseOverage(claims, spec.groupsClaim);
  return {
    provider: provider.id,
    issuer: spec.issuer,
    subject: nameOf(provenClaim(claims, spec.subjectClaim)),
    ...subOf(claims, spec),
    groups: namesOf(claimAt(claims, spec.groupsClaim)),
    scopes: scopesOf(claims, spec.scopesClaim),
    expiresAt,
    ...tokenIdOf(claims),
    kubernetesUser: kubernetesUserOf(provider, claims),
    ...naming(provider, claims),
  };
}

function naming(provider: CompiledProvider, claims: Claims): { readonly naming?: string } {
  const known = namingOf(provider, clientOf(claims));
  return known === undefined ? {} : { naming: known };
}

/**
 * The client that a token was given to: `azp` (OpenID Connect Core section 2), `client_id` (RFC 9068 section 2.2), `cid` (Okta), `appid` (Entra
 * ID). What is no name there is told from all that are.
 */
function clientOf({ azp, client_id: clientId, cid, appid }: Claims): string | undefined {
  const client = azp ?? clientId ?? cid ?? appid ?? undefined;
  if (client === undefined) return undefined;
  return typeof client === 'string' && isName(client) ? client : '?';
}

/**
 * `email` counts only where the issuer does not say that it is unverified: else whoever may type an address into a
 * profile becomes its owner. Kubernetes has the same rule for `--oidc-username-claim=email`.
 */
function provenClaim(claims: Claims, path: string): JsonValue | undefined {
  const { email_verified: verified } = claims;
  return path === 'email' && verified !== undefined && verified !== true ? undefined : claimAt(claims, path);
}

/**
 * Some issuers leave the groups out when there are many and point elsewhere (`_claim_names`, OpenID Connect Core section
 * 5.6.2), or only say that there are some (`hasgroups`, Entra ID where tokens go by URL). A caller whose groups are unknown cannot be held to rules about groups.
 */
function refuseOverage(claims: Claims, groupsClaim: string): void {
  const { _claim_names: elsewhere, hasgroups: unnamed } = claims;
  if (unnamed !== undefined && unnamed !== false && claimAt(claims, groupsClaim) === undefined)
    throw new TokenFault('claims');
  if (typeof elsewhere !== 'object' || elsewhere === null || Array.isArray(elsewhere)) return;
  if (Object.hasOwn(elsewhere, groupsClaim)) throw new TokenFault('claims');
}

function subOf(
  claims: Claims,
  { subjectClaim, knownBy = 'sub' }: Pick<OidcSpec, 'subjectClaim'> & { readonly knownBy?: string },
): { readonly sub?: string } {
  const sub = claims[knownBy];
  return subjectClaim !== knownBy && typeof sub === 'string' && isName(sub) ? { sub } : {};
}

/** What cannot be named cannot be revoked alone; its subject can. */
function tokenIdOf({ jti }: Claims): { readonly tokenId?: string } {
  return typeof jti === 'string' && isName(jti) ? { tokenId: jti } : {};
}

function scopesOf(claims: Claims, scopesClaim: string | undefined): readonly string[] {
  if (scopesClaim !== undefined) return namesOf(claimAt(claims, scopesClaim), ' ');
  const { scope, scp } = claims;
  const both = [...namesOf(scope, ' '), ...namesOf(scp, ' ')];
  return scope === undefined || scp === undefined ? both : [...new Set(both)];
}

function kubernetesUserOf(provider: CompiledProvider, claims: Claims): string | undefined {
  const spec = provider.kubernetesUser;
  if (spec === undefined) return undefined;
  const value = provenClaim(claims, spec.claim);
  return typeof value === 'string' && isName(value) ? kubernetesName(spec, value) : undefined;
}

/** Names of namespaces and service accounts: no colon, so that a subject has one reading. */
const resourceName = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;

/**
 * Who a Kubernetes service-account token speaks of, in the names that Kubernetes itself uses. `sub` and the
 * `kubernetes.io` claim must agree.
 *
 * Limit: a bound token stays good until it expires, also when its pod is gone: only the API server knows that.
 *
 * @throws TokenFault
 */
export function serviceAccountIdentity(
  provider: CompiledProvider,
  issuer: string,
  claims: Claims,
  expiresAt: number,
): Identity {
  const bound = member(claims['kubernetes.io']);
  const namespace = bound['namespace'];
  const name = member(bound['serviceaccount'])['name'];
  if (typeof namespace !== 'string' || !resourceName.test(namespace)) throw new TokenFault('claims');
  if (typeof name !== 'string' || !resourceName.test(name)) throw new TokenFault('claims');
  const subject = `system:serviceaccount:${namespace}:${name}`;
  if (claims['sub'] !== subject) throw new TokenFault('claims');
  return {
    provider: provider.id,
    issuer,
    subject,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
    scopes: [],
    expiresAt,
    ...tokenIdOf(claims),
    kubernetesUser: subject,
    ...naming(provider, claims),
  };
}

function member(value: JsonValue | undefined): Claims {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new TokenFault('claims');
  return value;
}

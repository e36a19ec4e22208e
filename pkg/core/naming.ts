import type { CompiledProvider } from './snapshot.ts';

/**
 * How a provider names people: those of one issuer with equal namings and different subjects are different accounts. Undefined: a person
 * may have several subjects there, so that these tell nobody apart.
 *
 * An issuer may give a person another `sub` for each client (pairwise subjects, OpenID Connect Core section 8.1; Entra ID), or another one
 * in ID tokens than in access tokens (Okta). So `sub` counts within one audience, and a claim that the policy names within the issuer.
 */
export function namingOf({ oidc, serviceAccount, sidegate }: CompiledProvider): string | undefined {
  if (oidc !== undefined) {
    if (oidc.subjectClaim !== 'sub') return `claim ${oidc.subjectClaim}`;
    const [audience, ...others] = new Set(oidc.audiences);
    return audience === undefined || others.length > 0 ? undefined : `sub for ${audience}`;
  }
  if (serviceAccount !== undefined) return 'service account';
  // One kind of name for all whom an identity provider speaks of: its settings say which.
  return sidegate === undefined ? undefined : 'assertion';
}

/**
 * Whether two names in Kubernetes are one: without case, as directories compare them.
 */
export const isSameUser = (one: string, other: string): boolean => one.toLowerCase() === other.toLowerCase();

/**
 * Whether two names in Kubernetes may be one person's. API servers put a prefix before names of their issuer (`oidc:ana`, and
 * `https://idp.example.com#ana` where none is configured): whoever forgot to say so to Sidegate must not decide on their own request.
 */
export function mayBeSameUser(one: string, other: string): boolean {
  const [long, short] = [one.toLowerCase(), other.toLowerCase()].sort((a, b) => b.length - a.length) as [
    string,
    string,
  ];
  if (long === short) return true;
  // Kubernetes' own names: what stands before is no prefix of an issuer's.
  if (long.startsWith('system:') || short === '' || !long.endsWith(short)) return false;
  return /[:#/|-]$/.test(long.slice(0, -short.length));
}

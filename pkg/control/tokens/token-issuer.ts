import type { Policy } from '../../core/index.ts';

/** By what sidecars know Sidegate's own tokens: it goes to them as part of the policies that name such a provider. */
export interface TokenIssuerKeys {
  /** Of the token endpoint, as callers reach it: `https://…`, without a slash at its end. */
  readonly url: string;
  /** Names of the identity providers whose assertions are taken. */
  readonly idps: readonly string[];
  /** JWK set as JSON. */
  readonly keys: string;
}

/**
 * `iss` of the tokens of one identity provider's people. Each has its own, so that `ana` of one is nobody of another: callers, limits,
 * grants and approvals know people by issuer and subject.
 */
export const issuerOf = (url: string, idp: string): string => `${url}/saml/${idp}`;

/** Providers of Sidegate's tokens get issuer and keys. What names an identity provider that is not configured stays without: nobody is proven. */
export function withTokenIssuer(policy: Policy, known: TokenIssuerKeys | undefined): Policy {
  const { providers } = policy.spec;
  if (known === undefined || !providers.some(({ sidegate }) => sidegate !== undefined)) return policy;
  const filled = providers.map((provider) => {
    const { sidegate } = provider;
    if (sidegate === undefined || !known.idps.includes(sidegate.idp)) return provider;
    return { ...provider, sidegate: { ...sidegate, issuer: issuerOf(known.url, sidegate.idp), keys: known.keys } };
  });
  return { ...policy, spec: { ...policy.spec, providers: filled } };
}

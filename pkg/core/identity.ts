/**
 * A provider's id is unique among all policies: `NAMESPACE/POLICY/PROVIDER` for a namespace's own, and
 * `cluster/POLICY/PROVIDER` for one of a ClusterInferencePolicy (no namespace is called `cluster/…`: the parts differ in number
 * of owners, not in spelling, so compile refuses a namespace named `cluster`). Rules match identities by it, so that no
 * namespace can mint another's groups with an issuer of its own.
 */
export type ProviderId = string;

/** A proven caller. */
export interface Identity {
  readonly provider: ProviderId;
  /** Token issuer, or the distinguished name of the certificate's issuer. */
  readonly issuer: string;
  /** `sub` of a token, the SPIFFE URI or the subject of a certificate. */
  readonly subject: string;
  /**
   * `sub` of the token where the policy names people by another claim: an issuer that takes somebody back knows them by it. Of a SAML
   * assertion whose subject is an attribute, the NameID.
   */
  readonly sub?: string;
  readonly groups: readonly string[];
  readonly scopes: readonly string[];
  /** Epoch milliseconds after which the credential proves nothing. An expiring token ends no live stream. */
  readonly expiresAt: number | undefined;
  /** `jti` of the token, by which it can be revoked alone. Absent: it names none. */
  readonly tokenId?: string;
  /** Who this caller is to Kubernetes, where the provider says so: nobody approves their own request. */
  readonly kubernetesUser: string | undefined;
  /** How the subject was named (pkg/core/naming.ts). Absent: two subjects may be one person's. */
  readonly naming?: string;
}

/** What a request presented, taken off the wire once. */
export interface PresentedCredentials {
  /** From Authorization: Bearer, x-api-key, api-key or x-goog-api-key; two different values were refused before. */
  readonly token: string | undefined;
  /** The verified client certificate of the connection (DER), if any. */
  readonly certificate: Uint8Array | undefined;
}

/**
 * Who somebody is to Kubernetes whom a claim names. Undefined, not known: the name begins with `system:`. Kubernetes gives those to its own
 * parts and to service accounts, which nobody's own requests come from; a person who could choose such a name would pass for one of them.
 */
export function kubernetesName({ prefix }: { readonly prefix: string }, value: string): string | undefined {
  const name = prefix + value;
  return name.startsWith('system:') ? undefined : name;
}

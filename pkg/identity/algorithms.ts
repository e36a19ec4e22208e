/**
 * Signature algorithms that may prove a caller, each with the only kind of key that fits it (RFC 7518, RFC 8037, RFC
 * 9864). A public key can never be taken for an HMAC secret (CVE-2015-9235) because no row here is symmetric, and
 * `none` has no row.
 */
export interface SignatureAlgorithm {
  readonly keyType: 'RSA' | 'EC' | 'OKP';
  readonly curve: string | undefined;
}

const rsa: SignatureAlgorithm = { keyType: 'RSA', curve: undefined };

const table: ReadonlyMap<string, SignatureAlgorithm> = new Map([
  ['RS256', rsa],
  ['RS384', rsa],
  ['RS512', rsa],
  ['PS256', rsa],
  ['PS384', rsa],
  ['PS512', rsa],
  ['ES256', { keyType: 'EC', curve: 'P-256' }],
  ['ES384', { keyType: 'EC', curve: 'P-384' }],
  ['ES512', { keyType: 'EC', curve: 'P-521' }],
  ['EdDSA', { keyType: 'OKP', curve: 'Ed25519' }],
  ['Ed25519', { keyType: 'OKP', curve: 'Ed25519' }],
]);

/** Every algorithm that can be allowed. */
export const signatureAlgorithms: readonly string[] = [...table.keys()];

/** Undefined for everything that is not asymmetric and known. */
export function signatureAlgorithm(name: string): SignatureAlgorithm | undefined {
  return table.get(name);
}

/** What Sidegate signs its own tokens with, and the only one that it takes for them. */
export const sidegateAlgorithm = 'ES256';

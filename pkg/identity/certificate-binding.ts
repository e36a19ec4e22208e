import { createHash } from 'node:crypto';
import type { Claims } from './compact-token.ts';
import { TokenFault } from './token-fault.ts';

/**
 * Tokens bound to a key of their holder (`cnf`, RFC 7800): whoever stole one cannot use it, provided that somebody
 * checks. We check bindings to the client certificate (RFC 8705 section 3.1) and refuse all others, DPoP among them:
 * taking such a token as a plain bearer token would undo what its issuer promised.
 *
 * @returns `x5t#S256`, the base64url SHA-256 of the certificate that must come with the token; undefined for bearer tokens.
 * @throws TokenFault binding
 */
export function boundCertificate(claims: Claims): string | undefined {
  const { cnf } = claims;
  if (cnf === undefined) return undefined;
  if (typeof cnf !== 'object' || cnf === null || Array.isArray(cnf)) throw new TokenFault('binding');
  const { 'x5t#S256': thumbprint, ...others } = cnf;
  if (typeof thumbprint !== 'string' || Object.keys(others).length > 0) throw new TokenFault('binding');
  return thumbprint;
}

/** Base64url SHA-256 of a certificate's DER. */
export function thumbprintOf(certificate: Uint8Array): string {
  return createHash('sha256').update(certificate).digest('base64url');
}

import { createPrivateKey } from 'node:crypto';
import { SignJWT } from 'jose';
import { sidegateAlgorithm } from '../algorithms.ts';
import { nameIdClaim } from '../claims.ts';
import type { TokenKey } from './token-keys.ts';

/** What a token of Sidegate says (RFC 9068, as far as it names a caller). */
export interface TokenContent {
  readonly issuer: string;
  readonly audience: string;
  readonly subject: string;
  /** {@link nameIdClaim}; absent: the token has none. */
  readonly nameId?: string | undefined;
  readonly groups: readonly string[];
  /** More claims with one value; none of those above. */
  readonly claims: Readonly<Record<string, string>>;
  /** `jti`, by which it can be revoked alone. */
  readonly id: string;
  /** Epoch milliseconds; whole seconds count. */
  readonly issuedAt: number;
  readonly expiresAt: number;
}

/** A compact ES256 token. */
export async function signToken({ jwk, key }: TokenKey, content: TokenContent): Promise<string> {
  const { issuer, audience, subject, nameId, groups, claims, id, issuedAt, expiresAt } = content;
  return await new SignJWT({ ...claims, ...(nameId !== undefined && { [nameIdClaim]: nameId }), groups: [...groups] })
    .setProtectedHeader({ alg: sidegateAlgorithm, kid: jwk.kid, typ: 'at+jwt' })
    .setIssuer(issuer)
    .setSubject(subject)
    .setAudience(audience)
    .setJti(id)
    .setIssuedAt(Math.floor(issuedAt / 1_000))
    .setExpirationTime(Math.floor(expiresAt / 1_000))
    .sign(createPrivateKey(key.reveal()));
}

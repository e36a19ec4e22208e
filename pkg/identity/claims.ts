import type { JsonValue } from '../base/index.ts';
import type { Claims } from './compact-token.ts';
import { TokenFault } from './token-fault.ts';

/**
 * The NameID of the assertion, in tokens of Sidegate whose subject is an attribute: an attribute may change, an address for one, and the
 * NameID says that it is the same person.
 */
export const nameIdClaim = 'saml_name_id';

/**
 * Finds a claim by its path: names joined by dots, where a claim whose own name has dots (`https://example.com/groups`,
 * `cognito:groups.v2`) is tried before the path is split. Longer names win over shorter ones at each level.
 */
export function claimAt(claims: Claims, path: string): JsonValue | undefined {
  if (Object.hasOwn(claims, path)) return claims[path];
  for (let dot = path.lastIndexOf('.'); dot > 0; dot = path.lastIndexOf('.', dot - 1)) {
    const inner = claims[path.slice(0, dot)];
    if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) continue;
    const found = claimAt(inner, path.slice(dot + 1));
    if (found !== undefined) return found;
  }
  return undefined;
}

/**
 * A list of names: an array of strings, or one string. Anything else is refused rather than skipped: a group that went
 * missing could be the one that a Deny rule names.
 *
 * @throws TokenFault
 */
export function namesOf(value: JsonValue | undefined, separator?: string): readonly string[] {
  if (value === undefined || value === null) return [];
  if (typeof value === 'string') {
    const names = separator === undefined ? [value] : value.split(separator);
    return names.filter((name) => name !== '');
  }
  if (!Array.isArray(value)) throw new TokenFault('claims');
  return value.map((name) => {
    if (typeof name !== 'string') throw new TokenFault('claims');
    return name;
  });
}

/** @throws TokenFault when it is no text that names somebody. */
export function nameOf(value: JsonValue | undefined): string {
  if (typeof value !== 'string' || !isName(value)) throw new TokenFault('claims');
  return value;
}

/** Control characters have no place in a name, and would forge lines wherever one is printed. */
export function isName(value: string): boolean {
  return value !== '' && value.length <= 1_024 && !/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(value);
}

/** Seconds as RFC 7519 section 2 has them (fractions allowed), as epoch milliseconds. @throws TokenFault */
export function dateOf(value: JsonValue | undefined): number | undefined {
  if (value === undefined) return undefined;
  // Beyond this, a JavaScript Date cannot hold it.
  if (typeof value !== 'number' || !(Math.abs(value) <= 8.64e12)) throw new TokenFault('claims');
  return value * 1_000;
}

/**
 * Checks `exp` (required), `nbf` and `iat`.
 *
 * @returns when the token ends by its own word, epoch milliseconds.
 * @throws TokenFault
 */
export function checkTimes(claims: Claims, now: number, skewMs: number): number {
  const expiresAt = dateOf(claims['exp']);
  const notBefore = dateOf(claims['nbf']);
  const issuedAt = dateOf(claims['iat']);
  if (expiresAt === undefined) throw new TokenFault('claims');
  if (now >= expiresAt + skewMs) throw new TokenFault('expired');
  if (notBefore !== undefined && now < notBefore - skewMs) throw new TokenFault('not_yet_valid');
  // Issued in the future: a clock is wrong, and with it every other time in this token.
  if (issuedAt !== undefined && now < issuedAt - skewMs) throw new TokenFault('not_yet_valid');
  return expiresAt;
}

/** Whether the token is meant for any of them (RFC 7519 section 4.1.3). Compared code unit by code unit. */
export function isForAny(claims: Claims, audiences: readonly string[]): boolean {
  const { aud } = claims;
  if (typeof aud === 'string') return audiences.includes(aud);
  return Array.isArray(aud) && aud.some((one) => typeof one === 'string' && audiences.includes(one));
}

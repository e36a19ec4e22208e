import type { Identity } from '../core/index.ts';
import { parseCompactToken } from './compact-token.ts';
import { TokenFault } from './token-fault.ts';

/** The issuer that a token names, for choosing who judges it: nothing is verified. Undefined: none, or it is no token. */
export const namedIssuer = (token: string): string | undefined => namedCaller(token)?.issuer;

/** Whom a token names, by the standard claims (RFC 7519 section 4.1): for a token that somebody else has verified. Undefined: no issuer, or it is no token. */
export function namedCaller(token: string): Pick<Identity, 'issuer' | 'subject' | 'tokenId'> | undefined {
  try {
    const { iss, sub, jti } = parseCompactToken(token).claims;
    if (typeof iss !== 'string') return undefined;
    return {
      issuer: iss,
      subject: typeof sub === 'string' ? sub : '',
      ...(typeof jti === 'string' && { tokenId: jti }),
    };
  } catch (error) {
    if (error instanceof TokenFault) return undefined;
    throw error;
  }
}

import { parseCompactToken } from './compact-token.ts';
import { TokenFault } from './token-fault.ts';

/** The issuer that a token names, for choosing who judges it: nothing is verified. Undefined: none, or it is no token. */
export function namedIssuer(token: string): string | undefined {
  try {
    const { iss } = parseCompactToken(token).claims;
    return typeof iss === 'string' ? iss : undefined;
  } catch (error) {
    if (error instanceof TokenFault) return undefined;
    throw error;
  }
}

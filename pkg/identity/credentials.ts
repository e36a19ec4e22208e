import type { IncomingHttpHeaders } from 'node:http';
import { RefusedError } from '../core/index.ts';
import type { PresentedCredentials } from '../core/index.ts';

/** Where SDKs put the caller's credential, beside `Authorization: Bearer`. */
const keyHeaders = ['x-api-key', 'api-key', 'x-goog-api-key'] as const;

/** Every header that {@link takeCredentials} reads. */
export const credentialHeaders = ['authorization', ...keyHeaders] as const;

/** `token68` of RFC 9110 section 11.2, which every bearer token and API key is. A repeated header (joined by a comma) is none. */
const token68 = /^[A-Za-z0-9\-._~+/]+=*$/;
const bearer = /^bearer +(\S+)$/i;

/**
 * Takes the caller's credential off the headers (names in lower case). The same value in several headers is one
 * credential. Which of a token and a certificate counts is the verifier's to say: the token.
 *
 * The listener must refuse a repeated Authorization header before: Node keeps only the first.
 *
 * @param certificate DER of the client certificate that the connection has proven, if any.
 * @throws RefusedError token_invalid for an Authorization that is not a bearer token (Basic, Digest, empty) or a value
 * that cannot be a token; conflicting_credentials for two different values. `detail` names the header.
 */
export function takeCredentials(headers: IncomingHttpHeaders, certificate?: Uint8Array): PresentedCredentials {
  let token = headers.authorization === undefined ? undefined : bearerToken(headers.authorization);
  for (const name of keyHeaders) {
    const value = headers[name];
    if (value === undefined) continue;
    if (typeof value !== 'string' || !token68.test(value)) throw new RefusedError('token_invalid', { detail: name });
    if (token !== undefined && token !== value) throw new RefusedError('conflicting_credentials', { detail: name });
    token = value;
  }
  return { token, certificate };
}

function bearerToken(authorization: string): string {
  const token = bearer.exec(authorization)?.[1];
  if (token === undefined || !token68.test(token)) throw new RefusedError('token_invalid', { detail: 'authorization' });
  return token;
}

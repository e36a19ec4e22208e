import type { IncomingMessage, ServerResponse } from 'node:http';
import { Refusal } from '../api/question.ts';

const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ');

/** On every answer of the console, whatever it is: nothing of others runs in it, frames it, or learns where it was. */
export function guardAnswer(response: ServerResponse): void {
  response.setHeader('content-security-policy', policy);
  response.setHeader('x-content-type-options', 'nosniff');
  response.setHeader('x-frame-options', 'DENY');
  response.setHeader('referrer-policy', 'no-referrer');
  response.setHeader('cross-origin-opener-policy', 'same-origin');
  response.setHeader('cross-origin-resource-policy', 'same-origin');
  response.setHeader('permissions-policy', 'camera=(), geolocation=(), microphone=()');
  response.setHeader('cache-control', 'no-store');
}

/** Whether another site began this: a link of it was followed, or its script opened a window. Browsers say so (Fetch Metadata). */
export function isForeign({ headers }: Pick<IncomingMessage, 'headers'>): boolean {
  const site = headers['sec-fetch-site'];
  return site !== undefined && site !== 'same-origin' && site !== 'none';
}

/**
 * Refuses what another site began. Browsers say who began a request (Fetch Metadata), and with everything that is not GET from where; what says neither is
 * no browser's request, and lacks the session's cookie unless somebody put it there.
 *
 * @param own Origin of the console
 * @throws Refusal
 */
export function refuseForeign({ method, headers }: Pick<IncomingMessage, 'method' | 'headers'>, own: string): void {
  const { origin } = headers;
  const site = headers['sec-fetch-site'];
  const changes = method !== 'GET';
  const foreign =
    (site !== undefined && site !== 'same-origin' && (changes || site !== 'none')) ||
    (origin !== undefined && origin !== own) ||
    (changes && site === undefined && origin === undefined);
  if (foreign) throw new Refusal(403, 'cross_site', 'this was not asked by the console');
}

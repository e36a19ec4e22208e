import type { OutgoingHttpHeaders } from 'node:http';
import { reasons } from '../core/index.ts';
import type { ReasonCode } from '../core/index.ts';

/**
 * The one place that turns a reason into a status and headers. Bodies are the dialect's: an OpenAI client sees an OpenAI
 * error. SDKs obey `x-should-retry` and `retry-after` (openai, anthropic), so a final refusal says so, or a client would
 * repeat it three times.
 */
export interface RefusalHead {
  readonly status: number;
  readonly headers: OutgoingHttpHeaders;
}

/** RFC 6750 section 3: without `error` where no credential was presented. */
const challenges: Partial<Readonly<Record<ReasonCode, string>>> = {
  token_missing: 'Bearer realm="sidegate"',
  token_invalid: 'Bearer realm="sidegate", error="invalid_token"',
  token_revoked: 'Bearer realm="sidegate", error="invalid_token", error_description="revoked"',
  token_expired: 'Bearer realm="sidegate", error="invalid_token", error_description="The access token expired"',
  // RFC 9110 section 15.5.2 wants a challenge on every 401; there is no scheme for certificates.
  certificate_required: 'Bearer realm="sidegate"',
};

/** Seconds, where the reason passes by itself and nobody knew better. */
const defaultRetryAfter = 1;

/** @param retryAfter seconds, for 429 and 503. */
export function refusalHead(code: ReasonCode, retryAfter?: number): RefusalHead {
  const reason = reasons[code];
  const headers: OutgoingHttpHeaders = {
    'content-type': 'application/json',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  };
  const challenge = challenges[code];
  if (challenge !== undefined) headers['www-authenticate'] = challenge;
  if (code === 'tls_required') {
    // RFC 2817 section 4.2 and RFC 9110 section 15.5.22. Only sent on connections that close after it.
    headers['upgrade'] = 'TLS/1.2, HTTP/1.1';
    headers['connection'] = 'Upgrade, close';
  }
  if (reason.retry) {
    if (reason.status === 429 || reason.status === 503) {
      headers['retry-after'] = String(Math.max(1, Math.ceil(retryAfter ?? defaultRetryAfter)));
    }
  } else headers['x-should-retry'] = 'false';
  return { status: reason.status, headers };
}

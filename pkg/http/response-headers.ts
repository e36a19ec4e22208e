import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';

/**
 * Which headers may pass, in either direction. Both are allow-lists: a header that nobody thought of does not pass. Only where
 * every policy observes do all go by.
 */

/** RFC 9110 section 7.6.1 and RFC 9113 section 8.2.2: they speak of one connection, and never pass. */
const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
]);

export function isHopByHop(name: string): boolean {
  return hopByHop.has(name);
}

/** From the caller to the model. The credential, Host, lengths and codings are the sidecar's own to set. */
const toModel = new Set([
  'accept',
  'accept-language',
  'anthropic-beta',
  'anthropic-version',
  'baggage',
  'content-type',
  'idempotency-key',
  'inference-header-content-length', // KServe binary extension
  'openai-beta',
  'openai-organization',
  'openai-project',
  'traceparent',
  'tracestate',
  'user-agent',
  'x-request-id',
]);

/** From the model to the caller. No cookies, no links, no server names, no CORS: the sidecar answers for what it governs. */
const toCaller = new Set([
  'anthropic-ratelimit-requests-limit',
  'anthropic-ratelimit-requests-remaining',
  'anthropic-ratelimit-requests-reset',
  'anthropic-ratelimit-tokens-limit',
  'anthropic-ratelimit-tokens-remaining',
  'anthropic-ratelimit-tokens-reset',
  'cache-control',
  'content-language',
  'content-type',
  'inference-header-content-length',
  'openai-model',
  'openai-organization',
  'openai-processing-ms',
  'openai-version',
  'retry-after',
  'retry-after-ms',
  'x-ratelimit-limit-requests',
  'x-ratelimit-limit-tokens',
  'x-ratelimit-remaining-requests',
  'x-ratelimit-remaining-tokens',
  'x-ratelimit-reset-requests',
  'x-ratelimit-reset-tokens',
  'x-request-id',
  'x-should-retry',
]);

/**
 * Request headers that go to the model: on the list, and not named by the caller's own `Connection` (which says that
 * they speak of that connection only, and is how a header is made to vanish at one hop and not at the next).
 */
export function requestHeadersToModel(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
  return pass(headers, (name) => toModel.has(name));
}

/** Response headers that go to the caller, likewise. */
export function responseHeadersToCaller(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
  return pass(headers, (name) => toCaller.has(name));
}

/** Of either direction, where nothing may be altered: all but those that speak of one connection, of lengths and of codings. */
export function everyHeader(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
  return pass(headers, (name) => !ownToSet.has(name) && !isHopByHop(name));
}

const ownToSet = new Set(['accept-encoding', 'content-encoding', 'content-length', 'expect', 'host']);

function pass(headers: IncomingHttpHeaders, may: (name: string) => boolean): OutgoingHttpHeaders {
  const passed: OutgoingHttpHeaders = {};
  const named = namedByConnection(headers.connection);
  for (const name in headers) {
    const value = headers[name];
    if (value === undefined || !may(name) || named?.has(name) === true) continue;
    passed[name] = value;
  }
  return passed;
}

function namedByConnection(value: string | undefined): ReadonlySet<string> | undefined {
  // The two values that carry no name are nearly all that there are.
  if (value === undefined || value === 'keep-alive' || value === 'close') return undefined;
  return new Set(value.split(',').map((name) => name.trim().toLowerCase()));
}

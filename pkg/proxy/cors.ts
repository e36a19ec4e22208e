import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import type { Snapshot } from '../core/index.ts';
import { RefusedError } from '../core/index.ts';
import { allowedMethods } from '../http/index.ts';
import type { Exchange } from '../http/index.ts';
import { receiptHeader } from './receipt.ts';
import type { Session } from './session.ts';

/**
 * Pages of other origins (Fetch standard, section 3.2): the sidecar answers for who may call it, never the model. A preflight has no
 * credential, so it lets nothing happen: what follows it is proven and decided as any other request. No `access-control-allow-credentials`: a
 * page has the token that it sends, and nothing that a browser adds by itself makes it somebody.
 */

/** Under which preflights and handshakes are counted and on record. */
export const corsRule = 'sidegate/cors';

const requestedMethod = 'access-control-request-method';
const requestedHeaders = 'access-control-request-headers';

/** What clients send: what the sidecar reads, what goes on to the model, and what the vendors' own clients say of themselves. */
const requestHeaders: ReadonlySet<string> = new Set([
  'accept',
  'anthropic-beta',
  'anthropic-dangerous-direct-browser-access',
  'anthropic-version',
  'api-key',
  'authorization',
  'baggage',
  'content-type',
  'idempotency-key',
  'inference-header-content-length',
  'openai-beta',
  'openai-organization',
  'openai-project',
  'prefer',
  receiptHeader,
  'traceparent',
  'tracestate',
  'user-agent',
  'x-api-key',
  'x-goog-api-client',
  'x-goog-api-key',
  'x-request-id',
]);
const ofSdks = /^x-stainless-[a-z0-9-]{1,40}$/;

/** What a page may read of an answer beside what every page may. */
const exposedHeaders = [
  'location',
  'preference-applied',
  'retry-after',
  'retry-after-ms',
  receiptHeader,
  'www-authenticate',
  'x-request-id',
  'x-should-retry',
].join(', ');

/** What is enforced; where every policy observes, model and caller speak of it by themselves. */
const inForce = (snapshot: Snapshot | undefined): Snapshot['cors'] =>
  snapshot?.enforcing === true ? snapshot.cors : undefined;

/** Of every answer to a request, refusals included. */
export function corsHeaders(
  snapshot: Snapshot | undefined,
  { method, headers }: Pick<Exchange, 'method' | 'headers'>,
): OutgoingHttpHeaders {
  const cors = inForce(snapshot);
  if (cors === undefined) return {};
  const { origin } = headers;
  const preflight = method === 'OPTIONS';
  const vary = preflight ? `origin, ${requestedMethod}, ${requestedHeaders}` : 'origin';
  if (origin === undefined || !cors.origins.includes(origin)) return { vary };
  return {
    'access-control-allow-origin': origin,
    ...(!preflight && { 'access-control-expose-headers': exposedHeaders }),
    vary,
  };
}

/** Whether a browser asks what its page may send, and a policy says who may (Fetch standard, section 4.8). */
export function isPreflight(snapshot: Snapshot, { method, headers }: Pick<Exchange, 'method' | 'headers'>): boolean {
  const asks = method === 'OPTIONS' && headers.origin !== undefined && headers[requestedMethod] !== undefined;
  return asks && inForce(snapshot) !== undefined;
}

/**
 * A browser opens a WebSocket for any page without asking first, and says which origin the page is of (RFC 6455, sections 4.1 and 10.2): so the handshake
 * is held to the list itself. Who names no origin is no page. Where every policy observes, it goes on, and is counted as one that would be refused.
 *
 * @throws RefusedError access_denied: no page of this origin may call
 */
export function checkHandshake(
  { cors, enforcing }: Snapshot,
  session: Pick<Session, 'act' | 'observe'>,
  { origin }: IncomingHttpHeaders,
): void {
  if (cors === undefined || origin === undefined) return;
  if (cors.origins.includes(origin)) return session.act(corsRule, 'allowed', undefined, !enforcing);
  if (!enforcing) return session.observe([{ reason: 'access_denied', rule: corsRule }]);
  denyOrigin(session);
}

function denyOrigin(session: Pick<Session, 'act'>): never {
  session.act(corsRule, 'denied', 'access_denied');
  throw new RefusedError('access_denied', { rule: corsRule, detail: 'origin' });
}

/**
 * What the answer to a preflight has beside {@link corsHeaders}. Of the headers that it asks for those are named that clients of models send.
 *
 * @throws RefusedError access_denied: no page of this origin may call; method_not_allowed
 */
export function preflightHeaders(
  snapshot: Snapshot,
  session: Pick<Session, 'act'>,
  headers: IncomingHttpHeaders,
): OutgoingHttpHeaders {
  const { origins = [], maxAgeMs } = inForce(snapshot) ?? {};
  if (!origins.includes(headers.origin ?? '')) denyOrigin(session);
  if (!allowedMethods.split(', ').includes(String(headers[requestedMethod])))
    throw new RefusedError('method_not_allowed');
  session.act(corsRule, 'allowed');
  const named = String(headers[requestedHeaders] ?? '')
    .split(',')
    .map((name) => name.trim().toLowerCase())
    .filter((name) => requestHeaders.has(name) || ofSdks.test(name));
  return {
    'access-control-allow-methods': allowedMethods,
    ...(named.length > 0 && { 'access-control-allow-headers': [...new Set(named)].join(', ') }),
    ...(maxAgeMs !== undefined && { 'access-control-max-age': String(Math.floor(maxAgeMs / 1_000)) }),
  };
}

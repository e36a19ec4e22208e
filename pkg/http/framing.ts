import type { IncomingHttpHeaders as Http2Headers } from 'node:http2';
import type { IncomingMessage } from 'node:http';
import type { ReasonCode } from '../core/index.ts';

/**
 * What llhttp and nghttp2 let pass and we do not. They have already refused malformed lines, bare CR and LF, NUL, folded
 * lines, spaces before colons, Content-Length beside Transfer-Encoding or given twice, and bad chunk sizes.
 *
 * Guarantee: a head that passes names one host, one origin-form target and one body length, in the one way that every
 * server reads alike. Decided: chunk extensions are ignored, as RFC 9112 section 7.1.1 wants; the body goes on under a
 * Content-Length of our own, so no other parser ever sees them. Trailers are dropped for the same reason.
 */

/** Fields that carry one value: two of them are read differently by different servers (RFC 9110 section 5.3). */
const singletons: ReadonlyMap<number, readonly string[]> = new Map([
  [4, ['host']],
  [6, ['expect']],
  [7, ['api-key', 'upgrade']],
  [9, ['x-api-key']],
  [12, ['content-type']],
  [13, ['authorization']],
  [14, ['content-length', 'x-goog-api-key']],
  [16, ['content-encoding']],
  [17, ['transfer-encoding']],
]);

/** Those whose doubling is about framing rather than about content. */
const framingFields = new Set(['host', 'content-length', 'transfer-encoding']);

/** @param maxHeaders most header lines. */
export function http1Fault(request: IncomingMessage, maxHeaders: number): ReasonCode | undefined {
  const raw = request.rawHeaders;
  if (raw.length > maxHeaders * 2) return 'header_too_large';
  const doubled = doubledField(raw);
  if (doubled !== undefined) return framingFields.has(doubled) ? 'ambiguous_framing' : 'malformed_http';
  const { headers, method = '', url } = request;
  if (request.httpVersionMajor !== 1 || request.httpVersionMinor > 1) return 'malformed_http';
  if (headers.host === undefined && request.httpVersionMinor === 1) return 'malformed_http';
  if (headers.host !== undefined && !isHost(headers.host)) return 'malformed_http';
  // Origin form only (RFC 9112 section 3.2): no absolute form, authority form or asterisk.
  if (url === undefined || url.charCodeAt(0) !== 0x2f) return 'malformed_http';
  const expect = headers.expect;
  if (expect !== undefined && expect.toLowerCase() !== '100-continue') return 'malformed_http';
  return http1BodyFault(request, method) ?? (methods.has(method) ? undefined : 'method_not_allowed');
}

function http1BodyFault(request: IncomingMessage, method: string): ReasonCode | undefined {
  const coding = request.headers['transfer-encoding'];
  const length = request.headers['content-length'];
  if (coding !== undefined) {
    // Any other spelling is read by some server as no coding at all (the TE.TE family).
    if (coding !== 'chunked' || length !== undefined || request.httpVersionMinor === 0) return 'ambiguous_framing';
  }
  if (length !== undefined && !isLength(length)) return 'ambiguous_framing';
  const announces = coding !== undefined || (length !== undefined && Number(length) > 0);
  if (announces && bodiless(method)) return 'ambiguous_framing';
  return undefined;
}

/**
 * What inference APIs use. llhttp also speaks RTSP and ICE, and calls both HTTP/1.0: their methods end here.
 */
const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
export const allowedMethods = [...methods].join(', ');

/** A body on these is read by some servers and skipped by others, which then take it for the next request. */
function bodiless(method: string): boolean {
  return method === 'GET' || method === 'HEAD';
}

const isLength = (value: string): boolean => /^[0-9]{1,15}$/.test(value);

/** uri-host with an optional port; userinfo, paths, lists and spaces are what an attacker would put there. */
const isHost = (value: string): boolean =>
  /^(?:[A-Za-z0-9._~!$&'()*+;=%-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?$/.test(value);

function doubledField(raw: readonly string[]): string | undefined {
  let seen: string[] | undefined;
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at] ?? '';
    const candidates = singletons.get(name.length);
    if (candidates === undefined) continue;
    const lower = name.toLowerCase();
    if (!candidates.includes(lower)) continue;
    if (seen === undefined) seen = [lower];
    else if (seen.includes(lower)) return lower;
    else seen.push(lower);
  }
  return undefined;
}

/** nghttp2 has refused bad pseudo headers, upper-case names, connection fields and lengths that do not match (RFC 9113 section 8). */
export function http2Fault(
  headers: Http2Headers,
  raw: readonly string[],
  endStream: boolean,
  limits: { readonly maxHeaders: number; readonly maxHeaderBytes: number },
  encrypted: boolean,
): ReasonCode | undefined {
  if (raw.length > (limits.maxHeaders + 4) * 2 || listSize(raw) > limits.maxHeaderBytes) return 'header_too_large';
  const doubled = doubledField(raw);
  if (doubled !== undefined) return framingFields.has(doubled) ? 'ambiguous_framing' : 'malformed_http';
  const method = headers[':method'] ?? '';
  if (method === 'CONNECT' || headers[':protocol'] !== undefined) return 'malformed_http';
  if (!methods.has(method)) return 'method_not_allowed';
  if (headers[':path']?.charCodeAt(0) !== 0x2f || !isScheme(headers[':scheme'], encrypted)) return 'malformed_http';
  const expect = headers.expect;
  if (expect !== undefined && expect.toLowerCase() !== '100-continue') return 'malformed_http';
  const length = headers['content-length'];
  if (length !== undefined && !isLength(length)) return 'ambiguous_framing';
  if (bodiless(method) && (!endStream || (length !== undefined && Number(length) > 0))) return 'ambiguous_framing';
  return authorityFault(headers[':authority'], headers.host);
}

/** Without TLS either of the two: a proxy that ends TLS in front of us may name its caller's, and nothing here goes by it. */
const isScheme = (scheme: string | undefined, encrypted: boolean): boolean =>
  scheme === 'https' || (scheme === 'http' && !encrypted);

/** RFC 9113 section 10.5.1. Node announces its limit and does not hold peers to it. */
function listSize(raw: readonly string[]): number {
  let size = raw.length * 16;
  for (const text of raw) size += text.length;
  return size;
}

/** RFC 9113 section 8.3.1: one of them at least, and never two answers. */
function authorityFault(authority: string | undefined, host: string | undefined): ReasonCode | undefined {
  const named = authority ?? host;
  if (named === undefined || named === '' || !isHost(named)) return 'malformed_http';
  return host !== undefined && host !== named ? 'ambiguous_framing' : undefined;
}

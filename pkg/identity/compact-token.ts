import { JsonError, jsonValue, parseJson } from '../base/index.ts';
import type { JsonValue } from '../base/index.ts';
import { TokenFault } from './token-fault.ts';

/**
 * The compact form of a signed token (RFC 7515 section 7.1), read before anything of it is believed.
 *
 * Promise: header and payload have one reading. Both go through the strict parser (duplicate members, lone surrogates,
 * byte order marks and broken UTF-8 are refused), and each part has exactly one base64url spelling. Keys that the token
 * itself brings or points to (`jwk`, `jku`, `x5c`, `x5u`) are never looked at.
 */

/** Longest accepted token, in characters: as much as common servers take in one header. */
export const maxTokenLength = 16_384;

export type Claims = Readonly<Record<string, JsonValue>>;

export interface ParsedToken {
  readonly algorithm: string;
  readonly keyId: string | undefined;
  readonly claims: Claims;
}

/**
 * `JWT` and `at+jwt` (RFC 9068), or none at all, as Kubernetes does. Other types are statements about something else:
 * logout tokens, DPoP proofs, security events.
 */
const acceptedTypes: ReadonlySet<string> = new Set(['jwt', 'at+jwt', 'application/jwt', 'application/at+jwt']);

const base64url = /^[A-Za-z0-9_-]+$/;

/** @throws TokenFault */
export function parseCompactToken(token: string): ParsedToken {
  if (token.length > maxTokenLength) throw new TokenFault('too_large');
  const parts = token.split('.', 6);
  if (parts.length === 5) throw new TokenFault('encrypted');
  const [headerPart, payloadPart, signaturePart] = parts;
  if (parts.length !== 3 || headerPart === undefined || payloadPart === undefined || signaturePart === undefined) {
    throw new TokenFault('not_a_token');
  }
  const header = objectOf(headerPart);
  const { algorithm, keyId } = readHeader(header);
  decode(signaturePart);
  return { algorithm, keyId, claims: objectOf(payloadPart) };
}

function readHeader(header: Claims): { algorithm: string; keyId: string | undefined } {
  const { alg, kid, typ, crit, b64, enc, zip } = header;
  if (enc !== undefined || zip !== undefined) throw new TokenFault('encrypted');
  // RFC 7515 section 4.1.11: who does not understand a critical extension must refuse. We understand none, and a
  // payload that is not base64url (`b64`, RFC 7797) would be signed text other than the text that was parsed.
  if (crit !== undefined || b64 !== undefined) throw new TokenFault('extension');
  if (typ !== undefined && (typeof typ !== 'string' || !acceptedTypes.has(typ.toLowerCase()))) {
    throw new TokenFault('type');
  }
  if (typeof alg !== 'string') throw new TokenFault('algorithm');
  if (kid !== undefined && typeof kid !== 'string') throw new TokenFault('not_a_token');
  return { algorithm: alg, keyId: kid };
}

function objectOf(part: string): Claims {
  const bytes = decode(part);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new TokenFault('ambiguous');
  }
  try {
    const root = parseJson(text, { maxDepth: 16, maxNodes: 8_192 });
    if (root.kind !== 'object') throw new TokenFault('not_a_token');
    return jsonValue(root) as Claims;
  } catch (error) {
    if (error instanceof TokenFault) throw error;
    const twoReadings = error instanceof JsonError && (error.code === 'duplicate_key' || error.code === 'surrogate');
    throw new TokenFault(twoReadings ? 'ambiguous' : 'not_a_token');
  }
}

/** Only the canonical spelling: Node's decoder skips foreign characters and ignores stray trailing bits. */
function decode(part: string): Buffer {
  if (!base64url.test(part)) throw new TokenFault('not_a_token');
  const bytes = Buffer.from(part, 'base64url');
  if (bytes.toString('base64url') !== part) throw new TokenFault('ambiguous');
  return bytes;
}

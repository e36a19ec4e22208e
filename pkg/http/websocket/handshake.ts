import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { RefusedError } from '../../core/index.ts';

/** The opening handshake of a WebSocket (RFC 6455 section 4). */

const guid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** What a server answers to a key. */
export const acceptOf = (key: string): string =>
  createHash('sha1')
    .update(key + guid)
    .digest('base64');

/** 16 bytes in base64. */
const keyForm = /^[A-Za-z0-9+/]{21}[AQgw]==$/;

/** The key of a caller's handshake. @throws RefusedError malformed_http */
export function keyOf(headers: IncomingHttpHeaders): string {
  const key = headers['sec-websocket-key'];
  if (headers['sec-websocket-version'] !== '13')
    throw new RefusedError('malformed_http', { detail: 'sec-websocket-version' });
  if (typeof key !== 'string' || !keyForm.test(key))
    throw new RefusedError('malformed_http', { detail: 'sec-websocket-key' });
  return key;
}

const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/;
const mostProtocols = 16;

/** Subprotocols that a caller offers, in order. @throws RefusedError malformed_http */
export function offeredProtocols(headers: IncomingHttpHeaders): readonly string[] {
  const said = headers['sec-websocket-protocol'];
  if (said === undefined) return [];
  const names = said.split(',').map((name) => name.trim());
  if (names.length > mostProtocols || new Set(names).size !== names.length || !names.every((name) => token.test(name)))
    throw new RefusedError('malformed_http', { detail: 'sec-websocket-protocol' });
  return names;
}

import { randomFillSync } from 'node:crypto';
import { fin, opcodes } from './frame-reader.ts';

/** Frames of a WebSocket as they are written (RFC 6455 section 5.2): masked where we are the client, with keys that nobody can foretell. */

/** @param first FIN and opcode. */
export function frame(first: number, payload: Uint8Array, masked: boolean): Buffer {
  const size = payload.length;
  const extended = size < 126 ? 0 : size < 65_536 ? 2 : 8;
  const at = 2 + extended + (masked ? 4 : 0);
  const bytes = Buffer.alloc(at + size);
  bytes[0] = first;
  bytes[1] = (masked ? 0x80 : 0) | (extended === 0 ? size : extended === 2 ? 126 : 127);
  if (extended === 2) bytes.writeUInt16BE(size, 2);
  else if (extended === 8) {
    bytes.writeUInt32BE(0, 2);
    bytes.writeUInt32BE(size, 6);
  }
  bytes.set(payload, at);
  if (masked) mask(bytes, at);
  return bytes;
}

/** Keys are taken from a pool: asking for four bytes each time costs more than all else of a short frame. */
const pool = Buffer.alloc(4_096);
let taken = pool.length;

function mask(bytes: Buffer, from: number): void {
  if (taken === pool.length) {
    randomFillSync(pool);
    taken = 0;
  }
  const key = taken;
  taken += 4;
  pool.copy(bytes, from - 4, key, key + 4);
  for (let at = from, turn = 0; at < bytes.length; at++, turn = (turn + 1) & 3)
    bytes[at] = (bytes[at] as number) ^ (pool[key + turn] as number);
}

/** Longest reason: 125 bytes less the code. */
const mostReason = 123;

/** @param code undefined: none. @param reason cut where a frame has no room for more, between two letters. */
export function closeFrame(code: number | undefined, reason: string, masked: boolean): Buffer {
  if (code === undefined) return frame(fin | opcodes.close, new Uint8Array(0), masked);
  let text = reason;
  while (Buffer.byteLength(text) > mostReason) text = text.slice(0, -1).replace(/[\ud800-\udbff]$/, '');
  const payload = Buffer.alloc(2 + Buffer.byteLength(text));
  payload.writeUInt16BE(code);
  payload.write(text, 2, 'utf8');
  return frame(fin | opcodes.close, payload, masked);
}

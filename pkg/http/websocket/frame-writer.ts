import { randomFillSync } from 'node:crypto';
import { fin, opcodes } from './frame-reader.ts';

/** Frames of a WebSocket as they are written (RFC 6455 section 5.2): masked where we are the client, with keys that nobody can foretell. */

export interface Frame {
  /** FIN and opcode. */
  readonly first: number;
  readonly payload: Uint8Array;
}

/** @param first FIN and opcode. */
export const frame = (first: number, payload: Uint8Array, masked: boolean): Buffer =>
  frames([{ first, payload }], masked);

/** Several behind one another, so that they leave in one write. */
export function frames(list: readonly Frame[], masked: boolean): Buffer {
  let total = 0;
  for (const { payload } of list) total += headBytes(payload.length, masked) + payload.length;
  const bytes = Buffer.alloc(total);
  let at = 0;
  for (const { first, payload } of list) at = write(bytes, at, first, payload, masked);
  return bytes;
}

const headBytes = (size: number, masked: boolean): number =>
  2 + (size < 126 ? 0 : size < 65_536 ? 2 : 8) + (masked ? 4 : 0);

/** @returns where the next begins. */
function write(bytes: Buffer, from: number, first: number, payload: Uint8Array, masked: boolean): number {
  const size = payload.length;
  const at = from + headBytes(size, masked);
  bytes[from] = first;
  bytes[from + 1] = (masked ? 0x80 : 0) | (size < 126 ? size : size < 65_536 ? 126 : 127);
  if (size >= 65_536) {
    bytes.writeUInt32BE(0, from + 2);
    bytes.writeUInt32BE(size, from + 6);
  } else if (size >= 126) bytes.writeUInt16BE(size, from + 2);
  bytes.set(payload, at);
  if (masked) mask(bytes, at, at + size);
  return at + size;
}

/** Keys are taken from a pool: asking for four bytes each time costs more than all else of a short frame. */
const pool = Buffer.alloc(4_096);
let taken = pool.length;

function mask(bytes: Buffer, from: number, to: number): void {
  if (taken === pool.length) {
    randomFillSync(pool);
    taken = 0;
  }
  const key = taken;
  taken += 4;
  pool.copy(bytes, from - 4, key, key + 4);
  for (let at = from, turn = 0; at < to; at++, turn = (turn + 1) & 3)
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

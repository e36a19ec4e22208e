import { isUtf8 } from 'node:buffer';
import { crc32 } from 'node:zlib';
import { RefusedError } from '../../core/index.ts';
import { longestFrame } from './stream-framing.ts';

/**
 * Messages of `application/vnd.amazon.eventstream` (docs.aws.amazon.com/lexv2, Event stream encoding; smithy.io, Amazon Event Stream): total length,
 * length of the headers, CRC32 of these eight bytes, headers, payload, CRC32 of all before it. Numbers are big-endian.
 *
 * Strict: both checksums hold, lengths come to the message's, each header is a string and comes once. What a client may skip or read otherwise is refused.
 */

const preludeBytes = 12;
const crcBytes = 4;
const leastBytes = preludeBytes + crcBytes;
/** The specification's own bound on headers. */
const mostHeaderBytes = 128 * 1_024;
/** Of the kinds of header values the one that events of a model have. */
const stringKind = 7;
/** More than AWS sends: three. */
const mostHeaders = 16;

export interface EventMessage {
  readonly headers: ReadonlyMap<string, string>;
  readonly payload: Buffer;
}

function refuse(): never {
  throw new RefusedError('response_uninspectable', { detail: 'frame' });
}

/** @param headers names and values of at most 255 and 32,767 bytes of UTF-8. */
export function encodeEvent(headers: readonly (readonly [name: string, value: string])[], payload: Uint8Array): Buffer {
  const parts = headers.map(([name, value]): Buffer => {
    const bytes = Buffer.alloc(1 + Buffer.byteLength(name) + 3 + Buffer.byteLength(value));
    const at = bytes.writeUInt8(Buffer.byteLength(name)) + bytes.write(name, 1);
    bytes.writeUInt8(stringKind, at);
    bytes.writeUInt16BE(Buffer.byteLength(value), at + 1);
    bytes.write(value, at + 3);
    return bytes;
  });
  const headerBytes = parts.reduce((sum, part) => sum + part.length, 0);
  const total = leastBytes + headerBytes + payload.length;
  const message = Buffer.alloc(total);
  message.writeUInt32BE(total, 0);
  message.writeUInt32BE(headerBytes, 4);
  message.writeUInt32BE(crc32(message.subarray(0, 8)), 8);
  let at = preludeBytes;
  for (const part of parts) at += part.copy(message, at);
  message.set(payload, at);
  message.writeUInt32BE(crc32(message.subarray(0, total - crcBytes)), total - crcBytes);
  return message;
}

/** The length that a prelude says. @throws RefusedError response_uninspectable */
function lengthOf(prelude: Buffer, most: number): number {
  if (crc32(prelude.subarray(0, 8)) !== prelude.readUInt32BE(8)) refuse();
  const total = prelude.readUInt32BE(0);
  const headers = prelude.readUInt32BE(4);
  if (total < leastBytes || headers > mostHeaderBytes || headers > total - leastBytes) refuse();
  if (total > most) throw new RefusedError('response_uninspectable', { detail: 'frame_size' });
  return total;
}

/** @param bytes one message, and nothing else. @throws RefusedError response_uninspectable */
export function decodeEvent(bytes: Buffer): EventMessage {
  if (bytes.length < leastBytes || lengthOf(bytes, bytes.length) !== bytes.length) refuse();
  const end = bytes.length - crcBytes;
  if (crc32(bytes.subarray(0, end)) !== bytes.readUInt32BE(end)) refuse();
  const headersEnd = preludeBytes + bytes.readUInt32BE(4);
  return { headers: readHeaders(bytes.subarray(preludeBytes, headersEnd)), payload: bytes.subarray(headersEnd, end) };
}

function readHeaders(bytes: Buffer): ReadonlyMap<string, string> {
  const headers = new Map<string, string>();
  let at = 0;
  const take = (length: number): Buffer => {
    if (at + length > bytes.length) refuse();
    const part = bytes.subarray(at, at + length);
    at += length;
    return part;
  };
  const text = (length: number): string => {
    const part = take(length);
    if (!isUtf8(part)) refuse();
    return part.toString('utf8');
  };
  while (at < bytes.length) {
    const name = text(take(1).readUInt8());
    if (take(1).readUInt8() !== stringKind) refuse();
    const value = text(take(2).readUInt16BE());
    if (name === '' || headers.has(name) || headers.size >= mostHeaders) refuse();
    headers.set(name, value);
  }
  return headers;
}

/** Cuts a stream into whole messages, wherever its chunks are cut. */
export class EventSplitter {
  readonly #most: number;
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** Of the message that has begun; its prelude's where that is not whole. */
  #due = preludeBytes;

  /** @param most bytes of a message; default 8 Mi. */
  constructor(most = longestFrame) {
    this.#most = most;
  }

  /** Bytes of the message that is not whole yet. */
  get pendingBytes(): number {
    return this.#bytes;
  }

  /** Whole messages that this chunk completes. @throws RefusedError response_uninspectable */
  push(chunk: Buffer): readonly Buffer[] {
    if (chunk.length > 0) this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes < this.#due) return [];
    let rest = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks, this.#bytes);
    const messages: Buffer[] = [];
    for (;;) {
      this.#due = rest.length < preludeBytes ? preludeBytes : lengthOf(rest, this.#most);
      if (rest.length < this.#due) break;
      messages.push(rest.subarray(0, this.#due));
      rest = rest.subarray(this.#due);
    }
    this.#bytes = rest.length;
    this.#chunks = rest.length === 0 ? [] : [rest];
    return messages;
  }

  clear(): void {
    this.#chunks = [];
    this.#bytes = 0;
    this.#due = preludeBytes;
  }
}

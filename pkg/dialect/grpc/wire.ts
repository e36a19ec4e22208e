import { isUtf8 } from 'node:buffer';
import type { ByteChain } from '../../base/index.ts';

/** Where the fields of one message stand in its bytes (protobuf's wire format), nothing decoded and nothing copied. */

export const WireType = { varint: 0, bit64: 1, lengthDelimited: 2, bit32: 5 } as const;

export interface Occurrence {
  readonly wire: number;
  /** Of a length-delimited field: where its length stands. */
  readonly lengthAt: number;
  /** Its value, without the length. */
  readonly from: number;
  readonly to: number;
}

/** Fields of all messages of a body together: each is an object while the body is read. */
export const maxFields = 200_000;

/** What cannot be read: the message is not the wire format, or has more of it than is read. */
export class WireError extends Error {
  override readonly name = 'WireError';
}

/** Bounds what is read of one body. */
export class FieldCount {
  #left = maxFields;

  take(): void {
    if (--this.#left < 0) throw new WireError('more fields than are read');
  }
}

/** Bytes of the longest varint, and of the longest tag or length: both have 32 bits. */
const longestVarint = 10;
const longestLength = 5;
const largestLength = 0xffff_ffff;

/** Up to here a loop over the bytes beats a call of the runtime's. */
const shortText = 32;

/**
 * Reads bytes at their places, over pieces: what is skipped is not touched.
 *
 * Promise: a tag or length that two readers take differently (more than five bytes, more than 32 bits) is refused.
 */
export class WireReader {
  readonly #chain: ByteChain;
  #piece: Buffer = empty;
  /** Where that piece begins and ends. */
  #base = 0;
  #end = 0;
  /** Where it reads. */
  #at = 0;

  constructor(chain: ByteChain) {
    this.#chain = chain;
  }

  get length(): number {
    return this.#chain.length;
  }

  /**
   * The fields of the message that stands from `from` to `to`, by number, in the order in which they first come.
   *
   * @throws WireError
   */
  fields(from: number, to: number, count: FieldCount): Map<number, Occurrence[]> {
    const fields = new Map<number, Occurrence[]>();
    this.#at = from;
    while (this.#at < to) {
      count.take();
      const tag = this.#varint32(to);
      const number = tag >>> 3;
      if (number === 0) throw new WireError('not protobuf');
      const wire = tag & 7;
      let lengthAt = -1;
      let start = this.#at;
      switch (wire) {
        case WireType.varint:
          this.#skipVarint(to);
          break;
        case WireType.bit64:
          this.#at += 8;
          break;
        case WireType.bit32:
          this.#at += 4;
          break;
        case WireType.lengthDelimited: {
          lengthAt = start;
          const length = this.#varint32(to);
          start = this.#at;
          this.#at += length;
          break;
        }
        default:
          // Groups went with proto2.
          throw new WireError('a wire type that is not read');
      }
      if (this.#at > to) throw new WireError('a field longer than its message');
      const occurrence = { wire, lengthAt, from: start, to: this.#at };
      const known = fields.get(number);
      if (known === undefined) fields.set(number, [occurrence]);
      else known.push(occurrence);
    }
    return fields;
  }

  /** The text that stands there; undefined: it is not UTF-8. */
  text(from: number, to: number): string | undefined {
    const length = to - from;
    if (length === 0) return '';
    if (from < this.#base || from >= this.#end) this.#move(from);
    if (to > this.#end) {
      const bytes = this.#chain.bytes(from, to);
      return isUtf8(bytes) ? bytes.toString('utf8') : undefined;
    }
    const piece = this.#piece;
    const start = from - this.#base;
    const end = to - this.#base;
    if (length <= shortText) {
      let at = start;
      while (at < end && (piece[at] ?? 0x80) < 0x80) at++;
      if (at === end) return piece.toString('latin1', start, end);
    }
    return isUtf8(piece.subarray(start, end)) ? piece.toString('utf8', start, end) : undefined;
  }

  /** The bytes from `from` to `to`, in one piece. */
  bytes(from: number, to: number): Buffer {
    return this.#chain.bytes(from, to);
  }

  /** Four bytes, least first. They must be there. */
  uint32(at: number): number {
    return (this.#byte(at) | (this.#byte(at + 1) << 8) | (this.#byte(at + 2) << 16) | (this.#byte(at + 3) << 24)) >>> 0;
  }

  /** Varints in a packed list, counted until `enough` are found. */
  countVarints(from: number, to: number, enough: number): number {
    let count = 0;
    for (let at = from; at < to && count < enough; at++) if (this.#byte(at) < 0x80) count++;
    return count;
  }

  #byte(at: number): number {
    if (at < this.#base || at >= this.#end) this.#move(at);
    return this.#piece[at - this.#base] as number;
  }

  #move(at: number): void {
    const next = this.#chain.pieceAt(at);
    const piece = this.#chain.pieces[next];
    if (piece === undefined) throw new WireError('not protobuf');
    this.#base = this.#chain.startOf(next);
    this.#end = this.#base + piece.length;
    this.#piece = Buffer.from(piece.buffer, piece.byteOffset, piece.length);
  }

  /** A tag or a length. */
  #varint32(to: number): number {
    let value = 0;
    let unit = 1;
    for (let bytes = 0; bytes < longestLength && this.#at < to; bytes++) {
      const byte = this.#byte(this.#at++);
      value += (byte & 0x7f) * unit;
      unit *= 128;
      if (byte >= 0x80) continue;
      if (value > largestLength) break;
      return value;
    }
    throw new WireError('not protobuf');
  }

  #skipVarint(to: number): void {
    for (let bytes = 0; bytes < longestVarint && this.#at < to; bytes++) if (this.#byte(this.#at++) < 0x80) return;
    throw new WireError('not protobuf');
  }
}

const empty = Buffer.alloc(0);

/** Base 128, as protobuf writes lengths. */
export function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 0x7f) {
    bytes.push((rest & 0x7f) | 0x80);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
  return Uint8Array.from(bytes);
}

import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';

/** Where the fields of one message stand in its bytes (protobuf's wire format), nothing decoded yet. */

export interface Occurrence {
  readonly wire: WireType;
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

/**
 * The fields of the message that stands in `bytes` from `from` to `to`, by number, in the order in which they first come.
 *
 * @throws WireError
 */
export function readFields(bytes: Uint8Array, from: number, to: number, count: FieldCount): Map<number, Occurrence[]> {
  const reader = new BinaryReader(bytes.subarray(from, to));
  const fields = new Map<number, Occurrence[]>();
  try {
    while (reader.pos < reader.len) {
      count.take();
      const [number, wire] = reader.tag();
      let lengthAt = -1;
      let start = reader.pos;
      switch (wire) {
        case WireType.Varint:
          reader.uint64();
          break;
        case WireType.Bit64:
          reader.pos += 8;
          break;
        case WireType.Bit32:
          reader.pos += 4;
          break;
        case WireType.LengthDelimited: {
          lengthAt = from + start;
          const length = reader.uint32();
          start = reader.pos;
          reader.pos += length;
          break;
        }
        default:
          // Groups went with proto2.
          throw new WireError('a wire type that is not read');
      }
      if (reader.pos > reader.len) throw new WireError('a field longer than its message');
      const occurrence = { wire, lengthAt, from: from + start, to: from + reader.pos };
      const known = fields.get(number);
      if (known === undefined) fields.set(number, [occurrence]);
      else known.push(occurrence);
    }
  } catch (cause) {
    if (cause instanceof WireError) throw cause;
    throw new WireError('not protobuf', { cause });
  }
  return fields;
}

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

/** Varints in a packed list, counted until `enough` are found. */
export function countVarints(bytes: Uint8Array, from: number, to: number, enough: number): number {
  let count = 0;
  for (let at = from; at < to && count < enough; at++) if ((bytes[at] ?? 0) < 0x80) count++;
  return count;
}

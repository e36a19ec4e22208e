import { isUtf8 } from 'node:buffer';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { floatTypes, wholeBytes } from '../../pkg/dialect/kserve/datatypes.ts';
import type { WholeNumbers } from '../../pkg/dialect/number-tally.ts';
import { namesIds, namesPrompt } from '../../pkg/dialect/token-ids.ts';
import { unread } from '../../pkg/dialect/grpc/projection.ts';
import { tokenRun } from '../../pkg/dialect/number-tally.ts';
import { scalar as scalars } from '../../pkg/dialect/grpc/registry.ts';
import type { FieldType, MessageType } from '../../pkg/dialect/grpc/registry.ts';

/**
 * A second reader of the messages that pkg/dialect/grpc/projection.ts reads, to compare it with: over one piece of bytes, by the reader of
 * `@bufbuild/protobuf`, and into a text of JSON.
 */

/** What the reference does not read. */
export class NotReadError extends Error {}

interface Occurrence {
  readonly wire: WireType;
  readonly from: number;
  readonly to: number;
}

const lastFileField = 14;
const nameField = 1;
const datatypeField = 2;
const contentsField = 5;

export interface ReferenceReading {
  /** The JSON. */
  readonly text: string;
  readonly numbers: readonly WholeNumbers[];
  /** What stands in each string that can be changed, in order: where its bytes begin and end. */
  readonly strings: readonly (readonly [number, number])[];
}

/** @throws NotReadError */
export function referenceReading(type: MessageType, bytes: Uint8Array, tellsByNumbers = false): ReferenceReading {
  const projector = new Projector(bytes, tellsByNumbers);
  projector.message(type, 0, bytes.length);
  return projector;
}

/** A tag or length as the specification has it: five bytes, 32 bits. */
function checkVarint32(bytes: Uint8Array, at: number): void {
  let value = 0n;
  for (let n = 0; n < 5; n++) {
    const byte = bytes[at + n];
    if (byte === undefined) break;
    value |= BigInt(byte & 0x7f) << BigInt(7 * n);
    if (byte >= 0x80) continue;
    if (value >> 32n !== 0n) break;
    return;
  }
  throw new NotReadError('a varint of more than 32 bits');
}

function readFields(bytes: Uint8Array, from: number, to: number): Map<number, Occurrence[]> {
  const own = bytes.subarray(from, to);
  const reader = new BinaryReader(own);
  const fields = new Map<number, Occurrence[]>();
  try {
    while (reader.pos < reader.len) {
      checkVarint32(own, reader.pos);
      const [number, wire] = reader.tag();
      let start = reader.pos;
      if (wire === WireType.Varint) reader.uint64();
      else if (wire === WireType.Bit64) reader.pos += 8;
      else if (wire === WireType.Bit32) reader.pos += 4;
      else if (wire === WireType.LengthDelimited) {
        checkVarint32(own, start);
        const length = reader.uint32();
        start = reader.pos;
        reader.pos += length;
      } else throw new NotReadError('a wire type that is not read');
      if (reader.pos > reader.len) throw new NotReadError('a field longer than its message');
      const known = fields.get(number) ?? [];
      fields.set(number, [...known, { wire, from: from + start, to: from + reader.pos }]);
    }
  } catch (cause) {
    if (cause instanceof NotReadError) throw cause;
    throw new NotReadError('not protobuf', { cause });
  }
  return fields;
}

class Projector {
  text = '';
  readonly strings: [number, number][] = [];
  readonly #bytes: Uint8Array;
  readonly numbers: WholeNumbers[] = [];
  #whole = 0;
  readonly #tellsByNumbers: boolean;
  /** Whose numbers these are. */
  #tensorName = '';

  constructor(bytes: Uint8Array, tellsByNumbers: boolean) {
    this.#bytes = bytes;
    this.#tellsByNumbers = tellsByNumbers;
  }

  message(type: MessageType, from: number, to: number, raw?: () => void): void {
    const occurrences = readFields(this.#bytes, from, to);
    const contents = this.#rawContents(type, occurrences);
    if (type.special?.is === 'tensor') this.#tensorName = this.#nameOf(occurrences);
    let comma = '{';
    for (const [number, values] of occurrences) {
      const field = type.fields.get(number);
      if (field === undefined) throw new NotReadError('an unknown field');
      if (contents?.number === number) continue;
      this.text += `${comma}"${field.name}":`;
      comma = ',';
      this.#field(type, field, values, contents?.tensors === number ? contents.write : undefined);
    }
    if (raw !== undefined) {
      this.text += `${comma}"raw":`;
      comma = ',';
      raw();
    }
    this.text += comma === '{' ? '{}' : '}';
  }

  #field(
    type: MessageType,
    { kind, holds, keys, name }: FieldType,
    values: readonly Occurrence[],
    raw: ((at: number) => void) | undefined,
  ): void {
    if (kind === 'map') return this.#map(keys, holds, values);
    if (kind === 'one') {
      const [one] = values;
      if (one === undefined || values.length !== 1) twice();
      return this.#single(holds, one);
    }
    if (typeof holds === 'object') {
      return this.#list(values, (one, at) => this.#inner(holds, one, raw === undefined ? undefined : () => raw(at)));
    }
    if (type.special?.is === 'files') return this.#list(values, (one) => this.#file(one));
    if (isText(holds)) return this.#list(values, (one) => this.#string(holds, one));
    const ids = namesIds(name) || namesPrompt(name) || (type.special?.is === 'ids' && name === 'ids');
    this.#numbers(holds, values, !type.gathers, ids);
  }

  #list(values: readonly Occurrence[], write: (one: Occurrence, at: number) => void): void {
    this.text += '[';
    values.forEach((one, at) => {
      if (at > 0) this.text += ',';
      write(one, at);
    });
    this.text += ']';
  }

  #inner(type: MessageType, one: Occurrence, raw?: () => void): void {
    const { from, to } = this.#delimited(one);
    this.message(type, from, to, raw);
  }

  #delimited(one: Occurrence): Occurrence {
    if (one.wire !== WireType.LengthDelimited) throw new NotReadError('another wire type');
    return one;
  }

  #single(holds: number | MessageType, one: Occurrence): void {
    if (typeof holds === 'object') this.#inner(holds, one);
    else if (isText(holds)) this.#string(holds, one);
    else this.text += this.#number(holds, one);
  }

  #map(keys: number, holds: number | MessageType, entries: readonly Occurrence[]): void {
    let comma = '{';
    for (const entry of entries) {
      this.#delimited(entry);
      const parts = readFields(this.#bytes, entry.from, entry.to);
      const [key, ...moreKeys] = parts.get(1) ?? [];
      const [value, ...moreValues] = parts.get(2) ?? [];
      if (moreKeys.length + moreValues.length > 0) twice();
      for (const number of parts.keys()) if (number > 2) throw new NotReadError('an unknown field');
      this.text += `${comma}${this.#key(keys, key)}:`;
      comma = ',';
      if (value === undefined) this.text += 'null';
      else this.#single(holds, value);
    }
    this.text += comma === '{' ? '{}' : '}';
  }

  #key(scalar: number, one: Occurrence | undefined): string {
    if (one === undefined) return '""';
    if (scalar !== scalars.string) return JSON.stringify(this.#number(scalar, one));
    const text = this.#textOf(one);
    if (text === undefined) throw new NotReadError('a key that is not UTF-8');
    return JSON.stringify(text);
  }

  #string(scalar: number, one: Occurrence): void {
    const text = this.#textOf(one);
    if (text === undefined && scalar === scalars.string) throw new NotReadError('a string that is not UTF-8');
    this.#put(text, one);
  }

  /**
   * A google.protobuf.FileDescriptorProto: its names and comments are UTF-8, and what stands between them (tags, lengths, numbers) shows as
   * whatever it is or as U+FFFD. It can be read and not changed.
   */
  #file(one: Occurrence): void {
    const { from, to } = this.#delimited(one);
    for (const number of readFields(this.#bytes, from, to).keys())
      if (number > lastFileField) throw new NotReadError('no descriptor');
    this.text += JSON.stringify(Buffer.from(this.#bytes.subarray(from, to)).toString('utf8'));
  }

  #put(text: string | undefined, { from, to }: Occurrence): void {
    if (text === undefined) this.text += unread;
    else {
      this.strings.push([from, to]);
      this.text += JSON.stringify(text);
    }
  }

  /** Undefined: it is not UTF-8. */
  #textOf({ wire, from, to }: Pick<Occurrence, 'wire' | 'from' | 'to'>): string | undefined {
    if (wire !== WireType.LengthDelimited) throw new NotReadError('another wire type');
    const bytes = this.#bytes.subarray(from, to);
    if (!isUtf8(bytes)) return undefined;
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8');
  }

  #number(scalar: number, { wire, from, to }: Occurrence): string {
    if (wire !== wireOf(scalar)) throw new NotReadError('another wire type');
    const reader = new BinaryReader(this.#bytes.subarray(from, to));
    switch (scalar) {
      case scalars.bool:
        return String(reader.bool());
      case scalars.int32:
        return String(reader.int32());
      case scalars.uint32:
        return String(reader.uint32());
      case scalars.sint32:
        return String(reader.sint32());
      case scalars.int64:
        return String(reader.int64());
      case scalars.uint64:
        return String(reader.uint64());
      case scalars.sint64:
        return String(reader.sint64());
      case scalars.fixed32:
        return String(reader.fixed32());
      case scalars.sfixed32:
        return String(reader.sfixed32());
      case scalars.fixed64:
        return String(reader.fixed64());
      case scalars.sfixed64:
        return String(reader.sfixed64());
      case scalars.float:
        return finite(reader.float());
      case scalars.double:
        return finite(reader.double());
      default:
        throw new NotReadError('an unknown scalar');
    }
  }

  /**
   * A list of numbers: whole ones are counted, and shown where they may be a text.
   *
   * @param apart counted for itself: how large a tensor is in each direction, which servers compare with its contents.
   * @param ids they are the ids of tokens: shown however few.
   */
  #numbers(scalar: number, values: readonly Occurrence[], apart: boolean, ids: boolean): void {
    const before = this.#whole;
    if (apart) this.#whole = 0;
    const counted = this.#whole;
    const wire = wireOf(scalar);
    const float = scalar === scalars.float || scalar === scalars.double;
    for (const one of values) {
      if (one.wire !== wire && one.wire !== WireType.LengthDelimited) throw new NotReadError('another wire type');
      if (float) continue;
      if (one.wire === wire) this.#whole++;
      else if (wire === WireType.Varint)
        this.#whole += Math.min(tokenRun, this.#bytes.subarray(one.from, one.to).filter((byte) => byte < 0x80).length);
      else this.#whole += (one.to - one.from) / (wire === WireType.Bit32 ? 4 : 8);
    }
    const count = this.#whole - counted;
    if (!apart) this.#tally(count, values);
    if (ids && count > 0) this.text += unread;
    else this.#showNumbers(float, apart);
    if (apart) this.#whole = before;
  }

  /** What has come to be shown by its number of whole numbers. */
  #showNumbers(float: boolean, apart = false): void {
    const fewTell = !apart && (this.#tellsByNumbers || namesIds(this.#tensorName));
    const tells = this.#whole >= tokenRun || (fewTell && this.#whole > 0);
    this.text += !float && tells ? unread : 'null';
  }

  /** Remembered where they are too few to be shown. */
  #tally(count: number, values: readonly Pick<Occurrence, 'from' | 'to'>[]): void {
    if (count <= 0 || this.#whole >= tokenRun) return;
    const bytes = values.map(({ from, to }) => Buffer.from(this.#bytes.subarray(from, to)).toString('latin1')).join('');
    this.numbers.push({ name: this.#tensorName, count, bytes });
  }

  /** Contents of tensors that stand apart from them are written into them. */
  #rawContents(
    type: MessageType,
    occurrences: ReadonlyMap<number, readonly Occurrence[]>,
  ): { readonly number: number; readonly tensors: number; readonly write: (at: number) => void } | undefined {
    const place = type.special;
    const raw = place?.is === 'tensors' ? occurrences.get(place.raw) : undefined;
    if (place?.is !== 'tensors' || raw === undefined) return undefined;
    const tensors = occurrences.get(place.tensors) ?? [];
    // Which contents are whose, both sides must read alike.
    if (tensors.length !== raw.length) throw new NotReadError('contents of other tensors');
    const write = (at: number): void => {
      const tensor = tensors[at];
      const one = raw[at];
      if (tensor === undefined || one === undefined) throw new NotReadError('contents of other tensors');
      this.#tensor(this.#datatype(tensor), this.#delimited(one));
    };
    return { number: place.raw, tensors: place.tensors, write };
  }

  #nameOf(tensor: ReadonlyMap<number, readonly Occurrence[]>): string {
    const [one] = tensor.get(nameField) ?? [];
    return one === undefined ? '' : (this.#textOf(one) ?? '');
  }

  #datatype({ from, to }: Occurrence): string {
    const fields = readFields(this.#bytes, from, to);
    // MLServer leaves an empty message there, which says nothing.
    if (fields.get(contentsField)?.some((one) => one.to > one.from) === true) throw new NotReadError('contents twice');
    const [one] = fields.get(datatypeField) ?? [];
    return one === undefined ? '' : (this.#textOf(one) ?? '');
  }

  #tensor(datatype: string, region: Occurrence): void {
    if (datatype === 'BYTES') return this.#elements(region);
    if (floatTypes.has(datatype)) return this.#showNumbers(true);
    const size = wholeBytes.get(datatype);
    const count = size === undefined ? tokenRun : (region.to - region.from) / size;
    this.#whole += count;
    this.#tally(count, [region]);
    this.#showNumbers(false);
  }

  /** Elements of a BYTES tensor, each behind its length. */
  #elements(region: Occurrence): void {
    const view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.byteLength);
    let at = region.from;
    this.text += '[';
    while (at < region.to) {
      if (at > region.from) this.text += ',';
      const from = at + 4;
      const to = from + (from <= region.to ? view.getUint32(at, true) : Number.POSITIVE_INFINITY);
      if (to > region.to) throw new NotReadError('an element longer than its tensor');
      const element = { wire: WireType.LengthDelimited, from, to };
      this.#put(this.#textOf(element), element);
      at = to;
    }
    this.text += ']';
  }
}

function twice(): never {
  throw new NotReadError('a field that may come once');
}

const isText = (scalar: number): boolean => scalar === scalars.string || scalar === scalars.bytes;

const finite = (value: number): string => (Number.isFinite(value) ? String(value) : 'null');

function wireOf(scalar: number): WireType {
  switch (scalar) {
    case scalars.fixed32:
    case scalars.sfixed32:
    case scalars.float:
      return WireType.Bit32;
    case scalars.fixed64:
    case scalars.sfixed64:
    case scalars.double:
      return WireType.Bit64;
    default:
      return WireType.Varint;
  }
}

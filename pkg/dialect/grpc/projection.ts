import { isUtf8 } from 'node:buffer';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import type { JsonEdit } from '../../base/index.ts';
import { floatTypes, wholeBytes } from '../kserve/datatypes.ts';
import type { WholeNumbers } from '../rpc.ts';
import { namesIds, namesPrompt } from '../token-ids.ts';
import { editWire } from './edit-wire.ts';
import type { Region } from './edit-wire.ts';
import { scalar as scalars } from './registry.ts';
import type { FieldType, MessageType } from './registry.ts';
import { FieldCount, WireError, countVarints, readFields } from './wire.ts';
import type { Occurrence } from './wire.ts';

/**
 * A protobuf message as JSON that says the same to whoever looks for texts, and the way back: so everything that reads JSON (lanes,
 * guards, field rules, the record) reads protobuf.
 *
 * Promise: every `string`, every `bytes` and every key of a map is a string of the JSON, or shows there as {@link unread}, which counts as
 * text that cannot be inspected; so do eight whole numbers in tensors or in one list elsewhere, and fewer of one that is named as token ids are; every number that stands
 * alone shows as it is. Refused is what two readers could take differently: a field that the descriptor does not have, a field that comes twice and may come once, text that is not UTF-8, another wire type. An edit of a
 * string changes its bytes and the lengths around it, and no other byte.
 *
 * Limit: whole numbers of a tensor that are fewer than {@link tokenRun} in a message show as nothing; {@link Projection.numbers} has them, for
 * whoever reads a stream of messages. Floating-point numbers of tensors (FP16, BF16, FP32, FP64) are not looked at.
 */

/** Stands for what nobody can read as text: eight whole numbers are taken for token ids everywhere. */
export const unread = '[0,0,0,0,0,0,0,0]';

/** Whole numbers in a body from which on they may be a text: as in JSON. */
export const tokenRun = 8;

/** Highest field of google.protobuf.FileDescriptorProto. */
const lastFileField = 14;
/** Of a tensor. */
const nameField = 1;
const datatypeField = 2;
const contentsField = 5;

export class Projection {
  /** The JSON. */
  readonly text: string;
  /** Of lists that show as nothing, because they are too short to be a text by themselves. */
  readonly numbers: readonly WholeNumbers[];
  readonly #bytes: Uint8Array;
  readonly #strings: ReadonlyMap<number, Region>;

  constructor(bytes: Uint8Array, { text, numbers, strings }: Pick<Projector, 'text' | 'numbers' | 'strings'>) {
    this.#bytes = bytes;
    this.text = text;
    this.numbers = numbers;
    this.#strings = strings;
  }

  /**
   * The message with these edits of its JSON, none of which lies inside another.
   *
   * @throws WireError for an edit of anything but a string that is no key.
   */
  edited(edits: readonly JsonEdit[]): Uint8Array {
    if (edits.length === 0) return this.#bytes;
    const changes = new Map<Region, Uint8Array>();
    for (const { start, text } of edits) {
      const region = this.#strings.get(start);
      // eslint-disable-next-line no-restricted-syntax -- text of our own making
      const value: unknown = region === undefined ? undefined : JSON.parse(text);
      if (region === undefined || typeof value !== 'string') throw new WireError('not a string');
      changes.set(region, Buffer.from(value, 'utf8'));
    }
    return editWire(this.#bytes, changes);
  }

  /** Offsets of the strings that can be edited, in order. */
  get starts(): Iterable<number> {
    return this.#strings.keys();
  }
}

/**
 * @param tellsByNumbers whole numbers of tensors are unread, however few.
 * @throws WireError
 */
export function project(type: MessageType, bytes: Uint8Array, tellsByNumbers = false): Projection {
  const projector = new Projector(bytes, tellsByNumbers);
  projector.message(type, 0, bytes.length, undefined);
  return new Projection(bytes, projector);
}

class Projector {
  text = '';
  readonly strings = new Map<number, Region>();
  readonly #bytes: Uint8Array;
  readonly #count = new FieldCount();
  readonly numbers: WholeNumbers[] = [];
  #whole = 0;
  readonly #tellsByNumbers: boolean;
  /** Whose numbers these are. */
  #tensorName = '';

  constructor(bytes: Uint8Array, tellsByNumbers: boolean) {
    this.#bytes = bytes;
    this.#tellsByNumbers = tellsByNumbers;
  }

  message(type: MessageType, from: number, to: number, region: Region | undefined, raw?: () => void): void {
    const occurrences = readFields(this.#bytes, from, to, this.#count);
    const contents = this.#rawContents(type, occurrences, region);
    if (type.special?.is === 'tensor') this.#tensorName = this.#nameOf(occurrences);
    let comma = '{';
    for (const [number, values] of occurrences) {
      const field = type.fields.get(number);
      if (field === undefined) throw new WireError('an unknown field');
      if (contents?.number === number) continue;
      this.text += `${comma}"${field.name}":`;
      comma = ',';
      this.#field(type, field, values, region, contents?.tensors === number ? contents.write : undefined);
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
    parent: Region | undefined,
    raw: ((at: number) => void) | undefined,
  ): void {
    if (kind === 'map') return this.#map(keys, holds, values, parent);
    if (kind === 'one') {
      const [one] = values;
      if (one === undefined || values.length !== 1) twice();
      return this.#single(holds, one, parent);
    }
    if (typeof holds === 'object') {
      return this.#list(values, (one, at) =>
        this.#inner(holds, one, parent, raw === undefined ? undefined : () => raw(at)),
      );
    }
    if (type.special?.is === 'files') return this.#list(values, (one) => this.#file(one));
    if (isText(holds)) return this.#list(values, (one) => this.#string(holds, one, parent));
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

  #inner(type: MessageType, one: Occurrence, parent: Region | undefined, raw?: () => void): void {
    this.message(type, one.from, one.to, this.#region(one, parent), raw);
  }

  #region({ wire, lengthAt, from, to }: Occurrence, parent: Region | undefined): Region {
    if (wire !== WireType.LengthDelimited) throw new WireError('another wire type');
    return { lengthAt, from, to, parent, length: 'varint' };
  }

  #single(holds: number | MessageType, one: Occurrence, parent: Region | undefined): void {
    if (typeof holds === 'object') this.#inner(holds, one, parent);
    else if (isText(holds)) this.#string(holds, one, parent);
    else this.text += this.#number(holds, one);
  }

  #map(keys: number, holds: number | MessageType, entries: readonly Occurrence[], parent: Region | undefined): void {
    let comma = '{';
    for (const entry of entries) {
      const region = this.#region(entry, parent);
      const parts = readFields(this.#bytes, entry.from, entry.to, this.#count);
      const [key, ...moreKeys] = parts.get(1) ?? [];
      const [value, ...moreValues] = parts.get(2) ?? [];
      if (moreKeys.length + moreValues.length > 0) twice();
      for (const number of parts.keys()) if (number > 2) throw new WireError('an unknown field');
      this.text += `${comma}${this.#key(keys, key)}:`;
      comma = ',';
      if (value === undefined) this.text += 'null';
      else this.#single(holds, value, region);
    }
    this.text += comma === '{' ? '{}' : '}';
  }

  #key(scalar: number, one: Occurrence | undefined): string {
    if (one === undefined) return '""';
    if (scalar !== scalars.string) return JSON.stringify(this.#number(scalar, one));
    const text = this.#textOf(one);
    if (text === undefined) throw new WireError('a key that is not UTF-8');
    return JSON.stringify(text);
  }

  #string(scalar: number, one: Occurrence, parent: Region | undefined): void {
    const region = this.#region(one, parent);
    const text = this.#textOf(one);
    if (text === undefined && scalar === scalars.string) throw new WireError('a string that is not UTF-8');
    this.#put(text, region);
  }

  /**
   * A google.protobuf.FileDescriptorProto: its names and comments are UTF-8, and what stands between them (tags, lengths, numbers) shows as
   * whatever it is or as U+FFFD. It can be read and not changed.
   */
  #file(one: Occurrence): void {
    const { from, to } = this.#region(one, undefined);
    for (const number of readFields(this.#bytes, from, to, this.#count).keys())
      if (number > lastFileField) throw new WireError('no descriptor');
    this.text += JSON.stringify(Buffer.from(this.#bytes.subarray(from, to)).toString('utf8'));
  }

  #put(text: string | undefined, region: Region): void {
    if (text === undefined) this.text += unread;
    else {
      this.strings.set(this.text.length, region);
      this.text += JSON.stringify(text);
    }
  }

  /** Undefined: it is not UTF-8. */
  #textOf({ wire, from, to }: Pick<Occurrence, 'wire' | 'from' | 'to'>): string | undefined {
    if (wire !== WireType.LengthDelimited) throw new WireError('another wire type');
    const bytes = this.#bytes.subarray(from, to);
    if (!isUtf8(bytes)) return undefined;
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8');
  }

  #number(scalar: number, { wire, from, to }: Occurrence): string {
    if (wire !== wireOf(scalar)) throw new WireError('another wire type');
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
        throw new WireError('an unknown scalar');
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
      if (one.wire !== wire && one.wire !== WireType.LengthDelimited) throw new WireError('another wire type');
      if (float) continue;
      if (one.wire === wire) this.#whole++;
      else if (wire === WireType.Varint) this.#whole += countVarints(this.#bytes, one.from, one.to, tokenRun);
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
    region: Region | undefined,
  ): { readonly number: number; readonly tensors: number; readonly write: (at: number) => void } | undefined {
    const place = type.special;
    const raw = place?.is === 'tensors' ? occurrences.get(place.raw) : undefined;
    if (place?.is !== 'tensors' || raw === undefined) return undefined;
    const tensors = occurrences.get(place.tensors) ?? [];
    // Which contents are whose, both sides must read alike.
    if (tensors.length !== raw.length) throw new WireError('contents of other tensors');
    const write = (at: number): void => {
      const tensor = tensors[at];
      const one = raw[at];
      if (tensor === undefined || one === undefined) throw new WireError('contents of other tensors');
      this.#tensor(this.#datatype(tensor), this.#region(one, region));
    };
    return { number: place.raw, tensors: place.tensors, write };
  }

  #nameOf(tensor: ReadonlyMap<number, readonly Occurrence[]>): string {
    const [one] = tensor.get(nameField) ?? [];
    return one === undefined ? '' : (this.#textOf(one) ?? '');
  }

  #datatype({ from, to }: Occurrence): string {
    const fields = readFields(this.#bytes, from, to, this.#count);
    if (fields.has(contentsField)) throw new WireError('contents twice');
    const [one] = fields.get(datatypeField) ?? [];
    return one === undefined ? '' : (this.#textOf(one) ?? '');
  }

  #tensor(datatype: string, region: Region): void {
    if (datatype === 'BYTES') return this.#elements(region);
    if (floatTypes.has(datatype)) return this.#showNumbers(true);
    const size = wholeBytes.get(datatype);
    const count = size === undefined ? tokenRun : (region.to - region.from) / size;
    this.#whole += count;
    this.#tally(count, [region]);
    this.#showNumbers(false);
  }

  /** Elements of a BYTES tensor, each behind its length. */
  #elements(region: Region): void {
    const view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.byteLength);
    let at = region.from;
    this.text += '[';
    while (at < region.to) {
      this.#count.take();
      if (at > region.from) this.text += ',';
      const from = at + 4;
      const to = from + (from <= region.to ? view.getUint32(at, true) : Number.POSITIVE_INFINITY);
      if (to > region.to) throw new WireError('an element longer than its tensor');
      const element: Region = { lengthAt: at, from, to, parent: region, length: 'uint32' };
      this.#put(this.#textOf({ wire: WireType.LengthDelimited, from, to }), element);
      at = to;
    }
    this.text += ']';
  }
}

function twice(): never {
  throw new WireError('a field that may come once');
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

import { BinaryReader } from '@bufbuild/protobuf/wire';
import { JsonNode } from '../../base/index.ts';
import type { ByteChain, JsonEdit, JsonKind } from '../../base/index.ts';
import { floatTypes, wholeBytes } from '../kserve/datatypes.ts';
import { tokenRun } from '../number-tally.ts';
import type { WholeNumbers } from '../number-tally.ts';
import { namesIds, namesPrompt } from '../token-ids.ts';
import { editWire } from './edit-wire.ts';
import type { Region } from './edit-wire.ts';
import { scalar as scalars } from './registry.ts';
import type { FieldType, MessageType } from './registry.ts';
import { FieldCount, WireError, WireReader, WireType } from './wire.ts';
import type { Occurrence } from './wire.ts';

/**
 * A protobuf message as the JSON value that says the same to whoever looks for texts, and the way back: so everything that reads JSON
 * (lanes, guards, field rules, the record) reads protobuf. No text is made of it: its nodes come from the bytes, and of numbers and bytes that
 * nobody reads nothing but where they end is looked at.
 *
 * Promise: every `string`, every `bytes` and every key of a map is a string of the JSON, or shows there as {@link unread}, which counts as
 * text that cannot be inspected; so do eight whole numbers in tensors or in one list elsewhere, and fewer of one that is named as token ids are; every number that stands
 * alone shows as it is. Refused is what two readers could take differently: a field that the descriptor does not have, a field that comes twice and may come once, text that is not UTF-8, another wire type, a key of a map
 * that comes twice. An edit of a string changes its bytes and the lengths around it, and no other byte.
 *
 * Limit: whole numbers of a tensor that are fewer than {@link tokenRun} in a message show as nothing; {@link Projection.numbers} has them, for
 * whoever reads a stream of messages. Floating-point numbers of tensors (FP16, BF16, FP32, FP64) are not looked at.
 */

/** Stands for what nobody can read as text: eight whole numbers are taken for token ids everywhere. */
export const unread = '[0,0,0,0,0,0,0,0]';

/** Highest field of google.protobuf.FileDescriptorProto. */
const lastFileField = 14;
/** Of a tensor. */
const nameField = 1;
const datatypeField = 2;
const contentsField = 5;

/** Deepest nesting of objects and lists, as in JSON. */
const maxDepth = 64;
/** So many nodes are made between two times that somebody hears how many there are. */
const toldEach = 1_024;

/** What came out of one message. */
export class Projection {
  readonly root: JsonNode;
  /** Values and keys. */
  readonly nodes: number;
  /** Characters of a text that said the same, about. */
  readonly units: number;
  /** Of lists that show as nothing, because they are too short to be a text by themselves. */
  readonly numbers: readonly WholeNumbers[];
  readonly #bytes: ByteChain;
  readonly #strings: ReadonlyMap<number, Region>;

  constructor(bytes: ByteChain, root: JsonNode, { nodes, units, numbers, strings }: Projector) {
    this.#bytes = bytes;
    this.root = root;
    this.nodes = nodes;
    this.units = units;
    this.numbers = numbers;
    this.#strings = strings;
  }

  /**
   * The message with these edits of its JSON, none of which lies inside another.
   *
   * @throws WireError for an edit of anything but a string that is no key, and for half of a surrogate pair, which has no UTF-8.
   */
  edited(edits: readonly JsonEdit[]): ByteChain {
    if (edits.length === 0) return this.#bytes;
    const changes = new Map<Region, Uint8Array>();
    for (const { start, text } of edits) {
      const region = this.#strings.get(start);
      // eslint-disable-next-line no-restricted-syntax -- text of our own making
      const value: unknown = region === undefined ? undefined : JSON.parse(text);
      if (region === undefined || typeof value !== 'string') throw new WireError('not a string');
      if (!value.isWellFormed()) throw new WireError('half of a surrogate pair');
      changes.set(region, Buffer.from(value, 'utf8'));
    }
    return editWire(this.#bytes, changes);
  }

  /** Places of the strings that can be edited, in order. */
  get starts(): Iterable<number> {
    return this.#strings.keys();
  }
}

export interface ProjectionOptions {
  /** Whole numbers of tensors are unread, however few. Default false. */
  readonly tellsByNumbers?: boolean;
  /** Told while it is read how many values and keys there are. What it throws ends the reading. */
  readonly grown?: ((nodes: number) => void) | undefined;
}

/** @throws WireError */
export function project(type: MessageType, bytes: ByteChain, options: ProjectionOptions = {}): Projection {
  const projector = new Projector(bytes, options);
  const root = projector.message(type, 0, bytes.length, undefined);
  options.grown?.(projector.nodes);
  return new Projection(bytes, root, projector);
}

class Projector {
  readonly strings = new Map<number, Region>();
  readonly numbers: WholeNumbers[] = [];
  nodes = 0;
  /** Where the next node stands: as it would in a text. */
  units = 0;
  readonly #reader: WireReader;
  readonly #count = new FieldCount();
  readonly #grown: ProjectionOptions['grown'];
  #depth = 0;
  #whole = 0;
  readonly #tellsByNumbers: boolean;
  /** Whose numbers these are. */
  #tensorName = '';

  constructor(bytes: ByteChain, { tellsByNumbers = false, grown }: ProjectionOptions) {
    this.#reader = new WireReader(bytes);
    this.#tellsByNumbers = tellsByNumbers;
    this.#grown = grown;
  }

  message(type: MessageType, from: number, to: number, region: Region | undefined, raw?: () => JsonNode): JsonNode {
    const occurrences = this.#reader.fields(from, to, this.#count);
    const contents = this.#rawContents(type, occurrences, region);
    if (type.special?.is === 'tensor') this.#tensorName = this.#nameOf(occurrences);
    const object = new OpenNode(this.#open('object'));
    for (const [number, values] of occurrences) {
      const field = type.fields.get(number);
      if (field === undefined) throw new WireError('an unknown field');
      if (contents?.number === number) continue;
      const key = this.#leaf('string', field.name);
      object.put(
        key,
        this.#field(type, field, values, region, contents?.tensors === number ? contents.read : undefined),
      );
    }
    if (raw !== undefined) {
      const key = this.#leaf('string', 'raw');
      object.put(key, raw());
    }
    return this.#close(object);
  }

  #field(
    type: MessageType,
    { kind, holds, keys, name }: FieldType,
    values: readonly Occurrence[],
    parent: Region | undefined,
    raw: ((at: number) => JsonNode) | undefined,
  ): JsonNode {
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
    return this.#numbers(holds, values, !type.gathers, ids);
  }

  #list(values: readonly Occurrence[], read: (one: Occurrence, at: number) => JsonNode): JsonNode {
    const list = new OpenNode(this.#open('array'));
    for (let at = 0; at < values.length; at++) list.items.push(read(values[at] as Occurrence, at));
    return this.#close(list);
  }

  #inner(type: MessageType, one: Occurrence, parent: Region | undefined, raw?: () => JsonNode): JsonNode {
    return this.message(type, one.from, one.to, this.#region(one, parent), raw);
  }

  #region({ wire, lengthAt, from, to }: Occurrence, parent: Region | undefined): Region {
    if (wire !== WireType.lengthDelimited) throw new WireError('another wire type');
    return { lengthAt, from, to, parent, length: 'varint' };
  }

  #single(holds: number | MessageType, one: Occurrence, parent: Region | undefined): JsonNode {
    if (typeof holds === 'object') return this.#inner(holds, one, parent);
    return isText(holds) ? this.#string(holds, one, parent) : this.#number(holds, one);
  }

  #map(
    keys: number,
    holds: number | MessageType,
    entries: readonly Occurrence[],
    parent: Region | undefined,
  ): JsonNode {
    const object = new OpenNode(this.#open('object'));
    const known = new Set<string>();
    for (const entry of entries) {
      const region = this.#region(entry, parent);
      const parts = this.#reader.fields(entry.from, entry.to, this.#count);
      const [key, ...moreKeys] = parts.get(1) ?? [];
      const [value, ...moreValues] = parts.get(2) ?? [];
      if (moreKeys.length + moreValues.length > 0) twice();
      for (const number of parts.keys()) if (number > 2) throw new WireError('an unknown field');
      const name = this.#key(keys, key);
      if (known.has(name)) throw new WireError('a key that comes twice');
      known.add(name);
      const node = this.#leaf('string', name);
      object.put(node, value === undefined ? this.#leaf('null', 'null') : this.#single(holds, value, region));
    }
    return this.#close(object);
  }

  #key(scalar: number, one: Occurrence | undefined): string {
    if (one === undefined) return '';
    if (scalar !== scalars.string) return this.#numberText(scalar, one);
    const text = this.#textOf(one);
    if (text === undefined) throw new WireError('a key that is not UTF-8');
    return text;
  }

  #string(scalar: number, one: Occurrence, parent: Region | undefined): JsonNode {
    const region = this.#region(one, parent);
    const text = this.#textOf(one);
    if (text === undefined && scalar === scalars.string) throw new WireError('a string that is not UTF-8');
    return this.#put(text, region);
  }

  /**
   * A google.protobuf.FileDescriptorProto: its names and comments are UTF-8, and what stands between them (tags, lengths, numbers) shows as
   * whatever it is or as U+FFFD. It can be read and not changed.
   */
  #file(one: Occurrence): JsonNode {
    const { from, to } = this.#region(one, undefined);
    for (const number of this.#reader.fields(from, to, this.#count).keys())
      if (number > lastFileField) throw new WireError('no descriptor');
    return this.#leaf('string', this.#reader.bytes(from, to).toString('utf8'));
  }

  #put(text: string | undefined, region: Region): JsonNode {
    if (text === undefined) return this.#unread();
    this.strings.set(this.units, region);
    return this.#leaf('string', text);
  }

  /** Undefined: it is not UTF-8. */
  #textOf({ wire, from, to }: Pick<Occurrence, 'wire' | 'from' | 'to'>): string | undefined {
    if (wire !== WireType.lengthDelimited) throw new WireError('another wire type');
    return this.#reader.text(from, to);
  }

  #leaf(kind: Exclude<JsonKind, 'object' | 'array'>, text: string): JsonNode {
    const start = this.units;
    // Two for its quotes, and one for what follows.
    const end = start + text.length + (kind === 'string' ? 2 : 0);
    this.units = end + 1;
    this.#made();
    return JsonNode.made(kind, start, end, text);
  }

  #unread(): JsonNode {
    const start = this.units;
    this.units = start + unread.length + 1;
    this.#made();
    const node = JsonNode.made('array', start, start + unread.length, unread);
    node.numbers = 'integers';
    node.numberCount = tokenRun;
    node.items = zeros;
    return node;
  }

  #open(kind: 'object' | 'array'): JsonNode {
    if (++this.#depth > maxDepth) throw new WireError('nested too deeply');
    this.#made();
    const start = this.units++;
    return JsonNode.made(kind, start, start, '');
  }

  #close({ node, keys, items }: OpenNode): JsonNode {
    this.#depth--;
    node.keys = keys;
    node.items = items;
    node.end = ++this.units;
    return node;
  }

  #made(): void {
    this.nodes++;
    if (this.nodes % toldEach === 0) this.#grown?.(this.nodes);
  }

  #number(scalar: number, one: Occurrence): JsonNode {
    const text = this.#numberText(scalar, one);
    if (scalar === scalars.bool) return this.#leaf(text === 'true' ? 'true' : 'false', text);
    return this.#leaf(text === 'null' ? 'null' : 'number', text);
  }

  #numberText(scalar: number, { wire, from, to }: Occurrence): string {
    if (wire !== wireOf(scalar)) throw new WireError('another wire type');
    const reader = new BinaryReader(this.#reader.bytes(from, to));
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
  #numbers(scalar: number, values: readonly Occurrence[], apart: boolean, ids: boolean): JsonNode {
    const before = this.#whole;
    if (apart) this.#whole = 0;
    const counted = this.#whole;
    const wire = wireOf(scalar);
    const float = scalar === scalars.float || scalar === scalars.double;
    for (const one of values) {
      if (one.wire !== wire && one.wire !== WireType.lengthDelimited) throw new WireError('another wire type');
      if (float) continue;
      if (one.wire === wire) this.#whole++;
      else if (wire === WireType.varint) this.#whole += this.#reader.countVarints(one.from, one.to, tokenRun);
      else this.#whole += (one.to - one.from) / (wire === WireType.bit32 ? 4 : 8);
    }
    const count = this.#whole - counted;
    if (!apart) this.#tally(count, values);
    const shown = ids && count > 0 ? this.#unread() : this.#shownNumbers(float, apart);
    if (apart) this.#whole = before;
    return shown;
  }

  /** What has come to be shown by its number of whole numbers. */
  #shownNumbers(float: boolean, apart = false): JsonNode {
    const fewTell = !apart && (this.#tellsByNumbers || namesIds(this.#tensorName));
    const tells = this.#whole >= tokenRun || (fewTell && this.#whole > 0);
    return !float && tells ? this.#unread() : this.#leaf('null', 'null');
  }

  /** Remembered where they are too few to be shown. */
  #tally(count: number, values: readonly Pick<Occurrence, 'from' | 'to'>[]): void {
    if (count <= 0 || this.#whole >= tokenRun) return;
    const bytes = values.map(({ from, to }) => this.#reader.bytes(from, to).toString('latin1')).join('');
    this.numbers.push({ name: this.#tensorName, count, bytes });
  }

  /** Contents of tensors that stand apart from them are shown in them. */
  #rawContents(
    type: MessageType,
    occurrences: ReadonlyMap<number, readonly Occurrence[]>,
    region: Region | undefined,
  ): { readonly number: number; readonly tensors: number; readonly read: (at: number) => JsonNode } | undefined {
    const place = type.special;
    const raw = place?.is === 'tensors' ? occurrences.get(place.raw) : undefined;
    if (place?.is !== 'tensors' || raw === undefined) return undefined;
    const tensors = occurrences.get(place.tensors) ?? [];
    // Which contents are whose, both sides must read alike.
    if (tensors.length !== raw.length) throw new WireError('contents of other tensors');
    const read = (at: number): JsonNode => {
      const tensor = tensors[at];
      const one = raw[at];
      if (tensor === undefined || one === undefined) throw new WireError('contents of other tensors');
      return this.#tensor(this.#datatype(tensor), this.#region(one, region));
    };
    return { number: place.raw, tensors: place.tensors, read };
  }

  #nameOf(tensor: ReadonlyMap<number, readonly Occurrence[]>): string {
    const [one] = tensor.get(nameField) ?? [];
    return one === undefined ? '' : (this.#textOf(one) ?? '');
  }

  #datatype({ from, to }: Occurrence): string {
    const fields = this.#reader.fields(from, to, this.#count);
    // MLServer leaves an empty message there, which says nothing.
    if (fields.get(contentsField)?.some((one) => one.to > one.from) === true) throw new WireError('contents twice');
    const [one] = fields.get(datatypeField) ?? [];
    return one === undefined ? '' : (this.#textOf(one) ?? '');
  }

  #tensor(datatype: string, region: Region): JsonNode {
    if (datatype === 'BYTES') return this.#elements(region);
    if (floatTypes.has(datatype)) return this.#shownNumbers(true);
    const size = wholeBytes.get(datatype);
    const count = size === undefined ? tokenRun : (region.to - region.from) / size;
    this.#whole += count;
    this.#tally(count, [region]);
    return this.#shownNumbers(false);
  }

  /** Elements of a BYTES tensor, each behind its length. */
  #elements(region: Region): JsonNode {
    const list = new OpenNode(this.#open('array'));
    let at = region.from;
    while (at < region.to) {
      this.#count.take();
      const from = at + 4;
      const to = from + (from <= region.to ? this.#reader.uint32(at) : Number.POSITIVE_INFINITY);
      if (to > region.to) throw new WireError('an element longer than its tensor');
      const element: Region = { lengthAt: at, from, to, parent: region, length: 'uint32' };
      list.items.push(this.#put(this.#reader.text(from, to), element));
      at = to;
    }
    return this.#close(list);
  }
}

/** An object or list while it is read. */
class OpenNode {
  readonly node: JsonNode;
  readonly keys: JsonNode[] = [];
  readonly items: JsonNode[] = [];

  constructor(node: JsonNode) {
    this.node = node;
  }

  put(key: JsonNode, item: JsonNode): void {
    this.keys.push(key);
    this.items.push(item);
  }
}

/** What stands in {@link unread}. */
const zeros: readonly JsonNode[] = Object.freeze(
  Array.from({ length: tokenRun }, () => JsonNode.made('number', -1, -1, '0')),
);

function twice(): never {
  throw new WireError('a field that may come once');
}

const isText = (scalar: number): boolean => scalar === scalars.string || scalar === scalars.bytes;

const finite = (value: number): string => (Number.isFinite(value) ? String(value) : 'null');

function wireOf(scalar: number): number {
  switch (scalar) {
    case scalars.fixed32:
    case scalars.sfixed32:
    case scalars.float:
      return WireType.bit32;
    case scalars.fixed64:
    case scalars.sfixed64:
    case scalars.double:
      return WireType.bit64;
    default:
      return WireType.varint;
  }
}

import type { JsonNode } from '../base/index.ts';
import { RefusedError } from '../core/index.ts';
import type { FilePart, JoinedLane, Lane, LoneValue, MediaPart, TokenLane, Usage } from './dialect.ts';
import { limitingWord, referringWord, saysNothing, tellingWord } from './refused-fields.ts';
import { free, namesSchema, schema, toolInput } from './shape.ts';
import type { Shape, ShapePlace, ShapeReader } from './shape.ts';
import { asksByIds, hasSpelledIds, isSpelledId, tellsByIds } from './token-ids.ts';

/** Integers in a row that may be token ids. */
const tokenRun = 8;
/** Digits of the shortest number that says who somebody is. */
const longNumber = 7;
const longNumberIn = /\d{7}/;
/** Most values and keys of a request's body, and values that are read from it: each takes some 400 bytes for as long as the request is looked at. */
export const maxRequestValues = 80_000;
/** Most values that are read from an answer's: in one go, 100,000 take about 20 ms. */
export const maxAnswerValues = 200_000;
/** Highest `index` that a stream may give to a choice or tool call: each is a lane that is kept. */
export const maxIndex = 4_095;

const none: readonly never[] = Object.freeze([]);

/**
 * Walks a body by its shape and puts each string in exactly one list.
 *
 * Promise: after `read`, every string value, in requests every long number in a place of free form (in answers: of what a tool is called
 * with), and every key outside of the dialect's vocabulary is in `lanes`, `loneValues`, a node of `tokenLanes`, a node of `integerArrays` or `opaque`; nothing is left
 * out because it was unexpected. In a request no field that the dialect does not know refers to what is not in it, or limits the output, but in the
 * caller's own words.
 */
export class Reader implements ShapeReader {
  lanes: Lane[] | readonly Lane[] = none;
  loneValues: LoneValue[] | readonly LoneValue[] = none;
  /** What tools are called with, where that is an object or a list. */
  toolInputs: JsonNode[] | readonly JsonNode[] = none;
  tokenLanes: TokenLane[] | readonly TokenLane[] = none;
  integerArrays: JsonNode[] | readonly JsonNode[] = none;
  opaque: JsonNode[] | readonly JsonNode[] = none;
  joined: JoinedLane[] | readonly JoinedLane[] = none;
  models: { readonly id: string; readonly node: JsonNode }[] = none as unknown as [];
  usage: Usage | undefined = undefined;
  /** What may pass only where policy lets such files pass. */
  files: FilePart[] | readonly FilePart[] = none;
  /** The same, of which a model reads the text, where a guard would. */
  documents: FilePart[] | readonly FilePart[] = none;
  /** Of a request: pictures, sound and files that stand in it. */
  media: MediaPart[] | readonly MediaPart[] = none;
  /** Of a request: what the server is to fetch. */
  links: string[] | readonly string[] = none;
  tokenInput = false;
  /** Numbers of lists that were looked at one by one. */
  listNumbers = 0;
  /** The body itself has fields that the dialect does not have: what a server makes of them nobody knows. */
  strangers = false;
  readonly #strict: boolean;
  readonly #holdsLimit: boolean;
  #left: number;

  /**
   * @param what `request`: an unexpected kind refuses. `answer`: it is read as unknown.
   * @param limit of the output. `held`: one field says it, and a request that says it by a field that the dialect does not know is refused. `none`: it
   *   writes nothing, or no field is held, so that a rule that limits output lets none by.
   */
  constructor(what: 'request' | 'answer', limit: 'held' | 'none' = 'held') {
    this.#strict = what === 'request';
    this.#holdsLimit = limit === 'held';
    this.#left = this.#strict ? maxRequestValues : maxAnswerValues;
  }

  read(node: JsonNode, place: ShapePlace): void {
    const shape = place.shape;
    if (--this.#left < 0) this.refuse(place);
    if (shape.read?.(this, node, place) === true) return;
    switch (node.kind) {
      case 'string':
        if (shape.string === undefined) return this.#unexpected(node, place);
        return this.#string(node, place, shape.string);
      case 'object':
        if (shape.fields === undefined) return this.#unexpected(node, place);
        this.#noteToolInput(node, shape);
        return this.#object(node, place);
      case 'array':
        if (shape.items === undefined) return this.#unexpected(node, place);
        this.#noteToolInput(node, shape);
        return this.#array(node, place);
      case 'number':
        if (shape.number !== true) return this.#unexpected(node, place);
        return this.#number(node, place);
      case 'true':
      case 'false':
        if (shape.boolean !== true) this.#unexpected(node, place);
        return;
      case 'null':
        return;
      default:
        return this.refuse(place);
    }
  }

  refuse(place: ShapePlace, field?: string): never {
    const id = place.publicId;
    const detail = field === undefined ? id : id === '' ? field : `${id}.${field}`;
    throw new RefusedError(this.#strict ? 'invalid_request' : 'response_uninspectable', {
      detail: detail === '' ? 'body' : detail,
    });
  }

  lane(node: JsonNode, place: ShapePlace, kind: 'text' | 'json'): void {
    const lane =
      place.shape.unknown === true ? { id: place.id, kind, node, path: place.path } : { id: place.id, kind, node };
    const told: Lane = place.shape.grows === true ? { ...lane, grows: true } : lane;
    if (this.lanes === none) this.lanes = [told];
    else (this.lanes as Lane[]).push(told);
  }

  lone(node: JsonNode, place: ShapePlace, key = false): void {
    const value = { path: place.path, node, key };
    if (this.loneValues === none) this.loneValues = [value];
    else (this.loneValues as LoneValue[]).push(value);
  }

  join(id: string, node: JsonNode, each = false): void {
    const known = (this.#joined ??= new Map<string, JsonNode[]>()).get(id);
    if (known !== undefined) return void known.push(node);
    const nodes = [node];
    this.#joined.set(id, nodes);
    const lane = each ? { id, nodes, each } : { id, nodes };
    if (this.joined === none) this.joined = [lane];
    else (this.joined as JoinedLane[]).push(lane);
  }
  #joined: Map<string, JsonNode[]> | undefined = undefined;

  hide(node: JsonNode): void {
    if (this.opaque === none) this.opaque = [node];
    else (this.opaque as JsonNode[]).push(node);
  }

  file(part: FilePart): void {
    if (this.files === none) this.files = [part];
    else (this.files as FilePart[]).push(part);
  }

  document(part: FilePart): void {
    if (this.documents === none) this.documents = [part];
    else (this.documents as FilePart[]).push(part);
  }

  medium(part: MediaPart): void {
    if (!this.#strict) return;
    if (this.media === none) this.media = [part];
    else (this.media as MediaPart[]).push(part);
  }

  link(url: string): void {
    if (!this.#strict) return;
    if (this.links === none) this.links = [url];
    else (this.links as string[]).push(url);
  }

  tokens(node?: JsonNode): void {
    this.tokenInput = true;
    if (node === undefined) return;
    if (this.integerArrays === none) this.integerArrays = [node];
    else (this.integerArrays as JsonNode[]).push(node);
  }

  tokenLane(lane: TokenLane): void {
    if (this.tokenLanes === none) this.tokenLanes = [lane];
    else (this.tokenLanes as TokenLane[]).push(lane);
  }

  model(id: string, node: JsonNode): void {
    if ((this.models as readonly unknown[]) === none) this.models = [{ id, node }];
    else this.models.push({ id, node });
  }

  #unexpected(node: JsonNode, place: ShapePlace): void {
    if (this.#strict || place.shape.strict === true) this.refuse(place);
    // Servers give as JSON what the dialect has as a text of it.
    this.read(node, place.as(place.shape.string === 'json' ? toolInput : free));
  }

  #string(node: JsonNode, place: ShapePlace, role: NonNullable<Shape['string']>): void {
    if (role === 'lone') this.lone(node, place);
    else if (!this.#strict && place.shape.unknown === true && isSpelledId(node.text)) this.tokens(node);
    else this.lane(node, place, role);
  }

  /** Numbers that a template or a schema writes into the prompt are text there: long ones are looked at. */
  #number(node: JsonNode, place: ShapePlace): void {
    const { unknown, noTokens, digits } = place.shape;
    const looked = this.#strict ? unknown === true || noTokens === true || digits === true : digits === true;
    if (looked && node.end - node.start >= longNumber) this.lone(node, place);
  }

  #noteToolInput(node: JsonNode, { isToolInput }: Shape): void {
    if (isToolInput !== true) return;
    if (this.toolInputs === none) this.toolInputs = [node];
    else (this.toolInputs as JsonNode[]).push(node);
  }

  #object(node: JsonNode, place: ShapePlace): void {
    if (!this.#strict && place.shape.unknown === true && hasSpelledIds(node)) return this.tokens(node);
    const { order } = place.shape;
    const spans: Span[] | undefined = this.#strict && order !== undefined ? [] : undefined;
    const { keys, items } = node;
    for (let at = 0; at < keys.length; at++) {
      const key = keys[at];
      const item = items[at];
      if (key === undefined || item === undefined) continue;
      const from = this.lanes.length;
      const known = place.known(key.text);
      if (known !== undefined) this.read(item, known);
      else this.#stranger(key, item, place, node);
      if (spans === undefined || this.lanes.length === from) continue;
      const rank = order?.indexOf(key.text) ?? -1;
      if (rank >= 0) spans.push({ rank, from, to: this.lanes.length });
    }
    if (spans !== undefined && spans.length > 1) this.lanes = arranged(this.lanes, spans);
  }

  /** A key that the dialect does not have. */
  #stranger(key: JsonNode, item: JsonNode, place: ShapePlace, object: JsonNode): void {
    const fields = place.shape.fields;
    if (this.#strict && fields !== undefined && fields.size > 0 && place.shape.noTokens !== true) {
      const twin = twinOf(fields, key.text);
      if (twin !== undefined) this.refuse(place, twin);
      if (place.id === '') this.#strangerOfBody(key, item, place);
    }
    const stranger = place.stranger(key.text);
    this.lone(key, stranger, true);
    if (this.#strict && stranger.shape.unlisted === true) return this.#unlisted(key, item, stranger, place);
    if (stranger.shape.unknown === true) {
      // Where the dialect knows what stands around it, a list of numbers there is no prompt: metadata, arguments of a tool.
      if (this.#strict && asksByIds(key.text, item) && place.publicId === '') this.tokens();
      if (!this.#strict && stranger.shape.digits !== true && tellsByIds(key.text, item, object))
        return this.tokens(item);
    }
    this.read(item, stranger);
  }

  /** However deep: a server that knows the field would take what it refers to, and nobody has seen that here. */
  #unlisted(key: JsonNode, item: JsonNode, stranger: ShapePlace, around: ShapePlace): void {
    if (asksByIds(key.text, item) && around.publicId === '') this.tokens();
    else {
      const word = referringWord(key.text);
      if (word !== undefined && !saysNothing(item)) this.refuse(around, word);
      this.#refuseLimit(key, item, around);
    }
    this.read(item, namesSchema(key.text) ? stranger.as(schema) : stranger);
  }

  #strangerOfBody(key: JsonNode, item: JsonNode, place: ShapePlace): void {
    this.strangers = true;
    const word = tellingWord(key.text);
    if (word !== undefined) this.refuse(place, word);
    this.#refuseLimit(key, item, place);
  }

  #refuseLimit(key: JsonNode, item: JsonNode, around: ShapePlace): void {
    const word = this.#holdsLimit ? limitingWord(key.text, item) : undefined;
    if (word !== undefined) this.refuse(around, word);
  }

  #array(node: JsonNode, place: ShapePlace): void {
    const shape = place.shape;
    if (node.numbers !== undefined) {
      if (shape.items?.number !== true) this.refuse(place);
      if (mayBeIds(shape) && node.numbers === 'integers' && node.numberCount >= tokenRun) this.tokens(node);
      if ((this.#strict || shape.digits === true) && longNumberIn.test(node.text)) {
        // Before there is a node for each.
        if (node.numberCount > this.#left) this.refuse(place);
        this.listNumbers += node.numberCount;
        node.items.forEach((item, at) => this.read(item, place.element(at)));
      }
      return;
    }
    const items = node.items;
    const names = shape.names?.(this, node, place);
    let integers = 0;
    for (let at = 0; at < items.length; at++) {
      const item = items[at];
      if (item === undefined) continue;
      if (item.kind === 'number' && isInteger(item)) integers++;
      this.read(item, names === undefined ? this.#element(item, at, place) : namedElement(place, names[at] ?? at));
    }
    if (integers >= tokenRun && mayBeIds(shape)) this.tokens(node);
  }

  #element(item: JsonNode, at: number, place: ShapePlace): ShapePlace {
    return place.element(place.shape.byIndex === true ? this.#index(item, at, place) : at);
  }

  /** What an element of a streamed array is called: its own `index`, or its position where it has none. */
  #index(item: JsonNode, position: number, place: ShapePlace): number {
    const node = item.get('index');
    if (node === undefined || node.kind === 'null') return position;
    const index = node.number;
    if (index === undefined || !Number.isInteger(index) || index < 0 || index > maxIndex) this.refuse(place, 'index');
    return index;
  }
}

/** What a tool is called with, or gave, has numbers that are its own. */
const mayBeIds = ({ noTokens, digits }: Shape): boolean => noTokens !== true && digits !== true;

/** Lanes of one field, and which it is of those that are read in an order. */
interface Span {
  readonly rank: number;
  readonly from: number;
  readonly to: number;
}

/** The lanes of these fields one behind the other, in their order, from where the first of them stands. */
function arranged(lanes: readonly Lane[], spans: readonly Span[]): readonly Lane[] {
  const isArranged = spans.every(({ rank, from }, at) => {
    const before = spans[at - 1];
    return before === undefined || (before.rank < rank && before.to === from);
  });
  if (isArranged) return lanes;
  const inOrder = [...spans].sort((a, b) => a.rank - b.rank);
  const start = spans[0]?.from ?? 0;
  const others = lanes.filter((_, at) => at >= start && !spans.some(({ from, to }) => at >= from && at < to));
  return [...lanes.slice(0, start), ...inOrder.flatMap(({ from, to }) => lanes.slice(from, to)), ...others];
}

const namedElement = (place: ShapePlace, name: number | string): ShapePlace =>
  typeof name === 'number' ? place.element(name) : place.stranger(name).as(place.shape.items ?? free);

function isInteger(node: JsonNode): boolean {
  return /^-?[0-9]+$/.test(node.text);
}

const twins = new WeakMap<ReadonlyMap<string, Shape>, ReadonlyMap<string, string>>();

/**
 * The field whose name differs from this key only in case, as Go's encoding/json compares (Unicode simple folding: the
 * Kelvin sign is a k, the long s an s): such a server would read what we did not.
 */
function twinOf(fields: ReadonlyMap<string, Shape>, key: string): string | undefined {
  if (key.length > 64) return undefined;
  let folded = twins.get(fields);
  if (folded === undefined) {
    folded = new Map([...fields.keys()].map((name) => [fold(name), name]));
    twins.set(fields, folded);
  }
  return folded.get(fold(key));
}

function fold(name: string): string {
  return name.toUpperCase().toLowerCase();
}

import type { JsonNode } from '../../base/index.ts';
import { RefusedError } from '../../core/index.ts';
import type { FrameView, Lane, LaneEnds, Usage } from '../dialect.ts';
import { Place } from '../place.ts';
import { maxIndex, Reader } from '../reader.ts';
import { object } from '../shape.ts';
import type { Shape, ShapePlace } from '../shape.ts';
import { usageOf } from '../usage.ts';
import { bare, heardFirst, heardLast, items, parts, sessions, sounds, texts } from './events.ts';
import type { Carried } from './events.ts';
import {
  conversation,
  item as itemShape,
  response as responseShape,
  serverFields,
  sound,
  toldSession,
} from './shapes.ts';
import { toldLimit, untold } from './told-limit.ts';
import type { ToldLimit } from './told-limit.ts';

/**
 * What a server sends on OpenAI's Realtime API, event by event, over one connection.
 *
 * Promise: every string is in exactly one list (see {@link Reader}); an event of an unknown type ends the connection. The pieces of a text are one lane,
 * whichever event brings them; a text of an event outside an item is whole in it; where an event says a text again, whole, that is a lane of its own. Both end when the response is done, as it says
 * that it ended; what was heard when it is said to be complete. After that no piece of it may come. An item or a part that comes with a text and is not
 * whole begins that text, once: said twice, nobody could tell what the caller has joined.
 */

const output = Place.root(conversation);
const told = Place.root(object({ item: itemShape }));
const answers = Place.root(object({ response: responseShape }));
const sessionPlace = Place.root(object({ session: toldSession }));

/** Read at another place. */
const elsewhere: Shape = { read: () => true };
const eventOf = (...fields: readonly string[]): Place =>
  Place.root(object({ ...serverFields, ...Object.fromEntries(fields.map((field) => [field, elsewhere])) }));
const plain = eventOf();
const around: ReadonlyMap<string, Place> = new Map([
  ...[...texts].map(([type, { field }]): [string, Place] => [type, eventOf(field)]),
  ...[...items.keys()].map((type): [string, Place] => [type, eventOf('item')]),
  ...[...parts.keys()].map((type): [string, Place] => [type, eventOf('part')]),
  ...[...sessions].map((type): [string, Place] => [type, eventOf('session')]),
  ['response.created', eventOf('response')],
  ['response.done', eventOf('response')],
  [heardLast.completed, eventOf('transcript')],
]);
const soundEvent = Place.root(object({ ...serverFields, delta: sound }));

const none: readonly never[] = Object.freeze([]);

/** Of one connection: each is kept for as long as it is open. */
const mostItems = 4_096;
const mostResponses = 64;
const longestId = 256;

function refuse(detail: string): never {
  throw new RefusedError('response_uninspectable', { detail });
}

interface Item {
  readonly number: number;
  /** It came with a text that later pieces are joined to. */
  begun: boolean;
  /** No more pieces of it may come. */
  over: boolean;
  /** Parts of which what was heard is complete. */
  readonly heard: Set<number>;
  /** No more segments of it may come. */
  segmented: boolean;
  /** It is the model's, or sound: no text of the caller's is in it. */
  foreign: boolean;
}

export class RealtimeAnswers {
  readonly #items = new Map<string, Item>();
  /** Items of responses under way. */
  readonly #responses = new Map<string, Set<Item>>();
  readonly #stops: () => boolean;
  /** What was last said of the session. */
  limit: ToldLimit = untold;

  /** @param stops the caller may have chosen where answers end. */
  constructor(stops: () => boolean) {
    this.#stops = stops;
  }

  /** Whether the server said of an item of this name that it is the model's, or sound: no text of the caller's is in it. */
  isForeign(id: string): boolean {
    return this.#items.get(id)?.foreign === true;
  }

  /** @throws RefusedError `response_uninspectable` */
  read(root: JsonNode): FrameView {
    if (root.kind !== 'object') refuse('body');
    const type = root.get('type')?.string ?? '';
    const reader = new Reader('answer');
    if (sounds.has(type)) {
      reader.read(root, soundEvent);
      return besides(reader, reader.lanes.length);
    }
    const text = texts.get(type);
    if (text !== undefined) return this.#text(reader, type, root, text);
    reader.read(root, around.get(type) ?? plain);
    const item = items.get(type);
    if (item !== undefined) return this.#item(reader, type, root, item);
    const part = parts.get(type);
    if (part !== undefined) return this.#part(reader, root, part);
    if (sessions.has(type)) return this.#session(reader, type, root);
    switch (type) {
      case 'response.created':
        return this.#created(reader, root);
      case 'response.done':
        return this.#done(reader, root);
      case heardLast.completed:
      case heardLast.failed:
        return this.#heard(reader, root, type === heardLast.completed);
      default:
        if (!bare.has(type)) refuse('type');
        if (type === heardFirst && root.get('item_id')?.kind === 'string') this.#itemOf(root).foreign = true;
        // What an error says is a text by itself.
        return this.#whole(reader, 'complete');
    }
  }

  #text(reader: Reader, type: string, root: JsonNode, { at, field, says }: Carried): FrameView {
    const item = this.#itemOf(root);
    const ended =
      item.over || item.heard.has(indexOf(root, 'content_index')) || (item.segmented && at[0] === 'segments');
    if (says === 'more' && ended) throw new RefusedError('upstream_protocol', { detail: 'text after the finish' });
    // Said again once it is over, it is as whole as it will be.
    const late = says === 'again' && item.over;
    reader.read(root, around.get(type) ?? plain);
    const outside = reader.lanes.length;
    let place = placeOf(item.number);
    if (says === 'again') place = step(place, 'said');
    for (const one of at) place = typeof one === 'string' ? step(place, one) : place.element(indexOf(root, one.index));
    const node = root.get(field);
    if (node !== undefined) reader.read(node, place);
    return late ? this.#whole(reader, 'cut') : besides(reader, outside);
  }

  #item(reader: Reader, type: string, root: JsonNode, how: 'begins' | 'told'): FrameView {
    const node = root.get('item');
    if (node?.kind !== 'object') refuse('item');
    const item = this.#find(node.get('id')?.string);
    if (type.startsWith('response.')) {
      item.foreign = true;
      this.#responseOf(root)?.add(item);
    }
    if (how === 'told' || isOthers(node)) return this.#told(reader, node, item);
    const before = reader.lanes.length;
    reader.read(node, placeOf(item.number));
    if (reader.lanes.slice(before).some((lane) => lane.node.text !== '')) this.#begin(item);
    return { ...besides(reader, before), once: true };
  }

  /** An item whole, as far as it is. */
  #told(reader: Reader, node: JsonNode, item: Item): FrameView {
    const isWhole = isOthers(node);
    // What was heard is there: a piece of it that came later would be joined with it.
    if (isWhole)
      (node.get('content')?.items ?? []).forEach((part, at) => {
        if ((part.get('transcript')?.string ?? '') !== '') item.heard.add(at);
      });
    reader.read(node, step(told, 'item'));
    return this.#whole(reader, isWhole || node.get('status')?.string === 'completed' ? 'complete' : 'cut');
  }

  #begin(item: Item): void {
    if (item.begun || item.over) refuse('item');
    item.begun = true;
  }

  #part(reader: Reader, root: JsonNode, how: 'begins' | 'told'): FrameView {
    const node = root.get('part');
    const item = this.#itemOf(root);
    if (node?.kind !== 'object') refuse('part');
    const base = how === 'told' ? step(placeOf(item.number), 'said') : placeOf(item.number);
    const before = reader.lanes.length;
    reader.read(node, step(base, 'content').element(indexOf(root, 'content_index')));
    if (how === 'told') return item.over ? this.#whole(reader, 'cut') : besides(reader, before);
    if (reader.lanes.slice(before).some((lane) => lane.node.text !== '')) this.#begin(item);
    return { ...besides(reader, before), once: true };
  }

  #session(reader: Reader, type: string, root: JsonNode): FrameView {
    const node = root.get('session');
    if (node?.kind !== 'object') refuse('session');
    this.limit = toldLimit(type, node);
    reader.read(node, step(sessionPlace, 'session'));
    return this.#whole(reader, 'complete');
  }

  #created(reader: Reader, root: JsonNode): FrameView {
    const node = root.get('response');
    if (node?.kind !== 'object') refuse('response');
    const id = node.get('id')?.string;
    if (id !== undefined) this.#openResponse(id);
    reader.read(node, step(answers, 'response'));
    return this.#whole(reader, 'cut');
  }

  /** The end of all that it said. */
  #done(reader: Reader, root: JsonNode): FrameView {
    const node = root.get('response');
    if (node?.kind !== 'object') refuse('response');
    const end = node.get('status')?.string === 'completed' && !this.#stops() ? 'complete' : 'cut';
    const id = node.get('id')?.string;
    const its = (id === undefined ? undefined : this.#responses.get(id)) ?? new Set<Item>();
    for (const one of node.get('output')?.items ?? []) {
      const known = this.#items.get(one.get('id')?.string ?? '');
      if (known !== undefined) its.add(known);
    }
    if (id !== undefined) this.#responses.delete(id);
    reader.read(node, step(answers, 'response'));
    const view = this.#whole(reader, end);
    const used = usageOf(node);
    const open = [...its].filter((item) => !item.over);
    for (const item of open) item.over = true;
    const ends = open.map((item): LaneEnds => ({ prefix: `${placeOf(item.number).id}.`, end, gone: true }));
    return { ...view, ends, usage: used === undefined ? undefined : { ...used, adds: true } };
  }

  /** Of a part of an item what was said into it. */
  #heard(reader: Reader, root: JsonNode, isWhole: boolean): FrameView {
    const item = this.#itemOf(root);
    const index = indexOf(root, 'content_index');
    const transcript = root.get('transcript');
    const at = step(placeOf(item.number), 'content').element(index);
    if (transcript !== undefined && isWhole) reader.read(transcript, step(at, 'transcript'));
    const end = isWhole && !this.#stops() ? 'complete' : 'cut';
    const view = this.#whole(reader, end);
    const used: Usage | undefined = usageOf(root);
    const again = item.heard.has(index) || item.over;
    item.heard.add(index);
    const segments = `${placeOf(item.number).id}.segments`;
    const ends: readonly LaneEnds[] = again
      ? none
      : [
          { prefix: `${at.id}.`, end, gone: true },
          { prefix: segments, end, gone: true },
        ];
    item.segmented = true;
    return { ...view, ends, usage: used === undefined ? undefined : { ...used, adds: true } };
  }

  /** All texts of the event are whole in it. */
  #whole(reader: Reader, end: 'complete' | 'cut'): FrameView {
    const view = viewOf(reader);
    const ending = this.#stops() ? 'cut' : end;
    return { ...view, lanes: view.lanes.map((lane): Lane => ({ ...lane, whole: ending })) };
  }

  #itemOf(root: JsonNode): Item {
    const item = this.#find(root.get('item_id')?.string);
    this.#responseOf(root)?.add(item);
    return item;
  }

  #find(id: string | undefined): Item {
    if (id === undefined || id.length > longestId) refuse('item_id');
    const known = this.#items.get(id);
    if (known !== undefined) return known;
    if (this.#items.size >= mostItems) refuse('items');
    const made = {
      ...{ number: this.#items.size, begun: false, over: false, heard: new Set<number>(), segmented: false },
      foreign: false,
    };
    this.#items.set(id, made);
    return made;
  }

  #responseOf(root: JsonNode): Set<Item> | undefined {
    const id = root.get('response_id')?.string;
    return id === undefined ? undefined : this.#openResponse(id);
  }

  #openResponse(id: string): Set<Item> {
    const known = this.#responses.get(id);
    if (known !== undefined) return known;
    if (this.#responses.size >= mostResponses || id.length > longestId) refuse('responses');
    const made = new Set<Item>();
    this.#responses.set(id, made);
    return made;
  }
}

const viewOf = ({ lanes, loneValues, toolInputs, tokenLanes, integerArrays, opaque, files }: Reader): FrameView => ({
  ...{ lanes, loneValues, toolInputs, tokenLanes, integerArrays, opaque, files },
  ...{ kind: 'data', ends: none, usage: undefined, models: none },
});

/** @param outside texts of the event's own, before those of its item: no event goes on with them, and what waited for one would hold all behind it. */
function besides(reader: Reader, outside: number): FrameView {
  const view = viewOf(reader);
  if (outside === 0) return view;
  return { ...view, lanes: view.lanes.map((lane, at): Lane => (at < outside ? { ...lane, whole: 'cut' } : lane)) };
}

const step = (place: ShapePlace, name: string): ShapePlace => place.known(name) ?? refuse('type');

const placeOf = (number: number): ShapePlace => step(output, 'items').element(number);

/** What the model did not say: it comes whole. */
function isOthers(item: JsonNode): boolean {
  const role = item.get('role')?.string;
  return role === 'user' || role === 'system' || item.get('type')?.string === 'function_call_output';
}

function indexOf(root: JsonNode, name: string): number {
  const node = root.get(name);
  if (node === undefined || node.kind === 'null') return 0;
  const index = node.number;
  if (index === undefined || !Number.isInteger(index) || index < 0 || index > maxIndex) refuse(name);
  return index;
}

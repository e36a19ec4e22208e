import type { JsonNode } from '../../base/index.ts';
import { RefusedError } from '../../core/index.ts';
import type { AnswerView, FrameView, Lane, LaneEnds } from '../dialect.ts';
import { Place } from '../place.ts';
import { maxIndex, Reader } from '../reader.ts';
import { readTokenEntries } from '../openai/logprobs.ts';
import { soundBytes } from '../media.ts';
import { free, object, text } from '../shape.ts';
import type { Shape, ShapePlace } from '../shape.ts';
import { usageOf } from '../usage.ts';
import { eventAround, eventFields, inputTokens, response as responseShape, streamed } from './answer-shape.ts';
import { around, bare, carried, sound, transcript } from './events.ts';
import type { Carried } from './events.ts';

/**
 * Answers of OpenAI's Responses API, and the events of its streams.
 *
 * Promise: every string is in exactly one list (see {@link Reader}); a success that is no Response, and an event of unknown type, are refused.
 * In a stream the pieces of a text are one lane; where an event says it again, whole, that is a lane of its own, and both end alike: an item's texts are
 * complete when the next item begins, and those of the last as the Response says that it ended. So what the whole is masked to is what the pieces
 * were masked to. The texts of all messages are one lane, since clients join them (`output_text`).
 */

const answers = Place.root(responseShape);
const counts = Place.root(inputTokens);
const wrapped = Place.root(eventAround);
const output = Place.root(streamed);

const noEnds: readonly LaneEnds[] = Object.freeze([]);
const noModels: AnswerView['models'] = Object.freeze([]);

function refuse(detail: string): never {
  throw new RefusedError('response_uninspectable', { detail });
}

/** Read at another place. */
const elsewhere: Shape = { read: () => true };

/** Each event by its type: what stands in it beside what it carries. */
const events: ReadonlyMap<string, Place> = new Map([
  ...[...carried].map(([type, { field }]): [string, Place] => [
    type,
    Place.root(object({ ...eventFields, [field]: elsewhere, logprobs: elsewhere })),
  ]),
  ...[...around].map((type): [string, Place] => [type, Place.root(object({ ...eventFields, response: elsewhere }))]),
]);
const plainEvent = Place.root(object(eventFields));
const carrying = Place.root(object({ ...eventFields, delta: elsewhere }));
/** Spoken over all items. Sound is a file of its own, as in a conversation of Realtime's. */
const spoken = Place.root(object({ transcript: text, sound: { read: soundBytes('audio/pcm') } }));

const isError = (root: JsonNode): boolean => (root.get('error')?.kind ?? 'null') !== 'null';

/**
 * Texts that clients join to what the Response says (openai-node `addOutputText`): those of all parts of all messages, each with its place.
 *
 * @param root id of the output that they stand in
 */
class OutputTexts {
  readonly id: string;
  readonly #parts = new Map<JsonNode, number>();

  constructor(id: string) {
    this.id = id;
  }

  item(item: JsonNode | undefined, at: number): void {
    const type = item?.get('type')?.string;
    if (type !== undefined && type !== 'message') return;
    item?.get('content')?.items.forEach((part, index) => this.part(part, at, index));
  }

  part(part: JsonNode, item: number, index: number): void {
    if (part.get('type')?.string !== 'reasoning_text') this.text(part.get('text'), item, index);
  }

  text(node: JsonNode | undefined, item: number, index: number): void {
    if (node?.kind === 'string') this.#parts.set(node, item * (maxIndex + 1) + index);
  }

  laneOf(lane: Lane): Lane {
    const part = this.#parts.get(lane.node);
    return part === undefined ? lane : { ...lane, id: this.id, part, settled: true };
  }

  of(output: JsonNode | undefined): this {
    output?.items.forEach((item, at) => this.item(item, at));
    return this;
  }
}

const says = ['text', 'text_done', 'part_done', 'item_done'];
const outputTexts = says.map((one) => `output.${one}`);

/** `completed` alone is an end of the model's own. vLLM calls an item completed that its limit of tokens cut; the Response is not. */
function endOf(response: JsonNode): LaneEnds['end'] {
  return response.get('status')?.string === 'completed' ? 'complete' : 'cut';
}

const prefixOf = (root: string, item: number): string => `${root}output[${item}].`;

/** The model went on after each item but the last. */
function endsOf(response: JsonNode, root: string, end: LaneEnds['end']): readonly LaneEnds[] {
  const last = (response.get('output')?.items.length ?? 0) - 1;
  if (last < 0) return [{ prefix: root, end }];
  const type = response.get('output')?.items[last]?.get('type')?.string;
  return [
    { prefix: `${root}output.`, end: type === undefined || type === 'message' ? end : 'complete' },
    { prefix: prefixOf(root, last), end },
    // What is joined of the last, for who shows it alone.
    { prefix: `${root}output_text`, end },
    { prefix: root, end: 'complete' },
  ];
}

function viewOf(reader: Reader): Omit<AnswerView, 'ends' | 'usage'> {
  const { lanes, loneValues, toolInputs, tokenLanes, integerArrays, opaque } = reader;
  return { lanes, loneValues, toolInputs, tokenLanes, integerArrays, opaque, models: noModels };
}

/** @throws RefusedError `response_uninspectable` */
export function readAnswer(root: JsonNode, status: number): AnswerView {
  if (root.kind !== 'object') refuse('body');
  const reader = new Reader('answer');
  reader.read(root, answers);
  if (status < 400 && !isError(root) && root.get('output')?.kind !== 'array') refuse('output');
  const texts = new OutputTexts('output.text').of(root.get('output'));
  const lanes = reader.lanes.map((lane) => texts.laneOf(lane));
  return { ...viewOf(reader), lanes, ends: endsOf(root, '', endOf(root)), usage: usageOf(root) };
}

/** What a count of a prompt's tokens says. @throws RefusedError `response_uninspectable` */
export function readCount(root: JsonNode, status: number): AnswerView {
  if (root.kind !== 'object') refuse('body');
  const reader = new Reader('answer');
  reader.read(root, counts);
  if (status < 400 && !isError(root) && root.get('input_tokens')?.kind !== 'number') refuse('input_tokens');
  return { ...viewOf(reader), ends: noEnds, usage: undefined };
}

const done: FrameView = { ...viewOf(new Reader('answer')), kind: 'done', ends: noEnds, usage: undefined };

function indexOf(root: JsonNode, name: string): number {
  const node = root.get(name);
  // Servers leave it out where there is one of a kind.
  if (node === undefined || node.kind === 'null') return 0;
  const index = node.number;
  if (index === undefined || !Number.isInteger(index) || index < 0 || index > maxIndex) refuse(name);
  return index;
}

const step = (place: ShapePlace, name: string): ShapePlace => place.known(name) ?? refuse('type');

/** Where what an event carries stands in the output. */
function placeOf({ at, says }: Carried, root: JsonNode): { readonly item: ShapePlace; readonly place: ShapePlace } {
  const item = step(output, 'output').element(indexOf(root, 'output_index'));
  let place = says === 'more' ? item : step(item, says);
  for (const one of at) place = typeof one === 'string' ? step(place, one) : place.element(indexOf(root, one.index));
  return { item, place };
}

/** Log-probabilities of the text that an event carries. */
function readLogprobs(reader: Reader, root: JsonNode, place: ShapePlace, { at }: Carried): void {
  const node = root.get('logprobs');
  if (node === undefined) return;
  const text = at.at(-1) === 'text' ? place.stranger('logprobs') : undefined;
  if (text === undefined) reader.read(node, place.stranger('logprobs'));
  else if (!readTokenEntries(reader, node, text.as(free))) refuse('logprobs');
}

/**
 * @param root undefined for an end marker.
 * @throws RefusedError `response_uninspectable`
 */
export function readFrame(name: string | undefined, root: JsonNode | undefined): FrameView {
  if (root === undefined) return done;
  if (root.kind !== 'object') refuse('body');
  const type = root.get('type')?.string ?? '';
  const failed = name === 'error' || type === 'error' || isError(root);
  const reader = new Reader('answer');
  const own = failed ? undefined : readOwn(reader, type, root);
  if (own !== undefined) return own;
  const what = failed ? undefined : carried.get(type);
  if (what === undefined) {
    if (!failed && !bare.has(type)) refuse('type');
    reader.read(root, plainEvent);
    return { ...viewOf(reader), kind: failed ? 'error' : 'data', ends: noEnds, usage: undefined };
  }
  reader.read(root, events.get(type) ?? plainEvent);
  const { place } = placeOf(what, root);
  const node = root.get(what.field);
  if (node !== undefined) reader.read(node, place);
  readLogprobs(reader, root, place, what);
  const begun = type === 'response.output_item.added' ? indexOf(root, 'output_index') : 0;
  const ends: readonly LaneEnds[] = begun > 0 ? [{ prefix: prefixOf('', begun - 1), end: 'complete' }] : noEnds;
  const begins = begun > 0 || beginsPart(type, root);
  const texts = textsOf(type, what, root);
  return {
    ...viewOf(reader),
    lanes: reader.lanes.map((lane) => texts.laneOf(lane)),
    ...(begins && { settles: outputTexts }),
    kind: 'data',
    ends,
    usage: undefined,
  };
}

/** Events that are of no item. */
function readOwn(reader: Reader, type: string, root: JsonNode): FrameView | undefined {
  if (around.has(type)) return readAround(reader, type, root);
  return type === sound || type === transcript ? readSpoken(reader, type, root) : undefined;
}

function readSpoken(reader: Reader, type: string, root: JsonNode): FrameView {
  reader.read(root, carrying);
  const delta = root.get('delta');
  if (delta?.kind !== 'string') refuse('delta');
  reader.read(delta, step(spoken, type === sound ? 'sound' : 'transcript'));
  // Sound that may be letters.
  const lanes =
    type === sound
      ? reader.lanes.map((lane): Lane => (lane.node === delta ? { ...lane, whole: 'complete' } : lane))
      : reader.lanes;
  return { ...viewOf(reader), lanes, files: reader.files, kind: 'data', ends: noEnds, usage: undefined };
}

/** A part of a message begins that is not its first. */
const beginsPart = (type: string, root: JsonNode): boolean =>
  type === 'response.content_part.added' && indexOf(root, 'content_index') > 0;

/** What an event carries of the texts that clients join. */
function textsOf(type: string, { field, says: how }: Carried, root: JsonNode): OutputTexts {
  const texts = new OutputTexts(`output.${how === 'more' ? 'text' : how}`);
  const node = root.get(field);
  const item = indexOf(root, 'output_index');
  if (field === 'item') texts.item(node, item);
  else if (field === 'part' && type.startsWith('response.content_part.') && node?.kind === 'object')
    texts.part(node, item, indexOf(root, 'content_index'));
  else if (type.startsWith('response.output_text.')) texts.text(node, item, indexOf(root, 'content_index'));
  return texts;
}

/** An event with the Response as far as it is: each of its texts is told whole. */
function readAround(reader: Reader, type: string, root: JsonNode): FrameView {
  const response = root.get('response');
  if (response?.kind !== 'object') refuse('response');
  reader.read(root, events.get(type) ?? plainEvent);
  reader.read(response, wrapped.known('response') ?? wrapped);
  const last = type === 'response.completed' || type === 'response.incomplete' || type === 'response.failed';
  const end = type === 'response.completed' && response.get('status')?.string !== 'incomplete' ? 'complete' : 'cut';
  const ends = endsOf(response, 'response.', last ? end : 'cut');
  // Several events say it: of each it is a text of its own.
  const own = `${type}.`;
  const texts = new OutputTexts(`${own}output.text`).of(response.get('output'));
  const lanes = reader.lanes.map((one): Lane => {
    const lane = texts.laneOf(one);
    if (lane !== one) return lane;
    return { ...lane, whole: ends.find(({ prefix }) => lane.id.startsWith(prefix))?.end ?? end };
  });
  const textEnd = ends.find(({ prefix }) => prefix === 'response.output.')?.end ?? end;
  const joinedEnds: readonly LaneEnds[] = [
    { prefix: 'output.', end: textEnd },
    { prefix: own, end: textEnd },
  ];
  return {
    ...viewOf(reader),
    lanes,
    kind: type === 'response.failed' ? 'error' : 'data',
    ends:
      last && type !== 'response.failed'
        ? [{ prefix: 'output[', end }, { prefix: 'transcript', end }, ...joinedEnds, ...ends]
        : [{ prefix: own, end: 'cut', gone: true }],
    usage: usageOf(response),
  };
}

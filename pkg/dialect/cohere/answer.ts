import type { JsonNode } from '../../base/index.ts';
import { RefusedError } from '../../core/index.ts';
import type { AnswerView, FrameView, Lane, LaneEnds, Usage } from '../dialect.ts';
import { Place } from '../place.ts';
import { maxIndex, Reader } from '../reader.ts';
import { chatAnswer, embedAnswer, event as eventShape, message as messageShape } from './answer-shape.ts';
import type { CohereRoute } from './routes.ts';

/**
 * Answers and stream events of Cohere's API.
 *
 * Promise: every string is in exactly one list (see {@link Reader}); a success that is none of the route's answers, and an event of unknown type, are
 * refused. In a stream each piece is read at its place in the message that clients put together: what they join is one lane. So are the texts of all
 * blocks: they are parts of what the model says.
 */

const answers: Readonly<Record<CohereRoute['operation'], Place>> = {
  Chat: Place.root(chatAnswer),
  Embeddings: Place.root(embedAnswer),
};
const events = Place.root(eventShape);
const streamed = Place.root(messageShape);

const noEnds: readonly LaneEnds[] = Object.freeze([]);
const noModels: AnswerView['models'] = Object.freeze([]);

const types = new Set(
  [
    'message-start content-start content-delta content-end tool-plan-delta tool-call-start tool-call-delta tool-call-end',
    'citation-start citation-end message-end debug',
  ]
    .join(' ')
    .split(' '),
);

/** What a message is made of, each by the list that events bring one element of. */
const lists = ['content', 'tool_calls', 'citations'];

/** Natural stops; everything else (MAX_TOKENS, STOP_SEQUENCE, ERROR, words yet unknown) may have cut a word in two. */
const natural = new Set(['COMPLETE', 'TOOL_CALL']);

function refuse(detail: string): never {
  throw new RefusedError('response_uninspectable', { detail });
}

function endOf(holder: JsonNode | undefined): LaneEnds['end'] | undefined {
  const reason = holder?.get('finish_reason');
  if (reason === undefined || reason.kind === 'null') return undefined;
  if (reason.kind !== 'string') refuse('finish_reason');
  return natural.has(reason.text) ? 'complete' : 'cut';
}

const wholeText = 'message.content.text';
const wholePart = /^message\.content\[\d+\]\.text$/;
const streamedText = 'content.text';
const streamedPart = /^content\[(\d+)\]\.text$/;

/** The model went on after each block but the last, which ends as the answer does. One that does not say how may have been cut. */
function answerEnds(root: JsonNode): readonly LaneEnds[] {
  const last = endOf(root) ?? 'cut';
  const blocks = root.get('message')?.get('content')?.items ?? [];
  const ends = Array.from({ length: Math.max(0, blocks.length - 1) }, (_, at): LaneEnds => {
    return { prefix: `message.content[${at}].`, end: 'complete' };
  });
  const text = blocks.at(-1)?.get('text') === undefined ? 'complete' : last;
  return [...ends, { prefix: wholeText, end: text }, { prefix: '', end: last }];
}

export function usageOf(usage: JsonNode | undefined): Usage | undefined {
  if (usage?.kind !== 'object') return undefined;
  // What is billed leaves out what Cohere puts around a prompt.
  const counted = usage.get('tokens') ?? usage.get('billed_units');
  const tokens = (name: string): number => {
    const value = counted?.get(name)?.number;
    return value !== undefined && Number.isSafeInteger(value) && value >= 0 ? value : 0;
  };
  return { input: tokens('input_tokens'), output: tokens('output_tokens') };
}

export function viewOf(reader: Reader): Omit<AnswerView, 'ends' | 'usage'> {
  const { lanes, loneValues, toolInputs, tokenLanes, integerArrays, opaque } = reader;
  return { lanes, loneValues, toolInputs, tokenLanes, integerArrays, opaque, models: noModels };
}

/** @throws RefusedError `response_uninspectable` */
export function readAnswer(operation: CohereRoute['operation'], root: JsonNode, status: number): AnswerView {
  if (root.kind !== 'object') refuse('body');
  const reader = new Reader('answer');
  reader.read(root, answers[operation]);
  const chats = operation === 'Chat';
  if (status < 400) {
    if (chats && root.get('message')?.kind !== 'object') refuse('message');
    const embeddings = root.get('embeddings')?.kind;
    if (!chats && embeddings !== 'object' && embeddings !== 'array') refuse('embeddings');
  }
  const usage = usageOf(root.get(chats ? 'usage' : 'meta'));
  const lanes = reader.lanes.map((lane) => (wholePart.test(lane.id) ? { ...lane, id: wholeText } : lane));
  return { ...viewOf(reader), lanes, ends: chats && status < 400 ? answerEnds(root) : noEnds, usage };
}

/** An end marker. */
const done: FrameView = { ...viewOf(new Reader('answer')), kind: 'done', ends: noEnds, usage: undefined };

/** Sources come whole in their event. */
const comesWhole = ({ id }: Lane): boolean => id.startsWith('citations[') || id === 'prompt' || id === 'delta.error';

function laneOf(lane: Lane): Lane {
  if (comesWhole(lane)) return { ...lane, whole: 'complete' };
  const block = streamedPart.exec(lane.id)?.[1];
  return block === undefined ? lane : { ...lane, id: streamedText, part: Number(block) };
}

/** Something begins that is no text: there may be much of it, and no text may come behind it. */
function beginsOther(type: string, message: JsonNode | undefined): boolean {
  if (type === 'tool-call-start') return true;
  return type === 'content-start' && message?.get('content')?.get('thinking') !== undefined;
}

/**
 * @param root undefined for an end marker.
 * @throws RefusedError `response_uninspectable`
 */
export function readFrame(root: JsonNode | undefined): FrameView {
  if (root === undefined) return done;
  if (root.kind !== 'object') refuse('body');
  const type = root.get('type')?.string ?? '';
  if (!types.has(type)) refuse('type');
  const reader = new Reader('answer');
  reader.read(root, events);
  const index = indexOf(root);
  const delta = root.get('delta');
  const message = delta?.kind === 'object' ? delta.get('message') : undefined;
  if (message?.kind === 'object') for (const name of lists) readPiece(reader, message.get(name), name, index);
  const failed = delta?.get('finish_reason')?.string === 'ERROR' || isThere(delta?.get('error'));
  return {
    ...viewOf(reader),
    lanes: reader.lanes.map(laneOf),
    ...(beginsOther(type, message) && { settles: [streamedText] }),
    // Not `done`, which would cut before it is told how the message ended.
    kind: failed ? 'error' : 'data',
    ends: failed ? noEnds : frameEnds(type, index, delta),
    usage: usageOf(delta?.get('usage')),
  };
}

const isThere = (node: JsonNode | undefined): boolean => node !== undefined && node.kind !== 'null';

/** The element that an event is about, or the list with which a message begins. */
function readPiece(reader: Reader, node: JsonNode | undefined, name: string, index: number | undefined): void {
  if (node === undefined || node.kind === 'null') return;
  const place = streamed.known(name) ?? refuse(name);
  reader.read(node, node.kind === 'object' ? place.element(index ?? refuse('index')) : place);
}

/** @throws RefusedError `response_uninspectable` */
function indexOf(root: JsonNode): number | undefined {
  const node = root.get('index');
  if (!isThere(node)) return undefined;
  const index = node?.number;
  if (index === undefined || !Number.isInteger(index) || index < 0 || index > maxIndex) refuse('index');
  return index;
}

/** The list whose next element an event begins. */
const begins = new Map([
  ['content-start', 'content'],
  ['tool-call-start', 'tool_calls'],
]);

/**
 * A block is whole when the next one begins, or when the message says how it ended: `content-end` comes as well where the limit of tokens
 * cut it.
 */
function frameEnds(type: string, index: number | undefined, delta: JsonNode | undefined): readonly LaneEnds[] {
  const name = begins.get(type);
  if (name !== undefined && index !== undefined && index > 0)
    return [{ prefix: `${name}[${index - 1}].`, end: 'complete' }];
  // What was planned stands before the first call.
  if (type === 'tool-call-start') return [{ prefix: 'delta.message.tool_plan', end: 'complete' }];
  const end = type === 'message-end' ? endOf(delta) : undefined;
  return end === undefined ? noEnds : [{ prefix: '', end }];
}

import type { JsonNode } from '../../base/index.ts';
import { RefusedError } from '../../core/index.ts';
import type { AnswerView, FrameView, Lane, LaneEnds, Usage } from '../dialect.ts';
import { Place } from '../place.ts';
import { maxIndex, Reader } from '../reader.ts';
import { converseAnswer, countAnswer, event as eventShape, fault, streamedMessage } from './answer-shape.ts';
import { isException } from './framing.ts';

/**
 * Answers and stream events of Converse; what `invoke` answers is the model's own.
 *
 * Promise: every string is in exactly one list (see {@link Reader}); a success that is no message, and an event of unknown name, are
 * refused. In a stream each piece of a block is read at the block's place in the message that clients put together. The texts of all blocks are one
 * lane: they are parts of what the model says.
 */

const answers = Place.root(converseAnswer);
const counts = Place.root(countAnswer);
const events = Place.root(eventShape);
const streamed = Place.root(streamedMessage);
const faults = Place.root(fault);

const noEnds: readonly LaneEnds[] = Object.freeze([]);
const noModels: AnswerView['models'] = Object.freeze([]);

/** Of Converse's streams. */
export const eventNames: ReadonlySet<string> = new Set([
  ...['messageStart', 'contentBlockStart', 'contentBlockDelta', 'contentBlockStop', 'messageStop', 'metadata'],
]);

/** Natural stops; everything else (max_tokens, stop_sequence, guardrail_intervened, words yet unknown) may have cut a word in two. */
const natural = new Set(['end_turn', 'tool_use']);

function refuse(detail: string): never {
  throw new RefusedError('response_uninspectable', { detail });
}

function endOf(holder: JsonNode): LaneEnds['end'] | undefined {
  const reason = holder.get('stopReason');
  if (reason === undefined || reason.kind === 'null') return undefined;
  if (reason.kind !== 'string') refuse('stopReason');
  return natural.has(reason.text) ? 'complete' : 'cut';
}

const wholeText = 'output.message.content.text';
const wholeParts = /^output\.message\.content\[\d+\]\.(?:text|citationsContent\.content\[\d+\]\.text)$/;
const streamedText = 'content.text';
const streamedPart = /^content\[(\d+)\]\.text$/;

/** The model went on after each block but the last, which ends as the answer does. One that does not say how may have been cut. */
function answerEnds(root: JsonNode, blocks: number): readonly LaneEnds[] {
  const last = endOf(root) ?? 'cut';
  const end = root.get('output')?.get('message')?.get('content')?.items.at(-1);
  const saysText = end?.get('text') !== undefined || end?.get('citationsContent') !== undefined;
  const ends = Array.from({ length: Math.max(0, blocks - 1) }, (_, at): LaneEnds => {
    return { prefix: `output.message.content[${at}].`, end: 'complete' };
  });
  return [...ends, { prefix: wholeText, end: saysText ? last : 'complete' }, { prefix: '', end: last }];
}

/** What was read from a cache, or written to it, is input as well. */
function usageOf(usage: JsonNode | undefined): Usage | undefined {
  if (usage?.kind !== 'object') return undefined;
  const tokens = (name: string): number => {
    const value = usage.get(name)?.number;
    return value !== undefined && Number.isSafeInteger(value) && value >= 0 ? value : 0;
  };
  const input = tokens('inputTokens') + tokens('cacheReadInputTokens') + tokens('cacheWriteInputTokens');
  return { input, output: tokens('outputTokens') };
}

export function viewOf(reader: Reader): Omit<AnswerView, 'ends' | 'usage'> {
  const { lanes, loneValues, toolInputs, tokenLanes, integerArrays, opaque } = reader;
  return { lanes, loneValues, toolInputs, tokenLanes, integerArrays, opaque, models: noModels };
}

/** @throws RefusedError `response_uninspectable` */
export function readAnswer(root: JsonNode, status: number): AnswerView {
  if (root.kind !== 'object') refuse('body');
  const reader = new Reader('answer');
  reader.read(root, answers);
  const content = root.get('output')?.get('message')?.get('content');
  if (status < 400 && content?.kind !== 'array') refuse('output');
  return {
    ...viewOf(reader),
    lanes: reader.lanes.map((lane) => (wholeParts.test(lane.id) ? { ...lane, id: wholeText } : lane)),
    ends: status < 400 ? answerEnds(root, content?.items.length ?? 0) : noEnds,
    usage: usageOf(root.get('usage')),
  };
}

/** What a count of a prompt's tokens says. @throws RefusedError `response_uninspectable` */
export function readCount(root: JsonNode, status: number): AnswerView {
  if (root.kind !== 'object') refuse('body');
  const reader = new Reader('answer');
  reader.read(root, counts);
  if (status < 400 && root.get('inputTokens')?.kind !== 'number') refuse('inputTokens');
  return { ...viewOf(reader), ends: noEnds, usage: undefined };
}

/** An exception, by which any stream of Bedrock's ends. @throws RefusedError `response_uninspectable` */
export function readException(root: JsonNode | undefined): FrameView {
  if (root?.kind !== 'object') refuse('body');
  const reader = new Reader('answer');
  reader.read(root, faults);
  return { ...viewOf(reader), kind: 'error', ends: noEnds, usage: undefined };
}

/** Sources come whole in their event. */
const isCitation = ({ id }: Lane): boolean => /^content\[\d+\]\.citation\b/.test(id);

function laneOf(lane: Lane): Lane {
  if (isCitation(lane)) return { ...lane, whole: 'complete' };
  const block = streamedPart.exec(lane.id)?.[1];
  return block === undefined ? lane : { ...lane, id: streamedText, part: Number(block) };
}

/** Something that is no text begins or goes on: there may be much of it, and no text may come behind it. */
function saysMore(name: string, root: JsonNode): boolean {
  if (name === 'contentBlockStart') return root.get('start')?.keys.length !== 0;
  const delta = root.get('delta');
  return name === 'contentBlockDelta' && delta?.get('text') === undefined && delta?.get('citation') === undefined;
}

/** @throws RefusedError `response_uninspectable` */
export function readFrame(name: string | undefined, root: JsonNode | undefined): FrameView {
  if (isException(name)) return readException(root);
  if (root?.kind !== 'object') refuse('body');
  if (name === undefined || !eventNames.has(name)) refuse('type');
  const reader = new Reader('answer');
  reader.read(root, events);
  const block = blockOf(root);
  for (const holder of ['start', 'delta']) {
    const node = root.get(holder);
    if (node === undefined) continue;
    const place = block === undefined ? undefined : streamed.known('content')?.element(block);
    reader.read(node, place ?? refuse('contentBlockIndex'));
  }
  return {
    ...viewOf(reader),
    lanes: reader.lanes.map(laneOf),
    ...(saysMore(name, root) && { settles: [streamedText] }),
    kind: 'data',
    ends: frameEnds(name, block, root),
    usage: usageOf(root.get('usage')),
  };
}

/** The block that an event is about. */
function blockOf(root: JsonNode): number | undefined {
  const node = root.get('contentBlockIndex');
  if (node === undefined || node.kind === 'null') return undefined;
  const index = node.number;
  if (index === undefined || !Number.isInteger(index) || index < 0 || index > maxIndex) refuse('contentBlockIndex');
  return index;
}

/**
 * A block's text is whole when another block begins, of texts without an event of its own, or when the message says how it ended:
 * `contentBlockStop` comes as well where the limit of tokens cut it.
 */
function frameEnds(name: string, block: number | undefined, root: JsonNode): readonly LaneEnds[] {
  if (name === 'messageStop') return [{ prefix: 'content', end: endOf(root) ?? 'cut' }];
  const begins = name === 'contentBlockStart' || name === 'contentBlockDelta';
  if (!begins || block === undefined || block === 0) return noEnds;
  return [{ prefix: `content[${block - 1}].`, end: 'complete', repeats: true }];
}

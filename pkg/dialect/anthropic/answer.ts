import type { JsonNode } from '../../base/index.ts';
import { RefusedError } from '../../core/index.ts';
import type { AnswerView, FrameView, Lane, LaneEnds, Usage } from '../dialect.ts';
import { Place } from '../place.ts';
import { maxIndex, Reader } from '../reader.ts';
import { countAnswer, event as eventShape, messageAnswer, streamedMessage } from './answer-shape.ts';

/**
 * Answers and stream events of Anthropic's Messages.
 *
 * Promise: every string is in exactly one list (see {@link Reader}); a success that is no message, and an event of unknown type, are
 * refused. In a stream each piece of a block is read at the block's place in the message that clients put together, whichever event
 * brings it: what they join is one lane. So are the texts of all blocks, which they join as well (`finalText`, `get_final_text`).
 */

const answers = Place.root(messageAnswer);
const counts = Place.root(countAnswer);
const events = Place.root(eventShape);
const streamed = Place.root(streamedMessage);

const noEnds: readonly LaneEnds[] = Object.freeze([]);
const noModels: AnswerView['models'] = Object.freeze([]);

const types = new Set([
  'message_start',
  'content_block_start',
  'content_block_delta',
  'content_block_stop',
  'message_delta',
  'message_stop',
  'ping',
  'error',
]);

/** Natural stops; everything else (max_tokens, stop_sequence, refusal, pause_turn, words yet unknown) may have cut a word in two. */
const natural = new Set(['end_turn', 'tool_use']);

function refuse(detail: string): never {
  throw new RefusedError('response_uninspectable', { detail });
}

function endOf(holder: JsonNode): LaneEnds['end'] | undefined {
  const reason = holder.get('stop_reason');
  if (reason === undefined || reason.kind === 'null') return undefined;
  if (reason.kind !== 'string') refuse('stop_reason');
  return natural.has(reason.text) ? 'complete' : 'cut';
}

const prefixOf = (block: number): string => `content[${block}].`;

/** The text of the message: of all of its blocks. */
const messageText = 'content.text';
const blockText = /^content\[(\d+)\]\.text$/;

function joined(lane: Lane): Lane {
  const block = blockText.exec(lane.id)?.[1];
  return block === undefined ? lane : { ...lane, id: messageText, part: Number(block) };
}

/** The model went on after each block but the last, which ends as the answer does. One that does not say how may have been cut. */
function answerEnds(root: JsonNode): readonly LaneEnds[] {
  const blocks = root.get('content')?.items ?? [];
  const ends = Array.from({ length: Math.max(0, blocks.length - 1) }, (_, at): LaneEnds => {
    return { prefix: prefixOf(at), end: 'complete' };
  });
  const end = endOf(root) ?? 'cut';
  const text = blocks.at(-1)?.get('text') === undefined ? 'complete' : end;
  return [...ends, { prefix: messageText, end: text }, { prefix: '', end }];
}

function isError(root: JsonNode): boolean {
  const error = root.get('error');
  return (error !== undefined && error.kind !== 'null') || root.get('type')?.string === 'error';
}

function viewOf(reader: Reader): Omit<AnswerView, 'ends' | 'usage'> {
  const { loneValues, toolInputs, tokenLanes, integerArrays, opaque } = reader;
  return {
    lanes: reader.lanes.map(joined),
    loneValues,
    toolInputs,
    tokenLanes,
    integerArrays,
    opaque,
    models: noModels,
  };
}

/** @throws RefusedError `response_uninspectable` */
export function readAnswer(generates: boolean, root: JsonNode, status: number): AnswerView {
  if (root.kind !== 'object') refuse('body');
  const reader = new Reader('answer');
  reader.read(root, generates ? answers : counts);
  if (status < 400 && !isError(root)) {
    if (generates && root.get('content')?.kind !== 'array') refuse('content');
    if (!generates && root.get('input_tokens')?.kind !== 'number') refuse('input_tokens');
  }
  return { ...viewOf(reader), ends: generates ? answerEnds(root) : noEnds, usage: usageOf(root.get('usage')) };
}

/** An end marker. */
const done: FrameView = { ...viewOf(new Reader('answer')), kind: 'done', ends: noEnds, usage: undefined };

/**
 * @param root undefined for an end marker.
 * @throws RefusedError `response_uninspectable`
 */
export function readFrame(name: string | undefined, root: JsonNode | undefined): FrameView {
  if (root === undefined) return done;
  if (root.kind !== 'object') refuse('body');
  const type = root.get('type')?.string ?? '';
  const failed = name === 'error' || isError(root);
  if (!failed && !types.has(type)) refuse('type');
  const reader = new Reader('answer');
  reader.read(root, events);
  const block = blockOf(root);
  const piece = block === undefined ? streamed : streamed.known('content')?.element(block);
  const message = root.get('message');
  if (message !== undefined) reader.read(message, streamed);
  for (const holder of ['content_block', 'delta']) {
    const node = root.get(holder);
    if (node !== undefined) reader.read(node, piece ?? refuse('index'));
  }
  const behindText = failed || block === undefined ? noIds : textsBehind(type, block, root.get('content_block'));
  return {
    ...viewOf(reader),
    ...(behindText.length > 0 && { settles: behindText }),
    kind: failed ? 'error' : type === 'message_stop' ? 'done' : 'data',
    ends: failed ? noEnds : frameEnds(type, block, root.get('delta')),
    usage: frameUsage(type, root.get('usage'), message),
  };
}

const noIds: readonly string[] = Object.freeze([]);
const texts: readonly string[] = Object.freeze([messageText]);

/** A block of another kind begins, of which there may be much, and no text may come behind it. */
function textsBehind(type: string, block: number, begun: JsonNode | undefined): readonly string[] {
  const isText = begun?.get('text') !== undefined || begun?.get('type')?.string === 'text';
  return type === 'content_block_start' && block > 0 && !isText ? texts : noIds;
}

/** The block that an event is about. */
function blockOf(root: JsonNode): number | undefined {
  const node = root.get('index');
  if (node === undefined || node.kind === 'null') return undefined;
  const index = node.number;
  if (index === undefined || !Number.isInteger(index) || index < 0 || index > maxIndex) refuse('index');
  return index;
}

/**
 * What a block says that is no text is whole when the next block begins, or when the message says how it ended: `content_block_stop` comes as
 * well where the limit of tokens cut it.
 */
function frameEnds(type: string, block: number | undefined, delta: JsonNode | undefined): readonly LaneEnds[] {
  if (type === 'content_block_start' && block !== undefined && block > 0)
    return [{ prefix: prefixOf(block - 1), end: 'complete' }];
  const end = type === 'message_delta' && delta !== undefined ? endOf(delta) : undefined;
  return end === undefined ? noEnds : [{ prefix: 'content', end }];
}

/** Only `message_delta` says the output of all of it; what the beginning says is the input. */
function frameUsage(type: string, own: JsonNode | undefined, message: JsonNode | undefined): Usage | undefined {
  const usage = usageOf(own ?? message?.get('usage'));
  return usage === undefined || type === 'message_delta' ? usage : { ...usage, early: true };
}

/** What was read from a cache, or written to it, is input as well. In a stream the end says the output, the start the input. */
function usageOf(usage: JsonNode | undefined): Usage | undefined {
  if (usage?.kind !== 'object') return undefined;
  const tokens = (name: string): number => {
    const value = usage.get(name)?.number;
    return value !== undefined && Number.isSafeInteger(value) && value >= 0 ? value : 0;
  };
  const input = tokens('input_tokens') + tokens('cache_creation_input_tokens') + tokens('cache_read_input_tokens');
  return { input, output: tokens('output_tokens') };
}

import type { JsonNode } from '../../base/index.ts';
import { RefusedError } from '../../core/index.ts';
import type { AnswerView, FrameView, LaneEnds, Usage } from '../dialect.ts';
import { Place } from '../place.ts';
import { Reader } from '../reader.ts';
import { list } from '../shape.ts';
import { usageOf } from '../usage.ts';
import { completion, embedding } from './answer-shape.ts';

/**
 * Answers of llama.cpp's own routes, and the events of their streams. Several prompts, or several answers to one, come as a list, and in a
 * stream by their `index`.
 *
 * Promise: every string is in exactly one list (see {@link Reader}); a success that is none of these answers is refused.
 */

const wholes = Place.root(completion);
const lists = Place.root(list(completion));
const events = Place.root(list(completion, { byIndex: true }));
const vectors = Place.root(embedding);
const vectorLists = Place.root(list(embedding));
const noEnds: readonly LaneEnds[] = Object.freeze([]);
const noModels: AnswerView['models'] = Object.freeze([]);

/** Highest `index` of an answer: each is lanes that are kept. */
const maxIndex = 4_095;

function refuse(detail: string): never {
  throw new RefusedError('response_uninspectable', { detail });
}

const isError = (root: JsonNode): boolean => (root.get('error')?.kind ?? 'null') !== 'null';

/** Only the model's own end is one; versions before `stop_type` have a field for each. */
function endOf(answer: JsonNode): LaneEnds['end'] {
  const type = answer.get('stop_type');
  const natural = type === undefined ? answer.get('stopped_eos')?.kind === 'true' : type.string === 'eos';
  return natural ? 'complete' : 'cut';
}

function countOf(node: JsonNode | undefined): number | undefined {
  const value = node?.number;
  return value !== undefined && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

function usageOfAll(all: readonly JsonNode[]): Usage | undefined {
  let input = 0;
  let output = 0;
  for (const one of all) {
    const read = countOf(one.get('tokens_evaluated'));
    const wrote = countOf(one.get('tokens_predicted'));
    if (read === undefined || wrote === undefined) return undefined;
    input += read;
    output += wrote;
  }
  return all.length === 0 ? undefined : { input, output };
}

function viewOf({
  lanes,
  loneValues,
  toolInputs,
  tokenLanes,
  integerArrays,
  opaque,
}: Reader): Omit<AnswerView, 'ends' | 'usage'> {
  return { lanes, loneValues, toolInputs, tokenLanes, integerArrays, opaque, models: noModels };
}

const answersOf = (root: JsonNode): readonly JsonNode[] => (root.kind === 'array' ? root.items : [root]);

/** Whether an answer, or an event, of a route that is OpenAI's too has llama.cpp's own shape. */
export function isCompletion(root: JsonNode): boolean {
  const [first] = answersOf(root);
  return first?.kind === 'object' && first.get('choices') === undefined && first.get('content')?.kind === 'string';
}

/** @throws RefusedError `response_uninspectable` */
export function readCompletion(root: JsonNode, status: number): AnswerView {
  const reader = new Reader('answer');
  reader.read(root, root.kind === 'array' ? lists : wholes);
  const all = answersOf(root);
  for (const one of all) {
    if (one.kind !== 'object') refuse('body');
    if (status < 400 && !isError(one) && one.get('content')?.kind !== 'string') refuse('content');
  }
  const ends = all.map((one, at) => ({ prefix: root.kind === 'array' ? `[${at}].` : '', end: endOf(one) }));
  return { ...viewOf(reader), ends, usage: usageOfAll(all) };
}

/** @throws RefusedError `response_uninspectable` */
export function readEmbedding(root: JsonNode, status: number): AnswerView {
  const reader = new Reader('answer');
  reader.read(root, root.kind === 'array' ? vectorLists : vectors);
  for (const one of answersOf(root)) {
    if (one.kind !== 'object') refuse('body');
    if (status < 400 && !isError(one) && one.get('embedding')?.kind !== 'array') refuse('embedding');
  }
  return { ...viewOf(reader), ends: noEnds, usage: usageOf(root) };
}

function indexOf(root: JsonNode): number {
  const node = root.get('index');
  if (node === undefined || node.kind === 'null') return 0;
  const index = node.number;
  if (index === undefined || !Number.isInteger(index) || index < 0 || index > maxIndex) refuse('index');
  return index;
}

/** @throws RefusedError `response_uninspectable` */
export function readFrame(root: JsonNode | undefined): FrameView {
  if (root?.kind !== 'object') refuse('body');
  const reader = new Reader('answer');
  const place = events.element(indexOf(root));
  reader.read(root, place);
  const failed = isError(root);
  if (!failed && root.get('content')?.kind !== 'string') refuse('content');
  const last = !failed && root.get('stop')?.kind === 'true';
  return {
    ...viewOf(reader),
    kind: failed ? 'error' : 'data',
    ends: last ? [{ prefix: `${place.id}.`, end: endOf(root) }] : noEnds,
    usage: last ? usageOfAll([root]) : undefined,
  };
}

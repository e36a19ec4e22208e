import type { JsonNode } from '../../base/index.ts';
import { RefusedError } from '../../core/index.ts';
import type { AnswerView, FrameView, Lane, LaneEnds, Usage } from '../dialect.ts';
import { endMarker } from '../openai/answer.ts';
import { Place } from '../place.ts';
import { Reader, maxIndex } from '../reader.ts';
import { list } from '../shape.ts';
import { event, generation, page, sglangAnswer, sglangEvent } from './answer-shape.ts';
import type { TgiRoute } from './routes.ts';

/**
 * Answers of TGI's API and of SGLang's `/generate`, and the events of their streams.
 *
 * Promise: every string is in exactly one list (see {@link Reader}); a success that is none of these answers is refused. The texts of the
 * tokens of a stream are one text, as its clients join them: those that the server calls special are left out there, so each is a text of
 * its own. The last event says the whole again, which ends with it.
 */

const wholes = Place.root(generation);
const lists = Place.root(list(generation));
const others = Place.root(sglangAnswer);
const otherLists = Place.root(list(sglangAnswer));
const events = Place.root(event);
const growing = Place.root(sglangEvent);
const pages = Place.root(page);
const noEnds: readonly LaneEnds[] = Object.freeze([]);
const noModels: AnswerView['models'] = Object.freeze([]);

function refuse(detail: string): never {
  throw new RefusedError('response_uninspectable', { detail });
}

const isError = (root: JsonNode): boolean => (root.get('error')?.kind ?? 'null') !== 'null';

/** An end of the model's own. A limit, or a text of the caller's, may have cut a value in two. */
const natural: ReadonlySet<string | undefined> = new Set(['eos_token']);

const endOf = (details: JsonNode | undefined): LaneEnds['end'] =>
  natural.has(details?.get('finish_reason')?.string) ? 'complete' : 'cut';

function countOf(node: JsonNode | undefined): number | undefined {
  const value = node?.number;
  return value !== undefined && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

/** Only where the prompt was counted, too; of several sequences the server counts the best alone. */
function usageOf(details: JsonNode | undefined): Usage | undefined {
  if (details === undefined || (details.get('best_of_sequences')?.kind ?? 'null') !== 'null') return undefined;
  const output = countOf(details.get('generated_tokens'));
  const prefill = details.get('prefill')?.items.length;
  const input = countOf(details.get('input_length')) ?? (prefill === 0 ? undefined : prefill);
  return input === undefined || output === undefined ? undefined : { input, output };
}

function viewOf(reader: Reader): Omit<AnswerView, 'ends' | 'usage'> {
  const { lanes, loneValues, toolInputs, tokenLanes, integerArrays, opaque } = reader;
  return { lanes, loneValues, toolInputs, tokenLanes, integerArrays, opaque, models: noModels };
}

/** What is not listed has one answer, whose lanes have no number before them. */
const answersOf = (root: JsonNode): readonly JsonNode[] => (root.kind === 'array' ? root.items : [root]);
const prefixOf = (root: JsonNode, at: number): string => (root.kind === 'array' ? `[${at}].` : '');

function readGeneration(root: JsonNode, status: number): AnswerView {
  const reader = new Reader('answer');
  reader.read(root, root.kind === 'array' ? lists : wholes);
  const all = answersOf(root);
  for (const one of all) {
    if (one.kind !== 'object') refuse('body');
    if (status < 400 && !isError(one) && one.get('generated_text')?.kind !== 'string') refuse('generated_text');
  }
  const ends = all.flatMap((one, at): readonly LaneEnds[] => {
    const prefix = prefixOf(root, at);
    const details = one.get('details');
    const sequences = details?.get('best_of_sequences')?.items ?? [];
    return [
      ...sequences.map((sequence, n) => ({
        prefix: `${prefix}details.best_of_sequences[${n}].`,
        end: endOf(sequence),
      })),
      { prefix, end: isError(one) ? ('complete' as const) : endOf(details) },
    ];
  });
  const [only] = all;
  return { ...viewOf(reader), ends, usage: all.length === 1 ? usageOf(only?.get('details')) : undefined };
}

/** SGLang's word for a natural stop is also that for a text of the caller's, which it tells. */
function sglangEnd(answer: JsonNode): LaneEnds['end'] {
  const reason = answer.get('meta_info')?.get('finish_reason');
  return reason?.get('type')?.string === 'stop' && reason.get('matched')?.kind !== 'string' ? 'complete' : 'cut';
}

function sglangUsage(all: readonly JsonNode[]): Usage | undefined {
  let input = 0;
  let output = 0;
  for (const one of all) {
    const read = countOf(one.get('meta_info')?.get('prompt_tokens'));
    const wrote = countOf(one.get('meta_info')?.get('completion_tokens'));
    if (read === undefined || wrote === undefined) return undefined;
    input += read;
    output += wrote;
  }
  return all.length === 0 ? undefined : { input, output };
}

function readSglang(root: JsonNode, status: number): AnswerView {
  const reader = new Reader('answer');
  reader.read(root, root.kind === 'array' ? otherLists : others);
  const all = answersOf(root);
  for (const one of all) {
    if (one.kind !== 'object') refuse('body');
    if (status < 400 && !isError(one) && one.get('text')?.kind !== 'string') refuse('text');
  }
  const ends = all.map((one, at) => ({ prefix: prefixOf(root, at), end: sglangEnd(one) }));
  return { ...viewOf(reader), ends, usage: sglangUsage(all) };
}

/** The page says which model the server has: to whom it is hidden, all of the page is. */
function readPage(root: JsonNode, status: number): AnswerView {
  if (root.kind !== 'object') refuse('body');
  const reader = new Reader('answer');
  reader.read(root, pages);
  const id = root.get('model_id')?.string;
  if (status < 400 && !isError(root) && id === undefined) refuse('model_id');
  return {
    ...viewOf(reader),
    models: id === undefined ? noModels : [{ id, node: root }],
    ends: noEnds,
    usage: undefined,
  };
}

/** @throws RefusedError `response_uninspectable` */
export function readAnswer({ operation, streaming, listed }: TgiRoute, root: JsonNode, status: number): AnswerView {
  if (operation === 'ListModels') return readPage(root, status);
  const [first] = answersOf(root);
  const isSglangs = streaming === 'never' && !listed && first?.get('meta_info') !== undefined;
  return isSglangs ? readSglang(root, status) : readGeneration(root, status);
}

const done: FrameView = {
  kind: 'done',
  ...{ lanes: [], loneValues: [], toolInputs: [], tokenLanes: [], integerArrays: [], opaque: [], models: noModels },
  ends: noEnds,
  usage: undefined,
};

/** Of several answers which it is. */
function indexOf(root: JsonNode): number {
  const index = root.get('index')?.number ?? 0;
  return Number.isInteger(index) && index >= 0 && index <= maxIndex ? index : refuse('index');
}

/**
 * An event of SGLang's own stream: all of the text so far, of one of several answers by its `index`.
 *
 * @throws RefusedError `response_uninspectable`
 */
export function readGrowing(data: string, root: JsonNode | undefined): FrameView {
  if (root === undefined && endMarker(data)) return done;
  if (root?.kind !== 'object') refuse('body');
  const reader = new Reader('answer');
  reader.read(root, growing);
  const failed = isError(root);
  if (!failed && root.get('text')?.kind !== 'string') refuse('text');
  const finished = (root.get('meta_info')?.get('finish_reason')?.kind ?? 'null') !== 'null';
  const prefix = `[${indexOf(root)}].`;
  const lanes = reader.lanes.map((lane): Lane => {
    const { id, grows } = lane;
    return grows === true ? { ...lane, id: prefix + id } : { ...lane, id: prefix + id, whole: 'cut' };
  });
  const used = finished ? sglangUsage([root]) : undefined;
  return {
    ...viewOf(reader),
    lanes,
    kind: failed ? 'error' : 'data',
    ends: finished && !failed ? [{ prefix, end: sglangEnd(root) }] : noEnds,
    usage: used && { ...used, adds: true },
  };
}

const isTrue = (node: JsonNode | undefined): boolean => node?.kind === 'true';

/** @throws RefusedError `response_uninspectable` */
export function readFrame(root: JsonNode | undefined): FrameView {
  if (root?.kind !== 'object') refuse('body');
  const reader = new Reader('answer');
  reader.read(root, events);
  const failed = isError(root);
  const token = root.get('token');
  if (!failed && token?.get('text')?.kind !== 'string') refuse('token');
  const details = root.get('details');
  const last = details?.kind === 'object' || root.get('generated_text')?.kind === 'string';
  const end = endOf(details);
  const special = isTrue(token?.get('special'));
  const lanes = reader.lanes.map((lane): Lane => {
    if (lane.id === 'token.text') return special ? { ...lane, id: 'special_token.text', whole: 'complete' } : lane;
    return lane.id.startsWith('generated_text') || lane.id.startsWith('details.') ? { ...lane, whole: end } : lane;
  });
  const ends = last && !failed ? [{ prefix: '', end }] : noEnds;
  return { ...viewOf(reader), lanes, kind: failed ? 'error' : 'data', ends, usage: usageOf(details) };
}

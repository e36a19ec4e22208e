import type { JsonEdit, JsonNode } from '../../base/index.ts';
import { RefusedError } from '../../core/index.ts';
import type { AnswerView, FrameView, LaneEnds, RequestView, Usage } from '../dialect.ts';
import { mediaBytes } from '../media.ts';
import { nestedLimit, nestedLimitEdits } from '../nested-limit.ts';
import type { NestedLimit } from '../nested-limit.ts';
import { Place } from '../place.ts';
import { Reader } from '../reader.ts';
import {
  fieldsOf,
  given,
  hasStrangers,
  insert,
  refuse,
  replace,
  required,
  stopsEarly,
  wholeNumber,
} from '../request-fields.ts';
import type { Fields } from '../request-fields.ts';
import { refusedFields } from '../refused-fields.ts';
import { list, lone, named, number, object, text } from '../shape.ts';
import type { Shape } from '../shape.ts';
import { viewOf as answerViewOf } from './answer.ts';
import { fault } from './answer-shape.ts';
import { metrics, metricsField, metricsUsage, tokensOf } from './invoke-metrics.ts';
import { blocked } from './invoke-shape.ts';
import { viewOf } from './request-view.ts';

/**
 * Models at `invoke` that take one text and write one, as data (Bedrock's user guide, Inference request parameters): Meta's, Mistral's and Amazon's Titan.
 *
 * Promise: as that of {@link Reader}; a success or a chunk without the text is refused. A text is whole when the model says that it came to its end.
 */
export interface TextVendor {
  /** Where the text stands that is asked for. */
  readonly prompt: string;
  readonly request: Place;
  /** Where the output's limit stands, in the body or in an object of it. */
  readonly limit: string | (NestedLimit & { readonly shape: Shape });
  /** Ends of the caller's own: there, in that object or in the body. */
  readonly stops?: string;
  readonly answer: Place;
  readonly chunk: Place;
  /** Several texts stand in a list of this name, in a whole answer and in a chunk. Absent: one, in the body itself. */
  readonly texts: { readonly answer?: string; readonly chunk?: string };
  /** What a text and its end are called there. */
  readonly text: string;
  readonly reason: string;
  readonly natural: ReadonlySet<string>;
  usage(root: JsonNode): Usage | undefined;
}

const request = (own: readonly string[], fields: Readonly<Record<string, Shape>>): Place =>
  Place.root(object({ ...refusedFields, ...blocked(own), ...fields }));
const answer = (fields: Readonly<Record<string, Shape>>): Place =>
  Place.root(object({ ...Object.fromEntries(fault.fields ?? []), ...fields, [metricsField]: metrics }));

const llamaAnswer = answer({
  generation: text,
  ...named(['prompt_token_count', 'generation_token_count'], number),
  stop_reason: lone,
});

export const llama: TextVendor = {
  prompt: 'prompt',
  request: request(['prompt', 'max_gen_len'], {
    prompt: text,
    ...named(['max_gen_len', 'temperature', 'top_p'], number),
    images: list({ read: mediaBytes }),
  }),
  limit: 'max_gen_len',
  ...{ answer: llamaAnswer, chunk: llamaAnswer, texts: {} },
  ...{ text: 'generation', reason: 'stop_reason', natural: new Set(['stop']) },
  usage: (root) => ({
    input: tokensOf(root, 'prompt_token_count'),
    output: tokensOf(root, 'generation_token_count'),
  }),
};

const mistralAnswer = answer({ outputs: list(object({ text, stop_reason: lone }), { strict: true }) });

export const mistral: TextVendor = {
  prompt: 'prompt',
  request: request(['prompt', 'max_tokens', 'stop'], {
    prompt: text,
    ...named(['max_tokens', 'temperature', 'top_p', 'top_k'], number),
    stop: list(text),
  }),
  ...{ limit: 'max_tokens', stops: 'stop' },
  ...{ answer: mistralAnswer, chunk: mistralAnswer, texts: { answer: 'outputs', chunk: 'outputs' } },
  ...{ text: 'text', reason: 'stop_reason', natural: new Set(['stop']) },
  usage: () => undefined,
};

const titanConfig = object({ ...named(['maxTokenCount', 'temperature', 'topP'], number), stopSequences: list(text) });

export const titan: TextVendor = {
  prompt: 'inputText',
  request: request(['inputText', 'textGenerationConfig'], { inputText: text, textGenerationConfig: titanConfig }),
  limit: { object: 'textGenerationConfig', name: 'maxTokenCount', shape: titanConfig },
  stops: 'stopSequences',
  answer: answer({
    inputTextTokenCount: number,
    results: list(object({ tokenCount: number, outputText: text, completionReason: lone }), { strict: true }),
  }),
  chunk: answer({
    ...named(['index', 'inputTextTokenCount', 'totalOutputTextTokenCount'], number),
    outputText: text,
    completionReason: lone,
  }),
  texts: { answer: 'results' },
  ...{ text: 'outputText', reason: 'completionReason', natural: new Set(['FINISH', 'FINISHED']) },
  usage(root) {
    const results = root.get('results')?.items.map((one) => tokensOf(one, 'tokenCount')) ?? [];
    return {
      input: tokensOf(root, 'inputTextTokenCount'),
      output: results.reduce((sum, one) => sum + one, tokensOf(root, 'totalOutputTextTokenCount')),
    };
  },
};

/** @throws RefusedError `invalid_request` */
export function readTextRequest(vendor: TextVendor, model: string, root: JsonNode): RequestView {
  const reader = new Reader('request');
  reader.read(root, vendor.request);
  const fields = fieldsOf(root);
  if (required(fields, vendor.prompt).kind !== 'string') refuse(vendor.prompt);
  const { limit, stops = '' } = vendor;
  const flat = typeof limit === 'string';
  const most = flat ? wholeNumber(fields, limit, 1, Number.MAX_SAFE_INTEGER) : nestedLimit(fields, limit).limit;
  const strangers = !flat && hasStrangers(fields, limit.object, limit.shape);
  const holder = flat ? root : given(fields, limit.object);
  return {
    ...{ model, generates: true, stream: false, count: 1, maxOutputTokens: most, outputBound: most, usageAsked: true },
    stops: reader.strangers || strangers || stopsEarly(holder?.get(stops)),
    ...viewOf(reader),
    limitOutput: (to) => (flat ? limitEdits(root, fields, limit, to) : nestedLimitEdits(root, fields, limit, to)),
  };
}

function limitEdits(root: JsonNode, fields: Fields, name: string, most: number): readonly JsonEdit[] {
  const node = fields.get(name);
  if (node === undefined) return [insert(root, `"${name}":${most}`)];
  return (node.number ?? Number.POSITIVE_INFINITY) <= most ? [] : [replace(node, String(most))];
}

const noEnds: readonly LaneEnds[] = Object.freeze([]);

function unread(detail: string): never {
  throw new RefusedError('response_uninspectable', { detail });
}

/** What says a text each, and how the ids of its lanes begin. */
function holders(root: JsonNode, name: string | undefined): readonly (readonly [JsonNode, string])[] {
  if (name === undefined) return [[root, '']];
  const node = root.get(name);
  if (node?.kind !== 'array') unread(name);
  return node.items.map((one, at) => [one, `${name}[${at}].`] as const);
}

function endOf({ reason, natural }: TextVendor, holder: JsonNode): LaneEnds['end'] | undefined {
  const said = holder.get(reason);
  if (said === undefined || said.kind === 'null') return undefined;
  if (said.kind !== 'string') unread(reason);
  return natural.has(said.text) ? 'complete' : 'cut';
}

/** @throws RefusedError `response_uninspectable` */
export function readTextAnswer(vendor: TextVendor, root: JsonNode): AnswerView {
  if (root.kind !== 'object') unread('body');
  const reader = new Reader('answer');
  reader.read(root, vendor.answer);
  const texts = holders(root, vendor.texts.answer);
  for (const [holder] of texts) if (holder.get(vendor.text)?.kind !== 'string') unread(vendor.text);
  const ends = texts.map(([holder, prefix]): LaneEnds => ({ prefix, end: endOf(vendor, holder) ?? 'cut' }));
  return { ...answerViewOf(reader), ends: [...ends, { prefix: '', end: 'cut' }], usage: vendor.usage(root) };
}

/** @throws RefusedError `response_uninspectable` */
export function readTextChunk(vendor: TextVendor, root: JsonNode): FrameView {
  if (root.kind !== 'object') unread('body');
  const reader = new Reader('answer');
  reader.read(root, vendor.chunk);
  const texts = holders(root, vendor.texts.chunk);
  for (const [holder] of texts) if (holder.get(vendor.text)?.kind !== 'string') unread(vendor.text);
  const ends = texts.flatMap(([holder, prefix]) => {
    const end = endOf(vendor, holder);
    return end === undefined ? noEnds : [{ prefix, end }];
  });
  const said = metricsUsage(root);
  const early = vendor.usage(root);
  return {
    ...{ ...answerViewOf(reader), kind: 'data', ends },
    usage: said ?? (early === undefined ? undefined : { ...early, early: true }),
  };
}

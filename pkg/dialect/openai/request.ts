import type { JsonEdit, JsonNode } from '../../base/index.ts';
import type { Operation } from '../../core/index.ts';
import type { RequestView } from '../dialect.ts';
import {
  checkMessages,
  fieldsOf,
  given,
  insert,
  modelNamed,
  refuse,
  replace,
  required,
  stopsEarly,
  wholeNumber,
} from '../request-fields.ts';
import type { Fields } from '../request-fields.ts';
import { Place } from '../place.ts';
import { Reader } from '../reader.ts';
import { chatRequest, completionsRequest, embeddingsRequest, outputLimits } from './request-shape.ts';

/**
 * Requests of OpenAI's Chat, Completions and Embeddings.
 *
 * Promise: what is returned names every text of the request, and a request whose decisive fields (model, stream, output limits,
 * count) another reader could take for something else is refused.
 * Limit: a server that ignores `max_completion_tokens` (older Ollama and llama.cpp) is not limited by it; callers' own
 * choice of field is kept because OpenAI refuses requests that carry both.
 */

const places: Partial<Record<Operation, Place>> = {
  Chat: Place.root(chatRequest),
  Completions: Place.root(completionsRequest),
  Embeddings: Place.root(embeddingsRequest),
};

/** OpenAI's own bound. */
const maxCount = 128;
/** How many answers a prompt gets, or are worked on for it: OpenAI's, llama.cpp's, Hugging Face's. */
export const countNames = ['n', 'best_of', 'n_cmpl', 'num_return_sequences', 'num_beams'];

/** Where a body names the model beside its path. */
export function renameEdits(fields: Fields, as: string): readonly JsonEdit[] {
  const node = given(fields, 'model');
  return node === undefined ? [] : [replace(node, JSON.stringify(as))];
}

/** @param deployment the model that the path names: a body that names another would make it one of two. */
export function modelOf(fields: Fields, deployment: string | undefined): string {
  if (deployment === undefined || given(fields, 'model') !== undefined) modelNamed(fields);
  const model = given(fields, 'model')?.text ?? deployment ?? '';
  if (deployment !== undefined && model !== deployment) refuse('model');
  return model;
}

function checkRequired(operation: Operation, fields: Fields): void {
  if (operation === 'Chat') checkMessages(fields);
  else if (operation === 'Completions') {
    if (['prompt_embeds', 'prompt_token_ids'].every((name) => given(fields, name) === undefined))
      required(fields, 'prompt');
  } else if (given(fields, 'messages') !== undefined) checkMessages(fields);
  else required(fields, 'input');
}

/** Every server answers each text and each list of token ids of a completion's prompt; vLLM and SGLang take them by other names, too. */
const promptNames = ['prompt', 'prompt_token_ids', 'input_ids', 'prompt_embeds'];

/** Prompts of a completion; at least 1. A list of numbers is one. */
function promptCount(fields: Fields): number {
  const all = promptNames.reduce((sum, name) => {
    const node = given(fields, name);
    if (node === undefined) return sum;
    return sum + (node.kind === 'array' && node.numbers === undefined ? node.items.length : 1);
  }, 0);
  return Math.max(1, all);
}

/**
 * `max_tokens` for callers who gave no limit that servers obey: every server knows it. (OpenAI's reasoning models refuse it: no answer
 * rather than an unlimited one.)
 */
const insertedLimit = 'max_tokens';

/** OpenAI's two. Any other field is read by one server and ignored by the next. */
const obeyedLimits = ['max_completion_tokens', 'max_tokens'];

function isBounded(fields: Fields): boolean {
  return obeyedLimits.some((name) => given(fields, name) !== undefined);
}

function limitEdits(root: JsonNode, fields: Fields, limit: number): readonly JsonEdit[] {
  const edits = outputLimits.flatMap((name) => {
    const node = given(fields, name);
    return node === undefined || (node.number ?? Number.POSITIVE_INFINITY) <= limit
      ? []
      : [replace(node, String(limit))];
  });
  if (isBounded(fields)) return edits;
  const empty = fields.get(insertedLimit);
  return [empty === undefined ? insert(root, `"${insertedLimit}":${limit}`) : replace(empty, String(limit)), ...edits];
}

/** vLLM's `return_tokens_as_token_ids`: log-probabilities that no rule can read. */
function spellEdits(fields: Fields): readonly JsonEdit[] {
  const node = fields.get('return_tokens_as_token_ids');
  return node?.kind === 'true' ? [replace(node, 'false')] : [];
}

function usageEdits(root: JsonNode, fields: Fields): readonly JsonEdit[] {
  const options = fields.get('stream_options');
  if (options === undefined) return [insert(root, '"stream_options":{"include_usage":true}')];
  if (options.kind === 'null') return [replace(options, '{"include_usage":true}')];
  const asked = options.get('include_usage');
  if (asked === undefined) return [insert(options, '"include_usage":true')];
  return asked.kind === 'true' ? [] : [replace(asked, 'true')];
}

/**
 * All that a query of these routes may say (Azure's). LiteLLM puts each of its parameters over the body's field of that name, its model too;
 * none is known to any other server. Spelled plainly, so that it has one reading.
 */
export const plainQuery = /^(?:api-version=[A-Za-z0-9._-]{1,64})?$/;

/**
 * @param query without `?`.
 * @param deployment the model that the path names; undefined: the body does.
 * @throws RefusedError `invalid_request`
 */
export function readRequest(
  operation: Operation,
  root: JsonNode,
  query: string,
  deployment: string | undefined,
): RequestView {
  if (!plainQuery.test(query)) refuse('query');
  const place = places[operation];
  if (place === undefined || root.kind !== 'object') refuse('body');
  const reader = new Reader('request', operation === 'Embeddings' ? 'none' : 'held');
  reader.read(root, place);

  const fields = fieldsOf(root);
  const model = modelOf(fields, deployment);
  checkRequired(operation, fields);
  const stream = fields.get('stream')?.kind === 'true';
  if (!stream && given(fields, 'stream_options') !== undefined) refuse('stream_options');
  const generates = operation !== 'Embeddings';
  const limits = generates
    ? outputLimits.flatMap((name) => wholeNumber(fields, name, 1, Number.MAX_SAFE_INTEGER) ?? [])
    : [];
  const each = generates ? Math.max(...countNames.map((name) => wholeNumber(fields, name, 1, maxCount) ?? 1)) : 1;
  const prompts = operation === 'Completions' ? promptCount(fields) : 1;
  const asked = limits.length === 0 ? undefined : Math.max(...limits);
  return {
    model,
    stream,
    generates,
    count: prompts * each,
    maxOutputTokens: asked,
    outputBound: isBounded(fields) ? asked : undefined,
    stops: reader.strangers || stopsByChoice(fields) || stopsByGrammar(fields),
    usageAsked: stream && given(fields, 'stream_options')?.get('include_usage')?.kind === 'true',
    tokenInput: reader.tokenInput,
    lanes: reader.lanes,
    loneValues: reader.loneValues,
    toolInputs: reader.toolInputs,
    opaque: reader.opaque,
    documents: reader.documents,
    media: reader.media,
    links: reader.links,
    listNumbers: reader.listNumbers,
    limitOutput: (limit) => (generates ? limitEdits(root, fields, limit) : []),
    askUsage: () => (stream && generates ? usageEdits(root, fields) : []),
    spellTokens: () => spellEdits(fields),
    renameModel: (as) => renameEdits(fields, as),
  };
}

/**
 * By a token that is made likely, or the only ones that may come, an answer ends at any place, and the model then reports a natural stop; where a word may
 * not come, it ends before it.
 */
const ends = ['stop', 'stop_token_ids', 'logit_bias', 'allowed_token_ids', 'bad_words'];

/** Whether the caller chose an end, or which tokens may come. */
export const stopsByChoice = (fields: Fields): boolean => ends.some((name) => stopsEarly(given(fields, name)));

/** Forms of an answer that end where JSON ends, or nowhere. */
const openFormats = new Set(['text', 'json_object', 'json_schema']);

/** A grammar ends an answer wherever its caller likes, and the model then reports a natural stop. */
const grammars = [
  'guided_regex',
  'guided_grammar',
  'guided_choice',
  'structured_outputs',
  'structural_tag',
  'regex',
  'ebnf',
  'grammar',
];

export function stopsByGrammar(fields: Fields): boolean {
  const format = given(fields, 'response_format')?.get('type');
  if (format !== undefined && !openFormats.has(format.text)) return true;
  return grammars.some((name) => given(fields, name) !== undefined);
}

import type { JsonEdit, JsonNode } from '../../base/index.ts';
import type { RequestView } from '../dialect.ts';
import { outputLimits } from '../openai/request-shape.ts';
import { countNames, stopsByChoice, stopsByGrammar } from '../openai/request.ts';
import { Place } from '../place.ts';
import { Reader } from '../reader.ts';
import { fieldsOf, given, insert, modelNamed, refuse, replace, required, wholeNumber } from '../request-fields.ts';
import type { Fields } from '../request-fields.ts';
import { completionRequest, embeddingRequest, infillRequest } from './request-shape.ts';
import type { LlamaKind } from './routes.ts';

/**
 * Requests of llama.cpp's own routes. A server with one model is told none; a router reads `model`.
 *
 * Promise: as that of OpenAI's requests ({@link Reader}).
 */

const places: Readonly<Record<LlamaKind, Place>> = {
  completion: Place.root(completionRequest),
  infill: Place.root(infillRequest),
  embedding: Place.root(embeddingRequest),
};

const maxCount = 128;
/** The field that every version obeys, before all others. */
const limitName = 'n_predict';

/** A list in which numbers stand is one prompt; of anything else each element is one. */
function promptCount(node: JsonNode | undefined): number {
  if (node?.kind !== 'array' || node.numbers !== undefined) return 1;
  return node.items.some((item) => item.kind === 'number') ? 1 : Math.max(1, node.items.length);
}

interface Limit {
  readonly node: JsonNode;
  /** Infinity: below 0, by which the server means no end. */
  readonly limit: number;
}

function limitsOf(fields: Fields): readonly Limit[] {
  return outputLimits.flatMap((name): Limit[] => {
    const node = given(fields, name);
    if (node === undefined) return [];
    if (node.number === undefined || !/^-?[0-9]{1,15}$/.test(node.text)) refuse(name);
    return [{ node, limit: node.number < 0 ? Number.POSITIVE_INFINITY : node.number }];
  });
}

function limitEdits(root: JsonNode, fields: Fields, most: number): readonly JsonEdit[] {
  const limits = limitsOf(fields);
  const edits = limits.filter(({ limit }) => limit > most).map(({ node }) => replace(node, String(most)));
  const own = fields.get(limitName);
  if (own !== undefined && own.kind !== 'null') return edits;
  const least = String(Math.min(most, ...limits.map(({ limit }) => limit)));
  return [own === undefined ? insert(root, `"${limitName}":${least}`) : replace(own, least), ...edits];
}

function checkPrompt(kind: LlamaKind, fields: Fields): void {
  if (kind === 'completion') required(fields, 'prompt');
  else if (kind === 'embedding' && given(fields, 'content') === undefined) required(fields, 'input');
  else if (kind === 'infill') {
    required(fields, 'input_prefix');
    required(fields, 'input_suffix');
  }
}

/**
 * @param query without `?`; these routes read none.
 * @throws RefusedError `invalid_request`
 */
export function readRequest(kind: LlamaKind, root: JsonNode, query: string): RequestView {
  if (query !== '') refuse('query');
  if (root.kind !== 'object') refuse('body');
  const reader = new Reader('request', kind === 'embedding' ? 'none' : 'held');
  reader.read(root, places[kind]);
  const fields = fieldsOf(root);
  checkPrompt(kind, fields);
  const generates = kind !== 'embedding';
  const limits = generates ? limitsOf(fields).map(({ limit }) => limit) : [];
  const asked = limits.length === 0 ? Number.POSITIVE_INFINITY : Math.max(...limits);
  const limit = Number.isFinite(asked) ? asked : undefined;
  const each = countNames.map((name) => wholeNumber(fields, name, 1, maxCount) ?? 1);
  return {
    model: given(fields, 'model') === undefined ? undefined : modelNamed(fields),
    generates,
    stream: generates && fields.get('stream')?.kind === 'true',
    count: generates ? Math.max(...each) * promptCount(given(fields, 'prompt')) : 1,
    maxOutputTokens: limit,
    outputBound: given(fields, limitName) === undefined ? undefined : limit,
    stops:
      reader.strangers ||
      stopsByChoice(fields) ||
      given(fields, 't_max_predict_ms') !== undefined ||
      given(fields, 'n_indent') !== undefined ||
      stopsByGrammar(fields),
    usageAsked: true,
    tokenInput: reader.tokenInput,
    lanes: reader.lanes,
    loneValues: reader.loneValues,
    toolInputs: reader.toolInputs,
    opaque: reader.opaque,
    documents: reader.documents,
    media: reader.media,
    links: reader.links,
    listNumbers: reader.listNumbers,
    limitOutput: (most) => (generates ? limitEdits(root, fields, most) : []),
    askUsage: () => [],
    spellTokens: () => [],
  };
}

import type { JsonNode } from '../../base/index.ts';
import type { RequestView } from '../dialect.ts';
import { Place } from '../place.ts';
import { Reader } from '../reader.ts';
import { checkMessages, fieldsOf, given, insert, modelNamed, refuse, replace, wholeNumber } from '../request-fields.ts';
import type { Fields } from '../request-fields.ts';
import { messagesRequest } from './request-shape.ts';

/**
 * Requests of Anthropic's Messages and of the count of their tokens.
 *
 * Promise: as that of OpenAI's requests ({@link Reader}): every text is named, and what another reader could take for another model, stream or
 * limit is refused.
 */

const place = Place.root(messagesRequest);

/** All that a query may say: Anthropic's clients mark routes that are not final. LiteLLM would take any other parameter for a field of the body. */
const plainQuery = /^(?:beta=true)?$/;

/** Where the output's limit stands; the only field of this API that says it. */
const limitName = 'max_tokens';

/** @throws RefusedError `invalid_request` */
export function readRequest(generates: boolean, root: JsonNode, query: string): RequestView {
  if (!plainQuery.test(query)) refuse('query');
  if (root.kind !== 'object') refuse('body');
  return readMessages(place, root, generates, modelNamed);
}

/**
 * The same body by another way, which says the model otherwise.
 *
 * @throws RefusedError `invalid_request`
 */
export function readMessages(
  shape: Place,
  root: JsonNode,
  generates: boolean,
  modelOf: (fields: Fields) => string,
): RequestView {
  const reader = new Reader('request');
  reader.read(root, shape);
  const fields = fieldsOf(root);
  const model = modelOf(fields);
  checkMessages(fields);
  const limit = wholeNumber(fields, limitName, 1, Number.MAX_SAFE_INTEGER);
  return {
    model,
    generates,
    stream: fields.get('stream')?.kind === 'true',
    count: 1,
    maxOutputTokens: limit,
    outputBound: limit,
    stops: reader.strangers || (given(fields, 'stop_sequences')?.items.length ?? 0) > 0,
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

function limitEdits(root: JsonNode, fields: Fields, most: number): ReturnType<RequestView['limitOutput']> {
  const node = fields.get(limitName);
  if (node === undefined) return [insert(root, `"${limitName}":${most}`)];
  return (node.number ?? Number.POSITIVE_INFINITY) <= most ? [] : [replace(node, String(most))];
}

import type { JsonNode } from '../../base/index.ts';
import type { RequestView } from '../dialect.ts';
import { Place } from '../place.ts';
import { Reader } from '../reader.ts';
import {
  checkMessages,
  fieldsOf,
  given,
  insert,
  modelNamed,
  refuse,
  replace,
  stopsEarly,
  wholeNumber,
} from '../request-fields.ts';
import type { Fields } from '../request-fields.ts';
import { chatRequest, embedRequest } from './request-shape.ts';
import type { CohereRoute } from './routes.ts';

/**
 * Requests of Cohere's API.
 *
 * Promise: as that of OpenAI's requests ({@link Reader}).
 */

const places: Readonly<Record<CohereRoute['operation'], Place>> = {
  Chat: Place.root(chatRequest),
  Embeddings: Place.root(embedRequest),
};

const none: readonly never[] = Object.freeze([]);

/** Where the output's limit stands; the only field of this API that says it. */
const limitName = 'max_tokens';

/** What is embedded, in one way or another. */
const inputs = ['texts', 'images', 'inputs'];

interface ReadRequest {
  readonly reader: Reader;
  readonly root: JsonNode;
  readonly fields: Fields;
  readonly model: string;
  readonly generates: boolean;
}

/**
 * @param query without `?`; Cohere reads none.
 * @throws RefusedError `invalid_request`
 */
export function readRequest(operation: CohereRoute['operation'], root: JsonNode, query: string): RequestView {
  if (query !== '') refuse('query');
  if (root.kind !== 'object') refuse('body');
  const reader = new Reader('request', operation === 'Chat' ? 'held' : 'none');
  reader.read(root, places[operation]);
  const fields = fieldsOf(root);
  const model = modelNamed(fields);
  const generates = operation === 'Chat';
  if (generates) checkMessages(fields);
  else if (inputs.every((name) => (given(fields, name)?.items.length ?? 0) === 0)) refuse('texts');
  return viewOfRequest({ reader, root, fields, model, generates });
}

/** What a body says of a request that was read, whichever its shape. @throws RefusedError `invalid_request` */
export function viewOfRequest({ reader, root, fields, model, generates }: ReadRequest): RequestView {
  const limit = generates ? wholeNumber(fields, limitName, 1, Number.MAX_SAFE_INTEGER) : undefined;
  return {
    model,
    generates,
    stream: generates && fields.get('stream')?.kind === 'true',
    count: 1,
    maxOutputTokens: limit,
    outputBound: limit,
    stops: reader.strangers || stopsEarly(given(fields, 'stop_sequences')),
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
    limitOutput: (most) => (generates ? limitEdits(root, fields, most) : none),
    askUsage: () => none,
    spellTokens: () => none,
  };
}

function limitEdits(root: JsonNode, fields: Fields, most: number): ReturnType<RequestView['limitOutput']> {
  const node = fields.get(limitName);
  if (node === undefined) return [insert(root, `"${limitName}":${most}`)];
  return (node.number ?? Number.POSITIVE_INFINITY) <= most ? none : [replace(node, String(most))];
}

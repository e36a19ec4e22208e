import type { JsonNode } from '../../base/index.ts';
import type { RequestView } from '../dialect.ts';
import { Place } from '../place.ts';
import { Reader } from '../reader.ts';
import { fieldsOf, given, refuse, replace, required } from '../request-fields.ts';
import type { Fields } from '../request-fields.ts';
import type { KserveRoute } from './routes.ts';
import { generateRequest, inferRequest, predictRequest } from './shapes.ts';

/**
 * Requests of KServe's protocols. The path says the model; a body that names another is refused.
 *
 * Promise: as that of OpenAI's requests ({@link Reader}). Limit: a rule that limits output lets none of them by, since each model has other words for it.
 */

const places = {
  predict: Place.root(predictRequest),
  infer: Place.root(inferRequest),
  generate: Place.root(generateRequest),
  generate_stream: Place.root(generateRequest),
  page: Place.root({}),
};

const none: readonly never[] = Object.freeze([]);

function checkInput(kind: KserveRoute['kind'], fields: Fields): void {
  if (kind === 'infer') required(fields, 'inputs');
  else if (kind === 'predict' && given(fields, 'inputs') === undefined) required(fields, 'instances');
}

/**
 * @param query without `?`; none of these routes reads one.
 * @throws RefusedError `invalid_request`
 */
export function readRequest({ kind, model }: KserveRoute, root: JsonNode, query: string): RequestView {
  if (query !== '') refuse('query');
  if (root.kind !== 'object') refuse('body');
  const reader = new Reader('request', 'none');
  reader.read(root, places[kind]);
  const fields = fieldsOf(root);
  const named = given(fields, 'model_name');
  if (named !== undefined && named.string !== model) refuse('model_name');
  checkInput(kind, fields);
  return {
    model,
    generates: false,
    countsInput: true,
    stream: kind === 'generate_stream',
    count: 1,
    maxOutputTokens: undefined,
    outputBound: undefined,
    ...(kind !== 'page' && { endless: true }),
    stops: true,
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
    limitOutput: () => none,
    askUsage: () => none,
    spellTokens: () => none,
    renameModel: (as) => (named === undefined ? none : [replace(named, JSON.stringify(as))]),
  };
}

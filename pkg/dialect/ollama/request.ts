import type { JsonNode } from '../../base/index.ts';
import type { RequestView } from '../dialect.ts';
import { nestedLimit, nestedLimitEdits } from '../nested-limit.ts';
import type { NestedLimit } from '../nested-limit.ts';
import { Place } from '../place.ts';
import { Reader } from '../reader.ts';
import { checkMessages, fieldsOf, given, modelNamed, refuse, required } from '../request-fields.ts';
import type { Fields } from '../request-fields.ts';
import { decidedModel } from './model-name.ts';
import { chatRequest, embedRequest, generateRequest, showRequest } from './request-shape.ts';
import type { OllamaRoute } from './routes.ts';

/**
 * Requests of Ollama's API.
 *
 * Promise: as that of OpenAI's requests ({@link Reader}). A request without a prompt loads a model, or unloads it for everybody: refused.
 */

const places: Readonly<Record<OllamaRoute['operation'], Place>> = {
  Chat: Place.root(chatRequest),
  Completions: Place.root(generateRequest),
  Embeddings: Place.root(embedRequest),
  ListModels: Place.root(showRequest),
};

function checkPrompt(operation: OllamaRoute['operation'], fields: Fields): void {
  if (operation === 'Chat') checkMessages(fields);
  else if (operation === 'Completions' && required(fields, 'prompt').text === '') refuse('prompt');
  else if (operation === 'Embeddings' && given(fields, 'input') === undefined) required(fields, 'prompt');
}

/** Where the output's limit stands. */
const outputLimit: NestedLimit = { object: 'options', name: 'num_predict' };

/**
 * @param query without `?`; Ollama reads none.
 * @throws RefusedError `invalid_request`
 */
export function readRequest(operation: OllamaRoute['operation'], root: JsonNode, query: string): RequestView {
  if (query !== '') refuse('query');
  if (root.kind !== 'object') refuse('body');
  const reader = new Reader('request', operation === 'Chat' || operation === 'Completions' ? 'held' : 'none');
  reader.read(root, places[operation]);
  const fields = fieldsOf(root);
  const model = decidedModel(modelNamed(fields));
  checkPrompt(operation, fields);
  const generates = operation === 'Chat' || operation === 'Completions';
  const limit = generates ? nestedLimit(fields, outputLimit).limit : undefined;
  const stop = given(fields, 'options')?.get('stop');
  return {
    model,
    generates,
    // Unless told not to.
    stream: generates && fields.get('stream')?.kind !== 'false',
    count: 1,
    maxOutputTokens: limit,
    outputBound: limit,
    stops: reader.strangers || (stop?.items.length ?? 0) > 0 || (stop?.text ?? '') !== '',
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
    limitOutput: (most) => (generates ? nestedLimitEdits(root, fields, outputLimit, most) : []),
    askUsage: () => [],
    spellTokens: () => [],
  };
}

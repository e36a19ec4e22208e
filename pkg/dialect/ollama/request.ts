import type { JsonEdit, JsonNode } from '../../base/index.ts';
import type { RequestView } from '../dialect.ts';
import { Place } from '../place.ts';
import { Reader } from '../reader.ts';
import { checkMessages, fieldsOf, given, insert, modelNamed, refuse, replace, required } from '../request-fields.ts';
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
const limitName = 'num_predict';

/** The node that says the limit, and the limit; undefined: none, since nothing is said, or 0 and less, by which Ollama means no end. */
function limitOf(fields: Fields): { readonly node: JsonNode | undefined; readonly limit: number | undefined } {
  const options = given(fields, 'options');
  const node = options?.get(limitName);
  if (node === undefined || node.kind === 'null') return { node, limit: undefined };
  // Go takes 1.5 for 1 and 1e3 for 1000; other servers do not: refused, so that all agree.
  if (node.number === undefined || !/^-?[0-9]{1,15}$/.test(node.text)) refuse(`options.${limitName}`);
  return { node, limit: node.number > 0 ? node.number : undefined };
}

function limitEdits(root: JsonNode, fields: Fields, most: number): readonly JsonEdit[] {
  const { node, limit } = limitOf(fields);
  if (node !== undefined) return limit !== undefined && limit <= most ? [] : [replace(node, String(most))];
  const options = fields.get('options');
  const member = `"${limitName}":${most}`;
  if (options === undefined) return [insert(root, `"options":{${member}}`)];
  return [options.kind === 'null' ? replace(options, `{${member}}`) : insert(options, member)];
}

/**
 * @param query without `?`; Ollama reads none.
 * @throws RefusedError `invalid_request`
 */
export function readRequest(operation: OllamaRoute['operation'], root: JsonNode, query: string): RequestView {
  if (query !== '') refuse('query');
  if (root.kind !== 'object') refuse('body');
  const reader = new Reader('request');
  reader.read(root, places[operation]);
  const fields = fieldsOf(root);
  const model = decidedModel(modelNamed(fields));
  checkPrompt(operation, fields);
  const generates = operation === 'Chat' || operation === 'Completions';
  const limit = generates ? limitOf(fields).limit : undefined;
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
    opaque: reader.opaque,
    listNumbers: reader.listNumbers,
    limitOutput: (most) => (generates ? limitEdits(root, fields, most) : []),
    askUsage: () => [],
    spellTokens: () => [],
  };
}

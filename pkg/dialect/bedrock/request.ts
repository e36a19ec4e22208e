import type { JsonNode } from '../../base/index.ts';
import { readMessages } from '../anthropic/request.ts';
import type { RequestView } from '../dialect.ts';
import { nestedLimit, nestedLimitEdits } from '../nested-limit.ts';
import type { NestedLimit } from '../nested-limit.ts';
import { Place } from '../place.ts';
import { Reader } from '../reader.ts';
import { checkMessages, fieldsOf, given, hasStrangers, refuse, stopsEarly } from '../request-fields.ts';
import { invokeRequest } from './invoke-shape.ts';
import { converseRequest, inferenceConfig } from './request-shape.ts';
import type { BedrockRoute } from './routes.ts';

/**
 * Requests of Bedrock's runtime. The path says the model.
 *
 * Promise: as that of OpenAI's requests ({@link Reader}). A body for `invoke` that is not Anthropic's is refused: each vendor has words of its own there.
 */

const converse = Place.root(converseRequest);
const invoke = Place.root(invokeRequest);
const outputLimit: NestedLimit = { object: 'inferenceConfig', name: 'maxTokens' };
const none: readonly never[] = Object.freeze([]);

/**
 * @param query without `?`; Bedrock reads none.
 * @throws RefusedError `invalid_request`
 */
export function readRequest({ kind, model }: BedrockRoute, root: JsonNode, query: string): RequestView {
  if (query !== '') refuse('query');
  if (root.kind !== 'object') refuse('body');
  const streams = kind === 'converse-stream' || kind === 'invoke-with-response-stream';
  if (kind === 'converse' || kind === 'converse-stream') return readConverse(model, root, streams);
  if (!/^bedrock-/.test(root.get('anthropic_version')?.string ?? '')) refuse('anthropic_version');
  return { ...readMessages(invoke, root, true, () => model), stream: streams };
}

function readConverse(model: string, root: JsonNode, stream: boolean): RequestView {
  const reader = new Reader('request');
  reader.read(root, converse);
  const fields = fieldsOf(root);
  checkMessages(fields);
  const { limit } = nestedLimit(fields, outputLimit);
  const strangers = hasStrangers(fields, outputLimit.object, inferenceConfig);
  const stops =
    reader.strangers ||
    strangers ||
    given(fields, 'additionalModelRequestFields') !== undefined ||
    stopsEarly(given(fields, outputLimit.object)?.get('stopSequences'));
  return {
    model,
    generates: true,
    stream,
    count: 1,
    maxOutputTokens: limit,
    outputBound: limit,
    stops,
    usageAsked: true,
    tokenInput: reader.tokenInput,
    lanes: reader.lanes,
    loneValues: reader.loneValues,
    opaque: reader.opaque,
    listNumbers: reader.listNumbers,
    limitOutput: (most) => nestedLimitEdits(root, fields, outputLimit, most),
    askUsage: () => none,
    spellTokens: () => none,
  };
}

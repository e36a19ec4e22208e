import type { JsonNode } from '../../base/index.ts';
import type { RequestView, Route } from '../dialect.ts';
import { Place } from '../place.ts';
import { Reader } from '../reader.ts';
import { checkMessages, fieldsOf, refuse } from '../request-fields.ts';
import { vendorOf } from './invoke-vendors.ts';
import type { InvokeVendor } from './invoke-vendors.ts';
import { readConverse } from './read-converse.ts';
import { converseRequest, countRequest } from './request-shape.ts';
import { viewOf } from './request-view.ts';
import type { BedrockRoute } from './routes.ts';

/**
 * Requests of Bedrock's runtime. The path says the model.
 *
 * Promise: as that of OpenAI's requests ({@link Reader}). At `invoke` each vendor's models have words of their own: a body of a vendor that is not known is refused.
 */

const converse = Place.root(converseRequest);
const count = Place.root(countRequest);
const none: readonly never[] = Object.freeze([]);

/**
 * @param query without `?`; Bedrock reads none.
 * @param answers how what a vendor's models answer is read.
 * @throws RefusedError `invalid_request`
 */
export function readRequest(
  { kind, model, calledAs = model }: BedrockRoute,
  root: JsonNode,
  query: string,
  answers: (vendor: InvokeVendor) => Route,
): RequestView {
  if (query !== '') refuse('query');
  if (root.kind !== 'object') refuse('body');
  if (kind === 'count-tokens') return readCount(model, root);
  const stream = kind === 'converse-stream' || kind === 'invoke-with-response-stream';
  if (kind === 'converse' || kind === 'converse-stream') return readConverse(converse, model, root, stream);
  const vendor = vendorOf(calledAs, root) ?? refuse('anthropic_version');
  return { ...vendor.request(model, root), stream, answers: answers(vendor) };
}

/** Nothing is generated. */
function readCount(model: string, root: JsonNode): RequestView {
  const reader = new Reader('request');
  reader.read(root, count);
  const converse = root.get('input')?.get('converse');
  if (converse?.kind !== 'object') refuse('input.converse');
  checkMessages(fieldsOf(converse));
  return {
    ...{ model, generates: false, stream: false, count: 1, stops: false, usageAsked: true },
    ...{ maxOutputTokens: undefined, outputBound: undefined },
    ...viewOf(reader),
    limitOutput: () => none,
  };
}

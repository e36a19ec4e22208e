import type { JsonNode } from '../../base/index.ts';
import type { RequestView } from '../dialect.ts';
import { nestedLimit, nestedLimitEdits } from '../nested-limit.ts';
import type { NestedLimit } from '../nested-limit.ts';
import { Place } from '../place.ts';
import { Reader } from '../reader.ts';
import { fieldsOf, given, hasStrangers, refuse, replace, stopsEarly, wholeNumber } from '../request-fields.ts';
import type { Fields } from '../request-fields.ts';
import { countRequest, embedManyRequest, embedRequest, generateRequest, generationConfig } from './request-shape.ts';
import type { GeminiKind, GeminiRoute } from './routes.ts';
import { snake } from './spellings.ts';

/**
 * Requests of the Gemini API.
 *
 * Promise: as that of OpenAI's requests ({@link Reader}). The path says the model; a body that names another is refused, and so is a field that
 * decides and comes by both of its names.
 */

const places: Readonly<Record<GeminiKind, Place>> = {
  generate: Place.root(generateRequest),
  stream: Place.root(generateRequest),
  count: Place.root(countRequest),
  embed: Place.root(embedRequest),
  embedMany: Place.root(embedManyRequest),
  list: Place.root({}),
  page: Place.root({}),
};

const none: readonly never[] = Object.freeze([]);

/** All that a query may say: others choose which fields are answered, or carry a key. */
const plainQuery = /^(?:(?:\$?alt|%24alt)=(?:sse|json))?$/;
const asEvents = /alt=sse$/;

/** Answers of one request; Google's own bound is 8. */
const maxCount = 128;

/** The field by the one of its names that the body has. @throws RefusedError `invalid_request` where it has both */
function nameOf(fields: Fields, name: string): string {
  if (snake(name) === name || !fields.has(snake(name))) return name;
  if (fields.has(name)) refuse(name);
  return snake(name);
}

const item = (fields: Fields, name: string): JsonNode | undefined => given(fields, nameOf(fields, name));

const each = (node: JsonNode | undefined): readonly JsonNode[] =>
  node === undefined ? none : node.kind === 'array' ? node.items : [node];

/** Wherever the body names the model, beside the path. */
function modelNodes(kind: GeminiKind, fields: Fields): readonly JsonNode[] {
  const inner = kind === 'count' ? item(fields, 'generateContentRequest') : undefined;
  const several = kind === 'embedMany' ? each(given(fields, 'requests')) : none;
  return [given(fields, 'model'), inner?.get('model'), ...several.map((one) => one.get('model'))].filter(
    (node) => node !== undefined && node.kind !== 'null',
  ) as JsonNode[];
}

const resource = 'models/';

/** @throws RefusedError `invalid_request` */
function checkModel(nodes: readonly JsonNode[], model: string | undefined): void {
  for (const { string } of nodes) if (string !== model && string !== `${resource}${model ?? ''}`) refuse('model');
}

/** @throws RefusedError `invalid_request` */
function checkContents(kind: GeminiKind, fields: Fields): void {
  if (kind === 'embedMany') {
    if (each(given(fields, 'requests')).length === 0) refuse('requests');
  } else if (kind === 'embed') {
    if (given(fields, 'content') === undefined) refuse('content');
  } else {
    const inner = kind === 'count' ? item(fields, 'generateContentRequest') : undefined;
    const contents = inner === undefined ? given(fields, 'contents') : inner.get('contents');
    // Two prompts, of which a server counts one.
    if (inner !== undefined && given(fields, 'contents') !== undefined) refuse('contents');
    if (each(contents).length === 0) refuse('contents');
  }
}

/** Where the output's limit stands, as this body spells it. */
function limitPlace(fields: Fields): NestedLimit {
  const object = nameOf(fields, 'generationConfig');
  const config = given(fields, object);
  const inner = config?.kind === 'object' ? fieldsOf(config) : undefined;
  return { object, name: inner === undefined ? 'maxOutputTokens' : nameOf(inner, 'maxOutputTokens') };
}

interface Generation {
  readonly limitPlace: NestedLimit;
  readonly limit: number | undefined;
  readonly count: number;
  readonly stops: boolean;
}

function generationOf(fields: Fields): Generation {
  const place = limitPlace(fields);
  const { limit } = nestedLimit(fields, place);
  const config = given(fields, place.object);
  const inner: Fields = config === undefined ? new Map<string, JsonNode>() : fieldsOf(config);
  const count = wholeNumber(inner, nameOf(inner, 'candidateCount'), 1, maxCount) ?? 1;
  const strangers = hasStrangers(fields, place.object, generationConfig);
  const stops = strangers || stopsEarly(given(inner, nameOf(inner, 'stopSequences')));
  return { limitPlace: place, limit, count, stops };
}

/**
 * @param query without `?`.
 * @throws RefusedError `invalid_request`
 */
export function readRequest({ kind, model }: GeminiRoute, root: JsonNode, query: string): RequestView {
  if (!plainQuery.test(query) || (asEvents.test(query) && kind !== 'stream')) refuse('query');
  if (root.kind !== 'object') refuse('body');
  const reader = new Reader('request', kind === 'generate' || kind === 'stream' ? 'held' : 'none');
  reader.read(root, places[kind]);
  const fields = fieldsOf(root);
  const named = modelNodes(kind, fields);
  checkModel(named, model);
  checkContents(kind, fields);
  const generates = kind === 'generate' || kind === 'stream';
  const generation = generates ? generationOf(fields) : undefined;
  return {
    model,
    generates,
    // Without `alt=sse` it comes as one list, which is read whole.
    stream: kind === 'stream' && asEvents.test(query),
    count: generation?.count ?? 1,
    maxOutputTokens: generation?.limit,
    outputBound: generation?.limit,
    stops: reader.strangers || generation?.stops === true,
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
    limitOutput: (most) =>
      generation === undefined ? none : nestedLimitEdits(root, fields, generation.limitPlace, most),
    askUsage: () => none,
    spellTokens: () => none,
    renameModel: (as) =>
      named.map((node) =>
        replace(node, JSON.stringify(node.string?.startsWith(resource) === true ? resource + as : as)),
      ),
  };
}

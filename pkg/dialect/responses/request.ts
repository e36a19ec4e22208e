import type { JsonEdit, JsonNode } from '../../base/index.ts';
import type { RequestView } from '../dialect.ts';
import { Place } from '../place.ts';
import { Reader } from '../reader.ts';
import { fieldsOf, given, insert, modelNamed, refuse, replace, required, wholeNumber } from '../request-fields.ts';
import type { Fields } from '../request-fields.ts';
import { responsesRequest } from './request-shape.ts';

/**
 * Requests for a Response.
 *
 * Promise: as that of OpenAI's requests ({@link Reader}). What the server would take from what it keeps (an earlier response, a conversation, an item, a
 * file, a prompt by its name) is refused: nobody has seen it here, and it may be another caller's.
 */

const place = Place.root(responsesRequest);

/** Azure's. */
const plainQuery = /^(?:api-version=[A-Za-z0-9._-]{1,64})?$/;

const limitName = 'max_output_tokens';

/** What is asked for: a Response; how many tokens its prompt has; fewer items that say the same, whose length nothing limits. */
export type ResponsesKind = 'respond' | 'count' | 'compact';

/**
 * @param query without `?`.
 * @throws RefusedError `invalid_request`
 */
export function readRequest(root: JsonNode, query: string, kind: ResponsesKind = 'respond'): RequestView {
  const generates = kind === 'respond';
  if (!plainQuery.test(query)) refuse('query');
  if (root.kind !== 'object') refuse('body');
  const reader = new Reader('request');
  reader.read(root, place);
  const fields = fieldsOf(root);
  const model = modelNamed(fields);
  const input = required(fields, 'input');
  if (input.kind === 'array' && input.items.length === 0) refuse('input');
  const limit = wholeNumber(fields, limitName, 1, Number.MAX_SAFE_INTEGER);
  return {
    model,
    generates,
    ...(kind === 'compact' && { countsInput: true }),
    stream: generates && fields.get('stream')?.kind === 'true',
    count: 1,
    maxOutputTokens: limit,
    outputBound: limit,
    stops: reader.strangers || hasGrammar(fields),
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

/** A tool's grammar ends its input wherever its caller likes. */
function hasGrammar(fields: Fields): boolean {
  return (given(fields, 'tools')?.items ?? []).some((tool) => tool.get('format')?.get('type')?.string === 'grammar');
}

function limitEdits(root: JsonNode, fields: Fields, most: number): readonly JsonEdit[] {
  const node = fields.get(limitName);
  if (node === undefined) return [insert(root, `"${limitName}":${most}`)];
  return (node.number ?? Number.POSITIVE_INFINITY) <= most ? [] : [replace(node, String(most))];
}

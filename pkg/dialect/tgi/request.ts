import type { JsonNode } from '../../base/index.ts';
import type { RequestView, Route } from '../dialect.ts';
import { nestedLimit, nestedLimitEdits } from '../nested-limit.ts';
import type { NestedLimit } from '../nested-limit.ts';
import { Place } from '../place.ts';
import { Reader } from '../reader.ts';
import { fieldsOf, given, hasStrangers, refuse, required, stopsEarly, wholeNumber } from '../request-fields.ts';
import type { Fields } from '../request-fields.ts';
import type { Shape } from '../shape.ts';
import { samplingParams, sglangRequest, tgiParameters, tgiRequest } from './request-shape.ts';
import type { TgiRoute } from './routes.ts';

/**
 * Requests of TGI's API, and of SGLang's `/generate`. Both name no model: the server has one.
 *
 * Promise: as that of OpenAI's requests ({@link Reader}). A body that could be either server's is refused.
 * Streams of SGLang's own say the whole text in each event.
 */

/** OpenAI's own bound, which is higher than any of theirs. */
const maxCount = 128;

interface Kind {
  readonly place: Place;
  /** Where the parameters stand, and what they may be. */
  readonly parameters: Shape;
  readonly limit: NestedLimit;
  /** How many answers a prompt gets. */
  readonly count: string;
  /** Fields of the parameters by which an answer ends where its caller likes. */
  readonly stops: readonly string[];
}

const tgi: Kind = {
  place: Place.root(tgiRequest),
  parameters: tgiParameters,
  limit: { object: 'parameters', name: 'max_new_tokens' },
  count: 'best_of',
  stops: ['stop', 'grammar'],
};
const sglang: Kind = {
  place: Place.root(sglangRequest),
  parameters: samplingParams,
  limit: { object: 'sampling_params', name: 'max_new_tokens' },
  count: 'n',
  stops: ['stop', 'stop_regex', 'stop_token_ids', 'regex', 'ebnf', 'structural_tag', 'logit_bias'],
};

const isGiven = (root: JsonNode, name: string): boolean => (root.get(name)?.kind ?? 'null') !== 'null';

/** SGLang's prompts; `input_embeds` is one where OpenAI's servers say `prompt_embeds`. */
const prompts = ['text', 'input_ids', 'input_embeds'];

function kindOf(root: JsonNode, { streaming, listed }: TgiRoute): Kind {
  // SGLang has neither of TGI's other two routes.
  if (streaming !== 'never' || listed || isGiven(root, 'inputs')) return tgi;
  return prompts.some((name) => isGiven(root, name)) ? sglang : tgi;
}

/** A list of numbers, or of lists that are not of numbers, is one prompt. */
function promptCount(fields: Fields): number {
  const sizes = prompts.map((name) => {
    const node = given(fields, name);
    return node?.kind === 'array' && node.numbers === undefined ? node.items.length : 1;
  });
  return Math.max(1, ...sizes);
}

function checkPrompt(kind: Kind, fields: Fields): void {
  if (kind === tgi) required(fields, 'inputs');
  else if (prompts.filter((name) => given(fields, name) !== undefined).length > 1) refuse('text');
}

function streams(kind: Kind, { streaming }: TgiRoute, fields: Fields): boolean {
  const asked = fields.get('stream')?.kind === 'true';
  return streaming === 'always' || ((streaming === 'asked' || kind === sglang) && asked);
}

/**
 * @param query without `?`; neither server reads one.
 * @param growing how SGLang's own stream is read.
 * @throws RefusedError `invalid_request`
 */
export function readRequest(route: TgiRoute, root: JsonNode, query: string, growing: Route): RequestView {
  if (query !== '') refuse('query');
  if (root.kind !== 'object') refuse('body');
  const kind = kindOf(root, route);
  const reader = new Reader('request');
  reader.read(root, kind.place);
  const fields = fieldsOf(root);
  checkPrompt(kind, fields);
  const { object } = kind.limit;
  const parameters = given(fields, object);
  const inside: Fields = parameters === undefined ? new Map() : fieldsOf(parameters);
  const { limit } = nestedLimit(fields, kind.limit);
  const each = wholeNumber(inside, kind.count, 1, maxCount) ?? 1;
  const stream = streams(kind, route, fields);
  return {
    model: undefined,
    generates: true,
    stream,
    ...(stream && kind === sglang && { answers: growing }),
    count: each * (kind === sglang ? promptCount(fields) : 1),
    maxOutputTokens: limit,
    outputBound: limit,
    stops:
      hasStrangers(fields, object, kind.parameters) ||
      reader.strangers ||
      kind.stops.some((name) => stopsEarly(given(inside, name))),
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
    limitOutput: (most) => nestedLimitEdits(root, fields, kind.limit, most),
    askUsage: () => [],
    spellTokens: () => [],
  };
}

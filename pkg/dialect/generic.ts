import type { JsonNode } from '../base/index.ts';
import { RefusedError } from '../core/index.ts';
import type { AnswerView, Dialect, FrameView, RequestView, Route } from './dialect.ts';
import { ndjson } from './framing/ndjson.ts';
import { sse } from './framing/sse.ts';
import { endMarker } from './openai/answer.ts';
import { refusalBody } from './openai/refusal.ts';
import { Place } from './place.ts';
import { Reader } from './reader.ts';
import { free } from './shape.ts';
import { isServerPage, refusalBody as kserveRefusal } from './kserve/refusal.ts';
import { managementRoute } from './management/routes.ts';
import { usageOf } from './usage.ts';

/**
 * Any JSON over HTTP, of which nothing is known: every string is a lane by its path, every key is scanned. Models are unknown to it,
 * output cannot be limited, and lanes never end but with the answer. Refusals have OpenAI's shape, of pages of KServe's servers theirs.
 */

const root = Place.root(free);
const none: readonly never[] = Object.freeze([]);

function read(what: 'request' | 'answer', node: JsonNode): Reader {
  const reader = new Reader(what);
  reader.read(node, root);
  return reader;
}

function request(node: JsonNode): RequestView {
  const reader = read('request', node);
  return {
    model: undefined,
    generates: false,
    stream: false,
    count: 1,
    maxOutputTokens: undefined,
    outputBound: undefined,
    stops: true,
    usageAsked: false,
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
  };
}

function answer(node: JsonNode): AnswerView {
  const { lanes, loneValues, toolInputs, tokenLanes, integerArrays, opaque } = read('answer', node);
  return {
    lanes,
    loneValues,
    toolInputs,
    tokenLanes,
    integerArrays,
    opaque,
    ends: none,
    usage: usageOf(node),
    models: none,
  };
}

const done: FrameView = {
  kind: 'done',
  lanes: none,
  loneValues: none,
  toolInputs: none,
  tokenLanes: none,
  integerArrays: none,
  opaque: none,
  ends: none,
  usage: undefined,
  models: none,
};

function frame(event: string | undefined, data: string, node: JsonNode | undefined): FrameView {
  if (node === undefined) {
    if (endMarker(data)) return done;
    throw new RefusedError('response_uninspectable', { detail: 'body' });
  }
  return { ...answer(node), kind: event === 'error' ? 'error' : 'data' };
}

/** Any of those that are read without knowing more of them. */
const streams = [sse, ndjson];

export const generic: Dialect = {
  name: 'generic',
  route(method, path): Route {
    const known = managementRoute(method, path);
    const dialect = isServerPage(path) ? kservePages : generic;
    const common = { dialect, model: undefined, generates: false, streams };
    if (known !== undefined) return { ...common, ...known };
    const body = method === 'GET' || method === 'HEAD' ? 'none' : 'json';
    return { ...common, operation: 'Other', body };
  },
  request: (_route, node) => request(node),
  answer: (_route, node) => answer(node),
  frame: (_route, event, data, node) => frame(event, data, node),
  endMarker,
  errorEvent: undefined,
  refusal: refusalBody,
};

/** The same, to clients of KServe's protocols. */
const kservePages: Dialect = { ...generic, refusal: kserveRefusal };

import { RefusedError } from '../../core/index.ts';
import type { Dialect, Route } from '../dialect.ts';
import { sse } from '../framing/sse.ts';
import { endMarker } from '../openai/answer.ts';
import { refusalBody } from '../openai/refusal.ts';
import { prefixes } from '../openai/routes.ts';
import { readAnswer, readCount, readFrame } from './answer.ts';
import { readRequest } from './request.ts';
import type { ResponsesKind } from './request.ts';

const streams = [sse];
const none: Route['streams'] = [];

const verbs: readonly (readonly [string, ResponsesKind])[] = [
  ['', 'respond'],
  ['/input_tokens', 'count'],
  ['/compact', 'compact'],
];
const kinds: ReadonlyMap<string, ResponsesKind> = new Map(
  prefixes.flatMap((prefix) => verbs.map(([verb, kind]) => [`${prefix}/responses${verb}`, kind] as const)),
);

interface Known extends Route {
  readonly kind: ResponsesKind;
}
const kindOf = (route: Route): ResponsesKind => (route as Known).kind;

/** OpenAI's Responses API. What it keeps (a response by its id, its items, a conversation) is `Other`. */
export const responses: Dialect = {
  name: 'openai-responses',
  route(method, path): Known | undefined {
    const kind = method === 'POST' ? kinds.get(path) : undefined;
    if (kind === undefined) return undefined;
    const generates = kind === 'respond';
    return {
      ...{ dialect: responses, operation: 'Chat', body: 'json', model: undefined, kind },
      ...{ generates, streams: generates ? streams : none },
    };
  },
  request: (route, root, query = '') => readRequest(root, query, kindOf(route)),
  answer: (route, root, status) => (kindOf(route) === 'count' ? readCount(root, status) : readAnswer(root, status)),
  frame(route, event, _data, root) {
    if (kindOf(route) !== 'respond') throw new RefusedError('response_uninspectable', { detail: 'stream' });
    return readFrame(event, root);
  },
  // Servers that speak Chat too send its marker behind the last event.
  endMarker,
  // Its clients raise an error at this event.
  errorEvent: 'error',
  refusal: refusalBody,
};

import type { Dialect, Route } from '../dialect.ts';
import { sse } from '../framing/sse.ts';
import { endMarker } from '../openai/answer.ts';
import { refusalBody } from '../openai/refusal.ts';
import { prefixes } from '../openai/routes.ts';
import { readAnswer, readFrame } from './answer.ts';
import { readRequest } from './request.ts';

const streams = [sse];
const paths = new Set(prefixes.map((prefix) => `${prefix}/responses`));

/** OpenAI's Responses API. What it keeps (a response by its id, its items, a conversation) is `Other`. */
export const responses: Dialect = {
  name: 'openai-responses',
  route(method, path): Route | undefined {
    if (method !== 'POST' || !paths.has(path)) return undefined;
    return { dialect: responses, operation: 'Chat', body: 'json', model: undefined, generates: true, streams };
  },
  request: (_route, root, query = '') => readRequest(root, query),
  answer: (_route, root, status) => readAnswer(root, status),
  frame: (_route, event, _data, root) => readFrame(event, root),
  // Servers that speak Chat too send its marker behind the last event.
  endMarker,
  // Its clients raise an error at this event.
  errorEvent: 'error',
  refusal: refusalBody,
};

import type { Dialect, Route } from '../dialect.ts';
import { sse } from '../framing/sse.ts';
import { readAnswer, readFrame } from './answer.ts';
import { errorEvent, refusalBody } from './refusal.ts';
import { readRequest } from './request.ts';
import { anthropicRoute } from './routes.ts';

const events = [sse];
const none: Route['streams'] = [];

/** Anthropic's Messages API. */
export const anthropic: Dialect = {
  name: 'anthropic',
  route(method, path): Route | undefined {
    const found = anthropicRoute(method, path);
    return found && { dialect: anthropic, ...found, streams: found.generates ? events : none };
  },
  request: (route, root, query = '') => readRequest(route.generates, root, query),
  answer: (route, root, status) => readAnswer(route.generates, root, status),
  frame: (_route, event, _data, root) => readFrame(event, root),
  // vLLM and gateways send OpenAI's behind `message_stop`.
  endMarker: (data) => data === '[DONE]',
  errorEvent,
  refusal: refusalBody,
};

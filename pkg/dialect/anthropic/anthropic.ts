import type { Dialect, Route } from '../dialect.ts';
import { readAnswer, readFrame } from './answer.ts';
import { errorEvent, refusalBody, refusalFrame } from './refusal.ts';
import { readRequest } from './request.ts';
import { anthropicRoute } from './routes.ts';

/** Anthropic's Messages API. */
export const anthropic: Dialect = {
  name: 'anthropic',
  route(method, path): Route | undefined {
    const found = anthropicRoute(method, path);
    return found === undefined ? undefined : { dialect: anthropic, ...found };
  },
  request: (route, root, query = '') => readRequest(route.generates, root, query),
  answer: (route, root, status) => readAnswer(route.generates, root, status),
  frame: (_route, event, _data, root) => readFrame(event, root),
  // vLLM and gateways send OpenAI's behind `message_stop`.
  endMarker: (data) => data === '[DONE]',
  errorEvent,
  refusal: refusalBody,
  refusalFrame,
};

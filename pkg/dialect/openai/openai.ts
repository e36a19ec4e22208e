import { RefusedError } from '../../core/index.ts';
import type { Dialect, Route } from '../dialect.ts';
import { sse } from '../framing/sse.ts';
import { endMarker, readAnswer, readFrame } from './answer.ts';
import { refusalBody } from './refusal.ts';
import { readRequest } from './request.ts';
import { openAiRoute } from './routes.ts';

const events = [sse];
const none: Route['streams'] = [];

/** OpenAI's HTTP API as OpenAI, vLLM, SGLang, llama.cpp, Ollama and many gateways speak it. */
export const openai: Dialect = {
  name: 'openai',
  route(method, path): Route | undefined {
    const found = openAiRoute(method, path);
    if (found === undefined) return undefined;
    const generates = found.operation === 'Chat' || found.operation === 'Completions';
    return { dialect: openai, ...found, generates, streams: generates ? events : none };
  },
  request: (route, root, query = '') => readRequest(route.operation, root, query),
  answer: (route, root, status) => readAnswer(route.operation, root, status),
  frame(route, event, data, root) {
    if (route.operation !== 'Chat' && route.operation !== 'Completions') {
      throw new RefusedError('response_uninspectable', { detail: 'stream' });
    }
    return readFrame(event, data, root);
  },
  endMarker,
  errorEvent: undefined,
  refusal: refusalBody,
};

import { RefusedError } from '../../core/index.ts';
import type { Dialect, RefusalText, Route } from '../dialect.ts';
import { ndjson } from '../framing/ndjson.ts';
import { readAnswer, readFrame } from './answer.ts';
import { readRequest } from './request.ts';
import { ollamaRoute } from './routes.ts';
import type { OllamaRoute } from './routes.ts';

const lines = [ndjson];
const none: Route['streams'] = [];

/** Ollama's clients make their error of `error`, whole or as a line of a stream, whatever came before it. */
const refusal = ({ message, code, rule, requestId, detail }: RefusalText): string =>
  JSON.stringify({ error: message, code, rule: rule ?? null, param: detail ?? null, request_id: requestId });

const operationOf = (route: Route): OllamaRoute['operation'] => route.operation as OllamaRoute['operation'];

/** Ollama's own API: it streams unless it is told not to, a JSON object a line. */
export const ollama: Dialect = {
  name: 'ollama',
  route(method, path): Route | undefined {
    const found = ollamaRoute(method, path);
    if (found === undefined) return undefined;
    const generates = found.operation === 'Chat' || found.operation === 'Completions';
    return { dialect: ollama, ...found, generates, streams: generates ? lines : none };
  },
  request: (route, root, query = '') => readRequest(operationOf(route), root, query),
  answer: (route, root, status) => readAnswer(operationOf(route), root, status),
  frame(route, _event, _data, root) {
    if (!route.generates) throw new RefusedError('response_uninspectable', { detail: 'stream' });
    return readFrame(operationOf(route), root);
  },
  // The last line says that it is, beside what it says otherwise.
  endMarker: () => false,
  errorEvent: undefined,
  refusal,
};

import type { JsonNode } from '../../base/index.ts';
import { RefusedError } from '../../core/index.ts';
import type { Operation } from '../../core/index.ts';
import type { AnswerView, Dialect, FrameView, Route } from '../dialect.ts';
import { sse } from '../framing/sse.ts';
import { isCompletion, readCompletion, readEmbedding, readFrame as readLlamaFrame } from '../llamacpp/answer.ts';
import { endMarker, readAnswer, readFrame } from './answer.ts';
import { refusalBody } from './refusal.ts';
import { readRequest } from './request.ts';
import { openAiRoute } from './routes.ts';

const events = [sse];
const none: Route['streams'] = [];

/** llama.cpp answers on `/completions` and `/embeddings` in its own shape. */
function readAnyAnswer(operation: Operation, root: JsonNode, status: number): AnswerView {
  if (operation === 'Completions' && isCompletion(root)) return readCompletion(root, status);
  if (operation === 'Embeddings' && root.kind === 'array') return readEmbedding(root, status);
  return readAnswer(operation, root, status);
}

/** An event of a completion, OpenAI's or llama.cpp's. @throws RefusedError `response_uninspectable` */
export function readAnyFrame(event: string | undefined, data: string, root: JsonNode | undefined): FrameView {
  return root !== undefined && isCompletion(root) ? readLlamaFrame(root) : readFrame(event, data, root);
}

/** OpenAI's HTTP API as OpenAI, vLLM, SGLang, llama.cpp, Ollama and many gateways speak it. */
export const openai: Dialect = {
  name: 'openai',
  route(method, path): Route | undefined {
    const found = openAiRoute(method, path);
    if (found === undefined) return undefined;
    const generates = found.operation === 'Chat' || found.operation === 'Completions';
    return { dialect: openai, ...found, generates, streams: generates ? events : none };
  },
  request: ({ operation, model }, root, query = '') => readRequest(operation, root, query, model),
  answer: (route, root, status) => readAnyAnswer(route.operation, root, status),
  frame(route, event, data, root) {
    if (route.operation !== 'Chat' && route.operation !== 'Completions') {
      throw new RefusedError('response_uninspectable', { detail: 'stream' });
    }
    return route.operation === 'Completions' ? readAnyFrame(event, data, root) : readFrame(event, data, root);
  },
  endMarker,
  errorEvent: undefined,
  refusal: refusalBody,
};

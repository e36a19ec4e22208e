import { RefusedError } from '../../core/index.ts';
import type { Dialect, Route } from '../dialect.ts';
import { sse } from '../framing/sse.ts';
import { endMarker } from '../openai/answer.ts';
import { refusalBody } from '../openai/refusal.ts';
import { readAnyFrame } from '../openai/openai.ts';
import { readCompletion, readEmbedding } from './answer.ts';
import { readRequest } from './request.ts';
import { llamaRoutes } from './routes.ts';
import type { LlamaKind } from './routes.ts';

interface Known extends Route {
  readonly llama: LlamaKind;
}

const kindOf = (route: Route): LlamaKind => (route as Known).llama;

/** llama.cpp's own completions and embeddings. Its errors are OpenAI's. */
export const llamacpp: Dialect = {
  name: 'llamacpp',
  route: (method, path) => routes.get(`${method} ${path}`),
  request: (route, root, query = '') => readRequest(kindOf(route), root, query),
  answer: (route, root, status) =>
    kindOf(route) === 'embedding' ? readEmbedding(root, status) : readCompletion(root, status),
  frame(route, event, data, root) {
    if (!route.generates) throw new RefusedError('response_uninspectable', { detail: 'stream' });
    return readAnyFrame(event, data, root);
  },
  endMarker,
  errorEvent: undefined,
  refusal: refusalBody,
};

/** Made once: what a path is never changes. */
const routes: ReadonlyMap<string, Known> = new Map(
  [...llamaRoutes].map(([key, { kind, operation }]): [string, Known] => {
    const generates = kind !== 'embedding';
    const streams = generates ? [sse] : [];
    return [key, { dialect: llamacpp, operation, body: 'json', model: undefined, generates, streams, llama: kind }];
  }),
);

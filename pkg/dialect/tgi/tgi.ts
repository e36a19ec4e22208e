import { RefusedError } from '../../core/index.ts';
import type { Dialect, RefusalText, Route } from '../dialect.ts';
import { sse } from '../framing/sse.ts';
import { endMarker } from '../openai/answer.ts';
import { readAnswer, readFrame, readGrowing } from './answer.ts';
import { readRequest } from './request.ts';
import { tgiRoutes } from './routes.ts';
import type { TgiRoute } from './routes.ts';

/** What TGI's clients tell their errors by. Of a status alone they would make others: 403 is a shard that is not ready there. */
function typeOf({ status }: RefusalText): string {
  if (status === 429) return 'overloaded';
  return status >= 500 ? 'generation' : 'validation';
}

const refusal = (text: RefusalText): string => {
  const { message, code, rule, requestId, detail } = text;
  const more = { code, rule: rule ?? null, param: detail ?? null, request_id: requestId };
  return JSON.stringify({ error: message, error_type: typeOf(text), ...more });
};

interface Known extends Route {
  readonly tgi: TgiRoute;
}

const known = (route: Route): TgiRoute => (route as Known).tgi;

/** Hugging Face's Text Generation Inference; its `/generate` reads SGLang's requests as well. */
export const tgi: Dialect = {
  name: 'tgi',
  route: (method, path) => routes.get(`${method} ${path}`),
  request: (route, root, query = '') =>
    readRequest(known(route), root, query, { ...route, dialect: sglang, streams: [sse] }),
  answer: (route, root, status) => readAnswer(known(route), root, status),
  frame(route, _event, _data, root) {
    if (known(route).streaming === 'never') throw new RefusedError('response_uninspectable', { detail: 'stream' });
    return readFrame(root);
  },
  // The last event says that it is, beside what it says otherwise.
  endMarker: () => false,
  errorEvent: undefined,
  refusal,
};

/** A stream of SGLang's `/generate`. */
const sglang: Dialect = {
  ...tgi,
  frame: (_route, _event, data, root) => readGrowing(data, root),
  endMarker,
};

/** Made once: what a path is never changes. */
const routes: ReadonlyMap<string, Known> = new Map(
  [...tgiRoutes].map(([key, route]): [string, Known] => [
    key,
    {
      dialect: tgi,
      operation: route.operation,
      body: route.body,
      model: undefined,
      generates: route.operation === 'Completions',
      streams: route.streaming === 'never' ? [] : [sse],
      tgi: route,
    },
  ]),
);

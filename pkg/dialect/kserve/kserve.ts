import { RefusedError } from '../../core/index.ts';
import type { Dialect, Route } from '../dialect.ts';
import { sse } from '../framing/sse.ts';
import { readAnswer, readFrame } from './answer.ts';
import { binaryTensors } from './binary.ts';
import { refusalBody } from './refusal.ts';
import { readRequest } from './request.ts';
import { kserveRoute } from './routes.ts';
import type { KserveRoute } from './routes.ts';

const events = [sse];
const none: Route['streams'] = [];

interface Known extends Route {
  readonly kserve: KserveRoute;
}

const known = (route: Route): KserveRoute => (route as Known).kserve;

/** KServe v1 and v2 over REST, and Triton's generate. v2 over gRPC is of `grpc`. */
export const kserve: Dialect = {
  name: 'kserve',
  route(method, path): Known | undefined {
    const found = kserveRoute(method, path);
    if (found === undefined) return undefined;
    const { kind, operation, model, renamed } = found;
    const body = kind === 'page' ? 'none' : 'json';
    const streams = kind === 'generate_stream' ? events : none;
    const split = kind === 'infer' ? { split: binaryTensors } : {};
    return { dialect: kserve, operation, body, model, renamed, generates: false, streams, ...split, kserve: found };
  },
  request: (route, root, query = '') => readRequest(known(route), root, query),
  answer: (route, root, status) => readAnswer(known(route).kind, root, status),
  frame(route, _event, _data, root) {
    if (known(route).kind !== 'generate_stream') throw new RefusedError('response_uninspectable', { detail: 'stream' });
    return readFrame(root);
  },
  endMarker: () => false,
  errorEvent: undefined,
  refusal: refusalBody,
};

import { RefusedError } from '../../core/index.ts';
import type { Dialect, RefusalText, Route } from '../dialect.ts';
import { readAnswer, readCount, readException, readFrame } from './answer.ts';
import { converseEvents, invokeChunks, isException } from './framing.ts';
import { anthropicModels } from './invoke-vendors.ts';
import type { InvokeVendor } from './invoke-vendors.ts';
import { readRequest } from './request.ts';
import { bedrockRoute, modelOf } from './routes.ts';
import type { BedrockKind, BedrockRoute } from './routes.ts';

const streams: Readonly<Record<BedrockKind, Route['streams']>> = {
  converse: [],
  'converse-stream': [converseEvents],
  invoke: [],
  'invoke-with-response-stream': [invokeChunks],
  'count-tokens': [],
};

/** What `invoke` is to be guarded by. Without it the caller would take an answer for guarded that is not. */
const guardrail = ['x-amzn-bedrock-guardrailidentifier', 'x-amzn-bedrock-guardrailversion'];

interface Known extends Route {
  readonly bedrock: BedrockRoute;
  /** Of an answer to `invoke`: whose models write it, once the request is read. */
  readonly vendor?: InvokeVendor;
}

const known = (route: Route): BedrockRoute => (route as Known).bedrock;
const vendorOf = (route: Route): InvokeVendor => (route as Known).vendor ?? anthropicModels;

/** AWS's clients make their exceptions of `message`, and name them by `code` where no header does. */
const refusal = ({ message, code, rule, requestId, detail }: RefusalText): string =>
  JSON.stringify({ message, code, rule: rule ?? null, param: detail ?? null, request_id: requestId });

/** Amazon Bedrock: Converse, the count of its tokens, and the bodies of several vendors by `invoke`. */
export const bedrock: Dialect = {
  name: 'bedrock',
  route(method, path): Known | undefined {
    const found = bedrockRoute(method, path);
    if (found === undefined) return undefined;
    const { kind, model, renamed } = found;
    const made: Known = {
      ...(kind.startsWith('invoke') && { refusedHeaders: guardrail }),
      ...{
        dialect: bedrock,
        operation: 'Chat',
        body: 'json',
        generates: kind !== 'count-tokens',
        streams: streams[kind],
      },
      ...{ model, renamed, bedrock: found },
    };
    const calledBy = (as: string): Known => ({ ...made, bedrock: { ...found, calledAs: modelOf(as) ?? as } });
    return { ...made, calledBy };
  },
  request: (route, root, query = '') =>
    readRequest(known(route), root, query, (vendor): Known => ({ ...(route as Known), vendor })),
  answer(route, root, status) {
    const { kind } = known(route);
    if (kind === 'count-tokens') return readCount(root, status);
    return kind.startsWith('invoke') && status < 400 ? vendorOf(route).answer(root) : readAnswer(root, status);
  },
  frame(route, event, _data, root) {
    const { kind } = known(route);
    if (streams[kind].length === 0) throw new RefusedError('response_uninspectable', { detail: 'stream' });
    if (kind === 'converse-stream') return readFrame(event, root);
    if (isException(event) || root === undefined) return readException(root);
    return vendorOf(route).chunk(root);
  },
  // The last event says that it is.
  endMarker: () => false,
  errorEvent: 'modelStreamErrorException',
  refusal,
};

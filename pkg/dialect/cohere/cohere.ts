import { RefusedError } from '../../core/index.ts';
import type { Dialect, RefusalText, Route } from '../dialect.ts';
import { sse } from '../framing/sse.ts';
import { readAnswer, readFrame } from './answer.ts';
import { firstChat, firstChatStreams } from './first-chat.ts';
import { readRequest } from './request.ts';
import { cohereRoute } from './routes.ts';
import type { CohereRoute } from './routes.ts';

const events = [sse];
const none: Route['streams'] = [];

/** Cohere's errors are a message; in mid-stream its clients learn of one from the last event. One text is both. */
const refusal = ({ message, code, rule, requestId, detail }: RefusalText): string =>
  JSON.stringify({
    id: requestId,
    message,
    ...{ code, rule: rule ?? null, param: detail ?? null },
    type: 'message-end',
    delta: { finish_reason: 'ERROR', error: message },
  });

const operationOf = (route: Route): CohereRoute['operation'] => route.operation as CohereRoute['operation'];

/** Cohere's API: its chats and embeddings. */
export const cohere: Dialect = {
  name: 'cohere',
  route(method, path): Route | undefined {
    const found = cohereRoute(method, path);
    if (found === undefined) return undefined;
    const { isFirst = false, ...known } = found;
    if (isFirst) return { dialect: firstChat, ...known, generates: true, streams: firstChatStreams };
    const generates = found.operation === 'Chat';
    return { dialect: cohere, ...known, generates, streams: generates ? events : none };
  },
  request: (route, root, query = '') => readRequest(operationOf(route), root, query),
  answer: (route, root, status) => readAnswer(operationOf(route), root, status),
  frame(route, _event, _data, root) {
    if (!route.generates) throw new RefusedError('response_uninspectable', { detail: 'stream' });
    return readFrame(root);
  },
  // vLLM sends OpenAI's behind `message-end`.
  endMarker: (data) => data === '[DONE]',
  errorEvent: 'message-end',
  refusal,
};

import { RefusedError } from '../../core/index.ts';
import type { Dialect, Route } from '../dialect.ts';
import { sse } from '../framing/sse.ts';
import { endMarker } from '../openai/answer.ts';
import { refusalBody } from '../openai/refusal.ts';
import { prefixes } from '../openai/routes.ts';
import { readAnswer, readCount, readFrame } from './answer.ts';
import { readRequest } from './request.ts';

const streams = [sse];
const paths = new Set(prefixes.map((prefix) => `${prefix}/responses`));
/** The tokens of a prompt are counted, nothing is generated. */
const countPaths = new Set(prefixes.map((prefix) => `${prefix}/responses/input_tokens`));

/** OpenAI's Responses API. What it keeps (a response by its id, its items, a conversation) is `Other`. */
export const responses: Dialect = {
  name: 'openai-responses',
  route(method, path): Route | undefined {
    if (method !== 'POST') return undefined;
    const common = { dialect: responses, operation: 'Chat', body: 'json', model: undefined } as const;
    if (paths.has(path)) return { ...common, generates: true, streams };
    return countPaths.has(path) ? { ...common, generates: false, streams: [] } : undefined;
  },
  request: ({ generates }, root, query = '') => readRequest(root, query, generates),
  answer: ({ generates }, root, status) => (generates ? readAnswer(root, status) : readCount(root, status)),
  frame({ generates }, event, _data, root) {
    if (!generates) throw new RefusedError('response_uninspectable', { detail: 'stream' });
    return readFrame(event, root);
  },
  // Servers that speak Chat too send its marker behind the last event.
  endMarker,
  // Its clients raise an error at this event.
  errorEvent: 'error',
  refusal: refusalBody,
};

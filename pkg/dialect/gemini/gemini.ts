import { RefusedError } from '../../core/index.ts';
import type { Dialect, Route } from '../dialect.ts';
import { readAnswer, readFrame } from './answer.ts';
import { errorEvent, geminiEvents } from './framing.ts';
import { refusalBody } from './refusal.ts';
import { readRequest } from './request.ts';
import { geminiRoute } from './routes.ts';
import type { GeminiRoute } from './routes.ts';

const events = [geminiEvents];
const none: Route['streams'] = [];

interface Known extends Route {
  readonly gemini: GeminiRoute;
}

const known = (route: Route): GeminiRoute => (route as Known).gemini;

/** Google's Gemini API. */
export const gemini: Dialect = {
  name: 'gemini',
  route(method, path): Known | undefined {
    const found = geminiRoute(method, path);
    if (found === undefined) return undefined;
    const { kind, operation, model, renamed } = found;
    return {
      dialect: gemini,
      operation,
      body: operation === 'ListModels' ? 'none' : 'json',
      model,
      generates: kind === 'generate' || kind === 'stream',
      streams: kind === 'stream' ? events : none,
      ...(renamed !== undefined && { renamed }),
      gemini: found,
    };
  },
  request: (route, root, query = '') => readRequest(known(route), root, query),
  answer: (route, root, status) => readAnswer(known(route).kind, root, status),
  frame(route, event, _data, root) {
    if (known(route).kind !== 'stream') throw new RefusedError('response_uninspectable', { detail: 'stream' });
    return readFrame(event, root);
  },
  // The last chunk says how the candidates ended.
  endMarker: () => false,
  errorEvent,
  refusal: refusalBody,
};

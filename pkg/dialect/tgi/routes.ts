import type { Operation } from '../../core/index.ts';

/**
 * Routes of Text Generation Inference (`router/src/server.rs`). `/generate` is SGLang's as well, whose requests are told by their fields
 * (`entrypoints/http_server.py`). `/tokenize` is of `model-server`, `/v1/chat/completions` of `openai`.
 */
export interface TgiRoute {
  readonly operation: Extract<Operation, 'Completions' | 'ListModels'>;
  readonly body: 'json' | 'none';
  /** `asked`: as the body says. */
  readonly streaming: 'never' | 'always' | 'asked';
  /** An answer that is no stream is a list of one. */
  readonly listed: boolean;
}

const generate = (streaming: TgiRoute['streaming'], listed = false): TgiRoute => ({
  operation: 'Completions',
  body: 'json',
  streaming,
  listed,
});
const info: TgiRoute = { operation: 'ListModels', body: 'none', streaming: 'never', listed: false };

/** By method and exact path. */
export const tgiRoutes: ReadonlyMap<string, TgiRoute> = new Map([
  ['POST /', generate('asked', true)],
  ['POST /generate', generate('never')],
  ['POST /generate_stream', generate('always')],
  ['GET /info', info],
  ['HEAD /info', info],
]);

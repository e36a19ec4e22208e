import type { Operation } from '../../core/index.ts';

/**
 * llama.cpp's own routes (`tools/server/server.cpp`). OpenAI's, of which `/completions` and `/embeddings` answer in llama.cpp's shape, are of
 * `openai`; `/tokenize`, `/detokenize`, `/apply-template` and reranking of `model-server`; slots, properties and adapters are `Admin`.
 */
export type LlamaKind = 'completion' | 'infill' | 'embedding';

/** By method and exact path. */
export const llamaRoutes: ReadonlyMap<string, { readonly kind: LlamaKind; readonly operation: Operation }> = new Map([
  ['POST /completion', { kind: 'completion', operation: 'Completions' }],
  ['POST /infill', { kind: 'infill', operation: 'Completions' }],
  ['POST /embedding', { kind: 'embedding', operation: 'Embeddings' }],
]);

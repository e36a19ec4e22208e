import type { Operation } from '../../core/index.ts';

/**
 * Ollama's own API (docs/api.md, server/routes.go); OpenAI's and Anthropic's routes on the same server are of their dialects. What changes the server
 * (pull, push, create, copy, delete, blobs) is `Admin`. Anything else on these paths is `Other`.
 */
export interface OllamaRoute {
  readonly operation: Extract<Operation, 'Chat' | 'Completions' | 'Embeddings' | 'ListModels'>;
  readonly body: 'json' | 'none';
  readonly model: undefined;
}

const exact = new Map<string, OllamaRoute>(
  (
    [
      ['POST /api/chat', 'Chat', 'json'],
      ['POST /api/generate', 'Completions', 'json'],
      ['POST /api/embed', 'Embeddings', 'json'],
      ['POST /api/embeddings', 'Embeddings', 'json'],
      // What a model is made of.
      ['POST /api/show', 'ListModels', 'json'],
      ['GET /api/tags', 'ListModels', 'none'],
      ['HEAD /api/tags', 'ListModels', 'none'],
      ['GET /api/ps', 'ListModels', 'none'],
      ['HEAD /api/ps', 'ListModels', 'none'],
    ] as const
  ).map(([key, operation, body]) => [key, { operation, body, model: undefined }]),
);

/** Undefined: none of these routes. */
export function ollamaRoute(method: string, path: string): OllamaRoute | undefined {
  return exact.get(`${method} ${path}`);
}

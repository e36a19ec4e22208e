import type { Operation } from '../../core/index.ts';

/**
 * Cohere's API (docs.cohere.com/reference), also under `/cohere` as vLLM serves it. `/v1/rerank` and `/v2/rerank` are of `model-server`, `GET /v1/models` of
 * `openai`. Classification, connectors, datasets and jobs are not read: `Other`, or `Admin` where they change models.
 */
export interface CohereRoute {
  readonly operation: Extract<Operation, 'Chat' | 'Embeddings'>;
  readonly body: 'json';
  readonly model: undefined;
  /** Of its first chat. */
  readonly isFirst?: true;
}

const exact = new Map<string, CohereRoute>();
for (const prefix of ['', '/cohere']) {
  exact.set(`POST ${prefix}/v2/chat`, { operation: 'Chat', body: 'json', model: undefined });
  exact.set(`POST ${prefix}/v1/chat`, { operation: 'Chat', body: 'json', model: undefined, isFirst: true });
  for (const version of ['v1', 'v2'])
    exact.set(`POST ${prefix}/${version}/embed`, { operation: 'Embeddings', body: 'json', model: undefined });
}

/** Undefined: none of these routes. */
export function cohereRoute(method: string, path: string): CohereRoute | undefined {
  return exact.get(`${method} ${path}`);
}

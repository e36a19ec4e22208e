import type { Operation } from '../../core/index.ts';

/**
 * Google's Gemini API over REST (ai.google.dev/api): the model and what is asked of it stand in the path. `GET /v1/models` is of `openai`. Files, caches,
 * batches, tuned models, file stores, live sessions and `predict` are not read: `Other`, or `Admin` where they change something.
 */
export type GeminiKind = 'generate' | 'stream' | 'count' | 'embed' | 'embedMany' | 'list' | 'page';

export interface GeminiRoute {
  readonly kind: GeminiKind;
  readonly operation: Extract<Operation, 'Chat' | 'Embeddings' | 'ListModels'>;
  readonly model: string | undefined;
  /** The path with another model in it. Absent: it names none. */
  readonly renamed?: (model: string) => string;
}

const verbs: Readonly<Record<string, Pick<GeminiRoute, 'kind' | 'operation'>>> = {
  generateContent: { kind: 'generate', operation: 'Chat' },
  streamGenerateContent: { kind: 'stream', operation: 'Chat' },
  countTokens: { kind: 'count', operation: 'Chat' },
  embedContent: { kind: 'embed', operation: 'Embeddings' },
  batchEmbedContents: { kind: 'embedMany', operation: 'Embeddings' },
};

const lists = new Set(['/v1beta/models', '/v1alpha/models']);
/** A name that every server reads as it stands. */
const verbPath = /^\/(v1|v1beta|v1alpha)\/models\/([A-Za-z0-9][A-Za-z0-9._-]{0,191}):([A-Za-z]{1,32})$/;
const pagePath = /^\/(v1beta|v1alpha)\/models\/([A-Za-z0-9][A-Za-z0-9._-]{0,191})$/;

const own = (name: string): boolean => Object.hasOwn(verbs, name);

/** Undefined: none of these routes. */
export function geminiRoute(method: string, path: string): GeminiRoute | undefined {
  if (method === 'POST') {
    const [, version = '', model, verb = ''] = verbPath.exec(path) ?? [];
    const found = own(verb) ? verbs[verb] : undefined;
    if (model === undefined || found === undefined) return undefined;
    return { ...found, model, renamed: (as) => `/${version}/models/${encodeURIComponent(as)}:${verb}` };
  }
  if (method !== 'GET' && method !== 'HEAD') return undefined;
  if (lists.has(path)) return { kind: 'list', operation: 'ListModels', model: undefined };
  const [, version = '', model] = pagePath.exec(path) ?? [];
  if (model === undefined) return undefined;
  return {
    kind: 'page',
    operation: 'ListModels',
    model,
    renamed: (as) => `/${version}/models/${encodeURIComponent(as)}`,
  };
}

import type { Operation } from '../../core/index.ts';

/**
 * Routes of KServe's protocols and of Triton's extension to generate: v1 (`:predict`, `:explain`), v2 (`infer`, readiness, metadata, each also
 * for one version). The model is in the path. The server's own pages are `Health`; its repository, shared memory, trace and log settings
 * are `Admin`; statistics and configuration are `Other`.
 */
export type KserveKind = 'predict' | 'infer' | 'generate' | 'generate_stream' | 'page';

export interface KserveRoute {
  readonly kind: KserveKind;
  readonly operation: Extract<Operation, 'Completions' | 'ListModels'>;
  readonly model: string;
  /** The path with another model in it. */
  readonly renamed: (model: string) => string;
}

const v1 = /^\/v1\/models\/([^/]{1,192}):(predict|explain)$/;
const v2 =
  /^\/v2\/models\/([^/]{1,192})((?:\/versions\/[A-Za-z0-9._-]{1,64})?(?:\/(infer|generate|generate_stream|ready))?)$/;

/** Triton's statistics of all models, and no page of one. */
const statistics = '/v2/models/stats';

/** A name that every server reads as it stands: none that could be another path, or another verb. */
const plainName = /^(?!\.{1,2}$)[A-Za-z0-9][A-Za-z0-9._@+~-]{0,191}$/;

/** Undefined: none of these routes. */
export function kserveRoute(method: string, path: string): KserveRoute | undefined {
  const [, predicting, asked = ''] = method === 'POST' ? (v1.exec(path) ?? []) : [];
  if (predicting !== undefined) {
    const renamed = (as: string): string => `/v1/models/${encodeURIComponent(as)}:${asked}`;
    return plainName.test(predicting)
      ? { kind: 'predict', operation: 'Completions', model: predicting, renamed }
      : undefined;
  }
  const [, model, rest = '', verb] = v2.exec(path) ?? [];
  if (model === undefined || !plainName.test(model)) return undefined;
  if (path === statistics) return undefined;
  const named = { model, renamed: (as: string): string => `/v2/models/${encodeURIComponent(as)}${rest}` };
  const reads = verb === undefined || verb === 'ready';
  if (reads) return isReading(method) ? { kind: 'page', operation: 'ListModels', ...named } : undefined;
  return method === 'POST' ? { kind: verb as KserveKind, operation: 'Completions', ...named } : undefined;
}

const isReading = (method: string): boolean => method === 'GET' || method === 'HEAD';

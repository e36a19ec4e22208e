import { RefusedError, compileSnapshot } from '../core/index.ts';
import type { Operation, Policy } from '../core/index.ts';
import { describedRoutes, recognise } from '../dialect/index.ts';
import type { Route } from '../dialect/index.ts';
import { normaliseTarget } from '../http/index.ts';

/** The route that a question is about, as the sidecar recognises it: by its path, and by what the policies describe. */
export interface AskedRoute {
  readonly route: Route;
  /** As it would be sent. */
  readonly target: string;
  /** Without `?`. */
  readonly query: string;
}

/** Where an operation's bodies go whose path nobody gives: they are OpenAI's. */
const targets: Partial<Record<Operation, string>> = {
  Chat: '/v1/chat/completions',
  Completions: '/v1/completions',
  Embeddings: '/v1/embeddings',
};

/** Undefined: the operation has no prompt. */
export function routeOfOperation(operation: Operation): AskedRoute | undefined {
  const target = targets[operation];
  return target === undefined ? undefined : { route: recognise('POST', target), target, query: '' };
}

/**
 * @param target of a `POST`, with its query if it has one.
 * @throws PolicyError, CodedError where the policies cannot be compiled
 */
export function routeAt(
  target: string,
  policies: readonly Policy[],
): { readonly asked: AskedRoute } | { readonly fault: string } {
  try {
    const { path, query } = normaliseTarget(target);
    const { routes } = compileSnapshot(policies, { revision: 0 });
    const route = recognise('POST', path, describedRoutes(routes));
    return { asked: { route, target: query === '' ? path : `${path}?${query}`, query } };
  } catch (error) {
    if (error instanceof RefusedError) return { fault: `400 ${error.code} (${error.detail ?? error.message})` };
    throw error;
  }
}

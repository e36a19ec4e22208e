import type { Dialect, Route } from './dialect.ts';
import { generic } from './generic.ts';
import { openai } from './openai/openai.ts';

/** In the order in which they are asked; `generic` knows every route. */
export const dialects: readonly Dialect[] = [openai, generic];

/**
 * What a request is. Always answers: a route that no dialect knows, or a known path with another method, is `Other` (or `Admin`) of the
 * generic dialect. `path` is normalised and has no query.
 */
export function recognise(method: string, path: string): Route {
  for (const dialect of dialects) {
    const route = dialect.route(method, path);
    if (route !== undefined) return route;
  }
  return { dialect: generic, operation: 'Other', body: 'json', model: undefined };
}

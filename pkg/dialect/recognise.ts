import type { DescribedRoutes } from './described-routes.ts';
import type { Dialect, Route } from './dialect.ts';
import { anthropic } from './anthropic/anthropic.ts';
import { bedrock } from './bedrock/bedrock.ts';
import { cohere } from './cohere/cohere.ts';
import { gemini } from './gemini/gemini.ts';
import { generic } from './generic.ts';
import { grpc } from './grpc/grpc.ts';
import { kserve } from './kserve/kserve.ts';
import { llamacpp } from './llamacpp/llamacpp.ts';
import { modelServer } from './model-server/model-server.ts';
import { ollama } from './ollama/ollama.ts';
import { openai } from './openai/openai.ts';
import { openAiMedia } from './openai-media/openai-media.ts';
import { responses } from './responses/responses.ts';
import { tgi } from './tgi/tgi.ts';

/** In the order in which they are asked; `generic` knows every route. */
export const dialects: readonly Dialect[] = [
  openai,
  openAiMedia,
  responses,
  anthropic,
  ollama,
  tgi,
  llamacpp,
  modelServer,
  kserve,
  gemini,
  cohere,
  bedrock,
  grpc,
  generic,
];

/**
 * What a request is. Always answers: a route that no dialect knows, or a known path with another method, is `Other` (or `Admin`) of the
 * generic dialect. `path` is normalised and has no query.
 *
 * @param described routes of policies: of those that no dialect knows.
 */
export function recognise(method: string, path: string, described?: DescribedRoutes): Route {
  const route = ofDialects(method, path);
  if (described === undefined || route.dialect.name !== generic.name || route.operation !== 'Other') return route;
  return described.route(method, path) ?? route;
}

function ofDialects(method: string, path: string): Route {
  const key = `${method} ${path}`;
  const known = routes.get(key);
  if (known !== undefined) return known;
  const route = lookUp(method, path);
  if (key.length > longestKey) return route;
  if (routes.size >= mostRoutes) routes.clear();
  routes.set(key, route);
  return route;
}

/** The same few paths come again and again, and what they are depends on nothing else. Bounded: 512 of at most 256 units. */
const routes = new Map<string, Route>();
const mostRoutes = 512;
const longestKey = 256;

function lookUp(method: string, path: string): Route {
  for (const dialect of dialects) {
    const route = dialect.route(method, path);
    if (route !== undefined) return route;
  }
  return { dialect: generic, operation: 'Other', body: 'json', model: undefined, generates: false, streams: [] };
}

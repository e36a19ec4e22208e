import type { Operation } from '../../core/index.ts';

/**
 * OpenAI's routes as data. vLLM, SGLang and llama.cpp serve them without `/v1` too, KServe's runtimes under `/openai/v1`.
 * Azure's name the model as a deployment in the path. Anything else on these paths (another method, a trailing slash, other letter case) is not one of them: it is `Other`.
 */
export const prefixes = ['/v1', '', '/openai/v1', '/openai'] as const;

const posts: Readonly<Record<string, Operation>> = {
  '/chat/completions': 'Chat',
  '/completions': 'Completions',
  '/embeddings': 'Embeddings',
};

export interface OpenAiRoute {
  readonly operation: Operation;
  readonly body: 'json' | 'none';
  readonly model: string | undefined;
  /** The path with another model in it. Absent: it names none. */
  readonly renamed?: (model: string) => string;
}

const exact = new Map<string, OpenAiRoute>();
for (const prefix of prefixes) {
  for (const [path, operation] of Object.entries(posts)) {
    exact.set(`POST ${prefix}${path}`, { operation, body: 'json', model: undefined });
  }
  for (const method of ['GET', 'HEAD']) {
    exact.set(`${method} ${prefix}/models`, { operation: 'ListModels', body: 'none', model: undefined });
  }
}

const pages = prefixes.map((prefix) => `${prefix}/models/`);

/** Segments that a model's name may have: `org/name`. A path whose slash is encoded was refused before. */
const segment = /^(?!\.{1,2}$)[A-Za-z0-9][A-Za-z0-9._:@+~-]{0,191}$/;

/** Undefined: no model's name, so no model's page. More than one slash could be another route of the server's. */
function modelName(encoded: string): string | undefined {
  let name: string;
  try {
    name = decodeURIComponent(encoded);
  } catch {
    return undefined;
  }
  const segments = name.split('/');
  return segments.length <= 2 && segments.every((one) => segment.test(one)) ? name : undefined;
}

const deployments = '/openai/deployments/';

interface Deployment {
  readonly model: string;
  readonly rest: string;
  readonly renamed: (model: string) => string;
}

/** Azure's: `/openai/deployments/NAME/chat/completions` names the model, and what is asked of it. Undefined: no such path. */
export function deploymentOf(path: string): Deployment | undefined {
  if (!path.startsWith(deployments)) return undefined;
  const end = path.indexOf('/', deployments.length);
  const model = end < 0 ? undefined : modelName(path.slice(deployments.length, end));
  if (model === undefined || model.includes('/')) return undefined;
  const rest = path.slice(end);
  return { model, rest, renamed: (as) => `${deployments}${encodeURIComponent(as)}${rest}` };
}

function deploymentRoute(path: string): OpenAiRoute | undefined {
  const found = deploymentOf(path);
  const operation = found === undefined ? undefined : posts[found.rest];
  if (found === undefined || operation === undefined) return undefined;
  return { operation, body: 'json', model: found.model, renamed: found.renamed };
}

/** Undefined: none of these routes. */
export function openAiRoute(method: string, path: string): OpenAiRoute | undefined {
  const route = exact.get(`${method} ${path}`) ?? (method === 'POST' ? deploymentRoute(path) : undefined);
  if (route !== undefined || (method !== 'GET' && method !== 'HEAD')) return route;
  const page = pages.find((one) => path.startsWith(one));
  if (page === undefined) return undefined;
  const model = modelName(path.slice(page.length));
  if (model === undefined) return undefined;
  const renamed = (as: string): string => page + as.split('/').map(encodeURIComponent).join('/');
  return { operation: 'ListModels', body: 'none', model, renamed };
}

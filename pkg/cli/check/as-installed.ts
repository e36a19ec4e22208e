import { JsonError, jsonValue, parseJson } from '../../base/index.ts';
import type { JsonValue } from '../../base/index.ts';
import { controlPlane, webhookRoutes } from '../../contract/index.ts';
import { fail, ok, some, warn } from './finding.ts';
import type { Finding } from './finding.ts';
import type { Picture } from './picture.ts';

/**
 * Whether webhooks, admission policies, their bindings and their parameters are what the release installed: a rule, a selector or a
 * condition that was edited by hand may let pods past. It finds edits; whoever edits the release's own word of it, too, is not found.
 */
export function admissionAsInstalled({ admission, maps, system }: Picture): Finding {
  const check = 'admission as installed';
  const fault = admission.fault ?? maps.fault;
  if (fault !== undefined) return fail(check, fault, 'ask somebody who may read admission policies and ConfigMaps');
  const hint = 'helm upgrade, or kubectl apply of the rendered manifest, puts them back';
  const installed = maps.items.find(({ metadata }) => metadata.name === controlPlane.installedAdmission)?.data;
  if (installed === undefined)
    return warn(check, `there is no ConfigMap ${controlPlane.installedAdmission} in ${system} to compare with`, hint);
  const live = new Map<string, unknown>([
    ...admission.items.map((one) => [`${one.kind}.${one.metadata.name}`, one] as const),
    ...maps.items.map((one) => [`ConfigMap.${one.metadata.name}`, one] as const),
  ]);
  const found = Object.entries(installed).flatMap(([key, text]): readonly string[] => {
    const [kind = '', name = ''] = [key.slice(0, key.indexOf('.')), key.slice(key.indexOf('.') + 1)];
    const content = readContent(text);
    const now = live.get(key);
    if (content === undefined) return [`${kind} ${name}: what was installed cannot be read`];
    if (now === undefined) return [`${kind} ${name}: it is not there`];
    const paths = Object.entries(content).flatMap(([field, value]) =>
      differences(value, withoutKeys((now as Readonly<Record<string, JsonValue>>)[field]), field),
    );
    return paths.length === 0 ? [] : [`${kind} ${name}: ${some(paths)}`];
  });
  return found.length === 0
    ? ok(check, `${Object.keys(installed).length} objects are as the release installed them`)
    : fail(check, `edited since: ${found.join('; ')}`, hint);
}

function readContent(text: string): Readonly<Record<string, JsonValue>> | undefined {
  try {
    const value = jsonValue(parseJson(text, { maxDepth: 32 }));
    return isObject(value) ? value : undefined;
  } catch (error) {
    if (error instanceof JsonError) return undefined;
    throw error;
  }
}

type JsonObject = Readonly<Record<string, JsonValue>>;
const isObject = (value: JsonValue | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** What the API server writes where nothing stands. */
const defaults: Readonly<Record<string, JsonValue>> = {
  failurePolicy: 'Fail',
  matchPolicy: 'Equivalent',
  port: 443,
  reinvocationPolicy: 'Never',
  scope: '*',
  timeoutSeconds: 10,
};

/**
 * Paths are written into webhooks while they run, as pkg/admission/path-keys.ts makes them: one that is a key and this webhook's own route
 * counts as none.
 */
function withoutKeys(content: JsonValue | undefined): JsonValue | undefined {
  if (!Array.isArray(content)) return content;
  return content.map((one: JsonValue): JsonValue => {
    const to = isObject(one) ? one['clientConfig'] : undefined;
    const service = isObject(to) ? to['service'] : undefined;
    if (!isObject(one) || !isObject(to) || !isObject(service)) return one;
    const { path, ...rest } = service;
    const route = new Map<unknown, string>(Object.entries(webhookRoutes)).get(one['name']);
    const asked = typeof path === 'string' ? /^\/[0-9a-f]{64}(\/.*)$/.exec(path)?.[1] : undefined;
    return asked !== undefined && asked === route ? { ...one, clientConfig: { ...to, service: rest } } : one;
  });
}

/** So are authorities. */
const notInstalled: ReadonlySet<string> = new Set(['caBundle']);

const isNothing = (value: JsonValue | undefined): boolean =>
  value === undefined || value === null || (typeof value === 'object' && Object.keys(value).length === 0);

/** Paths at which two contents differ, the outermost of each. */
export function differences(installed: JsonValue | undefined, live: JsonValue | undefined, path: string): string[] {
  if (isNothing(installed) && isNothing(live)) return [];
  if (Array.isArray(installed) && Array.isArray(live)) {
    if (installed.length !== live.length) return [path];
    return installed.flatMap((one: JsonValue, at) => differences(one, live[at], `${path}[${nameOf(one) ?? at}]`));
  }
  if (isObject(installed) && isObject(live)) {
    const keys = new Set([...Object.keys(installed), ...Object.keys(live)]);
    return [...keys]
      .filter((key) => !notInstalled.has(key))
      .flatMap((key) => differences(installed[key] ?? defaults[key], live[key] ?? defaults[key], `${path}.${key}`));
  }
  return installed === live ? [] : [path];
}

/** Of a list's item that has one. */
function nameOf(value: JsonValue): string | undefined {
  const name = isObject(value) ? value['name'] : undefined;
  return typeof name === 'string' ? name : undefined;
}

import { CodedError, JsonError, jsonValue, parseJson } from '../base/index.ts';
import { longestSeconds, reservedPorts } from '../contract/index.ts';

/**
 * What a path of the probe port stands for, as injection wrote it into the sidecar's arguments (pkg/inject has the same shape,
 * and a test compares them).
 */
export type ProbeTarget = {
  /** After which it has failed. */
  readonly timeoutSeconds: number;
} & (
  | { readonly httpGet: HttpTarget }
  | { readonly tcpSocket: { readonly port: number } }
  | { readonly grpc: { readonly port: number; readonly service: string } }
);

export interface HttpTarget {
  readonly port: number;
  readonly path: string;
  readonly scheme: 'HTTP' | 'HTTPS';
  readonly headers?: readonly { readonly name: string; readonly value: string }[];
}

/** Path on the probe port (`/probe/CONTAINER/KIND`, hooks `/probe/CONTAINER/KIND/KEY`) to what it stands for. */
export type ProbeTargets = ReadonlyMap<string, ProbeTarget>;

/** A hook's path does something: it is called by who knows the key, which is the pod's own. */
const hookPath = /^(\/probe\/[^/]+\/(?:post-start|pre-stop))\/([A-Za-z0-9_-]{22,64})$/;
const probePath = /^\/probe\/[^/]+\/(?:startup|liveness|readiness)$/;

/** A hook's path without its key, and the key; undefined: it is no hook's. */
export function splitHook(path: string): { readonly hook: string; readonly key: string } | undefined {
  const [, hook, key] = hookPath.exec(path) ?? [];
  return hook === undefined || key === undefined ? undefined : { hook, key };
}

export class ProbeMapError extends CodedError<'probe_map_invalid'> {
  constructor(where: string) {
    super('probe_map_invalid', `the probes cannot be read: ${where}`);
    this.name = 'ProbeMapError';
  }
}

type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const onlyKeys = (value: Fields, ...keys: readonly string[]): boolean =>
  Object.keys(value).every((key) => keys.includes(key));

/** Ours are no container's: a probe that asked one would ask the sidecar about itself. */
const isPort = (value: unknown): value is number =>
  typeof value === 'number' &&
  Number.isInteger(value) &&
  value >= 1 &&
  value <= 65_535 &&
  (value < reservedPorts.first || value > reservedPorts.last);

const isHeader = (value: unknown): boolean =>
  isFields(value) &&
  typeof value['name'] === 'string' &&
  typeof value['value'] === 'string' &&
  onlyKeys(value, 'name', 'value');

function isTarget(value: unknown): value is ProbeTarget {
  if (!isFields(value) || Object.keys(value).length !== 2) return false;
  const { timeoutSeconds, httpGet, tcpSocket, grpc } = value;
  if (typeof timeoutSeconds !== 'number' || !(timeoutSeconds > 0 && timeoutSeconds <= longestSeconds)) return false;
  if (isFields(httpGet)) {
    const { port, path, scheme, headers } = httpGet;
    return (
      onlyKeys(httpGet, 'port', 'path', 'scheme', 'headers') &&
      isPort(port) &&
      typeof path === 'string' &&
      path.startsWith('/') &&
      (scheme === 'HTTP' || scheme === 'HTTPS') &&
      (headers === undefined || (Array.isArray(headers) && headers.every(isHeader)))
    );
  }
  if (isFields(tcpSocket)) return isPort(tcpSocket['port']) && onlyKeys(tcpSocket, 'port');
  return (
    isFields(grpc) && isPort(grpc['port']) && typeof grpc['service'] === 'string' && onlyKeys(grpc, 'port', 'service')
  );
}

/** @throws ProbeMapError where it is not exactly what injection writes: a sidecar that served half of it would fail the model. */
export function readProbeTargets(text: string): ProbeTargets {
  let value: unknown;
  try {
    value = jsonValue(parseJson(text, { maxNodes: 20_000 }));
  } catch (error) {
    if (error instanceof JsonError) throw new ProbeMapError(error.code);
    throw error;
  }
  if (!isFields(value)) throw new ProbeMapError('not an object');
  const targets = new Map<string, ProbeTarget>();
  for (const [path, target] of Object.entries(value)) {
    const { hook = path } = splitHook(path) ?? {};
    // Without the key: errors are logged.
    if ((hook === path && !probePath.test(path)) || !isTarget(target)) throw new ProbeMapError(hook);
    targets.set(path, target);
  }
  return targets;
}

/**
 * What an earlier run has recorded in the sidecar's arguments, for a run after it. Whoever writes the pod could have written
 * these arguments too, so that nothing of it is taken that the pod's author could not declare: a probe's target is taken
 * only for a probe of the pod that leads there, a port's name only for a port that it declares.
 */
import { JsonError, jsonValue, parseJson } from '../base/index.ts';
import { containers as own, listeners } from '../contract/index.ts';
import { isRecord } from './pod.ts';
import type { Pod } from './pod.ts';

/** What a path of the probe port stands for. */
export type ProbeTarget = {
  /** After which the kubelet gives up. */
  readonly timeoutSeconds: number;
} & (
  | {
      readonly httpGet: {
        readonly port: number;
        readonly path: string;
        readonly scheme: 'HTTP' | 'HTTPS';
        readonly headers?: readonly { readonly name: string; readonly value: string }[];
      };
    }
  | { readonly tcpSocket: { readonly port: number } }
  | { readonly grpc: { readonly port: number; readonly service: string } }
);

/** Path on the probe port to what it stands for. */
export type ProbeMap = Readonly<Record<string, ProbeTarget>>;

export interface Previous {
  readonly probes: ReadonlyMap<string, ProbeTarget>;
  /** Names that were moved to the sidecar (capture mode NamedPort), by model port. */
  readonly portNames: ReadonlyMap<number, string>;
}

const isPort = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65_535;

const onlyKeys = (value: Readonly<Record<string, unknown>>, keys: readonly string[]): boolean =>
  Object.keys(value).every((key) => keys.includes(key));

function isTarget(value: unknown): value is ProbeTarget {
  if (!isRecord(value) || typeof value['timeoutSeconds'] !== 'number') return false;
  const { httpGet, tcpSocket, grpc } = value;
  if (Object.keys(value).length !== 2) return false;
  if (isRecord(httpGet)) {
    const { port, path, scheme, headers } = httpGet;
    const goodHeaders =
      headers === undefined ||
      (Array.isArray(headers) &&
        headers.every((one) => isRecord(one) && typeof one['name'] === 'string' && typeof one['value'] === 'string'));
    const good = isPort(port) && typeof path === 'string' && (scheme === 'HTTP' || scheme === 'HTTPS');
    return good && goodHeaders && onlyKeys(httpGet, ['port', 'path', 'scheme', 'headers']);
  }
  if (isRecord(tcpSocket)) return isPort(tcpSocket['port']) && onlyKeys(tcpSocket, ['port']);
  return (
    isRecord(grpc) && isPort(grpc['port']) && typeof grpc['service'] === 'string' && onlyKeys(grpc, ['port', 'service'])
  );
}

function recordedProbes(text: string): ReadonlyMap<string, ProbeTarget> {
  try {
    const value = jsonValue(parseJson(text, { maxNodes: 20_000 }));
    if (!isRecord(value)) return new Map();
    const targets = new Map<string, ProbeTarget>();
    for (const [path, target] of Object.entries(value)) if (isTarget(target)) targets.set(path, target);
    return targets;
  } catch (error) {
    if (error instanceof JsonError) return new Map();
    throw error;
  }
}

/** The argument after `flag`. */
export function argumentAfter(args: readonly string[] | null | undefined, flag: string): string | undefined {
  const at = args?.indexOf(flag) ?? -1;
  return at === -1 ? undefined : args?.[at + 1];
}

export function previousRun(pod: Pod): Previous {
  const sidecar = [...(pod.spec.initContainers ?? []), ...pod.spec.containers].find(({ name }) => name === own.sidecar);
  const names = new Map<number, string>();
  for (const part of argumentAfter(sidecar?.args, '--ports')?.split(',') ?? []) {
    const match = /^(\d{1,5})=(\d{1,5}):\d{1,5}$/.exec(part);
    const tls = Number(match?.[2]);
    const port = sidecar?.ports?.find(({ containerPort }) => containerPort === tls && tls < listeners.loopback);
    if (match !== null && typeof port?.name === 'string') names.set(Number(match[1]), port.name);
  }
  return { probes: recordedProbes(argumentAfter(sidecar?.args, '--probes') ?? '{}'), portNames: names };
}

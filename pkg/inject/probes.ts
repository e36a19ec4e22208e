/**
 * Probes and lifecycle hooks, led to the sidecar's probe port. The kubelet dials from outside: it would meet the TLS listener, or a
 * port that is closed. The map says what each path stands for, and the sidecar serves exactly that. Whoever reaches the pod reaches
 * that port: a probe may be asked by all, a hook does something, so that its path has a part that is drawn for the pod.
 */
import { listeners, longestSeconds, paths, reservedPorts } from '../contract/index.ts';
import { drawnHookKey } from './drawn.ts';
import type { Container, Handler, Probe } from './pod.ts';
import type { Previous, ProbeTarget } from './previous.ts';
import { reason } from './reasons.ts';
import type { Reason } from './reasons.ts';

const probeFields = ['startupProbe', 'livenessProbe', 'readinessProbe'] as const;
const hookFields = ['postStart', 'preStop'] as const;

type Field = (typeof probeFields)[number] | (typeof hookFields)[number];

/** How the path on the probe port names it. */
const kinds: Readonly<Record<Field, string>> = {
  startupProbe: 'startup',
  livenessProbe: 'liveness',
  readinessProbe: 'readiness',
  postStart: 'post-start',
  preStop: 'pre-stop',
};

export interface RewriteContext {
  readonly previous: Previous;
  /** Ports that stay open, where a mesh has led a probe to itself. */
  readonly meshPorts: readonly number[];
  /** Seconds that a hook may take. */
  readonly gracePeriod: number;
  /** Part of the paths of hooks, which others must not call. */
  readonly hookKey: string;
}

export interface Rewritten {
  readonly container: Container;
  readonly targets: readonly (readonly [path: string, target: ProbeTarget])[];
  readonly faults: readonly Reason[];
  readonly notes: readonly Reason[];
}

export const drainHook: Handler = { httpGet: { path: paths.drain, port: listeners.probe, scheme: 'HTTP' } };

export const isDrainHook = (handler: Handler | null | undefined): boolean =>
  handler?.httpGet?.path === paths.drain && handler.httpGet.port === listeners.probe;

type Recorded = readonly [path: string, target: ProbeTarget];

type Outcome =
  | { readonly kind: 'leave'; readonly recorded?: Recorded; readonly note?: Reason }
  | { readonly kind: 'lead'; readonly target: ProbeTarget }
  | { readonly kind: 'fault'; readonly fault: Reason };

/** The number of a port by number or by a name that `container` declares. */
function portNumber(port: number | string, container: Container, previous: Previous): number | undefined {
  if (typeof port === 'number') return port;
  if (/^\d+$/.test(port)) return Number(port);
  const own = container.ports ?? [];
  const declared = own.find(({ name }) => name === port);
  // In capture mode NamedPort the name has gone to the sidecar.
  const moved = own.find(({ containerPort, name }) => !name && previous.portNames.get(containerPort) === port);
  return (declared ?? moved)?.containerPort;
}

function targetOf(handler: Handler, port: number, timeoutSeconds: number): ProbeTarget {
  const { httpGet, grpc } = handler;
  if (httpGet) {
    const headers = (httpGet.httpHeaders ?? []).map(({ name, value }) => ({ name, value }));
    const path = httpGet.path ?? '';
    return {
      timeoutSeconds,
      httpGet: {
        port,
        path: path.startsWith('/') ? path : `/${path}`,
        scheme: httpGet.scheme?.toUpperCase() === 'HTTPS' ? 'HTTPS' : 'HTTP',
        ...(headers.length === 0 ? {} : { headers }),
      },
    };
  }
  if (grpc) return { timeoutSeconds, grpc: { port, service: grpc.service ?? '' } };
  return { timeoutSeconds, tcpSocket: { port } };
}

function judge(
  container: Container,
  field: Field,
  handler: Handler,
  timeout: number,
  context: RewriteContext,
): Outcome {
  const at = `${field} of container ${container.name}`;
  const network = handler.httpGet ?? handler.tcpSocket ?? handler.grpc;
  if (!network) return { kind: 'leave' };
  const host = handler.httpGet?.host ?? handler.tcpSocket?.host ?? '';
  if (host !== '') return { kind: 'leave', note: reason('probe_host_left', at) };
  const port = portNumber(network.port, container, context.previous);
  if (port === undefined) return { kind: 'fault', fault: reason('probe_port_unknown', at) };
  const recorded = recordedFor(container, field, context.previous);
  if (port === listeners.probe) {
    if (isDrainHook(handler) && field === 'preStop') return { kind: 'leave' };
    // Led anew: to another key, where it was drawn for another pod, or by an earlier run.
    if (recorded !== undefined && handler.httpGet?.path === recorded[0]) return { kind: 'lead', target: recorded[1] };
    return { kind: 'fault', fault: reason('probe_lost', at) };
  }
  if (reservedPorts.first <= port && port <= reservedPorts.last)
    return { kind: 'fault', fault: reason('reserved_port', `port ${port}, which ${at} asks,`) };
  // A mesh has led it to itself, perhaps after we had led it to the sidecar: it then asks what we wrote.
  if (context.meshPorts.includes(port)) return { kind: 'leave', ...(recorded === undefined ? {} : { recorded }) };
  return { kind: 'lead', target: targetOf(handler, port, timeout) };
}

const isHook = (field: Field): boolean => (hookFields as readonly Field[]).includes(field);

const pathOf = (container: Container, field: Field, hookKey: string): string =>
  `${paths.probe}/${container.name}/${kinds[field]}${isHook(field) ? `/${hookKey}` : ''}`;

/** Whether a path of the probe port is a hook's without a key that was drawn. */
export function isOpenHook(path: string): boolean {
  const [, kind, key = ''] = /^\/probe\/[^/]*\/([^/]*)(?:\/(.*))?$/.exec(path) ?? [];
  return hookFields.some((field) => kinds[field] === kind) && !drawnHookKey.test(key);
}

/** What an earlier run has written for it, and under which path. */
function recordedFor(container: Container, field: Field, { probes }: Previous): Recorded | undefined {
  const path = pathOf(container, field, '');
  return [...probes].find(([one]) => (isHook(field) ? one.startsWith(path) : one === path));
}

/** The handler without what it asked, and with the request to the sidecar. */
function led<H extends Handler>(handler: H, path: string): H {
  const { httpGet: _http, tcpSocket: _tcp, grpc: _grpc, ...rest } = handler;
  return { ...rest, httpGet: { path, port: listeners.probe, scheme: 'HTTP' } } as H;
}

/** As the sidecar takes it: Kubernetes also has grace periods of nothing and of years, and a probe without time in a file. */
const timed = ({ timeoutSeconds, ...rest }: ProbeTarget): ProbeTarget =>
  ({ timeoutSeconds: Math.min(longestSeconds, Math.max(1, timeoutSeconds)), ...rest }) as ProbeTarget;

/** Leads every probe and hook of `container` that goes to the pod over the network to the probe port. */
export function rewriteProbes(container: Container, context: RewriteContext): Rewritten {
  const targets: Recorded[] = [];
  const faults: Reason[] = [];
  const notes: Reason[] = [];
  const one = <H extends Handler>(field: Field, handler: H, timeout: number): H => {
    const outcome = judge(container, field, handler, timeout, context);
    if (outcome.kind === 'fault') faults.push(outcome.fault);
    if (outcome.kind === 'leave' && outcome.note !== undefined) notes.push(outcome.note);
    if (outcome.kind === 'leave' && outcome.recorded !== undefined)
      targets.push([outcome.recorded[0], timed(outcome.recorded[1])]);
    if (outcome.kind !== 'lead') return handler;
    const path = pathOf(container, field, context.hookKey);
    targets.push([path, timed(outcome.target)]);
    return led(handler, path);
  };

  let result = container;
  for (const field of probeFields) {
    const probe: Probe | null | undefined = result[field];
    if (!probe) continue;
    const next = one(field, probe, probe.timeoutSeconds ?? 1);
    if (next !== probe) result = { ...result, [field]: next };
  }
  for (const field of hookFields) {
    const hook = result.lifecycle?.[field];
    if (!hook) continue;
    const next = one(field, hook, context.gracePeriod);
    if (next !== hook) result = { ...result, lifecycle: { ...result.lifecycle, [field]: next } };
  }
  return { container: result, targets, faults, notes };
}

/**
 * A pod and what is set for its cluster and namespace, into the governed pod: pure, the same for the webhook and the CLI.
 *
 * Promises: `inject` of what it gave gives the same; what it gave passes {@link checkFinalState}; nothing of the pod that
 * is not named here changes; and nothing in the pod that calls itself ours is trusted: our containers, volumes and
 * annotations are written anew each time, and a pod that could pass the sidecar is refused.
 */
import { createHash } from 'node:crypto';
import { annotations, inferenceLabel } from '../contract/index.ts';
import { confined } from './confinement.ts';
import { shownHookKey, sidecarGid } from './drawn.ts';
import { notesOf } from './notes.ts';
import type { InjectOptions } from './options.ts';
import { initContainer, ourVolumes, sidecarContainer } from './our-containers.ts';
import type { Shape } from './our-containers.ts';
import { patchBetween } from './patch.ts';
import type { PatchOperation } from './patch.ts';
import { readPod } from './pod.ts';
import type { Container, Pod, Volume } from './pod.ts';
import { formatOpenPorts, formatPortMap, meshesOf, outermostWrapper, portsOf, tcpPorts } from './ports.ts';
import type { PodPorts } from './ports.ts';
import { previousRun } from './previous.ts';
import type { Previous, ProbeTarget } from './previous.ts';
import { drainHook, rewriteProbes } from './probes.ts';
import type { Rewritten } from './probes.ts';
import { reason } from './reasons.ts';
import type { Reason } from './reasons.ts';
import { isOurVolume, refusalsOf } from './refusals.ts';
import { entriesOf, isOurName } from './roles.ts';
import type { Entry } from './roles.ts';

export type InjectResult =
  | {
      readonly kind: 'inject';
      readonly pod: Pod;
      /** From the pod as it came to {@link pod}; empty where it was injected before. */
      readonly patch: readonly PatchOperation[];
      /** Model port to the sidecar's TLS listener. */
      readonly portMap: Readonly<Record<string, number>>;
      /** What the pod's author should know: none of it keeps the pod from running. */
      readonly notes: readonly Reason[];
    }
  /** Not ours to govern. */
  | { readonly kind: 'skip'; readonly reasons: readonly Reason[] }
  /** A governed pod that could be reached past the sidecar, or that cannot be understood. */
  | { readonly kind: 'refuse'; readonly reasons: readonly Reason[] };

/** Seconds that Kubernetes gives a pod where it says nothing. */
const defaultGracePeriod = 30;

/** @param value a Pod as JSON, of any origin */
export function inject(value: unknown, options: InjectOptions): InjectResult {
  const read = readPod(value);
  if ('fault' in read) return { kind: 'refuse', reasons: [reason('malformed_pod', read.fault)] };
  const { pod } = read;
  const entries = entriesOf(pod, options);
  if (pod.metadata?.labels?.[inferenceLabel] === undefined) {
    const ours = entries.filter(({ role }) => role.kind === 'ours');
    if (ours.length === 0) return { kind: 'skip', reasons: [reason('no_label')] };
    return { kind: 'refuse', reasons: ours.map(({ container }) => reason('reserved_name', container.name)) };
  }
  // The kubelet deletes a pod that only claims to be one: it never runs.
  if (pod.metadata.annotations?.[annotations.mirror] !== undefined)
    return { kind: 'skip', reasons: [reason('mirror_pod')] };

  const others = entries.filter(({ role }) => role.kind !== 'ours');
  const ports = portsOf(pod, others, options);
  const previous = previousRun(pod);
  const rewritten = rewriteAll(pod, others, previous, options);
  const reasons = [
    ...refusalsOf({ pod, options, others, ports, gid: sidecarGid(pod, options) }),
    ...rewritten.flatMap(({ faults }) => faults),
  ];
  if (reasons.length > 0) return { kind: 'refuse', reasons };

  const names = options.captureMode === 'NamedPort' ? governedNames(others, ports, previous) : emptyNames;
  const shape: Shape = {
    pod,
    options,
    entries: others,
    ports,
    probes: Object.fromEntries(
      rewritten.flatMap(({ targets }): readonly (readonly [string, ProbeTarget])[] => targets),
    ),
    gracePeriod: gracePeriodOf(pod),
    portNames: names,
  };
  const models = modelEntries(others, ports, options);
  const finished = others.map((entry, at) => finish(entry, rewritten[at]?.container ?? entry.container, models, shape));
  const result = assemble(shape, others, finished, models);
  return {
    kind: 'inject',
    pod: result,
    patch: patchBetween(value, result),
    portMap: Object.fromEntries(ports.governed.map(({ model, tls }) => [`${model}`, tls])),
    notes: [...notesOf(shape, entries, models), ...rewritten.flatMap((one) => one.notes)],
  };
}

const emptyNames: ReadonlyMap<number, string> = new Map();

/** Kubernetes takes a negative one as well, for the least. */
const gracePeriodOf = (pod: Pod): number => Math.max(0, pod.spec.terminationGracePeriodSeconds ?? defaultGracePeriod);

/** In the order of `others`. A mesh's own containers are its own: their ports are open. */
function rewriteAll(
  pod: Pod,
  others: readonly Entry[],
  previous: Previous,
  { drawn }: InjectOptions,
): readonly Rewritten[] {
  const context = {
    previous,
    meshPorts: meshesOf(others).flatMap(({ inboundTcp }) => inboundTcp),
    gracePeriod: gracePeriodOf(pod),
    hookKey: drawn?.hookKey ?? shownHookKey,
  };
  return others.map(({ container, role }) =>
    role.kind === 'proxy' || role.kind === 'network-init'
      ? { container, targets: [], faults: [], notes: [] }
      : rewriteProbes(container, context),
  );
}

/** The containers that answer callers: what declares a governed or inner port; without one, the first of the pod's own. */
function modelEntries(others: readonly Entry[], ports: PodPorts, options: InjectOptions): readonly Entry[] {
  const served = [...ports.governed.map(({ model }) => model), ...ports.inner];
  const own = others.filter(({ list, role }) => list === 'containers' && role.kind !== 'proxy');
  const declaring = own.filter(({ container }) => tcpPorts(container).some((port) => served.includes(port)));
  if (declaring.length > 0) return declaring;
  const outer = outermostWrapper(others, options);
  return own.filter((entry) => entry !== outer).slice(0, 1);
}

/** Names of governed ports: declared ones, and those that an earlier run has moved to the sidecar. The first of equal names counts. */
function governedNames(others: readonly Entry[], ports: PodPorts, previous: Previous): ReadonlyMap<number, string> {
  const names = new Map<number, string>();
  const declared = others.flatMap(({ container }) => container.ports ?? []);
  for (const { model } of ports.governed) {
    const named = declared.find(({ containerPort, name }) => containerPort === model && name);
    const name =
      named?.name ??
      (declared.some((port) => port.containerPort === model) ? previous.portNames.get(model) : undefined);
    if (typeof name === 'string' && ![...names.values()].includes(name)) names.set(model, name);
  }
  return names;
}

/** One of the others as it will be: confined, with a hook that waits for answers under way, and its port's name moved. */
function finish(entry: Entry, rewritten: Container, models: readonly Entry[], { options, ports }: Shape): Container {
  let container = rewritten;
  if (entry.role.kind !== 'network-init') container = confined(container, options.changeUser);
  if (models.includes(entry) && !container.lifecycle?.preStop)
    container = { ...container, lifecycle: { ...container.lifecycle, preStop: drainHook } };
  const governed = ports.governed.map(({ model }) => model);
  if (options.captureMode === 'NamedPort' && entry.role.kind !== 'proxy' && container.ports)
    container = {
      ...container,
      ports: container.ports.map((port) => (governed.includes(port.containerPort) ? unnamed(port) : port)),
    };
  return container;
}

function unnamed<Port extends { readonly name?: string | null }>(port: Port): Port {
  const { name: _, ...rest } = port;
  return rest as Port;
}

/** Before all others but a mesh's that stand first: its network has to be there before it is redirected. */
function withOurs(
  list: readonly Entry[],
  finished: readonly Container[],
  ours: readonly Container[],
): readonly Container[] {
  const first = list.findIndex(({ role }) => role.kind !== 'network-init' && role.kind !== 'proxy');
  const at = first === -1 ? list.length : first;
  return [...finished.slice(0, at), ...ours, ...finished.slice(at)];
}

function assemble(
  shape: Shape,
  others: readonly Entry[],
  finished: readonly Container[],
  models: readonly Entry[],
): Pod {
  const { pod, options } = shape;
  const before = [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
  const keep = (container: Container): Container => keepClusterDefaults(container, before);
  const init = options.captureMode === 'Redirect' ? [keep(initContainer(shape))] : [];
  const sidecar = keep(sidecarContainer(shape));
  const of = (list: Entry['list']): { entries: readonly Entry[]; containers: readonly Container[] } => ({
    entries: others.filter((entry) => entry.list === list),
    containers: finished.filter((_, at) => others[at]?.list === list),
  });
  const inits = of('initContainers');
  const plain = of('containers');
  const initContainers = withOurs(inits.entries, inits.containers, options.nativeSidecars ? [...init, sidecar] : init);
  return {
    ...pod,
    metadata: { ...pod.metadata, annotations: annotationsOf(shape, models) },
    spec: {
      ...pod.spec,
      ...(initContainers.length === 0 && !pod.spec.initContainers ? {} : { initContainers }),
      containers: options.nativeSidecars ? plain.containers : [sidecar, ...plain.containers],
      volumes: volumesOf(pod, options),
    },
  };
}

/**
 * What the API server's own admission writes into every container, ours too, and insists on afterwards: AlwaysPullImages the
 * pull policy, LimitRanger the resources that are not named.
 */
function keepClusterDefaults(container: Container, before: readonly Container[]): Container {
  const found = before.find(({ name }) => name === container.name);
  const merged = (kind: 'requests' | 'limits'): Readonly<Record<string, string>> => {
    const all = { ...found?.resources?.[kind], ...container.resources?.[kind] };
    return Object.fromEntries(Object.entries(all).map(([name, quantity]) => [name, `${quantity}`]));
  };
  return {
    ...container,
    resources: { requests: merged('requests'), limits: merged('limits') },
    ...(found?.imagePullPolicy === 'Always' ? { imagePullPolicy: 'Always' } : {}),
  };
}

/** Ours where they stand already, else at the end: what others have put between is not moved. */
function volumesOf(pod: Pod, options: InjectOptions): readonly Volume[] {
  const ours = new Map(ourVolumes(options).map((volume) => [volume.name, volume]));
  const kept = (pod.spec.volumes ?? []).flatMap((volume): readonly Volume[] => {
    if (!isOurVolume(volume.name)) return [volume];
    const written = ours.get(volume.name);
    // A second one of the same name is a fake.
    ours.delete(volume.name);
    return written === undefined ? [] : [written];
  });
  return [...kept, ...ours.values()];
}

/** The model's own container: a wrapper in front of it is not what a person wants to look into. */
const defaultContainer = (models: readonly Entry[]): string =>
  (models.find(({ role }) => role.kind === 'model') ?? models[0])?.container.name ?? '';

function annotationsOf({ pod, ports, options }: Shape, models: readonly Entry[]): Readonly<Record<string, string>> {
  const { [annotations.openPorts]: _written, ...given } = pod.metadata?.annotations ?? {};
  const open = formatOpenPorts(ports, options);
  const model = defaultContainer(models);
  const usable = (name: string | undefined): string => (name === undefined || isOurName(name) ? model : name);
  return {
    ...given,
    [annotations.portMap]: formatPortMap(ports.governed),
    ...(open !== undefined && { [annotations.openPorts]: open }),
    [annotations.injected]: injectedAnnotation(options),
    [annotations.defaultContainer]: usable(given[annotations.defaultContainer]),
    [annotations.defaultLogsContainer]: usable(given[annotations.defaultLogsContainer]),
  };
}

/** Which injector wrote a pod, for finding those that an upgrade has left behind. */
export const injectedAnnotation = (options: InjectOptions): string =>
  JSON.stringify({ version: options.version, templateHash: templateHash(options), mode: options.captureMode });

/** Names the options that shape a pod; 16 hexadecimal digits of SHA-256. The namespace shapes none, and what is drawn is each pod's own. */
export function templateHash(options: InjectOptions): string {
  const { namespace: _namespace, governNamespaces: _govern, drawn: _drawn, ...shaping } = options;
  const sorted = (value: unknown): unknown =>
    typeof value !== 'object' || value === null
      ? value
      : Array.isArray(value)
        ? value.map(sorted)
        : Object.fromEntries(
            Object.entries(value)
              .sort(([a], [b]) => (a < b ? -1 : 1))
              .map(([key, inner]) => [key, sorted(inner)]),
          );
  return createHash('sha256')
    .update(JSON.stringify(sorted(shaping)))
    .digest('hex')
    .slice(0, 16);
}

/** What a governed pod may not have, in the order in which it is looked for. All of it is reported, not the first alone. */
import {
  controllerAudience,
  maxPorts,
  reservedPorts,
  volumes as ownVolumes,
  annotations,
  inferenceLabel,
  inferenceLabelValue,
} from '../contract/index.ts';
import { allowedCapabilities, capabilityName, declaredChanges } from './confinement.ts';
import type { InjectOptions } from './options.ts';
import type { Pod } from './pod.ts';
import { annotatedPorts, meshesOf, protocolOf, tcpPorts } from './ports.ts';
import type { PodPorts } from './ports.ts';
import { reason } from './reasons.ts';
import type { Reason } from './reasons.ts';
import { gidOf, runsBeside, uidOf } from './roles.ts';
import type { Entry } from './roles.ts';

export interface Facts {
  readonly pod: Pod;
  readonly options: InjectOptions;
  /** Without our own containers. */
  readonly others: readonly Entry[];
  readonly ports: PodPorts;
  /** The sidecar's. */
  readonly gid: number | undefined;
}

type Check = (facts: Facts) => readonly Reason[];

const when = (holds: boolean, found: () => Reason): readonly Reason[] => (holds ? [found()] : []);

/** The port that only the sidecar may use. */
export const isReservedPort = (port: number): boolean => reservedPorts.first <= port && port <= reservedPorts.last;

export const isOurVolume = (name: string): boolean => (Object.values(ownVolumes) as readonly string[]).includes(name);

const checks: readonly Check[] = [
  function label({ pod }) {
    const value = pod.metadata?.labels?.[inferenceLabel];
    return when(value !== inferenceLabelValue, () => reason('label_value', value ?? ''));
  },
  function namespace({ options: { namespace, governNamespaces } }) {
    return when(governNamespaces === 'Required' && !namespace.governed, () =>
      reason('namespace_not_governed', namespace.name),
    );
  },
  ({ pod }) => when(pod.spec.os?.name === 'windows', () => reason('windows')),
  ({ pod }) => when(pod.spec.hostNetwork === true, () => reason('host_network')),
  ({ pod }) => when(pod.spec.hostPID === true, () => reason('host_pid')),
  ({ pod }) => when(pod.spec.shareProcessNamespace === true, () => reason('shared_pid')),
  ({ pod, options }) =>
    (pod.spec.volumes ?? []).flatMap(({ name, hostPath }) => {
      // Ours are written over, and looked at whole.
      if (hostPath === undefined || hostPath === null || isOurVolume(name)) return [];
      return when(!options.hostPaths.includes(hostPath.path), () =>
        reason('host_path', `${name} mounts ${hostPath.path}`),
      );
    }),
  ({ others }) =>
    others
      .filter(({ container }) => container.securityContext?.privileged === true)
      .map(({ container }) => reason('privileged', container.name)),
  ({ others }) =>
    others
      .filter(({ role }) => role.kind !== 'network-init')
      .flatMap(({ container }) => {
        const added = (container.securityContext?.capabilities?.add ?? [])
          .map(capabilityName)
          .filter((name) => !allowedCapabilities.includes(name));
        return added.map((name) => reason('capability', `${container.name} adds ${name}`));
      }),
  ({ others, options }) =>
    options.changeUser !== 'Never'
      ? []
      : others
          .filter(({ role }) => role.kind !== 'network-init')
          .flatMap(({ container }) =>
            declaredChanges(container).map((what) => reason('change_user', `${container.name} ${what}`)),
          ),
  ({ pod, others, options, gid }) => [
    ...when(pod.spec.securityContext?.runAsUser === options.uid, () =>
      reason('reserved_uid', `runAsUser ${options.uid} of the pod`),
    ),
    ...others
      .filter(({ container }) => uidOf(pod, container) === options.uid)
      .map(({ container }) => reason('reserved_uid', `runAsUser ${options.uid} of container ${container.name}`)),
    ...others
      .filter(({ container }) => gid !== undefined && gidOf(pod, container) === gid)
      .map(({ container }) => reason('reserved_uid', `runAsGroup ${gid} of container ${container.name}`)),
  ],
  ({ others }) =>
    others.flatMap(({ container }) => [
      ...(container.volumeMounts ?? [])
        .filter(({ name }) => isOurVolume(name))
        .map(({ name }) => reason('reserved_volume', `${container.name} mounts ${name}`)),
      ...(container.env ?? [])
        .map(({ valueFrom }) => valueFrom?.fileKeyRef?.volumeName ?? '')
        .filter(isOurVolume)
        .map((name) => reason('reserved_volume', `${container.name} has a variable from a file of ${name}`)),
    ]),
  ({ pod }) =>
    (pod.spec.volumes ?? [])
      .filter(
        ({ name, projected }) =>
          !isOurVolume(name) &&
          (projected?.sources ?? []).some(
            ({ serviceAccountToken }) => serviceAccountToken?.audience === controllerAudience,
          ),
      )
      .map(({ name }) => reason('reserved_audience', name)),
  ({ others }) =>
    others
      .filter(({ role }) => role.kind !== 'proxy' && role.kind !== 'network-init')
      .flatMap(({ container }) =>
        (container.ports ?? [])
          .filter((port) => protocolOf(port) !== 'TCP')
          .map((port) =>
            reason('udp_port', `${container.name} declares ${protocolOf(port)} port ${port.containerPort}`),
          ),
      ),
  ({ others, ports }) => {
    const models = [...ports.governed.map(({ model }) => model), ...ports.inner];
    return others.flatMap(({ container }) =>
      (container.ports ?? [])
        .filter(({ containerPort, hostPort }) => (hostPort ?? 0) !== 0 && models.includes(containerPort))
        .map(({ containerPort, hostPort }) =>
          reason('host_port', `${container.name} has hostPort ${hostPort} for port ${containerPort}`),
        ),
    );
  },
  ({ others, ports }) => {
    const used = [...others.flatMap(({ container }) => (container.ports ?? []).map((port) => port.containerPort))];
    return [...new Set([...used, ...ports.governed.map(({ model }) => model)])]
      .filter(isReservedPort)
      .map((port) => reason('reserved_port', `port ${port}`));
  },
  ({ others, ports }) => {
    const ofMeshes = meshesOf(others).flatMap(({ inboundTcp }) => inboundTcp);
    return ports.governed
      .filter(({ model }) => ofMeshes.includes(model))
      .map(({ model }) => reason('port_of_mesh', `${model}`));
  },
  // A wrapper's open ports are open to all: what listens there must be the wrapper.
  ({ others }) =>
    others
      .filter(({ role }) => role.kind === 'wrapper')
      .flatMap((wrapper) => {
        const of = others.filter((other) => other !== wrapper).flatMap(({ container }) => tcpPorts(container));
        return tcpPorts(wrapper.container)
          .filter((port) => of.includes(port))
          .map((port) => reason('wrapper_port', `${wrapper.container.name} declares port ${port}`));
      }),
  ({ pod }) =>
    when(annotatedPorts(pod) === undefined, () =>
      reason('bad_model_ports', pod.metadata?.annotations?.[annotations.modelPorts] ?? ''),
    ),
  ({ pod, ports }) => when(ports.governed.length === 0 && annotatedPorts(pod) !== undefined, () => reason('no_port')),
  ({ ports: { governed, helpers } }) => [
    ...when(governed.length > maxPorts, () => reason('too_many_ports', `${governed.length} governed ports`)),
    ...when(helpers.length > maxPorts, () =>
      reason('too_many_ports', `${helpers.length} pairs of a known helper and a governed port`),
    ),
  ],
  ({ others, options }) =>
    others
      .filter(
        ({ list, container, role }) =>
          !options.nativeSidecars && list === 'initContainers' && runsBeside(list, container) && role.kind !== 'proxy',
      )
      .map(({ container }) => reason('needs_native_sidecars', container.name)),
];

export const refusalsOf = (facts: Facts): readonly Reason[] => checks.flatMap((check) => check(facts));

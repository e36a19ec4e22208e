/** The containers and volumes that injection writes. Fields that the API server would default are written out, so that what is read back later is the same. */
import {
  containers as own,
  controllerAudience,
  environment,
  listeners,
  mountPaths,
  paths,
  portNames,
  tokenFile,
  tokenSeconds,
  volumes,
} from '../contract/index.ts';
import { sidecarGid } from './drawn.ts';
import { defaultOptions } from './options.ts';
import type { InjectOptions } from './options.ts';
import type { Container, ContainerPort, EnvVar, Pod, Probe, Volume } from './pod.ts';
import type { ProbeMap } from './previous.ts';
import { dialerUid, formatHelpers, formatPorts, likeDialer, meshesOf } from './ports.ts';
import type { PodPorts } from './ports.ts';
import { drainHook } from './probes.ts';
import { spoolLimit } from './quantity.ts';
import type { Entry } from './roles.ts';

export interface Shape {
  readonly pod: Pod;
  readonly options: InjectOptions;
  readonly entries: readonly Entry[];
  readonly ports: PodPorts;
  readonly probes: ProbeMap;
  readonly gracePeriod: number;
  /** Names of governed ports, by model port (capture mode NamedPort). */
  readonly portNames: ReadonlyMap<number, string>;
}

const flag = (name: string, value: string): readonly string[] => (value === '' ? [] : [name, value]);

/** Ranges as `init` reads them: texts that already are ranges, and ports. */
const ranges = (...parts: readonly (string | number)[]): string => parts.filter((part) => part !== '').join(',');

function initArguments({ pod, options, entries, ports }: Shape): readonly string[] {
  const meshes = meshesOf(entries);
  const dialers = likeDialer(pod, entries);
  // A wrapper dials the port behind it: where it may run as the dialler, that port is open to both.
  const inner = dialers.some(({ role }) => role.kind === 'wrapper') ? ports.inner : [];
  return [
    'init',
    ...['--ports', formatPorts(ports.governed), '--uid', `${options.uid}`, '--gid', `${sidecarGid(pod, options)}`],
    ...['--sidecar-tcp', `${listeners.probe}-${listeners.admin}`],
    ...flag('--helpers', formatHelpers(ports.helpers)),
    ...flag('--allow-tcp', ranges(...ports.open)),
    ...flag('--proxy-uids', ranges(...meshes.map(({ proxyUid }) => proxyUid))),
    ...flag('--proxy-tcp', ranges(...meshes.map(({ loopbackTcp }) => loopbackTcp))),
    ...['--dialer-uid', `${dialerUid(pod)}`],
    ...flag('--dialer-tcp', dialers.length === 0 ? '' : ranges(options.internalTcp, ...inner)),
  ];
}

const common = {
  terminationMessagePath: '/dev/termination-log',
  // Its last line says what failed: visible in kubectl describe without logs.
  terminationMessagePolicy: 'FallbackToLogsOnError',
} as const;

export function initContainer(shape: Shape): Container {
  const { options } = shape;
  return {
    name: own.init,
    image: options.image,
    imagePullPolicy: options.imagePullPolicy,
    args: initArguments(shape),
    resources: options.resources.init,
    securityContext: {
      // As another user nft has no effective capability.
      runAsUser: 0,
      runAsGroup: 0,
      runAsNonRoot: false,
      privileged: false,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'], add: ['NET_ADMIN'] },
      seccompProfile: { type: 'RuntimeDefault' },
    },
    ...common,
  };
}

/** Undefined: the default is not written, so that pods with an earlier image (`image.namespaces`), which does not know the flag, start. */
export const modelRequestsArgument = ({ modelRequests }: InjectOptions): string | undefined =>
  modelRequests === defaultOptions.modelRequests ? undefined : `${modelRequests}`;

function sidecarArguments({ options, ports, probes, gracePeriod }: Shape): readonly string[] {
  return [
    'sidecar',
    ...['--ports', formatPorts(ports.governed)],
    ...flag('--helpers', formatHelpers(ports.helpers)),
    ...['--capture', options.captureMode],
    // The kubelet replaces $(NAME) in arguments, and $$; the text is the pod's.
    ...['--probes', JSON.stringify(probes).replaceAll('$', String.raw`\u0024`)],
    ...['--controller', options.controller.url, '--controller-name', options.controller.name],
    ...['--token-file', `${mountPaths.token}/${tokenFile}`],
    ...['--state', mountPaths.state],
    ...['--spool', mountPaths.spool, '--spool-limit', `${spoolLimit(options.spoolSize)}`],
    ...flag('--model-requests', modelRequestsArgument(options) ?? ''),
    ...['--grace', `${gracePeriod}`],
  ];
}

const fromPod = (name: string, fieldPath: string): EnvVar => ({
  name,
  valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath } },
});

export const sidecarEnvironment = (options: InjectOptions): readonly EnvVar[] => [
  { name: environment.controllerCa, value: options.controller.ca },
  fromPod(environment.podName, 'metadata.name'),
  fromPod(environment.podNamespace, 'metadata.namespace'),
  fromPod(environment.podUid, 'metadata.uid'),
  fromPod(environment.podIp, 'status.podIP'),
  ...Object.entries(proxyEnvironment(options)).map(([name, value]): EnvVar => ({ name, value })),
];

/** By the names that programs know. */
export const proxyEnvironment = ({ proxy }: InjectOptions): Readonly<Record<string, string>> => ({
  ...(proxy !== undefined && { HTTPS_PROXY: proxy.https }),
  ...(proxy !== undefined && proxy.except !== '' && { NO_PROXY: proxy.except }),
});

const adminProbe = (path: string, timing: Probe): Probe =>
  ({
    httpGet: { path, port: listeners.admin, scheme: 'HTTP' },
    successThreshold: 1,
    ...timing,
  }) as Probe;

/**
 * Where the sidecar is a plain container, the kubelet starts the next one when this hook has ended: so the model waits for the
 * listeners here, at most as long as the startup probe would.
 */
export const waitHook = {
  exec: {
    command: [
      '/usr/bin/node',
      '--eval',
      `const ask = () => fetch('http://127.0.0.1:${listeners.admin}${paths.startup}').then((answer) => answer.ok && process.exit(0), () => undefined); setInterval(ask, 200); setTimeout(() => process.exit(1), 120_000)`,
    ],
  },
};

function sidecarPorts({ ports, portNames: names }: Shape): readonly ContainerPort[] {
  const moved = ports.governed.flatMap(({ model, tls }) => {
    const name = names.get(model);
    return name === undefined ? [] : [{ name, containerPort: tls, protocol: 'TCP' }];
  });
  return [
    ...moved,
    { name: portNames.probe, containerPort: listeners.probe, protocol: 'TCP' },
    { name: portNames.admin, containerPort: listeners.admin, protocol: 'TCP' },
  ];
}

export function sidecarContainer(shape: Shape): Container {
  const { options, pod } = shape;
  return {
    name: own.sidecar,
    image: options.image,
    imagePullPolicy: options.imagePullPolicy,
    args: sidecarArguments(shape),
    ...(options.nativeSidecars ? { restartPolicy: 'Always' } : {}),
    env: sidecarEnvironment(options),
    ports: sidecarPorts(shape),
    resources: options.resources.sidecar,
    volumeMounts: [
      { name: volumes.state, mountPath: mountPaths.state },
      { name: volumes.token, mountPath: mountPaths.token, readOnly: true },
      { name: volumes.spool, mountPath: mountPaths.spool },
    ],
    // Two minutes: the rest of the pod does not start before.
    startupProbe: adminProbe(paths.startup, { periodSeconds: 1, timeoutSeconds: 1, failureThreshold: 120 }),
    livenessProbe: adminProbe(paths.health, { periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 3 }),
    readinessProbe: adminProbe(paths.ready, { periodSeconds: 5, timeoutSeconds: 2, failureThreshold: 2 }),
    lifecycle: { ...(options.nativeSidecars ? {} : { postStart: waitHook }), preStop: drainHook },
    securityContext: {
      runAsUser: options.uid,
      runAsGroup: sidecarGid(pod, options),
      runAsNonRoot: true,
      privileged: false,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
      seccompProfile: { type: 'RuntimeDefault' },
    },
    ...common,
  };
}

/** For the sidecar alone: no other container may mount one. */
export const ourVolumes = (options: InjectOptions): readonly Volume[] => [
  { name: volumes.state, emptyDir: { medium: 'Memory', sizeLimit: options.stateSize } },
  {
    name: volumes.token,
    projected: {
      defaultMode: 0o644,
      sources: [
        {
          serviceAccountToken: { audience: controllerAudience, expirationSeconds: tokenSeconds, path: tokenFile },
        },
      ],
    },
  },
  { name: volumes.spool, emptyDir: { sizeLimit: options.spoolSize } },
];

// What may be done to an injected pod, and which rules of the final state say so.
import type { FinalStateRule } from '../final-state.ts';
import type { Json } from './pods.ts';

interface Container extends Json {
  args: string[];
  env: Json[];
  volumeMounts: Json[];
  securityContext: Json & { capabilities: { drop: string[]; add: string[] } };
  lifecycle: Json;
}
export interface Injected {
  metadata: { labels: Record<string, string>; annotations: Record<string, string> };
  spec: {
    initContainers: [Container, Container];
    containers: [Container, Container];
    volumes: (Json & { name: string })[];
  } & Json;
}

export const second = { name: 'second', image: 'some/second:1', securityContext: { capabilities: { drop: ['ALL'] } } };

const setArgument = (container: Container, flag: string, value: string): void => {
  const at = container.args.indexOf(flag);
  if (at === -1) container.args.push(flag, value);
  else container.args[at + 1] = value;
};

type Tampering = readonly [string, readonly FinalStateRule[], (copy: Injected) => void];

const probes = (path: string): string => JSON.stringify({ [path]: { timeoutSeconds: 1, tcpSocket: { port: 8_000 } } });

/** [what was done to the pod, the rules that say so, the doing]. */
export const tamperings: readonly Tampering[] = [
  ['the label removed', ['label', 'neighbours'], ({ metadata }) => delete metadata.labels['sidegate.dev/inference']],
  ['the sidecar removed', ['sidecar_present', 'restart_policy'], ({ spec }) => spec.initContainers.splice(1, 1)],
  ['init removed', ['init_present'], ({ spec }) => spec.initContainers.splice(0, 1)],
  [
    'the sidecar among the containers',
    ['sidecar_present'],
    ({ spec }) => spec.containers.unshift(...spec.initContainers.splice(1, 1)),
  ],
  ['the sidecar before init', ['order'], ({ spec }) => spec.initContainers.reverse()],
  [
    'a container before ours',
    ['order', 'raw_sockets', 'change_user'],
    ({ spec }) => spec.initContainers.unshift({ name: 'first', image: 'a:1' } as unknown as Container),
  ],
  [
    'a container between ours',
    ['order', 'change_user'],
    ({ spec }) => spec.initContainers.splice(1, 0, second as unknown as Container),
  ],
  [
    'a second sidecar',
    ['sidecar_present'],
    ({ spec }) => spec.containers.push(structuredClone(spec.initContainers[1])),
  ],
  ['another image of the sidecar', ['image'], ({ spec }) => (spec.initContainers[1]['image'] = 'evil/sidecar:1')],
  ['another image of init', ['image'], ({ spec }) => (spec.initContainers[0]['image'] = 'evil/init:1')],
  ['a command of the sidecar', ['fields'], ({ spec }) => (spec.initContainers[1]['command'] = ['sleep', '1'])],
  ['envFrom', ['fields'], ({ spec }) => (spec.initContainers[1]['envFrom'] = [{ secretRef: { name: 'a' } }])],
  ['a terminal', ['fields'], ({ spec }) => (spec.initContainers[1]['stdin'] = true)],
  ['a sidecar that ends', ['restart_policy'], ({ spec }) => delete spec.initContainers[1]['restartPolicy']],
  ['another uid', ['security_context'], ({ spec }) => (spec.initContainers[1].securityContext['runAsUser'] = 0)],
  [
    'another gid',
    ['security_context', 'init_arguments'],
    ({ spec }) => (spec.initContainers[1].securityContext['runAsGroup'] = 0),
  ],
  [
    'the gid that only stands for one',
    ['security_context', 'init_arguments'],
    ({ spec }) => {
      spec.initContainers[1].securityContext['runAsGroup'] = 61_337;
      setArgument(spec.initContainers[0], '--gid', '61337');
    },
  ],
  [
    "a neighbour in the sidecar's group",
    ['neighbours'],
    ({ spec }) =>
      (spec.containers[0].securityContext['runAsGroup'] = spec.initContainers[1].securityContext['runAsGroup']),
  ],
  [
    'a sidecar with NET_ADMIN',
    ['security_context'],
    ({ spec }) => (spec.initContainers[1].securityContext.capabilities.add = ['NET_ADMIN']),
  ],
  [
    'a privileged init',
    ['security_context'],
    ({ spec }) => (spec.initContainers[0].securityContext['privileged'] = true),
  ],
  [
    'other ports of the sidecar',
    ['sidecar_arguments'],
    ({ spec }) => setArgument(spec.initContainers[1], '--ports', '8000=17401:17431'),
  ],
  [
    'another controller',
    ['sidecar_arguments'],
    ({ spec }) => setArgument(spec.initContainers[1], '--controller', 'https://evil.example.com'),
  ],
  [
    'another name of the controller',
    ['sidecar_arguments'],
    ({ spec }) => setArgument(spec.initContainers[1], '--controller-name', 'evil'),
  ],
  [
    'another capture mode',
    ['sidecar_arguments'],
    ({ spec }) => setArgument(spec.initContainers[1], '--capture', 'NamedPort'),
  ],
  [
    'a record as large as its volume',
    ['sidecar_arguments'],
    ({ spec }) => setArgument(spec.initContainers[1], '--spool-limit', '1073741824'),
  ],
  [
    'a limit of the record that is no number',
    ['sidecar_arguments'],
    ({ spec }) => setArgument(spec.initContainers[1], '--spool-limit', '-1'),
  ],
  [
    'other places at the model',
    ['sidecar_arguments'],
    ({ spec }) => spec.initContainers[1].args.push('--model-requests', '-1'),
  ],
  [
    'a flag twice',
    ['sidecar_arguments'],
    ({ spec }) => spec.initContainers[1].args.push('--controller', 'https://evil.example.com'),
  ],
  [
    'a flag that is not known',
    ['sidecar_arguments'],
    ({ spec }) => spec.initContainers[1].args.push('--insecure', 'yes'),
  ],
  ['another process', ['sidecar_arguments'], ({ spec }) => (spec.initContainers[1].args[0] = 'pause')],
  [
    'an undeclared port opened',
    ['init_arguments'],
    ({ spec }) => setArgument(spec.initContainers[0], '--allow-tcp', '9000'),
  ],
  ['UDP opened', ['init_arguments'], ({ spec }) => setArgument(spec.initContainers[0], '--allow-udp', '53')],
  [
    'more ports for root on loopback',
    ['init_arguments'],
    ({ spec }) => setArgument(spec.initContainers[0], '--dialer-tcp', '1-65535'),
  ],
  [
    'another uid past the rules',
    ['init_arguments'],
    ({ spec }) => setArgument(spec.initContainers[0], '--uid', '1000'),
  ],
  [
    'another gid past the rules',
    ['init_arguments'],
    ({ spec }) => setArgument(spec.initContainers[0], '--gid', '1000'),
  ],
  [
    'a governed port left out',
    ['init_arguments'],
    ({ spec }) => setArgument(spec.initContainers[0], '--ports', '9000=17400:17430'),
  ],
  [
    'a helper made up',
    ['init_arguments'],
    ({ spec }) => setArgument(spec.initContainers[0], '--helpers', '1000@8000=17460'),
  ],
  [
    'more ports of the sidecar open',
    ['init_arguments'],
    ({ spec }) => setArgument(spec.initContainers[0], '--sidecar-tcp', '17400-17499'),
  ],
  ['nobody as who dials', ['init_arguments'], ({ spec }) => setArgument(spec.initContainers[0], '--dialer-uid', '7')],
  [
    'another authority',
    ['environment'],
    ({ spec }) => Object.assign(spec.initContainers[1].env[0] ?? {}, { value: 'evil' }),
  ],
  [
    'a variable more',
    ['environment'],
    ({ spec }) => spec.initContainers[1].env.push({ name: 'NODE_OPTIONS', value: '--require /evil.js' }),
  ],
  [
    'a variable instead of another',
    ['environment'],
    ({ spec }) => spec.initContainers[1].env.splice(4, 1, { name: 'NODE_OPTIONS', value: '--require /evil.js' }),
  ],
  [
    'a variable without a source',
    ['environment'],
    ({ spec }) => spec.initContainers[1].env.splice(4, 1, { name: 'POD_IP', value: '10.0.0.1' }),
  ],
  [
    'a variable of init',
    ['environment'],
    ({ spec }) => (spec.initContainers[0].env = [{ name: 'NODE_OPTIONS', value: '--require /evil.js' }]),
  ],
  [
    'a mount more',
    ['mounts'],
    ({ spec }) => spec.initContainers[1].volumeMounts.push({ name: 'models', mountPath: '/app' }),
  ],
  [
    'a mount that can be written where the cluster mounts its token',
    ['mounts'],
    ({ spec }) =>
      spec.initContainers[1].volumeMounts.push({
        name: 'models',
        mountPath: '/var/run/secrets/kubernetes.io/serviceaccount',
      }),
  ],
  ['a mount less', ['mounts'], ({ spec }) => spec.initContainers[1].volumeMounts.pop()],
  [
    'a mount of init',
    ['mounts'],
    ({ spec }) => (spec.initContainers[0].volumeMounts = [{ name: 'models', mountPath: '/app' }]),
  ],
  [
    'our state from the node',
    ['volumes'],
    ({ spec }) => Object.assign(spec.volumes[0] ?? {}, { emptyDir: undefined, hostPath: { path: '/' } }),
  ],
  [
    'our token for others',
    ['volumes'],
    ({ spec }) => (spec.volumes[1] = { name: 'sidegate-token', projected: { sources: [] } }),
  ],
  ['our spool removed', ['volumes'], ({ spec }) => spec.volumes.pop()],
  [
    'our state mounted elsewhere',
    ['neighbours'],
    ({ spec }) => (spec.containers[0].volumeMounts = [{ name: 'sidegate-state', mountPath: '/x' }]),
  ],
  [
    'a probe that runs a command in the sidecar',
    ['probes'],
    ({ spec }) => (spec.initContainers[1]['livenessProbe'] = { exec: { command: ['x'] } }),
  ],
  [
    'a readiness that is always there',
    ['probes'],
    ({ spec }) => (spec.initContainers[1]['readinessProbe'] = { httpGet: { path: '/healthz', port: 17491 } }),
  ],
  [
    'a hook that runs a command in the sidecar',
    ['hooks'],
    ({ spec }) => (spec.initContainers[1].lifecycle = { preStop: { exec: { command: ['x'] } } }),
  ],
  [
    'a hook more',
    ['hooks'],
    ({ spec }) => (spec.initContainers[1].lifecycle['postStart'] = { exec: { command: ['x'] } }),
  ],
  [
    'another port map',
    ['port_map'],
    ({ metadata }) => (metadata.annotations['sidegate.dev/port-map'] = '{"9000":17400}'),
  ],
  ['no port map', ['port_map'], ({ metadata }) => delete metadata.annotations['sidegate.dev/port-map']],
  [
    'another injected annotation',
    ['injected'],
    ({ metadata }) => (metadata.annotations['sidegate.dev/injected'] = '{}'),
  ],
  [
    'a port declared afterwards',
    ['sidecar_arguments', 'init_arguments', 'port_map'],
    ({ spec }) => (spec.containers[1]['ports'] = [{ containerPort: 9000 }]),
  ],
  [
    'NET_RAW in a neighbour',
    ['raw_sockets', 'change_user'],
    ({ spec }) => (spec.containers[1].securityContext.capabilities.drop = []),
  ],
  ...['SETUID', 'SETGID'].map((kept): Tampering => [
    `${kept} in a neighbour`,
    ['change_user'],
    ({ spec }) => {
      const { capabilities } = spec.containers[0].securityContext;
      capabilities.drop = capabilities.drop.filter((name) => name !== kept);
    },
  ]),
  [
    'a neighbour whose programs may be set-uid',
    ['change_user'],
    ({ spec }) => delete spec.containers[0].securityContext['allowPrivilegeEscalation'],
  ],
  [
    'a hook that everybody may call',
    ['sidecar_arguments'],
    ({ spec }) => setArgument(spec.initContainers[1], '--probes', probes('/probe/model/pre-stop')),
  ],
  [
    'a hook that was only shown',
    ['sidecar_arguments'],
    ({ spec }) => setArgument(spec.initContainers[1], '--probes', probes('/probe/model/pre-stop/drawn-at-admission')),
  ],
  [
    'a port said to be open beside the governed ones',
    ['port_map'],
    ({ metadata }) =>
      (metadata['annotations'] = { ...(metadata['annotations'] as object), 'sidegate.dev/open-ports': '22' }),
  ],
  ['hostNetwork', ['neighbours'], ({ spec }) => (spec['hostNetwork'] = true)],
  ['hostPID', ['neighbours'], ({ spec }) => (spec['hostPID'] = true)],
  ['one process namespace', ['neighbours'], ({ spec }) => (spec['shareProcessNamespace'] = true)],
  [
    "a neighbour as the sidecar's user",
    ['neighbours'],
    ({ spec }) => (spec.containers[0].securityContext['runAsUser'] = 61_337),
  ],
  ['a privileged neighbour', ['neighbours'], ({ spec }) => (spec.containers[0].securityContext['privileged'] = true)],
  ['no spec', ['readable'], (copy) => delete (copy as Partial<Injected>).spec],
];

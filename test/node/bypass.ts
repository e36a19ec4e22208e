import { expect } from '@jest/globals';
import type { CommandResult } from '../cluster/command.ts';
import type { ClusterNode } from '../cluster/node.ts';
import { planDay } from '../day/day.ts';
import type { Day } from '../day/day.ts';

/** A governed model, what watches it, and those who would like to pass the sidecar. */

export const undeclaredPort = 9_999;
export const datagramPort = 9_998;
/** Group that may break the glass; `breakGlassGroup` of the chart. */
export const breakGlassGroup = 'sre-emergency';

/** Beside the model: what answers on ports that nobody declared, and says on its log what came. */
const neighbour = `
  const say = (what) => process.stdout.write(JSON.stringify(what) + '\\n');
  require('node:http').createServer((asked, answer) => { say({ tcp: asked.url }); answer.end('back-door'); }).listen(${undeclaredPort}, '0.0.0.0');
  for (const port of [${datagramPort}, 8000])
    require('node:dgram').createSocket('udp4').on('message', (message) => say({ udp: port, text: String(message) })).bind(port, '0.0.0.0');
`;

export type PodObject = { metadata: Record<string, unknown>; spec: Record<string, unknown> } & Record<string, unknown>;

/** A labelled pod as its author writes it; `spec` and `container` (the model's) add to it. */
export function labelledPod(
  tools: string,
  namespace: string,
  name: string,
  { spec = {}, container = {}, beside = {}, metadata = {} }: PodParts = {},
): PodObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels: { app: name, 'sidegate.dev/inference': 'true' }, ...metadata },
    spec: {
      automountServiceAccountToken: false,
      terminationGracePeriodSeconds: 2,
      containers: [
        {
          name: 'model',
          image: tools,
          command: ['node', '/app/model.js', '8000'],
          ports: [{ name: 'http', containerPort: 8_000 }],
          ...container,
        },
        { name: 'beside', image: tools, command: ['node', '-e', neighbour], ...beside },
      ],
      ...spec,
    },
  };
}

export interface PodParts {
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly container?: Readonly<Record<string, unknown>>;
  readonly beside?: Readonly<Record<string, unknown>>;
}

export interface Governed {
  readonly day: Day;
  readonly namespace: string;
  /** The model's pod. */
  readonly pod: string;
  readonly ip: string;
  /** curl in the caller's pod; status 0 where no HTTP answer came. */
  curl(...args: readonly string[]): Promise<{ readonly status: number; readonly body: string }>;
  /** curl beside the model, in its pod, by the break-glass group. */
  inside(...args: readonly string[]): Promise<{ readonly status: number; readonly body: string }>;
  /** A question by the one caller whom the policy allows. */
  allowed(text: string): Promise<{ readonly status: number; readonly body: string }>;
  /** Any program beside the model: as root, as another (`guest`), or as root that may become others (`stepper`). */
  insideRun(command: readonly string[], container?: 'beside' | 'guest' | 'stepper'): Promise<CommandResult>;
  /**
   * Runs an attack and proves that the model saw nothing of it: a call that is allowed follows, and is the next that the
   * model's log has, which is in the order of arrival.
   */
  reachesNothing(attack: () => Promise<void>): Promise<void>;
  /** The same for what stands beside the model on ports that are not declared. */
  reachesNobody(attack: () => Promise<void>): Promise<void>;
}

export async function startGoverned(node: ClusterNode, namespace: string): Promise<Governed> {
  const day = planDay(node, namespace);
  const { metadata, spec } = labelledPod(node.images.tools, namespace, 'llama');
  const idle = { image: node.images.tools, command: ['sleep', '100000'] };
  const beside = [
    { name: 'guest', ...idle, securityContext: { runAsUser: 1_000, runAsGroup: 1_000 } },
    { name: 'stepper', ...idle, securityContext: { capabilities: { add: ['SETUID', 'SETGID'] } } },
  ];
  const governedSpec = { ...spec, containers: [...(spec['containers'] as object[]), ...beside] };
  const { name: _name, namespace: _namespace, ...template } = metadata;
  const objects: readonly unknown[] = [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'caller', namespace } },
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: { name: 'eve', namespace },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'edit' },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'eve' }],
    },
    {
      apiVersion: 'sidegate.dev/v1alpha1',
      kind: 'InferencePolicy',
      metadata: { name: 'one-caller', namespace },
      spec: {
        upstream: { ports: [{ containerPort: 8_000 }] },
        identity: { providers: [{ name: 'workloads', serviceAccount: { audiences: ['inference'] } }] },
        access: [
          {
            name: 'one',
            effect: 'Allow',
            subjects: [{ subject: `system:serviceaccount:${namespace}:caller` }],
            operations: ['Chat'],
          },
        ],
      },
    },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'llama', namespace },
      spec: {
        replicas: 1,
        selector: { matchLabels: { app: 'llama' } },
        template: { metadata: template, spec: governedSpec },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'llama', namespace },
      spec: { selector: { app: 'llama' }, ports: [{ name: 'https', port: 443, targetPort: 'http' }] },
    },
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'caller', namespace },
      spec: {
        terminationGracePeriodSeconds: 1,
        containers: [{ name: 'caller', image: node.images.tools, command: ['sleep', '100000'] }],
      },
    },
  ];
  // kube-proxy leads to the webhook a moment after it is ready.
  await node.eventually(async () => {
    await node.apply(JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }));
    return true;
  });
  await node.must(['-n', namespace, 'rollout', 'status', 'deployment/llama', '--timeout=90s']);
  await node.must(['-n', namespace, 'wait', '--for=condition=Ready', 'pod/caller', '--timeout=60s']);
  // Seen: curl could not read the file, though putting it there had not failed. So it is read back.
  await node.eventually(async () => {
    const root = await day.trust();
    const { stdout } = await node.exec(namespace, 'pod/caller', ['cat', '/tmp/ca.pem']);
    if (stdout !== root || root === '') throw new Error(`of ${root.length} characters, ${stdout.length} arrived`);
    return true;
  });
  const [{ name: pod, ip } = { name: '', ip: '' }] = await day.models();
  const token = await day.token();

  const answer = ({ stdout, stderr }: CommandResult): { status: number; body: string } => {
    // curl writes a status in every case: without one it did not run, and nothing was tried.
    if (stdout === '') throw new Error(stderr);
    const lines = stdout.split('\n');
    const status = Number(lines.pop());
    return { status, body: status === 0 ? stderr : lines.join('\n') };
  };
  const curlLine = ['curl', '-sS', '-k', '--max-time', '5', '-w', '\n%{http_code}'];
  const insideRun: Governed['insideRun'] = (command, container = 'beside') =>
    node.kubectl([
      ...['--as=ana', '--as-group=system:masters', `--as-group=${breakGlassGroup}`],
      ...['-n', namespace, 'exec', pod, '-c', container, '--', ...command],
    ]);
  const curl: Governed['curl'] = async (...args) =>
    answer(await node.exec(namespace, 'pod/caller', [...curlLine, ...args]));
  const log = async (container: string): Promise<string[]> =>
    (await node.must(['-n', namespace, 'logs', pod, '-c', container])).split('\n').filter((line) => line !== '');

  const allowed: Governed['allowed'] = (text) =>
    day.curl(
      ...['-H', `authorization: Bearer ${token}`, '-H', 'content-type: application/json', '-d'],
      JSON.stringify({ model: 'llama-3', messages: [{ role: 'user', content: text }] }),
      `https://llama.${namespace}.svc/v1/chat/completions`,
    );

  let marks = 0;
  let seen = 0;
  /** Calls the model as the one who may, and gives what its log has had since the last time, this call included. */
  const arrivals = async (): Promise<string[]> => {
    const mark = `mark-${++marks}-`;
    expect(await allowed(mark)).toMatchObject({ status: 200 });
    let lines: string[] = [];
    await node.eventually(async () => (lines = await log('model')).some((line) => line.includes(mark)));
    const fresh = lines.slice(seen);
    seen = lines.length;
    expect(fresh.at(-1)).toContain(mark);
    return fresh;
  };
  await node.eventually(async () => {
    const { status, body } = await allowed('ready');
    if (status !== 200) throw new Error(`${status}: ${body}`);
    return true;
  }, 60_000);
  await arrivals();

  let heard = 0;
  return {
    ...{ day, namespace, pod, ip, curl, allowed, insideRun },
    inside: async (...args) => answer(await insideRun([...curlLine, ...args])),
    async reachesNothing(attack) {
      await attack();
      expect(await arrivals()).toHaveLength(1);
    },
    async reachesNobody(attack) {
      await attack();
      const mark = `mark-${++marks}-`;
      // Not as root: what root dials on loopback may be port-forward, and is closed.
      const tell = `
        const socket = require('node:dgram').createSocket('udp4');
        socket.send('${mark}', ${datagramPort}, '127.0.0.1', () => socket.close());
        require('node:http').get('http://127.0.0.1:${undeclaredPort}/${mark}', (answer) => answer.resume());`;
      const { status, stderr } = await insideRun(['node', '-e', tell], 'guest');
      expect({ status, stderr }).toMatchObject({ status: 0 });
      let lines: string[] = [];
      await node.eventually(async () => {
        lines = (await log('beside')).slice(heard);
        return lines.filter((line) => line.includes(mark)).length === 2;
      });
      heard += lines.length;
      expect(lines.filter((line) => !line.includes(mark))).toEqual([]);
    },
  };
}

import { containers, controlPlane, inferenceLabel, inferenceLabelValue } from '../contract/index.ts';
import { jsonValue, parseJson } from '../base/index.ts';
import { isConflict, isKubeError, resources } from '../kube/index.ts';
import type { KubeObject } from '../kube/index.ts';
import { clusterCommand, clusterUsage } from './cluster-command.ts';
import type { Cluster, Command, CommandIo, HttpAnswer } from './command.ts';
import type { Flags } from './flags.ts';

const name = 'sidegate-test';
const port = 8_000;

const usage = `sidegate self-test --image IMAGE [flags]

Creates a labelled pod ${name} and proves that it is governed: it got the sidecar, becomes ready, answers over TLS by the name of the
Service ${name} that no policy selects it, and refuses plain HTTP. Removes the pod again. \`helm test\` runs this.

  --image IMAGE          the image of Sidegate, which stands in for a model
  --timeout SECONDS      for the pod to become ready; default 120
${clusterUsage}`;

interface Pod extends KubeObject {
  readonly spec: { readonly initContainers?: readonly Named[]; readonly containers: readonly Named[] };
  readonly status?: {
    readonly podIP?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}
interface Named {
  readonly name: string;
}
interface ConfigMap extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}

const podOf = (namespace: string, image: string): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name,
    namespace,
    labels: { [inferenceLabel]: inferenceLabelValue, 'app.kubernetes.io/name': name },
  },
  spec: {
    automountServiceAccountToken: false,
    terminationGracePeriodSeconds: 5,
    containers: [
      {
        name: 'model',
        image,
        args: ['pause'],
        ports: [{ containerPort: port, protocol: 'TCP' }],
        resources: { requests: { cpu: '10m', memory: '64Mi' } },
        securityContext: {
          runAsNonRoot: true,
          allowPrivilegeEscalation: false,
          capabilities: { drop: ['ALL'] },
          seccompProfile: { type: 'RuntimeDefault' },
        },
      },
    ],
  },
});

/** What it found wrong is said in words a person can act on. */
class Failed extends Error {}

const ref = (namespace: string) => ({ namespace, name });

async function createPod({ client, namespace }: Cluster, body: object, io: CommandIo): Promise<Pod> {
  for (let tries = 0; ; tries++) {
    try {
      return await client.create<Pod>(resources.pods, body, { namespace });
    } catch (error) {
      // One of a run before; the webhook, which answers a moment after it is ready; or one of an older release, which ends.
      if (tries >= 20 || !isKubeError(error)) throw error;
      if (isConflict(error)) await client.delete(resources.pods, ref(namespace), { graceSeconds: 0 });
      else if (error.status < 500 && !error.message.includes('sidegate-')) throw error;
      await io.sleep(1_000);
    }
  }
}

const isReady = (pod: Pod): boolean =>
  (pod.status?.conditions ?? []).some(({ type, status }) => type === 'Ready' && status === 'True');

async function readyPod({ client, namespace }: Cluster, io: CommandIo, limitMs: number): Promise<Pod> {
  const end = io.now() + limitMs;
  for (;;) {
    const pod = await client.get<Pod>(resources.pods, ref(namespace));
    if (isReady(pod)) return pod;
    if (io.now() > end)
      throw new Failed(
        `the pod is not ready after ${limitMs / 1_000} s: kubectl -n ${namespace} describe pod ${name}; its sidecar waits for a certificate and an answer of the controller`,
      );
    await io.sleep(500);
  }
}

function codeOf({ body }: HttpAnswer): string {
  try {
    const { error } = jsonValue(parseJson(body)) as { error?: { code?: unknown } | string };
    return typeof error === 'object' && typeof error.code === 'string' ? error.code : 'none';
  } catch {
    return 'none';
  }
}

async function prove(cluster: Cluster, io: CommandIo, body: object, limitMs: number): Promise<void> {
  const { client, namespace } = cluster;
  const created = await createPod(cluster, body, io);
  const names = [...(created.spec.initContainers ?? []), ...created.spec.containers].map((one) => one.name);
  if (!names.includes(containers.sidecar))
    throw new Failed('the pod was admitted without a sidecar: kubectl sidegate check says what is wrong');
  io.stdout('ok: the pod got the sidecar\n');
  const pod = await readyPod(cluster, io, limitMs);
  io.stdout('ok: it is ready: listeners, certificate, answer of the controller\n');
  const map = await client.find<ConfigMap>(resources.configMaps, { namespace, name: controlPlane.root });
  const ca = map?.data?.[controlPlane.caKey];
  if (ca === undefined) throw new Failed(`there is no ConfigMap ${controlPlane.root} in ${namespace}`);
  const host = pod.status?.podIP ?? '';
  const serverName = `${name}.${namespace}.svc`;
  const answer = await io.ask({ host, port, path: '/v1/models', tls: { ca, serverName } });
  if (codeOf(answer) !== 'no_policy')
    throw new Failed(`over TLS it answered ${answer.status} ${codeOf(answer)}, not no_policy`);
  io.stdout(`ok: over TLS, as ${serverName}, it answers ${answer.status} no_policy\n`);
  const plain = await io.ask({ host, port, path: '/v1/models' });
  if (plain.status < 400) throw new Failed(`plain HTTP was answered with ${plain.status}`);
  io.stdout(`ok: plain HTTP is refused with ${plain.status}\n`);
}

const secondsOf = (flags: Flags): number => Number(flags.text('timeout') ?? 120);

export const selfTestCommand: Command = {
  name: 'self-test',
  summary: 'create a labelled pod and prove that it is governed (helm test)',
  usage,
  run: clusterCommand({
    usage,
    flags: { image: { kind: 'text' }, timeout: { kind: 'text' } },
    positionals: { name: 'nothing', least: 0, most: 0 },
    faults: (flags) => [
      ...(flags.on('image') ? [] : ['--image is missing']),
      ...(secondsOf(flags) > 0 && Number.isFinite(secondsOf(flags)) ? [] : ['--timeout must be a number of seconds']),
    ],
    async act(flags, cluster, io) {
      const image = flags.text('image') ?? '';
      const seconds = secondsOf(flags);
      const body = podOf(cluster.namespace, image);
      try {
        await prove(cluster, io, body, seconds * 1_000);
        return 0;
      } catch (error) {
        if (!(error instanceof Failed)) throw error;
        io.stderr(`failed: ${error.message}\n`);
        return 1;
      } finally {
        await cluster.client.delete(resources.pods, ref(cluster.namespace), { graceSeconds: 1 });
      }
    },
  }),
};

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from '../cluster/command.ts';
import { nextSidegateImage } from '../cluster/images.ts';
import { startNode, stateFolder } from '../cluster/node.ts';
import type { ClusterNode } from '../cluster/node.ts';
import { planDay, system } from '../day/day.ts';
import type { Day } from '../day/day.ts';
import { policy, workloads } from '../day/manifests.ts';

// What comes after the first day: certificates that change under load, helpers in the pod, probes by gRPC, gateways, and an upgrade
// of running sidecars. It has a cluster of its own, as install.test.ts.

process.env['CLUSTER_NETNS'] = 'sidegate-life';
process.env['KUBE_STATE'] = '/tmp/sidegate-life';
process.env['CGROUP_NAME'] = 'sidegate-life';

/** Then it is somebody's to look at, and stays. */
const wasUp = existsSync(join(stateFolder(), 'settings'));
const namespace = 'ml';
let node: ClusterNode;
let day: Day;
let token: string;

const step = (name: string, action: () => Promise<void>, limitMs = 240_000): void =>
  test(name, () => node.explained(system, () => node.explained(namespace, action)), limitMs);

/** Values of every installation of this file. */
const values = (): string[] => [
  'helpers[0].name=loader',
  `helpers[0].images[0]=${node.images.tools}`,
  'helpers[0].runAsUser=2000',
];

beforeAll(async () => {
  node = await startNode();
  day = planDay(node, namespace);
  await node.namespace(namespace);
  await node.apply(workloads(namespace, node.images.tools));
  await node.explained(system, () => day.install(values()));
  await node.must(['-n', namespace, 'wait', '--for=condition=Ready', 'pod', '--all', '--timeout=90s']);
  await day.sidegate('enable', '-n', namespace, 'deployment/llama');
  await node.must(['-n', namespace, 'rollout', 'status', 'deployment/llama', '--timeout=150s'], {
    timeoutMs: 160_000,
  });
  await day.trust();
  await node.apply(policy(namespace, { operations: ['Chat', 'ListModels'] }));
  token = await day.token();
  await node.eventually(async () => (await day.chat('pii', { token })).status === 200, 60_000);
}, 600_000);

afterAll(async () => {
  if (!wasUp) await runCommand(join(import.meta.dirname, '../cluster/down.sh'), []);
}, 120_000);

/** Asks again and again for so long, in the caller's pod; the counts of it. */
function askFor(seconds: number): Promise<string> {
  const loop = `
    asked=0; bad=0; end=$(($(date +%s) + ${seconds}))
    while [ $(date +%s) -lt $end ]; do
      status=$(curl -s -o /tmp/out -w '%{http_code}' --max-time 15 --cacert /tmp/ca.pem -H "authorization: Bearer $1" \\
        -H 'content-type: application/json' -d '{"model":"llama-3","messages":[{"role":"user","content":"hi"}]}' \\
        https://llama.${namespace}.svc/v1/chat/completions)
      asked=$((asked + 1))
      [ "$status" = 200 ] || { bad=$((bad + 1)); echo "$? $status $(head -c 200 /tmp/out)"; }
    done
    echo "asked $asked bad $bad"`;
  return node.exec(namespace, 'pod/caller', ['sh', '-c', loop, 'sh', token]).then(({ stdout }) => stdout);
}

step('a certificate that changes under load fails no request', async () => {
  const asking = askFor(20);
  for (const name of ['second', 'third'])
    await node.apply(`
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: ${namespace} }
spec: { selector: { app: llama }, ports: [{ port: 443, targetPort: http }] }
`);
  await node.eventually(
    async () => (await day.curl(`https://third.${namespace}.svc/v1/models`)).status === 401,
    60_000,
  );
  expect(await asking).toMatch(/^asked [1-9][0-9]* bad 0\n$/);
});

const grpcModel = `
  require('node:http2').createServer().on('stream', (stream, headers) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(Buffer.from([0, 0, 0, 0, 2, 8, 1]));
    console.log(headers[':path']);
  }).listen(8001);`;

step('the kubelet probes a model by gRPC, through the sidecar', async () => {
  await node.apply(`
apiVersion: v1
kind: Pod
metadata: { name: grpc, namespace: ${namespace}, labels: { app: grpc, sidegate.dev/inference: "true" } }
spec:
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 5
  containers:
  - name: model
    image: ${node.images.tools}
    command: [node, -e, ${JSON.stringify(grpcModel)}]
    ports: [{ containerPort: 8001 }]
    readinessProbe: { grpc: { port: 8001 }, periodSeconds: 1 }
`);
  await node.must(['-n', namespace, 'wait', '--for=condition=Ready', 'pod/grpc', '--timeout=120s'], {
    timeoutMs: 130_000,
  });
  expect(await node.must(['-n', namespace, 'logs', 'grpc', '-c', 'model'])).toContain('/grpc.health.v1.Health/Check');
  await node.must(['-n', namespace, 'delete', 'pod', 'grpc', '--wait=false']);
});

const loader = `
  setInterval(() => {
    const ask = (path) => require('node:http').request({ host: '127.0.0.1', port: 8000, path, method: 'POST',
      headers: { 'content-type': 'application/json' } }, (response) => {
        response.resume(); console.log(path + ' ' + response.statusCode);
      }).on('error', (error) => console.log(error.code)).end('{"lora_name":"a","lora_path":"/a"}');
    ask('/v1/load_lora_adapter');
  }, 500);`;

step('a known helper does what the policy opens to it, and what it does not is refused', async () => {
  const helper = (name: string, uid: number): string => `
  - name: ${name}
    image: ${node.images.tools}
    command: [node, -e, ${JSON.stringify(loader)}]
    securityContext: { runAsUser: ${uid} }`;
  await node.apply(`
apiVersion: v1
kind: Pod
metadata: { name: helped, namespace: ${namespace}, labels: { app: helped, sidegate.dev/inference: "true" } }
spec:
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 5
  containers:
  - name: model
    image: ${node.images.tools}
    command: [node, /app/model.js]
    ports: [{ containerPort: 8000 }]${helper('loader', 2_000)}${helper('other', 3_000)}
---
apiVersion: sidegate.dev/v1alpha1
kind: InferencePolicy
metadata: { name: helped, namespace: ${namespace} }
spec:
  selector: { matchLabels: { app: helped } }
  loopback: [{ runAsUser: 2000, operations: [Admin] }]
`);
  const last = async (container: string): Promise<string> =>
    (await node.must(['-n', namespace, 'logs', 'helped', '-c', container, '--tail=1'])).trim();
  const reached = async (): Promise<boolean> =>
    (await node.must(['-n', namespace, 'logs', 'helped', '-c', 'model'])).includes('/v1/load_lora_adapter');
  await node.must(['-n', namespace, 'wait', '--for=condition=Ready', 'pod/helped', '--timeout=120s'], {
    timeoutMs: 130_000,
  });
  await node.eventually(reached, 60_000);
  expect(await last('loader')).not.toMatch(/ 40[13]$/);
  expect(await last('other')).toMatch(/ 40[13]$/);
  await node.must(['-n', namespace, 'delete', 'pod/helped', 'inferencepolicy/helped', '--wait=false']);
});

step('a gateway is a pod without a model: it is ready, known by name, and refuses whom no rule allows', async () => {
  const { status, stdout } = await day.sidegate(
    ...['gateway', 'create', 'claude', '-n', namespace, '--url', 'https://api.example.invalid', '--replicas', '1'],
  );
  expect(status).toBe(0);
  await node.apply(stdout);
  await node.must(['-n', namespace, 'rollout', 'status', 'deployment/claude', '--timeout=150s'], {
    timeoutMs: 160_000,
  });
  let last = { status: 0, body: '' };
  await node.eventually(async () => {
    last = await day.curl(`https://claude.${namespace}.svc/v1/models`);
    return last.status !== 0 && !last.body.includes('no_policy');
  }, 60_000);
  expect([401, 403]).toContain(last.status);
  await node.must(['-n', namespace, 'delete', 'deployment/claude', '--wait=false']);
});

step(
  'an upgrade exchanges running sidecars in place, and no model is started anew',
  async () => {
    const facts = async (): Promise<{ name: string; image: string; model: string; restarts: number }[]> => {
      const { items } = JSON.parse(
        await node.must(['-n', namespace, 'get', 'pods', '-l', 'app=llama', '-o', 'json']),
      ) as {
        items: {
          metadata: { name: string };
          spec: { initContainers: { name: string; image: string }[] };
          status: { containerStatuses: { containerID: string; restartCount: number }[] };
        }[];
      };
      return items.map(({ metadata, spec, status }) => ({
        name: metadata.name,
        image: spec.initContainers.find(({ name }) => name === 'sidegate')?.image ?? '',
        model: status.containerStatuses[0]?.containerID ?? '',
        restarts: status.containerStatuses[0]?.restartCount ?? -1,
      }));
    };
    const before = await facts();
    const next = nextSidegateImage();
    await node.import(next);
    await day.install([
      ...values(),
      `image.tag=${next.reference.slice(next.reference.lastIndexOf(':') + 1)}`,
      `image.previous[0]=${node.images.sidegate}`,
      'controller.upgradeSidecars=true',
    ]);
    await node.eventually(async () => (await facts()).every(({ image }) => image === next.reference), 300_000);
    const after = await facts();
    expect(after.map(({ name, model, restarts }) => ({ name, model, restarts }))).toEqual(
      before.map(({ name, model, restarts }) => ({ name, model, restarts })),
    );
    await node.eventually(async () => (await day.chat('pii', { token })).status === 200, 120_000);
    await node.eventually(
      async () =>
        (await node.must([
          ...['-n', namespace, 'get', 'inferencepolicy', 'support'],
          ...['-o', 'jsonpath={.status.enforced} {.status.pods.outdated}'],
        ])) === '2/2 0',
      120_000,
    );
  },
  700_000,
);

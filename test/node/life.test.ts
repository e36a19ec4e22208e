import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { join } from 'node:path';
import { systemClock } from '../../pkg/base/index.ts';
import { controlPlane } from '../../pkg/contract/index.ts';
import { createAuthorityPair, writeAuthority } from '../../pkg/pki/index.ts';
import { createClusterAuthority } from '../cluster/certificates.ts';
import type { Pair } from '../cluster/certificates.ts';
import { runCommand } from '../cluster/command.ts';
import { nextSidegateImage } from '../cluster/images.ts';
import { isKept, startNode, stateFolder } from '../cluster/node.ts';
import type { ClusterNode } from '../cluster/node.ts';
import { planDay, system } from '../day/day.ts';
import type { Day } from '../day/day.ts';
import { startLoad } from '../day/load.ts';
import type { Load } from '../day/load.ts';
import { policy, workloads } from '../day/manifests.ts';

// What comes after the first day: certificates and authorities that change under load, helpers in the pod, probes of every kind, limits
// over all pods, gateways, and an upgrade of running sidecars. It has a cluster of its own, as install.test.ts.

process.env['CLUSTER_NETNS'] = 'sidegate-life';
process.env['KUBE_STATE'] = '/tmp/sidegate-life';
process.env['CGROUP_NAME'] = 'sidegate-life';

const wasUp = isKept(stateFolder());
const namespace = 'ml';
let node: ClusterNode;
let day: Day;
let token: string;

const step = (name: string, action: () => Promise<void>, limitMs = 240_000): void =>
  test(name, () => node.explained(system, () => node.explained(namespace, action)), limitMs);

/** Values of every installation of this file. */
const values = (): string[] => [
  `limitStore.url=rediss://store.${namespace}.svc:6379`,
  'limitStore.secretName=limit-store',
  'limitStore.ca=true',
  'helpers[0].name=loader',
  `helpers[0].images[0]=${node.images.tools}`,
  'helpers[0].runAsUser=2000',
];

const store = ({ cert, key }: Pair, ca: string): string => `
apiVersion: v1
kind: Secret
metadata: { name: limit-store, namespace: ${system} }
stringData: { password: of-the-store, ca.crt: ${JSON.stringify(ca)} }
---
apiVersion: v1
kind: Secret
metadata: { name: store-certificate, namespace: ${namespace} }
stringData: { tls.crt: ${JSON.stringify(cert)}, tls.key: ${JSON.stringify(key)} }
---
apiVersion: v1
kind: Pod
metadata: { name: store, namespace: ${namespace}, labels: { app: store } }
spec:
  automountServiceAccountToken: false
  containers:
  - name: store
    image: ${node.images.tools}
    command: [redis-server, --save, "", --appendonly, "no", --requirepass, of-the-store, --maxmemory-policy, noeviction]
    args: [--port, "0", --tls-port, "6379", --tls-auth-clients, "no", --tls-cert-file, /tls/tls.crt, --tls-key-file, /tls/tls.key]
    workingDir: /tmp
    readinessProbe: { tcpSocket: { port: 6379 }, periodSeconds: 1 }
    volumeMounts: [{ name: tls, mountPath: /tls, readOnly: true }]
  volumes: [{ name: tls, secret: { secretName: store-certificate } }]
---
apiVersion: v1
kind: Service
metadata: { name: store, namespace: ${namespace} }
spec: { selector: { app: store }, ports: [{ port: 6379 }] }
`;

/**
 * An authority that has six minutes left: what it signs lives no longer, so that two thirds of a certificate's life are over while this file
 * runs; and it is due to be followed by another one at once.
 */
async function endingAuthority(): Promise<void> {
  const minute = 60_000;
  const made = { ...systemClock, now: () => systemClock.now() - 60 * minute };
  const current = await createAuthorityPair(made, 66 * minute);
  await node.namespace(system);
  await node.apply(
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: controlPlane.authority, namespace: system },
      stringData: writeAuthority({ current, since: systemClock.now() }),
    }),
  );
}

beforeAll(async () => {
  node = await startNode();
  day = planDay(node, namespace);
  await node.namespace(namespace);
  await node.apply(workloads(namespace, node.images.tools));
  await endingAuthority();
  const authority = await createClusterAuthority('authority of the store');
  await node.apply(store(await authority.issue('store', [], [`store.${namespace}.svc`]), authority.cert));
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

/** Until both pods enforce the policy as it is now. */
const enforced = (): Promise<void> =>
  node.eventually(async () => {
    const [count, observed, now] = (
      await node.must([
        ...['-n', namespace, 'get', 'inferencepolicy', 'support'],
        ...['-o', 'jsonpath={.status.enforced} {.status.observedGeneration} {.metadata.generation}'],
      ])
    ).split(' ');
    return count === '2/2' && observed === now;
  });

/** Names of the model's pods that show a certificate of this authority. */
async function servedBy(authority: string): Promise<readonly string[]> {
  await node.put(namespace, 'pod/caller', '/tmp/one.pem', authority);
  const models = await day.models();
  const served = await Promise.all(
    models.map(async ({ name, ip }) => {
      const { status } = await node.exec(namespace, 'pod/caller', [
        ...['curl', '-sS', '--max-time', '10', '--cacert', '/tmp/one.pem', '-o', '/dev/null'],
        ...['--connect-to', `llama.${namespace}.svc:443:${ip}:8000`, `https://llama.${namespace}.svc/v1/models`],
      ]);
      return status === 0 ? [name] : [];
    }),
  );
  return served.flat();
}

/** The authority's Secret, one value of it. */
const authorityPart = async (part: string): Promise<string> =>
  Buffer.from(
    await node.must([
      '-n',
      system,
      'get',
      'secret',
      controlPlane.authority,
      '-o',
      `jsonpath={.data.${part.replace('.', '\\.')}}`,
    ]),
    'base64',
  ).toString('utf8');

/** As if the last step of its rotation had been so long ago: nobody can wait for two days here. */
async function letPass(hours: number): Promise<void> {
  const since = Buffer.from(new Date(Date.now() - hours * 3_600_000).toISOString()).toString('base64');
  await node.must([
    ...['-n', system, 'patch', 'secret', controlPlane.authority, '--type=merge'],
    ...['-p', JSON.stringify({ data: { since } })],
  ]);
}

let load: Load;
let second: string;

step('under load a certificate changes with its names, and another authority begins to sign', async () => {
  load = startLoad(node, namespace, token);
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
  second = await authorityPart('next.crt');
  expect(second).toContain('BEGIN CERTIFICATE');
  await letPass(49);
  await node.eventually(async () => (await authorityPart('previous.crt')) !== '', 90_000);
  expect(await authorityPart('ca.crt')).toBe(second);
});

const grpcModel = `
  require('node:http2').createServer().on('stream', (stream, headers) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(Buffer.from([0, 0, 0, 0, 2, 8, 1]));
    console.log(headers[':path']);
  }).listen(8001);`;

/** It serves /ready over TLS, with a certificate that nobody trusts, and /health in plain text. */
const tlsModel = `
  const answer = (request, response) => { console.log(request.url); response.end('ok'); };
  require('node:https').createServer({ cert: process.env.CERT, key: process.env.KEY }, answer).listen(8443);
  require('node:http').createServer(answer).listen(8000);`;

step('the kubelet probes a model by gRPC and HTTPS, through the sidecar, and by exec', async () => {
  const { cert, key } = await (await createClusterAuthority('nobody')).issue('model', [], ['localhost']);
  await node.apply(`
apiVersion: v1
kind: Pod
metadata: { name: probed, namespace: ${namespace}, labels: { app: probed, sidegate.dev/inference: "true" } }
spec:
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 5
  containers:
  - name: model
    image: ${node.images.tools}
    command: [node, -e, ${JSON.stringify(tlsModel)}]
    env: [{ name: CERT, value: ${JSON.stringify(cert)} }, { name: KEY, value: ${JSON.stringify(key)} }]
    ports: [{ containerPort: 8443 }, { containerPort: 8000 }]
    startupProbe: { exec: { command: [curl, -sf, "http://127.0.0.1:8000/health"] }, periodSeconds: 1, failureThreshold: 100 }
    readinessProbe: { httpGet: { scheme: HTTPS, path: /ready, port: 8443 }, periodSeconds: 1 }
---
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
  await node.must(['-n', namespace, 'wait', '--for=condition=Ready', 'pod/grpc', 'pod/probed', '--timeout=120s'], {
    timeoutMs: 130_000,
  });
  const log = await node.must(['-n', namespace, 'logs', 'probed', '-c', 'model']);
  expect(log).toContain('/health\n');
  expect(log).toContain('/ready\n');
  expect(await node.must(['-n', namespace, 'logs', 'grpc', '-c', 'model'])).toContain('/grpc.health.v1.Health/Check');
  await node.must(['-n', namespace, 'delete', 'pod/grpc', 'pod/probed', '--wait=false']);
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
    securityContext: { runAsUser: 1000 }
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

step('a limit over all pods is counted in the store that the chart names', async () => {
  const few = `
  - name: few
    effect: Allow
    subjects: [{ subject: "system:serviceaccount:${namespace}:default" }]
    operations: [Chat]
    limits: { requestsPerMinute: 4, scope: Policy }`;
  await node.apply(policy(namespace, { operations: ['Chat', 'ListModels'], rules: few }));
  await enforced();
  const its = await day.token('inference', 'default');
  const began = performance.now();
  let passed = 0;
  const ask = async (ip: string): Promise<number> => {
    const { status } = await day.curl(
      ...[
        '--connect-to',
        `llama.${namespace}.svc:443:${ip}:8000`,
        `https://llama.${namespace}.svc/v1/chat/completions`,
      ],
      ...['-H', `authorization: Bearer ${its}`, '-H', 'content-type: application/json'],
      ...['-d', '{"model":"llama-3","messages":[{"role":"user","content":"hi"}]}'],
    );
    if (status === 200) passed++;
    return status;
  };
  const models = await day.models();
  // Until each has its connection: without one it refuses (503), and takes nothing from the budget.
  for (const { ip } of models) await node.eventually(async () => [200, 429].includes(await ask(ip)));
  for (let turn = 0; turn < 4; turn++) for (const { ip } of models) expect([200, 429]).toContain(await ask(ip));
  expect(passed).toBeGreaterThanOrEqual(4);
  // One comes back in 15 s. Two pods that each counted for themselves would let eight pass.
  expect(passed).toBeLessThanOrEqual(4 + Math.floor((performance.now() - began) / 15_000));
});

step(
  'every certificate is renewed at two thirds of its life, the first authority goes, and no request has failed',
  async () => {
    await node.eventually(async () => (await servedBy(second)).length === 2, 400_000);
    await letPass(26);
    await node.eventually(async () => (await authorityPart('previous.crt')) === '', 90_000);
    await node.eventually(
      async () =>
        (
          await node.must([
            ...['-n', system, 'get', 'configmap', controlPlane.trust],
            ...['-o', 'jsonpath={.data.ca\\.crt}'],
          ])
        ).trim() === second.trim(),
    );
    // The streams go on: an edit is enforced by all.
    await node.apply(policy(namespace, { operations: ['Chat', 'ListModels'] }));
    await enforced();
    const { asked, failed } = await load.stop();
    expect(failed).toEqual([]);
    expect(asked).toBeGreaterThan(50);
  },
  600_000,
);

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

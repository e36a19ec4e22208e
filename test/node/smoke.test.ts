import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startNode } from '../cluster/node.ts';
import type { ClusterNode } from '../cluster/node.ts';

// The image in plain pods: a sidecar process in front of a scripted model, its policy from a ConfigMap, its callers proven
// by the cluster's own service account tokens, called over TLS by name from a third pod.

// Of this run alone: two runs at once share one cluster.
const namespace = `smoke-${process.pid}`;
let node: ClusterNode;
let token: string;

const policy = `
apiVersion: sidegate.dev/v1alpha1
kind: InferencePolicy
metadata: { name: smoke, namespace: ${namespace} }
spec:
  identity:
    providers:
    - name: cluster
      serviceAccount: { issuer: "https://kubernetes.default.svc", audiences: [inference],
                        jwksUri: "http://127.0.0.1:9401/jwks.json", allowInsecureLoopback: true }
  access:
  - name: callers
    effect: Allow
    subjects: [{ subject: "system:serviceaccount:${namespace}:caller" }]
    operations: [Chat, ListModels]
  classification:
  - label: confidential
    detectors: [Pii]
    otherwise: Mask
`;

const indent = (text: string): string => text.trim().replaceAll('\n', '\n    ');

const manifests = (images: ClusterNode['images'], keys: string): string => `
apiVersion: v1
kind: ServiceAccount
metadata: { name: caller, namespace: ${namespace} }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: policy, namespace: ${namespace} }
data:
  policy.yaml: |
    ${indent(policy)}
---
apiVersion: v1
kind: ConfigMap
metadata: { name: keys, namespace: ${namespace} }
data: { jwks.json: '${keys}' }
---
apiVersion: v1
kind: Pod
metadata: { name: model, namespace: ${namespace}, labels: { app: model } }
spec:
  containers:
  - name: model
    image: ${images.tools}
    command: [node, /app/model.js]
    ports: [{ containerPort: 8000 }]
    readinessProbe: { tcpSocket: { port: 8000 }, periodSeconds: 1 }
---
apiVersion: v1
kind: Service
metadata: { name: model, namespace: ${namespace} }
spec: { selector: { app: model }, ports: [{ port: 8000 }] }
---
apiVersion: v1
kind: Pod
metadata: { name: sidecar, namespace: ${namespace}, labels: { app: sidecar } }
spec:
  automountServiceAccountToken: false
  securityContext: { runAsNonRoot: true, fsGroup: 61337, seccompProfile: { type: RuntimeDefault } }
  containers:
  - name: sidecar
    image: ${images.sidegate}
    args:
    - sidecar
    - --policy=/policy
    - --upstream=http://model.${namespace}.svc:8000
    - --listen=0.0.0.0:8443
    - --admin=0.0.0.0:9090
    - --data=/state
    - --names=sidecar.${namespace}.svc
    securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: [ALL] } }
    readinessProbe: { httpGet: { path: /readyz, port: 9090 }, periodSeconds: 1 }
    livenessProbe: { httpGet: { path: /healthz, port: 9090 } }
    volumeMounts:
    - { name: policy, mountPath: /policy }
    - { name: state, mountPath: /state }
  # The cluster's keys, as it publishes them, on loopback.
  - name: keys
    image: ${images.tools}
    # As the first process of its container httpd would ignore SIGTERM.
    command: [sh, -c, "trap 'exit 0' TERM; busybox httpd -f -p 127.0.0.1:9401 -h /keys & wait"]
    securityContext: { runAsUser: 65534, allowPrivilegeEscalation: false, capabilities: { drop: [ALL] } }
    volumeMounts: [{ name: keys, mountPath: /keys }]
  volumes:
  - { name: policy, configMap: { name: policy } }
  - { name: state, emptyDir: { medium: Memory } }
  - { name: keys, configMap: { name: keys } }
---
apiVersion: v1
kind: Service
metadata: { name: sidecar, namespace: ${namespace} }
spec: { selector: { app: sidecar }, ports: [{ port: 443, targetPort: 8443 }] }
---
apiVersion: v1
kind: Pod
metadata: { name: caller, namespace: ${namespace} }
spec:
  serviceAccountName: caller
  terminationGracePeriodSeconds: 1
  containers: [{ name: caller, image: "${images.tools}", command: [sleep, "100000"] }]
`;

beforeAll(async () => {
  node = await startNode();
  await node.namespace(namespace);
  await node.explained(namespace, async () => {
    await node.apply(manifests(node.images, await node.must(['get', '--raw', '/openid/v1/jwks'])));
    await node.must(['-n', namespace, 'wait', '--for=condition=Ready', 'pod', '--all', '--timeout=90s']);
    token = (await node.must(['-n', namespace, 'create', 'token', 'caller', '--audience=inference'])).trim();
    // What a caller trusts; a person would take it from the state folder by `sidegate ca`.
    const ca = await inSidecar("process.stdout.write(require('node:fs').readFileSync('/state/ca.pem'))");
    await node.put(namespace, 'pod/caller', '/tmp/ca.pem', ca);
    // kube-proxy follows a pod's readiness after a moment.
    await node.eventually(async () => (await curl(url)).status !== 0);
    const reach = `require('node:net').connect(8000, 'model.${namespace}.svc')
      .on('connect', function () { process.stdout.write('reached'); this.destroy(); })
      .on('error', () => process.stdout.write('not yet'))`;
    await node.eventually(async () => (await inSidecar(reach)) === 'reached');
  });
}, 300_000);

afterAll(async () => {
  await node.removeNamespace(namespace);
}, 120_000);

/** The image has no shell: what is asked of its inside is asked of Node. */
async function inSidecar(program: string): Promise<string> {
  const { status, stdout, stderr } = await node.exec(namespace, 'pod/sidecar', ['node', '-e', program], {
    container: 'sidecar',
  });
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

const url = `https://sidecar.${namespace}.svc`;

async function curl(...args: readonly string[]): Promise<{ status: number; body: string }> {
  const { stdout, stderr } = await node.exec(namespace, 'pod/caller', [
    ...['curl', '-sS', '--max-time', '20', '--cacert', '/tmp/ca.pem', '-w', '\n%{http_code}'],
    ...args,
  ]);
  const lines = stdout.split('\n');
  const status = Number(lines.pop());
  // Not an answer: no connection, or a certificate that does not fit.
  return { status, body: status === 0 ? stderr : lines.join('\n') };
}

const ask = (script: string, more: object = {}): readonly string[] => [
  ...['-H', 'content-type: application/json', '-d'],
  JSON.stringify({ model: 'llama-3', messages: [{ role: 'user', content: `script:${script}` }], ...more }),
  `${url}/v1/chat/completions`,
];
const bearer = (value: string): readonly string[] => ['-H', `authorization: Bearer ${value}`];

/** Requests that reached the model so far. */
async function modelSaw(): Promise<readonly { readonly path: string; readonly headers: Record<string, string> }[]> {
  const log = await node.must(['-n', namespace, 'logs', 'model']);
  return log
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => JSON.parse(line) as { path: string; headers: Record<string, string> });
}

describe('the image in a pod', () => {
  test(
    'answers over TLS by its Service name, and masks',
    () =>
      node.explained(namespace, async () => {
        const { status, body } = await curl(...bearer(token), ...ask('pii'));
        expect(status).toBe(200);
        expect(body).toContain('"role":"assistant"');
        expect(body).not.toContain('ana.lopez@example.com');
        expect(body).not.toContain('536-90-4399');
      }),
    60_000,
  );

  test(
    'masks while it streams',
    () =>
      node.explained(namespace, async () => {
        const { status, body } = await curl('-N', ...bearer(token), ...ask('pii', { stream: true }));
        expect(status).toBe(200);
        expect(body).toContain('data: [DONE]');
        const text = [...body.matchAll(/"content":"((?:[^"\\]|\\.)*)"/g)].map(([, piece]) => piece).join('');
        expect(text).not.toContain('ana.lopez@example.com');
        expect(text).not.toContain('536-90-4399');
        expect(text.length).toBeGreaterThan(20);
      }),
    60_000,
  );

  test(
    'is called with the OpenAI client, which trusts the published root',
    () =>
      node.explained(namespace, async () => {
        const program = `
        import OpenAI from 'openai';
        const client = new OpenAI({ baseURL: '${url}/v1', apiKey: process.argv[1], maxRetries: 0 });
        const answer = await client.chat.completions.create({ model: 'llama-3', messages: [{ role: 'user', content: 'hi' }] });
        process.stdout.write(answer.choices[0].message.content);`;
        const { status, stdout, stderr } = await node.exec(namespace, 'pod/caller', [
          ...['env', 'NODE_EXTRA_CA_CERTS=/tmp/ca.pem', 'node', '--input-type=module', '-e', program, token],
        ]);
        expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
        expect(stdout).toContain('ello');
      }),
    60_000,
  );

  test.each([
    ['nobody', 401, () => Promise.resolve([])],
    ['a forged token', 401, () => Promise.resolve(bearer(`${token.slice(0, -4)}AAAA`))],
    ['a token of another audience', 401, async () => bearer(await mint('caller', 'elsewhere'))],
    ['another service account', 403, async () => bearer(await mint('default', 'inference'))],
  ])(
    'refuses %s with %i, and the model sees nothing',
    async (_, expected, credentials) =>
      node.explained(namespace, async () => {
        const before = (await modelSaw()).length;
        const { status, body } = await curl(...(await credentials()), ...ask('pii'));
        expect({ status, body }).toMatchObject({ status: expected, body: expect.stringContaining('"error"') });
        expect(await modelSaw()).toHaveLength(before);
      }),
    60_000,
  );

  test(
    "the caller's token does not reach the model",
    () =>
      node.explained(namespace, async () => {
        await curl(...bearer(token), ...ask('pii'));
        const seen = await modelSaw();
        expect(seen.length).toBeGreaterThan(0);
        expect(JSON.stringify(seen)).not.toContain(token.slice(-40));
      }),
    60_000,
  );

  test(
    'refuses plain HTTP with words',
    () =>
      node.explained(namespace, async () => {
        const { status, body } = await curl(`http://sidecar.${namespace}.svc:443/v1/models`);
        expect(status).toBe(426);
        expect(body).toMatch(/TLS|https/);
      }),
    60_000,
  );

  test(
    'runs as 61337 on a read-only root without capabilities, under seccomp',
    () =>
      node.explained(namespace, async () => {
        const facts = JSON.parse(
          await inSidecar(`
        const { readFileSync, writeFileSync } = require('node:fs');
        const status = Object.fromEntries(readFileSync('/proc/1/status', 'utf8').split('\\n').map((l) => l.split(':\\t')));
        const write = (path) => { try { writeFileSync(path, ''); return 'written'; } catch (e) { return e.code; } };
        console.log(JSON.stringify({ uid: process.getuid(), gid: process.getgid(), seccomp: status.Seccomp, effective: status.CapEff,
          privileges: status.NoNewPrivs, root: write('/new'), app: write('/app/new'), state: write('/state/new') }))`),
        ) as unknown;
        expect(facts).toEqual({
          uid: 61_337,
          gid: 61_337,
          seccomp: '2',
          effective: '0000000000000000',
          privileges: '1',
          root: 'EROFS',
          app: 'EROFS',
          state: 'written',
        });
      }),
    60_000,
  );

  test(
    'a new policy in the ConfigMap is enforced without a restart',
    () =>
      node.explained(namespace, async () => {
        const changed = policy.replace('operations: [Chat, ListModels]', 'operations: [ListModels]');
        await node.must([
          '-n',
          namespace,
          'patch',
          'configmap',
          'policy',
          '--type=merge',
          '-p',
          JSON.stringify({ data: { 'policy.yaml': changed } }),
        ]);
        // The kubelet looks at ConfigMaps about once a minute; a change of the pod's metadata makes it look now.
        await node.must(['-n', namespace, 'annotate', 'pod', 'sidecar', 'looked-at=now', '--overwrite']);
        await node.eventually(async () => (await curl(...bearer(token), ...ask('pii'))).status === 403, 100_000);
        expect(
          await node.must([
            '-n',
            namespace,
            'get',
            'pod',
            'sidecar',
            '-o',
            'jsonpath={.status.containerStatuses[0].restartCount}',
          ]),
        ).toBe('0');
      }),
    150_000,
  );

  test(
    'stops at SIGTERM by itself, long before it would be killed',
    () =>
      node.explained(namespace, async () => {
        const start = performance.now();
        await node.must(['-n', namespace, 'delete', 'pod', 'sidecar', '--grace-period=60', '--timeout=50s']);
        expect(performance.now() - start).toBeLessThan(20_000);
      }),
    90_000,
  );
});

const mint = async (account: string, audience: string): Promise<string> =>
  (await node.must(['-n', namespace, 'create', 'token', account, `--audience=${audience}`])).trim();

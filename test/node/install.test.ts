import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { join } from 'node:path';
import { runCommand } from '../cluster/command.ts';
import { isKept, startNode, stateFolder } from '../cluster/node.ts';
import type { ClusterNode } from '../cluster/node.ts';
import { startLoad } from '../day/load.ts';
import { planDay, secrets, streamedText, system } from '../day/day.ts';
import type { Day } from '../day/day.ts';
import { stopwatch } from '../support/wait.ts';
import { policy, workloads } from '../day/manifests.ts';

// The user's day on a real node: the chart installed by Helm with the image of these sources, a Deployment labelled, a policy written,
// callers over TLS. It has a cluster of its own: an installed Sidegate governs the whole of it.

process.env['CLUSTER_NETNS'] = 'sidegate-install';
process.env['KUBE_STATE'] = '/tmp/sidegate-install';
process.env['CGROUP_NAME'] = 'sidegate-install';

const wasUp = isKept(stateFolder());

const namespace = 'ml';
let node: ClusterNode;
let day: Day;
let token: string;

/** A pod that asks to be governed, as a kubelet too may read it. */
const labelled = (name: string): string => `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, namespace: ${namespace}, labels: { app: ungoverned, sidegate.dev/inference: "true" } }
spec:
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 1
  containers:
  - name: model
    image: ${node.images.tools}
    command: [node, /app/model.js]
    ports: [{ name: http, containerPort: 8000 }]
`;

/** If it fails, both namespaces' logs and events go to a file. */
const explained = <T>(action: () => Promise<T>): Promise<T> =>
  node.explained(system, () => node.explained(namespace, action));
const step = (name: string, action: () => Promise<void>, limitMs = 180_000): void =>
  test(name, () => explained(action), limitMs);

beforeAll(async () => {
  node = await startNode();
  day = planDay(node, namespace);
  await node.namespace(namespace);
  await node.apply(workloads(namespace, node.images.tools));
  await node.apply(labelled('early'));
  await node.explained(system, () => day.install());
  await node.must(['-n', namespace, 'wait', '--for=condition=Ready', 'pod', '--all', '--timeout=90s']);
}, 400_000);

afterAll(async () => {
  if (!wasUp) await runCommand(join(import.meta.dirname, '../cluster/down.sh'), []);
}, 120_000);

describe('installed', () => {
  step(
    'helm test passes',
    async () => {
      const { status, stdout, stderr } = await node.helm(['test', 'sidegate', '-n', system, '--logs'], {
        timeoutMs: 320_000,
      });
      expect({ status, stdout, stderr }).toMatchObject({ status: 0 });
    },
    330_000,
  );

  step('pods without the label are left alone', async () => {
    const [one] = await day.models();
    const names = await node.must([
      ...['-n', namespace, 'get', 'pod', one?.name ?? '', '-o', 'jsonpath={.spec.initContainers[*].name}'],
    ]);
    expect(names).toBe('');
  });
});

describe('what admission did not reach', () => {
  step('is named by check, by status and by Events: pods that are older, and static pods', async () => {
    const remove = node.staticPod?.('fixed', labelled('fixed'));
    await node.apply(`
apiVersion: sidegate.dev/v1alpha1
kind: InferencePolicy
metadata: { name: ungoverned, namespace: ${namespace} }
spec: { selector: { matchLabels: { app: ungoverned } } }
`);
    const names = async (): Promise<string> =>
      node.must(['-n', namespace, 'get', 'pods', '-l', 'app=ungoverned', '-o', 'name']);
    const fixed = remove === undefined ? '' : 'fixed-';
    await node.eventually(async () => (await names()).includes(fixed));
    const status = (): Promise<string> =>
      node.must(['-n', namespace, 'get', 'inferencepolicy', 'ungoverned', '-o', 'jsonpath={.status.conditions}']);
    await node.eventually(async () => {
      const said = await status();
      return said.includes(`${namespace}/early. Delete them`) && said.includes(fixed);
    });
    expect(await status()).toMatch(/"type":"PodsWithoutSidecar"/);
    const { status: code, stdout } = await day.sidegate('check');
    expect({ code, stdout }).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(new RegExp(`^fail +sidecars .*${namespace}/early$`, 'm')),
    });
    await node.eventually(async () => {
      const events = await node.must([
        ...['-n', namespace, 'get', 'events', '--field-selector=reason=SidecarMissing'],
        ...['-o', 'jsonpath={.items[*].involvedObject.name}'],
      ]);
      return events.includes('early') && events.includes(fixed);
    });
    if (remove !== undefined) {
      expect(await status()).toMatch(/static pods: ml\/fixed-\S+\. Run the model from a Deployment/);
      expect(stdout).toMatch(/^fail +static pods .*ml\/fixed-/m);
      // It runs, and nobody stands before it.
      const [, ip] = (
        await node.must([
          ...['-n', namespace, 'get', 'pods', '-l', 'app=ungoverned'],
          ...['-o', 'jsonpath={range .items[*]}{.metadata.name} {.status.podIP}{"\\n"}{end}'],
        ])
      )
        .split('\n')
        .map((line) => line.split(' '))
        .find(([name]) => name?.startsWith(fixed)) as [string, string];
      expect((await day.curl(`http://${ip}:8000/v1/models`)).status).toBe(200);
    }
    remove?.();
    await node.must(['-n', namespace, 'delete', 'inferencepolicy/ungoverned', 'pod/early']);
    await node.eventually(async () => (await names()) === '');
  });
});

describe('a labelled Deployment', () => {
  step(
    'gets the sidecar, and becomes ready',
    async () => {
      const { status, stdout } = await day.sidegate('enable', '-n', namespace, 'deployment/llama');
      expect({ status, stdout }).toMatchObject({ status: 0, stdout: expect.stringContaining('"true"') });
      await node.must(['-n', namespace, 'rollout', 'status', 'deployment/llama', '--timeout=120s'], {
        timeoutMs: 130_000,
      });
      for (const { name } of await day.models()) {
        const pod = await node.must([
          ...['-n', namespace, 'get', 'pod', name, '-o', 'jsonpath={.spec.initContainers[*].name}'],
        ]);
        expect(pod).toBe('sidegate-init sidegate');
      }
    },
    180_000,
  );

  step(
    'is called over TLS by its Service name with the published root, and refuses everything without a policy',
    async () => {
      expect(await day.trust()).toContain('BEGIN CERTIFICATE');
      await node.eventually(async () => (await day.chat('pii')).status !== 0);
      const { status, body } = await day.chat('pii');
      expect({ status, body }).toMatchObject({ status: 403, body: expect.stringContaining('no_policy') });
      expect(await day.modelSaw()).not.toContainEqual(expect.objectContaining({ path: '/v1/chat/completions' }));
    },
  );

  step('its namespace is marked, and carries the root for callers', async () => {
    await node.eventually(
      async () =>
        (await node.must([
          'get',
          'namespace',
          namespace,
          '-o',
          'jsonpath={.metadata.labels.sidegate\\.dev/governed}',
        ])) !== '',
    );
    expect((await day.sidegate('ca', '-n', namespace)).stdout).toBe((await day.sidegate('ca')).stdout);
  });

  step('refuses plain HTTP with words, at its Service and at the pod itself', async () => {
    const [one] = await day.models();
    for (const origin of [`http://llama.${namespace}.svc:443`, `http://${one?.ip ?? ''}:8000`]) {
      const { status, body } = await day.curl(`${origin}/v1/models`);
      expect({ origin, status, body }).toMatchObject({ status: 426, body: expect.stringMatching(/TLS|https/) });
    }
  });
});

describe('a policy', () => {
  step('is enforced by every pod within seconds, and status says so', async () => {
    await node.apply(policy(namespace, { operations: ['Chat', 'ListModels'] }));
    await node.eventually(
      async () =>
        (await node.must([
          '-n',
          namespace,
          'get',
          'inferencepolicy',
          'support',
          '-o',
          'jsonpath={.status.enforced}',
        ])) === '2/2',
    );
    token = await day.token();
    await node.eventually(async () => (await day.chat('pii', { token })).status === 200);
  });

  step('masks answers and streams', async () => {
    for (const stream of [false, true]) {
      const { status, body } = await day.chat('pii', { token, stream });
      expect(status).toBe(200);
      for (const secret of secrets) {
        expect(body).not.toContain(secret);
        expect(streamedText(body)).not.toContain(secret);
      }
      expect(streamedText(body).length).toBeGreaterThan(20);
    }
  });

  step("serves the OpenAI client, and the model never sees the caller's token", async () => {
    const program = `
      import OpenAI from 'openai';
      const client = new OpenAI({ baseURL: 'https://llama.${namespace}.svc/v1', apiKey: process.argv[1], maxRetries: 0 });
      const answer = await client.chat.completions.create({ model: 'llama-3', messages: [{ role: 'user', content: 'hi' }] });
      process.stdout.write(answer.choices[0].message.content);`;
    const { status, stdout, stderr } = await node.exec(namespace, 'pod/caller', [
      ...['env', 'NODE_EXTRA_CA_CERTS=/tmp/ca.pem', 'node', '--input-type=module', '-e', program, token],
    ]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toContain('ello');
    const seen = await day.modelSaw();
    expect(seen.length).toBeGreaterThan(0);
    expect(JSON.stringify(seen)).not.toContain(token.slice(-40));
  });

  step('refuses nobody, strangers, forged tokens and other audiences', async () => {
    const cases: readonly [string, number, string | undefined][] = [
      ['nobody', 401, undefined],
      ['forged', 401, `${token.slice(0, -4)}AAAA`],
      ['another audience', 401, await day.token('elsewhere')],
      ['another account', 403, await day.token('inference', 'default')],
    ];
    for (const [who, expected, credential] of cases) {
      const { status } = await day.chat('pii', credential === undefined ? {} : { token: credential });
      expect({ who, status }).toEqual({ who, status: expected });
    }
  });

  step('that changes is enforced in the running pods within seconds', async () => {
    const before = await day.models();
    await node.apply(policy(namespace, { operations: ['ListModels'] }));
    const watch = stopwatch();
    await node.eventually(async () => (await day.chat('pii', { token })).status === 403);
    // Seconds on an idle machine, where a try is one; without the watch it would be minutes.
    expect(watch.stop()).toBeLessThan(30_000);
    expect(await day.models()).toEqual(before);
    await node.eventually(
      async () =>
        (await node.must([
          ...['-n', namespace, 'get', 'inferencepolicy', 'support'],
          ...['-o', 'jsonpath={.status.enforced} {.status.observedGeneration}'],
        ])) === '2/2 2',
    );
    await node.apply(policy(namespace, { operations: ['Chat', 'ListModels'] }));
    await node.eventually(async () => (await day.chat('pii', { token })).status === 200);
  });

  step('that is nonsense is refused with what to do', async () => {
    const bad = policy(namespace, { operations: ['Chat'] }).replace('detectors: [Secrets]', 'patterns: ["(?=x)"]');
    await expect(node.apply(bad)).rejects.toThrow(/RE2|regexp|Perl syntax/);
  });
});

describe('a rollout', () => {
  step('loses no request, and none where kube-proxy leads callers to an old pod for ten seconds more', async () => {
    const before = await day.models();
    const load = startLoad(node, namespace, token);
    await node.must(['-n', namespace, 'rollout', 'restart', 'deployment/llama']);
    await node.eventually(async () => {
      const now = new Set((await day.models()).map(({ name }) => name));
      return before.some(({ name }) => !now.has(name));
    });
    // What a busy node does. On somebody's cluster kube-proxy is left alone.
    const thaw = node.freeze?.('kube-proxy');
    await new Promise((resolve) => setTimeout(resolve, 10_000));
    thaw?.();
    await node.must(['-n', namespace, 'rollout', 'status', 'deployment/llama', '--timeout=90s']);
    const left = async (): Promise<string> =>
      node.must(['-n', namespace, 'get', 'pods', '-l', 'app=llama', '-o', 'name']);
    await node.eventually(async () => (await left()).trim().split('\n').length === 2);
    const { asked, failed } = await load.stop();
    expect(failed).toEqual([]);
    expect(asked).toBeGreaterThan(50);
  });
});

describe('where Pod Security is restricted', () => {
  const strict = 'ml-strict';
  const pod = (name: string, host: string): string => `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, namespace: ${strict}, labels: { app: ${name}, sidegate.dev/inference: "true" } }
spec:
  automountServiceAccountToken: false
  securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: RuntimeDefault } }
  containers:
  - name: model
    image: ${node.images.tools}
    command: [node, /app/model.js, "8000", ${host}]
    ports: [{ name: http, containerPort: 8000 }]
    securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: [ALL] } }
---
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: ${strict} }
spec: { selector: { app: ${name} }, ports: [{ port: 443, targetPort: http }] }
`;
  const strictly = (name: string, action: () => Promise<void>): void =>
    step(name, () => node.explained(strict, action), 150_000);

  strictly('a model on loopback is governed by the name of its port', async () => {
    await day.install([`sidecar.captureModes.${strict}=NamedPort`]);
    await node.namespace(strict, { 'pod-security.kubernetes.io/enforce': 'restricted' });
    // Until the last webhook with the old values has ended.
    await node.eventually(async () => {
      await node.apply(pod('shut', '127.0.0.1'));
      return true;
    }, 120_000);
    await node.must(['-n', strict, 'wait', '--for=condition=Ready', 'pod/shut', '--timeout=60s']);
    let last = { status: 0, body: '' };
    await node.eventually(async () => (last = await day.curl(`https://shut.${strict}.svc/v1/models`)).status !== 0);
    expect(last).toMatchObject({ status: 403, body: expect.stringContaining('no_policy') });
    const ip = await node.must(['-n', strict, 'get', 'pod', 'shut', '-o', 'jsonpath={.status.podIP}']);
    expect((await day.curl(`http://${ip}:8000/v1/models`)).status).toBe(0);
    // The kubelet dials the pod's loopback, where this model listens with nobody before it.
    const forward = await node.kubectl(['-n', strict, 'port-forward', 'pod/shut', ':8000'], { timeoutMs: 20_000 });
    expect(forward).toMatchObject({ status: 1, stderr: expect.stringContaining('[portforward]') });
  });

  strictly('a model that listens to all is taken out of service', async () => {
    await node.apply(pod('open', '0.0.0.0'));
    const ready = (): Promise<string> =>
      node.must([
        ...['-n', strict, 'get', 'pod', 'open'],
        ...[
          '-o',
          'jsonpath={.status.initContainerStatuses[0].started} {.status.conditions[?(@.type=="Ready")].status}',
        ],
      ]);
    // It may be ready for the two seconds until the sidecar looks again.
    await node.eventually(
      async () => /open past the sidecar/.test(await logOf()) && (await ready()) === 'true False',
      60_000,
    );
    for (let look = 0; look < 5; look++) {
      expect(await ready()).toBe('true False');
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
    await node.removeNamespace(strict);
  });
  const logOf = (): Promise<string> => node.must(['-n', strict, 'logs', 'open', '-c', 'sidegate']);
});

describe('ways round', () => {
  step('exec, port-forward and the proxy verb into a governed pod are refused', async () => {
    const [one] = await day.models();
    const pod = one?.name ?? '';
    const exec = await node.exec(namespace, `pod/${pod}`, ['true'], { container: 'model' });
    expect(exec).toMatchObject({ status: 1, stderr: expect.stringContaining('sidegate') });
    const proxy = await node.kubectl([
      'get',
      '--raw',
      `/api/v1/namespaces/${namespace}/pods/${pod}:8000/proxy/v1/models`,
    ]);
    expect(proxy).toMatchObject({ status: 1, stderr: expect.stringContaining('sidegate') });
    // The caller's pod, which is not governed, in the same namespace is free.
    expect((await node.exec(namespace, 'pod/caller', ['true'])).status).toBe(0);
  });

  step('the label cannot be taken from a running pod', async () => {
    const [one] = await day.models();
    const { status, stderr } = await node.kubectl([
      '-n',
      namespace,
      'label',
      'pod',
      one?.name ?? '',
      'sidegate.dev/inference-',
    ]);
    expect({ status, stderr }).toMatchObject({ status: 1, stderr: expect.stringContaining('sidegate') });
  });
});

describe('the control plane', () => {
  step('was refused nothing by the API server: its roles are enough', async () => {
    const pods = await node.must([
      '-n',
      system,
      'get',
      'pods',
      '-l',
      'app.kubernetes.io/component in (controller, webhook)',
      '-o',
      'jsonpath={.items[*].metadata.name}',
    ]);
    for (const pod of pods.split(' ')) {
      const metrics = await node.must(['get', '--raw', `/api/v1/namespaces/${system}/pods/${pod}:8080/proxy/metrics`]);
      expect(metrics).toContain('sidegate_');
      expect(metrics).not.toMatch(/^sidegate_api_calls_total\{.*status="403"/m);
    }
  });
});

describe('check', () => {
  step('finds nothing that failed', async () => {
    const { status, stdout } = await day.sidegate('check');
    expect({ status, stdout }).toMatchObject({ status: 0, stdout: expect.stringContaining('0 failed') });
  });
});

describe('removed', () => {
  step(
    'leaves no webhook behind, keeps the policies, and running pods go on',
    async () => {
      expect(await day.uninstall()).toMatchObject({ status: 0 });
      const left = await node.must([
        ...['get', 'mutatingwebhookconfigurations,validatingwebhookconfigurations', '-o', 'name'],
        ...['-l', 'app.kubernetes.io/part-of=sidegate'],
      ]);
      expect(left).toBe('');
      expect(await node.must(['-n', namespace, 'get', 'inferencepolicy', 'support', '-o', 'name'])).toContain(
        'support',
      );
      expect((await day.chat('pii', { token })).status).toBe(200);
      await node.must([
        '-n',
        namespace,
        'run',
        'free',
        `--image=${node.images.tools}`,
        '--labels=sidegate.dev/inference=true',
        '--',
        'true',
      ]);
    },
    180_000,
  );
});

describe('installed again', () => {
  step(
    'with other values, it governs by these: another uid, and sidecars as plain containers',
    async () => {
      await day.install(['sidecar.uid=61338', 'sidecar.nativeSidecars=false']);
      await node.must(['-n', namespace, 'rollout', 'restart', 'deployment/llama']);
      await node.must(['-n', namespace, 'rollout', 'status', 'deployment/llama', '--timeout=150s'], {
        timeoutMs: 160_000,
      });
      const [one] = await day.models();
      const uid = await node.must([
        ...['-n', namespace, 'get', 'pod', one?.name ?? ''],
        ...['-o', 'jsonpath={.spec.containers[0].name} {.spec.containers[0].securityContext.runAsUser}'],
      ]);
      expect(uid).toBe('sidegate 61338');
      let answer = { status: 0, body: '' };
      await node.eventually(async () => (answer = await day.chat('pii', { token })).status === 200);
      for (const secret of secrets) expect(answer.body).not.toContain(secret);
    },
    300_000,
  );
});

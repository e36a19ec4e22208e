import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { defaultOptions, draw, drawnBytes, inject } from '../../pkg/inject/index.ts';
import type { InjectOptions } from '../../pkg/inject/index.ts';
import { startNode } from '../cluster/node.ts';
import type { ClusterNode } from '../cluster/node.ts';
import type { TestController } from './pod-controller.ts';
import { startTestController } from './pod-controller.ts';

// Pods as injection writes them, run by a real kubelet: init, sidecar and a scripted model; the policy stream comes from a small
// controller on the node.

// Of this run alone: two runs at once share one cluster.
const namespace = `pod-${process.pid}`;
let node: ClusterNode;
let controller: TestController;

type Json = Record<string, unknown>;

const policy = `
apiVersion: sidegate.dev/v1alpha1
kind: InferencePolicy
metadata: { name: open, namespace: ${namespace} }
spec:
  access:
  - name: embeddings
    effect: Allow
    subjects: [{ anyone: true }]
    operations: [Embeddings, Completions]
`;

const options = (more: Partial<InjectOptions> = {}): InjectOptions => ({
  ...defaultOptions,
  version: '0.1.0',
  image: node.images.sidegate,
  controller: controller.reach,
  namespace: { name: namespace, governed: true },
  drawn: draw(randomBytes(drawnBytes)),
  ...more,
});

interface ModelOptions {
  readonly inject?: Partial<InjectOptions>;
  readonly command?: readonly string[];
  readonly container?: Json;
  readonly spec?: Json;
  readonly labels?: Readonly<Record<string, string>>;
}

/** A model's pod, as injection writes it; `busybox httpd` on a port that nothing declares is the model's secret back door. */
function podOf(name: string, more: ModelOptions = {}): { metadata: Json; spec: Json } {
  const labels = { app: name, 'sidegate.dev/inference': 'true', ...more.labels };
  const result = inject(
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace, labels },
      spec: {
        terminationGracePeriodSeconds: 20,
        automountServiceAccountToken: false,
        containers: [
          {
            name: 'model',
            image: node.images.tools,
            command: more.command ?? [
              'sh',
              '-c',
              'mkdir -p /www; echo back-door > /www/index.html; busybox httpd -p 0.0.0.0:9999 -h /www; exec node /app/model.js 8000',
            ],
            ports: [{ containerPort: 8_000 }],
            startupProbe: { tcpSocket: { port: 8_000 }, periodSeconds: 1, failureThreshold: 60 },
            readinessProbe: { httpGet: { path: '/health', port: 8_000 }, periodSeconds: 1 },
            livenessProbe: { httpGet: { path: '/health', port: 8_000 }, periodSeconds: 2 },
            ...more.container,
          },
        ],
        ...more.spec,
      },
    },
    options(more.inject),
  );
  if (result.kind !== 'inject') throw new Error(JSON.stringify(result.reasons));
  const pod = JSON.parse(JSON.stringify(result.pod)) as { metadata: Json; spec: Json };
  return { metadata: { ...pod.metadata, name, namespace, labels }, spec: pod.spec };
}

const manifest = (...items: readonly Json[]): string => JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
const podManifest = (name: string, more?: ModelOptions): Json => ({
  apiVersion: 'v1',
  kind: 'Pod',
  ...podOf(name, more),
});
const service = (name: string): Json => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace },
  spec: { selector: { app: name }, ports: [{ port: 443, targetPort: 8_000 }] },
});

const ready = (name: string): Promise<string> =>
  node.must(['-n', namespace, 'wait', '--for=condition=Ready', `pod/${name}`, '--timeout=90s']);
const field = async (name: string, path: string): Promise<string> =>
  (await node.must(['-n', namespace, 'get', 'pod', name, '-o', `jsonpath={${path}}`])).trim();
const ipOf = (name: string): Promise<string> => field(name, '.status.podIP');

interface Answer {
  /** 0: no answer. */
  readonly status: number;
  readonly text: string;
}

/** curl in a pod: `caller` is outside of the models' pods. */
async function curl(args: readonly string[], at = 'caller', container?: string): Promise<Answer> {
  const { stdout, stderr } = await node.exec(
    namespace,
    `pod/${at}`,
    ['curl', '-sS', '--max-time', '5', '-w', '\n%{http_code}', ...args],
    container === undefined ? {} : { container },
  );
  const lines = stdout.split('\n');
  const status = Number(lines.pop());
  return { status, text: status === 0 ? stderr : lines.join('\n') };
}

const json = (body: Json): readonly string[] => ['-H', 'content-type: application/json', '-d', JSON.stringify(body)];
const embeddings = json({ model: 'llama-3', input: 'hello' });
const chat = json({ model: 'llama-3', messages: [{ role: 'user', content: 'hello' }] });

beforeAll(async () => {
  node = await startNode();
  await node.namespace(namespace, { 'sidegate.dev/governed': 'true' });
  controller = await startTestController(node, namespace, policy);
  await node.explained(namespace, async () => {
    await node.apply(
      manifest(podManifest('llama'), service('llama'), {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'caller', namespace },
        spec: {
          terminationGracePeriodSeconds: 1,
          containers: [{ name: 'caller', image: node.images.tools, command: ['sleep', '100000'] }],
        },
      }),
    );
    await node.must(['-n', namespace, 'wait', '--for=condition=Ready', 'pod', '--all', '--timeout=120s']);
    await node.put(namespace, 'pod/caller', '/tmp/ca.pem', controller.reach.ca);
    await node.eventually(async () => (await curl(['-k', `https://llama.${namespace}.svc/health`])).status !== 0);
  });
}, 300_000);

afterAll(async () => {
  await controller?.close();
  await node.removeNamespace(namespace);
}, 120_000);

const told = (name: string, action: () => Promise<void>, ms = 90_000): void =>
  test(name, () => node.explained(namespace, action), ms);

describe('from outside', () => {
  told('TLS by the name of the Service, with the authority that callers trust', async () => {
    const url = `https://llama.${namespace}.svc/v1/embeddings`;
    // The certificate is made anew when a Service begins to select the pod.
    await node.eventually(async () => {
      const { status, text } = await curl(['--cacert', '/tmp/ca.pem', ...embeddings, url]);
      if (status === 0) throw new Error(text);
      return status === 200;
    });
    expect(
      await curl(['--cacert', '/tmp/ca.pem', ...chat, url.replace('embeddings', 'chat/completions')]),
    ).toMatchObject({ status: 401 });
  });

  told("by the pod's address: the model's port is the sidecar's, and plain HTTP is told so", async () => {
    const ip = await ipOf('llama');
    expect(await curl(['-k', ...embeddings, `https://${ip}:8000/v1/embeddings`])).toMatchObject({ status: 200 });
    expect(await curl([`http://${ip}:8000/v1/models`])).toMatchObject({ status: 426 });
    expect(await curl(['-k', `https://${ip}:8000/health`])).toMatchObject({ status: 401 });
    expect(await curl(['-k', ...embeddings, `https://${ip}:17400/v1/embeddings`])).toMatchObject({ status: 200 });
  });

  told('a port that nothing declares, and the listener for the inside, are closed', async () => {
    const ip = await ipOf('llama');
    const listening = await node.exec(namespace, 'pod/llama', ['busybox', 'netstat', '-ltn'], { container: 'model' });
    expect(listening.stdout).toContain(':9999 ');
    expect(await curl([`http://${ip}:9999/index.html`])).toMatchObject({ status: 0 });
    expect(await curl([`http://${ip}:17430/health`])).toMatchObject({ status: 0 });
  });
});

describe('from inside the pod', () => {
  test.each([
    ['127.0.0.1', 'as root', []],
    ['localhost', 'as root', []],
  ])(
    'exec to %s %s: health and the list of models, and nothing else',
    (host) =>
      node.explained(namespace, async () => {
        const at = (path: string, ...more: string[]): Promise<Answer> =>
          curl([...more, `http://${host}:8000${path}`], 'llama', 'model');
        expect(await at('/health')).toMatchObject({ status: 200 });
        expect(JSON.parse((await at('/v1/models')).text)).toHaveProperty('data');
        expect(await at('/v1/chat/completions', ...chat)).toMatchObject({ status: 401 });
        expect(await at('/v1/load_lora_adapter', '-X', 'POST')).toMatchObject({ status: 401 });
        expect(await curl(['-k', `https://${host}:8000/health`], 'llama', 'model')).toMatchObject({ status: 200 });
      }),
    90_000,
  );

  told("by the pod's own address likewise", async () => {
    const ip = await ipOf('llama');
    expect(await curl([`http://${ip}:8000/health`], 'llama', 'model')).toMatchObject({ status: 200 });
    expect(await curl([...chat, `http://${ip}:8000/v1/chat/completions`], 'llama', 'model')).toMatchObject({
      status: 401,
    });
  });

  told("port-forward to the model's port arrives at the sidecar; to one that nothing declares, nowhere", async () => {
    const script = `
      kubectl -n ${namespace} port-forward pod/llama 18080:8000 18081:9999 >/dev/null 2>&1 & pid=$!
      trap 'kill $pid' EXIT
      for i in $(seq 300); do curl -s -o /dev/null http://127.0.0.1:18080/health && break; sleep 0.1; done
      curl -s -o /dev/null -w '%{http_code} ' http://127.0.0.1:18080/health
      curl -s -w ' %{http_code} ' -X POST -H 'content-type: application/json' -d '{"model":"llama-3","messages":[]}' http://127.0.0.1:18080/v1/chat/completions
      curl -s -m 5 -w 'undeclared %{http_code}' http://127.0.0.1:18081/index.html`;
    const { stdout } = await node.run('bash', ['-c', script]);
    expect(stdout).toMatch(/^200 /);
    expect(stdout).toContain('token_missing');
    expect(stdout).toMatch(/ 401 undeclared 000$/);
    expect(stdout).not.toContain('back-door');
  });
});

describe('probes', () => {
  told(
    'are answered for the model, and it is restarted when it fails them',
    async () => {
      const metrics = async (): Promise<string> => (await curl([`http://${await ipOf('llama')}:17491/metrics`])).text;
      expect(await metrics()).toMatch(/sidegate_probes_total\{result="healthy"\} [1-9]/);
      await node.apply(
        manifest(
          podManifest('failing', {
            container: {
              readinessProbe: { httpGet: { path: '/health', port: 8_000 }, periodSeconds: 1 },
              livenessProbe: { httpGet: { path: '/no-such-page', port: 8_000 }, periodSeconds: 1, failureThreshold: 2 },
            },
          }),
        ),
      );
      await node.eventually(
        async () => Number(await field('failing', '.status.containerStatuses[0].restartCount')) > 0,
        80_000,
      );
      await node.must(['-n', namespace, 'delete', 'pod', 'failing', '--grace-period=1', '--wait=false']);
    },
    120_000,
  );
});

describe('a Job', () => {
  told(
    'ends: the sidecar does not keep it',
    async () => {
      const { metadata, spec } = podOf('batch', {
        command: ['sh', '-c', 'sleep 1; echo done'],
        container: { startupProbe: undefined, readinessProbe: undefined, livenessProbe: undefined },
        spec: { restartPolicy: 'Never' },
      });
      const { name: _name, ...template } = metadata;
      await node.apply(
        manifest({
          apiVersion: 'batch/v1',
          kind: 'Job',
          metadata: { name: 'batch', namespace },
          spec: { backoffLimit: 0, template: { metadata: template, spec } },
        }),
      );
      await node.must(['-n', namespace, 'wait', '--for=condition=complete', 'job/batch', '--timeout=80s']);
    },
    120_000,
  );
});

/** Ends the sidecar of a pod as the kernel would: from inside a container its first process cannot be killed. */
function killSidecar(uid: string): void {
  const found = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const command = readFileSync(join('/proc', pid, 'cmdline'), 'utf8');
        return (
          command.includes('--ports') && readFileSync(join('/proc', pid, 'environ'), 'utf8').includes(`POD_UID=${uid}`)
        );
      } catch {
        return false; // ended meanwhile
      }
    });
  expect(found).toHaveLength(1);
  process.kill(Number(found[0]), 'SIGKILL');
}

describe('a sidecar that is killed', () => {
  told(
    'while no controller answers goes on with what it had; the model stays, and is not reached meanwhile',
    async () => {
      const ip = await ipOf('llama');
      controller.pause();
      try {
        killSidecar(await field('llama', '.metadata.uid'));
        const statuses = new Set<number>();
        await node.eventually(async () => {
          const { status } = await curl(['-k', ...embeddings, `https://${ip}:8000/v1/embeddings`]);
          statuses.add(status);
          return status === 200;
        }, 60_000);
        expect([...statuses].filter((status) => status !== 0)).toEqual([200]);
        expect(await curl(['-k', ...chat, `https://${ip}:8000/v1/chat/completions`])).toMatchObject({ status: 401 });
      } finally {
        controller.resume();
      }
      expect(Number(await field('llama', '.status.initContainerStatuses[1].restartCount'))).toBe(1);
      expect(Number(await field('llama', '.status.containerStatuses[0].restartCount'))).toBe(0);
      await ready('llama');
    },
  );
});

describe('an edit of the policy', () => {
  told('holds in the running pod', async () => {
    const url = `https://${await ipOf('llama')}:8000/v1/embeddings`;
    controller.setPolicy(policy.replace('[Embeddings, Completions]', '[Completions]'));
    await node.eventually(async () => (await curl(['-k', ...embeddings, url])).status === 401);
    controller.setPolicy(policy);
    await node.eventually(async () => (await curl(['-k', ...embeddings, url])).status === 200);
  });
});

describe('a sidecar that is a plain container', () => {
  told('is up before the model starts, governs it, and lets the pod end', async () => {
    await node.apply(manifest(podManifest('plain', { inject: { nativeSidecars: false } })));
    await ready('plain');
    const ip = await ipOf('plain');
    expect(await curl(['-k', ...embeddings, `https://${ip}:8000/v1/embeddings`])).toMatchObject({ status: 200 });
    expect(await curl([...chat, 'http://127.0.0.1:8000/v1/chat/completions'], 'plain', 'model')).toMatchObject({
      status: 401,
    });
    const began = (name: string): Promise<string> =>
      field('plain', `.status.containerStatuses[?(@.name=="${name}")].state.running.startedAt`);
    expect(Date.parse(await began('sidegate'))).toBeLessThanOrEqual(Date.parse(await began('model')));
    await node.must(['-n', namespace, 'delete', 'pod', 'plain', '--timeout=40s']);
  });
});

/** Calls a Service without pause from two connections until it is told to stop; prints what became of each call. */
const caller = (url: string): string => `
const https = require('node:https');
const counts = {}; const failures = []; let stop = false;
process.stdin.on('data', () => (stop = true)).on('end', () => (stop = true));
const agent = new https.Agent({ keepAlive: true, maxSockets: 2, rejectUnauthorized: false });
const body = JSON.stringify({ model: 'llama-3', prompt: 'script:hello+every20', stream: true });
const once = () => new Promise((done) => {
  const sent = https.request('${url}', { method: 'POST', agent, headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) } }, (answer) => {
    let text = '';
    answer.on('data', (piece) => (text += piece));
    const end = () => done(answer.statusCode === 200 && answer.complete && text.includes('[DONE]') ? 'whole' : 'status ' + answer.statusCode + (answer.complete ? '' : ' cut'));
    answer.on('end', end).on('error', end);
  });
  sent.on('error', (error) => {
    const { reusedSocket, socket } = sent;
    done([error.code, new Date().toISOString(), reusedSocket ? 'reused' : 'new', socket?.alpnProtocol ?? '', socket?.bytesRead ?? 0].join(' '));
  });
  sent.end(body);
});
const run = async () => { while (!stop) { const how = await once(); if (how === 'whole') counts.whole = (counts.whole ?? 0) + 1; else failures.push(how); } };
Promise.all([run(), run()]).then(() => { console.log(JSON.stringify({ ...counts, failures })); process.exit(0); });
`;

describe('a pod that is deleted', () => {
  told(
    'ends what is under way and loses no request',
    async () => {
      const { metadata, spec } = podOf('many');
      const { name: _name, namespace: _namespace, ...template } = metadata;
      await node.apply(
        manifest(service('many'), {
          apiVersion: 'apps/v1',
          kind: 'Deployment',
          metadata: { name: 'many', namespace },
          spec: { replicas: 2, selector: { matchLabels: { app: 'many' } }, template: { metadata: template, spec } },
        }),
      );
      await node.must(['-n', namespace, 'rollout', 'status', 'deployment/many', '--timeout=90s']);
      const url = `https://many.${namespace}.svc/v1/completions`;
      await node.eventually(async () => (await curl(['-k', url])).status !== 0);
      const calling = spawn(
        join(import.meta.dirname, '../cluster/netns.sh'),
        ['kubectl', '-n', namespace, 'exec', '-i', 'pod/caller', '--', 'node', '-e', caller(url)],
        { stdio: ['pipe', 'pipe', 'inherit'] },
      );
      let printed = '';
      calling.stdout.setEncoding('utf8').on('data', (piece: string) => (printed += piece));
      const ended = new Promise((done) => calling.on('close', done));
      await new Promise((done) => setTimeout(done, 2_000));
      const [first = ''] = (await node.must(['-n', namespace, 'get', 'pods', '-l', 'app=many', '-o', 'name'])).split(
        '\n',
      );
      await node.must(['-n', namespace, 'delete', first, '--timeout=60s']);
      await node.must(['-n', namespace, 'rollout', 'status', 'deployment/many', '--timeout=90s']);
      calling.stdin.end('stop');
      await ended;
      const { whole, failures } = JSON.parse(printed) as { whole: number; failures: readonly string[] };
      expect(failures).toEqual([]);
      expect(whole).toBeGreaterThan(20);
    },
    240_000,
  );
});

describe('capture mode NamedPort', () => {
  told(
    'a model that listens on every address keeps the pod from being ready, and one on loopback does not',
    async () => {
      const listen = (host: string): readonly string[] => [
        'node',
        '-e',
        `require('node:http').createServer((q, a) => a.end('{"object":"list","data":[]}')).listen(8000, '${host}')`,
      ];
      const named = (host: string): ModelOptions => ({
        inject: { captureMode: 'NamedPort' },
        command: listen(host),
        container: { ports: [{ name: 'http', containerPort: 8_000 }] },
      });
      await node.apply(manifest(podManifest('named', named('127.0.0.1')), podManifest('exposed', named('0.0.0.0'))));
      await ready('named');
      const reasons = async (): Promise<string> => (await curl([`http://${await ipOf('exposed')}:17491/readyz`])).text;
      await node.eventually(async () => (await reasons()).includes('"reasons":["model_port_exposed"]'));
      await node.eventually(
        async () => (await field('exposed', '.status.conditions[?(@.type=="Ready")].status')) === 'False',
      );
      expect(await curl(['-k', `https://${await ipOf('named')}:17400/v1/models`])).toMatchObject({ status: 401 });
      expect(await curl([`http://${await ipOf('named')}:8000/v1/models`])).toMatchObject({ status: 0 });
    },
    150_000,
  );
});

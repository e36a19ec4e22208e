import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { parse } from 'yaml';
import { printed, show } from '../bench.ts';
import type { Bench, Row } from '../bench.ts';
import { proxyCore, start } from '../process.ts';
import { spread } from '../statistics.ts';

const perSecond = 100;

function review(): string {
  // As the API server sends it: the pod of a vLLM Deployment, with what managed fields and defaults add to its size.
  const pod = parse(readFileSync('pkg/inject/testdata/vllm.yaml', 'utf8')) as { metadata: object };
  const managedFields = [
    { manager: 'kube-controller-manager', fieldsV1: { 'f:spec': { 'f:containers': 'x'.repeat(4_000) } } },
  ];
  return JSON.stringify({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: '705ab4f5-6393-11e8-b7cc-42010a800002',
      operation: 'CREATE',
      resource: { group: '', version: 'v1', resource: 'pods' },
      namespace: 'ml',
      userInfo: { username: 'system:serviceaccount:kube-system:replicaset-controller', groups: [] },
      object: { ...pod, metadata: { ...pod.metadata, managedFields } },
    },
  });
}

/** Pods a second as a rollout makes them, each asked about when its time has come, whether or not the one before has its answer. */
export async function mutations(bench: Bench): Promise<Row[]> {
  const webhook = start({
    core: proxyCore,
    command: process.execPath,
    args: ['test/bench/peers/webhook.ts'],
    ipc: true,
    onLine: (line) => process.stderr.write(`webhook: ${line}\n`),
  });
  const [{ port, ca }] = (await once(webhook.child, 'message')) as [{ port: number; ca: string }];
  const agent = new Agent({ keepAlive: true, ca, servername: 'localhost' });
  const body = review();
  const ask = (due: number): Promise<number> =>
    new Promise((resolve, reject) => {
      const call = request(
        {
          host: '127.0.0.1',
          port,
          agent,
          method: 'POST',
          path: '/mutate?timeout=5s',
          headers: { 'content-length': Buffer.byteLength(body) },
        },
        (response) => {
          let text = '';
          response.on('data', (chunk: Buffer) => (text += chunk.toString()));
          response.on('end', () =>
            text.includes('"patchType":"JSONPatch"')
              ? resolve(performance.now() - due)
              : reject(new Error(`no patch: ${text.slice(0, 300)}`)),
          );
        },
      );
      call.on('error', reject);
      call.end(body);
    });
  try {
    // The first hundreds warm the code.
    for (let at = 0; at < (bench.short ? 100 : 1_000); at++) await ask(performance.now());
    const seconds = bench.short ? 1 : 20;
    const before = webhook.cpu();
    const answers: Promise<number>[] = [];
    const begun = performance.now();
    for (let at = 0; at < seconds * perSecond; at++) {
      const due = begun + (at * 1_000) / perSecond;
      const wait = due - performance.now();
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
      answers.push(ask(Math.max(due, performance.now())));
    }
    const times = spread(await Promise.all(answers));
    const cpu = ((webhook.cpu() - before) * 1_000) / times.count;
    return [
      {
        work: `admission of ${perSecond} labelled pods a second, one core, TLS kept alive`,
        measured: `p50 ${show(times.p50)} ms, p99 **${show(times.p99)}** ms, CPU ${show(cpu)} ms a pod; resident ${show(webhook.resident(), 0)} MB`,
        target: 'p99 <= 5 ms',
        reached: printed(times.p99) <= 5,
      },
    ];
  } finally {
    agent.destroy();
    await webhook.stop();
  }
}

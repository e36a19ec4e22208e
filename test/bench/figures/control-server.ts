// The controller's stream server in a process of its own, on a cluster in memory: test/bench/figures/control.ts talks to it.
import { systemClock, silentLogger } from '../../../pkg/base/index.ts';
import { controllerAudience } from '../../../pkg/contract/index.ts';
import { createStreamServer } from '../../../pkg/control/stream/index.ts';
import type { PodRecord, StreamServer } from '../../../pkg/control/stream/index.ts';
import { allow, policy } from '../../../pkg/core/testing/policies.ts';
import { createAuthority, createAuthorityPair } from '../../../pkg/pki/index.ts';
import { controllerName, fakeDirectory, snapshotOf } from '../../support/stream.ts';

export type Ask =
  | { readonly ask: 'start'; readonly pods: number }
  /** One policy of all pods changes. */
  | { readonly ask: 'edit' }
  /** The process of the controller ends and another begins, as far as sidecars can tell. */
  | { readonly ask: 'restart' };
export type Tell =
  | { readonly tell: 'started'; readonly port: number; readonly ca: string; readonly rssMb: number }
  | { readonly tell: 'joined'; readonly ms: number; readonly rssMb: number }
  | { readonly tell: 'acked'; readonly p50: number; readonly p99: number; readonly bytes: number };

const tell = (message: Tell): void => void process.send?.(message);
const rssMb = (): number => process.memoryUsage.rss() / 2 ** 20;

const clock = systemClock;
const current = await createAuthorityPair(clock);
const authority = createAuthority({ state: { current, since: clock.now() }, clock });
const byUid = new Map<string, PodRecord>();
const byName = new Map<string, PodRecord>();
const addresses = new Set<string>();
const joined = new Set<string>();
const base = fakeDirectory();
let generation = 1;
/** About 20 KB, as a policy with many rules is. */
const make = (): ReturnType<typeof snapshotOf> =>
  snapshotOf(
    [
      policy(
        'p',
        { access: Array.from({ length: 60 }, (_, at) => allow(`rule-${at}`, { models: [`model-${'x'.repeat(60)}`] })) },
        { generation },
      ),
    ],
    { inferencepolicies: String(generation) },
  );
let snapshot = make();
let began = 0;
let waiting: { readonly count: number; readonly times: number[]; readonly hash: string } | undefined;
const directory: typeof base = Object.assign(base, {
  pod: (namespace: string, name: string) => byName.get(`${namespace}/${name}`),
  podByUid: (uid: string) => byUid.get(uid),
  hasAddress: (address: string) => addresses.has(address),
  answer: () => ({ kind: 'snapshot' as const, snapshot }),
  report(report: Parameters<typeof base.report>[0]) {
    if (!joined.has(report.pod.uid)) {
      joined.add(report.pod.uid);
      if (joined.size === byUid.size) tell({ tell: 'joined', ms: performance.now() - began, rssMb: rssMb() });
    }
    if (waiting === undefined || report.hash !== waiting.hash) return;
    waiting.times.push(performance.now() - began);
    if (waiting.times.length < waiting.count) return;
    const sorted = waiting.times.sort((a, b) => a - b);
    const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
    const bytes = JSON.stringify(snapshot).length;
    waiting = undefined;
    tell({ tell: 'acked', p50: at(0.5), p99: at(0.99), bytes });
  },
});

const open = (port: number): Promise<StreamServer> =>
  createStreamServer({
    host: '0.0.0.0',
    port,
    names: [controllerName],
    trustDomain: 'cluster.local',
    clusterDomain: 'cluster.local',
    directory,
    authority,
    opener: { open: () => Promise.resolve({ kind: 'unusable', why: 'there is none' }) },
    clock,
    logger: silentLogger,
    // The API server's part is not measured here; tokens are names of pods.
    reviewer: {
      review: (token) =>
        Promise.resolve({
          username: 'system:serviceaccount:ml:llama',
          audiences: [controllerAudience],
          podName: token.reveal(),
          podUid: token.reveal(),
        }),
    },
  });
let server: StreamServer | undefined;

async function handle(message: Ask): Promise<void> {
  if (message.ask === 'start') {
    for (let n = 0; n < message.pods; n++) {
      const address = `127.${1 + (n >> 14)}.${(n >> 7) & 127}.${1 + (n & 127)}`;
      const name = `pod-${n}`;
      const pod = { namespace: 'ml', name, uid: name, serviceAccount: 'llama', governed: true, sidecar: true };
      const record: PodRecord = { ...pod, terminating: false, finished: false, addresses: [address] };
      byUid.set(name, record);
      byName.set(`ml/${name}`, record);
      addresses.add(address);
    }
    server = await open(0);
    began = performance.now();
    return tell({ tell: 'started', port: server.port, ca: authority.bundle(), rssMb: rssMb() });
  }
  if (message.ask === 'edit') {
    generation++;
    snapshot = make();
    waiting = { count: byUid.size, times: [], hash: snapshot.hash };
    began = performance.now();
    for (const { namespace, name } of byUid.values()) directory.changed({ namespace, name });
    return;
  }
  const port = server?.port ?? 0;
  joined.clear();
  await server?.close();
  began = performance.now();
  server = await open(port);
}
process.on('message', (message: Ask) => void handle(message));
process.on('disconnect', () => process.exit(0));

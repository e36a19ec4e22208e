// A controller for tests on the node: the real stream server, on what this namespace holds, polled; its one policy from a file that
// the test rewrites. `netns.sh node stream-controller.ts NAMESPACE POLICY-FILE`; a line of JSON when it is up; ends with its
// standard input.
import { readFileSync } from 'node:fs';
import { createLogger, systemClock } from '../../pkg/base/index.ts';
import { containers, inferenceLabel, inferenceLabelValue } from '../../pkg/contract/index.ts';
import { createTokenReviewer } from '../../pkg/control/token-reviewer.ts';
import { createOpenedCertificates } from '../../pkg/control/secrets/opened-certificates.ts';
import { createStreamServer } from '../../pkg/control/stream/index.ts';
import type { PodAnswer, PodRecord } from '../../pkg/control/stream/index.ts';
import { compileSnapshot } from '../../pkg/core/index.ts';
import { parsePolicies } from '../../pkg/crd/index.ts';
import { createKubeClient, kubeconfigAccess, resources } from '../../pkg/kube/index.ts';
import type { KubeObject } from '../../pkg/kube/index.ts';
import { createAuthority, createAuthorityPair, createPkcs12Opener } from '../../pkg/pki/index.ts';

const [namespace = '', policyFile = ''] = process.argv.slice(2);
const controllerName = 'sidegate-controller.sidegate-system.svc';
const clock = systemClock;

interface Container {
  readonly name: string;
}
interface PodObject extends KubeObject {
  readonly spec: {
    readonly serviceAccountName?: string;
    readonly containers: readonly Container[];
    readonly initContainers?: readonly Container[];
  };
  readonly status?: { readonly podIPs?: readonly { readonly ip: string }[] };
}
interface ServiceObject extends KubeObject {
  readonly spec: { readonly selector?: Readonly<Record<string, string>> };
}

const client = createKubeClient({ access: await kubeconfigAccess(process.env['KUBECONFIG']) });
const current = await createAuthorityPair(clock);
const authority = createAuthority({ state: { current, since: clock.now() }, clock });

let pods = new Map<string, PodRecord & { readonly services: readonly string[] }>();
let synced = false;
let answer: PodAnswer = { kind: 'pending' };
let text = '';
let version = 0;
const listeners = new Set<(pod: { readonly namespace: string; readonly name: string }) => void>();

function record(
  pod: PodObject,
  services: readonly ServiceObject[],
): PodRecord & { readonly services: readonly string[] } {
  const labels = pod.metadata.labels ?? {};
  const selects = ({ spec: { selector } }: ServiceObject): boolean =>
    selector !== undefined && Object.entries(selector).every(([key, value]) => labels[key] === value);
  return {
    namespace,
    name: pod.metadata.name ?? '',
    uid: pod.metadata.uid ?? '',
    serviceAccount: pod.spec.serviceAccountName ?? 'default',
    governed: labels[inferenceLabel] === inferenceLabelValue,
    sidecar: [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].some(
      ({ name }) => name === containers.sidecar,
    ),
    terminating: pod.metadata.deletionTimestamp !== undefined,
    finished: false,
    addresses: (pod.status?.podIPs ?? []).map(({ ip }) => ip),
    services: services.filter(selects).flatMap(({ metadata: { name = '' } }) => {
      const full = `${name}.${namespace}.svc`;
      return [full, `${full}.cluster.local`];
    }),
  };
}

async function look(): Promise<void> {
  const yaml = readFileSync(policyFile, 'utf8');
  if (yaml !== text) {
    text = yaml;
    const { policies } = parsePolicies(yaml, policyFile);
    const { hash, sources } = compileSnapshot(policies, { revision: 1 });
    answer = { kind: 'snapshot', snapshot: { hash, sources, policies, seen: { inferencepolicies: `${++version}` } } };
    for (const { name } of pods.values()) for (const listener of listeners) listener({ namespace, name });
  }
  const [seen, services] = await Promise.all([
    client.list<PodObject>(resources.pods, { namespace }),
    client.list<ServiceObject>(resources.services, { namespace }),
  ]);
  const before = pods;
  pods = new Map(seen.map((pod) => [pod.metadata.uid ?? '', record(pod, services)]));
  synced = true;
  for (const pod of [...before.values(), ...pods.values()]) {
    if (JSON.stringify(before.get(pod.uid)) === JSON.stringify(pods.get(pod.uid))) continue;
    for (const listener of listeners) listener(pod);
  }
}

const noSecrets = { values: [], missing: [] };
await look();
const server = await createStreamServer({
  host: '0.0.0.0',
  port: 0,
  names: [controllerName],
  trustDomain: 'cluster.local',
  clusterDomain: 'cluster.local',
  authority,
  opener: createOpenedCertificates({ pkcs12: createPkcs12Opener(clock), clock, onOpened: () => undefined }),
  reviewer: createTokenReviewer(client),
  directory: {
    synced: () => synced,
    pod: (_namespace, name) => [...pods.values()].find((pod) => pod.name === name),
    podByUid: (uid) => pods.get(uid),
    hasAddress: (address) => [...pods.values()].some((pod) => pod.addresses.includes(address)),
    answer: () => answer,
    servingNames: ({ uid }) => pods.get(uid)?.services ?? [],
    secrets: () => noSecrets,
    imported: () => undefined,
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    report: () => undefined,
    disconnected: () => undefined,
    auditHead: () => undefined,
  },
  clock,
  logger: createLogger({ clock, level: 'info', write: (line) => process.stderr.write(`${line}\n`) }),
});
process.stdout.write(`${JSON.stringify({ port: server.port, name: controllerName, ca: authority.bundle() })}\n`);
const poll = async (): Promise<void> => {
  await look().catch((error: unknown) => process.stderr.write(`${String(error)}\n`));
  setTimeout(() => void poll(), 100);
};
void poll();
process.stdin.on('end', () => process.exit(0)).resume();

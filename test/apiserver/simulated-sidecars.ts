import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger, systemClock } from '../../pkg/base/index.ts';
import { controllerAudience, controlPlane } from '../../pkg/contract/index.ts';
import { compileSnapshot } from '../../pkg/core/index.ts';
import { resources } from '../../pkg/kube/index.ts';
import type { KubeClient, KubeObject } from '../../pkg/kube/index.ts';
import { connectController } from '../../pkg/remote/index.ts';
import type { Remote, RemoteEvent } from '../../pkg/remote/index.ts';
import type { Figures } from '../../pkg/wire/index.ts';
import { until } from '../support/wait.ts';
import { ownNamespace } from './controller-process.ts';

/** Pods of namespace `ml` that exist for an API server alone, and sidecars of theirs that come from this process with real tokens. */
export interface SimulatedSidecars {
  /** A pod that runs at this loopback address, as far as the API server knows; resolves with its uid. */
  makePod(name: string, address: string, sidecar?: boolean): Promise<string>;
  /** @param uid Of the pod that it is bound to; undefined: to none. */
  tokenOf(name: string, uid: string | undefined, audience?: string): Promise<string>;
  connect(
    port: number,
    pod: { readonly name: string; readonly uid: string },
    from: { readonly address: string; readonly token: string },
  ): Promise<Sidecar>;
  /** Pods `m<from>` to `m<to - 1>`, each at an address of its own. */
  makePods(from: number, to: number): Promise<readonly Place[]>;
  /** Their sidecars; resolves when each has a policy and a certificate. */
  connectPods(port: number, places: readonly Place[]): Promise<void>;
  /** Those that were not closed. */
  readonly remotes: Set<Remote>;
  /** Writes policy `p`, which all pods have. */
  apply(mode: 'Enforce' | 'Observe'): Promise<unknown>;
  /** k/n of its status. */
  enforced(): Promise<string>;
  /** Whether the controller has published its authority. */
  published(): Promise<boolean>;
  /** Ends the sidecars; keeps the pods. */
  disconnect(): Promise<void>;
  /** The same, and removes what they left on the disk. */
  close(): Promise<void>;
}

export interface Place {
  readonly name: string;
  readonly uid: string;
  readonly address: string;
}

export interface Sidecar {
  readonly remote: Remote;
  readonly events: RemoteEvent[];
}

const policy = (mode: string) => ({
  apiVersion: 'sidegate.dev/v1alpha1',
  kind: 'InferencePolicy',
  metadata: { namespace: 'ml', name: 'p' },
  spec: {
    mode,
    upstream: { ports: [{ containerPort: 8000 }], credential: { secretRef: { name: 'key', key: 'api' } } },
    access: [{ name: 'all', effect: 'Allow', subjects: [{ anyone: true }], operations: ['Chat'] }],
  },
});

/** What each says of its traffic. */
const figures: Figures = {
  ...{ uptimeMs: 60_000, requests: 12, refused: 3, masked: 5, held: 2, live: 4, streams: 1, waiting: 1 },
  ...{ generation: 'ml/p@1', policyAgeMs: 0 },
};

export function simulateSidecars(admin: KubeClient): SimulatedSidecars {
  const folders: string[] = [];
  const remotes = new Set<Remote>();
  const disconnect = async (): Promise<void> => {
    await Promise.all([...remotes].map((remote) => remote.close()));
    remotes.clear();
  };
  const self: SimulatedSidecars = {
    remotes,
    disconnect,
    async close() {
      await disconnect();
      for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
    },
    async makePod(name, address, sidecar = true) {
      const made = await admin.create<KubeObject>(
        resources.pods,
        {
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: {
            namespace: 'ml',
            name,
            labels: { 'sidegate.dev/inference': 'true', app: 'llama' },
            annotations: {
              'sidegate.dev/port-map': '{"8000":17400}',
              'sidegate.dev/injected': '{"version":"1","templateHash":"x","mode":"Redirect"}',
            },
          },
          spec: {
            terminationGracePeriodSeconds: 0,
            ...(sidecar && { initContainers: [{ name: 'sidegate', image: 'sidegate:1', restartPolicy: 'Always' }] }),
            containers: [{ name: 'model', image: 'model:1' }],
          },
        },
        { namespace: 'ml' },
      );
      await admin.patch(
        resources.pods,
        { namespace: 'ml', name },
        { type: 'merge', body: { status: { phase: 'Running', podIP: address, podIPs: [{ ip: address }] } } },
        'status',
      );
      return made.metadata.uid ?? '';
    },

    async tokenOf(name, uid, audience = controllerAudience) {
      const answer = await admin.create<{ status: { token: string } }>(
        resources.serviceAccounts,
        {
          apiVersion: 'authentication.k8s.io/v1',
          kind: 'TokenRequest',
          spec: {
            audiences: [audience],
            expirationSeconds: 3_600,
            ...(uid !== undefined && { boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid } }),
          },
        },
        { namespace: 'ml', name: 'default', subresource: 'token' },
      );
      return answer.status.token;
    },

    async connect(port, pod, from) {
      const trust = await admin.get<KubeObject & { data: Record<string, string> }>(resources.configMaps, {
        namespace: ownNamespace,
        name: controlPlane.trust,
      });
      const folder = mkdtempSync(join(tmpdir(), 'sidegate-remote-'));
      folders.push(folder);
      writeFileSync(join(folder, 'token'), from.token);
      const events: RemoteEvent[] = [];
      const remote = await connectController({
        url: `https://127.0.0.1:${port}`,
        name: `${controlPlane.controller}.${ownNamespace}.svc`,
        ca: trust.data[controlPlane.caKey] ?? '',
        pod: { namespace: 'ml', ...pod },
        portMap: { 8000: 17400 },
        capture: 'Redirect',
        software: 'test',
        tokenFile: join(folder, 'token'),
        stateFolder: folder,
        clock: systemClock,
        logger: silentLogger,
        compile: (policies, revision) => compileSnapshot(policies, { revision }),
        figures: () => figures,
        onEvent: (event) => events.push(event),
        localAddress: from.address,
      });
      remotes.add(remote);
      return { remote, events };
    },

    apply(mode) {
      const body = policy(mode);
      return admin.patch(resources.inferencePolicies, body.metadata, {
        type: 'apply',
        fieldManager: 'test',
        force: true,
        body,
      });
    },
    enforced: async () =>
      (
        await admin.get<KubeObject & { status?: { enforced?: string } }>(resources.inferencePolicies, {
          namespace: 'ml',
          name: 'p',
        })
      ).status?.enforced ?? '',
    published: async () =>
      (await admin.find(resources.configMaps, { namespace: ownNamespace, name: controlPlane.trust })) !== undefined,
    makePods: (from, to) =>
      inGroups(to - from, async (at) => {
        const [name, address] = [`m${from + at}`, `127.2.${(from + at) >> 8}.${(from + at) & 255}`];
        return { name, uid: await self.makePod(name, address), address };
      }),
    async connectPods(port, places) {
      await inGroups(places.length, async (at) => {
        const { name, uid, address } = places[at]!;
        const { remote } = await self.connect(port, { name, uid }, { address, token: await self.tokenOf(name, uid) });
        await until(() => remote.answered().ready, `${name} is answered`, 120_000);
      });
    },
  };
  return self;
}

/** So many at once that neither side stands idle, and no more. */
async function inGroups<T>(count: number, run: (at: number) => Promise<T>, size = 25): Promise<T[]> {
  const results: T[] = [];
  for (let from = 0; from < count; from += size) {
    const group = Array.from({ length: Math.min(size, count - from) }, (_, at) => run(from + at));
    results.push(...(await Promise.all(group)));
  }
  return results;
}

import { silentLogger } from '../../base/index.ts';
import type { Clock } from '../../base/index.ts';
import { KubeError, objectKey } from '../../kube/index.ts';
import { readPkcs12 } from '../../pki/index.ts';
import type { Cache, Change, KubeClient, KubeObject, ObjectMeta } from '../../kube/index.ts';
import type { ClusterState } from '../cluster-state.ts';
import { createDirectory } from '../directory.ts';
import { namespaceFact } from '../facts/namespace-fact.ts';
import { podFact } from '../facts/pod-fact.ts';
import { serviceFact } from '../facts/service-fact.ts';
import { policyEntry } from '../policies/policy-entry.ts';
import { createPolicyIndex } from '../policies/policy-index.ts';
import { createOpenedCertificates } from '../secrets/opened-certificates.ts';
import { createSecretStore } from '../secrets/secret-store.ts';
import type { PodSnapshot } from '../stream/index.ts';
import { createAckBook } from '../status/ack-book.ts';

export interface FakeCache<T> extends Cache<T> {
  put(raw: object): void;
  remove(key: string): void;
  version: string;
}

/** What tests write of an object. */
export type Raw = { readonly metadata: ObjectMeta } & Readonly<Record<string, unknown>>;

export function fakeCache<T>(
  transform: (raw: KubeObject) => T,
  indices: Readonly<Record<string, (object: T) => readonly string[]>> = {},
): FakeCache<T> {
  const objects = new Map<string, T>();
  const listeners = new Set<(change: Change<T>) => void>();
  const tell = (change: Change<T>): void => listeners.forEach((listener) => listener(change));
  const cache: FakeCache<T> = {
    version: '100',
    put(raw) {
      const object = raw as KubeObject;
      const key = objectKey(object.metadata);
      const before = objects.get(key);
      const after = transform(object);
      objects.set(key, after);
      tell({ key, before, after });
    },
    remove(key) {
      const before = objects.get(key);
      objects.delete(key);
      tell({ key, before, after: undefined });
    },
    get: (key) => objects.get(key),
    values: () => objects.values(),
    by: (index, value) => [...objects.values()].filter((one) => indices[index]?.(one).includes(value)),
    get size() {
      return objects.size;
    },
    resourceVersion: () => cache.version,
    synced: () => true,
    whenSynced: () => Promise.resolve(),
    ageMs: () => 0,
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    stop: () => Promise.resolve(),
  };
  return cache;
}

export const pod = (
  name: string,
  more: { namespace?: string; labels?: object; spec?: object; status?: object; annotations?: object } = {},
): Raw => ({
  metadata: {
    namespace: more.namespace ?? 'ml',
    name,
    uid: `uid-${name}`,
    labels: { 'sidegate.dev/inference': 'true', app: 'llama', ...more.labels },
    annotations: {
      'sidegate.dev/port-map': '{"8000":17400}',
      'sidegate.dev/injected': '{"version":"1","templateHash":"x","mode":"Redirect"}',
      ...more.annotations,
    },
  },
  spec: {
    serviceAccountName: 'llama',
    initContainers: [{ name: 'sidegate', restartPolicy: 'Always' }],
    containers: [{ name: 'model' }],
    ...more.spec,
  },
  status: {
    phase: 'Running',
    podIPs: [{ ip: '10.0.0.1' }],
    initContainerStatuses: [{ name: 'sidegate', ready: true }],
    ...more.status,
  },
});

export const allowAll = {
  access: [{ name: 'all', effect: 'Allow', subjects: [{ anyone: true }], operations: ['Chat'] }],
};

export const policy = (
  name: string,
  spec: object = allowAll,
  more: { generation?: number; uid?: string; namespace?: string; status?: object } = {},
): Raw => ({
  apiVersion: 'sidegate.dev/v1alpha1',
  kind: 'InferencePolicy',
  metadata: {
    namespace: more.namespace ?? 'ml',
    name,
    uid: more.uid ?? `p-${name}`,
    generation: more.generation ?? 1,
    creationTimestamp: '2026-01-01T00:00:00Z',
  },
  spec,
  ...(more.status !== undefined && { status: more.status }),
});

export const clusterPolicy = (name: string, spec: object, generation = 1): Raw => {
  const { namespace: _namespace, ...metadata } = policy(name, spec, { generation, uid: `c-${name}` }).metadata;
  return { apiVersion: 'sidegate.dev/v1alpha1', kind: 'ClusterInferencePolicy', metadata, spec };
};

/** A directory over copies that the test fills by hand. */
export async function fakeControl<T extends Clock & { advanceAsync(ms: number): Promise<void> }>(clock: T) {
  const checkPattern = () => undefined;
  const state = {
    pods: fakeCache(podFact, {
      namespace: (one) => [one.namespace],
      address: (one) => one.addresses,
      uid: (one) => [one.uid],
    }),
    services: fakeCache(serviceFact, { namespace: (one) => [one.namespace] }),
    namespaces: fakeCache(namespaceFact),
    policies: fakeCache((raw) => policyEntry('InferencePolicy', raw, checkPattern)),
    clusterPolicies: fakeCache((raw) => policyEntry('ClusterInferencePolicy', raw, checkPattern)),
    synced: () => true,
    whenSynced: () => Promise.resolve(),
    ageMs: () => 0,
    stop: () => Promise.resolve(),
  } satisfies ClusterState;
  const stored = new Map<string, Readonly<Record<string, string | Uint8Array>>>();
  const reads: string[] = [];
  let version = 1;
  const state403 = new Set<string>();
  const failing = new Set<string>();
  const client = {
    async get(_resource: unknown, { namespace, name }: { namespace?: string; name: string }) {
      const key = `${namespace ?? ''}/${name}`;
      reads.push(key);
      if (failing.has(key)) throw new KubeError('refused', 'try again', { status: 500 });
      if (state403.has(key)) throw new KubeError('refused', 'forbidden', { status: 403 });
      const data = stored.get(key);
      if (data === undefined) throw new KubeError('refused', 'not found', { status: 404 });
      const encoded = Object.fromEntries(
        Object.entries(data).map(([at, value]) => [at, Buffer.from(value).toString('base64')]),
      );
      return { metadata: { name, namespace, uid: 'u', resourceVersion: String(version) }, data: encoded };
    },
  } as unknown as Pick<KubeClient, 'get'>;
  const index = createPolicyIndex();
  const acks = createAckBook(silentLogger);
  const secrets = createSecretStore({
    client,
    clock,
    logger: silentLogger,
    onChange: (key) => directory.secretChanged(key),
    alwaysRead: { namespace: 'sidegate-system', name: 'sidegate-ca' },
  });
  const certificates = createOpenedCertificates({
    pkcs12: { open: readPkcs12 },
    clock,
    onOpened: () => directory.policiesChanged(),
  });
  const directory = createDirectory({
    state,
    index,
    secrets,
    acks,
    clock,
    logger: silentLogger,
    ownNamespace: 'sidegate-system',
    clusterDomain: 'cluster.local',
  });
  const told: string[] = [];
  directory.subscribe(({ name }) => told.push(name));
  state.namespaces.put({ metadata: { name: 'ml', labels: { 'sidegate.dev/governed': 'true' } } });
  await clock.advanceAsync(50);
  return {
    clock,
    state,
    index,
    acks,
    secrets,
    certificates,
    directory,
    told,
    reads,
    forbidden: state403,
    /** Secrets that the API server cannot read just now. */
    failing,
    setSecret(key: string, data: Readonly<Record<string, string | Uint8Array>> | undefined) {
      version++;
      if (data === undefined) stored.delete(key);
      else stored.set(key, data);
    },
    settle: () => clock.advanceAsync(50),
    name: (name: string, namespace = 'ml') => ({ namespace, name, uid: `uid-${name}` }),
    /** What the pod `ml/NAME` has to enforce; throws where that cannot be said. */
    snapshotOf(name: string): PodSnapshot {
      const answer = directory.answer({ namespace: 'ml', name, uid: `uid-${name}` });
      if (answer.kind !== 'snapshot') throw new Error(answer.kind);
      return answer.snapshot;
    },
  };
}

import type { Clock, Logger } from '../base/index.ts';
import { inferenceLabel } from '../contract/index.ts';
import { createCache, objectKey, resources } from '../kube/index.ts';
import type {
  Cache,
  CacheFault,
  CacheOptions,
  CacheTimings,
  KubeClient,
  KubeObject,
  KubeResource,
} from '../kube/index.ts';
import { canonicalAddress } from './facts/address.ts';
import { namespaceFact } from './facts/namespace-fact.ts';
import type { NamespaceFact } from './facts/namespace-fact.ts';
import { podFact } from './facts/pod-fact.ts';
import type { PodFact } from './facts/pod-fact.ts';
import { serviceFact } from './facts/service-fact.ts';
import type { ServiceFact } from './facts/service-fact.ts';
import { oversizedEntry, policyEntry } from './policies/policy-entry.ts';
import type { CheckPattern, PolicyEntry, PolicyKind } from './policies/policy-entry.ts';

/** Copies of what the controller decides by. */
export interface ClusterState {
  readonly pods: Cache<PodFact>;
  readonly services: Cache<ServiceFact>;
  readonly namespaces: Cache<NamespaceFact>;
  readonly policies: Cache<PolicyEntry>;
  readonly clusterPolicies: Cache<PolicyEntry>;
  synced(): boolean;
  whenSynced(): Promise<void>;
  /** Of the copy that has heard nothing for longest. */
  ageMs(): number;
  stop(): Promise<void>;
}

export interface ClusterStateOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly checkPattern: CheckPattern;
  readonly timings?: Partial<CacheTimings>;
  readonly onFault?: (resource: string, fault: CacheFault) => void;
  readonly onMissed?: (resource: string, count: number) => void;
}

export const namespaceIndex = 'namespace';
export const addressIndex = 'address';
export const uidIndex = 'uid';

/**
 * Sidecars refuse a replica whose copies are older than what they have seen elsewhere. Of a collection that rests, a watch may carry the
 * version on late, where etcd tells of its progress seldom; a list always does.
 */
const policyTimings: Partial<CacheTimings> = { relistMs: 120_000 };

export function createClusterState(options: ClusterStateOptions): ClusterState {
  const { client, clock, logger, checkPattern, timings } = options;
  const cache = <T>(
    resource: KubeResource,
    more: Pick<CacheOptions<T>, 'transform' | 'oversized' | 'indices' | 'labelSelector'>,
    own: Partial<CacheTimings> = {},
  ): Cache<T> =>
    createCache<T>({
      client,
      resource,
      clock,
      logger,
      ...more,
      timings: { ...own, ...timings },
      onFault: (fault) => options.onFault?.(resource.plural, fault),
      onMissed: (count) => options.onMissed?.(resource.plural, count),
    });

  /** One that cannot be read is never left out: it could be a rule that denies. */
  const policiesOf = (
    kind: PolicyKind,
    known: () => Cache<PolicyEntry>,
  ): Pick<CacheOptions<PolicyEntry>, 'transform' | 'oversized'> => {
    const before = ({ metadata }: KubeObject): PolicyEntry | undefined => known().get(objectKey(metadata));
    return {
      transform: (raw) => policyEntry(kind, raw, checkPattern, before(raw)),
      oversized: (raw) => oversizedEntry(kind, raw, checkPattern, before(raw)),
    };
  };
  const state: Pick<ClusterState, 'pods' | 'services' | 'namespaces' | 'policies' | 'clusterPolicies'> = {
    pods: cache<PodFact>(resources.pods, {
      labelSelector: inferenceLabel,
      transform: podFact,
      // Without a sidecar, as far as can be seen: it gets no stream.
      oversized: podFact,
      indices: {
        [namespaceIndex]: (pod) => [pod.namespace],
        [addressIndex]: (pod) => pod.addresses.map(canonicalAddress),
        [uidIndex]: (pod) => [pod.uid],
      },
    }),
    services: cache<ServiceFact>(resources.services, {
      transform: serviceFact,
      // It selects nothing: a name that no certificate has.
      oversized: serviceFact,
      indices: { [namespaceIndex]: (service) => [service.namespace] },
    }),
    namespaces: cache<NamespaceFact>(resources.namespaces, { transform: namespaceFact, oversized: namespaceFact }),
    policies: cache<PolicyEntry>(
      resources.inferencePolicies,
      policiesOf('InferencePolicy', () => state.policies),
      policyTimings,
    ),
    clusterPolicies: cache<PolicyEntry>(
      resources.clusterInferencePolicies,
      policiesOf('ClusterInferencePolicy', () => state.clusterPolicies),
      policyTimings,
    ),
  };
  const all: readonly Cache<unknown>[] = Object.values(state);
  return {
    ...state,
    synced: () => all.every((one) => one.synced()),
    whenSynced: async () => void (await Promise.all(all.map((one) => one.whenSynced()))),
    ageMs: () => Math.max(...all.map((one) => one.ageMs())),
    stop: async () => void (await Promise.all(all.map((one) => one.stop()))),
  };
}

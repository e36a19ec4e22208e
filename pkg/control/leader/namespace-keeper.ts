import type { Clock, Logger } from '../../base/index.ts';
import { controlPlane, governedLabel } from '../../contract/index.ts';
import { createCache, createQueue, isKubeError, isNotFound, objectKey, resources } from '../../kube/index.ts';
import type { CacheTimings, KubeClient, KubeObject } from '../../kube/index.ts';
import { namespaceIndex } from '../cluster-state.ts';
import type { ClusterState } from '../cluster-state.ts';
import { exemptNamespaces } from '../directory.ts';
import type { Directory } from '../directory.ts';
import { governedLabelValue } from '../facts/namespace-fact.ts';
import { counts } from '../facts/pod-fact.ts';
import { sameStatus } from '../status/policy-status.ts';
import { managedLabel, managedValue, networkPoliciesOf } from './network-policy.ts';
import { publishMap } from './published-map.ts';

export interface NamespaceKeeperOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly state: ClusterState;
  readonly directory: Directory;
  readonly ownNamespace: string;
  /** `Auto`: a namespace is labelled when its first inference pod appears. `Required`: people label it. */
  readonly governNamespaces: 'Auto' | 'Required';
  /** PEM for callers; undefined: not known yet. */
  readonly bundle: () => string | undefined;
  readonly leading: () => boolean;
  readonly networkPolicies: boolean;
  readonly timings?: Partial<CacheTimings>;
  readonly onWritten?: (what: 'label' | 'root' | 'network-policy') => void;
}

/** Keeps, in each namespace with inference pods: its label, the root for callers, and its NetworkPolicies. The leader's. */
export interface NamespaceKeeper {
  /** The bundle has changed: all roots are looked at. */
  all(): void;
  close(): Promise<void>;
}

const againMs = 600_000;

interface Owned {
  readonly namespace: string;
  readonly name: string;
  readonly spec: unknown;
}

/** Ends when each has ended. @throws what the first of them threw. */
async function allEnded(works: readonly (Promise<void> | undefined)[]): Promise<void> {
  for (const ended of await Promise.allSettled(works)) if (ended.status === 'rejected') throw ended.reason;
}

export function startNamespaceKeeper(options: NamespaceKeeperOptions): NamespaceKeeper {
  const { client, clock, logger, state, directory, ownNamespace, bundle, leading, timings } = options;
  const fact = (raw: KubeObject): Owned => ({
    namespace: raw.metadata.namespace ?? '',
    name: raw.metadata.name,
    spec: (raw as { spec?: unknown }).spec,
  });
  const owned = createCache<Owned>({
    client,
    resource: resources.networkPolicies,
    labelSelector: `${managedLabel}=${managedValue}`,
    clock,
    logger,
    ...(timings !== undefined && { timings }),
    transform: fact,
    // Not what it has to be, as far as can be seen: it is written again.
    oversized: fact,
    indices: { [namespaceIndex]: (one) => [one.namespace] },
  });

  const label = async (namespace: string): Promise<void> => {
    await client.patch(
      resources.namespaces,
      { name: namespace },
      {
        type: 'merge',
        body: { metadata: { labels: { [governedLabel]: governedLabelValue } } },
      },
    );
    options.onWritten?.('label');
    logger.info('a namespace is governed from now on', { namespace });
  };
  const root = async (namespace: string): Promise<void> => {
    const pem = bundle();
    if (pem === undefined) return;
    const ref = { namespace, name: controlPlane.root };
    if (await publishMap(client, ref, controlPlane.caKey, pem)) options.onWritten?.('root');
  };
  const network = async (namespace: string): Promise<void> => {
    const wanted = options.networkPolicies
      ? networkPoliciesOf(namespace, state.pods.by(namespaceIndex, namespace))
      : [];
    const names = new Set(wanted.map((one) => one.metadata.name));
    for (const policy of wanted) {
      const held = owned.get(objectKey(policy.metadata));
      if (held !== undefined && sameStatus(held.spec, policy.spec)) continue;
      await client.patch(resources.networkPolicies, policy.metadata, {
        type: 'apply',
        fieldManager: managedValue,
        force: true,
        body: policy,
      });
      options.onWritten?.('network-policy');
    }
    for (const { name } of owned.by(namespaceIndex, namespace)) {
      if (names.has(name)) continue;
      await client.delete(resources.networkPolicies, { namespace, name });
      options.onWritten?.('network-policy');
    }
  };
  const queue = createQueue({
    name: 'namespaces',
    clock,
    logger,
    debounceMs: 50,
    maxDebounceMs: 1_000,
    async handle(namespace) {
      if (!leading() || !state.synced() || !owned.synced()) return 1_000;
      if (namespace === ownNamespace || exemptNamespaces.includes(namespace)) return undefined;
      const fact = state.namespaces.get(namespace);
      if (fact === undefined || fact.terminating) return undefined;
      const pods = state.pods.by(namespaceIndex, namespace).filter(counts);
      try {
        // First of all: the pod's sidecar waits for it.
        if (pods.length > 0 && !fact.governed && options.governNamespaces === 'Auto') await label(namespace);
        // A root that cannot be written, where a quota is used up say, leaves no port open.
        await allEnded([pods.length > 0 || fact.governed ? root(namespace) : undefined, network(namespace)]);
      } catch (error) {
        // A namespace that ends takes nothing new.
        if (isNotFound(error) || (isKubeError(error) && error.reason === 'NamespaceTerminating')) return undefined;
        throw error;
      }
      return pods.length > 0 || fact.governed ? againMs : undefined;
    },
  });
  const all = (): void => {
    for (const { name, governed } of state.namespaces.values()) {
      if (governed || state.pods.by(namespaceIndex, name).length > 0) queue.add(name);
    }
    for (const { namespace } of owned.values()) queue.add(namespace);
  };
  const stops = [
    directory.onNamespaces((namespaces) => {
      if (namespaces.has('')) all();
      else for (const namespace of namespaces) queue.add(namespace);
    }),
    owned.subscribe(({ before, after }) => {
      const object = after ?? before;
      if (object !== undefined) queue.add(object.namespace);
    }),
  ];
  void owned.whenSynced().then(all);

  return {
    all,
    async close() {
      for (const stop of stops) stop();
      await owned.stop();
      await queue.close();
    },
  };
}

import { describeError } from '../base/index.ts';
import type { Clock, Logger, Timer } from '../base/index.ts';
import type { SeenVersions } from '../wire/index.ts';
import { compareResourceVersions, objectKey, resources } from '../kube/index.ts';
import { addressIndex, namespaceIndex, uidIndex } from './cluster-state.ts';
import type { ClusterState } from './cluster-state.ts';
import { canonicalAddress } from './facts/address.ts';
import type { PodFact } from './facts/pod-fact.ts';
import { fullNames } from './facts/service-fact.ts';
import { createServiceIndex } from './facts/service-index.ts';
import type { Selecting } from './facts/service-index.ts';
import type { PodReporter } from './record/index.ts';
import type { PolicyEntry } from './policies/policy-entry.ts';
import type { PolicyIndex, PolicySet, SelectedBy } from './policies/policy-index.ts';
import type { AckBook } from './status/ack-book.ts';
import { certificateOfSet, placedCertificate, secretsNamedBy, secretsOfSet } from './secrets/secret-names.ts';
import type { PlacedCertificate } from './secrets/secret-names.ts';
import { createSecretViews, keysOfCertificate } from './secrets/secret-views.ts';
import { secretKey } from './secrets/secret-store.ts';
import type { SecretStore } from './secrets/secret-store.ts';
import type { PodAnswer, PodDirectory, PodRecord, PodSnapshot } from './stream/index.ts';

export interface DirectoryOptions {
  readonly state: ClusterState;
  readonly index: PolicyIndex;
  readonly secrets: SecretStore;
  readonly acks: AckBook;
  /** Who is told how far the record of a pod has come, and that it is gone; undefined: nobody keeps it. */
  readonly reporter?: Pick<PodReporter, 'head' | 'gone'> | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Namespace of Sidegate itself: its pods are not governed. */
  readonly ownNamespace: string;
  readonly clusterDomain: string;
  /** Changes of policies are gathered for so long before pods are looked at again; default 20 ms. */
  readonly gatherMs?: number;
}

export interface Directory extends PodDirectory {
  /** By `policyKey`: pods that it selects now. */
  podsOf(entry: PolicyEntry): readonly PodFact[];
  setOf(pod: PodFact): PolicySet | undefined;
  selectedBy(pod: PodFact): SelectedBy;
  /** The Services that select it. */
  services(pod: PodFact): Selecting;
  /** Called with the namespaces (and '' for all) in which something about policies or pods may have changed. */
  onNamespaces(listener: (namespaces: ReadonlySet<string>) => void): () => void;
  /** What policies mean has changed without a change of theirs: looks at all pods again. */
  policiesChanged(): void;
  /** Looks at pods whose policies name this Secret again. */
  secretChanged(key: string): void;
  stop(): void;
}

/** What a pod was told last. */
interface Told {
  readonly set: PolicySet;
  readonly governedNamespace: boolean;
  readonly names: readonly string[];
}

/** Namespaces whose pods are never governed: admission leaves them alone, so that a broken control plane can be mended. */
export const exemptNamespaces: readonly string[] = ['kube-system', 'kube-node-lease'];

/**
 * What the stream server asks, answered from the caches. A change of a policy costs one compilation for each distinct set of policies and
 * a comparison for each pod in its reach; only pods whose answer changed are told.
 */
export function createDirectory(options: DirectoryOptions): Directory {
  const { state, index, secrets, acks, reporter, clock, logger, ownNamespace, clusterDomain, gatherMs = 20 } = options;
  const told = new Map<string, Told>();
  /** Pods that were told each set, by its id. */
  const users = new Map<string, number>();
  /** A set has no pod any more. */
  let unused = false;
  const snapshots = new Map<string, PodSnapshot>();
  const views = createSecretViews(secrets);
  const listeners = new Set<(pod: { readonly namespace: string; readonly name: string }) => void>();
  const namespaceListeners = new Set<(namespaces: ReadonlySet<string>) => void>();
  const stops: (() => void)[] = [];
  const services = createServiceIndex(state.services, namespaceIndex, clusterDomain);
  /** Namespaces whose pods are to be looked at again; '' is all. */
  let dirty = new Set<string>();
  /** Namespaces whose Services changed: only names of their pods can be others. */
  let renamed = new Set<string>();
  /** Namespaces in which a pod changed that has been looked at: nobody else's answer depends on it. */
  let noticed = new Set<string>();
  let timer: Timer | undefined;
  let filled = false;

  const seen = (): SeenVersions => ({
    [resources.inferencePolicies.plural]: state.policies.resourceVersion() ?? '0',
    [resources.clusterInferencePolicies.plural]: state.clusterPolicies.resourceVersion() ?? '0',
  });
  const tell = (pod: { readonly namespace: string; readonly name: string }): void => {
    for (const listener of listeners) {
      try {
        listener({ namespace: pod.namespace, name: pod.name });
      } catch (error) {
        logger.error('a listener for pods failed', { error: describeError(error) });
      }
    }
  };
  const selectedBy = (pod: PodFact): SelectedBy => ({
    namespace: pod.namespace,
    labels: pod.labels,
    namespaceLabels: state.namespaces.get(pod.namespace)?.labels ?? {},
  });
  const namesOf = (pod: PodFact): readonly string[] => {
    const selecting = services.of(pod);
    const { namespace, ownName } = pod;
    if (ownName === undefined || !selecting.has(ownName.subdomain)) return selecting.names();
    const own = fullNames(`${ownName.hostname}.${ownName.subdomain}.${namespace}`, clusterDomain);
    return [...own, ...selecting.names()];
  };

  const use = (id: string, more: 1 | -1): void => {
    const now = (users.get(id) ?? 0) + more;
    if (now > 0) users.set(id, now);
    else {
      users.delete(id);
      unused = true;
    }
  };
  const forget = (key: string): void => {
    const before = told.get(key);
    if (before === undefined) return;
    told.delete(key);
    use(before.set.id, -1);
  };

  /** Looks at one pod again; true when its answer has changed. */
  const recompute = (pod: PodFact): boolean => {
    const key = objectKey(pod);
    const before = told.get(key);
    const next: Told = {
      set: index.setOf(selectedBy(pod)),
      governedNamespace: state.namespaces.get(pod.namespace)?.governed === true,
      names: namesOf(pod),
    };
    told.set(key, next);
    use(next.set.id, 1);
    if (before !== undefined) use(before.set.id, -1);
    return (
      before === undefined ||
      before.set !== next.set ||
      before.governedNamespace !== next.governedNamespace ||
      !sameNames(before.names, next.names)
    );
  };
  /** The same where only Services changed. */
  const rename = (pod: PodFact): boolean => {
    const key = objectKey(pod);
    const before = told.get(key);
    if (before === undefined) return recompute(pod);
    const names = namesOf(pod);
    if (sameNames(before.names, names)) return false;
    told.set(key, { ...before, names });
    return true;
  };
  const podsIn = (namespace: string): Iterable<PodFact> =>
    namespace === '' ? state.pods.values() : state.pods.by(namespaceIndex, namespace);
  const wantSecrets = (): void => {
    const wanted = new Map<string, Set<string>>();
    const want = ({ namespace, name }: PlacedCertificate, keys: readonly string[]): void => {
      const secret = secretKey(namespace, name);
      const named = wanted.get(secret) ?? new Set();
      wanted.set(secret, named);
      for (const key of keys) named.add(key);
    };
    for (const entry of index.values()) {
      for (const placed of secretsNamedBy(entry, ownNamespace)) want(placed, [placed.key]);
      const certificate = placedCertificate(entry, ownNamespace);
      if (typeof certificate === 'object') want(certificate, keysOfCertificate);
    }
    secrets.want(wanted);
  };
  const sweep = (): void => {
    if (!unused) return;
    unused = false;
    const used = new Set(users.keys());
    index.keepSets(used);
    for (const id of snapshots.keys()) if (!used.has(id)) snapshots.delete(id);
    views.keep(used);
  };
  const flush = (): void => {
    timer = undefined;
    if (!filled) return;
    const [namespaces, ofServices] = [dirty, renamed];
    const all = new Set([...dirty, ...renamed, ...noticed]);
    dirty = new Set();
    renamed = new Set();
    noticed = new Set();
    const changed: PodFact[] = [];
    if (namespaces.size > 0) {
      wantSecrets();
      for (const namespace of namespaces.has('') ? [''] : namespaces) {
        for (const pod of podsIn(namespace)) if (recompute(pod)) changed.push(pod);
      }
    }
    for (const namespace of ofServices) {
      if (namespaces.has('') || namespaces.has(namespace)) continue;
      for (const pod of podsIn(namespace)) if (rename(pod)) changed.push(pod);
    }
    sweep();
    changed.forEach(tell);
    for (const listener of namespaceListeners) listener(all);
  };
  const schedule = (): void => {
    if (filled) timer ??= clock.after(gatherMs, flush);
  };
  const touch = (namespace: string): void => {
    dirty.add(namespace);
    schedule();
  };
  const notice = (namespace: string): void => {
    noticed.add(namespace);
    schedule();
  };
  const fill = (): void => {
    filled = true;
    dirty.add('');
    flush();
  };

  for (const cache of [state.policies, state.clusterPolicies]) {
    // What came before the subscription is read below, when all is there.
    stops.push(
      cache.subscribe(({ before, after }) => {
        const entry = after ?? before;
        if (entry === undefined) return;
        if (after === undefined) index.remove(entry.key);
        else index.put(after);
        // A change of the status alone selects and says the same.
        if (
          before === undefined ||
          after === undefined ||
          before.generation !== after.generation ||
          before.uid !== after.uid
        )
          touch(entry.namespace ?? '');
      }),
    );
  }
  stops.push(
    state.pods.subscribe(({ key, before, after }) => {
      const pod = after ?? before;
      if (pod === undefined) return;
      // A pod of the same name may have come in its place.
      if (before !== undefined && before.uid !== after?.uid && before.governed) reporter?.gone(before);
      if (after === undefined) {
        forget(key);
        acks.forget(pod);
        notice(pod.namespace);
      } else if (filled) {
        // Its facts (addresses, ending) count for the stream as well as its answer: told at once.
        recompute(after);
        notice(pod.namespace);
      }
      if (filled) tell(pod);
    }),
    state.namespaces.subscribe(({ key }) => touch(key)),
    state.services.subscribe(({ before, after }) => {
      if (!services.changed({ before, after })) return;
      renamed.add((after ?? before)?.namespace ?? '');
      schedule();
    }),
  );
  let stopped = false;
  void state.whenSynced().then(() => {
    if (stopped) return;
    for (const cache of [state.policies, state.clusterPolicies]) for (const entry of cache.values()) index.put(entry);
    fill();
  });

  const find = (pod: {
    readonly namespace: string;
    readonly name: string;
    readonly uid: string;
  }): PodFact | undefined => {
    const found = state.pods.get(objectKey(pod));
    return found?.uid === pod.uid ? found : undefined;
  };
  const setOf = (pod: PodFact): PolicySet | undefined => {
    if (!filled) return undefined;
    const key = objectKey(pod);
    if (!told.has(key)) recompute(pod);
    return told.get(key)?.set;
  };
  /** One object for all pods with the set; made anew when the versions have moved on, which somebody who connects must see. */
  const snapshotOf = (set: Extract<PolicySet, { kind: 'compiled' }>): PodSnapshot => {
    const held = snapshots.get(set.id);
    const now = seen();
    if (
      held !== undefined &&
      !Object.entries(now).some(([kind, version]) => compareResourceVersions(version, held.seen[kind]) > 0)
    )
      return held;
    const { hash, sources, policies } = set;
    const made: PodSnapshot = { hash, sources, policies, seen: now };
    snapshots.set(set.id, made);
    return made;
  };
  const answer = (name: { readonly namespace: string; readonly name: string; readonly uid: string }): PodAnswer => {
    const pod = find(name);
    if (pod === undefined || !filled) return { kind: 'pending' };
    // Its namespace must be guarded before the pod serves: exec into it would pass otherwise.
    if (state.namespaces.get(pod.namespace)?.governed !== true) return { kind: 'pending' };
    const set = setOf(pod);
    if (set === undefined) return { kind: 'pending' };
    if (set.kind === 'invalid') return { kind: 'invalid', message: set.message, seen: seen() };
    return { kind: 'snapshot', snapshot: snapshotOf(set) };
  };

  const recordOf = (pod: PodFact): PodRecord | undefined => {
    if (pod.namespace === ownNamespace || exemptNamespaces.includes(pod.namespace)) return undefined;
    return {
      namespace: pod.namespace,
      name: pod.name,
      uid: pod.uid,
      serviceAccount: pod.serviceAccount,
      governed: pod.governed,
      sidecar: pod.sidecar,
      terminating: pod.terminating,
      finished: pod.finished,
      addresses: pod.addresses,
      ownName: pod.ownName,
    };
  };

  return {
    synced: () => filled,
    pod(namespace, name) {
      const pod = state.pods.get(objectKey({ namespace, name }));
      return pod === undefined ? undefined : recordOf(pod);
    },
    podByUid(uid) {
      const [pod] = state.pods.by(uidIndex, uid);
      return pod === undefined ? undefined : recordOf(pod);
    },
    hasAddress: (address) => state.pods.by(addressIndex, canonicalAddress(address)).some((pod) => !pod.finished),
    answer,
    servingNames(name) {
      const pod = find(name);
      return pod === undefined ? [] : namesOf(pod);
    },
    secrets(name) {
      const pod = find(name);
      const set = pod === undefined ? undefined : setOf(pod);
      // Where no policy changed what its pods need, they keep what they have.
      if (set === undefined || set.kind === 'invalid' || set.denied !== undefined) return 'pending';
      return views.secrets(set.id, secretsOfSet(set, ownNamespace));
    },
    imported(name) {
      const pod = find(name);
      const set = pod === undefined ? undefined : setOf(pod);
      if (set === undefined) return 'pending';
      const certificate = certificateOfSet(set, ownNamespace);
      return certificate === 'unknown' ? 'pending' : views.certificate(set.id, certificate);
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    report: (report) => acks.report(report),
    disconnected: (pod) => acks.disconnected(pod),
    auditHead(name, head) {
      const pod = find(name);
      if (pod !== undefined) reporter?.head(pod, head);
    },
    podsOf(entry) {
      const pods = entry.namespace === undefined ? state.pods.values() : state.pods.by(namespaceIndex, entry.namespace);
      return [...pods].filter((pod) => setOf(pod)?.entries.some((one) => one.key === entry.key) === true);
    },
    setOf,
    selectedBy,
    services: (pod) => services.of(pod),
    onNamespaces(listener) {
      namespaceListeners.add(listener);
      return () => void namespaceListeners.delete(listener);
    },
    policiesChanged: () => touch(''),
    secretChanged(key) {
      const touched = new Map<string, boolean>();
      const names = (set: PolicySet): boolean => {
        const known = touched.get(set.id);
        if (known !== undefined) return known;
        const certificate = certificateOfSet(set, ownNamespace);
        const placed = [...secretsOfSet(set, ownNamespace), ...(typeof certificate === 'object' ? [certificate] : [])];
        const hit = placed.some(({ namespace, name }) => secretKey(namespace, name) === key);
        touched.set(set.id, hit);
        return hit;
      };
      for (const pod of state.pods.values()) {
        const set = told.get(objectKey(pod))?.set;
        if (set !== undefined && names(set)) tell(pod);
      }
      for (const listener of namespaceListeners)
        listener(new Set([key.slice(0, key.indexOf('/')) === ownNamespace ? '' : key.slice(0, key.indexOf('/'))]));
    },
    stop() {
      stopped = true;
      timer?.cancel();
      for (const stop of stops) stop();
    },
  };
}

/** Mostly they are one object: nothing changed. */
const sameNames = (a: readonly string[], b: readonly string[]): boolean => a === b || a.join() === b.join();

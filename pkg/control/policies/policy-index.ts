import { describeError } from '../../base/index.ts';
import { compileSnapshot, selectorMatches } from '../../core/index.ts';
import type { Policy, PolicyNotice, Snapshot, SourceRef } from '../../core/index.ts';
import { encodeFrame, isTaken, maxDownBytes } from '../../wire/index.ts';
import { withTokenIssuer } from '../tokens/token-issuer.ts';
import type { TokenIssuerKeys } from '../tokens/token-issuer.ts';
import { withIssuer } from './cluster-issuer.ts';
import type { ClusterIssuerKeys } from './cluster-issuer.ts';
import type { PolicyEntry } from './policy-entry.ts';
import { standIn } from './stand-in.ts';

/** What decides which policies a pod has. */
export interface SelectedBy {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly namespaceLabels: Readonly<Record<string, string>>;
}

/** What the pods with one set of policies have to enforce; shared between them. */
export type PolicySet =
  | {
      readonly kind: 'compiled';
      /** Equal for equal sets of {uid, generation} under the same keys of the cluster and of Sidegate. */
      readonly id: string;
      readonly entries: readonly PolicyEntry[];
      readonly policies: readonly Policy[];
      readonly hash: string;
      readonly sources: readonly SourceRef[];
      readonly notices: readonly PolicyNotice[];
      readonly upstream: Snapshot['upstream'];
      readonly providers: Snapshot['providers'];
      /** Why the pods deny everything: a {@link standIn} is among the policies. Undefined: all are what their authors wrote. */
      readonly denied: string | undefined;
    }
  /** The platform's own policies cannot be carried out: pods keep what they have until nobody has confirmed it for too long. */
  | {
      readonly kind: 'invalid';
      readonly id: string;
      readonly entries: readonly PolicyEntry[];
      readonly message: string;
    };

/**
 * Policies, and which of them select a pod. Compiles once for each distinct set, however many pods have it.
 *
 * Promise: a policy that cannot be used is never left out. One of the platform's makes the answer of every pod that it selects
 * invalid. Where one of a namespace cannot be used, or all of them are too much together, the pods deny everything, and the
 * platform's policies hold as they are now.
 */
export interface PolicyIndex {
  put(entry: PolicyEntry): void;
  /** @returns whether there was one. */
  remove(key: string): boolean;
  get(key: string): PolicyEntry | undefined;
  values(): IterableIterator<PolicyEntry>;
  /** Of a namespace, and the cluster's. */
  candidates(namespace: string): readonly PolicyEntry[];
  selecting(pod: SelectedBy): readonly PolicyEntry[];
  setOf(pod: SelectedBy): PolicySet;
  /**
   * The cluster's own issuer, for providers of service accounts that name none. Everything is compiled anew.
   *
   * @returns whether it was another
   */
  setClusterIssuer(issuer: ClusterIssuerKeys | undefined): boolean;
  /**
   * Sidegate's own tokens, for providers of that kind. Everything is compiled anew.
   *
   * @returns whether it was another
   */
  setTokenIssuer(issuer: TokenIssuerKeys): boolean;
  /** Forgets compiled sets but these. */
  keepSets(ids: ReadonlySet<string>): void;
  /** Sets compiled so far: a figure for tests and metrics. */
  readonly compilations: number;
}

export function selectsPod(entry: PolicyEntry, pod: SelectedBy): boolean {
  if (entry.kind === 'InferencePolicy' && entry.namespace !== pod.namespace) return false;
  if (!selectorMatches(entry.selector, pod.labels)) return false;
  if (entry.kind === 'InferencePolicy' || entry.namespaceSelector === undefined) return true;
  return selectorMatches(entry.namespaceSelector, pod.namespaceLabels);
}

interface Issuers {
  readonly cluster?: ClusterIssuerKeys | undefined;
  readonly tokens?: TokenIssuerKeys;
}

/** Whether a sidecar takes so many, so large policies. Hash and versions are as long as any. */
function fit(policies: readonly Policy[]): boolean {
  const hash = '0'.repeat(64);
  const sources = policies.map(({ kind, uid, namespace, name, generation }) => ({
    kind,
    uid,
    namespace,
    name,
    generation,
  }));
  const version = '9'.repeat(20);
  const seen = { inferencepolicies: version, clusterinferencepolicies: version };
  return isTaken(encodeFrame({ type: 'snapshot', hash, sources, policies, seen }));
}

const tooMuch = 'the policies of a pod are more together than a sidecar takes: 4 MiB, 1,000 policies';

/** Bytes of each policy in a message: written once, however often those beside it are edited. */
const sizes = new WeakMap<Policy, number>();

function sizeOf(policy: Policy): number {
  const known = sizes.get(policy);
  if (known !== undefined) return known;
  const size = Buffer.byteLength(JSON.stringify(policy));
  sizes.set(policy, size);
  return size;
}

/** They are too much for a sidecar, whatever is added to them: nothing of them need be written to know it. */
function exceed(entries: readonly PolicyEntry[]): boolean {
  return entries.reduce((sum, { policy }) => sum + (policy === undefined ? 0 : sizeOf(policy)), 0) > maxDownBytes;
}

type Compiled = Extract<PolicySet, { kind: 'compiled' }>;

/** A text says why not. */
function compilePolicies(
  policies: readonly Policy[],
): Pick<Compiled, 'hash' | 'policies' | 'sources' | 'notices' | 'upstream' | 'providers'> | string {
  try {
    // Before they are compiled, which takes longer than in proportion to their number.
    if (!fit(policies)) return tooMuch;
    const { hash, sources, notices, upstream, providers } = compileSnapshot(policies, { revision: 0 });
    return { hash, policies, sources, notices, upstream, providers };
  } catch (error) {
    return describeError(error);
  }
}

function compileSet(id: string, entries: readonly PolicyEntry[], { cluster, tokens }: Issuers): PolicySet {
  const platform = entries.filter(({ kind }) => kind === 'ClusterInferencePolicy');
  const own = entries.filter(({ kind }) => kind === 'InferencePolicy');
  const translated = (some: readonly PolicyEntry[]): readonly Policy[] =>
    some.flatMap(({ policy }) => (policy === undefined ? [] : withTokenIssuer(withIssuer(policy, cluster), tokens)));
  const attempt = (policies: readonly Policy[], denied?: string): PolicySet => {
    const made = compilePolicies(policies);
    return typeof made === 'string'
      ? { kind: 'invalid', id, entries, message: made }
      : { kind: 'compiled', id, entries, ...made, denied };
  };
  const broken = (some: readonly PolicyEntry[]): PolicyEntry | undefined =>
    some.find(({ policy }) => policy === undefined);
  const words = ({ label, fault }: PolicyEntry): string => `${label} cannot be used: ${fault ?? ''}`;

  const theirs = broken(platform);
  if (theirs !== undefined) return { kind: 'invalid', id, entries, message: words(theirs) };
  const mine = broken(own);
  if (mine !== undefined) return attempt([...translated(platform), standIn(mine)], words(mine));
  const whole: PolicySet = exceed(entries)
    ? { kind: 'invalid', id, entries, message: tooMuch }
    : attempt(translated(entries));
  const [first] = own;
  return whole.kind === 'compiled' || first === undefined
    ? whole
    : attempt([...translated(platform), standIn(first)], whole.message);
}

export function createPolicyIndex(): PolicyIndex {
  const byKey = new Map<string, PolicyEntry>();
  /** '' holds the cluster's. */
  const byNamespace = new Map<string, Map<string, PolicyEntry>>();
  const sets = new Map<string, PolicySet>();
  let compilations = 0;
  let issuers: Issuers = {};
  /** Part of each set's id: a set with other keys is another. */
  let issuerNumber = 0;

  const candidates = (namespace: string): readonly PolicyEntry[] => [
    ...(byNamespace.get('')?.values() ?? []),
    ...(byNamespace.get(namespace)?.values() ?? []),
  ];
  const remove = (key: string): boolean => {
    const entry = byKey.get(key);
    if (entry === undefined) return false;
    byKey.delete(key);
    const place = entry.namespace ?? '';
    const inner = byNamespace.get(place);
    inner?.delete(key);
    if (inner?.size === 0) byNamespace.delete(place);
    return true;
  };
  const selecting = (pod: SelectedBy): readonly PolicyEntry[] =>
    candidates(pod.namespace).filter((entry) => selectsPod(entry, pod));

  return {
    put(entry) {
      remove(entry.key);
      byKey.set(entry.key, entry);
      const place = entry.namespace ?? '';
      const inner = byNamespace.get(place) ?? new Map<string, PolicyEntry>();
      byNamespace.set(place, inner);
      inner.set(entry.key, entry);
    },
    remove,
    get: (key) => byKey.get(key),
    values: () => byKey.values(),
    candidates,
    selecting,
    setOf(pod) {
      const entries = [...selecting(pod)].sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
      const id = [...entries.map((entry) => `${entry.uid}@${entry.generation}`), `#${issuerNumber}`].join(' ');
      let set = sets.get(id);
      if (set === undefined) {
        compilations++;
        set = compileSet(id, entries, issuers);
        sets.set(id, set);
      }
      return set;
    },
    setClusterIssuer(next) {
      const { cluster } = issuers;
      if (next?.issuer === cluster?.issuer && next?.keys === cluster?.keys) return false;
      issuers = { ...issuers, cluster: next };
      issuerNumber++;
      return true;
    },
    setTokenIssuer(next) {
      if (next.keys === issuers.tokens?.keys) return false;
      issuers = { ...issuers, tokens: next };
      issuerNumber++;
      return true;
    },
    keepSets(ids) {
      for (const id of sets.keys()) if (!ids.has(id)) sets.delete(id);
    },
    get compilations() {
      return compilations;
    },
  };
}

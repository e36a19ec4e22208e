/** What admission asks of the cluster, and where it says what it did: pkg/kube in the webhook, fakes in tests. */

/** A pod as far as exec, attach, port-forward and the proxy verbs need it. */
export interface PodFacts {
  /** Carries our label, with whatever value, or one of our containers. */
  readonly governed: boolean;
  readonly uid: string;
}

export interface ServiceFacts {
  readonly selector: Readonly<Record<string, string>>;
}

/** Lookups are live or of a synced copy; each may reject, and then the answer is a refusal. */
export interface ClusterLookup {
  /** Whether the namespace carries our label; undefined: there is none of that name. */
  namespaceGoverned(name: string): Promise<boolean | undefined>;
  pod(namespace: string, name: string): Promise<PodFacts | undefined>;
  service(namespace: string, name: string): Promise<ServiceFacts | undefined>;
  /** Labels of the namespace's governed pods. */
  governedPods(namespace: string): Promise<readonly Readonly<Record<string, string>>[]>;
}

/** PEM bundle that pods are given; undefined: the leader has not written it yet. */
export type TrustSource = () => string | undefined;

export interface EventSubjectRef {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace: string | undefined;
  readonly uid: string | undefined;
}

/** Best effort: never throws, never waits. `by`: who did it, so that what each does is told; these are not crowded out by others. */
export type EventSink = (
  about: EventSubjectRef,
  event: { readonly reason: string; readonly note: string; readonly action: string; readonly by?: string },
) => void;

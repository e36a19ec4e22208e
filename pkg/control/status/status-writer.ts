import type { Clock, Logger } from '../../base/index.ts';
import { createQueue, isNotFound, resources } from '../../kube/index.ts';
import type { KubeClient } from '../../kube/index.ts';
import type { Directory } from '../directory.ts';
import { serves } from '../facts/pod-fact.ts';
import type { PolicyIndex } from '../policies/policy-index.ts';
import type { AckTotals } from './ack-totals.ts';
import { policyStatus, sameStatus } from './policy-status.ts';
import { problemsOf } from './problems.ts';
import type { ProblemSources } from './problems.ts';

export interface StatusWriterOptions extends ProblemSources {
  readonly client: Pick<KubeClient, 'patch'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly index: PolicyIndex;
  readonly directory: Directory;
  readonly totals: AckTotals;
  /** Asked before each write: only the leader writes. */
  readonly leading: () => boolean;
  /** Image that sidecars of a namespace have in this release; undefined: not known. */
  readonly sidecarImage?: (namespace: string) => string;
  /** Changes are gathered for so long; default 500 ms, and never longer than 2 s. */
  readonly gatherMs?: number;
  readonly onWritten?: (result: 'done' | 'failed') => void;
}

/** One status for each policy, written only where it differs. */
export interface StatusWriter {
  close(): Promise<void>;
}

const seconds = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;
/** Without any change: what time alone changes (a replica that is gone) is seen then. */
const againMs = 60_000;

export function startStatusWriter(options: StatusWriterOptions): StatusWriter {
  const { client, clock, logger, index, directory, totals, leading, sidecarImage, gatherMs = 500 } = options;
  const queue = createQueue({
    name: 'status',
    clock,
    logger,
    debounceMs: gatherMs,
    maxDebounceMs: Math.max(gatherMs, 2_000),
    concurrency: 8,
    onHandled: (result) => options.onWritten?.(result),
    async handle(key) {
      const entry = index.get(key);
      if (entry === undefined) return undefined;
      if (!leading() || !directory.synced() || !totals.synced()) return 1_000;
      const pods = directory.podsOf(entry);
      const selected = pods.filter(serves);
      const names = new Set(selected.map(({ namespace, name }) => `${namespace}/${name}`));
      const refusals = totals.problems().filter((one) => names.has(`${one.namespace}/${one.name}`));
      const status = policyStatus(
        {
          entry,
          selected: selected.length,
          ending: selected.filter(({ terminating }) => terminating).length,
          enforcing: totals.enforcing(entry.uid, entry.generation),
          // A pod that has just gone to another replica is in the accounts of both.
          refusing: new Set(refusals.map((one) => `${one.namespace}/${one.name}`)).size,
          refusal: refusals[0]?.message,
          ...(sidecarImage !== undefined && {
            outdated: selected.filter((pod) => pod.sidecar && pod.sidecarImage !== sidecarImage(pod.namespace)).length,
          }),
          ...problemsOf(entry, pods, options),
        },
        seconds(clock.now()),
      );
      if (sameStatus(status, entry.status)) return againMs;
      const resource =
        entry.kind === 'InferencePolicy' ? resources.inferencePolicies : resources.clusterInferencePolicies;
      try {
        // The uid: a policy of the same name that was made since must not get this one's status.
        await client.patch(
          resource,
          entry,
          { type: 'merge', body: { metadata: { uid: entry.uid }, status } },
          'status',
        );
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
      return againMs;
    },
  });
  const all = (): void => {
    for (const { key } of index.values()) queue.add(key);
  };
  const counted = (policies: ReadonlySet<string> | 'all'): void => {
    if (policies === 'all') return all();
    for (const { key, uid } of index.values()) if (policies.has(uid)) queue.add(key);
  };
  const stop = directory.onNamespaces((namespaces) => {
    if (namespaces.has('')) return all();
    // The cluster's policies may reach into any namespace.
    for (const entry of index.values()) {
      if (entry.namespace === undefined || namespaces.has(entry.namespace)) queue.add(entry.key);
    }
  });
  totals.onChange(counted);
  all();
  return {
    async close() {
      stop();
      await queue.close();
    },
  };
}

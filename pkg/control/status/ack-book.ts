import type { Logger } from '../../base/index.ts';
import { objectKey } from '../../kube/index.ts';
import type { NackReason, PodName } from '../../wire/index.ts';
import type { PodReport } from '../stream/index.ts';

/** What the sidecars that are connected to this replica have in force. */
export interface AckBook {
  report(report: PodReport): void;
  disconnected(pod: PodName): void;
  /** The pod is gone. */
  forget(pod: { readonly namespace: string; readonly name: string; readonly uid: string }): void;
  summary(): AckSummary;
  /** Called after each change. */
  onChange(listener: () => void): void;
  readonly connected: number;
  readonly refusing: number;
}

/** Counts of one replica, as they stand in its ConfigMap. */
export interface AckSummary {
  /** Policy uid -> generation -> pods that enforce it. */
  readonly policies: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** Pods that did not take the newest, with the reason; at most {@link mostProblems}. */
  readonly problems: readonly AckProblem[];
}

export interface AckProblem {
  readonly namespace: string;
  readonly name: string;
  readonly reason: NackReason;
  readonly message: string;
}

/** More do not fit in a ConfigMap, and nobody reads them. */
export const mostProblems = 200;
const longestMessage = 300;
/** Counts at most: some 50 bytes each, and a ConfigMap holds 1 MiB. */
export const mostCounts = 14_000;

/** Leaves out all counts of the namespaces with most of them until the others fit: one that writes very many policies goes without its own. */
function withinBound(counted: ReadonlyMap<string, ReadonlyMap<string, Readonly<Record<string, number>>>>): {
  readonly policies: AckSummary['policies'];
  readonly leftOut: readonly string[];
} {
  const size = (policies: ReadonlyMap<string, Readonly<Record<string, number>>>): number =>
    [...policies.values()].reduce((sum, counts) => sum + Object.keys(counts).length, 0);
  const byFewest = [...counted].map(([namespace, policies]) => ({ namespace, policies, size: size(policies) }));
  // The platform's own, of no namespace, come first.
  byFewest.sort((a, b) => Number(b.namespace === '') - Number(a.namespace === '') || a.size - b.size);
  let sum = 0;
  const kept = byFewest.filter((one) => (sum += one.size) <= mostCounts);
  return {
    policies: Object.fromEntries(kept.flatMap(({ policies }) => [...policies])),
    leftOut: byFewest.slice(kept.length).map(({ namespace }) => namespace),
  };
}

export function createAckBook(logger: Logger): AckBook {
  const reports = new Map<string, PodReport>();
  const listeners: (() => void)[] = [];
  let told = '';
  const changed = (): void => {
    for (const listener of listeners) listener();
  };
  const held = (pod: PodName): string | undefined => {
    const key = objectKey(pod);
    return reports.get(key)?.pod.uid === pod.uid ? key : undefined;
  };

  return {
    report(report) {
      const key = objectKey(report.pod);
      const before = reports.get(key);
      reports.set(key, report);
      if (report.problem !== undefined && before?.problem?.message !== report.problem.message) {
        logger.warn('a sidecar did not take its policy', {
          namespace: report.pod.namespace,
          pod: report.pod.name,
          reason: report.problem.reason,
          message: report.problem.message.slice(0, longestMessage),
        });
      }
      changed();
    },
    disconnected(pod) {
      const key = held(pod);
      if (key === undefined) return;
      reports.delete(key);
      changed();
    },
    forget(pod) {
      const key = held(pod);
      if (key === undefined) return;
      reports.delete(key);
      changed();
    },
    summary() {
      const counted = new Map<string, Map<string, Record<string, number>>>();
      const problems: AckProblem[] = [];
      for (const { pod, sources, problem } of reports.values()) {
        for (const { uid, namespace = '', generation } of sources ?? []) {
          const policies = counted.get(namespace) ?? new Map<string, Record<string, number>>();
          counted.set(namespace, policies);
          const counts = policies.get(uid) ?? {};
          policies.set(uid, counts);
          counts[generation] = (counts[generation] ?? 0) + 1;
        }
        if (problem === undefined || problems.length >= mostProblems) continue;
        const message = problem.message.slice(0, longestMessage);
        problems.push({ namespace: pod.namespace, name: pod.name, reason: problem.reason, message });
      }
      const { policies, leftOut } = withinBound(counted);
      if (leftOut.join() !== told) {
        told = leftOut.join();
        if (told !== '')
          logger.warn('too many policies: those of these namespaces are not counted', { namespaces: told });
      }
      return { policies, problems };
    },
    onChange: (listener) => void listeners.push(listener),
    get connected() {
      return reports.size;
    },
    get refusing() {
      let count = 0;
      for (const { problem } of reports.values()) if (problem !== undefined) count++;
      return count;
    },
  };
}

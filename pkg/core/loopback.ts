import type { Operation } from './operation.ts';
import type { PolicyEntry } from './order.ts';
import type { LoopbackRule, PolicyNotice } from './snapshot.ts';

/**
 * What helpers in the pod may do without proving who they are, over all policies of a pod.
 *
 * Promise: as with Allow rules. Nothing is open by default; where a cluster policy has access rules, nothing is open that it does
 * not open itself, and where policies of the namespace have some, one of those must open it too; observing policies open nothing.
 */
export function compileLoopback(entries: readonly PolicyEntry[]): {
  readonly rules: readonly LoopbackRule[];
  readonly notices: readonly PolicyNotice[];
} {
  const enforcing = entries.filter((entry) => entry.enforces);
  const guarding = enforcing.filter((entry) => entry.policy.spec.access.length > 0);
  const own = enforcing.filter((entry) => !entry.cluster);
  const opens = (entry: PolicyEntry, uid: number, operation: Operation): boolean =>
    (entry.policy.spec.loopback ?? []).some((one) => one.runAsUser === uid && one.operations.includes(operation));
  /** The policy that keeps it closed. */
  const closedBy = (uid: number, operation: Operation): PolicyEntry | undefined => {
    const platform = guarding.find((entry) => entry.cluster && !opens(entry, uid, operation));
    if (platform !== undefined) return platform;
    const mine = guarding.find((entry) => !entry.cluster);
    return mine === undefined || own.some((entry) => opens(entry, uid, operation)) ? undefined : mine;
  };

  const rules: LoopbackRule[] = [];
  const notices: PolicyNotice[] = [];
  for (const entry of enforcing) {
    for (const { runAsUser, operations } of entry.policy.spec.loopback ?? []) {
      const open = operations.filter((operation) => closedBy(runAsUser, operation) === undefined);
      if (open.length > 0) rules.push({ id: `${entry.label}/loopback`, runAsUser, operations: new Set(open) });
      for (const operation of operations) {
        const by = closedBy(runAsUser, operation);
        if (by === undefined) continue;
        const message = `does not open ${operation}: ${by.label} has access rules and does not open it`;
        notices.push({ policy: entry.label, field: `loopback[${runAsUser}]`, message });
      }
    }
  }
  return { rules, notices };
}

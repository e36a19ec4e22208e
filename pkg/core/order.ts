import { canonical } from './canonical.ts';
import type { Policy } from './policy.ts';
import type { RuleId } from './snapshot.ts';

/** A policy with what every part of the compiler asks about it. */
export interface PolicyEntry {
  readonly policy: Policy;
  /** How people name it: `support-llm`, or `cluster/base` for the platform's. */
  readonly label: string;
  readonly cluster: boolean;
  readonly enforces: boolean;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * Policy order: the platform's policies first, then the oldest, then by name. It decides which rule is named, which limit
 * is charged first and, for values without order, which value wins. It is total, so that the order in which policies
 * were read never matters: policies that agree in everything else are ordered by their content.
 */
export function inPolicyOrder(policies: readonly Policy[]): readonly PolicyEntry[] {
  return [...policies]
    .sort(
      (a, b) =>
        Number(b.kind === 'ClusterInferencePolicy') - Number(a.kind === 'ClusterInferencePolicy') ||
        a.createdAt - b.createdAt ||
        compareText(a.name, b.name) ||
        compareText(a.uid, b.uid) ||
        compareText(canonical(a), canonical(b)),
    )
    .map((policy) => {
      const cluster = policy.kind === 'ClusterInferencePolicy';
      return {
        policy,
        label: cluster ? `cluster/${policy.name}` : policy.name,
        cluster,
        enforces: policy.spec.mode === 'Enforce',
      };
    });
}

export function ruleId(entry: PolicyEntry, rule: string): RuleId {
  return `${entry.label}/${rule}`;
}

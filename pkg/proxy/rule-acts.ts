import type { Action, ResponsePlan, RuleAct, ScanRule } from '../core/index.ts';
import { RefusedError } from '../core/index.ts';

/** What a guard or label that found something did, as the record names it. */
export const actName: Readonly<Record<Action, RuleAct['act']>> = {
  Mask: 'masked',
  Block: 'blocked',
  RequireApproval: 'held',
  Flag: 'flagged',
};

/** A {@link RuleAct} that is still being counted: the form in which it is recorded. */
export interface CountedAct {
  readonly rule: string;
  readonly act: RuleAct['act'];
  by?: string[];
  count: number;
}

/** Counts an act with those before it, in order of first action. `by`: the detector, pattern or word. */
export function countAct(acts: CountedAct[], rule: string, act: RuleAct['act'], by?: string): void {
  let known = acts.find((one) => one.rule === rule && one.act === act);
  if (known === undefined) {
    known = by === undefined ? { rule, act, count: 0 } : { rule, act, by: [by], count: 0 };
    acts.push(known);
  }
  known.count += 1;
  if (by !== undefined && known.by?.includes(by) !== true) (known.by ??= []).push(by);
}

/** Why an answer ends at a finding of a rule, by its index: one that needs an approval stops it only where there is nobody to ask. */
export function stoppedBy(index: number, rules: readonly ScanRule[], plan: ResponsePlan): RefusedError {
  const code = plan.approve[index] === 1 ? 'approval_unavailable' : 'response_blocked';
  return new RefusedError(code, { rule: rules[index]?.id ?? 'default' });
}

import type { Action, FoundKind, ResponsePlan, RuleAct, ScanRule } from '../core/index.ts';
import { RefusedError, mostFoundKinds } from '../core/index.ts';

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
  found?: Counted[];
}

type Counted = Omit<FoundKind, 'count'> & { count: number };

/** What found something, and what is said of it. */
export type FoundBy = Omit<FoundKind, 'count'>;

/** Counts an act with those before it, in order of first action. `by`: the finding; or a reason that is none. */
export function countAct(acts: CountedAct[], rule: string, act: RuleAct['act'], by?: string | FoundBy): void {
  const name = typeof by === 'object' ? by.by : by;
  let known = acts.find((one) => one.rule === rule && one.act === act);
  if (known === undefined) {
    known = name === undefined ? { rule, act, count: 0 } : { rule, act, by: [name], count: 0 };
    acts.push(known);
  }
  known.count += 1;
  if (name !== undefined && known.by?.includes(name) !== true) (known.by ??= []).push(name);
  if (typeof by === 'object') countFound((known.found ??= []), by);
}

function countFound(found: Counted[], { by, certainty, reason }: FoundBy): void {
  const known = found.find((one) => one.by === by && one.certainty === certainty && one.reason === reason);
  if (known !== undefined) known.count += 1;
  else if (found.length < mostFoundKinds) found.push({ by, certainty, reason, count: 1 });
}

/** Why an answer ends at a finding of a rule, by its index: one that needs an approval stops it only where there is nobody to ask. */
export function stoppedBy(index: number, rules: readonly ScanRule[], plan: ResponsePlan): RefusedError {
  const code = plan.approve[index] === 1 ? 'approval_unavailable' : 'response_blocked';
  return new RefusedError(code, { rule: rules[index]?.id ?? 'default' });
}

import { approvedMeanwhile, changedDecision } from '../../core/index.ts';
import type { Cache } from '../../kube/index.ts';
import { startStepRecord } from '../record/index.ts';
import type { Change, ChangeLog, Step } from '../record/index.ts';
import { isOpen } from './approval-fact.ts';
import type { ApprovalFact } from './approval-fact.ts';
import { stepOf } from './approval-step.ts';

/** What became of it since it was `before`. One that was used was approved first, whether or not a watch told so. */
function stepsOf(after: ApprovalFact, before: ApprovalFact | undefined): readonly Step[] {
  const steps: Step[] = before === undefined ? [{ step: stepOf.Pending, at: after.createdAt }] : [];
  if (after.phase === 'Pending' || after.phase === before?.phase) return steps;
  if (before?.phase !== 'Approved' && after.phase !== 'Approved') {
    const at = approvedMeanwhile(after, before?.votes) ?? (after.phase === 'Used' ? after.changedAt : undefined);
    if (at !== undefined) steps.push({ step: stepOf.Approved, at });
  }
  return [...steps, { step: stepOf[after.phase], at: after.changedAt }];
}

function changeOf(fact: ApprovalFact, step: string): Change {
  const { issuer, subject } = fact.asker;
  return {
    what: 'approval',
    step,
    name: fact.key,
    uid: fact.uid,
    caller: { provider: fact.provider, issuer, subject },
    rules: fact.rules,
    decisions: step === stepOf.Pending ? [] : fact.votes.map(changedDecision),
    ...(step === stepOf.Used && fact.usedBy !== undefined && { usedBy: fact.usedBy.session }),
    // An end that is no time is none: the step is told all the same.
    ...(Number.isFinite(fact.expiresAt) && { until: new Date(fact.expiresAt).toISOString() }),
  };
}

/**
 * Has each step of approvals recorded ({@link startStepRecord}); that somebody deleted one while it was open is `withdrawn`.
 *
 * @param options.now by the API server's clock, epoch milliseconds
 * @returns ends it
 */
export const recordApprovals = (options: {
  readonly cache: Pick<Cache<ApprovalFact>, 'subscribe' | 'whenSynced'>;
  readonly changes: Pick<ChangeLog, 'seen'>;
  readonly now: () => number;
}): (() => void) =>
  startStepRecord({
    ...options,
    steps: stepsOf,
    changeOf,
    onGone(last) {
      if (isOpen(last)) options.changes.seen(changeOf(last, 'withdrawn'));
    },
  });

import { describeError } from '../../base/index.ts';
import type { Logger } from '../../base/index.ts';
import { approvedMeanwhile, changedDecision } from '../../core/index.ts';
import type { Cache } from '../../kube/index.ts';
import { startStepRecord } from '../record/index.ts';
import type { Change, ChangeLog, Changers, Step } from '../record/index.ts';
import { askerOf, isOver } from './grant-fact.ts';
import type { GrantFact } from './grant-fact.ts';
import { stepOf } from './grant-step.ts';
import { decidable } from './grant-terms.ts';

/** When it was said who decides; no number where nothing says. */
const openedAt = ({ conditions }: GrantFact): number =>
  Date.parse(conditions.find(({ type, status }) => type === decidable && status === 'True')?.lastTransitionTime ?? '');

/** What became of it since it was `before`: opened once it is said who decides. */
function stepsOf(after: GrantFact, before: GrantFact | undefined): readonly Step[] {
  const steps: Step[] = [];
  if (after.required !== undefined && before?.required === undefined) {
    const at = after.phase === 'Pending' ? after.changedAt : openedAt(after);
    steps.push({ step: stepOf.Pending, at });
  }
  if (after.phase === 'Pending' || after.phase === before?.phase) return steps;
  if (before?.phase !== 'Approved' && after.phase !== 'Approved') {
    const { votes, required } = after;
    const at = approvedMeanwhile({ votes, required, asker: askerOf(after) }, before?.votes);
    if (at !== undefined) steps.push({ step: stepOf.Approved, at });
  }
  return [...steps, { step: stepOf[after.phase], at: after.changedAt }];
}

const changeOf = ({ key, uid, grant, requestedBy, votes }: GrantFact, step: string): Change => ({
  what: 'grant',
  step,
  name: key,
  uid,
  caller: { provider: null, issuer: grant.issuer, subject: grant.subject },
  requestedBy,
  decisions: step === stepOf.Pending ? [] : votes.map(changedDecision),
  // An end that is no time is none: the step is told all the same.
  ...(Number.isFinite(grant.until) && { until: new Date(grant.until).toISOString() }),
});

/**
 * Has each step of grants recorded ({@link startStepRecord}). That somebody deleted one while it was open is `withdrawn`, or `cancelled` where
 * something keeps the object, with who it was as `changers` know it: on record also where nobody can be asked, and asked by the replica that
 * tells of it alone.
 *
 * @param options.now by the API server's clock, epoch milliseconds
 * @param options.changers default nobody knows
 * @returns ends it
 */
export function recordGrants(options: {
  readonly cache: Pick<Cache<GrantFact>, 'subscribe' | 'whenSynced'>;
  readonly changes: Pick<ChangeLog, 'seen'>;
  readonly now: () => number;
  readonly changers?: Pick<Changers, 'gone'>;
  readonly logger: Logger;
}): () => void {
  const { changes, changers, logger } = options;
  const takenBack = (last: GrantFact): (() => Promise<Partial<Change>>) | undefined => {
    const by = changers?.gone(last);
    if (by === undefined) return undefined;
    return async () => {
      try {
        const who = await by();
        return who === undefined ? {} : { by: who };
      } catch (error) {
        logger.warn('who took a grant back could not be found out', { grant: last.key, error: describeError(error) });
        return {};
      }
    };
  };
  return startStepRecord({
    ...options,
    steps: stepsOf,
    changeOf,
    more: (after, before) =>
      after.withdrawn && before !== undefined && !isOver(before) ? takenBack(before) : undefined,
    onGone(last) {
      if (!isOver(last)) changes.seen(changeOf(last, 'withdrawn'), takenBack(last));
    },
  });
}

import type { Clock, Logger } from '../../base/index.ts';
import { createQueue, isConflict, isNotFound } from '../../kube/index.ts';
import type { Cache } from '../../kube/index.ts';
import { finishedIndex, isOpen, isUnanswered } from './approval-fact.ts';
import type { ApprovalFact } from './approval-fact.ts';
import type { ApprovalWriter } from './approval-writer.ts';
import type { ApprovalLimits } from './limits.ts';
import type { TwoClocks } from '../two-clocks.ts';

/**
 * The leader's bound on finished approvals of a namespace: callers who ask and go away fill neither the API server's storage nor the
 * copies of controllers. What is too much goes at once, that which nobody answered first, then the oldest. A denial stays as long as
 * it stands: without it the same could be asked again.
 */
export interface Trimmer {
  /** This replica leads now. */
  lead(): void;
  close(): Promise<void>;
}

export interface TrimmerOptions {
  readonly cache: Pick<Cache<ApprovalFact>, 'by' | 'values' | 'subscribe'>;
  readonly writer: Pick<ApprovalWriter, 'remove'>;
  readonly clock: Clock;
  readonly clocks: Pick<TwoClocks, 'earliest'>;
  readonly logger: Logger;
  readonly leading: () => boolean;
  readonly limits: Pick<ApprovalLimits, 'finishedPerNamespace'>;
}

export function startTrimmer({ cache, writer, clock, clocks, logger, leading, limits }: TrimmerOptions): Trimmer {
  /** Removed, and still in the copy. */
  const gone = new Set<string>();
  const surplus = (namespace: string): readonly ApprovalFact[] => {
    const finished = cache.by(finishedIndex, namespace).filter(({ uid }) => !gone.has(uid));
    const count = finished.length - limits.finishedPerNamespace;
    if (count <= 0) return [];
    const now = clocks.earliest();
    const stands = ({ phase, expiresAt }: ApprovalFact): boolean => phase === 'Denied' && now < expiresAt;
    const order = (a: ApprovalFact, b: ApprovalFact): number =>
      Number(isUnanswered(b)) - Number(isUnanswered(a)) || a.createdAt - b.createdAt;
    return finished
      .filter((fact) => !stands(fact))
      .sort(order)
      .slice(0, count);
  };
  const queue = createQueue({
    name: 'finished approvals',
    clock,
    logger,
    concurrency: 1,
    async handle(namespace) {
      if (!leading()) return;
      for (const fact of surplus(namespace)) {
        try {
          await writer.remove(fact);
        } catch (error) {
          // Of another version the watch will tell.
          if (isConflict(error)) continue;
          if (!isNotFound(error)) throw error;
        }
        gone.add(fact.uid);
      }
    },
  });
  const stop = cache.subscribe(({ before, after }) => {
    if (before !== undefined && before.uid !== after?.uid) gone.delete(before.uid);
    if (after !== undefined && !isOpen(after) && leading()) queue.add(after.namespace);
  });
  return {
    lead() {
      for (const namespace of new Set([...cache.values()].map((fact) => fact.namespace))) queue.add(namespace);
    },
    async close() {
      stop();
      await queue.close();
    },
  };
}

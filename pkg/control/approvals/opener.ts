import type { Clock } from '../../base/index.ts';
import type { ApprovalProblem } from '../../core/index.ts';
import type { ApprovalSpecResource } from '../../crd/index.ts';
import { objectKey } from '../../kube/index.ts';
import type { PodName } from '../../wire/index.ts';
import type { TwoClocks } from '../two-clocks.ts';
import type { ApprovalBook } from './approval-book.ts';
import { approvalName, bindingHash, isOpen } from './approval-fact.ts';
import type { ApprovalFact } from './approval-fact.ts';
import type { ApprovalWriter } from './approval-writer.ts';
import type { ApprovalLimits } from './limits.ts';
import { createTurns } from './turns.ts';

/**
 * Opens approvals. Of one binding there is one open at a time, in the whole cluster: its name is made of the binding, and the API
 * server takes a name once. A denial stands until the time that was asked for is over, so that asking again is no way round it.
 */
export interface Opener {
  /** Joins the one that is open for the same, or opens one. May throw KubeError. */
  open(pod: PodName, spec: ApprovalSpecResource): Promise<ApprovalFact | ApprovalProblem>;
}

export interface OpenerOptions {
  readonly book: ApprovalBook;
  readonly writer: Pick<ApprovalWriter, 'create' | 'read'>;
  readonly clock: Clock;
  readonly clocks: Pick<TwoClocks, 'earliest' | 'latest'>;
  readonly limits: ApprovalLimits;
}

export function createOpener({ book, writer, clock, clocks, limits }: OpenerOptions): Opener {
  /** Of one binding one is opened at a time, so that the second joins. */
  const opening = new Map<string, Promise<unknown>>();
  /** Creations under way, by namespace and by caller. */
  const creating = new Map<string, number>();
  const turns = createTurns(limits.opening);

  /** A denial stands until both clocks say that it is over, and what is open is of use until either does. */
  const isJoinable = (fact: ApprovalFact): boolean =>
    isOpen(fact) ? clocks.latest() < fact.expiresAt : fact.phase === 'Denied' && clocks.earliest() < fact.expiresAt;
  /** It has spent it, and asks again because the answer was lost on the way. */
  const isIts = ({ usedBy }: ApprovalFact, pod: PodName, { session }: ApprovalSpecResource): boolean =>
    usedBy !== undefined && usedBy.pod === pod.uid && usedBy.session === session;
  const tooMany = (namespace: string, caller: string): boolean => {
    const count = (key: string): number => creating.get(key) ?? 0;
    if (book.undecided(namespace).length + count(namespace) >= limits.perNamespace) return true;
    // Who asks and goes away leaves an object each time.
    const since = clock.now() - limits.recentMs;
    const own = book.unanswered(namespace).filter(({ asker, phase, createdAt }) => {
      return (phase === 'Pending' || createdAt > since) && callerKey(namespace, asker) === caller;
    });
    return own.length + count(caller) >= limits.perRequester;
  };
  const callerKey = (namespace: string, { issuer, subject }: { readonly issuer: string; readonly subject: string }) =>
    JSON.stringify([namespace, issuer, subject]);

  /** Joins the one that is open for the same, or opens one. */
  const openNext = async (pod: PodName, spec: ApprovalSpecResource): Promise<ApprovalFact | ApprovalProblem> => {
    const { namespace } = pod;
    const binding = bindingHash(spec);
    for (let number = 1; ; number++) {
      const known = book.newest(namespace, binding);
      if (known !== undefined && (isJoinable(known) || isIts(known, pod, spec))) return known;
      if (known !== undefined) number = Math.max(number, known.number + 1);
      const caller = callerKey(namespace, spec.requester);
      if (tooMany(namespace, caller)) return 'too_many';
      const count = (by: 1 | -1): void => {
        for (const key of [namespace, caller]) {
          const next = (creating.get(key) ?? 0) + by;
          if (next === 0) creating.delete(key);
          else creating.set(key, next);
        }
      };
      const name = approvalName(binding, number);
      count(1);
      try {
        const made = await turns.take(() => writer.create(namespace, name, spec));
        if (made !== undefined) return made;
      } finally {
        count(-1);
      }
      // Another replica was quicker, or a finished one of this name is not in the copy yet.
      const found = await writer.read(objectKey({ namespace, name }));
      if (found?.binding === binding && (isJoinable(found) || isIts(found, pod, spec))) return found;
    }
  };
  /** One after the other for each binding: what was opened is joined by the next. */
  const inOrder = async <T>(key: string, work: () => Promise<T>): Promise<T> => {
    const before = opening.get(key);
    const mine = (before ?? Promise.resolve()).then(work, work);
    opening.set(key, mine);
    try {
      return await mine;
    } finally {
      if (opening.get(key) === mine) opening.delete(key);
    }
  };

  return {
    open: (pod, spec) => inOrder(`${pod.namespace}/${bindingHash(spec)}`, () => openNext(pod, spec)),
  };
}

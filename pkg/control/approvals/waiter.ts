import type { Clock } from '../../base/index.ts';
import { recordedDecision } from '../../core/index.ts';
import type { ApprovalProblem } from '../../core/index.ts';
import type { ApprovalRequester, ApprovalStateMessage, PodName } from '../../wire/index.ts';
import type { ApprovalFact } from './approval-fact.ts';

/** One ask or watch of a sidecar's. */
export interface Waiter {
  readonly id: string;
  readonly pod: PodName;
  readonly requester: ApprovalRequester;
  /** Of an ask; undefined: it only watches, so it neither claims nor keeps an approval open. */
  readonly session: string | undefined;
  /** Under which it was asked, as AskTerms has them. */
  readonly terms: string | undefined;
  readonly send: (message: ApprovalStateMessage) => void;
  /** `ns/name` of the approval, once it is known. */
  key: string | undefined;
  /** What it was told last. */
  told: string;
  /** The sidecar has left, or its stream is gone. */
  over: boolean;
  /** What it asked for is handled one after the other. */
  work: Promise<void>;
}

/** Longest expiry that a message may say. */
const mostLeftMs = 86_400_000;

const isIts = (fact: ApprovalFact, { pod, session }: Waiter): boolean =>
  fact.usedBy !== undefined && fact.usedBy.pod === pod.uid && fact.usedBy.session === session;

/** Tells a waiter what its approval is, unless it knows. `again`: it asked, so it is told in any case. */
export function tellState(waiter: Waiter, fact: ApprovalFact, clock: Clock, again = false): void {
  if (waiter.over) return;
  const yours = fact.phase === 'Used' && isIts(fact, waiter);
  const text = `${fact.uid} ${fact.phase} ${fact.votes.length} ${yours}`;
  if (text === waiter.told && !again) return;
  waiter.told = text;
  waiter.send({
    type: 'approval-state',
    id: waiter.id,
    state: {
      name: fact.name,
      phase: fact.phase,
      yours,
      leftMs: Math.min(mostLeftMs, Math.max(0, Math.round(fact.expiresAt - clock.now()))),
      decisions: fact.votes.map(recordedDecision),
    },
    problem: null,
  });
}

export function tellProblem(waiter: Waiter, problem: ApprovalProblem): void {
  if (waiter.over) return;
  waiter.told = problem;
  waiter.send({ type: 'approval-state', id: waiter.id, state: null, problem });
}

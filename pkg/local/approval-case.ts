import { randomId } from '../base/index.ts';
import type { Timer } from '../base/index.ts';
import { changedDecision } from '../core/index.ts';
import type { ApprovalPhase, ApprovalSpec, ApprovalState, Asker, ChangeEvent, TokenVote } from '../core/index.ts';
import type { ApprovalFile } from './approval-file.ts';

/** An approval of a sidecar that runs on its own, and who waits for it. */
export interface Case {
  readonly name: string;
  readonly binding: string;
  readonly file: Pick<ApprovalFile, 'namespace' | 'createdAt' | 'spec'>;
  readonly approvers: ApprovalSpec['approvers'];
  readonly asker: Asker;
  readonly required: number;
  readonly expiresAt: number;
  phase: ApprovalPhase;
  votes: readonly TokenVote[];
  usedBy: string | undefined;
  readonly listeners: Set<(state: ApprovalState) => void>;
  /** Sessions that wait: watching alone keeps nothing open. */
  waiting: number;
  /** Its caller comes back for it. */
  kept: boolean;
  lonely: Timer | undefined;
}

export const isOpen = ({ phase }: Case): boolean => phase === 'Pending' || phase === 'Approved';

/** What became of it, as the record has it where no session tells. `voted`: one more decision of several that it needs. */
export function changeOf({ name, file, asker, phase, votes, usedBy, expiresAt }: Case): ChangeEvent {
  const { namespace, spec } = file;
  return {
    type: 'change',
    session: randomId(),
    what: 'approval',
    step: phase === 'Pending' ? 'voted' : phase.toLowerCase(),
    name: `${namespace}/${name}`,
    caller: { provider: spec.requester.provider, issuer: asker.issuer, subject: asker.subject },
    rules: spec.rules,
    decisions: votes.map(changedDecision),
    ...(usedBy !== undefined && { usedBy }),
    until: new Date(expiresAt).toISOString(),
  };
}

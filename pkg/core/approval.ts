import type { Identity } from './identity.ts';
import { keptSub } from './naming.ts';
import type { Operation } from './operation.ts';
import type { RuleId } from './snapshot.ts';

/**
 * A request or an answer that waits for people. Whoever holds it (the sidecar) asks; whoever keeps approvals (the controller,
 * or a folder of files) creates one, says what became of it, and lets it be spent once.
 */

export type ApprovalPhase = 'Pending' | 'Approved' | 'Denied' | 'Expired' | 'Used' | 'Cancelled';

/** So many rules may hold one request or answer together. */
export const mostHoldingRules = 256;

/** Whose request waits: who somebody is, and nothing of the credential that proved it, which is another at the next request. */
export type Requester = Pick<Identity, 'provider' | 'issuer' | 'subject' | 'sub' | 'kubernetesUser' | 'naming'>;

export function requesterOf({ provider, issuer, subject, sub, kubernetesUser, naming }: Identity): Requester {
  return {
    provider,
    issuer,
    subject,
    kubernetesUser,
    ...(naming !== undefined && { naming }),
    ...(sub !== undefined && { sub: keptSub(sub) }),
  };
}

/** All that an approval is bound to: a change in any of it asks anew. */
export interface ApprovalAsk {
  readonly direction: 'Request' | 'Response';
  /** Rules that ask, in policy order; at least one. */
  readonly rules: readonly RuleId[];
  readonly requester: Requester;
  readonly operation: Operation;
  readonly model: string | undefined;
  /** `sha256:` and hex, of what is held: what goes to the model, or what the caller would receive. */
  readonly digest: string;
  /** {@link Snapshot.hash} of the policies that ask: who may decide, how many, and for how long, is theirs to say. */
  readonly snapshot: string;
  /** In the record. Not part of what it is bound to: an identical retry joins. */
  readonly session: string;
  /** The text in question, masked for what nobody may see; at most 4,096 characters. */
  readonly excerpt: string;
}

export interface ApprovalDecision {
  readonly decision: 'Approve' | 'Deny';
  /** RFC 3339. */
  readonly at: string;
  /** `user:NAME` by Kubernetes, `ISSUER SUBJECT` by a token. */
  readonly by: string;
  /** One of the break-glass group overrode the count. */
  readonly breakGlass: boolean;
  /** Address that it came from. Absent where Kubernetes took it: the API server's audit log has that. */
  readonly from?: string | undefined;
}

/** Why nobody can be asked. */
export type ApprovalProblem =
  /** The policies name no approver. */
  | 'no_approvers'
  /** There is nothing that keeps approvals, or it does not answer. */
  | 'unavailable'
  /** As many are held as may be, of this caller or in this pod. */
  | 'too_many'
  /** The policies that ask are no longer those of the pod. */
  | 'policy_changed';

export type ApprovalState =
  | {
      readonly kind: 'known';
      /** Names it to people, to `kubectl` and to the caller. */
      readonly name: string;
      readonly phase: ApprovalPhase;
      /** Milliseconds from when this was said until it expires. */
      readonly leftMs: number;
      readonly decisions: readonly ApprovalDecision[];
    }
  | { readonly kind: 'problem'; readonly problem: ApprovalProblem };

/** One that waits. */
export interface ApprovalTicket {
  /**
   * Spends it, before anything of what was held goes on: true for one claim in all pods, and again for the same one. False: it is
   * not Approved, or somebody else's. Never rejects; false as well when it cannot be asked within the ask's own time.
   */
  claim(): Promise<boolean>;
  /**
   * What was held is over, or its caller is gone. An approval that nobody waits for is cancelled after a while, unless it is to be
   * kept: its caller will come back for it.
   */
  leave(keep?: boolean): void;
}

/** Asks people. Listeners are called at once or later, in order, with each change; after a final state or a problem no more. */
export interface ApprovalGate {
  ask(ask: ApprovalAsk, listener: (state: ApprovalState) => void): ApprovalTicket;
  /** Follows one by name, for the requester alone: anybody else's is `unavailable`. */
  watch(
    name: string,
    requester: ApprovalAsk['requester'],
    listener: (state: ApprovalState) => void,
  ): Pick<ApprovalTicket, 'leave'>;
}

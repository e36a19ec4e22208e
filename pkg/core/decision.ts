import type { ApprovalDecision, ApprovalPhase } from './approval.ts';
import type { Identity } from './identity.ts';
import type { ApprovalSpec } from './policy.ts';

/** What people's votes come to. Whoever keeps approvals and grants (controller, webhook, a folder of files) reckons by this alone. */

/** One entry of `status.decisions`: exactly one of `user` and `caller`. */
export interface Vote {
  readonly decision: 'Approve' | 'Deny';
  /** RFC 3339. */
  readonly at: string;
  /** By Kubernetes. */
  readonly user?: string | undefined;
  /** By a token. */
  readonly caller?:
    | {
        readonly issuer: string;
        readonly subject: string;
        readonly kubernetesUser?: string | undefined;
        /** Address that the decision came from. */
        readonly from?: string | undefined;
      }
    | undefined;
  readonly breakGlass?: boolean | undefined;
}

/** Who asked, and so does not count. Without `kubernetesUser` no Kubernetes user counts: it may be the same person. */
export interface Asker {
  readonly issuer: string;
  readonly subject: string;
  readonly kubernetesUser: string | undefined;
  /**
   * The Kubernetes user who asked in the caller's name. They do not count either, so that nobody counts of whom it is not known
   * who they are to Kubernetes.
   */
  readonly requestedBy?: string | undefined;
}

export interface Undecided {
  readonly phase: ApprovalPhase;
  readonly votes: readonly Vote[];
  /** Undefined: not known yet, so never enough. */
  readonly required: number | undefined;
  /** Wall clock, milliseconds. */
  readonly expiresAt: number;
  readonly asker: Asker;
}

export const isAsker = ({ user, caller }: Pick<Vote, 'user' | 'caller'>, asker: Asker): boolean =>
  (user !== undefined && (user === asker.kubernetesUser || user === asker.requestedBy)) ||
  (caller !== undefined &&
    ((caller.issuer === asker.issuer && caller.subject === asker.subject) ||
      (caller.kubernetesUser !== undefined &&
        (caller.kubernetesUser === asker.kubernetesUser || caller.kubernetesUser === asker.requestedBy))));

/** Nobody who has a name of their own beside this one: what is known of a workload is enough. */
const isWorkload = (kubernetesUser: string | undefined): boolean =>
  kubernetesUser?.startsWith('system:serviceaccount:') === true;

/**
 * Whether it can be told of a vote that it is not the asker's own. Callers of two issuers may be accounts of one person: only names in
 * Kubernetes tell them apart.
 */
export function isTellable({ user, caller }: Pick<Vote, 'user' | 'caller'>, asker: Asker): boolean {
  if (user !== undefined) return asker.kubernetesUser !== undefined;
  if (caller === undefined) return false;
  const { issuer, kubernetesUser } = caller;
  if (asker.requestedBy !== undefined && kubernetesUser === undefined) return false;
  if (issuer === asker.issuer || isWorkload(kubernetesUser) || isWorkload(asker.kubernetesUser)) return true;
  return kubernetesUser !== undefined && asker.kubernetesUser !== undefined;
}

const counts = (vote: Vote, asker: Asker): boolean => !isAsker(vote, asker) && isTellable(vote, asker);

/**
 * How many different people approve, at least. Those with a name in Kubernetes are told apart by it, and so are the callers of one
 * issuer; votes that neither tells apart are not added up, since they may be the same people's.
 */
export function peopleWho(votes: readonly Vote[], asker: Asker): number {
  const named = new Set<string>();
  /** By issuer: names in Kubernetes, and subjects of those who have none. */
  const callers = new Map<string, Set<string>>();
  for (const vote of votes) {
    if (vote.decision !== 'Approve' || !counts(vote, asker)) continue;
    const { user, caller } = vote;
    const name = user ?? caller?.kubernetesUser;
    if (name !== undefined) named.add(name);
    if (user !== undefined || caller === undefined) continue;
    const people = callers.get(caller.issuer) ?? new Set();
    callers.set(caller.issuer, people.add(JSON.stringify(name === undefined ? [caller.subject] : name)));
  }
  return Math.max(named.size, ...[...callers.values()].map((people) => people.size));
}

/**
 * The phase that follows from votes and time; `phase` itself where nothing does. Any denial wins, then the time, then enough
 * approvals or one who may break the glass.
 */
export function phaseAt({ phase, votes, required, expiresAt, asker }: Undecided, now: number): ApprovalPhase {
  // Written so that an end which is no number is over.
  const over = !(now < expiresAt);
  if (phase === 'Approved') return over ? 'Expired' : phase;
  if (phase !== 'Pending') return phase;
  if (votes.some(({ decision }) => decision === 'Deny')) return 'Denied';
  if (over) return 'Expired';
  if (votes.some((vote) => vote.decision === 'Approve' && vote.breakGlass === true && counts(vote, asker)))
    return 'Approved';
  return required !== undefined && peopleWho(votes, asker) >= required ? 'Approved' : phase;
}

/** As those see it who decide as well: not from where it came. */
export const decisionOf = ({ decision, at, user, caller, breakGlass }: Vote): ApprovalDecision => ({
  decision,
  at,
  by: user === undefined ? `${caller?.issuer ?? ''} ${caller?.subject ?? ''}` : `user:${user}`,
  breakGlass: breakGlass === true,
});

/** As it goes to the sidecar that waits, and into its record. */
export const recordedDecision = (vote: Vote): ApprovalDecision => ({
  ...decisionOf(vote),
  ...(vote.caller?.from !== undefined && { from: vote.caller.from }),
});

/** Who may decide, as policies and resources write it; a missing member says nothing. */
export type ApproverEntry = {
  readonly [Key in keyof ApprovalSpec['approvers'][number]]?: ApprovalSpec['approvers'][number][Key] | undefined;
};

/** Whether an entry means this Kubernetes user. */
export const approverIsUser = (
  { kubernetesUser, kubernetesGroup }: ApproverEntry,
  user: string,
  groups: readonly string[],
): boolean =>
  (kubernetesUser !== undefined && kubernetesUser === user) ||
  (kubernetesGroup !== undefined && groups.includes(kubernetesGroup));

/** Whether an entry means this proven caller. @param provider the id of the provider that the entry means */
export function approverIsCaller(entry: ApproverEntry, provider: string | undefined, caller: Identity): boolean {
  if (entry.kubernetesUser !== undefined || entry.kubernetesGroup !== undefined) return false;
  if (provider === undefined || caller.provider !== provider) return false;
  const { authenticated, group, subject, scope } = entry;
  if (authenticated !== true && group === undefined && subject === undefined && scope === undefined) return false;
  return (
    (group === undefined || caller.groups.includes(group)) &&
    (subject === undefined || caller.subject === subject) &&
    (scope === undefined || caller.scopes.includes(scope))
  );
}

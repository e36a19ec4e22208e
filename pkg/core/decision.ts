import type { ApprovalDecision, ApprovalPhase } from './approval.ts';
import type { Identity } from './identity.ts';
import { isSameCaller, isSameUser, mayBeSameUser } from './naming.ts';
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
        /** {@link Identity.naming}. */
        readonly naming?: string | undefined;
        /** `sub` of their token, see {@link Named}. */
        readonly sub?: string | undefined;
        /** Address that the decision came from. */
        readonly from?: string | undefined;
      }
    | undefined;
  readonly breakGlass?: boolean | undefined;
  /** Why, in their words. */
  readonly comment?: string | undefined;
}

/** Who asked, and so does not count. Without `kubernetesUser` no Kubernetes user counts: it may be the same person. */
export interface Asker {
  readonly issuer: string;
  readonly subject: string;
  readonly kubernetesUser: string | undefined;
  /** {@link Identity.naming}. Undefined: no subject of the same issuer is known to be somebody else's. */
  readonly naming?: string | undefined;
  /** `sub` of their token, see {@link Named}. */
  readonly sub?: string | undefined;
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

/** Who the asker is to Kubernetes, and who asked for them. */
const usersOf = ({ kubernetesUser, requestedBy }: Asker): readonly string[] =>
  [kubernetesUser, requestedBy].filter((name) => name !== undefined);

export function isAsker({ user, caller }: Pick<Vote, 'user' | 'caller'>, asker: Asker): boolean {
  if (caller !== undefined && isSameCaller(caller, asker)) return true;
  const name = user ?? caller?.kubernetesUser;
  return name !== undefined && usersOf(asker).some((one) => isSameUser(one, name));
}

/** Nobody who has a name of their own beside this one: what is known of a workload is enough. */
const isWorkload = (kubernetesUser: string | undefined): boolean =>
  kubernetesUser?.startsWith('system:serviceaccount:') === true;

/**
 * The service accounts that asked. Several people may act as one, so that its name alone does not say that a voter is not the one who
 * asked: whoever takes a vote of approval asks first whether the voter could have.
 */
export const workloadsOf = (asker: Asker): readonly string[] => usersOf(asker).filter(isWorkload);

/**
 * Whether it can be told of a vote that it is not the asker's own. Two callers may be accounts of one person: subjects tell them apart
 * where one issuer named both in one way, and names in Kubernetes do, but for those that differ by a prefix alone.
 */
export function isTellable({ user, caller }: Pick<Vote, 'user' | 'caller'>, asker: Asker): boolean {
  const name = user ?? caller?.kubernetesUser;
  if (name !== undefined && usersOf(asker).some((one) => mayBeSameUser(one, name) && !isSameUser(one, name)))
    return false;
  if (user !== undefined) return asker.kubernetesUser !== undefined;
  if (caller === undefined) return false;
  const { issuer, kubernetesUser, naming } = caller;
  if (asker.requestedBy !== undefined && kubernetesUser === undefined) return false;
  if (issuer === asker.issuer && naming !== undefined && naming === asker.naming) return true;
  if (isWorkload(kubernetesUser) || isWorkload(asker.kubernetesUser)) return true;
  return kubernetesUser !== undefined && asker.kubernetesUser !== undefined;
}

const counts = (vote: Vote, asker: Asker): boolean => !isAsker(vote, asker) && isTellable(vote, asker);

/** The names of which no two may be one person's. */
function different(names: readonly string[]): readonly string[] {
  const people: string[] = [];
  for (const name of names) if (!people.some((one) => mayBeSameUser(one, name))) people.push(name);
  return people;
}

/**
 * How many different people approve, at least. Those with a name in Kubernetes are told apart by it, and so are the callers whom one
 * issuer named in one way; votes that neither tells apart are not added up, since they may be the same people's.
 */
export function peopleWho(votes: readonly Vote[], asker: Asker): number {
  const counted: Vote[] = [];
  for (const vote of votes) {
    if (vote.decision !== 'Approve' || !counts(vote, asker)) continue;
    const { caller } = vote;
    // Whose name has changed since has voted once.
    const again =
      caller !== undefined && counted.some((one) => one.caller !== undefined && isSameCaller(one.caller, caller));
    if (!again) counted.push(vote);
  }
  if (counted.length === 0) return 0;
  const named = different(counted.flatMap(({ user, caller }) => user ?? caller?.kubernetesUser ?? []));
  /** By issuer and naming: of who has several accounts there, by their name in Kubernetes. */
  const callers = Map.groupBy(
    counted.flatMap(({ caller }) => (caller?.naming === undefined ? [] : [caller])),
    ({ issuer, naming }) => JSON.stringify([issuer, naming]),
  );
  const accounts = [...callers.values()].map((people) => {
    const users = different(people.flatMap(({ kubernetesUser }) => kubernetesUser ?? []));
    const others = people.filter(({ kubernetesUser }) => kubernetesUser === undefined);
    return users.length + new Set(others.map(({ subject }) => subject)).size;
  });
  return Math.max(1, named.length, ...accounts);
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

/**
 * When the last of the votes came that were not there before, where with them enough had approved; milliseconds. Undefined: no vote came,
 * or they did not approve it. For whoever sees that something ended, and did not see whether it was approved first.
 *
 * @param before undefined: nothing is known of then
 */
export function approvedMeanwhile(
  { votes, required, asker }: Pick<Undecided, 'votes' | 'required' | 'asker'>,
  before: readonly Vote[] | undefined,
): number | undefined {
  if (votes.length <= (before?.length ?? 0)) return undefined;
  const approved = phaseAt({ phase: 'Pending', votes, required, expiresAt: Infinity, asker }, 0) === 'Approved';
  return approved ? Date.parse(votes.at(-1)?.at ?? '') : undefined;
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

/** As it stands in the record of what became of an approval or a grant: with why, which neither the caller nor their sidecar is told. */
export const changedDecision = (vote: Vote): ApprovalDecision & { readonly comment?: string } => ({
  ...recordedDecision(vote),
  ...(vote.comment !== undefined && { comment: vote.comment }),
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

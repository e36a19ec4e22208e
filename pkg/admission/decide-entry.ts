import { canonical, isAsker, isSameUser, isTellable, approverIsUser } from '../core/index.ts';
import type { ApproverEntry, Asker, Vote } from '../core/index.ts';
import { fieldsOf } from './review.ts';
import type { Fields } from './review.ts';

/** The parts of an approval or a grant that decisions are judged by. The API server's schema has been checked before the webhook is asked. */
export interface Decidable {
  readonly asker: Asker;
  readonly approvers: readonly ApproverEntry[];
  readonly phase: string;
  readonly expiresAt: number;
  readonly votes: readonly Vote[];
  /** Everything of `status` but its decisions, as text that is equal for what is equal. */
  readonly rest: string;
}

const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
const listOf = <T>(value: unknown): readonly T[] => (Array.isArray(value) ? (value as readonly T[]) : []);

const restOf = (status: Fields): string => {
  const { decisions: _decisions, ...rest } = status;
  // A status has a phase: the first who writes one has to write it too.
  return canonical({ ...rest, phase: rest['phase'] ?? 'Pending' });
};

/** @param resource `inferenceapprovals` or `inferencegrants` */
export function decidableOf(resource: string, object: unknown): Decidable {
  const { spec: rawSpec, status: rawStatus } = fieldsOf(object);
  const [spec, status] = [fieldsOf(rawSpec), fieldsOf(rawStatus)];
  const grant = resource === 'inferencegrants';
  const asker = grant ? { ...spec, kubernetesUser: status['kubernetesUser'] } : fieldsOf(spec['requester']);
  return {
    asker: {
      issuer: textOf(asker['issuer']) ?? '',
      subject: textOf(asker['subject']) ?? '',
      kubernetesUser: textOf(asker['kubernetesUser']),
      ...(grant && { requestedBy: textOf(spec['requestedBy']) ?? '' }),
    },
    approvers: listOf((grant ? status : spec)['approvers']),
    phase: textOf(status['phase']) ?? 'Pending',
    expiresAt: Date.parse(textOf(spec['expiresAt']) ?? ''),
    votes: listOf(status['decisions']),
    rest: restOf(status),
  };
}

export interface Voter {
  readonly user: string;
  readonly groups: readonly string[];
  readonly breakGlassGroup: string;
  readonly now: number;
}

/** How far the time that somebody writes may be from now. */
export const mostSkewMs = 60_000;

/**
 * Why this vote is not theirs to give, as `[code] what; fix: what to do`; undefined: it is, if they have the verb `approve` or
 * break the glass.
 */
export function voteFault(
  before: Decidable,
  vote: Vote,
  { user, groups, breakGlassGroup, now }: Voter,
): string | undefined {
  if (vote.caller !== undefined)
    return '[caller_entry] entries with `caller` are written by the decision endpoint alone; fix: write `user`, or decide there with a token';
  if (vote.user !== user)
    return `[other_user] the entry is in the name of somebody else; fix: write user: ${JSON.stringify(user)}`;
  if (before.phase !== 'Pending') return `[decided] it is ${before.phase}: nothing more can be decided`;
  if (!(now < before.expiresAt)) return '[expired] its time is over: it is asked anew when it is tried again';
  const at = Date.parse(vote.at);
  if (!(Math.abs(at - now) <= mostSkewMs))
    return `[time] \`at\` is not within a minute of now; fix: write at: "${new Date(now).toISOString()}"`;
  const { kubernetesUser } = before.asker;
  if (isAsker(vote, before.asker))
    return '[self_approval] nobody decides on their own request; fix: ask another approver';
  if (!isTellable(vote, before.asker) && kubernetesUser !== undefined)
    return `[cannot_exclude_self_approval] the caller, or who asked for them, may be you: ${JSON.stringify(kubernetesUser)} differs from your name in a prefix alone; fix: write the prefix that this cluster puts before names (kubectl auth whoami) into kubernetesUser.prefix of the provider, or ask another approver`;
  if (!isTellable(vote, before.asker))
    return '[cannot_exclude_self_approval] who the caller is to Kubernetes is not known, so that it may be you; fix: decide through the decision endpoint with a token, or give the provider kubernetesUser';
  const isUser = (name: string | undefined): boolean => name !== undefined && isSameUser(name, user);
  if (before.votes.some((one) => isUser(one.user) || isUser(one.caller?.kubernetesUser)))
    return '[voted] you have decided already: a decision is final';
  if (vote.breakGlass === true) {
    if (vote.decision !== 'Approve')
      return '[break_glass] only an approval can break the glass; fix: leave breakGlass out';
    if (breakGlassGroup === '')
      return '[break_glass] this cluster has no break-glass group (breakGlassGroup of the chart)';
    return groups.includes(breakGlassGroup)
      ? undefined
      : `[break_glass] only members of group ${breakGlassGroup} override how many are required; fix: leave breakGlass out`;
  }
  return before.approvers.some((one) => approverIsUser(one, user, groups))
    ? undefined
    : '[not_approver] the policy does not name you: spec.approvals.approvers has neither you (kubernetesUser) nor a group of yours (kubernetesGroup); fix: ask somebody whom it names';
}

import { JsonError, jsonValue, parseJson } from '../base/index.ts';
import { isAsker, isTellable } from './decision.ts';
import type { Undecided } from './decision.ts';
import type { Identity } from './identity.ts';
import { sha256 } from './canonical.ts';
import { isSameCaller, isSameUser, keptSub } from './naming.ts';

/** A decision of somebody whom a token proves, as the controller's decision endpoint takes it and a sidecar on its own does. */
export interface Choice {
  readonly decision: 'Approve' | 'Deny';
  readonly comment: string | undefined;
  /** Approves alone, as one of those whom the operator of a sidecar on its own has named. */
  readonly breakGlass?: true;
}

/** Words of refusals. A closed set; none says more than its word. */
export type DecisionFault =
  | 'unauthenticated'
  | 'identity_unavailable'
  | 'not_allowed'
  | 'self_approval'
  | 'cannot_exclude_self_approval'
  | 'unusable_name'
  | 'voted'
  | 'decided'
  | 'expired';

/** HTTP status of each. */
export const decisionStatuses: Readonly<Record<DecisionFault, number>> = {
  unauthenticated: 401,
  identity_unavailable: 503,
  not_allowed: 403,
  self_approval: 403,
  cannot_exclude_self_approval: 403,
  unusable_name: 403,
  voted: 409,
  decided: 409,
  expired: 409,
};

const longestComment = 1_024;

/**
 * Longest names of who decides by token, in UTF-16 units. The definitions take as many code points, and sidecars read issuer and subject of a
 * vote together: nobody's vote is to be taken that a part of Sidegate then cannot read.
 */
export const longestVoter = { issuer: 512, subject: 512, kubernetesUser: 256 } as const;

/** Halves of characters do not survive the API server: two names that differ in them alone would be one there. */
const isUsable = (name: string, longest: number): boolean => name.length <= longest && name.isWellFormed();

/**
 * `{"decision": "Approve", "comment": "…"}`; undefined: it is not that and nothing more.
 *
 * @param more.breakGlass whether `"breakGlass": true` of an approval is understood; else it is refused as any other field
 */
export function readChoice(text: string, more: { readonly breakGlass?: boolean } = {}): Choice | undefined {
  try {
    const value = jsonValue(parseJson(text, { maxDepth: 3, maxNodes: 32 }));
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    const { decision, comment, breakGlass, ...others } = value;
    if (Object.keys(others).length > 0 || (decision !== 'Approve' && decision !== 'Deny')) return undefined;
    if (comment !== undefined && (typeof comment !== 'string' || comment.length > longestComment)) return undefined;
    const choice: Choice = { decision, comment: comment?.toWellFormed() };
    if (breakGlass === undefined) return choice;
    return more.breakGlass === true && breakGlass === true && decision === 'Approve'
      ? { ...choice, breakGlass }
      : undefined;
  } catch (error) {
    if (error instanceof JsonError) return undefined;
    throw error;
  }
}

const subOf = ({ sub }: Pick<Identity, 'sub'>): { readonly sub?: string } =>
  sub === undefined ? {} : { sub: keptSub(sub) };

/** Why this person may not vote, whatever the policy names them; undefined: they may. @param now wall clock, milliseconds */
export function voteFault(
  who: Pick<Identity, 'issuer' | 'subject' | 'sub' | 'kubernetesUser' | 'naming'>,
  { phase, votes, expiresAt, asker }: Omit<Undecided, 'required'>,
  now: number,
): DecisionFault | undefined {
  const { issuer, subject, kubernetesUser, naming } = who;
  const caller = { issuer, subject, ...subOf(who), kubernetesUser, naming };
  if (isAsker({ caller }, asker)) return 'self_approval';
  if (!isTellable({ caller }, asker)) return 'cannot_exclude_self_approval';
  const usable =
    isUsable(issuer, longestVoter.issuer) &&
    isUsable(subject, longestVoter.subject) &&
    isUsable(kubernetesUser ?? '', longestVoter.kubernetesUser);
  if (!usable) return 'unusable_name';
  if (phase !== 'Pending') return 'decided';
  // Written so that an end which is no number is over.
  if (!(now < expiresAt)) return 'expired';
  const voted = votes.some(
    (one) =>
      (one.caller !== undefined && isSameCaller(one.caller, caller)) ||
      (kubernetesUser !== undefined &&
        [one.user, one.caller?.kubernetesUser].some((name) => name !== undefined && isSameUser(name, kubernetesUser))),
  );
  return voted ? 'voted' : undefined;
}

/** A vote as `status.decisions` holds it. */
export interface TokenVote {
  readonly decision: 'Approve' | 'Deny';
  /** RFC 3339. */
  readonly at: string;
  readonly caller: {
    readonly issuer: string;
    readonly subject: string;
    readonly kubernetesUser?: string;
    readonly naming?: string;
    readonly sub?: string;
    /** SHA-256 of the token that proved it. */
    readonly proof: string;
    /** Address that it came from. */
    readonly from: string;
  };
  readonly comment?: string;
  readonly breakGlass?: true;
}

/** @param from where the decision came from: an address. @param now wall clock, milliseconds */
export const tokenVote = (
  who: Pick<Identity, 'issuer' | 'subject' | 'sub' | 'kubernetesUser' | 'naming'>,
  { token, from, now }: { readonly token: string; readonly from: string; readonly now: number },
  { decision, comment, breakGlass }: Choice,
): TokenVote => ({
  decision,
  at: new Date(now).toISOString(),
  caller: {
    issuer: who.issuer,
    subject: who.subject,
    ...(who.kubernetesUser !== undefined && { kubernetesUser: who.kubernetesUser }),
    ...(who.naming !== undefined && { naming: who.naming }),
    ...subOf(who),
    proof: `sha256:${sha256(token)}`,
    from: from.slice(0, 64),
  },
  ...(comment !== undefined && { comment }),
  ...(breakGlass === true && { breakGlass }),
});

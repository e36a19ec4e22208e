import { canonical, isBelieved, kubernetesName, namingOfSubject } from '../../core/index.ts';
import type { CompiledProvider } from '../../core/index.ts';
import type { GrantStatusResource } from '../../crd/index.ts';
import { approverResources, termsOf } from '../approvals/index.ts';
import { issues } from '../policies/issues.ts';
import type { PolicySet } from '../policies/policy-index.ts';
import type { GrantFact } from './grant-fact.ts';

/** The condition that says whether it is known who decides. */
export const decidable = 'Decidable';

/** Who decides on a grant, by the policies of all pods that it is about. */
export interface GrantTerms {
  readonly kind: 'terms';
  readonly approvers: NonNullable<GrantStatusResource['approvers']>;
  readonly required: number;
  readonly maxGrantMs: number;
  /** Who its caller is to Kubernetes; undefined: the policies do not say. */
  readonly kubernetesUser: string | undefined;
  /** How all providers that may prove its caller name people; undefined: not alike. */
  readonly naming: string | undefined;
}

/** Why it cannot be decided; one word, and what to do. */
export interface GrantProblem {
  readonly kind: 'problem';
  readonly reason: 'NoPods' | 'PolicyInvalid' | 'NoApprovers' | 'ApproversDiffer';
  readonly message: string;
}

const problem = (reason: GrantProblem['reason'], message: string): GrantProblem => ({
  kind: 'problem',
  reason,
  message,
});

/** The grant names a caller by the claim that is their subject: only where that claim is also their name in Kubernetes is it known. */
function userOf(provider: CompiledProvider, { grant }: GrantFact): string | undefined {
  const { oidc, serviceAccount, kubernetesUser } = provider;
  const subjectClaim = oidc === undefined ? 'sub' : oidc.subjectClaim;
  if (serviceAccount !== undefined)
    return grant.subject.startsWith('system:serviceaccount:') ? grant.subject : undefined;
  if (kubernetesUser === undefined || kubernetesUser.claim !== subjectClaim) return undefined;
  return kubernetesName(kubernetesUser, grant.subject);
}

/** Equal for lists of the same entries. */
const sameFor = (approvers: GrantTerms['approvers']): string => canonical(approvers.map(canonical).sort());

/**
 * All pods must agree on who decides; of the rest the strictest holds.
 *
 * @param sets of the pods that the grant selects
 */
export function grantTerms(fact: GrantFact, sets: readonly PolicySet[]): GrantTerms | GrantProblem {
  if (sets.length === 0)
    return problem(
      'NoPods',
      'spec.selector selects no inference pod of the namespace: start one, or ask with another selector',
    );
  const users = new Set<string | undefined>();
  const namings = new Set<string | undefined>();
  const lists = new Map<string, GrantTerms['approvers']>();
  let required = 1;
  let maxGrantMs = Number.POSITIVE_INFINITY;
  for (const set of new Set(sets)) {
    if (set.kind === 'invalid' || set.denied !== undefined)
      return problem(
        'PolicyInvalid',
        'a policy of a pod that it selects cannot be used: see the status of its policies',
      );
    const { approvals } = termsOf(set);
    const approvers = approvals === undefined ? [] : approverResources(approvals, fact.namespace);
    if (approvals === undefined || approvers.length === 0)
      return problem(
        'NoApprovers',
        'the policies of a pod that it selects name nobody who decides: set spec.approvals.approvers',
      );
    lists.set(sameFor(approvers), approvers);
    required = Math.max(required, approvals.required ?? 1);
    maxGrantMs = Math.min(maxGrantMs, approvals.maxGrantMs ?? 0);
    for (const provider of set.providers.filter((one) => issues(one, fact.grant.issuer))) {
      const believed = isBelieved(approvals, provider);
      users.add(believed ? userOf(provider, fact) : undefined);
      namings.add(believed ? namingOfSubject(provider) : undefined);
    }
  }
  const [approvers] = lists.values();
  if (lists.size > 1 || approvers === undefined)
    return problem(
      'ApproversDiffer',
      'the policies of the pods that it selects name different approvers: ask for each with a selector of its own',
    );
  const [kubernetesUser] = users;
  const [naming] = namings;
  return {
    kind: 'terms',
    approvers,
    required,
    maxGrantMs,
    kubernetesUser: users.size === 1 ? kubernetesUser : undefined,
    naming: namings.size === 1 ? naming : undefined,
  };
}

/** Since when it is known who decides, milliseconds; what it may last is counted from then. */
function openedAt({ conditions }: GrantFact): number {
  const asked = conditions.find(({ type, status }) => type === decidable && status === 'True');
  return Date.parse(asked?.lastTransitionTime ?? '');
}

/**
 * Why an approved grant does not hold on a pod with this set; undefined: it does. It holds only where the pod's policies, as they are now, ask
 * the same people, no more of them than were asked, exclude the same user, and allow what it lasts. Pods may come, and policies change, after
 * it was approved.
 */
export function whyNotHeld(fact: GrantFact, set: PolicySet): NotHeld | undefined {
  const { approvers, required, kubernetesUser, naming } = fact;
  const terms = grantTerms(fact, [set]);
  if (terms.kind === 'problem') return 'cannot be used, or name nobody who decides';
  if (approvers === undefined || required === undefined || sameFor(terms.approvers) !== sameFor(approvers))
    return 'name other approvers';
  if (!(terms.required <= required)) return 'want more people to approve';
  if (kubernetesUser !== undefined && kubernetesUser !== terms.kubernetesUser)
    return 'do not say the same of who the caller is to Kubernetes';
  if (naming !== undefined && naming !== terms.naming) return 'name callers otherwise';
  return lasts(fact, openedAt(fact)) <= terms.maxGrantMs ? undefined : 'allow it for a shorter time';
}

/**
 * How long people are asked for, milliseconds: what waits for them is not access, and waiting makes no grant longer, since its end is told
 * beforehand. NaN, which is within no limit, where it is not known when they were asked.
 *
 * @param askedAt wall clock, milliseconds
 */
export const lasts = ({ grant: { from, until } }: Pick<GrantFact, 'grant'>, askedAt: number): number =>
  until - Math.max(from, askedAt);

/** What the policies of a pod do: completes "the policies …". A closed set. */
export type NotHeld =
  | 'cannot be used, or name nobody who decides'
  | 'name other approvers'
  | 'want more people to approve'
  | 'do not say the same of who the caller is to Kubernetes'
  | 'name callers otherwise'
  | 'allow it for a shorter time';

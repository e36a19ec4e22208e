import { compileSnapshot, isBelieved, namingOfSubject } from '../../core/index.ts';
import type { ApprovalProblem, ApprovalSpec, Snapshot } from '../../core/index.ts';
import type { ApprovalSpecResource } from '../../crd/index.ts';
import type { ApprovalAskMessage, PodName } from '../../wire/index.ts';
import type { PodSnapshot } from '../stream/index.ts';
import type { Seal } from './seal.ts';

/** What the policies of a pod say of approvals. */
export interface AskTerms {
  readonly approvals: Snapshot['approvals'];
  readonly providers: Snapshot['providers'];
  /** Rules that may ask, of what is held. */
  readonly rules: Readonly<Record<ApprovalAskMessage['direction'], ReadonlySet<string>>>;
  /** {@link Snapshot.terms}: equal while nobody edits them. */
  readonly terms: string;
}

/** Compiled once for each set of policies. */
const compiled = new WeakMap<PodSnapshot['policies'], AskTerms>();

export function termsOf({ policies }: Pick<PodSnapshot, 'policies'>): AskTerms {
  const known = compiled.get(policies);
  if (known !== undefined) return known;
  const { approvals, providers, scanRules, terms } = compileSnapshot(policies, { revision: 0 });
  const asking = (direction: ApprovalAskMessage['direction']): ReadonlySet<string> =>
    new Set(
      scanRules
        .filter(({ on, action, inRequests, enforce }) => {
          const acts = on === direction ? action : direction === 'Request' ? inRequests : undefined;
          return acts === 'RequireApproval' && enforce;
        })
        .map(({ id }) => id),
    );
  const found = { approvals, providers, rules: { Request: asking('Request'), Response: asking('Response') }, terms };
  compiled.set(policies, found);
  return found;
}

export const mostApprovers = 64;

/** As a resource of the namespace writes it: `POLICY/PROVIDER` is its own, `cluster/POLICY/PROVIDER` the platform's. */
export const shortProvider = (namespace: string, id: string): string =>
  id.startsWith(`${namespace}/`) ? id.slice(namespace.length + 1) : id;

/** The other way round. By the number of parts: a policy of the namespace may be named `cluster`. */
export const providerId = (namespace: string, short: string): string =>
  short.split('/').length === 3 ? short : `${namespace}/${short}`;

type Approver = ApprovalSpecResource['approvers'][number];

/** Members that say nothing are left out: the API server refuses what is not there but stands there. */
export function approverResources(approvals: ApprovalSpec, namespace: string): readonly Approver[] {
  return approvals.approvers.slice(0, mostApprovers).map((one) => ({
    ...(one.kubernetesGroup !== undefined && { kubernetesGroup: one.kubernetesGroup }),
    ...(one.kubernetesUser !== undefined && { kubernetesUser: one.kubernetesUser }),
    ...(one.authenticated && { authenticated: true as const }),
    ...(one.group !== undefined && { group: one.group }),
    ...(one.subject !== undefined && { subject: one.subject }),
    ...(one.scope !== undefined && { scope: one.scope }),
    ...(one.provider !== undefined && { provider: shortProvider(namespace, one.provider) }),
  }));
}

/** Halves of characters do not survive the API server: two names that differ in them alone would be one there. */
const isStorable = (text: string): boolean => text.isWellFormed();

/**
 * The immutable part of an approval: who may decide comes from the policies alone, whatever the sidecar says.
 *
 * @param now wall clock, milliseconds
 */
export function approvalSpec(
  ask: ApprovalAskMessage,
  pod: PodName,
  snapshot: PodSnapshot,
  now: number,
  seal: Seal,
): ApprovalSpecResource | ApprovalProblem {
  const { approvals, providers, rules } = termsOf(snapshot);
  const approvers = approvals === undefined ? [] : approverResources(approvals, pod.namespace);
  if (approvals === undefined || approvers.length === 0) return 'no_approvers';
  const { required = 1, timeoutMs } = approvals;
  if (timeoutMs === undefined) return 'no_approvers';
  if (ask.rules.length === 0 || !ask.rules.every((rule) => rules[ask.direction].has(rule))) return 'unavailable';
  const { provider, issuer, subject, sub } = ask.requester;
  const words = [provider, issuer, subject, sub, ask.requester.kubernetesUser, ask.requester.naming, ask.model];
  if (!words.every((word) => isStorable(word ?? ''))) return 'unavailable';
  const asker = providers.find(({ id }) => id === providerId(pod.namespace, provider));
  const believed = asker !== undefined && isBelieved(approvals, asker);
  const kubernetesUser = believed || !approvals.byPlatform ? ask.requester.kubernetesUser : null;
  // A sidecar of an earlier release does not say it.
  const naming = believed ? (ask.requester.naming ?? namingOfSubject(asker)) : undefined;
  const digest = seal(ask.digest);
  if (digest === undefined) return 'unavailable';
  return {
    policies: snapshot.sources.map(({ kind, name, uid, generation }) => ({ kind, name, uid, generation })),
    rules: ask.rules,
    direction: ask.direction,
    pod: { name: pod.name, uid: pod.uid },
    requester: {
      provider,
      issuer,
      subject,
      ...(kubernetesUser !== null && { kubernetesUser }),
      ...(naming !== undefined && { naming }),
      ...(sub !== undefined && { sub }),
    },
    operation: ask.operation,
    ...(ask.model !== null && { model: ask.model }),
    digest,
    session: ask.session,
    excerpt: ask.excerpt.toWellFormed(),
    approvers,
    required,
    expiresAt: new Date(now + timeoutMs).toISOString(),
  };
}

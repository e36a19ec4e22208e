import { approverIsCaller, decisionOf, voteFault } from '../../core/index.ts';
import type { ApprovalPhase, ApproverEntry, Asker, DecisionFault, Identity, Vote } from '../../core/index.ts';
import type {
  ApprovalSpecResource,
  ApprovalStatusResource,
  GrantSpecResource,
  GrantStatusResource,
} from '../../crd/index.ts';
import { resources } from '../../kube/index.ts';
import type { KubeObject, KubeResource } from '../../kube/index.ts';
import { providerId } from '../approvals/index.ts';

/** What people decide by token: approvals and grants, as the API server has them. */

export interface Place {
  readonly namespace: string;
  readonly kind: 'approvals' | 'grants';
  readonly name: string;
}

export type Decidable = KubeObject & {
  readonly spec: Partial<ApprovalSpecResource & GrantSpecResource>;
  readonly status?: Partial<ApprovalStatusResource & GrantStatusResource>;
};

/** All of it that says who may decide now. */
export interface Judged {
  readonly asker: Asker;
  readonly approvers: readonly ApproverEntry[];
  readonly phase: ApprovalPhase;
  readonly votes: readonly Vote[];
  /** Wall clock, milliseconds. */
  readonly expiresAt: number;
}

export const resourceOf = ({ kind }: Pick<Place, 'kind'>): KubeResource =>
  kind === 'approvals' ? resources.inferenceApprovals : resources.inferenceGrants;

const askerOf = ({ spec, status }: Decidable, { kind }: Place): Asker =>
  kind === 'approvals'
    ? {
        issuer: spec.requester?.issuer ?? '',
        subject: spec.requester?.subject ?? '',
        kubernetesUser: spec.requester?.kubernetesUser,
        naming: spec.requester?.naming,
        sub: spec.requester?.sub,
      }
    : {
        issuer: spec.issuer ?? '',
        subject: spec.subject ?? '',
        kubernetesUser: status?.kubernetesUser,
        naming: status?.naming,
        requestedBy: spec.requestedBy ?? '',
      };

export const judgedOf = (object: Decidable, place: Place): Judged => ({
  asker: askerOf(object, place),
  approvers: (place.kind === 'approvals' ? object.spec : object.status)?.approvers ?? [],
  phase: object.status?.phase ?? 'Pending',
  votes: object.status?.decisions ?? [],
  expiresAt: Date.parse(object.spec.expiresAt ?? ''),
});

/**
 * As whom a person is named as approver; undefined: as nobody.
 *
 * @param person all that one token proves
 */
export function namedAs(
  { approvers, asker }: Pick<Judged, 'approvers' | 'asker'>,
  namespace: string,
  person: readonly Identity[],
): Identity | undefined {
  const entries = approvers.map((entry) => ({
    entry,
    provider: entry.provider === undefined ? undefined : providerId(namespace, entry.provider),
  }));
  const named = person.filter((who) => entries.some(({ entry, provider }) => approverIsCaller(entry, provider, who)));
  // Who says who they are to Kubernetes can be told from the requester, and else who is named as that one is.
  return (
    named.find(({ kubernetesUser }) => kubernetesUser !== undefined) ??
    named.find(({ issuer, naming }) => issuer === asker.issuer && naming !== undefined && naming === asker.naming) ??
    named[0]
  );
}

/** Why the person may not decide, though they are named as `who`; undefined: they may. @param now wall clock, milliseconds */
export function faultOf(
  judged: Judged,
  who: Identity,
  person: readonly Identity[],
  now: number,
): DecisionFault | undefined {
  const others = person.map((one) => voteFault(one, judged, now));
  if (others.includes('self_approval')) return 'self_approval';
  return voteFault(who, judged, now) ?? others.find((one) => one === 'voted');
}

/** What an approver sees: of the text, what nobody may see more of. */
export function viewOf({ metadata, spec, status }: Decidable, place: Place): Readonly<Record<string, unknown>> {
  const { rules, direction, requester, operation, model, excerpt, digest } = spec;
  const { issuer, subject, operations, models, selector, notBefore, reason, requestedBy } = spec;
  return {
    name: metadata.name,
    namespace: place.namespace,
    phase: status?.phase ?? 'Pending',
    createdAt: metadata.creationTimestamp,
    required: place.kind === 'approvals' ? spec.required : status?.required,
    expiresAt: spec.expiresAt,
    decisions: (status?.decisions ?? []).map(decisionOf),
    ...(place.kind === 'approvals'
      ? { rules, direction, requester, operation, model, digest, excerpt }
      : { issuer, subject, operations, models, selector, notBefore, reason, requestedBy }),
  };
}

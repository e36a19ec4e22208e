import type {
  ApprovalSpecResource,
  ApprovalStatusResource,
  GrantSpecResource,
  GrantStatusResource,
} from '../crd/index.ts';
import { isConflict, resources } from '../kube/index.ts';
import type { KubeClient, KubeObject, KubeResource } from '../kube/index.ts';
import type { CommandIo, ExitCode } from './command.ts';
import type { Flags } from './flags.ts';
import { printValue, span } from './output.ts';
import type { Column } from './output.ts';

/** What the commands about approvals and grants share. */

export type Approval = KubeObject & { readonly spec: ApprovalSpecResource; readonly status?: ApprovalStatusResource };
export type Grant = KubeObject & { readonly spec: GrantSpecResource; readonly status?: GrantStatusResource };
type Decidable = Approval | Grant;

export const phaseOf = ({ status }: Decidable): string => status?.phase ?? 'Pending';

/** Of an approved grant what the controller says of pods on which it does not hold; undefined: nothing. */
export const notHeldOf = ({ status }: Grant): { readonly reason: string; readonly message: string } | undefined =>
  status?.phase === 'Approved'
    ? status.conditions?.find((one) => one.type === 'Holds' && one.status === 'False')
    : undefined;

function reachOf(grant: Grant): string {
  const held = notHeldOf(grant);
  if (held === undefined) return phaseOf(grant);
  return `${phaseOf(grant)} (on ${held.reason === 'OnNoPod' ? 'no pod' : 'some pods'})`;
}

const votesOf = ({ status }: Decidable): number =>
  (status?.decisions ?? []).filter(({ decision }) => decision === 'Approve').length;

export const approvalColumns = (now: number, namespaced: boolean): readonly Column<Approval>[] => [
  ...(namespaced ? [] : [{ title: 'NAMESPACE', read: ({ metadata }: Approval) => metadata.namespace ?? '' }]),
  { title: 'NAME', read: ({ metadata }) => metadata.name },
  { title: 'PHASE', read: phaseOf },
  { title: 'APPROVED', read: (one) => `${votesOf(one)}/${one.spec.required}` },
  { title: 'CALLER', read: ({ spec }) => spec.requester.subject },
  { title: 'OPERATION', read: ({ spec }) => `${spec.operation}${spec.direction === 'Response' ? ' answer' : ''}` },
  { title: 'MODEL', read: ({ spec }) => spec.model ?? '' },
  { title: 'RULE', read: ({ spec }) => spec.rules.join(',') },
  {
    title: 'LEFT',
    read: (one) => (['Pending', 'Approved'].includes(phaseOf(one)) ? span(Date.parse(one.spec.expiresAt) - now) : '-'),
  },
  { title: 'POD', wide: true, read: ({ spec }) => spec.pod.name },
  { title: 'ISSUER', wide: true, read: ({ spec }) => spec.requester.issuer },
  { title: 'EXCERPT', wide: true, read: ({ spec }) => (spec.excerpt ?? '').slice(0, 80) },
];

export const grantColumns = (now: number, namespaced: boolean): readonly Column<Grant>[] => [
  ...(namespaced ? [] : [{ title: 'NAMESPACE', read: ({ metadata }: Grant) => metadata.namespace ?? '' }]),
  { title: 'NAME', read: ({ metadata }) => metadata.name },
  { title: 'PHASE', read: reachOf },
  { title: 'APPROVED', read: (one) => `${votesOf(one)}/${one.status?.required ?? '?'}` },
  { title: 'CALLER', read: ({ spec }) => spec.subject },
  { title: 'OPERATIONS', read: ({ spec }) => spec.operations.join(',') },
  { title: 'MODELS', read: ({ spec }) => spec.models.join(',') },
  {
    title: 'LEFT',
    read: (one) => (['Pending', 'Approved'].includes(phaseOf(one)) ? span(Date.parse(one.spec.expiresAt) - now) : '-'),
  },
  { title: 'ASKED BY', read: ({ spec }) => spec.requestedBy },
  { title: 'HOLDS', wide: true, read: (one) => notHeldOf(one)?.message ?? '' },
  { title: 'REASON', wide: true, read: ({ spec }) => spec.reason },
  { title: 'ISSUER', wide: true, read: ({ spec }) => spec.issuer },
];

/** `a/NAME` or `approval/NAME`, `g/NAME` or `grant/NAME`; a bare name is an approval's. */
export function targetOf(text: string): { readonly resource: KubeResource; readonly name: string } {
  const [, kind = 'approval', name = text] = /^(approval|grant)\/(.+)$/.exec(text) ?? [];
  return { resource: kind === 'grant' ? resources.inferenceGrants : resources.inferenceApprovals, name };
}

interface SelfReview {
  readonly status?: { readonly userInfo?: { readonly username?: string } };
}

/** Who the API server says that we are. @throws KubeError */
export async function whoAmI(client: Pick<KubeClient, 'request'>): Promise<string> {
  const answer = await client.request({
    method: 'POST',
    path: '/apis/authentication.k8s.io/v1/selfsubjectreviews',
    body: { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' },
  });
  const user = (answer as SelfReview | undefined)?.status?.userInfo?.username ?? '';
  if (user === '') throw new Error('the API server does not say who you are');
  return user;
}

export interface Choice {
  readonly decision: 'Approve' | 'Deny';
  readonly comment: string | undefined;
  readonly breakGlass: boolean;
}

/** Two who decide at once are told so by the API server; the later one looks again. */
const mostTries = 5;

/** Appends our decision, and prints what it came to. What the webhook refuses is thrown with its words. */
export async function decide(
  { client, namespace }: { readonly client: Pick<KubeClient, 'get' | 'patch' | 'request'>; readonly namespace: string },
  target: string,
  { decision, comment, breakGlass }: Choice,
  flags: Flags,
  io: CommandIo,
): Promise<ExitCode> {
  const { resource, name } = targetOf(target);
  const user = await whoAmI(client);
  const attempt = async (left: number): Promise<Decidable> => {
    const found = await client.get<Decidable>(resource, { namespace, name });
    const entry = {
      user,
      decision,
      at: new Date(io.now()).toISOString(),
      ...(comment !== undefined && { comment }),
      ...(breakGlass && { breakGlass }),
    };
    const body = {
      metadata: { resourceVersion: found.metadata.resourceVersion },
      status: { phase: phaseOf(found), decisions: [...(found.status?.decisions ?? []), entry] },
    };
    try {
      return await client.patch<Decidable>(resource, { namespace, name }, { type: 'merge', body }, 'status');
    } catch (error) {
      if (left > 0 && isConflict(error)) return attempt(left - 1);
      throw error;
    }
  };
  const written = await attempt(mostTries);
  if (printValue(written, flags, io)) return 0;
  const required = 'required' in written.spec ? written.spec.required : (written as Grant).status?.required;
  const said = decision === 'Deny' ? 'denied' : `approved, ${votesOf(written)} of ${required ?? '?'}`;
  io.stdout(`${resource.kind} ${namespace}/${name}: ${said}, as ${user}\n`);
  return 0;
}

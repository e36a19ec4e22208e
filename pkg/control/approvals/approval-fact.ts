import { annotations } from '../../contract/index.ts';
import { canonical, sha256 } from '../../core/index.ts';
import type { ApprovalPhase, Asker, Vote } from '../../core/index.ts';
import type { ApprovalSpecResource, ApprovalStatusResource } from '../../crd/index.ts';
import { createCache, objectKey, resources } from '../../kube/index.ts';
import type { Cache, CacheFault, CacheTimings, KubeClient, KubeObject } from '../../kube/index.ts';
import type { Clock, Logger } from '../../base/index.ts';
import { changedAt } from '../record/index.ts';

export interface ApprovalObject extends KubeObject {
  readonly spec: ApprovalSpecResource;
  readonly status?: ApprovalStatusResource;
}

/** All that is kept of an approval: the excerpt is not. */
export interface ApprovalFact {
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  /** SHA-256 of what it is bound to, from its content and not from its name. */
  readonly binding: string;
  /** The n of `HASH-n`; 0 where the name is another. */
  readonly number: number;
  readonly asker: Asker;
  readonly provider: string;
  readonly rules: readonly string[];
  readonly podUid: string;
  /** Of one that waits: whom it names. */
  readonly approvers: ApprovalSpecResource['approvers'];
  readonly required: number;
  /** By the API server's clock, to the second; milliseconds. */
  readonly createdAt: number;
  readonly expiresAt: number;
  /** When it last changed, by the API server's clock, to the second; milliseconds. */
  readonly changedAt: number;
  readonly phase: ApprovalPhase;
  readonly votes: readonly Vote[];
  readonly usedBy: { readonly pod: string; readonly session: string } | undefined;
  /** Replica at which its callers wait. */
  readonly waiting: string | undefined;
  /** Its callers come back for it, at whatever replica: it waits until its end. */
  readonly kept: boolean;
}

/** What an approval is bound to, as its `spec` holds it: a change in any of it is another approval. */
export type Binding = Pick<
  ApprovalSpecResource,
  'policies' | 'rules' | 'direction' | 'requester' | 'operation' | 'model' | 'digest'
>;

/** SHA-256, hex. Policies count by uid and generation: their order and names say nothing more. */
export function bindingHash({ policies, rules, direction, requester, operation, model, digest }: Binding): string {
  const sources = policies.map(({ uid, generation }) => `${uid}@${generation}`).sort();
  const { provider, issuer, subject, kubernetesUser } = requester;
  return sha256(
    canonical({
      sources,
      rules,
      direction,
      requester: { provider, issuer, subject, kubernetesUser },
      operation,
      model,
      digest,
    }),
  );
}

/** Short enough to be typed; what it stands for is compared in full, so that equal names of different things do no harm. */
const nameDigits = 16;

export const approvalName = (binding: string, number: number): string => `${binding.slice(0, nameDigits)}-${number}`;

const lastChange = ({ metadata, spec, status }: ApprovalObject): number =>
  changedAt(
    metadata,
    metadata.creationTimestamp,
    metadata.deletionTimestamp,
    status?.decisions?.at(-1)?.at,
    status?.usedAt,
    status?.phase === 'Expired' ? spec.expiresAt : undefined,
  );

export function approvalFact(raw: KubeObject): ApprovalFact {
  const { metadata, spec, status } = raw as ApprovalObject;
  const { namespace = '', name, uid = '', resourceVersion = '' } = metadata;
  const { provider, issuer, subject, kubernetesUser, naming, sub } = spec.requester;
  const phase = status?.phase ?? 'Pending';
  // One that was deleted is taken back then, not when its last finalizer goes.
  const withdrawn = metadata.deletionTimestamp !== undefined && isOpen({ phase });
  const binding = bindingHash(spec);
  const number = /-([1-9][0-9]{0,8})$/.exec(name)?.[1];
  return {
    key: objectKey(metadata),
    namespace,
    name,
    uid,
    resourceVersion,
    binding,
    number: number === undefined || approvalName(binding, Number(number)) !== name ? 0 : Number(number),
    asker: { issuer, subject, kubernetesUser, naming, sub },
    provider,
    rules: spec.rules,
    podUid: spec.pod.uid,
    approvers: phase === 'Pending' && !withdrawn ? spec.approvers : [],
    required: spec.required,
    createdAt: Date.parse(metadata.creationTimestamp ?? '') || 0,
    expiresAt: Date.parse(spec.expiresAt),
    changedAt: lastChange(raw as ApprovalObject),
    phase: withdrawn ? 'Cancelled' : phase,
    votes: status?.decisions ?? [],
    usedBy: status?.usedBy,
    waiting: metadata.annotations?.[annotations.waiting],
    kept: metadata.annotations?.[annotations.kept] === 'true',
  };
}

export const bindingIndex = 'binding';
export const openIndex = 'open';
/** Those of a namespace that are over. */
export const finishedIndex = 'finished';
/** Those of a namespace that wait, or that ended without an answer of people. */
export const unansweredIndex = 'unanswered';

export const isOpen = ({ phase }: Pick<ApprovalFact, 'phase'>): boolean => phase === 'Pending' || phase === 'Approved';

/** It waits, or it ended without anybody's decision. */
export const isUnanswered = ({ phase, votes }: Pick<ApprovalFact, 'phase' | 'votes'>): boolean =>
  phase === 'Pending' || ((phase === 'Cancelled' || phase === 'Expired') && votes.length === 0);

export interface ApprovalCacheOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly timings?: Partial<CacheTimings>;
  readonly onFault?: (resource: string, fault: CacheFault) => void;
  readonly onMissed?: (resource: string, count: number) => void;
}

export const approvalIndices = {
  [bindingIndex]: ({ namespace, binding }: ApprovalFact) => [`${namespace}/${binding}`],
  [openIndex]: (fact: ApprovalFact) => (fact.phase === 'Pending' ? [fact.namespace] : []),
  [finishedIndex]: (fact: ApprovalFact) => (isOpen(fact) ? [] : [fact.namespace]),
  [unansweredIndex]: (fact: ApprovalFact) => (isUnanswered(fact) ? [fact.namespace] : []),
};

export const createApprovalCache = (options: ApprovalCacheOptions): Cache<ApprovalFact> =>
  createCache<ApprovalFact>({
    client: options.client,
    resource: resources.inferenceApprovals,
    clock: options.clock,
    logger: options.logger,
    transform: approvalFact,
    // What cannot be read lets nobody through.
    oversized: () => undefined,
    indices: approvalIndices,
    ...(options.timings !== undefined && { timings: options.timings }),
    onFault: (fault) => options.onFault?.(resources.inferenceApprovals.plural, fault),
    onMissed: (count) => options.onMissed?.(resources.inferenceApprovals.plural, count),
  });

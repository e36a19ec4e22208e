import type { Clock, Logger } from '../../base/index.ts';
import type { ApprovalPhase, Asker, Grant, LabelSelector, Operation, Vote } from '../../core/index.ts';
import { grantName } from '../../crd/index.ts';
import type { GrantSpecResource, GrantStatusResource } from '../../crd/index.ts';
import { createCache, objectKey, resources } from '../../kube/index.ts';
import { encodeFrame, isTaken } from '../../wire/index.ts';
import { changedAt } from '../record/index.ts';
import type { Cache, CacheFault, CacheTimings, KubeClient, KubeObject } from '../../kube/index.ts';

export interface GrantObject extends KubeObject {
  readonly spec: GrantSpecResource;
  readonly status?: GrantStatusResource;
}

/** A grant as resource; `grant` is what sidecars get of it. */
export interface GrantFact {
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly generation: number;
  readonly selector: LabelSelector;
  readonly grant: Grant;
  /** Bytes of it in a message to sidecars. Undefined: they do not take it, whatever is decided, and one such would cost them all others. */
  readonly bytes: number | undefined;
  readonly requestedBy: string;
  /** Wall clock, milliseconds. */
  readonly createdAt: number;
  /** When it last changed, by the API server's clock, to the second; milliseconds. */
  readonly changedAt: number;
  /** Its name is made of its spec. Not so: it was asked for before names were, and nobody can tell that it is what they read. */
  readonly bound: boolean;
  readonly phase: ApprovalPhase;
  /** It was deleted while it was open, and finalizers keep the object: `phase` is Cancelled, its status does not say so yet. */
  readonly withdrawn: boolean;
  readonly votes: readonly Vote[];
  /** Who decides; undefined like `required`. */
  readonly approvers: GrantStatusResource['approvers'];
  /** Undefined: the controller has not said who decides. */
  readonly required: number | undefined;
  readonly kubernetesUser: string | undefined;
  /** How the providers name its caller; undefined: they differ, or nothing is known. */
  readonly naming: string | undefined;
  readonly conditions: NonNullable<GrantStatusResource['conditions']>;
}

const selectorOf = (selector: GrantSpecResource['selector']): LabelSelector => ({
  matchLabels: { ...selector?.matchLabels },
  matchExpressions: (selector?.matchExpressions ?? []).map(({ key, operator, values }) => ({
    key,
    operator,
    values: values ?? [],
  })),
});

/**
 * Milliseconds as sidecars take them: not before 1970, and what is no time here, as a leap second, never comes. One of them that they
 * do not take would cost them all others.
 */
function beginning(text: string | undefined): number {
  if (text === undefined) return 0;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? Number.MAX_SAFE_INTEGER : Math.max(0, ms);
}

function bytesOf(grant: Grant): number | undefined {
  const frame = encodeFrame({ type: 'grants', grants: [grant], seen: {} });
  return isTaken(frame) ? frame.length : undefined;
}

const lastChange = ({ metadata, spec, status }: GrantObject): number =>
  changedAt(
    metadata,
    metadata.creationTimestamp,
    metadata.deletionTimestamp,
    status?.decisions?.at(-1)?.at,
    status?.phase === 'Expired' ? spec.expiresAt : undefined,
  );

export function grantFact(raw: KubeObject): GrantFact {
  const { metadata, spec, status } = raw as GrantObject;
  const { namespace = '', name, uid = '', resourceVersion = '', generation = 0 } = metadata;
  const phase = status?.phase ?? 'Pending';
  // Whoever deletes it takes it back then, not when its last finalizer goes.
  const withdrawn = metadata.deletionTimestamp !== undefined && !isOver({ phase });
  const grant: Grant = {
    name,
    uid,
    issuer: spec.issuer,
    subject: spec.subject,
    operations: spec.operations as readonly Operation[],
    models: spec.models,
    from: beginning(spec.notBefore),
    until: Date.parse(spec.expiresAt),
  };
  return {
    key: objectKey(metadata),
    namespace,
    name,
    uid,
    resourceVersion,
    generation,
    selector: selectorOf(spec.selector),
    grant,
    bytes: bytesOf(grant),
    requestedBy: spec.requestedBy,
    createdAt: Date.parse(metadata.creationTimestamp ?? ''),
    changedAt: lastChange(raw as GrantObject),
    bound: name === grantName(spec),
    phase: withdrawn ? 'Cancelled' : phase,
    withdrawn,
    votes: status?.decisions ?? [],
    approvers: status?.approvers,
    required: status?.required,
    kubernetesUser: status?.kubernetesUser,
    naming: status?.naming,
    conditions: status?.conditions ?? [],
  };
}

/** Whom nobody may be who approves it. */
export const askerOf = ({ grant, kubernetesUser, naming, requestedBy }: GrantFact): Asker => ({
  issuer: grant.issuer,
  subject: grant.subject,
  kubernetesUser,
  naming,
  requestedBy,
});

export const isOver = ({ phase }: Pick<GrantFact, 'phase'>): boolean => phase !== 'Pending' && phase !== 'Approved';

export const grantNamespaceIndex = 'namespace';
/** Of those that are not over, by namespace; by namespace and who asked, see {@link ownKey}; and of those that are over, by namespace. */
export const openIndex = 'open';
export const ownIndex = 'own';
export const finishedIndex = 'finished';
export const ownKey = ({ namespace, requestedBy }: Pick<GrantFact, 'namespace' | 'requestedBy'>): string =>
  `${namespace} ${requestedBy}`;
export const grantIndices = {
  [grantNamespaceIndex]: ({ namespace }: GrantFact) => [namespace],
  [openIndex]: (fact: GrantFact) => (isOver(fact) ? [] : [fact.namespace]),
  [ownIndex]: (fact: GrantFact) => (isOver(fact) ? [] : [ownKey(fact)]),
  [finishedIndex]: (fact: GrantFact) => (isOver(fact) ? [fact.namespace] : []),
};

export const createGrantCache = (options: {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly timings?: Partial<CacheTimings>;
  readonly onFault?: (resource: string, fault: CacheFault) => void;
  readonly onMissed?: (resource: string, count: number) => void;
}): Cache<GrantFact> =>
  createCache<GrantFact>({
    client: options.client,
    resource: resources.inferenceGrants,
    clock: options.clock,
    logger: options.logger,
    transform: grantFact,
    // What cannot be read allows nothing.
    oversized: () => undefined,
    indices: grantIndices,
    // Sidecars do not take grants of a replica whose copy is older than what they have seen elsewhere: a list carries it on.
    timings: { relistMs: 120_000, ...options.timings },
    onFault: (fault) => options.onFault?.(resources.inferenceGrants.plural, fault),
    onMissed: (count) => options.onMissed?.(resources.inferenceGrants.plural, count),
  });

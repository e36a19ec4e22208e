import type { Clock, Logger } from '../../base/index.ts';
import { approverIsCaller, decisionOf, tokenVote, voteFault } from '../../core/index.ts';
import type {
  ApproverEntry,
  Asker,
  Choice,
  CompiledProvider,
  DecisionFault,
  Identity,
  IdentityVerifierFactory,
} from '../../core/index.ts';
import type {
  ApprovalSpecResource,
  ApprovalStatusResource,
  GrantSpecResource,
  GrantStatusResource,
} from '../../crd/index.ts';
import { isConflict, isNotFound, resources } from '../../kube/index.ts';
import type { KubeClient, KubeObject } from '../../kube/index.ts';
import { providerId } from '../approvals/index.ts';
import { createVerifiers } from './verifiers.ts';

/**
 * Decides in the name of somebody whom a token of one of the policies' providers proves.
 *
 * Promise: who is not proven, or not named as approver, learns nothing: not even whether there is such an approval.
 */
export interface TokenDecider {
  view(place: Place, token: string): Promise<Outcome>;
  decide(place: Place, token: string, choice: Choice, from: string): Promise<Outcome>;
}

export interface ApprovalLister {
  /** Approvals that wait and that the token may decide, those that end soonest first. Who is not proven has none. */
  list(token: string): Promise<ApprovalListing | 'identity_unavailable' | 'try_again'>;
}

export interface ApprovalListing {
  readonly approvals: readonly Readonly<Record<string, unknown>>[];
  /** False: there may be more, where an issuer does not answer, or beyond the bounds of a list. */
  readonly complete: boolean;
}

export interface Place {
  readonly namespace: string;
  readonly kind: 'approvals' | 'grants';
  readonly name: string;
}

/** An approval that waits, as the watch tells of it. */
export interface Waiting {
  readonly namespace: string;
  readonly name: string;
  readonly resourceVersion: string;
  /** Epoch milliseconds. */
  readonly expiresAt: number;
}

export type Outcome =
  | { readonly kind: 'fault'; readonly fault: DecisionFault }
  | { readonly kind: 'done'; readonly body: Readonly<Record<string, unknown>> };

type Decidable = KubeObject & {
  readonly spec: Partial<ApprovalSpecResource & GrantSpecResource>;
  readonly status?: Partial<ApprovalStatusResource & GrantStatusResource>;
};

/** What is to be decided, and as whom the token names an approver of it. */
interface Found {
  readonly object: Decidable;
  readonly who: Identity;
}

export interface TokenDeciderOptions {
  readonly client: Pick<KubeClient, 'find' | 'patch'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly verifiers: IdentityVerifierFactory;
  /** Of all policies that select a pod of the namespace. */
  readonly providersOf: (namespace: string) => readonly CompiledProvider[];
  /** All approvals that nobody has decided; undefined: they are not known yet. Default: none. */
  readonly waiting?: () => readonly Waiting[] | undefined;
  /** Whether the token was taken back. */
  readonly revokes: (who: Identity) => boolean;
}

const fault = (word: DecisionFault): Outcome => ({ kind: 'fault', fault: word });
const mostConflicts = 8;
/** Approvals in one list, and those that are looked at for it. */
const mostListed = 100;
const mostLookedAt = 500;
const mostKept = 2_000;

const resourceOf = ({ kind }: Place) =>
  kind === 'approvals' ? resources.inferenceApprovals : resources.inferenceGrants;

const askerOf = ({ spec, status }: Decidable, { kind }: Place): Asker =>
  kind === 'approvals'
    ? {
        issuer: spec.requester?.issuer ?? '',
        subject: spec.requester?.subject ?? '',
        kubernetesUser: spec.requester?.kubernetesUser,
      }
    : {
        issuer: spec.issuer ?? '',
        subject: spec.subject ?? '',
        kubernetesUser: status?.kubernetesUser,
        requestedBy: spec.requestedBy ?? '',
      };

function isNamed(object: Decidable, place: Place, who: Identity): boolean {
  const entries: readonly ApproverEntry[] = (place.kind === 'approvals' ? object.spec : object.status)?.approvers ?? [];
  return entries.some((entry) =>
    approverIsCaller(
      entry,
      entry.provider === undefined ? undefined : providerId(place.namespace, entry.provider),
      who,
    ),
  );
}

/** What an approver sees: of the text, what nobody may see more of. */
function viewOf({ metadata, spec, status }: Decidable, place: Place): Readonly<Record<string, unknown>> {
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

export function createTokenDecider(options: TokenDeciderOptions): TokenDecider & ApprovalLister {
  const { client, clock, logger } = options;
  const verifiers = createVerifiers(options.verifiers);

  /**
   * All that the token proves: one person, whom several policies may know by providers of the same issuer. Each provider is asked by
   * itself, so that which pods there are does not choose the one that counts.
   */
  const prove = async ({ namespace }: Place, token: string): Promise<readonly Identity[] | DecisionFault> => {
    const credentials = { token, certificate: undefined };
    const results = await Promise.all(
      options.providersOf(namespace).map((provider) => verifiers.of([provider]).verify(credentials)),
    );
    const proven = results.flatMap((result) => (result.kind === 'proven' ? [result.identity] : []));
    if (proven.some((who) => options.revokes(who))) return 'unauthenticated';
    if (proven.length > 0) return proven;
    return results.some((result) => result.kind === 'refused' && result.reason === 'identity_unavailable')
      ? 'identity_unavailable'
      : 'unauthenticated';
  };
  /** Undefined: there is none, or it names nobody of them. */
  const foundIn = (object: Decidable | undefined, place: Place, person: readonly Identity[]): Found | undefined => {
    const named = object === undefined ? [] : person.filter((who) => isNamed(object, place, who));
    // Who says who they are to Kubernetes can be told from the requester.
    const who = named.find(({ kubernetesUser }) => kubernetesUser !== undefined) ?? named[0];
    return object === undefined || who === undefined ? undefined : { object, who };
  };
  const find = async (place: Place, person: readonly Identity[]): Promise<Found | undefined> =>
    foundIn(await client.find<Decidable>(resourceOf(place), place), place, person);
  const judge = ({ object, who }: Found, place: Place, person: readonly Identity[]): DecisionFault | undefined => {
    const { phase = 'Pending', decisions: votes = [] } = object.status ?? {};
    const expiresAt = Date.parse(object.spec.expiresAt ?? '');
    const faultOf = (one: Identity): DecisionFault | undefined =>
      voteFault(one, { phase, votes, expiresAt, asker: askerOf(object, place) }, clock.now());
    const others = person.map(faultOf);
    if (others.includes('self_approval')) return 'self_approval';
    return faultOf(who) ?? others.find((one) => one === 'voted');
  };

  /** By place, as last read: whoever asks again reads only what has changed. */
  const read = new Map<string, { readonly resourceVersion: string; readonly object: Promise<Decidable | undefined> }>();
  const readWaiting = ({ namespace, name, resourceVersion }: Waiting): Promise<Decidable | undefined> => {
    const key = `${namespace}/${name}`;
    const known = read.get(key);
    if (known?.resourceVersion === resourceVersion) return known.object;
    if (read.size >= mostKept) read.clear();
    const object = client.find<Decidable>(resources.inferenceApprovals, { namespace, name });
    read.set(key, { resourceVersion, object });
    object.catch(() => read.delete(key));
    return object;
  };

  return {
    async list(token) {
      const known = options.waiting === undefined ? [] : options.waiting();
      if (known === undefined) return 'try_again';
      const waiting = known.toSorted((one, other) => one.expiresAt - other.expiresAt);
      const people = new Map<string, readonly Identity[] | DecisionFault>();
      for (const namespace of new Set(waiting.map((one) => one.namespace)))
        people.set(namespace, await prove({ namespace, kind: 'approvals', name: '' }, token));
      const proven = waiting.filter(({ namespace }) => typeof people.get(namespace) === 'object');
      const objects = await Promise.all(proven.slice(0, mostLookedAt).map(readWaiting));
      const approvals = objects.flatMap((object) => {
        const { namespace = '', name = '' } = object?.metadata ?? {};
        const place: Place = { namespace, kind: 'approvals', name };
        const person = people.get(namespace);
        if (typeof person !== 'object') return [];
        const found = foundIn(object, place, person);
        return found !== undefined && judge(found, place, person) === undefined ? [viewOf(found.object, place)] : [];
      });
      const away = [...people.values()].includes('identity_unavailable');
      if (away && approvals.length === 0) return 'identity_unavailable';
      const complete = !away && proven.length <= mostLookedAt && approvals.length <= mostListed;
      return { approvals: approvals.slice(0, mostListed), complete };
    },
    async view(place, token) {
      const person = await prove(place, token);
      if (typeof person === 'string') return fault(person);
      const found = await find(place, person);
      return found === undefined ? fault('not_allowed') : { kind: 'done', body: viewOf(found.object, place) };
    },
    async decide(place, token, choice, from) {
      const person = await prove(place, token);
      if (typeof person === 'string') return fault(person);
      for (let tries = 0; tries < mostConflicts; tries++) {
        const found = await find(place, person);
        if (found === undefined) return fault('not_allowed');
        const wrong = judge(found, place, person);
        if (wrong !== undefined) return fault(wrong);
        const { object, who } = found;
        const { resourceVersion, uid } = object.metadata;
        const decisions = [
          ...(object.status?.decisions ?? []),
          tokenVote(who, { token, from, now: clock.now() }, choice),
        ];
        const body = { metadata: { resourceVersion, uid }, status: { phase: 'Pending', decisions } };
        try {
          const written = await client.patch<Decidable>(resourceOf(place), place, { type: 'merge', body }, 'status');
          logger.info('decided by token', {
            kind: place.kind,
            name: place.name,
            decision: choice.decision,
            uid: uid ?? '',
          });
          return { kind: 'done', body: viewOf(written, place) };
        } catch (error) {
          if (isNotFound(error)) return fault('not_allowed');
          if (!isConflict(error)) throw error;
        }
      }
      throw new RangeError('others write the same object all the time');
    },
  };
}

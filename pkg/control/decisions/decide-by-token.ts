import type { Clock, Logger } from '../../base/index.ts';
import { tokenVote, workloadsOf } from '../../core/index.ts';
import type { Asker, Choice, DecisionFault, Identity } from '../../core/index.ts';
import { isConflict, isNotFound } from '../../kube/index.ts';
import type { KubeClient, MayBecome } from '../../kube/index.ts';
import { faultOf, judgedOf, namedAs, resourceOf, viewOf } from './decidable.ts';
import type { Decidable, Place } from './decidable.ts';
import { kubernetesGroups } from './kubernetes-groups.ts';
import type { ProofLimits } from './decision-limits.ts';
import type { Bearer, Limited, Person, Prover } from './prover.ts';

/**
 * Decides in the name of somebody whom a token of one of the policies' providers proves.
 *
 * Promise: who is not proven, or not named as approver, learns nothing: not even whether there is such an approval.
 */
export interface TokenDecider {
  /** Who the bearer is where they want to decide, and what they may do there; else why not. */
  prove(place: Place, bearer: Bearer): Promise<Decider | Limited | DecisionFault>;
}

/** Somebody who is proven: what they may see and do. */
export interface Decider {
  view(): Promise<Outcome>;
  decide(choice: Choice): Promise<Outcome>;
}

export type Outcome =
  | { readonly kind: 'fault'; readonly fault: DecisionFault }
  | { readonly kind: 'done'; readonly body: Readonly<Record<string, unknown>> };

/** What is to be decided, and as whom the token names an approver of it. */
interface Found {
  readonly object: Decidable;
  readonly who: Identity;
}

export interface TokenDeciderOptions {
  readonly client: Pick<KubeClient, 'find' | 'patch'>;
  readonly mayBecome: MayBecome;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly prover: Prover;
  readonly limits: ProofLimits;
}

/** `203.0.113.9`, `203.0.113.9 via console`. */
const recordedFrom = ({ from, through }: Bearer): string => (through === undefined ? from : `${from} via ${through}`);
const fault = (word: DecisionFault): Outcome => ({ kind: 'fault', fault: word });
const mostConflicts = 8;

export function createTokenDecider(options: TokenDeciderOptions): TokenDecider {
  const { client, clock, logger, prover, limits } = options;
  /** Undefined: there is none, or it names nobody of them. */
  const find = async (place: Place, person: Person): Promise<Found | undefined> => {
    const object = await client.find<Decidable>(resourceOf(place), place);
    if (object === undefined) return undefined;
    const who = namedAs(judgedOf(object, place), place.namespace, person);
    return who === undefined ? undefined : { object, who };
  };

  /** Whether the person can act as a service account that asked. */
  const maybeOwn = async ({ kubernetesUser, groups }: Identity, asker: Asker): Promise<boolean> => {
    const accounts = workloadsOf(asker);
    if (accounts.length === 0) return false;
    if (kubernetesUser === undefined) return true;
    return options.mayBecome({ username: kubernetesUser, groups: kubernetesGroups(kubernetesUser, groups) }, accounts);
  };

  const view = async (place: Place, person: Person): Promise<Outcome> => {
    const found = await find(place, person);
    return found === undefined ? fault('not_allowed') : { kind: 'done', body: viewOf(found.object, place) };
  };
  const decide = async (place: Place, person: Person, bearer: Bearer, choice: Choice): Promise<Outcome> => {
    for (let tries = 0; tries < mostConflicts; tries++) {
      const found = await find(place, person);
      if (found === undefined) return fault('not_allowed');
      const { object, who } = found;
      const judged = judgedOf(object, place);
      const wrong = faultOf(judged, who, person, clock.now());
      if (wrong !== undefined) return fault(wrong);
      // A denial gives nobody anything.
      if (choice.decision === 'Approve' && (await maybeOwn(who, judged.asker)))
        return fault('cannot_exclude_self_approval');
      const { resourceVersion, uid } = object.metadata;
      const decisions = [
        ...(object.status?.decisions ?? []),
        tokenVote(who, { token: bearer.token, from: recordedFrom(bearer), now: clock.now() }, choice),
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
  };

  return {
    async prove(place, bearer) {
      const proven = await prover.prove(() => [place.namespace], bearer, limits);
      if (typeof proven === 'string') return proven;
      const person = proven.get(place.namespace) ?? 'unauthenticated';
      if (typeof person === 'string') return person;
      return {
        view: () => view(place, person),
        decide: (choice) => decide(place, person, bearer, choice),
      };
    },
  };
}

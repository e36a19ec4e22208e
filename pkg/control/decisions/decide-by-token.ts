import type { Clock, Logger } from '../../base/index.ts';
import { tokenVote } from '../../core/index.ts';
import type { Choice, DecisionFault, Identity } from '../../core/index.ts';
import { isConflict, isNotFound } from '../../kube/index.ts';
import type { KubeClient } from '../../kube/index.ts';
import { faultOf, judgedOf, namedAs, resourceOf, viewOf } from './decidable.ts';
import type { Decidable, Place } from './decidable.ts';
import type { Prover } from './prover.ts';

/**
 * Decides in the name of somebody whom a token of one of the policies' providers proves.
 *
 * Promise: who is not proven, or not named as approver, learns nothing: not even whether there is such an approval.
 */
export interface TokenDecider {
  view(place: Place, token: string): Promise<Outcome>;
  /** @param from address of the person, for the record */
  decide(place: Place, token: string, choice: Choice, from: string): Promise<Outcome>;
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
  readonly clock: Clock;
  readonly logger: Logger;
  readonly prover: Prover;
}

const fault = (word: DecisionFault): Outcome => ({ kind: 'fault', fault: word });
const mostConflicts = 8;

export function createTokenDecider({ client, clock, logger, prover }: TokenDeciderOptions): TokenDecider {
  /** Undefined: there is none, or it names nobody of them. */
  const find = async (place: Place, person: readonly Identity[]): Promise<Found | undefined> => {
    const object = await client.find<Decidable>(resourceOf(place), place);
    if (object === undefined) return undefined;
    const who = namedAs(judgedOf(object, place), place.namespace, person);
    return who === undefined ? undefined : { object, who };
  };

  return {
    async view(place, token) {
      const person = await prover.prove(place.namespace, token);
      if (typeof person === 'string') return fault(person);
      const found = await find(place, person);
      return found === undefined ? fault('not_allowed') : { kind: 'done', body: viewOf(found.object, place) };
    },
    async decide(place, token, choice, from) {
      const person = await prover.prove(place.namespace, token);
      if (typeof person === 'string') return fault(person);
      for (let tries = 0; tries < mostConflicts; tries++) {
        const found = await find(place, person);
        if (found === undefined) return fault('not_allowed');
        const { object, who } = found;
        const wrong = faultOf(judgedOf(object, place), who, person, clock.now());
        if (wrong !== undefined) return fault(wrong);
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

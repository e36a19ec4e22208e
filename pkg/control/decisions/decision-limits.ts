import { createBucket, createKeyedBuckets } from '../../base/index.ts';
import type { Clock } from '../../base/index.ts';
import { createUnproven, networkOf } from './unproven.ts';
import type { Rate, Turn, UnprovenRates } from './unproven.ts';

/**
 * How often tokens are brought. A token that nobody knows takes of what is unproven, before anything of it is looked at; whoever is proven
 * has a budget of their own, so have all of a namespace together, so that a tenant whose issuer names as many people as it likes takes its own
 * share alone, and all together.
 */
export interface ProofLimits {
  /** Undefined: not now. */
  unproven(address: string): Turn | undefined;
  /** @param namespaces in which the person is proven: the share of any of them counts */
  proven(person: string, namespaces: Iterable<string>): boolean;
}

export interface ProofRates {
  readonly unproven: UnprovenRates;
  readonly person: Rate;
  readonly namespace: Rate;
  readonly all: Rate;
}

export function createProofLimits(clock: Clock, rates: ProofRates): ProofLimits {
  const unproven = createUnproven(clock, rates.unproven);
  const people = createKeyedBuckets(clock, ...rates.person);
  const spaces = createKeyedBuckets(clock, ...rates.namespace);
  const all = createBucket(clock, ...rates.all);
  return {
    unproven: (address) => unproven.admit(address),
    proven(person, namespaces) {
      if (!people.take(person)) return false;
      for (const namespace of namespaces) if (spaces.take(namespace)) return all.take();
      return false;
    },
  };
}

/** Tokens of a network 5 a second after the first 20, since one console or ingress brings those of many. */
const unproven: UnprovenRates = { network: [5, 20], all: [50, 200], doubtful: [5, 20] };

/** Decisions, and what is to be decided. */
export const decisionRates: ProofRates = { unproven, person: [1, 20], namespace: [10, 40], all: [50, 100] };

/** Lists: all who look at a console ask every few seconds. */
export const listRates: ProofRates = { unproven, person: [1, 20], namespace: [20, 100], all: [50, 250] };

/** What is asked without a token, which costs next to nothing: of a network once a second after the first 20, of all 200 times. */
export function createAnonymousLimit(clock: Clock): { admit(address: string): boolean } {
  const networks = createKeyedBuckets(clock, 1, 20);
  const all = createBucket(clock, 200, 400);
  return { admit: (address) => networks.take(networkOf(address)) && all.take() };
}

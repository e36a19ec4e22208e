import type { PolicySet } from '../policies/policy-index.ts';
import type { GrantFact } from './grant-fact.ts';
import { whyNotHeld } from './grant-terms.ts';
import type { NotHeld } from './grant-terms.ts';

/** The condition that says whether an approved grant holds on all pods that it selects. Absent: it has held on all, as far as was seen. */
export const holds = 'Holds';

export interface GrantReach {
  readonly status: 'True' | 'False';
  readonly reason: 'OnAllPods' | 'OnSomePods' | 'OnNoPod';
  readonly message: string;
}

export const notTaken =
  'sidecars do not take it: issuer, subject or the name of a model is longer than they read, counted in UTF-16 units: ask with shorter ones';

/** On how many of these pods it holds, and why not on the others. @param sets of the pods that it selects, one a pod */
export function grantReach(fact: GrantFact, sets: readonly PolicySet[]): GrantReach {
  if (fact.bytes === undefined) return { status: 'False', reason: 'OnNoPod', message: notTaken };
  const judged = new Map([...new Set(sets)].map((set) => [set, whyNotHeld(fact, set)]));
  const held = sets.filter((set) => judged.get(set) === undefined).length;
  if (held === sets.length) return { status: 'True', reason: 'OnAllPods', message: 'on all pods that it selects' };
  const why = [...new Set([...judged.values()].filter((one): one is NotHeld => one !== undefined))].sort();
  return {
    status: 'False',
    reason: held === 0 ? 'OnNoPod' : 'OnSomePods',
    message: `on ${held} of ${sets.length} pods that it selects: the policies of the others ${why.join('; or ')}, so that it is asked for anew there`,
  };
}

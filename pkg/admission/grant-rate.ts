import { createKeyedBuckets } from '../base/index.ts';
import type { Clock } from '../base/index.ts';

/**
 * How often grants may be asked for: each is told to people, and is some lines of the record, also where it is taken back at once and so counts
 * in no limit of how many there are.
 */
export interface GrantRate {
  /** Takes one. Gives whose share is used up; undefined: nobody's. */
  take(asking: { readonly namespace: string; readonly user: string }): 'user' | 'namespace' | undefined;
}

export interface GrantRates {
  /** Of one user in a namespace: so many a second, and so many at once. */
  readonly user: readonly [perSecond: number, burst: number];
  /** Of all users of a namespace together. */
  readonly namespace: readonly [perSecond: number, burst: number];
}

/** At once as many as one user may have open (`grantLimits.perRequester` of the controller), then six a minute; of a namespace thirty. */
export const grantRates: GrantRates = { user: [0.1, 100], namespace: [0.5, 500] };

/** Each replica of the webhook keeps count by itself. */
export function createGrantRate(clock: Clock, rates: GrantRates = grantRates): GrantRate {
  const users = createKeyedBuckets(clock, ...rates.user);
  const namespaces = createKeyedBuckets(clock, ...rates.namespace);
  return {
    take({ namespace, user }) {
      const key = JSON.stringify([namespace, user]);
      if (!users.take(key)) return 'user';
      if (namespaces.take(namespace)) return undefined;
      users.give(key);
      return 'namespace';
    },
  };
}

import type { AccessDecision, Snapshot } from './snapshot.ts';

const expired: AccessDecision = {
  kind: 'deny',
  refusal: { reason: 'policy_expired', rule: 'default' },
  observed: [],
};

/**
 * The same snapshot when nobody has confirmed it for too long: everything is denied with `policy_expired`, also where every
 * policy only observes. Its plans stay, so that what is recorded and what live answers hide does not loosen.
 *
 * @param revision Counts up, as for every swap.
 */
export function expireSnapshot(snapshot: Snapshot, revision: number): Snapshot {
  return { ...snapshot, revision, enforcing: true, loopback: [], access: () => expired, couldAllow: () => false };
}

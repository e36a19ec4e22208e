import { createBucket, createKeyedBuckets } from '../../base/index.ts';
import type { Clock } from '../../base/index.ts';

/**
 * Whether a begun login may be tried at the issuer: each 5 times in its ten minutes, and all together 50 times a second after the first 300.
 * Addresses are not counted: behind an ingress all people are one.
 *
 * @returns asks by what tells a login from others
 */
export function createRate(clock: Clock): (login: string) => boolean {
  const all = createBucket(clock, 50, 300);
  const each = createKeyedBuckets(clock, 1 / 600, 5);
  return (login) => each.take(login) && all.take();
}

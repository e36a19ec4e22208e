import { createBucket } from '../../base/index.ts';
import type { Bucket, Clock } from '../../base/index.ts';

/** Logins that are remembered; those that were not tried for longest are forgotten. */
const mostLogins = 4_096;

/**
 * Whether a begun login may be tried at the issuer: each 5 times in its ten minutes, and all together 50 times a second after the first 300.
 * Addresses are not counted: behind an ingress all people are one.
 *
 * @returns asks by what tells a login from others
 */
export function createRate(clock: Clock): (login: string) => boolean {
  const all = createBucket(clock, 50, 300);
  const byLogin = new Map<string, Bucket>();
  return (login) => {
    const bucket = byLogin.get(login) ?? createBucket(clock, 1 / 600, 5);
    byLogin.delete(login);
    byLogin.set(login, bucket);
    const [oldest] = byLogin.keys();
    if (byLogin.size > mostLogins && oldest !== undefined) byLogin.delete(oldest);
    return bucket.take() && all.take();
  };
}

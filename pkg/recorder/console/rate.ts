import { createBucket } from '../../base/index.ts';
import type { Bucket, Clock } from '../../base/index.ts';

/** Addresses that are remembered; those that did not ask for longest are forgotten. */
const mostAddresses = 4_096;

/**
 * Whether an address may ask once more: 5 a second after the first 100, which may be all who sit behind one proxy; and all together 50 after
 * the first 300.
 */
export function createRate(clock: Clock): (address: string) => boolean {
  const all = createBucket(clock, 50, 300);
  const byAddress = new Map<string, Bucket>();
  return (address) => {
    const bucket = byAddress.get(address) ?? createBucket(clock, 5, 100);
    byAddress.delete(address);
    byAddress.set(address, bucket);
    const [oldest] = byAddress.keys();
    if (byAddress.size > mostAddresses && oldest !== undefined) byAddress.delete(oldest);
    return bucket.take() && all.take();
  };
}

import { createBucket } from './bucket.ts';
import type { Bucket } from './bucket.ts';
import type { Clock } from './clock.ts';

/** A token bucket for each key: an address, a person. */
export interface KeyedBuckets {
  /** Whether one was there in the key's bucket, and is taken. */
  take(key: string): boolean;
  /** Gives one back that was taken. */
  give(key: string): void;
}

/** @param mostKeys Keys that are remembered; the one that did not ask for longest is forgotten, and has a full bucket when it comes again. */
export function createKeyedBuckets(clock: Clock, perSecond: number, burst: number, mostKeys = 4_096): KeyedBuckets {
  const buckets = new Map<string, Bucket>();
  return {
    take(key) {
      const bucket = buckets.get(key) ?? createBucket(clock, perSecond, burst);
      buckets.delete(key);
      buckets.set(key, bucket);
      const [oldest] = buckets.keys();
      if (buckets.size > mostKeys && oldest !== undefined) buckets.delete(oldest);
      return bucket.take();
    },
    // Whoever is forgotten has a full one.
    give: (key) => buckets.get(key)?.give(),
  };
}

import { createBucket, createKeyedBuckets } from '../../base/index.ts';
import type { Clock } from '../../base/index.ts';
import { sha256 } from '../../core/index.ts';

/**
 * How often the decision endpoint is asked. An address without a token: once a second after the first 20. The bearer of a token, proven or
 * not: the same, and all tokens of one address 20 times a second after the first 60, since a console, or an ingress, brings those of many. All
 * together: 50 times a second after the first 100. What a token has too many takes nothing from others.
 */
export interface DecisionLimits {
  /** Whether it may ask once more. */
  admit(address: string, token?: string): boolean;
}

export function createDecisionLimits(clock: Clock): DecisionLimits {
  const all = createBucket(clock, 50, 100);
  const addresses = createKeyedBuckets(clock, 1, 20);
  const bearers = createKeyedBuckets(clock, 20, 60);
  const tokens = createKeyedBuckets(clock, 1, 20);
  return {
    admit(address, token) {
      const own = token === undefined ? addresses.take(address) : tokens.take(sha256(token)) && bearers.take(address);
      return own && all.take();
    },
  };
}

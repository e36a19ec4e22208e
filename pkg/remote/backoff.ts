/** Delays between attempts to connect: full jitter, so that thousands that lost one controller do not come back together. */
export interface Backoff {
  /** Milliseconds until the next attempt. */
  next(): number;
  /** The last attempt was good. */
  reset(): void;
}

const leastMs = 500;
const mostMs = 30_000;

export function createBackoff(random: () => number): Backoff {
  let attempts = 0;
  return {
    next() {
      const ceiling = Math.min(mostMs, leastMs * 2 ** Math.min(attempts + 1, 10));
      attempts++;
      return leastMs + random() * (ceiling - leastMs);
    },
    reset() {
      attempts = 0;
    },
  };
}

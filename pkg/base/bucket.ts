import type { Clock } from './clock.ts';

/** A token bucket by the monotonic clock; full at first. */
export interface Bucket {
  /** Whether one was there, and is taken. */
  take(): boolean;
  /** Gives one back that was taken. */
  give(): void;
  /** Milliseconds until one is there. */
  waitMs(): number;
}

export function createBucket(clock: Clock, perSecond: number, burst: number): Bucket {
  let level = burst;
  let at = clock.monotonic();
  const fill = (): void => {
    const now = clock.monotonic();
    level = Math.min(burst, level + ((now - at) / 1_000) * perSecond);
    at = now;
  };
  return {
    take() {
      fill();
      if (level < 1) return false;
      level -= 1;
      return true;
    },
    give() {
      fill();
      level = Math.min(burst, level + 1);
    },
    waitMs() {
      fill();
      return level >= 1 ? 0 : ((1 - level) * 1_000) / perSecond;
    },
  };
}

import { randomInt } from 'node:crypto';

/** A number in [0, 1). */
export type RandomSource = () => number;

export const systemRandom: RandomSource = () => randomInt(2 ** 32) / 2 ** 32;

export interface BackoffOptions {
  /** Of the first wait. */
  readonly firstMs: number;
  readonly mostMs: number;
  readonly random: RandomSource;
}

/**
 * The wait before attempt `attempt + 1`, which doubles up to `mostMs`. Half of it is fixed and half random, so that what failed together
 * does not come back together.
 *
 * @param attempt failures so far, from 1.
 */
export function backoffMs(attempt: number, { firstMs, mostMs, random }: BackoffOptions): number {
  const whole = Math.min(mostMs, firstMs * 2 ** Math.min(30, Math.max(0, attempt - 1)));
  return Math.round(whole / 2 + (whole / 2) * random());
}

import { describe, expect, test } from '@jest/globals';
import { createBackoff } from './backoff.ts';

describe('the time between two attempts', () => {
  test('is half a second at least, grows to half a minute, and begins anew after a good one', () => {
    const backoff = createBackoff(() => 1);
    const delays = Array.from({ length: 12 }, () => backoff.next());
    expect(delays.slice(0, 4)).toEqual([1_000, 2_000, 4_000, 8_000]);
    expect(delays.slice(-4)).toEqual([30_000, 30_000, 30_000, 30_000]);
    backoff.reset();
    expect(backoff.next()).toBe(1_000);
  });

  test('is spread over all of it', () => {
    expect(createBackoff(() => 0).next()).toBe(500);
    const backoff = createBackoff(() => 0.5);
    for (let n = 0; n < 10; n++) backoff.next();
    expect(backoff.next()).toBe(15_250);
  });
});

import { expect, test } from '@jest/globals';
import { randomId } from './ids.ts';

test('an id is 32 lower-case hex digits', () => {
  expect(randomId()).toMatch(/^[0-9a-f]{32}$/);
});

test('ids do not repeat, also across blocks of randomness', () => {
  const ids = new Set(Array.from({ length: 10_000 }, randomId));
  expect(ids.size).toBe(10_000);
});

test('every one of the 128 bits takes both values', () => {
  let ones = 0n;
  let zeros = 0n;
  const all = (1n << 128n) - 1n;
  for (let n = 0; n < 300; n++) {
    const bits = BigInt(`0x${randomId()}`);
    ones |= bits;
    zeros |= ~bits & all;
  }
  expect([ones, zeros]).toEqual([all, all]);
});

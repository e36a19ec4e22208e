import { expect, test } from '@jest/globals';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { createSeldom } from './seldom.ts';

test('one of each kind in a minute, which says how many were left out', () => {
  const clock = fakeClock();
  const seldom = createSeldom(clock);
  expect([seldom('a'), seldom('a'), seldom('b'), seldom('a')]).toEqual([0, undefined, 0, undefined]);
  clock.advance(59_999);
  expect(seldom('a')).toBeUndefined();
  clock.advance(1);
  expect([seldom('a'), seldom('a'), seldom('b')]).toEqual([3, undefined, 0]);
});

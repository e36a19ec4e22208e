import { expect, test } from '@jest/globals';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { createKeyedBuckets } from './keyed-buckets.ts';

test('each key has a bucket of its own, which fills with time', () => {
  const clock = fakeClock();
  const buckets = createKeyedBuckets(clock, 1, 2);
  const take = (key: string, times: number) => Array.from({ length: times }, () => buckets.take(key));
  expect([take('a', 3), take('b', 1)]).toEqual([[true, true, false], [true]]);
  clock.advance(1_000);
  expect(take('a', 2)).toEqual([true, false]);
});

test('the key that did not ask for longest is forgotten', () => {
  const buckets = createKeyedBuckets(fakeClock(), 1, 1, 2);
  const asked = ['a', 'b', 'a', 'c', 'a', 'b'].map((key) => buckets.take(key));
  expect(asked).toEqual([true, true, false, true, false, true]);
});

test('what is given back can be taken again, and never makes more than a full bucket', () => {
  const buckets = createKeyedBuckets(fakeClock(), 1, 2);
  expect([buckets.take('a'), buckets.take('a'), buckets.take('a')]).toEqual([true, true, false]);
  for (let times = 0; times < 5; times++) buckets.give('a');
  buckets.give('never seen');
  expect([buckets.take('a'), buckets.take('a'), buckets.take('a')]).toEqual([true, true, false]);
});

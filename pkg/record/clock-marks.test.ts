import { expect, test } from '@jest/globals';
import { createClockMarks } from './clock-marks.ts';

test('what stands before a mark came no later than it says', () => {
  const marks = createClockMarks();
  expect([marks.cameBy(0), marks.olderThan(Infinity)]).toEqual([Infinity, undefined]);
  marks.note(10, 1_000);
  marks.note(20, 2_000);
  expect([0, 9, 10, 19, 20, 21].map(marks.cameBy)).toEqual([1_000, 1_000, 2_000, 2_000, Infinity, Infinity]);
  expect([1_000, 1_001, 2_000, 2_001, Infinity].map(marks.olderThan)).toEqual([undefined, 10, 10, 20, 20]);
});

test('of two marks the one that says less counts for what stands before both', () => {
  const marks = createClockMarks();
  marks.note(10, 1_000);
  marks.note(20, 5_000);
  marks.note(30, 3_000);
  expect([0, 15, 25, 30].map(marks.cameBy)).toEqual([1_000, 3_000, 3_000, Infinity]);
  expect([2_000, 4_000, 6_000].map(marks.olderThan)).toEqual([10, 30, 30]);
  marks.note(40, 1_000);
  expect([0, 35].map(marks.cameBy)).toEqual([1_000, 1_000]);
});

import { beforeEach, expect, test } from '@jest/globals';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import type { FakeClock } from '../../../test/support/fake-clock.ts';
import { createDecisionLimits } from './decision-limits.ts';
import type { DecisionLimits } from './decision-limits.ts';

let clock: FakeClock;
let limits: DecisionLimits;
beforeEach(() => {
  clock = fakeClock();
  limits = createDecisionLimits(clock);
});
const passed = (times: number, ask: (n: number) => boolean): number =>
  Array.from({ length: times }, (_, n) => ask(n)).filter(Boolean).length;

test('one token that asks too often takes no turn of others at its address', () => {
  expect(passed(1_000, () => limits.admit('console', 'eve'))).toBe(20);
  expect(passed(10, () => limits.admit('console', 'ana'))).toBe(10);
  clock.advance(1_000);
  expect(passed(10, () => limits.admit('console', 'eve'))).toBe(1);
});

test('many tokens of one address are its own, and leave something to other addresses', () => {
  expect(passed(200, (n) => limits.admit('a', `made up ${n}`))).toBe(60);
  expect(passed(200, (n) => limits.admit('b', `made up ${n}`))).toBe(40);
});

test('without a token an address asks once a second', () => {
  expect(passed(40, () => limits.admit('a'))).toBe(20);
  expect(passed(10, () => limits.admit('a', 'ana'))).toBe(10);
  clock.advance(1_000);
  expect(passed(10, () => limits.admit('a'))).toBe(1);
});

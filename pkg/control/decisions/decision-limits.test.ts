import { beforeEach, describe, expect, test } from '@jest/globals';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import type { FakeClock } from '../../../test/support/fake-clock.ts';
import { createAnonymousLimit, createProofLimits, decisionRates } from './decision-limits.ts';
import type { ProofLimits } from './decision-limits.ts';
import { createUnproven, networkOf } from './unproven.ts';

let clock: FakeClock;
let limits: ProofLimits;
beforeEach(() => {
  clock = fakeClock();
  limits = createProofLimits(clock, decisionRates);
});
const passed = (times: number, ask: (n: number) => unknown): number =>
  Array.from({ length: times }, (_, n) => ask(n)).filter((answer) => answer !== undefined && answer !== false).length;

describe('who is proven', () => {
  test('takes of their own: one who asks too often takes no turn of others', () => {
    expect(passed(1_000, () => limits.proven('eve', ['ml']))).toBe(20);
    expect(passed(10, () => limits.proven('ana', ['ml']))).toBe(10);
    clock.advance(1_000);
    expect(passed(10, () => limits.proven('eve', ['ml']))).toBe(1);
  });

  test('takes of the share of a namespace that proves them, which leaves something to others', () => {
    expect(passed(200, (n) => limits.proven(`made ${n}`, ['a']))).toBe(40);
    expect(passed(200, (n) => limits.proven(`known in both ${n}`, ['a', 'b']))).toBe(40);
    expect(passed(200, (n) => limits.proven(`of c ${n}`, ['c']))).toBe(20);
    clock.advance(1_000);
    expect(passed(200, (n) => limits.proven(`later ${n}`, ['d']))).toBe(40);
  });
});

describe('what is unproven', () => {
  test('is looked at so often for each network, whatever others bring', () => {
    expect(passed(200, () => limits.unproven('192.0.2.1'))).toBe(20);
    expect(passed(10, () => limits.unproven('192.0.2.2'))).toBe(10);
    clock.advance(1_000);
    expect(passed(10, () => limits.unproven('192.0.2.1'))).toBe(5);
  });

  test('takes nothing where it turns out to be true', () => {
    for (let times = 0; times < 1_000; times++) {
      const turn = limits.unproven('192.0.2.1');
      expect(turn).toBeDefined();
      turn?.proven();
    }
  });

  test('shares a small budget where a network brought much that was not true', () => {
    const unproven = createUnproven(clock, { network: [100, 100], all: [50, 50], doubtful: [1, 2] });
    expect(passed(50, () => unproven.admit('192.0.2.1'))).toBe(12);
    expect(passed(50, () => unproven.admit('192.0.2.2'))).toBe(10);
    // Forty have been taken of fifty; a network that brought nothing yet has what is left.
    expect(passed(20, () => unproven.admit('192.0.2.3'))).toBe(10);
    clock.advance(1_000);
    expect(passed(20, () => unproven.admit('192.0.2.1'))).toBe(1);
    clock.advance(600_000);
    expect(passed(20, () => unproven.admit('192.0.2.1'))).toBe(12);
  });

  test('of one IPv6 network is one', () => {
    expect(passed(200, (n) => limits.unproven(`2001:db8:1:2:${n.toString(16)}::7`))).toBe(20);
    expect(limits.unproven('2001:db8:1:ff::7')).toBeUndefined();
    expect(limits.unproven('2001:db8:1:102::7')).toBeDefined();
  });
});

test.each([
  ['192.0.2.1', '192.0.2.1'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:0::/56'],
  ['2001:db8::5', '2001:db8:0:0::/56'],
  ['::1', '0:0:0:0::/56'],
  ['1:2:3:4:5::', '1:2:3:0::/56'],
  ['2001:db8:1:a1b2::', '2001:db8:1:a100::/56'],
  ['', ''],
])('%s is in the network %s', (address, network) => {
  expect(networkOf(address)).toBe(network);
});

test('without a token a network asks once a second, and takes nothing of what others bring', () => {
  const anonymous = createAnonymousLimit(clock);
  expect(passed(40, () => anonymous.admit('a'))).toBe(20);
  expect(passed(1_000, (n) => anonymous.admit(`b${n}`))).toBe(380);
  expect(limits.unproven('a')).toBeDefined();
  clock.advance(1_000);
  expect(passed(10, () => anonymous.admit('a'))).toBe(1);
});

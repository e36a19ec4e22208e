import { expect, test } from '@jest/globals';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { createFrameBudget } from './frame-budget.ts';
import type { FrameAccount } from './frame-budget.ts';

const kib = 1024;

function make(more: Partial<Parameters<typeof createFrameBudget>[0]> = {}) {
  const clock = fakeClock();
  const told: string[] = [];
  const budget = createFrameBudget({ clock, bytes: 100 * kib, perSource: 50 * kib, holdMs: 10_000, ...more });
  const open = (name: string, source = name): FrameAccount =>
    budget.open(source, { onRoom: () => void told.push(`${name} room`), cut: () => void told.push(`${name} cut`) });
  return { clock, told, budget, open };
}

test('what all hold together has an end: a frame beyond it waits, and has its room when another is dealt with', () => {
  const { budget, open, told } = make();
  const [a, b, c] = [open('a'), open('b'), open('c')];
  a.begin(40 * kib);
  b.begin(40 * kib);
  c.begin(40 * kib);
  expect([a.waits, b.waits, c.waits, budget.held]).toEqual([false, false, true, 80 * kib]);
  a.give();
  expect([c.waits, budget.held, told]).toEqual([false, 80 * kib, ['c room']]);
  for (const one of [b, c]) one.give();
  expect(budget.held).toBe(0);
});

test('small frames always pass, also behind one that waits', () => {
  const { budget, open } = make();
  const [a, b, c] = [open('a'), open('b'), open('c')];
  a.begin(50 * kib);
  b.begin(50 * kib);
  c.begin(4_096);
  expect([c.waits, budget.held]).toEqual([false, 100 * kib]);
  c.give();
  expect(budget.held).toBe(100 * kib);
});

test('who came first has room first, and who wants much is not passed over for those who want little', () => {
  const { open, told } = make();
  const [a, b, big, small] = [open('a'), open('b'), open('big'), open('small')];
  a.begin(50 * kib);
  b.begin(40 * kib);
  big.begin(50 * kib);
  small.begin(10 * kib);
  expect([big.waits, small.waits]).toEqual([true, true]);
  b.give();
  expect(told).toEqual(['big room']);
  a.give();
  expect(told).toEqual(['big room', 'small room']);
});

test('one sidecar has its share over all of its streams, and keeps nobody else out', () => {
  const { open, told } = make();
  const streams = [1, 2, 3, 4].map((n) => open(`liar ${n}`, 'liar'));
  for (const one of streams) one.begin(25 * kib);
  expect(streams.map(({ waits }) => waits)).toEqual([false, false, true, true]);
  const honest = open('honest');
  honest.begin(50 * kib);
  expect(honest.waits).toBe(false);
  // What was dealt with of its own makes room for it, and no more.
  honest.give();
  expect(told).toEqual([]);
  streams[0]?.give();
  expect([told, streams[3]?.waits]).toEqual([['liar 3 room'], true]);
});

test('who holds longest what others wait for is cut, as many as it takes, and waits behind all others from then on', () => {
  const { budget, clock, open, told } = make();
  const liars = ['one', 'two', 'three', 'four'].map((name) => open(name));
  for (const liar of liars) {
    liar.begin(25 * kib);
    clock.advance(1_000);
    budget.tick();
  }
  // Nobody waits: whoever holds may.
  clock.advance(3_600_000);
  budget.tick();
  expect(told).toEqual([]);
  const honest = open('honest');
  honest.begin(50 * kib);
  budget.tick();
  expect(told).toEqual(['one cut', 'two cut']);
  budget.tick();
  expect(told).toHaveLength(2);
  liars[0]?.close();
  liars[1]?.close();
  expect(told.at(-1)).toBe('honest room');
  // It comes again at once, before another honest one.
  const again = open('one again', 'one');
  again.begin(25 * kib);
  const other = open('other');
  other.begin(25 * kib);
  honest.give();
  expect(told.slice(3)).toEqual(['other room', 'one again room']);
});

test('time in which the store is behind does not count', () => {
  let behind = true;
  const { clock, budget, open, told } = make({ behind: () => behind });
  const [a, b, c] = [open('a'), open('b'), open('c')];
  for (const one of [a, b, c]) one.begin(50 * kib);
  clock.advance(60_000);
  budget.tick();
  behind = false;
  clock.advance(9_000);
  budget.tick();
  expect(told).toEqual([]);
  clock.advance(2_000);
  budget.tick();
  expect(told).toEqual(['a cut']);
});

test('a frame that was whole before there was room for it waits no more once it is dealt with', () => {
  const { budget, open, told } = make();
  const [a, b, c] = [open('a'), open('b'), open('c')];
  a.begin(50 * kib);
  b.begin(50 * kib);
  c.begin(10 * kib);
  c.begin(20 * kib);
  c.give();
  expect([c.waits, told]).toEqual([true, []]);
  c.give();
  expect([c.waits, told, budget.held]).toEqual([false, ['c room'], 100 * kib]);
});

test('a stream that ends gives all back, also what it waited for', () => {
  const { budget, open, told } = make();
  const [a, b, c] = [open('a'), open('b'), open('c')];
  a.begin(50 * kib);
  b.begin(50 * kib);
  c.begin(50 * kib);
  c.close();
  a.close();
  expect([budget.held, told]).toEqual([50 * kib, []]);
  b.close();
  expect(budget.held).toBe(0);
});

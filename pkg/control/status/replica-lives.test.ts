import { beforeEach, expect, test } from '@jest/globals';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { createReplicaLives } from './replica-lives.ts';
import type { ReplicaLives } from './replica-lives.ts';

let clock: ReturnType<typeof fakeClock>;
let lives: ReplicaLives;
beforeEach(() => {
  clock = fakeClock();
  lives = createReplicaLives({ clock, lateMs: 9_000, goneMs: 35_000 });
});
/** Seconds pass, with a beat of each of these every three. */
const pass = async (seconds: number, ...keys: string[]): Promise<void> => {
  for (let at = 0; at < seconds; at += 3) {
    await clock.advanceAsync(3_000);
    for (const key of keys) lives.heard(key);
  }
};

test('one that falls silent counts no longer once another has been heard three beats after it', async () => {
  expect([lives.heard('a'), lives.heard('b')]).toEqual([true, true]);
  await pass(6, 'a');
  expect(lives.look()).toEqual({ late: [], gone: [] });
  expect(lives.counts('b')).toBe(true);
  await pass(3, 'a');
  expect(lives.look()).toEqual({ late: ['b'], gone: [] });
  expect([lives.counts('a'), lives.counts('b')]).toEqual([true, false]);
  // Told once.
  expect(lives.look()).toEqual({ late: [], gone: [] });
  await pass(27, 'a');
  expect(lives.look()).toEqual({ late: [], gone: ['b'] });
});

test('one that was late and speaks again counts again', async () => {
  lives.heard('b');
  await pass(9, 'a');
  lives.look();
  expect(lives.heard('b')).toBe(true);
  expect(lives.heard('b')).toBe(false);
  expect(lives.counts('b')).toBe(true);
  lives.forget('b');
  expect(lives.counts('b')).toBe(false);
  expect(lives.heard('b')).toBe(true);
});

test('while nobody is heard, because the API server is away, nobody is late', async () => {
  lives.heard('a');
  lives.heard('b');
  await clock.advanceAsync(30_000);
  expect(lives.look()).toEqual({ late: [], gone: [] });
  // It is back: the first that is heard makes the other late only if that one stays silent.
  lives.heard('a');
  lives.heard('b');
  await pass(3, 'a', 'b');
  expect(lives.look()).toEqual({ late: [], gone: [] });
  expect([lives.counts('a'), lives.counts('b')]).toEqual([true, true]);
});

test('a last word that is very old is none, whoever else speaks', async () => {
  lives.heard('a');
  await clock.advanceAsync(35_000);
  expect(lives.look()).toEqual({ late: ['a'], gone: ['a'] });
  expect(lives.counts('a')).toBe(false);
});

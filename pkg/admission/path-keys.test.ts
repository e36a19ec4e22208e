import { createHmac } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { Secret } from '../base/index.ts';
import { createPathKeys } from './index.ts';

const day = 86_400_000;
const clock = { at: 0, wall: 20_000 * day, monotonic: () => clock.at, now: () => clock.wall };
const secrets = ['a', 'b', 'c', 'd', 'e', 'f'].map((text) => new Secret(text));
const pathBy = (secret: Secret): string => {
  const keys = createPathKeys(clock);
  keys.learn([secret]);
  return `/${keys.due(['/']) ?? ''}/mutate`;
};

test('a path is opened by the key of a secret that counts, and by nothing else', () => {
  const keys = createPathKeys(clock);
  const [first, second] = secrets.map(pathBy);
  for (const path of ['', '/', '/mutate', '//mutate', first ?? '']) expect(keys.open(path)).toBeUndefined();
  keys.learn(secrets.slice(0, 1));
  expect(keys.open(first ?? '')).toBe('/mutate');
  expect(first).toMatch(/^\/[0-9a-f]{64}\/mutate$/);
  for (const path of ['', '/', '/mutate', '//mutate', second ?? '', `/${first ?? ''}`, (first ?? '').slice(0, 65)])
    expect(keys.open(path)).toBeUndefined();
});

test('keys that counted go on to count for some time, and a new one is written when others had time to learn it', () => {
  const keys = createPathKeys(clock);
  const paths = secrets.map(pathBy);
  const [first = '', second = ''] = paths;
  expect(keys.due([])).toBeUndefined();
  keys.learn(secrets.slice(0, 1));
  expect(`/${keys.due(['/mutate']) ?? ''}/mutate`).toBe(first);
  keys.learn(secrets.slice(1, 2));
  expect(keys.due([first, first])).toBeUndefined();
  expect(keys.due([first, '/mutate'])).toBeDefined();
  clock.at += 30_000;
  expect(`/${keys.due([first]) ?? ''}/mutate`).toBe(second);
  // One that counted beside the first has been learnt already.
  keys.learn(secrets.slice(1, 3));
  clock.at += 30_000;
  keys.learn(secrets.slice(2, 3));
  expect(`/${keys.due([second]) ?? ''}/mutate`).toBe(paths[2]);
  for (const secret of secrets.slice(3)) keys.learn([secret]);
  expect(paths.map((path) => keys.open(path))).toEqual([
    ...[undefined, undefined],
    ...['/mutate', '/mutate', '/mutate', '/mutate'],
  ]);
});

test('a key ends by itself: each day has its own, which counts the day before and the day after too', () => {
  const keys = createPathKeys(clock);
  const start = clock.wall;
  const written: string[] = [];
  keys.learn(secrets.slice(0, 1));
  clock.at += 30_000;
  for (let at = 0; at < 4; at++) {
    clock.wall = start + at * day;
    written.push(`/${keys.due(written.slice(-1)) ?? ''}/mutate`);
  }
  expect(new Set(written).size).toBe(4);
  const opened = (at: number): readonly boolean[] => {
    clock.wall = start + at * day;
    return written.map((path) => keys.open(path) !== undefined);
  };
  expect(opened(0)).toEqual([true, true, false, false]);
  expect(opened(1)).toEqual([true, true, true, false]);
  expect(opened(2)).toEqual([false, true, true, true]);
  // After a week without a webhook nothing opens, and the next look writes anew.
  clock.wall = start + 7 * day;
  expect(written.map((path) => keys.open(path))).toEqual([undefined, undefined, undefined, undefined]);
  expect(written).not.toContain(`/${keys.due(written.slice(-1)) ?? ''}/mutate`);
  clock.wall = start;
});

test('replicas whose clocks differ do not write over one another', () => {
  const [slow, fast] = [createPathKeys(clock), createPathKeys({ ...clock, now: () => clock.wall + 60_000 })];
  for (const one of [slow, fast]) one.learn(secrets.slice(0, 1));
  clock.at += 30_000;
  clock.wall = 20_001 * day - 30_000;
  const path = `/${fast.due([]) ?? ''}/mutate`;
  expect(slow.due([])).not.toBe(fast.due([]));
  expect([slow.open(path), fast.open(path)]).toEqual(['/mutate', '/mutate']);
  expect(`/${slow.due([path, path]) ?? ''}/mutate`).toBe(path);
});

const hmac = (key: string, text: string): string => createHmac('sha256', key).update(text).digest('hex');
/** As releases wrote it before keys had a root of their own. */
const olderKey = hmac('a', 'sidegate webhook path');

test('no key follows from one of an older release, and that opens nothing unless a configuration has it', () => {
  const keys = createPathKeys(clock);
  keys.learn(secrets.slice(0, 1));
  const derived = [-1, 0, 1].map((step) => hmac(olderKey, `${20_000 + step}`));
  for (const key of [olderKey, ...derived]) expect(keys.open(`/${key}/mutate`)).toBeUndefined();
});

test('beside replicas of an older release, configurations keep its key for five minutes, and it ends soon after', () => {
  for (const key of [olderKey, hmac(olderKey, '20000')]) {
    const path = `/${key}/mutate`;
    const keys = createPathKeys(clock);
    keys.learn(secrets.slice(0, 1));
    // What a newer chart adds is reached like the others.
    expect(keys.due([path, '/pods'])).toBe(key);
    expect(keys.open(path)).toBe('/mutate');
    clock.at += 299_999;
    expect(keys.due([path])).toBe(key);
    clock.at += 1;
    const mine = `/${keys.due([path]) ?? ''}/mutate`;
    expect(mine).toBe(pathBy(new Secret('a')));
    clock.at += 119_999;
    expect([keys.open(path), keys.open(mine)]).toEqual(['/mutate', '/mutate']);
    clock.at += 1;
    expect([keys.open(path), keys.open(mine)]).toEqual([undefined, '/mutate']);
    // Written again by the older release, to which somebody went back.
    expect(keys.due([path])).toBe(key);
    expect(keys.open(path)).toBe('/mutate');
  }
});

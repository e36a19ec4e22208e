import { expect, test } from '@jest/globals';
import { Secret } from '../base/index.ts';
import { createPathKeys } from './index.ts';

const clock = { at: 0, monotonic: () => clock.at };
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

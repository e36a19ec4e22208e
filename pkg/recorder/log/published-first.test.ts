import { beforeEach, describe, expect, test } from '@jest/globals';
import { generateKeyPairSync } from 'node:crypto';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import type { FakeClock } from '../../../test/support/fake-clock.ts';
import { createMemoryObjects } from '../../../test/support/memory-config-maps.ts';
import { createLogger } from '../../base/index.ts';
import { controlPlane } from '../../contract/index.ts';
import { resources } from '../../kube/index.ts';
import { createFrontier, entryLeaf, signHead } from '../../record/index.ts';
import { needPublished } from './published-first.ts';

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const stranger = generateKeyPairSync('ed25519').privateKey;

/** A log of so many entries, of which the last ones may be others. */
function logOf(size: number, others = 0) {
  const nodes = new Map<string, Buffer>();
  const frontier = createFrontier();
  for (let at = 0; at < size; at++)
    for (const { level, index, hash } of frontier.append(
      entryLeaf(`entry ${at}${at >= size - others ? ' of another' : ''}`),
    ))
      nodes.set(`${level} ${index}`, hash);
  const root = frontier.root();
  return {
    root: root.toString('hex'),
    store: {
      log: () => Promise.resolve({ size, root, at: 1 }),
      node: (level: number, index: number) => {
        const found = nodes.get(`${level} ${index}`);
        return found === undefined ? Promise.reject(new Error('not full')) : Promise.resolve(found);
      },
    },
  };
}
const headOf = (size: number, key = privateKey, others = 0): string =>
  signHead({ size, root: logOf(size, others).root, at: size }, key);

let clock: FakeClock;
let told: string[];
beforeEach(() => {
  clock = fakeClock();
  told = [];
});
const logger = () => createLogger({ level: 'error', write: (line) => void told.push(line), clock });
async function start(
  stores: readonly ReturnType<typeof logOf>['store'][],
  data: Readonly<Record<string, string>> | Error | undefined,
): Promise<number> {
  const cluster = createMemoryObjects();
  if (data !== undefined && !(data instanceof Error))
    await cluster.create(resources.configMaps, { metadata: { namespace: 's', name: controlPlane.logHeads }, data });
  const began = clock.monotonic();
  let asked = 0;
  const store = (): ReturnType<typeof logOf>['store'] => {
    const found = stores[Math.min(asked, stores.length - 1)];
    if (found === undefined) throw new Error('no store');
    return found;
  };
  await needPublished({
    client: data instanceof Error ? { find: () => Promise.reject(data) } : cluster,
    store: { log: () => store().log(), node: (level, index) => store().node(level, index) },
    namespace: 's',
    keys: publicKey,
    clock,
    logger: logger(),
    sleep: (ms) => {
      asked++;
      clock.advance(ms);
      return Promise.resolve();
    },
  });
  return clock.monotonic() - began;
}

test.each<[string, Readonly<Record<string, string>> | undefined]>([
  ['nothing', undefined],
  ['an empty object', {}],
  ['heads of it', { '2026-11-25': headOf(3), '2026-11-26': headOf(7) }],
  ['a longer head that its key has not signed', { '2026-11-26': headOf(7), '2026-11-27': headOf(99, stranger) }],
])('a log of which %s is published is written to at once', async (_, data) => {
  expect(await start([logOf(7).store], data)).toBe(0);
  expect(told).toEqual([]);
});

test.each([
  ['is shorter', logOf(6)],
  ['has other entries', logOf(7, 2)],
  ['has other entries, and more', logOf(9, 4)],
])('a log that %s than what was published is not written to, and said once', async (_, { store }) => {
  await expect(start([store], { '2026-11-26': headOf(7) })).rejects.toThrow(
    /lacks entries of the log of which a head over 7 is published/,
  );
  expect(clock.monotonic()).toBe(1_000 + 600_000);
  expect(told).toHaveLength(1);
});

test('one that has them after all is', async () => {
  const [lags, whole] = [logOf(6).store, logOf(8).store];
  expect(await start([lags, lags, whole], { '2026-11-26': headOf(7) })).toBe(10_000);
});

test('an API server that does not answer keeps nobody from taking records in for longer than half a minute, and that is said', async () => {
  expect(await start([logOf(7).store], new Error('away'))).toBe(30_000);
  expect(told).toHaveLength(2);
  expect(told[1]).toContain('goes on without');
});

describe('once the API server has said what was published', () => {
  type Store = ReturnType<typeof logOf>['store'];
  const away = () => Promise.reject(new Error('away'));
  const gone: Store = { log: away, node: away };
  const published = { metadata: {}, data: { '2026-11-26': headOf(7) } };

  /** Starts with what each of the two says from a time on, in seconds. */
  async function over(says: Readonly<Record<number, unknown>>, stores: Readonly<Record<number, Store>>) {
    const began = clock.monotonic();
    const last = <T>(of: Readonly<Record<number, T>>): T => {
      const past = Object.entries(of).filter(([at]) => Number(at) * 1_000 <= clock.monotonic() - began);
      const found = past.at(-1)?.[1];
      if (found === undefined) throw new Error('nothing is said');
      return found;
    };
    const find = (): Promise<never> => {
      const said = last(says);
      return said instanceof Error ? Promise.reject(said) : Promise.resolve(said as never);
    };
    await needPublished({
      client: { find },
      store: { log: () => last(stores).log(), node: (level, index) => last(stores).node(level, index) },
      namespace: 's',
      keys: publicKey,
      clock,
      logger: logger(),
      sleep: (ms) => {
        clock.advance(ms);
        return Promise.resolve();
      },
    });
    return clock.monotonic() - began;
  }

  test.each<[string, Readonly<Record<number, unknown>>, Readonly<Record<number, Store>>, RegExp]>([
    ['the API server', { 0: published, 40: new Error('away') }, { 0: logOf(6).store }, /cannot be compared/],
    ['the database', { 0: published }, { 0: logOf(6).store, 40: gone }, /cannot be compared/],
    ['the database, from the start', { 0: published }, { 0: gone }, /cannot be compared/],
  ])('%s may go away, and the log is not written to', async (_, says, stores, why) => {
    await expect(over(says, stores)).rejects.toThrow(why);
    expect(clock.monotonic()).toBe(1_000 + 600_000);
    expect(told.filter((line) => line.includes('goes on without'))).toEqual([]);
  });

  test('it goes on when the object is made anew, which whoever has lost the entries for good does', async () => {
    expect(await over({ 0: published, 40: { metadata: {} } }, { 0: logOf(6).store })).toBe(40_000);
  });

  test('it goes on when both answer again, and the log has them', async () => {
    const says = { 0: published, 40: new Error('away'), 50: published };
    expect(await over(says, { 0: logOf(6).store, 45: gone, 90: logOf(7).store })).toBe(90_000);
  });
});

import { describe, expect, test } from '@jest/globals';
import { generateKeyPairSync } from 'node:crypto';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { createMemoryObjects } from '../../../test/support/memory-config-maps.ts';
import type { MemoryObjects } from '../../../test/support/memory-config-maps.ts';
import { createLogger, silentLogger } from '../../base/index.ts';
import { controlPlane } from '../../contract/index.ts';
import { resources } from '../../kube/index.ts';
import { createFrontier, entryLeaf, signHead } from '../../record/index.ts';
import type { StoredHead } from '../store/index.ts';
import { publishHeads } from './published-heads.ts';
import type { HeadMap } from './published-heads.ts';

const day = (number: number): string => new Date(Date.UTC(2026, 10, number, 12)).toISOString().slice(0, 10);
const today = Date.UTC(2026, 10, 26, 12);
const headOf = (size: number, date = 26): StoredHead => {
  const at = Date.UTC(2026, 10, date, 12);
  return { size, root: 'a', at, text: `{"size":${size},"at":${at}}` };
};

async function world(data: Record<string, string> = {}) {
  const cluster = createMemoryObjects();
  await cluster.create(resources.configMaps, { metadata: { namespace: 's', name: controlPlane.logHeads }, data });
  return cluster;
}

const noNode = (): Promise<never> => Promise.reject(new Error('no entries'));

/** What one recorder does with each of these as its newest head, on its day by the API server's clock. */
async function publishAll(cluster: MemoryObjects, ...heads: readonly (StoredHead | undefined)[]) {
  return publishAs({}, cluster, ...heads);
}
async function publishAs(
  more: Partial<Parameters<typeof publishHeads>[0]>,
  cluster: MemoryObjects,
  ...heads: readonly (StoredHead | undefined)[]
) {
  const results: string[] = [];
  const state: { head: StoredHead | undefined } = { head: heads[0] };
  const store = { lastHead: () => Promise.resolve(state.head), node: noNode };
  const serverTime = (): number => state.head?.at ?? today;
  const options = {
    client: cluster,
    store,
    namespace: 's',
    clock: fakeClock(),
    logger: silentLogger,
    serverTime,
    ...more,
  };
  for (const head of heads) {
    state.head = head;
    const publisher = publishHeads({ ...options, onResult: (result) => results.push(result) });
    publisher.kick();
    await publisher.close();
  }
  const map = cluster.objects.get(controlPlane.logHeads) as HeadMap | undefined;
  return { results, data: map?.data ?? {} };
}

test('of each day the newest head stands there, each written once', async () => {
  const { results, data } = await publishAll(await world(), headOf(1), headOf(1), headOf(5), headOf(9, 27));
  expect(data).toEqual({ [day(26)]: headOf(5).text, [day(27)]: headOf(9, 27).text });
  expect(results).toEqual(['done', 'done', 'done']);
});

test('a log without a head has nothing to publish', async () => {
  expect(await publishAll(await world(), undefined)).toEqual({ results: [], data: {} });
});

test.each([
  ['is shorter than what was published', headOf(4)],
  ['has no head any more', undefined],
])('a log that %s is an error, and changes nothing', async (_what, head) => {
  const before = { [day(26)]: headOf(5).text };
  const { results, data } = await publishAll(await world(before), head);
  expect(new Set(results)).toEqual(new Set(['failed']));
  expect(data).toEqual(before);
});

describe('a day to come', () => {
  const ahead = { [day(26)]: headOf(5).text, '2099-01-01': headOf(3).text };

  test('with an old head keeps none of today’s out, and is told', async () => {
    const lines: string[] = [];
    const logger = createLogger({ level: 'error', write: (line) => void lines.push(line), clock: fakeClock() });
    const { results, data } = await publishAs({ logger }, await world(ahead), headOf(9), headOf(12, 27));
    expect(data).toEqual({ ...ahead, [day(26)]: headOf(9).text, [day(27)]: headOf(12, 27).text });
    expect(results.filter((one) => one === 'done')).toHaveLength(2);
    expect(results).toContain('foreign');
    expect(lines[0]).toContain('2099-01-01');
  });

  test('with the head of today keeps no later one out', async () => {
    const same = { [day(26)]: headOf(5).text, '2099-01-01': headOf(5).text };
    const { results, data } = await publishAll(await world(same), headOf(9));
    expect(data).toEqual({ ...same, [day(26)]: headOf(9).text });
    expect(new Set(results)).toEqual(new Set(['done', 'foreign']));
  });

  test('that the recorder itself wrote by a clock that was ahead is gone on with until it is there', async () => {
    const own = { '2026-12-24': headOf(5).text };
    const { results, data } = await publishAll(await world(own), headOf(9), headOf(12, 27));
    expect(data).toEqual({ '2026-12-24': headOf(12, 27).text });
    expect(results).toEqual(['done', 'done']);
  });

  test('is none where the API server’s clock is a few seconds behind that of the one before', async () => {
    const { results, data } = await publishAll(await world({ [day(27)]: headOf(5).text }), headOf(9, 26));
    expect(data).toEqual({ [day(27)]: headOf(9, 26).text });
    expect(results).toEqual(['done']);
  });
});

test('a recorder whose clock is ahead publishes by the API server’s', async () => {
  const serverTime = (): number => today;
  const { data } = await publishAs({ serverTime }, await world(), headOf(5, 40));
  expect(data).toEqual({ [day(26)]: headOf(5, 40).text });
});

test('where the API server does not say what time it is, the recorder’s clock counts', async () => {
  const clock = fakeClock();
  const { data } = await publishAs({ serverTime: () => undefined, clock }, await world(), headOf(5, 40));
  expect(Object.keys(data)).toEqual([new Date(clock.now()).toISOString().slice(0, 10)]);
});

describe('by the keys of the log', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const nodes = new Map<string, Buffer>();
  const frontier = createFrontier();
  const heads = Array.from({ length: 8 }, (_, at): StoredHead => {
    const head = { size: at, root: frontier.root().toString('hex'), at: today };
    for (const { level, index, hash } of frontier.append(entryLeaf(`entry ${at}`)))
      nodes.set(`${level} ${index}`, hash);
    return { ...head, text: signHead(head, privateKey) };
  });
  const node = (level: number, index: number): Promise<Buffer> => {
    const found = nodes.get(`${level} ${index}`);
    return found === undefined ? Promise.reject(new Error('not full')) : Promise.resolve(found);
  };
  const [five, seven] = [heads[5], heads[7]];
  if (five === undefined || seven === undefined) throw new Error('no heads');
  const publishOf = (before: Record<string, string>) =>
    world(before).then((cluster) =>
      publishAs({ keys: publicKey, store: { lastHead: () => Promise.resolve(seven), node } }, cluster, seven),
    );

  test('a head that none of them has signed does not count, and is told', async () => {
    const before = { [day(25)]: five.text.replace('"size":5', '"size":9000'), [day(26)]: five.text };
    const { results, data } = await publishOf(before);
    expect(data).toEqual({ ...before, [day(26)]: seven.text });
    expect(new Set(results)).toEqual(new Set(['done', 'foreign']));
  });

  test('one that the store has, and none of them has signed, is not published: it would keep all others out', async () => {
    const before = { [day(25)]: five.text };
    for (const forged of [
      { ...seven, size: 9000, text: seven.text.replace('"size":7', '"size":9000') },
      { ...five, size: 9000 },
    ]) {
      const store = { lastHead: () => Promise.resolve(forged), node };
      const { results, data } = await publishAs({ keys: publicKey, store }, await world(before), forged);
      expect([data, new Set(results)]).toEqual([before, new Set(['failed'])]);
    }
  });

  test.each([5, 7])('one over %i other entries is never followed by a head of this log', async (size) => {
    const before = { [day(25)]: signHead({ size, root: 'a'.repeat(64), at: today }, privateKey) };
    const { results, data } = await publishOf(before);
    expect(data).toEqual(before);
    expect(new Set(results)).toEqual(new Set(['failed']));
  });
});

test('no day goes, however many there are', async () => {
  const many = Object.fromEntries(Array.from({ length: 1_000 }, (_, at) => [day(at - 1_000), headOf(1).text]));
  const { data } = await publishAll(await world(many), headOf(2), headOf(3), headOf(4, 27));
  expect(data).toEqual({ ...many, [day(26)]: headOf(3).text, [day(27)]: headOf(4, 27).text });
});

test('what the API server did not take is tried again', async () => {
  const cluster = await world();
  cluster.down = true;
  expect((await publishAll(cluster, headOf(1))).results).toContain('failed');
  cluster.down = false;
  const clock = fakeClock();
  const done = Promise.withResolvers<string>();
  const refused = Promise.withResolvers<string>();
  let refuse = true;
  const client = {
    ...cluster,
    patch: (...args: Parameters<MemoryObjects['patch']>) => {
      // Another recorder was faster.
      if (!refuse) return cluster.patch(...args) as never;
      refuse = false;
      return Promise.reject(new Error('409'));
    },
  };
  const store = { lastHead: () => Promise.resolve(headOf(7)), node: noNode };
  const publisher = publishHeads({
    ...{ client, store, namespace: 's', clock, logger: silentLogger },
    onResult: (result) => (result === 'done' ? done : refused).resolve(result),
  });
  await refused.promise;
  clock.advance(60_000);
  expect(await done.promise).toBe('done');
  await publisher.close();
});

import { expect, test } from '@jest/globals';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { createMemoryObjects } from '../../../test/support/memory-config-maps.ts';
import type { MemoryObjects } from '../../../test/support/memory-config-maps.ts';
import { silentLogger } from '../../base/index.ts';
import { controlPlane } from '../../contract/index.ts';
import { resources } from '../../kube/index.ts';
import type { StoredHead } from '../store/index.ts';
import { mostHeadDays, publishHeads } from './published-heads.ts';
import type { HeadMap } from './published-heads.ts';

const day = (number: number): string => new Date(Date.UTC(2026, 10, number, 12)).toISOString().slice(0, 10);
const headOf = (size: number, date = 26): StoredHead => {
  const at = Date.UTC(2026, 10, date, 12);
  return { size, root: 'a', at, text: `{"size":${size},"at":${at}}` };
};

async function world(data: Record<string, string> = {}) {
  const cluster = createMemoryObjects();
  await cluster.create(resources.configMaps, { metadata: { namespace: 's', name: controlPlane.logHeads }, data });
  return cluster;
}

/** What one recorder does with each of these as its newest head. */
async function publishAll(cluster: MemoryObjects, ...heads: readonly (StoredHead | undefined)[]) {
  const results: string[] = [];
  const state: { head: StoredHead | undefined } = { head: heads[0] };
  const store = { lastHead: () => Promise.resolve(state.head) };
  const options = { client: cluster, store, namespace: 's', clock: fakeClock(), logger: silentLogger };
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
  ['says an earlier day', headOf(9, 25)],
])('a log that %s is an error, and changes nothing', async (_what, head) => {
  const before = { [day(26)]: headOf(5).text };
  const { results, data } = await publishAll(await world(before), head);
  expect(new Set(results)).toEqual(new Set(['failed']));
  expect(data).toEqual(before);
});

test('the oldest day goes when there are too many, no other', async () => {
  const full = Object.fromEntries(
    Array.from({ length: mostHeadDays }, (_, at) => [day(at - mostHeadDays), headOf(1).text]),
  );
  const { data } = await publishAll(await world(full), headOf(2), headOf(3), headOf(4, 27));
  const [oldest = '', next = '', third = ''] = Object.keys(full).sort();
  expect([oldest in data, next in data, third in data]).toEqual([false, false, true]);
  expect(Object.keys(data)).toHaveLength(mostHeadDays);
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
  const store = { lastHead: () => Promise.resolve(headOf(7)) };
  const publisher = publishHeads({
    ...{ client, store, namespace: 's', clock, logger: silentLogger },
    onResult: (result) => (result === 'done' ? done : refused).resolve(result),
  });
  await refused.promise;
  clock.advance(60_000);
  expect(await done.promise).toBe('done');
  await publisher.close();
});

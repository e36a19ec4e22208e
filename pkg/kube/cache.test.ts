import { expect, test } from '@jest/globals';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { silentLogger } from '../base/index.ts';
import { createCache } from './cache.ts';
import type { CacheFault } from './cache.ts';
import { KubeError } from './kube-error.ts';
import type { KubeClient } from './client.ts';
import { resources } from './objects.ts';

// What a real API server can be made to do is in test/apiserver/kube.test.ts. This one was restored from a backup.

test('a server that lists an older state than it has shown is none that was heard, however often it answers', async () => {
  const clock = fakeClock();
  const faults: CacheFault[] = [];
  let version = '100';
  const client = {
    page: async () => {
      await Promise.resolve();
      return {
        items: [{ metadata: { namespace: 'ml', name: version, resourceVersion: version } }],
        resourceVersion: version,
      };
    },
    watch: () => Promise.reject(new KubeError('refused', 'too old', { status: 410, reason: 'Expired' })),
  } as unknown as KubeClient;
  const cache = createCache({
    client,
    resource: resources.configMaps,
    clock,
    logger: silentLogger,
    transform: ({ metadata }) => metadata.name,
    onFault: (fault) => faults.push(fault),
  });
  await clock.advanceAsync(60_000);
  expect([cache.ageMs() < 20_000, cache.resourceVersion()]).toEqual([true, '100']);

  version = '50';
  await clock.advanceAsync(300_000);
  expect(faults.filter((one) => one === 'bad_answer').length).toBeGreaterThan(5);
  expect([cache.ageMs() > 280_000, cache.resourceVersion(), [...cache.values()]]).toEqual([true, '100', ['100']]);

  version = '101';
  await clock.advanceAsync(20_000);
  expect([cache.ageMs() <= 20_000, cache.resourceVersion(), [...cache.values()]]).toEqual([true, '101', ['101']]);
  await cache.stop();
});

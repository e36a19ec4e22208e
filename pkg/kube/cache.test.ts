import { describe, expect, test } from '@jest/globals';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { silentLogger } from '../base/index.ts';
import { createCache } from './cache.ts';
import type { CacheFault } from './cache.ts';
import { KubeError } from './kube-error.ts';
import type { KubeClient } from './client.ts';
import { resources } from './objects.ts';
import type { PageOptions } from './pages.ts';

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

describe('objects that are too large for a page', () => {
  /** Sizes of objects, which have their names; a page has room for 8. A watch says nothing, until its time is over. */
  function world(
    sizes: Readonly<Record<string, number>>,
    more: { readonly oversized?: () => string | undefined } = {},
  ) {
    const clock = fakeClock();
    const faults: CacheFault[] = [];
    const seen = { calls: 0, sizes };
    const client = {
      async page(_resource: unknown, _selection: unknown, { limit, continueToken = '0', metadataOnly }: PageOptions) {
        await Promise.resolve();
        seen.calls++;
        const all = Object.entries(seen.sizes);
        const from = Number(continueToken);
        const these = all.slice(from, from + limit);
        const size = these.reduce((sum, [, one]) => sum + one, 0);
        if (size > 8 && metadataOnly !== true) throw new KubeError('too_large', 'too long');
        return {
          items: these.map(([name, one]) => ({
            metadata: { namespace: 'ml', name, resourceVersion: String(100 + one) },
          })),
          resourceVersion: '200',
          continueToken: from + limit < all.length ? String(from + limit) : undefined,
        };
      },
      watch: (_path: string, { signal }: { readonly signal: AbortSignal }) =>
        new Promise((_resolve, reject) => {
          const end = (): void => reject(new KubeError('timeout', 'over'));
          clock.after(25_000, end);
          signal.addEventListener('abort', end);
        }),
    } as unknown as KubeClient;
    const cache = createCache<string>({
      ...{ client, clock, resource: resources.configMaps, logger: silentLogger, ...more },
      transform: ({ metadata }) => metadata.name,
      timings: { pageLimit: 16, relistMs: 60_000 },
      onFault: (fault) => faults.push(fault),
    });
    return { clock, faults, seen, cache };
  }
  const many = (size: number, prefix: string) =>
    Object.fromEntries(Array.from({ length: 40 }, (_, at) => [`${prefix}${at}`, size] as const));

  test('make it ask for fewer at once: the copy is whole', async () => {
    const { clock, faults, seen, cache } = world({ ...many(0.1, 'a'), ...many(6, 'fat'), ...many(0.1, 'z') });
    await clock.advanceAsync(1_000);
    expect([...cache.values()]).toEqual(Object.keys(seen.sizes));
    // Two for each large one, some for the others.
    expect(seen.calls).toBeLessThan(40 * 2 + 20);
    expect(faults).toEqual([]);
    await cache.stop();
  });

  test.each([
    ['what is said of its metadata', () => 'oversized', ['a', 'oversized', 'z']],
    ['nothing', () => undefined, ['a', 'z']],
  ])('one that is too large by itself is kept as %s', async (_what, oversized, kept) => {
    const { clock, faults, cache } = world({ a: 1, fat: 9, z: 1 }, { oversized });
    await clock.advanceAsync(1_000);
    expect([[...cache.values()], faults]).toEqual([kept, []]);
    await cache.stop();
  });

  test('where nothing may be kept of it the copy stands still, and grows old', async () => {
    const { clock, faults, seen, cache } = world(many(1, 'a'));
    await clock.advanceAsync(10_000);
    expect([cache.size, cache.ageMs() < 30_000, faults]).toEqual([40, true, []]);
    seen.sizes = { ...many(1, 'a'), fat: 9 };
    await clock.advanceAsync(400_000);
    // Pages came before the one that did not.
    expect(faults.filter((one) => one === 'too_large').length).toBeGreaterThan(5);
    expect([cache.size, cache.ageMs() > 300_000]).toEqual([40, true]);
    seen.sizes = many(1, 'b');
    await clock.advanceAsync(20_000);
    expect([cache.size, cache.get('ml/b0'), cache.ageMs() < 30_000]).toEqual([40, 'b0', true]);
    await cache.stop();
  });
});

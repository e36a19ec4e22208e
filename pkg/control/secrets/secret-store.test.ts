import { expect, test } from '@jest/globals';
import { cpuMs } from '../../../test/support/cost.ts';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { silentLogger } from '../../base/index.ts';
import { KubeError } from '../../kube/index.ts';
import type { KubeClient } from '../../kube/index.ts';
import { createSecretStore, forbiddenMs, longestValue, mostOfNamespace } from './secret-store.ts';

/** An API server that forbids what is in `forbidden`, and everything while it does not know the roles. */
function world() {
  const clock = fakeClock();
  const seen = { knowsRoles: true, forbidden: new Set(['ml/denied']), data: { key: 'eA==' } as Record<string, string> };
  const client = {
    async get(_: unknown, { namespace, name }: { namespace: string; name: string }) {
      const forbidden = !seen.knowsRoles || seen.forbidden.has(`${namespace}/${name}`);
      if (forbidden) throw new KubeError('refused', 'forbidden', { status: 403 });
      return { metadata: { name, namespace, uid: 'u', resourceVersion: '1' }, data: seen.data };
    },
  } as unknown as Pick<KubeClient, 'get'>;
  const store = createSecretStore({
    ...{ client, clock, logger: silentLogger, onChange: () => undefined },
    alwaysRead: { namespace: 'sidegate-system', name: 'own' },
  });
  return { clock, seen, store };
}

/** `key` is named of each. */
const named = (...secrets: string[]) => new Map(secrets.map((one) => [one, new Set(['key'])] as const));

test('a Secret that was never allowed is missing in seconds, where the API server knows the roles', async () => {
  const { clock, store } = world();
  store.want(named('ml/denied', 'ml/allowed'));
  await clock.advanceAsync(1_000);
  expect(store.read('ml/denied')).toBe('pending');
  await clock.advanceAsync(9_000);
  expect(store.read('ml/denied')).toBe('missing');
  expect(store.read('ml/allowed')).toMatchObject({ keys: ['key'] });
  await store.close();
});

test('while it does not know them, nothing is missing for a minute', async () => {
  const { clock, seen, store } = world();
  seen.knowsRoles = false;
  store.want(named('ml/denied', 'ml/allowed'));
  await clock.advanceAsync(5_000);
  expect(['ml/denied', 'ml/allowed'].map((key) => store.read(key))).toEqual(['pending', 'pending']);
  seen.knowsRoles = true;
  await clock.advanceAsync(30_000);
  expect(store.read('ml/denied')).toBe('missing');
  expect(store.read('ml/allowed')).toMatchObject({ keys: ['key'] });
  await store.close();
});

test('what was read stays for a minute after it is forbidden, whoever is answered meanwhile', async () => {
  const { clock, seen, store } = world();
  store.want(named('ml/allowed'));
  await clock.advanceAsync(100);
  seen.forbidden.add('ml/allowed');
  await clock.advanceAsync(30_000 + forbiddenMs / 2);
  expect(store.read('ml/allowed')).toMatchObject({ keys: ['key'] });
  await clock.advanceAsync(2 * forbiddenMs);
  expect(store.read('ml/allowed')).toBe('missing');
  await store.close();
});

test('no key is kept that is not named; one that is named later is pending until it was read', async () => {
  const { clock, seen, store } = world();
  seen.data = { key: 'eA==', other: 'eQ==' };
  store.want(named('ml/a'));
  await clock.advanceAsync(100);
  const first = store.read('ml/a');
  expect(first).toMatchObject({ keys: ['key'] });
  expect(typeof first === 'string' ? first : [first.text('key')?.reveal(), first.text('other')]).toEqual([
    'x',
    undefined,
  ]);
  store.want(new Map([['ml/a', new Set(['key', 'other', 'nowhere'])]]));
  expect(store.read('ml/a')).toBe('pending');
  await clock.advanceAsync(100);
  expect(store.read('ml/a')).toMatchObject({ keys: ['key', 'other'] });
  await store.close();
});

test('of a namespace no more is kept than its bound; others have theirs, and what is forgotten makes room', async () => {
  const { clock, seen, store } = world();
  seen.data = { key: Buffer.alloc(longestValue).toString('base64') };
  const room = mostOfNamespace / longestValue;
  const secrets = Array.from({ length: room + 2 }, (_, at) => `ml/s${at}`);
  const kept = () => secrets.filter((one) => typeof store.read(one) !== 'string');
  const left = () => secrets.filter((one) => store.read(one) === 'too_much');
  store.want(named(...secrets, 'other/s'));
  await clock.advanceAsync(1_000);
  expect([kept().length, left().length]).toEqual([room, 2]);
  expect(store.read('other/s')).toMatchObject({ keys: ['key'] });
  const [gone = ''] = kept();
  store.want(named(...secrets.filter((one) => one !== gone)));
  await clock.advanceAsync(31_000);
  expect([kept().length, left().length]).toEqual([room, 1]);
  await store.close();
});

test('reading costs the same however many keys of a Secret are named', async () => {
  const { clock, store } = world();
  store.want(new Map([['ml/many', new Set(['key', ...Array.from({ length: 32_000 }, (_, at) => `k${at}`)])]]));
  await clock.advanceAsync(1_000);
  expect(store.read('ml/many')).toMatchObject({ keys: ['key'] });
  // Each value of each pod is asked for: key by key they took 1 ms each.
  expect(
    cpuMs(() => {
      for (let ask = 0; ask < 1_000; ask++) store.read('ml/many');
    }),
  ).toBeLessThan(200);
  await store.close();
});

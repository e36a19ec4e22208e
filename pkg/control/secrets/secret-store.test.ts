import { expect, test } from '@jest/globals';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { silentLogger } from '../../base/index.ts';
import { KubeError } from '../../kube/index.ts';
import type { KubeClient } from '../../kube/index.ts';
import { createSecretStore, forbiddenMs } from './secret-store.ts';

/** An API server that forbids what is in `forbidden`, and everything while it does not know the roles. */
function world() {
  const clock = fakeClock();
  const seen = { knowsRoles: true, forbidden: new Set(['ml/denied']) };
  const client = {
    async get(_: unknown, { namespace, name }: { namespace: string; name: string }) {
      const forbidden = !seen.knowsRoles || seen.forbidden.has(`${namespace}/${name}`);
      if (forbidden) throw new KubeError('refused', 'forbidden', { status: 403 });
      return { metadata: { name, namespace, uid: 'u', resourceVersion: '1' }, data: { key: 'eA==' } };
    },
  } as unknown as Pick<KubeClient, 'get'>;
  const store = createSecretStore({
    ...{ client, clock, logger: silentLogger, onChange: () => undefined },
    alwaysRead: { namespace: 'sidegate-system', name: 'own' },
  });
  return { clock, seen, store };
}

test('a Secret that was never allowed is missing in seconds, where the API server knows the roles', async () => {
  const { clock, store } = world();
  store.want(new Set(['ml/denied', 'ml/allowed']));
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
  store.want(new Set(['ml/denied', 'ml/allowed']));
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
  store.want(new Set(['ml/allowed']));
  await clock.advanceAsync(100);
  seen.forbidden.add('ml/allowed');
  await clock.advanceAsync(30_000 + forbiddenMs / 2);
  expect(store.read('ml/allowed')).toMatchObject({ keys: ['key'] });
  await clock.advanceAsync(2 * forbiddenMs);
  expect(store.read('ml/allowed')).toBe('missing');
  await store.close();
});

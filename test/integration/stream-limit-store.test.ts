import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { limitStoreOfRemote } from '../../cmd/sidecar/limit-store.ts';
import { Secret, silentLogger, systemClock } from '../../pkg/base/index.ts';
import { allow, anyone, limits, policy } from '../../pkg/core/testing/policies.ts';
import { snapshotOf, streamWorld, until } from '../support/stream.ts';
import type { StreamWorld } from '../support/stream.ts';
import type { ValkeyServer } from '../support/valkey.ts';
import { startValkey } from '../support/valkey.ts';

// How sidecars in pods come to know the server that counts limits over all of them.

const shared = snapshotOf([
  policy('p', {
    access: [allow('all', { subjects: [anyone], limits: limits({ requestsPerMinute: 5, scope: 'Policy' }) })],
  }),
]);
const alone = snapshotOf([
  policy('p', { access: [allow('all', { subjects: [anyone], limits: limits({ requestsPerMinute: 5 }) })] }),
]);

let valkey: ValkeyServer;
let world: StreamWorld;
beforeAll(async () => {
  valkey = await startValkey(['--requirepass', 'the-password']);
});
afterAll(() => valkey.stop());
beforeEach(async () => {
  world = await streamWorld();
  world.limitStore = { url: valkey.url, username: undefined, password: new Secret('the-password'), ca: undefined };
});
afterEach(() => world.close());

describe('the server of shared limits', () => {
  test('is told to a pod with such a limit, and taken back with it', async () => {
    const pod = world.pod();
    world.directory.answers.set(pod.uid, { kind: 'snapshot', snapshot: shared });
    const sidecar = world.sidecar(pod);
    await until(() => sidecar.limitStore() !== undefined, 'the server is told');
    expect(sidecar.limitStore()?.password?.reveal()).toBe('the-password');
    world.directory.answers.set(pod.uid, { kind: 'snapshot', snapshot: alone });
    world.directory.changed(pod);
    await until(() => sidecar.limitStore() === undefined, 'it is taken back');
    expect(world.log.join('\n')).not.toContain('the-password');
  });

  test('is not told to any other pod', async () => {
    const pod = world.pod();
    world.directory.answers.set(pod.uid, { kind: 'snapshot', snapshot: alone });
    const sidecar = world.sidecar(pod);
    await until(() => sidecar.policy.current() !== undefined, 'policy');
    expect(sidecar.limitStore()).toBeUndefined();
    world.clock.advance(16_000);
    await until(() => sidecar.connected(), 'a heartbeat');
    expect(sidecar.limitStore()).toBeUndefined();
  });

  test('counts for sidecars that were told, follows a change, and refuses the others', async () => {
    const pod = world.pod();
    world.directory.answers.set(pod.uid, { kind: 'snapshot', snapshot: shared });
    const sidecar = world.sidecar(pod);
    const store = limitStoreOfRemote(sidecar, systemClock, silentLogger);
    await expect(store.take({ key: 'k', capacity: 5 }, 1, 1)).rejects.toThrow();
    await until(() => sidecar.limitStore() !== undefined, 'the server is told');
    // A take whose answer came too late has counted all the same: each try has a key of its own.
    let tries = 0;
    await until(async () => (await store.take({ key: `k${tries++}`, capacity: 5 }, 5, 5)).granted === 5, 'it counts');
    // A new password, told with the next heartbeat, that is not the server's.
    world.limitStore = { url: valkey.url, username: undefined, password: new Secret('another'), ca: undefined };
    world.clock.advance(16_000);
    await until(() => sidecar.limitStore()?.password?.reveal() === 'another', 'the change');
    await expect(store.take({ key: 'other', capacity: 5 }, 1, 1)).rejects.toThrow();
    await store.close();
  });
});

import { describe, expect, test } from '@jest/globals';
import { silentLogger } from '../../base/index.ts';
import { KubeError } from '../../kube/index.ts';
import type { KubeClient, KubeObject } from '../../kube/index.ts';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { rotateAnnotation, startAuthorityKeeper } from './authority-keeper.ts';
import { until } from '../../../test/support/wait.ts';

const timing = { publishMs: 3_600_000, dropMs: 1_800_000 };

type SecretObject = KubeObject & { data?: Record<string, string> };

function secretServer() {
  const server = { stored: undefined as SecretObject | undefined, writes: 0, fails: false };
  let version = 0;
  const put = (body: SecretObject): SecretObject => {
    server.writes++;
    server.stored = { ...body, metadata: { ...body.metadata, resourceVersion: String(++version) } };
    return server.stored;
  };
  const client = {
    async find() {
      if (server.fails) throw new KubeError('unreachable', 'no way');
      return server.stored;
    },
    async create(_resource: unknown, body: SecretObject) {
      if (server.stored !== undefined) throw new KubeError('refused', 'exists', { status: 409 });
      return put(body);
    },
    async replace(_resource: unknown, body: SecretObject) {
      if (server.stored?.metadata.resourceVersion !== body.metadata.resourceVersion)
        throw new KubeError('refused', 'conflict', { status: 409 });
      return put(body);
    },
  } as unknown as KubeClient;
  return { server, client };
}

const settle = async (clock: ReturnType<typeof fakeClock>, ms: number): Promise<void> => {
  await clock.advanceAsync(ms);
  await clock.advanceAsync(1);
};

/** Keys are made by threads, which the fake clock does not wait for. Some seconds of its time may pass. */
const come = (clock: ReturnType<typeof fakeClock>, holds: () => boolean): Promise<void> =>
  until(async () => {
    await clock.advanceAsync(50);
    return holds();
  }, `${holds}`);

function keeper(client: KubeClient, clock: ReturnType<typeof fakeClock>, leading: () => boolean) {
  const steps: string[] = [];
  const kept = startAuthorityKeeper({
    client,
    clock,
    logger: silentLogger,
    namespace: 'sidegate-system',
    leading,
    timing,
    onStep: (step) => steps.push(step),
  });
  return { ...kept, steps };
}

describe('the authority', () => {
  test('is made once, by the leader; others wait for it and take the same', async () => {
    const { server, client } = secretServer();
    const clock = fakeClock();
    const follower = keeper(client, clock, () => false);
    await settle(clock, 5_000);
    expect([follower.authority(), server.writes]).toEqual([undefined, 0]);
    // Two that both believe to lead.
    const leaders = [keeper(client, clock, () => true), keeper(client, clock, () => true)];
    await come(clock, () => [follower, ...leaders].every((one) => one.authority() !== undefined));
    await settle(clock, 2_000);
    expect(server.writes).toBe(1);
    const bundles = [follower, ...leaders].map((one) => one.authority()?.bundle());
    expect(bundles[0]).toContain('BEGIN CERTIFICATE');
    expect(new Set(bundles).size).toBe(1);
    await Promise.all([follower, ...leaders].map((one) => one.close()));
    expect(clock.pending).toBe(0);
  });

  test('asked for a new one: published, then signing, then the old one dropped, each in its time; followers keep up', async () => {
    const { server, client } = secretServer();
    const clock = fakeClock();
    const leader = keeper(client, clock, () => true);
    await come(clock, () => leader.authority() !== undefined);
    const follower = keeper(client, clock, () => false);
    await come(clock, () => follower.authority() !== undefined);
    const count = (): number => (follower.authority()?.bundle().match(/BEGIN/g) ?? []).length;
    expect(count()).toBe(1);
    const first = follower.authority()?.state().current.cert;
    server.stored = {
      ...server.stored!,
      metadata: { ...server.stored!.metadata, annotations: { [rotateAnnotation]: 'now' } },
    };
    await settle(clock, 31_000);
    await come(clock, () => leader.steps.length === 2 && count() === 2);
    expect([leader.steps, count(), follower.authority()?.state().current.cert === first]).toEqual([
      ['create', 'publish'],
      2,
      true,
    ]);
    expect(server.stored?.metadata.annotations).toEqual({});
    await clock.advanceAsync(timing.publishMs);
    await settle(clock, 61_000);
    await come(clock, () => leader.steps.at(-1) === 'switch' && follower.authority()?.state().current.cert !== first);
    expect([leader.steps.at(-1), count(), follower.authority()?.state().current.cert === first]).toEqual([
      'switch',
      2,
      false,
    ]);
    // Asked for again before this rotation is over: the next one follows it.
    server.stored = {
      ...server.stored!,
      metadata: { ...server.stored!.metadata, annotations: { [rotateAnnotation]: 'again', other: 'kept' } },
    };
    await clock.advanceAsync(timing.dropMs);
    await settle(clock, 61_000);
    await come(clock, () => leader.steps.includes('drop'));
    await settle(clock, 31_000);
    await come(clock, () => leader.steps.at(-1) === 'publish' && count() === 2);
    expect(leader.steps).toEqual(['create', 'publish', 'switch', 'drop', 'publish']);
    expect(server.stored.metadata.annotations).toEqual({ other: 'kept' });
    await Promise.all([leader.close(), follower.close()]);
  });

  test('a Secret that is gone is written again as it was, by a leader that has read it', async () => {
    const { server, client } = secretServer();
    const clock = fakeClock();
    let leads = true;
    const leader = keeper(client, clock, () => leads);
    await come(clock, () => leader.authority() !== undefined);
    const bundle = leader.authority()?.bundle();
    // In the middle of a rotation too.
    server.stored = {
      ...server.stored!,
      metadata: { ...server.stored!.metadata, annotations: { [rotateAnnotation]: 'now' } },
    };
    await come(clock, () => leader.steps.at(-1) === 'publish');
    const both = leader.authority()?.bundle();
    expect(both).toContain(bundle);
    const { data } = server.stored;

    leads = false;
    server.stored = undefined;
    await settle(clock, 120_000);
    expect([server.stored, leader.authority()?.bundle(), leader.ageMs() > 90_000]).toEqual([undefined, both, true]);
    leads = true;
    await come(clock, () => leader.steps.at(-1) === 'restore');
    expect(server.stored).toMatchObject({ data });
    await settle(clock, 61_000);
    expect([leader.steps, leader.authority()?.bundle()]).toEqual([['create', 'publish', 'restore'], both]);
    await leader.close();
  });

  test('who has not read the Secret for long does not write back what it held', async () => {
    const { server, client } = secretServer();
    const clock = fakeClock();
    let leads = true;
    const leader = keeper(client, clock, () => leads);
    await come(clock, () => leader.authority() !== undefined);
    leads = false;
    server.fails = true;
    await settle(clock, 400_000);
    server.fails = false;
    server.stored = undefined;
    leads = true;
    await settle(clock, 120_000);
    expect([server.stored, leader.steps]).toEqual([undefined, ['create']]);
    await leader.close();
  });

  test('a Secret that is no good is never replaced; what was read stays, and is taken again when it is good', async () => {
    const { server, client } = secretServer();
    const clock = fakeClock();
    const leader = keeper(client, clock, () => true);
    await come(clock, () => leader.authority() !== undefined);
    const good = server.stored!;
    const bundle = leader.authority()?.bundle();
    server.stored = { ...good, metadata: { ...good.metadata, resourceVersion: '77' }, data: { 'ca.crt': 'AAAA' } };
    const writes = server.writes;
    await settle(clock, 120_000);
    expect([server.writes, leader.authority()?.bundle() === bundle]).toEqual([writes, true]);
    expect(leader.ageMs()).toBeGreaterThan(90_000);
    server.fails = true;
    await settle(clock, 60_000);
    server.fails = false;
    server.stored = good;
    await settle(clock, 60_000);
    expect([leader.ageMs() < 60_000, leader.authority()?.bundle() === bundle]).toEqual([true, true]);
    await leader.close();
  });
});

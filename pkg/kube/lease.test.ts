import { describe, expect, test } from '@jest/globals';
import { silentLogger } from '../base/index.ts';
import { fakeClock } from '../../test/support/fake-clock.ts';
import type { FakeClock } from '../../test/support/fake-clock.ts';
import type { KubeClient } from './client.ts';
import { KubeError } from './kube-error.ts';
import { createLease } from './lease.ts';
import type { KubeObject } from './objects.ts';

/** One object with the server's precondition; each process sees it through a door that can be shut. */
function leaseServer() {
  let stored: KubeObject | undefined;
  let version = 0;
  const put = (body: KubeObject): KubeObject => {
    stored = { ...body, metadata: { ...body.metadata, uid: 'u', resourceVersion: String(++version) } };
    return stored;
  };
  const door = () => {
    const state = { open: true, answers: true };
    const pass = async <T>(run: () => T): Promise<T> => {
      if (!state.open) throw new KubeError('unreachable', 'no way');
      const value = run();
      if (!state.answers) throw new KubeError('timeout', 'the answer is lost');
      return value;
    };
    const client = {
      find: () => pass(() => stored),
      create: (_resource: unknown, body: KubeObject) =>
        pass(() => {
          if (stored !== undefined) throw new KubeError('refused', 'exists', { status: 409 });
          return put(body);
        }),
      replace: (_resource: unknown, body: KubeObject) =>
        pass(() => {
          if (stored?.metadata.resourceVersion !== body.metadata.resourceVersion) {
            throw new KubeError('refused', 'conflict', { status: 409 });
          }
          return put(body);
        }),
    } as unknown as KubeClient;
    return { client, state };
  };
  return { door, holder: () => (stored as { spec?: { holderIdentity?: string } } | undefined)?.spec?.holderIdentity };
}

function elector(server: ReturnType<typeof leaseServer>, clock: FakeClock, identity: string, random = () => 0.5) {
  const { client, state } = server.door();
  const told: string[] = [];
  const lease = createLease({
    client,
    namespace: 'sidegate-system',
    name: 'sidegate-controller',
    identity,
    clock,
    logger: silentLogger,
    random,
    onLeading: () => told.push('leading'),
    onLost: () => told.push('lost'),
  });
  return { lease, told, state };
}

describe('a lease', () => {
  test('has one leader, who stays it', async () => {
    const server = leaseServer();
    const clock = fakeClock();
    const electors = ['a', 'b', 'c'].map((name) => elector(server, clock, name));
    for (let at = 0; at < 120; at++) {
      await clock.advanceAsync(1_000);
      expect(electors.filter((one) => one.lease.leading())).toHaveLength(1);
    }
    expect(electors.map((one) => one.told)).toEqual([['leading'], [], []]);
  });

  test('a leader who cannot renew stops before another begins; that is final', async () => {
    const server = leaseServer();
    const clock = fakeClock();
    const first = elector(server, clock, 'a');
    await clock.advanceAsync(10);
    const second = elector(server, clock, 'b');
    await clock.advanceAsync(5_000);
    first.state.open = false;
    const at: Record<string, number> = {};
    for (let ms = 0; ms < 40_000; ms += 100) {
      await clock.advanceAsync(100);
      expect([first, second].filter((one) => one.lease.leading()).length).toBeLessThan(2);
      if (!first.lease.leading()) at['stopped'] ??= ms;
      if (second.lease.leading()) at['began'] ??= ms;
    }
    expect(at['stopped']).toBeLessThanOrEqual(10_000);
    expect(at['began']).toBeGreaterThan(at['stopped'] ?? 0);
    expect(at['began']).toBeLessThanOrEqual(18_000);
    first.state.open = true;
    await clock.advanceAsync(100_000);
    expect(first.told).toEqual(['leading', 'lost']);
    expect(second.told).toEqual(['leading']);
  });

  test('steps of wall clocks, forward and back, change nothing', async () => {
    const server = leaseServer();
    const clocks = [fakeClock(), fakeClock()];
    const [first, second] = clocks.map((clock, at) => elector(server, clock, `p${at}`));
    for (let at = 0; at < 200; at++) {
      for (const clock of clocks) await clock.advanceAsync(500);
      if (at % 10 === 0) clocks[at % 2]?.step(at % 20 === 0 ? 3_600_000 : -7_200_000);
      expect([first, second].filter((one) => one?.lease.leading())).toHaveLength(1);
    }
    expect([...(first?.told ?? []), ...(second?.told ?? [])]).toEqual(['leading']);
  });

  test('a process that stood still is no leader when it goes on, before any timer runs', async () => {
    const server = leaseServer();
    const clock = fakeClock();
    const first = elector(server, clock, 'a');
    await clock.advanceAsync(10);
    expect(first.lease.leading()).toBe(true);
    clock.stall(10_000);
    expect(first.lease.leading()).toBe(false);
    expect(first.told).toEqual(['leading', 'lost']);
    await clock.advanceAsync(60_000);
    expect(first.lease.leading()).toBe(false);
  });

  test('renewals whose answers are lost go on: the leader asks who holds it', async () => {
    const server = leaseServer();
    const clock = fakeClock();
    const first = elector(server, clock, 'a');
    await clock.advanceAsync(10);
    for (let at = 0; at < 10; at++) {
      first.state.answers = false;
      await clock.advanceAsync(3_000);
      first.state.answers = true;
      await clock.advanceAsync(3_000);
    }
    expect(first.told).toEqual(['leading']);
    expect(first.lease.leading()).toBe(true);
  });

  test('closed, it is free at once', async () => {
    const server = leaseServer();
    const clock = fakeClock();
    const first = elector(server, clock, 'a');
    await clock.advanceAsync(10);
    const second = elector(server, clock, 'b');
    await clock.advanceAsync(3_000);
    await first.lease.close();
    expect([first.lease.leading(), server.holder()]).toEqual([false, '']);
    await clock.advanceAsync(2_500);
    expect([second.lease.leading(), first.told]).toEqual([true, ['leading']]);
  });
});

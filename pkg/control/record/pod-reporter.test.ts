import { describe, expect, test } from '@jest/globals';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { silentLogger } from '../../base/index.ts';
import type { KubeClient, KubeObject } from '../../kube/index.ts';
import type { PodReport } from '../../wire/index.ts';
import { startPodReporter } from './pod-reporter.ts';
import type { PodReporter } from './pod-reporter.ts';
import { createUnreportedBook } from './unreported.ts';

test('the leader misses pods of which the recorder knows, also by the trust domain that was before', async () => {
  const clock = fakeClock();
  const reports: PodReport[] = [];
  const of = (uid: string, domain: string): string => `spiffe://${domain}/ns/ml/sa/llama/pod/${uid}`;
  const reporter = startPodReporter({
    client: () => ({
      report: async (report) => void reports.push(report),
      present: async () => [
        of('gone', 'cluster.local'),
        of('gone', 'old.example'),
        of('there', 'old.example'),
        'spiffe://old.example/something',
      ],
    }),
    trustDomain: 'cluster.local',
    clock,
    logger: silentLogger,
    leading: () => true,
    exists: ({ uid }) => uid === 'there',
  });
  await clock.advanceAsync(125_000);
  expect(reports.flatMap(({ gone }) => gone.map(({ source }) => source)).sort()).toEqual([
    of('gone', 'cluster.local'),
    of('gone', 'old.example'),
  ]);
  await reporter.close();
});

describe('while the recorder is away', () => {
  const pod = (uid: string) => ({ namespace: 'ml', name: `pod-${uid}`, uid, serviceAccount: 'llama' });
  const source = (uid: string): string => `spiffe://cluster.local/ns/ml/sa/llama/pod/${uid}`;
  const head = (sequence: number, chain = 'a') => ({
    chain: chain.repeat(32),
    sequence,
    hash: String(sequence).padStart(64, '0'),
  });
  const make = () => {
    const clock = fakeClock();
    const objects = new Map<string, KubeObject>();
    const reports: PodReport[] = [];
    const state = {
      up: false,
      authority: true,
      replicas: new Set<string>(),
      pods: new Set<string>(),
      objects,
      reports,
      clock,
    };
    const client = {
      find: async (_resource: unknown, { name }: { name: string }) =>
        state.replicas.has(name) ? { metadata: { name } } : undefined,
      page: async () => ({ items: [...objects.values()], resourceVersion: '1', continueToken: undefined }),
      patch: async (_resource: unknown, { name }: { name: string }, { body }: { body: KubeObject }) =>
        void objects.set(name, body),
      delete: async (_resource: unknown, { name }: { name: string }) => void objects.delete(name),
    } as unknown as KubeClient;
    const start = (replica: string, leads = true): PodReporter => {
      state.replicas.add(replica);
      return startPodReporter({
        client: () =>
          state.authority
            ? {
                report: async (report) => {
                  if (!state.up || !state.replicas.has(replica)) throw new Error('away');
                  reports.push(report);
                },
                present: async () => [],
              }
            : undefined,
        trustDomain: 'cluster.local',
        clock,
        logger: silentLogger,
        leading: () => leads,
        exists: ({ uid }) => state.pods.has(uid),
        book: createUnreportedBook({ client, namespace: 'sidegate-system', replica, logger: silentLogger }),
      });
    };
    return { ...state, state, start };
  };
  const toldOf = (reports: readonly PodReport[]) => ({
    heads: reports.flatMap(({ heads }) => heads.map((one) => `${one.source.slice(-1)} ${one.sequence}`)),
    gone: reports.flatMap(({ gone }) => gone.map((one) => one.source)),
  });

  test('a pod came and went, and its controller was replaced: the next leader tells of it', async () => {
    const { state, start, clock, reports, objects } = make();
    const one = start('one');
    one.head(pod('u'), head(500));
    await clock.advanceAsync(60_000);
    one.gone(pod('u'));
    await clock.advanceAsync(60_000);
    await one.close();
    state.replicas.delete('one');
    const two = start('two');
    await clock.advanceAsync(130_000);
    expect(reports).toEqual([]);
    expect(objects.size).toBeGreaterThan(0);
    state.up = true;
    await clock.advanceAsync(70_000);
    expect(toldOf(reports)).toEqual({ heads: ['u 500'], gone: [source('u')] });
    // It is told once, and nothing is left of it.
    await clock.advanceAsync(300_000);
    expect(reports).toHaveLength(1);
    expect(objects.size).toBe(0);
    await two.close();
  });

  test('a controller that is killed has kept who went', async () => {
    const { state, start, clock, reports } = make();
    const killed = start('one');
    killed.head(pod('u'), head(500));
    killed.gone(pod('u'));
    await clock.advanceAsync(10_000);
    state.replicas.delete('one');
    const two = start('two');
    state.up = true;
    await clock.advanceAsync(70_000);
    expect(toldOf(reports).gone).toContain(source('u'));
    await two.close();
    await killed.close();
  });

  test('also while it has no authority to tell it by', async () => {
    const { state, start, clock, reports, objects } = make();
    state.authority = false;
    const killed = start('one');
    killed.head(pod('u'), head(500));
    killed.gone(pod('u'));
    await clock.advanceAsync(10_000);
    expect(objects.size).toBe(1);
    state.replicas.delete('one');
    Object.assign(state, { up: true, authority: true });
    const two = start('two');
    await clock.advanceAsync(70_000);
    expect(toldOf(reports)).toEqual({ heads: ['u 500'], gone: [source('u')] });
    await two.close();
    await killed.close();
  });

  test('what somebody else has written as kept, with more chains of a pod than there are, ends no report', async () => {
    const { state, start, clock, reports, objects } = make();
    const heads = Array.from({ length: 2_000 }, (_, n) => ({
      source: source('u'),
      namespace: 'ml',
      pod: 'pod-u',
      chain: n.toString(16).padStart(32, '0'),
      sequence: n + 1,
      hash: 'a'.repeat(64),
    }));
    for (const replica of ['x', 'y'])
      objects.set(`sidegate-controller-unreported-${replica}`, {
        metadata: {
          name: `sidegate-controller-unreported-${replica}`,
          labels: { 'sidegate.dev/unreported': replica },
        },
        data: {
          'report.json': JSON.stringify({
            v: 1,
            heads: replica === 'x' ? heads : heads.map((one) => ({ ...one, chain: one.chain.replace(/^0/, 'f') })),
            gone: [],
          }),
        },
      } as KubeObject);
    state.up = true;
    const one = start('one');
    await clock.advanceAsync(70_000);
    expect(toldOf(reports).heads).toEqual([1993, 1994, 1995, 1996, 1997, 1998, 1999, 2000].map((n) => `u ${n}`));
    await one.close();
  });

  test('a pod that went while no controller was there is missed by what the last one knew; one that is there is not', async () => {
    const { state, start, clock, reports } = make();
    const one = start('one');
    one.head(pod('u'), head(500));
    one.head(pod('v'), head(7));
    await clock.advanceAsync(10_000);
    await one.close();
    state.replicas.delete('one');
    state.pods.add('v');
    state.up = true;
    const two = start('two');
    await clock.advanceAsync(70_000);
    expect(toldOf(reports)).toEqual({ heads: ['u 500'], gone: [source('u')] });
    await two.close();
  });

  test('what a replica that is there has kept is its own to tell', async () => {
    const { state, start, clock, reports, objects } = make();
    const one = start('one', false);
    const two = start('two');
    one.gone(pod('u'));
    await clock.advanceAsync(10_000);
    expect(objects.size).toBe(1);
    state.up = true;
    await clock.advanceAsync(130_000);
    expect(toldOf(reports).gone).toEqual([source('u')]);
    expect(objects.size).toBe(0);
    await one.close();
    await two.close();
  });

  test('that a pod stopped in good order is told, and kept, with its last line, also where a line was told before without it', async () => {
    const { state, start, clock, reports } = make();
    const one = start('one');
    one.head(pod('u'), head(500));
    state.up = true;
    await clock.advanceAsync(6_000);
    one.head(pod('u'), { ...head(500), ended: true });
    await clock.advanceAsync(6_000);
    const endings = (): readonly (boolean | undefined)[] =>
      reports.flatMap(({ heads }) => heads.map(({ ended }) => ended));
    expect(endings()).toEqual([undefined, true]);
    state.up = false;
    one.head(pod('v'), { ...head(7), ended: true });
    one.gone(pod('v'));
    await clock.advanceAsync(60_000);
    await one.close();
    state.replicas.delete('one');
    const two = start('two');
    state.up = true;
    await clock.advanceAsync(130_000);
    expect(toldOf(reports).heads.at(-1)).toBe('v 7');
    expect(endings()).toEqual([undefined, true, true]);
    await two.close();
  });

  test('each chain of a pod is told of, the newest of many, and no report is longer than the recorder takes', async () => {
    const { state, start, clock, reports } = make();
    const one = start('one');
    for (let n = 0; n < 12; n++) one.head(pod('u'), head(n, n.toString(16)));
    for (let n = 0; n < 600; n++)
      for (let chain = 0; chain < 8; chain++) one.head(pod(`p${n}`), head(1_000 * n + chain, chain.toString(16)));
    await clock.advanceAsync(10_000);
    state.up = true;
    await clock.advanceAsync(10_000);
    expect(toldOf(reports).heads.filter((told) => told.startsWith('u '))).toEqual(
      [4, 5, 6, 7, 8, 9, 10, 11].map((n) => `u ${n}`),
    );
    expect(Math.max(...reports.map(({ heads }) => heads.length))).toBeLessThanOrEqual(1_000);
    expect(reports.flatMap(({ heads }) => heads)).toHaveLength(601 * 8);
    await one.close();
  });
});

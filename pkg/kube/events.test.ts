import { expect, test } from '@jest/globals';
import { fakeClock } from '../../test/support/fake-clock.ts';
import type { KubeClient } from './client.ts';
import { createEventRecorder } from './events.ts';

const note = { type: 'Warning', action: 'Check', note: 'no sidecar' } as const;
const pod = (name: string, namespace = 'ml') => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { namespace, name, uid: `u-${name}` },
});

test('events are limited, not repeated, and never throw', async () => {
  const clock = fakeClock();
  const written: { note: string; metadata: { name: string } }[] = [];
  let fails = false;
  const dropped: string[] = [];
  const client = {
    async create(_resource: unknown, body: { note: string; metadata: { name: string } }) {
      if (fails) throw new Error('no');
      written.push(body);
      return body;
    },
  } as unknown as KubeClient;
  const events = createEventRecorder({
    client,
    clock,
    controller: 'sidegate.dev/controller',
    instance: 'a',
    burst: 3,
    share: 3,
    onDropped: (why) => dropped.push(why),
  });
  for (let at = 0; at < 3; at++) events.record(pod('a'), { ...note, reason: 'SidecarMissing' });
  await events.close();
  expect(written).toHaveLength(1);
  for (let at = 0; at < 10; at++) events.record(pod(`b${at}`), { ...note, reason: 'SidecarMissing' });
  await events.close();
  expect([written.length, dropped.length]).toEqual([3, 8]);
  await clock.advanceAsync(600_000);
  events.record(pod('a'), { ...note, reason: 'SidecarMissing', note: 'x'.repeat(3_000) });
  await events.close();
  expect(written.at(-1)?.note).toHaveLength(1_024);
  expect(written.at(-1)?.metadata.name).toMatch(/^a\.[0-9a-f]{32}$/);
  const count = written.length;
  for (const by of ['ana', 'ana', 'bob']) events.record(pod('a'), { ...note, reason: 'Used', by });
  await events.close();
  expect(written.length - count).toBe(2);
  await clock.advanceAsync(5_000);
  fails = true;
  events.record(pod('c'), { ...note, reason: 'Other' });
  await events.close();
  expect(dropped.at(-1)).toBe('failed');
});

test('those of one namespace leave room for others, also while they go on', async () => {
  const clock = fakeClock();
  const written = new Map<string, number>();
  const client = {
    async create(_resource: unknown, body: unknown, { namespace }: { namespace: string }) {
      written.set(namespace, (written.get(namespace) ?? 0) + 1);
      return body;
    },
  } as unknown as KubeClient;
  const events = createEventRecorder({ client, clock, controller: 'sidegate.dev/controller', instance: 'a' });
  const look = (namespace: string, pods: number): void => {
    for (let at = 0; at < pods; at++) events.record(pod(`p${at}`, namespace), { ...note, reason: 'PolicyUnusable' });
  };
  look('crowd', 400);
  look('ml', 4);
  expect(Object.fromEntries(written)).toEqual({ crowd: 10, ml: 4 });
  for (let at = 0; at < 12; at++) events.record(pod('p', 'deeds'), { ...note, reason: 'BreakGlass', by: `user-${at}` });
  expect(written.get('deeds')).toBe(12);
  written.delete('deeds');
  // What is refilled is not the first's alone.
  for (let at = 0; at < 10; at++) {
    clock.advance(30_000);
    look('crowd', 400);
  }
  look('other', 9);
  events.record(
    { apiVersion: 'v1', kind: 'ClusterInferencePolicy', metadata: { name: 'floor' } },
    { ...note, reason: 'A' },
  );
  expect(Object.fromEntries(written)).toEqual({ crowd: 110, ml: 4, other: 9, default: 1 });
  look('last', 12);
  expect(written.get('last')).toBe(10);
  // Shares of so many namespaces and no more are counted: the one of this is whole again, and what all have is left of it.
  for (let at = 0; at < 1_024; at++) look(`n${at}`, 1);
  clock.advance(5_000);
  look('last', 24);
  await events.close();
  expect(written.get('last')).toBe(15);
});

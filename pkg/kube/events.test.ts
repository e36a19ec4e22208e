import { expect, test } from '@jest/globals';
import { fakeClock } from '../../test/support/fake-clock.ts';
import type { KubeClient } from './client.ts';
import { createEventRecorder } from './events.ts';

const note = { type: 'Warning', action: 'Check', note: 'no sidecar' } as const;
const pod = (name: string) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { namespace: 'ml', name, uid: `u-${name}` },
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

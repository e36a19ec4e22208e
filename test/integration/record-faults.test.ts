import { afterEach, expect, test } from '@jest/globals';
import { fdatasync } from 'node:fs';
import { parseJson } from '../../pkg/base/index.ts';
import { namedStart, verifyAuditLog } from '../../pkg/record/index.ts';
import { systemAuditIo } from '../../pkg/record/audit-output.ts';
import { StoreError } from '../../pkg/recorder/index.ts';
import { recordCut } from '../support/record-cut.ts';
import type { RecordCut } from '../support/record-cut.ts';
import { recordPod } from '../support/record-pod.ts';
import type { RecordPod } from '../support/record-pod.ts';
import { startRecorder } from '../support/recorder.ts';
import type { TestRecorder } from '../support/recorder.ts';
import { pause, until } from '../support/wait.ts';

// What goes wrong on the way from a pod to the recorder's disk, and stays so for a while. Each counts what was recorded and what is found: all of it,
// once, in order, or as many as a gap says.

let recorder: TestRecorder;
let cut: RecordCut | undefined;
const pods: RecordPod[] = [];
afterEach(async () => {
  for (const pod of pods.splice(0)) await pod.close();
  cut?.close();
  cut = undefined;
  await recorder.close();
});

type Append = TestRecorder['store']['append'];
const start = async (append?: (next: Append) => Append): Promise<void> => {
  recorder = await startRecorder(append === undefined ? {} : { append: (store) => append((all) => store.append(all)) });
};
const pod = async (uid: string, more: Parameters<typeof recordPod>[3] = {}): Promise<RecordPod> => {
  const one = await recordPod(recorder, 'ml', uid, more);
  pods.push(one);
  return one;
};

interface Found {
  /** Sessions that begin in the lines of a pod, in the order of the log. */
  readonly sessions: readonly string[];
  /** Events that its gaps say were not recorded. */
  readonly lost: number;
}
/** What the store has of a pod, each chain proven to be whole. */
async function found({ source }: RecordPod): Promise<Found> {
  const chains = new Map<string, string>();
  for (const { index, text } of await recorder.store.entries(0, 1_000_000)) {
    const entry = parseJson(text);
    if (entry.get('source')?.string !== source) continue;
    expect(entry.get('type')?.string).toBe('block');
    const chain = entry.get('chain')?.string ?? '';
    const lines = Buffer.from((await recorder.store.blockLines(index)) ?? []).toString();
    chains.set(chain, (chains.get(chain) ?? '') + lines);
  }
  const sessions: string[] = [];
  let lost = 0;
  for (const [chain, text] of chains) {
    const verdict = verifyAuditLog(text.split('\n'), { after: namedStart(chain) });
    expect(verdict).toMatchObject({ ok: true });
    lost += verdict.ok ? verdict.lost : 0;
    for (const line of text.split('\n'))
      if (line.includes('"type":"start"')) sessions.push(parseJson(line).get('session')?.string ?? '');
  }
  return { sessions, lost };
}
const settled = (one: RecordPod, withinMs = 60_000): Promise<void> =>
  until(
    () => {
      one.sender.kick();
      return one.sender.pending() === 0;
    },
    `the record of ${one.uid}`,
    withinMs,
  );

test('a disk under the spool that takes a second to keep what it took: nothing leaves before it is kept, and nothing is lost', async () => {
  await start();
  const waiting: (() => void)[] = [];
  let slow = true;
  const one = await pod('uid-1', {
    io: {
      ...systemAuditIo,
      sync(fd, done) {
        const sync = (): void => fdatasync(fd, done);
        if (slow) waiting.push(sync);
        else sync();
      },
    },
  });
  const keep = (): void => {
    for (const sync of waiting.splice(0)) sync();
  };
  for (let n = 0; n < 300; n++) one.write();
  await until(() => one.sender.connected(), 'a stream');
  await pause(1_000);
  expect((await found(one)).sessions).toEqual([]);
  expect(one.record.head().sequence).toBe(0);
  expect(one.sender.pending()).toBeGreaterThanOrEqual(900);
  keep();
  for (let n = 0; n < 300; n++) one.write();
  await until(() => recorder.counts.events >= 900, 'what was kept');
  const { sequence } = one.record.head();
  expect(recorder.counts.events).toBeLessThanOrEqual(sequence);
  slow = false;
  const timer = setInterval(keep, 5);
  await settled(one);
  clearInterval(timer);
  expect(await found(one)).toEqual({ sessions: one.taken, lost: 0 });
}, 60_000);

test('a slow disk under the recorder, and twenty pods: what waits there is bounded, nobody is cut, and all of each is found', async () => {
  let commits = 0;
  await start((append) => async (additions) => {
    commits++;
    await pause(150);
    await append(additions);
  });
  const all = await Promise.all(Array.from({ length: 20 }, (_, n) => pod(`uid-${n}`)));
  for (let round = 0; round < 10; round++) {
    for (const one of all) for (let n = 0; n < 20; n++) one.write({ ask: 'x'.repeat(5_000) });
    await pause(50);
  }
  let most = 0;
  const timer = setInterval(() => (most = Math.max(most, recorder.frameBytes())), 20);
  for (const one of all) await settled(one);
  clearInterval(timer);
  for (const one of all) expect(await found(one)).toEqual({ sessions: one.taken, lost: 0 });
  expect(most).toBeLessThanOrEqual(32 * 1024 * 1024);
  expect(recorder.told.filter((told) => told !== 'closed peer')).toEqual([]);
  // Many pods share a transaction.
  expect(commits).toBeLessThan(400);
}, 120_000);

test('a network that breaks in the middle of a frame and is away for an hour’s lines: all are found, once', async () => {
  await start();
  cut = await recordCut(() => recorder.port());
  const one = await pod('uid-1', { port: cut.port });
  for (let n = 0; n < 50; n++) one.write();
  await settled(one);
  cut.breakAfter(300_000);
  // Six lines a second.
  for (let n = 0; n < 7_200; n++) {
    one.write({ ask: `${n} ${'x'.repeat(200)}` });
    if (n % 200 === 0) await pause(5);
  }
  await until(() => cut?.away === true, 'the break');
  await until(() => !one.sender.connected(), 'the end of the stream');
  await pause(300);
  const { sessions } = await found(one);
  expect(sessions.length).toBeLessThan(2_000);
  expect(one.sender.pending()).toBeGreaterThan(15_000);
  cut.away = false;
  await settled(one);
  expect(await found(one)).toEqual({ sessions: one.taken, lost: 0 });
  expect(one.taken).toHaveLength(7_250);
}, 120_000);

test('acknowledgements that never arrive, and streams that break behind them: what is stored is stored once, and nothing is missing', async () => {
  await start();
  cut = await recordCut(() => recorder.port());
  const one = await pod('uid-1', { port: cut.port });
  for (let round = 0; round < 5; round++) {
    await until(() => {
      one.sender.kick();
      return one.sender.connected();
    }, 'a stream');
    const before = recorder.counts.events;
    cut.mute = true;
    for (let n = 0; n < 40; n++) one.write();
    await until(() => recorder.counts.events >= before + 120, 'lines at the recorder');
    await until(async () => (await found(one)).sessions.length === one.taken.length, 'lines on its disk');
    expect(one.sender.pending()).toBeGreaterThanOrEqual(120);
    cut.break();
    await until(() => !one.sender.connected(), 'the end of the stream');
    cut.mute = false;
  }
  await settled(one);
  expect(await found(one)).toEqual({ sessions: one.taken, lost: 0 });
  expect(recorder.told.some((told) => told.startsWith('conflict'))).toBe(false);
}, 60_000);

test('disks that are full on both sides: what was refused is counted, and all that was taken is found when both have room', async () => {
  let full = true;
  await start((append) => async (additions) => {
    if (full) throw new StoreError('unavailable', 'the disk is full');
    await append(additions);
  });
  const one = await pod('uid-1', { limit: 20 * 1024 * 1024 });
  await until(() => {
    for (let n = 0; n < 50; n++) if (!one.write({ ask: 'x'.repeat(15_000) })) return true;
    return false;
  }, 'a full spool');
  for (let n = 0; n < 30; n++) one.write();
  const refused = one.refused();
  expect(refused).toBeGreaterThanOrEqual(1);
  expect((await found(one)).sessions).toEqual([]);
  full = false;
  await until(() => {
    one.sender.kick();
    return one.write();
  }, 'room in the spool');
  await settled(one);
  expect(await found(one)).toEqual({ sessions: one.taken, lost: one.refused() * 3 });
}, 120_000);

import { afterEach, expect, test } from '@jest/globals';
import type { IngestLimits } from '../../pkg/recorder/index.ts';
import { sessionEvents, sessionId, testChain } from '../../pkg/recorder/testing/chains.ts';
import { maxRecordBytes } from '../../pkg/wire/index.ts';
import { recordPeer } from '../support/record-peer.ts';
import type { RecordPeer } from '../support/record-peer.ts';
import { startRecorder } from '../support/recorder.ts';
import type { TestRecorder } from '../support/recorder.ts';
import { pause, until } from '../support/wait.ts';

// What frames of sidecars hold has one budget: those that lie about theirs keep nobody out.

let recorder: TestRecorder;
afterEach(() => recorder.close());
const start = async (limits: Partial<IngestLimits>): Promise<void> => {
  recorder = await startRecorder({ limits });
};

async function greeted(uid: string): Promise<RecordPeer> {
  const one = await recordPeer(recorder, await recorder.identity(uid));
  one.say({ type: 'hello', version: 1, pod: { namespace: 'ml', name: uid, uid }, software: 'test' });
  await one.hear('welcome');
  return one;
}
/** Says how long the next frame is, and sends so much of it. */
function beginFrame(to: RecordPeer, length: number, bytes = 0): void {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(length);
  to.socket.write(Buffer.concat([head, Buffer.alloc(bytes, 'x')]));
}
/** A frame that counts. */
function sendBatch(to: RecordPeer, chain: ReturnType<typeof testChain>, n: number): void {
  const first = chain.point().sequence + 1;
  const lines = chain.lines(sessionEvents({ id: sessionId(n), ask: 'x'.repeat(20_000) }), Date.now());
  to.say({ type: 'events', first, count: 3 }, lines);
}

test('sidecars that never end their frames are cut where others wait for room, and these are taken, whole and in order', async () => {
  await start({ frameBytes: 4 * maxRecordBytes, holdMs: 500 });
  const liars = await Promise.all([1, 2, 3, 4].map((n) => greeted(`liar-${n}`)));
  for (const liar of liars) beginFrame(liar, maxRecordBytes, 1_000);
  await until(() => recorder.frameBytes() === 4 * maxRecordBytes, 'all room to be held');
  const chain = testChain();
  const honest = await greeted('honest');
  honest.say({ type: 'begin', chain: chain.name });
  await honest.hear('position');
  for (let n = 0; n < 5; n++) sendBatch(honest, chain, n);
  // Its heartbeats are not what waits.
  await until(
    () => honest.heard.some((one) => one.type === 'ack' && one.sequence === chain.point().sequence),
    'the ack',
  );
  expect(honest.closed()).toBe(false);
  expect(recorder.told).toContain('refused slow');
  const goodbye = liars.filter(({ heard }) => heard.some(({ type }) => type === 'goodbye'));
  expect(goodbye.length).toBeGreaterThanOrEqual(1);
  for (const { heard } of goodbye) expect(heard.at(-1)).toEqual({ type: 'goodbye', reason: 'unavailable' });
  expect((await recorder.store.search({ limit: 9 })).sessions).toHaveLength(5);
});

test('one sidecar holds two of the longest frames, over however many streams', async () => {
  await start({ frameBytes: 8 * maxRecordBytes, perSource: 4 });
  const material = await recorder.identity('liar');
  // They say no hello, so that none takes the place of another.
  const streams = await Promise.all([1, 2, 3, 4].map(() => recordPeer(recorder, material)));
  for (const one of streams) beginFrame(one, maxRecordBytes, 10);
  await until(() => recorder.frameBytes() > maxRecordBytes, 'two of them');
  await pause(50);
  expect(recorder.frameBytes()).toBe(2 * maxRecordBytes);
});

test('a frame that is not whole in its time ends its stream; one that comes slowly and is whole in it does not', async () => {
  await start({ frameMs: 1_500 });
  const [slow, fast] = [await greeted('slow'), await greeted('fast')];
  beginFrame(slow, maxRecordBytes, 10);
  const chain = testChain();
  fast.say({ type: 'begin', chain: chain.name });
  await fast.hear('position');
  const drip = setInterval(() => slow.socket.write('x'), 100);
  try {
    for (let n = 0; n < 20 && !slow.closed(); n++) {
      sendBatch(fast, chain, n);
      await pause(200);
    }
    expect(await slow.hear('goodbye')).toMatchObject({ reason: 'silent' });
  } finally {
    clearInterval(drip);
  }
  await until(() => fast.heard.some((one) => one.type === 'ack' && one.sequence === chain.point().sequence), 'the ack');
  expect(fast.closed()).toBe(false);
  expect(recorder.told).toContain('refused slow');
  await until(() => recorder.frameBytes() === 0, 'its room to be given back');
});

test('the heartbeats of a sidecar whose frame waits for room are answered, and it is not cut as silent', async () => {
  await start({ frameBytes: 2 * maxRecordBytes, heartbeatMs: 200 });
  const liar = await greeted('liar');
  beginFrame(liar, maxRecordBytes, 10);
  const other = await greeted('other');
  beginFrame(other, maxRecordBytes, 10);
  const beats = setInterval(() => {
    for (const one of [liar, other]) one.socket.write('x');
  }, 100);
  await until(() => recorder.frameBytes() === 2 * maxRecordBytes, 'all room to be held');
  const honest = await greeted('honest');
  const chain = testChain();
  honest.say({ type: 'begin', chain: chain.name });
  await honest.hear('position');
  sendBatch(honest, chain, 1);
  const before = honest.heard.length;
  await pause(2_500);
  clearInterval(beats);
  expect(honest.closed()).toBe(false);
  expect(honest.heard.slice(before).filter(({ type }) => type === 'beat').length).toBeGreaterThan(1);
  expect(honest.heard.some(({ type }) => type === 'ack')).toBe(false);
  liar.socket.destroy();
  await honest.hear('ack');
});

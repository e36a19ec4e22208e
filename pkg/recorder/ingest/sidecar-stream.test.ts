import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { duplexPair } from 'node:stream';
import type { Duplex } from 'node:stream';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import type { FakeClock } from '../../../test/support/fake-clock.ts';
import { until } from '../../../test/support/wait.ts';
import { createLogger } from '../../base/index.ts';
import { namedStart } from '../../record/index.ts';
import { createRecordDownReader, encodeRecordFrame } from '../../wire/index.ts';
import type { RecordUpMessage } from '../../wire/index.ts';
import { StoreError } from '../store/index.ts';
import { createCommitter } from './committer.ts';
import { createFrameBudget } from './frame-budget.ts';
import { silentObserver } from './observer.ts';
import { createSidecarStream } from './sidecar-stream.ts';
import type { SidecarStream } from './sidecar-stream.ts';

// What one end of a stream does with the other, of which nothing is known but what it sends.

const chain = 'a'.repeat(32);
let clock: FakeClock;
let far: Duplex;
let stream: SidecarStream;
let told: string[];
let refused: string[];
/** How often it was asked where the chain stands. */
let asked: number;
let away: boolean;
let closed: string[];

beforeEach(() => {
  clock = fakeClock();
  [told, refused, closed, asked, away] = [[], [], [], 0, false];
  const [near, other] = duplexPair();
  far = other;
  const logger = createLogger({ level: 'warn', clock, write: (line) => void told.push(line) });
  const yes = (): boolean => true;
  stream = createSidecarStream({
    socket: near,
    source: 'spiffe://cluster.local/ns/ml/sa/default/pod/u',
    namespace: 'ml',
    uid: 'u',
    store: {
      async position() {
        asked++;
        if (away) throw new StoreError('unavailable', 'the database is away');
        return undefined;
      },
      lineHash: () => Promise.resolve(undefined),
    },
    committer: createCommitter({ store: { append: () => Promise.resolve() }, clock, logger }),
    clock,
    logger,
    observer: { ...silentObserver, refused: (why) => void refused.push(why) },
    isController: false,
    isOwn: yes,
    limits: { heartbeatMs: 15_000, missedBeats: 3, maxAgeMs: 3_600_000, handshakeMs: 10_000, frameMs: 300_000 },
    frames: createFrameBudget({ clock }),
    signers: { read: () => undefined, judge: () => Promise.resolve('good') },
    mayTake: yes,
    mayBegin: yes,
    mayHole: yes,
    maySmall: yes,
    mayVerify: yes,
    mayLookUp: yes,
    keepEvidence: () => Promise.resolve(),
    onHello: () => Promise.resolve(),
    onClosed: (reason) => void closed.push(reason),
  });
});
afterEach(() => void far.destroy());

const say = (message: RecordUpMessage): boolean => far.write(encodeRecordFrame(message));
const hello = (): boolean =>
  say({ type: 'hello', version: 1, pod: { namespace: 'ml', name: 'p', uid: 'u' }, software: 'test' });
const turns = async (): Promise<void> => {
  for (let n = 0; n < 200; n++) await new Promise((resolve) => setImmediate(resolve));
};

test('who does not take its answers is not read, and has all of them when it does', async () => {
  hello();
  const begins = 20_000;
  for (let n = 0; n < begins; n++) say({ type: 'begin', chain });
  let before = -1;
  while (before !== asked) {
    before = asked;
    await turns();
  }
  // What the two buffers between them hold.
  expect(asked).toBeGreaterThan(0);
  expect(asked).toBeLessThan(5_000);
  let positions = 0;
  const down = createRecordDownReader((message) => {
    if (message.type === 'position' && message.hash === namedStart(chain).hash) positions++;
  });
  far.on('data', (chunk: Buffer) => down.push(chunk));
  await until(
    () => positions === begins,
    () => `all answers: ${positions}`,
  );
  expect(closed).toEqual([]);
});

test.each([
  ['says goodbye', () => void say({ type: 'goodbye', reason: 'shutdown' })],
  ['ends its half', () => void far.end()],
])('who %s and does not close, or takes nothing any more, is closed all the same', async (_, leave) => {
  hello();
  say({ type: 'begin', chain });
  await turns();
  leave();
  await turns();
  clock.advance(1_999);
  await turns();
  expect(closed).toEqual([]);
  clock.advance(1);
  await stream.done;
  expect(closed).toEqual(['peer']);
});

test('who never takes its answers is closed when its stream is old', async () => {
  hello();
  for (let n = 0; n < 5_000; n++) say({ type: 'begin', chain });
  await turns();
  clock.advance(3_600_000);
  stream.tick();
  clock.advance(2_000);
  await stream.done;
  expect(closed).toEqual(['age']);
});

test('a store that is away is not said to be a fault of the sidecar', async () => {
  away = true;
  far.resume();
  hello();
  say({ type: 'begin', chain });
  await until(() => told.length > 0, 'a line of the log');
  expect(told.join()).toContain('the database is away');
  expect(told.join()).not.toContain('protocol');
  expect(refused).toEqual([]);
});

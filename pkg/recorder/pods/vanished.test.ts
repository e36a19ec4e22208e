import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { silentLogger, systemClock } from '../../base/index.ts';
import type { AuditEvent } from '../../core/index.ts';
import { createLogVerifier } from '../../record/index.ts';
import { openPodRecord } from '../../remote/index.ts';
import { entryEvent } from '../ship/event.ts';
import { openSqliteStore } from '../store/index.ts';
import type { RecordStore } from '../store/index.ts';
import { blockOfEvents, source } from '../store/testing/store-suite.ts';
import { sessionId, testChain, testTime } from '../testing/chains.ts';
import { watchVanished } from './vanished.ts';

const clock = fakeClock();
let folder: string;
let store: RecordStore;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sidegate-vanished-'));
  store = openSqliteStore({ path: join(folder, 'record.db'), clock });
});
afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true });
});

const chains = ['a', 'b', 'c'].map((seed) => testChain(seed));
const segment = (length: number): AuditEvent => ({
  type: 'segment',
  session: sessionId(1),
  direction: 'response',
  lane: 'l',
  text: 'x'.repeat(length),
  at: 1,
});

/** Three chains of a pod that is gone: of the first the last line is longer than what is looked at, the last one has stopped. */
async function depart(): Promise<void> {
  const [one, two, three] = ['a', 'b', 'c'].map((seed) => testChain(seed));
  if (one === undefined || two === undefined || three === undefined) throw new Error('chains');
  await store.append([blockOfEvents(one, [segment(5_000)], testTime)]);
  await store.append([blockOfEvents(two, [segment(5)], testTime)]);
  await store.append([blockOfEvents(three, [{ type: 'process', what: 'stop' }], testTime)]);
  await store.learn({ heads: [], gone: [{ source, at: clock.now() }] }, clock.now());
  clock.advance(60_000);
}
const vanished = async (): Promise<readonly string[]> =>
  (await store.entries(0, 100)).flatMap(({ text }) => /"type":"vanished".*"chain":"([0-9a-f]+)"/.exec(text)?.[1] ?? []);

test('a pod whose last line is long did not say that it stops, and the chains behind it are judged', async () => {
  await depart();
  const watch = watchVanished({ store, connected: () => false, clock, logger: silentLogger });
  await watch.look();
  await watch.close();
  expect((await vanished()).toSorted()).toEqual([chains[0]?.name, chains[1]?.name].toSorted());
  expect(await store.departed(clock.now(), 10)).toEqual([]);
});

test('a sidecar that names chains which it never sends has few entries, which count as a million lines each at most', async () => {
  const heads = Array.from({ length: 100 }, (_, n) => ({
    source,
    namespace: 'ml',
    pod: 'p',
    chain: n.toString(16).padStart(32, '0'),
    sequence: Number.MAX_SAFE_INTEGER,
    hash: '0'.repeat(64),
  }));
  await store.learn({ heads, gone: [] }, clock.now());
  await store.learn({ heads: [], gone: [{ source, at: clock.now() }] }, clock.now());
  clock.advance(60_000);
  const counted: number[] = [];
  const onVanished = (lines: number): void => void counted.push(lines);
  const watch = watchVanished({ store, connected: () => false, clock, logger: silentLogger, onVanished });
  await watch.look();
  await watch.close();
  expect(counted).toEqual(Array.from({ length: 16 }, () => 1_000_000));
  expect(await vanished()).toHaveLength(16);
});

test('a chain of which nothing can be written keeps no other', async () => {
  await depart();
  const [first] = await store.departed(clock.now(), 10);
  const settle: RecordStore['settle'] = async (departed, additions) => {
    if (departed.chain === first?.chain) throw new Error('no');
    return store.settle(departed, additions);
  };
  const failing = {
    settle,
    departed: (before: number, limit: number) => store.departed(before, limit),
    lineHash: (of: string, chain: string, sequence: number) => store.lineHash(of, chain, sequence),
    returned: (of: string) => store.returned(of),
  };
  const watch = watchVanished({ store: failing, connected: () => false, clock, logger: silentLogger });
  await watch.look();
  await watch.close();
  expect((await store.departed(clock.now(), 10)).map(({ chain }) => chain)).toEqual([first?.chain]);
});

test('a pod that stops in good order while the recorder is away: the log says which lines never came, and that there were no more', async () => {
  const record = openPodRecord({
    ...{ folder, limit: 1 << 30, pod: { namespace: 'ml', name: 'p', uid: 'uid-1' } },
    ...{ clock: systemClock, logger: silentLogger, onEvent: () => undefined },
  });
  record.audit.append([{ type: 'process', what: 'start' }, segment(5)]);
  record.audit.append([{ type: 'process', what: 'stop' }]);
  await record.finish(0);
  const { chain = '', ...head } = record.head();
  expect(head).toMatchObject({ sequence: 3, ended: true });
  const told: string[] = [];
  const logger = { ...silentLogger, error: (words: string) => void told.push(words) };
  const look = async (known: typeof head, of: string): Promise<void> => {
    await store.learn({ heads: [{ source: of, namespace: 'ml', pod: 'p', ...known, chain }], gone: [] }, clock.now());
    await store.learn({ heads: [], gone: [{ source: of, at: clock.now() }] }, clock.now());
    clock.advance(60_000);
    const watch = watchVanished({ store, connected: () => false, clock, logger });
    await watch.look();
    await watch.close();
  };
  await look(head, source);
  // As a controller that knows of no end tells it.
  const { ended: _, ...older } = head;
  await look(older, `${source}2`);
  const entries = await store.entries(0, 100);
  expect(entries.map(({ text }) => JSON.parse(text) as unknown)).toMatchObject([
    { type: 'vanished', source, chain, stored: 0, known: 3, hash: head.hash, ended: true },
    { type: 'vanished', source: `${source}2`, stored: 0, known: 3, ended: false },
  ]);
  expect(told).toEqual([
    'a pod has stopped in good order, and the last lines of its record did not come',
    'a pod is gone, and its record did not come to its end',
  ]);
  const verifier = createLogVerifier({ publicKey: generateKeyPairSync('ed25519').publicKey, heads: [] });
  for (const [index, { text }] of entries.entries()) verifier.entry(index, text);
  expect(verifier.end().lostWithPods).toMatchObject([
    { source, lines: { first: 1, last: 3 }, ended: true },
    { lines: { first: 1, last: 3 }, ended: false },
  ]);
  expect(entries.map(({ index, text }) => entryEvent(text, index)?.message)).toEqual([
    'a pod has stopped in good order, and the last lines of its record never came',
    'a pod is gone, and lines of its record never came',
  ]);
});

test('a pod that is gone before any of its record was on the disk, while the recorder was away: the log says so', async () => {
  const record = openPodRecord({
    folder,
    limit: 1 << 30,
    pod: { namespace: 'ml', name: 'p', uid: 'uid-1' },
    clock: systemClock,
    logger: silentLogger,
    onEvent: () => undefined,
  });
  record.audit.append([{ type: 'process', what: 'start' }]);
  const { chain = '', ...head } = record.head();
  expect(head.sequence).toBe(0);
  await record.finish(0);
  // What a sidecar that stops tells last is all that it wrote.
  expect(record.head().sequence).toBe(1);
  await store.learn({ heads: [{ source, namespace: 'ml', pod: 'p', ...head, chain }], gone: [] }, clock.now());
  await store.learn({ heads: [], gone: [{ source, at: clock.now() }] }, clock.now());
  clock.advance(60_000);
  const counted: number[] = [];
  const onVanished = (lines: number): void => void counted.push(lines);
  const watch = watchVanished({ store, connected: () => false, clock, logger: silentLogger, onVanished });
  await watch.look();
  await watch.close();
  const entries = await store.entries(0, 100);
  expect(entries.map(({ text }) => JSON.parse(text) as unknown)).toMatchObject([
    { type: 'vanished', source, chain, stored: 0, known: 0, ended: false },
  ]);
  expect(counted).toEqual([0]);
  const verifier = createLogVerifier({ publicKey: generateKeyPairSync('ed25519').publicKey, heads: [] });
  for (const [index, { text }] of entries.entries()) verifier.entry(index, text);
  expect(verifier.end().lostWithPods).toMatchObject([{ source, chain, lines: undefined, ended: false }]);
});

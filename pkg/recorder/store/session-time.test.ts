import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { readLines } from '../ingest/read-lines.ts';
import { sessionEvents, sessionId, testChain, testTime } from '../testing/chains.ts';
import { openSqliteStore } from './index.ts';
import type { RecordStore } from './index.ts';
import { clockSkewMs, seenTime } from './session-time.ts';
import { deleteOld } from './testing/delete-old.ts';

const dayMs = 86_400_000;
let folder: string;
let store: RecordStore;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sidegate-time-'));
  store = openSqliteStore({ path: join(folder, 'record.db'), clock: fakeClock() });
});
afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true });
});

/** One session in a block of its own. @param wall Of its sidecar. */
async function put(seed: number, wall: number, at = testTime): Promise<void> {
  const chain = testChain(`chain ${seed}`);
  const from = chain.point();
  const { block, first, last, prev, hash } = readLines(
    chain.lines(sessionEvents({ id: sessionId(seed), user: 'eve' }), wall),
    from,
  );
  const source = `spiffe://cluster.local/ns/ml/sa/default/pod/uid-${seed}`;
  const entry = { type: 'block', at, source, chain: chain.name, first, last, prev, hash } as const;
  await store.append([{ entry, block: { ...block, pod: { namespace: 'ml', name: 'llama-0' } } }]);
}

test.each<[string, number, number, number | null]>([
  ['that can be', testTime - dayMs, testTime - dayMs, null],
  ['of a clock that is a little ahead', testTime + clockSkewMs, testTime + clockSkewMs, null],
  ['of another century', Date.UTC(1971), testTime - 7 * dayMs, Date.UTC(1971)],
  ['to come', Date.UTC(2199), testTime + clockSkewMs, Date.UTC(2199)],
])('a time %s is within what the recorder saw', (_, said, at, kept) => {
  expect(seenTime(said, testTime)).toEqual({ at, said: kept });
});

test('a recorder whose clock was a month ahead finds what comes after that at its own time', async () => {
  await put(1, testTime + 30 * dayMs, testTime + 30 * dayMs);
  await put(2, testTime - dayMs);
  await put(3, Date.UTC(1971));
  const page = await store.search({ user: 'eve', since: testTime - 8 * dayMs, until: testTime + dayMs, limit: 10 });
  expect(page.sessions.map(({ session, at }) => [session, at])).toEqual([
    [sessionId(2), testTime - dayMs],
    [sessionId(3), testTime - 7 * dayMs],
  ]);
});

test('sessions of clocks that are years wrong are found by when they came, and say so', async () => {
  await put(1, Date.UTC(1971));
  await put(2, Date.UTC(2199));
  await put(3, testTime);
  const page = await store.search({ user: 'eve', since: testTime - 30 * dayMs, until: testTime + dayMs, limit: 10 });
  expect(page.sessions.map(({ session, saidAt }) => [session, saidAt])).toEqual([
    [sessionId(2), Date.UTC(2199)],
    [sessionId(3), undefined],
    [sessionId(1), Date.UTC(1971)],
  ]);
});

test.each([
  ['from a day on', { since: testTime - dayMs }, 3],
  ['up to a day', { until: testTime - 8 * dayMs }, 1],
])('a hold of the past %s keeps what came then, whatever its sidecar said', async (_, terms, kept) => {
  await put(1, Date.UTC(1971));
  await put(2, Date.UTC(2199));
  // Within what is believed, and a lie.
  await put(3, testTime - 5 * dayMs);
  await store.placeHold({ at: testTime, who: 'i', reason: 'case', terms: { user: 'eve', ...terms } });
  const deleted = await deleteOld(store, { before: testTime + 1, of: { allBut: [] } }, testTime + 10 * dayMs, 50);
  expect(3 - deleted).toBe(kept);
});

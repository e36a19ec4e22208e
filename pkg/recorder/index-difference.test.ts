import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fakeClock } from '../../test/support/fake-clock.ts';
import type { AuditEvent } from '../core/index.ts';
import { logRoutes } from './api/log-routes.ts';
import type { Question, Streamed } from './api/question.ts';
import { indexDifference } from './index-difference.ts';
import { readLines } from './ingest/read-lines.ts';
import { openSqliteStore } from './store/index.ts';
import type { RecordStore, SessionSummary } from './store/index.ts';
import { sessionEvents, sessionId, testChain, testTime } from './testing/chains.ts';

// With write access to the store alone and no key: lines stay as they are, and what they are found by does not.

let folder: string;
let store: RecordStore;
const open = (): RecordStore => openSqliteStore({ path: join(folder, 'record.db'), clock: fakeClock() });
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sidegate-index-'));
  store = open();
  const chain = testChain();
  const source = 'spiffe://cluster.local/ns/ml/sa/default/pod/uid-1';
  const put = async (events: readonly AuditEvent[]): Promise<void> => {
    const from = chain.point();
    const { block, first, last, prev, hash } = readLines(chain.lines(events), from);
    const entry = { type: 'block', at: testTime, source, chain: chain.name, first, last, prev, hash } as const;
    await store.append([{ entry, block: { ...block, pod: { namespace: 'ml', name: 'llama-0' } } }]);
  };
  // One in three blocks, others together in one.
  for (const event of sessionEvents({ id: sessionId(1), user: 'mallory' })) await put([event]);
  await put([2, 3].flatMap((seed) => sessionEvents({ id: sessionId(seed) })));
  await put([{ type: 'process', what: 'stop' }]);
});
afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true });
});

async function differences(): Promise<readonly string[]> {
  const route = logRoutes(store).find(({ path }) => path === '/v1/log/entries');
  const nothing = (): Promise<void> => Promise.resolve();
  const search = new URLSearchParams({ lines: 'true', found: 'true' });
  const question: Partial<Question> = { search, allow: nothing, note: nothing };
  let text = '';
  for await (const part of ((await route?.answer(question as Question)) as Streamed).parts) text += part;
  const { entries } = JSON.parse(text) as {
    readonly entries: readonly {
      readonly index: number;
      readonly lines: string;
      readonly found: readonly SessionSummary[];
    }[];
  };
  expect(entries).toHaveLength(5);
  return entries.flatMap(({ index, lines, found }) => {
    const what = indexDifference(lines, testTime, found);
    return what === undefined ? [] : [`${index}: ${what}`];
  });
}

test('an index that was made of the lines goes with them', async () => {
  expect(await differences()).toEqual([]);
});

const named = (text: string): string => `(SELECT id FROM name WHERE text = '${text}')`;
test.each<[string, string, string]>([
  [
    'a part of a session',
    'DELETE FROM part WHERE block = 1',
    '1: the index does not know that it has lines of session',
  ],
  [
    'who it was',
    `UPDATE session SET subject = ${named('llama-3')} WHERE id = 1`,
    '0: the index says otherwise of session',
  ],
  ['when it was', 'UPDATE session SET at = 1 WHERE id = 1', '0: the index says otherwise of session'],
  [
    'how it ended',
    'UPDATE session SET outcome = NULL, endSequence = NULL WHERE id = 1',
    '2: the index says otherwise of session',
  ],
  [
    'what acted',
    `UPDATE session SET tags = ${named('llama-3')} WHERE id = 3`,
    '3: the index says otherwise of session',
  ],
  ['a whole session', 'DELETE FROM session WHERE id = 2', '3: the index does not know that it has lines of session'],
  ['where its lines are', 'INSERT INTO part VALUES (1, 4)', '4: the index has lines of session'],
])('an index that hides or changes %s is found', async (_, statement, what) => {
  await store.close();
  const db = new DatabaseSync(join(folder, 'record.db'));
  expect(db.prepare(statement).run().changes).toBeGreaterThan(0);
  db.close();
  store = open();
  const found = await differences();
  expect(found).toEqual([expect.stringContaining(what)]);
});

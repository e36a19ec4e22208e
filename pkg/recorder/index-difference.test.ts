import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { startPostgres } from '../../test/support/postgres.ts';
import type { PostgresServer } from '../../test/support/postgres.ts';
import { systemClock } from '../base/index.ts';
import type { AuditEvent } from '../core/index.ts';
import { logRoutes } from './api/log-routes.ts';
import type { Question, Streamed } from './api/question.ts';
import { createIndexCheck } from './index-difference.ts';
import type { IndexedBlock } from './index-difference.ts';
import { readLines } from './ingest/read-lines.ts';
import { openPostgresStore, openSqliteStore } from './store/index.ts';
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
  // A second start and a second end of it are no more than lines.
  await put([1, 3].flatMap((seed) => sessionEvents({ id: sessionId(seed), user: 'eve', rule: 'x/y' })));
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
      readonly text: string;
      readonly lines: string;
      readonly found: readonly SessionSummary[];
    }[];
  };
  expect(entries).toHaveLength(6);
  const check = createIndexCheck();
  return entries.flatMap(({ index, text: entry, lines, found }) => {
    const what = check.difference(JSON.parse(entry) as IndexedBlock, lines, found);
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
  [
    'when it began, by a number before the block',
    `UPDATE session SET sequence = sequence - 1, subject = ${named('llama-3')} WHERE id = 2`,
    '3: the index says otherwise of session',
  ],
  [
    'how it ended, by a number before the block',
    `UPDATE session SET endSequence = 1, outcome = ${named('llama-3')} WHERE id = 2`,
    '3: the index says otherwise of session',
  ],
  [
    'when it began, by a number in the block',
    `UPDATE session SET sequence = sequence - 1, subject = ${named('llama-3')} WHERE id = 3`,
    '3: the index says otherwise of session',
  ],
  [
    'who may read it',
    `UPDATE session SET namespace = ${named('llama-3')} WHERE id = 2`,
    '3: the index says otherwise of session',
  ],
])('an index that hides or changes %s is found', async (_, statement, what) => {
  await store.close();
  const db = new DatabaseSync(join(folder, 'record.db'));
  expect(db.prepare(statement).run().changes).toBeGreaterThan(0);
  db.close();
  store = open();
  const found = await differences();
  // What is of a session with lines in two blocks may be found in both.
  expect(found).toContainEqual(expect.stringContaining(what));
});

describe('of what the index says of a block', () => {
  const block: IndexedBlock = {
    source: 'spiffe://cluster.local/ns/ml/sa/default/pod/uid-1',
    chain: testChain().name,
    at: testTime,
  };
  const whole = async () => {
    const lines = Buffer.from((await store.blockLines(3)) ?? new Uint8Array()).toString();
    return { lines, found: (await store.search({ block: 3, limit: 10 })).sessions };
  };
  const other = /^the index (?:says otherwise of|has a) session/;

  test('what was stored goes with its lines', async () => {
    const { lines, found } = await whole();
    expect(createIndexCheck().difference(block, lines, found)).toBeUndefined();
  });

  test.each<[string, (row: SessionSummary) => readonly SessionSummary[]]>([
    ['that is in another chain', (row) => [{ ...row, chain: 'b'.repeat(32) }]],
    ['that is of another sidecar', (row) => [{ ...row, source: block.source.replace('uid-1', 'uid-2') }]],
    ['that is twice', (row) => [{ ...row, subject: 'x' }, row]],
    ['that is twice, the other way round', (row) => [row, { ...row, subject: 'x' }]],
  ])('a session %s differs', async (_, edit) => {
    const { lines, found } = await whole();
    const [row, ...rest] = found;
    if (row === undefined) throw new Error('row');
    expect(createIndexCheck().difference(block, lines, [...edit(row), ...rest])).toMatch(other);
  });

  test('tags that are said twice stand for no other', async () => {
    const { lines, found } = await whole();
    const [row, ...rest] = found;
    const tags = row?.end?.tags ?? [];
    const [first] = tags;
    if (row?.end === undefined || first === undefined || tags.length < 2) throw new Error('tags');
    const same = { ...row, end: { ...row.end, tags: tags.map(() => first) } };
    expect(createIndexCheck().difference(block, lines, [same, ...rest])).toMatch(other);
  });
});

describe('of a session that is found by less than its lines say', () => {
  const source = 'spiffe://cluster.local/ns/ml/sa/default/pod/uid-2';
  const rules = Array.from({ length: 1_000 }, (_, n) => ({ rule: `a/${n}`, act: 'flagged' as const }));
  const put = async () => {
    const chain = testChain('cut');
    const from = chain.point();
    const lines = chain.lines(
      [1, 2].flatMap((seed) =>
        sessionEvents({ id: sessionId(`cut ${seed}`) }).map((event) =>
          event.type === 'end' ? { ...event, rules } : event,
        ),
      ),
    );
    const { block, cut, first, last, prev, hash } = readLines(lines, from);
    const entry = { type: 'block', at: testTime, source, chain: chain.name, first, last, prev, hash } as const;
    const index = (await store.log()).size;
    await store.append([{ entry, block: { ...block, pod: { namespace: 'ml', name: 'llama-1' } } }]);
    const { sessions } = await store.search({ block: index, limit: 10 });
    return { entry, cut, lines: lines.toString(), sessions };
  };
  const withTags = (row: SessionSummary, tags: readonly string[]): SessionSummary => {
    if (row.end === undefined) throw new Error('end');
    return { ...row, end: { ...row.end, tags } };
  };

  test('the index goes with the lines, as a store has it and as older recorders kept it, and other tags do not', async () => {
    const { entry, cut, lines, sessions } = await put();
    const differ = (rows: readonly SessionSummary[]): string | undefined =>
      createIndexCheck().difference(entry, lines, rows);
    expect(cut).toBeGreaterThan(0);
    expect(sessions).toHaveLength(2);
    expect(differ(sessions)).toBeUndefined();
    const all = [...rules.map(({ rule }) => `rule:${rule}`), 'act:flagged'];
    expect(differ(sessions.map((row) => withTags(row, all)))).toBeUndefined();
    expect(differ(sessions.map((row) => withTags(row, ['cut'])))).toMatch(/^the index says otherwise/);
    expect(differ(sessions.map((row) => withTags(row, ['rule:a/0', 'cut'])))).toMatch(/^the index says otherwise/);
  });
});

describe.each(['embedded', 'postgres'] as const)(
  'texts that no store keeps as they stand, in a store of kind %s',
  (kind) => {
    let server: PostgresServer | undefined;
    let own: RecordStore;
    let ownFolder: string | undefined;
    beforeAll(async () => {
      if (kind === 'embedded') {
        ownFolder = mkdtempSync(join(tmpdir(), 'sidegate-index-'));
        own = openSqliteStore({ path: join(ownFolder, 'record.db'), clock: fakeClock() });
        return;
      }
      server = await startPostgres();
      own = await openPostgresStore({ dsn: server.dsn, schema: server.schema(), clock: systemClock });
    });
    afterAll(async () => {
      await own.close();
      await server?.stop();
      if (ownFolder !== undefined) rmSync(ownFolder, { recursive: true });
    });

    const pair = '😀';
    test.each<[string, string, readonly unknown[]]>([
      ['half a character', 'x\ud800y', ['\udc00', 'g']],
      ['a pair that is cut', `${'a'.repeat(255)}${pair}b`, [`${'b'.repeat(255)}${pair}`]],
      ['half a character where it is cut', `${'a'.repeat(255)}\ud800b`, [`${'c'.repeat(254)}\udc00${pair}`]],
      ['halves that are one when they are cut', 'x\ud800', ['x\ud801', 'x\ud802']],
      ['no text', '', ['']],
      ['no text beside others', '', ['', 'g', 1, null, {}]],
      ['control characters', 'a\0b\nc', ['\0', 'a\nb']],
    ])('%s: the index goes with the lines', async (name, text, groups) => {
      const chain = testChain(name);
      const source = 'spiffe://cluster.local/ns/ml/sa/default/pod/uid-1';
      const session = sessionId(name);
      const events = sessionEvents({ id: session, model: text, user: text, groups: groups as string[], rule: text });
      const lines = chain.lines(
        events.map((event) => (event.type === 'start' ? { ...event, path: text, method: text, peer: text } : event)),
      );
      const { block, first, last, prev, hash } = readLines(lines, testChain(name).point());
      const entry = { type: 'block', at: testTime, source, chain: chain.name, first, last, prev, hash } as const;
      const index = (await own.log()).size;
      await own.append([{ entry, block: { ...block, pod: { namespace: 'ml', name: 'llama-0' } } }]);
      const { sessions } = await own.search({ block: index, limit: 10 });
      expect(sessions).toHaveLength(1);
      expect(createIndexCheck().difference(entry, lines.toString(), sessions)).toBeUndefined();
      expect(sessions[0]?.groups).not.toContain('');
    });
  },
);

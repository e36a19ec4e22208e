import { expect, jest, test } from '@jest/globals';
import { hash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fakeClock } from '../../../../test/support/fake-clock.ts';
import type { AuditEvent } from '../../../core/index.ts';
import { sessionEvents, sessionId, testChain, testTime } from '../../testing/chains.ts';
import { openSqliteStore } from '../sqlite.ts';
import { blockOf, blockOfEvents } from '../testing/store-suite.ts';
import { notAllWords } from './not-all-words.ts';
import { shardTable, shardsOf } from './shards.ts';
import { createWordIndex } from './word-index.ts';
import { deleteOld } from '../testing/delete-old.ts';

/** FTS5 writes what a word does not share with the one before it: the digits behind the first are its own. */
const wordOf = (session: number, n: number): string => hash('sha256', `${session} ${n}`).slice(0, 24);
/** Rows that the index has with a word. */
const rowsWith = (db: DatabaseSync, word: string): readonly number[] =>
  shardsOf(db)
    .flatMap((first) =>
      db.prepare(`SELECT rowid AS id FROM ${shardTable(first)} WHERE ${shardTable(first)} MATCH ?`).all(word),
    )
    .map(({ id }) => Number(id));

test('a sweep comes to its end while sessions are indexed, page by page, and leaves no word of what was dropped', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-words-'));
  const path = join(folder, 'record.db');
  const store = openSqliteStore({ path, clock: fakeClock() });
  const db = new DatabaseSync(`${path}-words`);
  db.exec(`PRAGMA journal_mode = WAL; PRAGMA secure_delete = ON; ATTACH '${path}' AS record`);
  const words = createWordIndex(db, () => [], { pages: 4 });
  const chain = testChain();
  const add = (n: number, count: number): Promise<void> => {
    const ask = Array.from({ length: count }, (_, at) => wordOf(n, at)).join(' ');
    return store.append([blockOf(chain, [{ id: sessionId(n), ask }], testTime + n)]);
  };
  const many = 400;
  for (let n = 0; n < many; n++) {
    await add(n, 150);
    if (n % 80 === 79) words.step(testTime);
  }
  // One of many: FTS5 leaves its words where they are.
  expect(await deleteOld(store, { before: testTime + 1, of: { allBut: [] } }, testTime + 1, 9)).toBe(1);
  while (words.step(testTime));
  const left = (session: number): number => {
    db.exec('PRAGMA main.wal_checkpoint(TRUNCATE)');
    const bytes = readFileSync(`${path}-words`);
    return Array.from({ length: 150 }, (_, at) => wordOf(session, at).slice(6)).filter((word) => bytes.includes(word))
      .length;
  };
  expect(left(0)).toBeGreaterThan(140);
  let steps = 0;
  for (let n = many; words.sweep(); n++) {
    steps++;
    await add(n, 1);
    words.step(testTime);
  }
  expect(steps).toBeGreaterThan(20);
  expect(left(0)).toBe(0);
  expect(left(1)).toBeGreaterThan(140);
  expect(rowsWith(db, wordOf(0, 7))).toEqual([]);
  expect(rowsWith(db, wordOf(1, 7))).toHaveLength(1);
  expect(rowsWith(db, wordOf(many + 3, 0))).toHaveLength(1);
  db.close();
  await store.close();
  rmSync(folder, { recursive: true });
});

test('of what is deleted no step does more than a shard is large, and shards of which nothing is left go unread', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-shards-'));
  const path = join(folder, 'record.db');
  const store = openSqliteStore({ path, clock: fakeClock() });
  const db = new DatabaseSync(`${path}-words`);
  db.exec(`PRAGMA journal_mode = WAL; PRAGMA secure_delete = ON; ATTACH '${path}' AS record`);
  const rows = 50;
  const begin = () => createWordIndex(db, () => [], { rows, pages: 4 });
  const before = begin();
  const chain = testChain();
  // Rows of sessions count from 1; one of them is held.
  const [many, kept, held] = [600, 20, 120];
  for (let n = 1; n <= many; n++) {
    const ask = `common ${Array.from({ length: 20 }, (_, at) => wordOf(n, at)).join(' ')}`;
    await store.append([blockOf(chain, [{ id: sessionId(n), ask }], testTime + n)]);
    if (n % 90 === 0) before.step(testTime);
  }
  while (before.step(testTime));
  expect(shardsOf(db)).toEqual(Array.from({ length: 13 }, (_, at) => 600 - 50 * at));
  await store.placeHold({ at: testTime, who: 'ana', reason: 'r', terms: { session: sessionId(held) } });
  const old = { before: testTime + many - kept + 1, of: { allBut: [] } };
  expect(await deleteOld(store, old, testTime + many, many)).toBe(many - kept - 1);

  const words = begin();
  // A search waits for none of it: it finds nothing of what has no session.
  expect(words.read(testTime)).toBe(false);
  expect(rowsWith(db, 'common')).toHaveLength(many);
  const [prepare, exec] = [jest.spyOn(db, 'prepare'), jest.spyOn(db, 'exec')];
  const changes = db.prepare('SELECT total_changes() AS n');
  let most = 0;
  const measured = (step: () => boolean): boolean => {
    const from = Number(changes.get()?.['n']);
    const more = step();
    most = Math.max(most, Number(changes.get()?.['n']) - from);
    return more;
  };
  while (measured(() => words.step(testTime)));
  expect(shardsOf(db)).toEqual([600, 550, 100]);
  const left = (session: number): number => {
    db.exec('PRAGMA main.wal_checkpoint(TRUNCATE)');
    const bytes = readFileSync(`${path}-words`);
    return Array.from({ length: 20 }, (_, at) => wordOf(session, at).slice(6)).filter((word) => bytes.includes(word))
      .length;
  };
  expect(left(held + 1)).toBeGreaterThan(15);
  const bytes = statSync(`${path}-words`).size;
  while (measured(() => words.sweep()));
  // The begin of a merge, and some rows of the index for each session of a shard.
  expect(most).toBeLessThan(400 + 4 * rows);
  expect(statSync(`${path}-words`).size).toBeLessThanOrEqual(bytes);
  const statements = [...prepare.mock.calls, ...exec.mock.calls].map(([statement]) => statement);
  const reading = statements.filter((statement) => statement.includes('words_') && !statement.includes('DROP TABLE'));
  expect(reading.length).toBeGreaterThan(0);
  expect(reading.filter((statement) => !/words_(100|550|600)(?!\d)/.test(statement))).toEqual([]);
  for (const n of [1, 99, held - 1, held + 1, 149, 400, many - kept]) expect([n, left(n)]).toEqual([n, 0]);
  for (const n of [held, many - kept + 1, many]) expect(left(n)).toBeGreaterThan(15);
  expect(rowsWith(db, 'common').toSorted((a, b) => a - b)).toEqual([
    held,
    ...Array.from({ length: kept }, (_, at) => many - kept + 1 + at),
  ]);
  jest.restoreAllMocks();
  db.close();
  await store.close();
  rmSync(folder, { recursive: true });
});

test('a session whose row was a deleted one’s has nothing of its words, and the file neither once it is swept', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-rows-'));
  const path = join(folder, 'record.db');
  const store = openSqliteStore({ path, clock: fakeClock() });
  const db = new DatabaseSync(`${path}-words`);
  db.exec(`PRAGMA journal_mode = WAL; PRAGMA secure_delete = ON; ATTACH '${path}' AS record`);
  const chain = testChain();
  const words = createWordIndex(db, () =>
    testChain()
      .lines(sessionEvents({ id: sessionId(2), ask: wordOf(2, 0) }))
      .toString()
      .trimEnd()
      .split('\n'),
  );
  const add = (n: number): Promise<void> =>
    store.append([blockOf(chain, [{ id: sessionId(n), ask: wordOf(n, 0) }], testTime + n)]);
  await add(1);
  while (words.step(testTime));
  expect(await deleteOld(store, { before: testTime + 2, of: { allBut: [] } }, testTime + 2, 9)).toBe(1);
  await add(2);
  // It was swept while the new one's words were not there yet.
  const sweep = (): void => {
    while (words.sweep());
  };
  sweep();
  while (words.step(testTime));
  expect([rowsWith(db, wordOf(1, 0)), rowsWith(db, wordOf(2, 0))]).toEqual([[], [1]]);
  sweep();
  const bytes = readFileSync(`${path}-words`);
  expect([1, 2].map((n) => bytes.includes(wordOf(n, 0).slice(6)))).toEqual([false, true]);
  expect(words.sweep()).toBe(false);
  db.close();
  await store.close();
  rmSync(folder, { recursive: true });
});

test('a session of many lanes that hold back what they say is read no further than its words are taken', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-lanes-'));
  const path = join(folder, 'record.db');
  const store = openSqliteStore({ path, clock: fakeClock() });
  const chain = testChain();
  const session = sessionId(1);
  const start: AuditEvent | undefined = sessionEvents({ id: session })[0];
  const letters = 'abcdefghijklmnop'.repeat(250);
  const lanes = (from: number, to: number): AuditEvent[] =>
    Array.from({ length: to - from }, (_, at) => ({
      ...{ type: 'segment', session, direction: 'response', lane: `l${from + at}`, at: 1 },
      text: `${letters}${from + at}`,
    }));
  if (start === undefined) throw new Error('no start');
  await store.append([blockOfEvents(chain, [start])]);
  for (let n = 0; n < 1_000; n += 100) await store.append([blockOfEvents(chain, lanes(n, n + 100))]);
  let read = 0;
  const db = new DatabaseSync(`${path}-words`);
  db.exec(`PRAGMA journal_mode = WAL; ATTACH '${path}' AS record`);
  const [all] = [testChain().lines(lanes(0, 10_000)).toString().trimEnd().split('\n')];
  const words = createWordIndex(db, function* () {
    for (const line of all) {
      read++;
      yield line;
    }
  });
  words.step(testTime);
  words.flush();
  // It goes on: now it is read whole.
  await store.append([blockOfEvents(chain, lanes(1_000, 1_001))]);
  words.step(testTime);
  words.flush();
  expect(read).toBeGreaterThan(10);
  expect(read).toBeLessThan(300);
  // What was not read is told.
  expect(rowsWith(db, notAllWords)).toHaveLength(1);
  db.close();
  await store.close();
  rmSync(folder, { recursive: true });
});

import { expect, test } from '@jest/globals';
import { hash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fakeClock } from '../../../../test/support/fake-clock.ts';
import type { AuditEvent } from '../../../core/index.ts';
import { sessionEvents, sessionId, testChain, testTime } from '../../testing/chains.ts';
import { openSqliteStore } from '../sqlite.ts';
import { blockOf, blockOfEvents } from '../testing/store-suite.ts';
import { notAllWords } from './not-all-words.ts';
import { createWordIndex } from './word-index.ts';
import { deleteOld } from '../testing/delete-old.ts';

/** FTS5 writes what a word does not share with the one before it: the digits behind the first are its own. */
const wordOf = (session: number, n: number): string => hash('sha256', `${session} ${n}`).slice(0, 24);

test('a sweep comes to its end while sessions are indexed, page by page, and leaves no word of what was dropped', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-words-'));
  const path = join(folder, 'record.db');
  const store = openSqliteStore({ path, clock: fakeClock() });
  const db = new DatabaseSync(`${path}-words`);
  db.exec(`PRAGMA journal_mode = WAL; PRAGMA secure_delete = ON; ATTACH '${path}' AS record`);
  const words = createWordIndex(db, () => [], 4);
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
  const found = db.prepare('SELECT rowid FROM words WHERE words MATCH ?');
  expect(found.all(wordOf(0, 7))).toEqual([]);
  expect(found.all(wordOf(1, 7))).toHaveLength(1);
  expect(found.all(wordOf(many + 3, 0))).toHaveLength(1);
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
  expect(db.prepare('SELECT rowid FROM words WHERE words MATCH ?').all(notAllWords)).toHaveLength(1);
  db.close();
  await store.close();
  rmSync(folder, { recursive: true });
});

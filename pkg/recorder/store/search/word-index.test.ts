import { expect, test } from '@jest/globals';
import { hash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fakeClock } from '../../../../test/support/fake-clock.ts';
import { sessionId, testChain, testTime } from '../../testing/chains.ts';
import { openSqliteStore } from '../sqlite.ts';
import { blockOf } from '../testing/store-suite.ts';
import { createWordIndex } from './word-index.ts';

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
  expect(await store.deleteOld({ before: testTime + 1, of: { allBut: [] } }, testTime + 1, 9)).toBe(1);
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

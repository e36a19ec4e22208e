import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fakeClock } from '../../../../test/support/fake-clock.ts';
import { sessionId, testChain, testTime } from '../../testing/chains.ts';
import type { TestSession } from '../../testing/chains.ts';
import { createNames } from '../names.ts';
import type { SessionPage, SessionQuery } from '../port.ts';
import { openSqliteStore } from '../sqlite.ts';
import { blockOf } from '../testing/store-suite.ts';
import { createPageTime } from './page-time.ts';
import { createSearch } from './query.ts';

const count = 1_000;
let folder: string;
let db: DatabaseSync;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sidegate-query-'));
  const path = join(folder, 'record.db');
  const store = openSqliteStore({ path, clock: fakeClock() });
  const chain = testChain();
  const session = (n: number): TestSession => ({
    id: sessionId(n),
    user: `u${n % 2}`,
    groups: [`g${n % 2}`],
    rule: 'all/rule',
    ask: `common ${n % 2 === 0 ? 'even' : 'odd'}`,
    outcome: n === 3 ? 'refused' : 'completed',
  });
  for (let n = 0; n < count; n += 100)
    await store.append(
      Array.from({ length: 100 }, (_, at) => blockOf(chain, [session(n + at)], testTime + Math.floor((n + at) / 3))),
    );
  while (await store.index());
  await store.close();
  db = new DatabaseSync(path);
  db.exec(`ATTACH '${path}-words' AS other`);
});
afterAll(() => {
  db.close();
  rmSync(folder, { recursive: true });
});

/** All pages, each of which has no time for more than one window of 100. */
function pagesOf(query: Partial<SessionQuery>): { readonly found: readonly string[]; readonly pages: number } {
  const search = createSearch(db, createNames(db), { pageMs: 0, firstRows: 100 });
  const found: string[] = [];
  let pages = 0;
  for (let cursor: string | undefined; ;) {
    const page: SessionPage = search({ limit: 50, ...query, ...(cursor === undefined ? {} : { cursor }) });
    pages++;
    found.push(...page.sessions.map(({ session }) => session));
    ({ cursor } = page);
    if (cursor === undefined) return { found, pages };
  }
}
const every = (holds: (n: number) => boolean): string[] =>
  Array.from({ length: count }, (_, n) => count - 1 - n)
    .filter(holds)
    .map(sessionId);

describe('a page whose time is over', () => {
  test.each<[string, Partial<SessionQuery>, (n: number) => boolean, number]>([
    ['a status', { status: 403 }, (n) => n === 3, 10],
    ['a status that none has', { status: 500 }, () => false, 10],
    ['a duration, of a user', { user: 'u1', minDurationMs: 12 }, (n) => n % 2 === 1, 10],
    ['a status, of a user', { user: 'u1', status: 403 }, (n) => n === 3, 5],
    ['bytes, of a group', { group: 'g0', minBytes: 1e6 }, () => false, 5],
    ['bytes, from a time on', { since: testTime + 200, minBytes: 1e6 }, () => false, 4],
    ['a status, of a rule', { tags: ['rule:all/rule'], status: 403 }, (n) => n === 3, 10],
    ['a status, of a word', { text: 'odd', status: 403 }, (n) => n === 3, 10],
    ['two words that are never together', { text: 'odd even' }, () => false, 10],
  ])('is short, and the next goes on behind what was read: %s', (_, query, holds, atLeast) => {
    const { found, pages } = pagesOf(query);
    expect(found).toEqual(every(holds));
    expect(pages).toBeGreaterThanOrEqual(atLeast);
  });

  test('is read from the last session on, however far behind it a cursor says to begin', () => {
    for (const query of [{ text: 'odd' }, { tags: ['rule:all/rule'] }]) {
      const { found, pages } = pagesOf({ ...query, status: 403, cursor: '1.999999999999999' });
      expect([found, pages]).toEqual([every((n) => n === 3), 11]);
    }
  });

  test('is none where an index has all that is asked', () => {
    for (const query of [{}, { user: 'u1' }, { text: 'odd' }, { tags: ['rule:all/rule'] }, { since: testTime }])
      expect(
        createSearch(db, createNames(db), { pageMs: 0, firstRows: 1 })({ ...query, limit: 500 }).sessions,
      ).toHaveLength(500);
  });
});

test('windows grow while they are quick, shrink where they take long, and end with the page’s time', () => {
  let at = 0;
  const time = createPageTime({ pageMs: 500, firstRows: 1_000, now: () => at });
  const rows = [10, 10, 50, 200, 200, 100].map((took) => {
    const before = time.rows();
    at += took;
    return [before, time.read()];
  });
  expect(rows).toEqual([
    [1_000, true],
    [2_000, true],
    [4_000, true],
    [4_000, true],
    [2_000, true],
    [1_000, false],
  ]);
});

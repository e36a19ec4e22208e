import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
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
import { deleteOld } from '../testing/delete-old.ts';
import { blockOf } from '../testing/store-suite.ts';
import { migrate } from '../schema.ts';
import { cursorBefore } from './cursor.ts';
import { createPageTime } from './page-time.ts';
import { createSearch } from './query.ts';
import { createWordIndex } from './word-index.ts';

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
    groups: [`g${n % 2}`, ...(n % 10 < 2 ? ['both', `team${Math.floor(n / 10) % 20}`] : [])],
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

/** How the statements of a question are carried out, as SQLite tells: those that read sessions. */
function plansOf(query: Partial<SessionQuery>): readonly string[] {
  const prepare = jest.spyOn(db, 'prepare');
  try {
    createSearch(db, createNames(db), { pageMs: 0, firstRows: 100 })({ limit: 50, ...query });
    const statements = new Set(prepare.mock.calls.map(([statement]) => statement));
    return [...statements]
      .filter((statement) => /^SELECT s\.\*|^SELECT s\.at/.test(statement.trim()))
      .map((statement) =>
        db
          .prepare(`EXPLAIN QUERY PLAN ${statement}`)
          .all()
          .map((row) => String(row['detail']))
          .join('; '),
      );
  } finally {
    prepare.mockRestore();
  }
}

describe('sessions are read by an index, in its order', () => {
  const asked = {
    user: 'u1',
    pod: 'llama-0',
    namespace: 'ml',
    model: 'llama-3',
    operation: 'Chat',
    outcome: 'completed',
    tags: ['rule:all/rule'],
    label: 'rule',
    issuer: 'https://idp.test',
    chain: testChain().name,
    source: 'spiffe://cluster.local/ns/ml/sa/default/pod/uid-1',
    since: testTime,
    until: testTime + 1e6,
    status: 200,
    minDurationMs: 1,
    maxBytes: 1e6,
    open: true,
    text: 'common',
    group: 'g0',
  } as const satisfies Partial<SessionQuery>;
  const keys = Object.keys(asked) as (keyof typeof asked)[];

  test.each(keys)('of %s, alone and with each other condition', (key) => {
    for (const other of keys) {
      const plans = plansOf({ [key]: asked[key], [other]: asked[other] });
      expect([key, other, plans.length > 0]).toEqual([key, other, true]);
      for (const plan of plans) {
        expect([key, other, plan]).toEqual([key, other, expect.stringMatching(/\b(s|first|words) (USING|VIRTUAL)/)]);
        // Lists of groups are merged within a window (`IN`), which is bounded.
        if (!(key === 'group' || other === 'group')) expect(`${key} ${other}: ${plan}`).not.toContain('TEMP B-TREE');
      }
    }
  });

  test.each(keys)('of one session by its id, though it is also asked for its %s', (key) => {
    for (const plan of plansOf({ session: sessionId(1), [key]: asked[key] }))
      expect(plan).toMatch(/\bs USING INDEX session_request \(request=\?/);
    expect(plansOf({ session: sessionId(1), [key]: asked[key] })).toHaveLength(1);
  });

  test('of a block by its list of sessions, a page behind another, too', () => {
    for (const more of [{}, { cursor: '9.9' }])
      for (const plan of plansOf({ block: 1, ...more }))
        expect(plan).toContain('s USING INTEGER PRIMARY KEY (rowid=?)');
  });
});

test('of a group that many lists have, no more is sorted than a window: pages are short, whole and in order', () => {
  const inBoth = (n: number): boolean => n % 10 < 2;
  for (const [query, holds] of [
    [{ group: 'both' }, inBoth],
    [{ group: 'g0' }, (n: number) => n % 2 === 0],
    [{ group: 'both', since: testTime + 50, until: testTime + 300 }, (n: number) => inBoth(n) && n >= 150 && n < 900],
    [{ group: 'both', status: 403 }, () => false],
    [{ group: 'both', tags: ['rule:all/rule'], outcome: 'completed' }, inBoth],
  ] as const)
    expect([query, pagesOf(query).found]).toEqual([query, every(holds)]);
  const first = createSearch(db, createNames(db), { pageMs: 0, firstRows: 40 })({ group: 'both', limit: 1_000 });
  expect(first.sessions.length).toBeGreaterThan(0);
  expect(first.sessions.length).toBeLessThanOrEqual(80);
  expect(first.cursor).toBeDefined();
  for (const more of [{}, { status: 403 }])
    for (const plan of plansOf({ group: 'both', ...more }))
      if (plan.includes('TEMP B-TREE')) expect(plan).toContain('(groups=? AND at>?');
});

describe('a page whose time is over', () => {
  test.each<[string, Partial<SessionQuery>, (n: number) => boolean, number]>([
    ['a status', { status: 403 }, (n) => n === 3, 10],
    ['a status that none has', { status: 500 }, () => false, 10],
    ['a duration, of a user', { user: 'u1', minDurationMs: 12 }, (n) => n % 2 === 1, 10],
    ['a status, of a user', { user: 'u1', status: 403 }, (n) => n === 3, 5],
    ['a status, of a label', { label: 'rule', status: 403 }, (n) => n === 3, 10],
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
    for (const query of [
      { text: 'odd', cursor: '1.999999999999999' },
      { tags: ['rule:all/rule'], cursor: '1.999999999999999.t' },
    ]) {
      const { found, pages } = pagesOf({ ...query, status: 403 });
      expect([found, pages]).toEqual([every((n) => n === 3), 11]);
    }
  });

  test('is none where an index has all that is asked', () => {
    for (const query of [
      {},
      { user: 'u1' },
      { text: 'odd' },
      { tags: ['rule:all/rule'] },
      { label: 'rule' },
      { since: testTime },
    ])
      expect(
        createSearch(db, createNames(db), { pageMs: 0, firstRows: 1 })({ ...query, limit: 500 }).sessions,
      ).toHaveLength(500);
  });
});

describe('a search by text over several shards', () => {
  let own: DatabaseSync;
  let close: () => Promise<void>;
  beforeAll(async () => {
    const path = join(folder, 'shards.db');
    const store = openSqliteStore({ path, clock: fakeClock() });
    own = new DatabaseSync(`${path}-words`);
    own.exec(`ATTACH '${path}' AS record`);
    const words = createWordIndex(own, () => [], { rows: 7 });
    const chain = testChain();
    for (let n = 0; n < 100; n++) {
      const ask = `common ${n % 2 === 0 ? 'even' : 'odd'} ${n % 40 === 3 ? 'rare' : ''} ${n === 60 ? 'twice' : ''}`;
      // Their times go against the order in which they came.
      await store.append([blockOf(chain, [{ id: sessionId(n), user: `u${n % 3}`, ask }], testTime + 100 + n)]);
    }
    const again = testChain('again');
    const later = [
      { id: sessionId(3), ask: 'common again' },
      { id: sessionId(60), ask: 'twice' },
    ];
    await store.append([blockOf(again, later, testTime + 300)]);
    while (words.step(testTime));
    // One that is not there, between others.
    expect(await deleteOld(store, { before: testTime + 100 + 34, of: { allBut: [] } }, testTime + 300, 34)).toBe(34);
    while (words.step(testTime));
    close = () => store.close();
  });
  afterAll(async () => {
    own.close();
    await close();
  });
  const sessionsOf = (query: Partial<SessionQuery>, time = {}): readonly string[] => {
    const search = createSearch(own, createNames(own), time);
    const found: string[] = [];
    for (let cursor: string | undefined; ;) {
      const page: SessionPage = search({ limit: 4, ...query, ...(cursor === undefined ? {} : { cursor }) });
      found.push(...page.sessions.map(({ session }) => session));
      ({ cursor } = page);
      if (cursor === undefined) return found;
    }
  };
  const from34 = (holds: (n: number) => boolean): string[] =>
    Array.from({ length: 66 }, (_, at) => 99 - at)
      .filter(holds)
      .map(sessionId);

  test.each<[string, Partial<SessionQuery>, string[]]>([
    ['a word that all have', { text: 'common' }, [sessionId(3), ...from34(() => true)]],
    ['a word of every other', { text: 'odd' }, from34((n) => n % 2 === 1)],
    ['a word of two, one of which is deleted', { text: 'rare' }, from34((n) => n % 40 === 3)],
    ['a word of none', { text: 'none' }, []],
    ['two words', { text: 'rare odd' }, from34((n) => n % 40 === 3)],
    ['two words that are never together', { text: 'even odd' }, []],
    ['a word and a user', { text: 'even', user: 'u1' }, from34((n) => n % 2 === 0 && n % 3 === 1)],
    ['a word and a time', { text: 'even', since: testTime + 190 }, from34((n) => n % 2 === 0 && n >= 90)],
    ['a word of one session', { text: 'even', session: sessionId(50) }, [sessionId(50)]],
    ['a word that it has not', { text: 'odd', session: sessionId(50) }, []],
    [
      'a word of a session that is deleted in one chain and there in another',
      { text: 'again', session: sessionId(3) },
      [sessionId(3)],
    ],
  ])('finds all, newest first, in pages of whatever length: %s', (_, query, expected) => {
    expect(sessionsOf(query)).toEqual(expected);
    expect(sessionsOf(query, { pageMs: 0, firstRows: 5 })).toEqual(expected);
    expect(sessionsOf({ ...query, limit: 1 }, { pageMs: 0, firstRows: 100 })).toEqual(expected);
  });

  test('looks for a session in both of its chains', () => {
    const query = { session: sessionId(60), text: 'twice' };
    expect(sessionsOf({ ...query, limit: 1 })).toEqual([sessionId(60), sessionId(60)]);
    expect(createSearch(own, createNames(own))({ ...query, limit: 9 }).sessions.map(({ chain }) => chain)).toEqual([
      testChain('again').name,
      testChain().name,
    ]);
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

describe('while more sessions come than are counted', () => {
  /** Sessions of one namespace; a rule acted in the first of them. Their times go against the order in which they came. */
  const build = (tagged: number, others: number) => {
    const own = new DatabaseSync(':memory:');
    migrate(own);
    const names = createNames(own);
    const [ml, x, rule] = [names.number('ml'), names.number('x'), names.number('rule:x')];
    own
      .prepare("INSERT INTO chain (source, name, namespace, pod, sequence, hash) VALUES (?, 'c', ?, ?, 0, '')")
      .run(x, ml, x);
    const insert = own.prepare(
      'INSERT INTO session (chain, request, sequence, at, namespace, pod, peer, method, path, dialect, operation) VALUES (1, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?)',
    );
    const tag = own.prepare('INSERT INTO tag (tag, session) VALUES (?, ?)');
    let n = 0;
    const add = (count: number, has: boolean, at: (n: number) => number): void => {
      own.exec('BEGIN');
      for (let more = 0; more < count; more++) {
        const id = Buffer.from((++n).toString(16).padStart(32, '0'), 'hex');
        const { lastInsertRowid } = insert.run(id, at(n), ml, x, x, x, x, x, x);
        if (has) tag.run(rule, Number(lastInsertRowid));
      }
      own.exec('COMMIT');
    };
    add(tagged, true, (of) => testTime - of);
    add(others, false, (of) => testTime - of);
    return { add, search: createSearch(own, names, { pageMs: 0 }), close: () => own.close() };
  };

  test.each([
    ['by rule', 1_990, 1_000, 20],
    // Both are common.
    ['by namespace', 2_500, 100, 20],
  ])('pages go on %s as they began, with each session that was there once', (_, tagged, others, more) => {
    const { add, search, close } = build(tagged, others);
    const question: SessionQuery = { namespace: 'ml', tags: ['rule:x'], limit: 500 };
    let page = search(question);
    const found = page.sessions.map(({ session }) => session);
    add(more, true, (of) => testTime + of);
    while (page.cursor !== undefined) {
      page = search({ ...question, cursor: page.cursor });
      found.push(...page.sessions.map(({ session }) => session));
    }
    close();
    expect(found).toHaveLength(tagged);
    expect(new Set(found).size).toBe(tagged);
  });

  test('a cursor of a search by rule is none of another question', () => {
    const { search, close } = build(30, 100);
    const { cursor = '' } = search({ namespace: 'ml', tags: ['rule:x'], limit: 10 });
    expect(() => search({ namespace: 'ml', limit: 10, cursor })).toThrow('that is no cursor of a page before');
    expect(
      search({ namespace: 'ml', tags: ['rule:x'], limit: 10, cursor: cursorBefore(cursor) }).sessions,
    ).toHaveLength(10);
    close();
  });
});

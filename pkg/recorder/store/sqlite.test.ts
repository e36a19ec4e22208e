import { describe, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { hash } from 'node:crypto';
import { copyFileSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { promisify } from 'node:util';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import type { SessionQuery } from './port.ts';
import { openSqliteStore } from './sqlite.ts';
import { sessionEvents, sessionId, testChain, testTime } from '../testing/chains.ts';
import type { TestSession } from '../testing/chains.ts';
import type { Seal } from '../../record/index.ts';
import { clockSuite } from '../../../test/support/retention-clock-suite.ts';
import { blockOf, blockOfEvents, source, storeSuite } from './testing/store-suite.ts';
import { deleteOld } from './testing/delete-old.ts';

const place = () => {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-store-'));
  const path = join(folder, 'record.db');
  return {
    folder,
    path,
    open: () => openSqliteStore({ path, clock: fakeClock() }),
    openSealed: (seal: Seal) => openSqliteStore({ path, clock: fakeClock(), seal }),
    remove: async () => rmSync(folder, { recursive: true }),
  };
};

storeSuite('sqlite', place);
clockSuite('sqlite', place);

describe('the file of the store', () => {
  test('that is another program’s is refused, and not touched', async () => {
    const { path, open, remove } = place();
    const other = new DatabaseSync(path);
    other.exec('CREATE TABLE mine (x)');
    other.close();
    expect(open).toThrow(expect.objectContaining({ code: 'not_a_store' }));
    const again = new DatabaseSync(path);
    expect(
      again
        .prepare('SELECT name FROM sqlite_schema')
        .all()
        .map(({ name }) => name),
    ).toEqual(['mine']);
    again.close();
    await remove();
  });

  test.each([[':memory:'], ['']])('has to be one: %j is refused, and leaves none', (path) => {
    const before = readdirSync('.');
    expect(() => openSqliteStore({ path, clock: fakeClock() })).toThrow(
      expect.objectContaining({ code: 'not_a_store' }),
    );
    expect(readdirSync('.')).toEqual(before);
  });

  test('is opened by one at a time', async () => {
    const { open, remove } = place();
    const store = open();
    expect(open).toThrow(
      expect.objectContaining({
        code: 'in_use',
        message: 'another process has the store open: a recorder, or audit restore',
      }),
    );
    await store.close();
    await open().close();
    await remove();
  });

  test('that is no database is refused', async () => {
    const { path, open, remove } = place();
    writeFileSync(path, 'some text that is longer than the header of a database file: '.repeat(40));
    expect(open).toThrow(expect.objectContaining({ code: 'not_a_store' }));
    await remove();
  });

  test('of a newer version is refused', async () => {
    const { path, open, remove } = place();
    await open().close();
    const newer = new DatabaseSync(path);
    newer.exec('PRAGMA user_version = 999');
    newer.close();
    expect(open).toThrow(expect.objectContaining({ code: 'not_a_store' }));
    await remove();
  });
});

test('a search by text catches up with many small blocks at once', async () => {
  const { open, remove } = place();
  const store = open();
  const chain = testChain();
  await store.append(
    Array.from({ length: 1_001 }, (_, n) =>
      blockOf(chain, [{ id: sessionId(n), ask: n === 1_000 ? 'falcon' : 'other' }]),
    ),
  );
  let found = await store.search({ text: 'falcon', limit: 10 });
  // Each waits a second at most, in which a busy machine may not do all of it; a block a turn would take a thousand.
  for (let more = 0; found.unsearched !== undefined && more < 10; more++)
    found = await store.search({ text: 'falcon', limit: 10 });
  const { sessions, unsearched } = found;
  expect([sessions.map(({ session }) => session), unsearched]).toEqual([[sessionId(1_000)], undefined]);
  await store.close();
  await remove();
});

/** Of a sidecar that has no chain. */
const conflict = {
  type: 'conflict',
  at: testTime,
  source: 'spiffe://cluster.local/ns/finance/sa/default/pod/liar',
  chain: testChain('liar').name,
  sequence: 1,
  what: 'changed',
  evidence: 'a'.repeat(64),
} as const;

test.each([2, 4, 5])(
  'of an older recorder goes on, its words of version %i are made anew from lines, and labels are found by the names of rules',
  async (version) => {
    const { path, open, remove } = place();
    const before = open();
    const chain = testChain();
    const [begin, said, ends] = sessionEvents({ id: sessionId(1), ask: '東京都', answer: 'fal', rule: 'support/pii' });
    if (begin === undefined || said?.type !== 'segment' || ends === undefined) throw new Error('events');
    await before.append([blockOfEvents(chain, [begin, said, { ...said, text: 'con' }, ends])]);
    while (await before.index());
    await before.append([{ entry: conflict, evidence: new Uint8Array(700) }]);
    const held = await before.held();
    await before.close();
    const db = new DatabaseSync(path);
    db.exec(`
    ALTER TABLE chain DROP COLUMN bytes;
    ALTER TABLE chain DROP COLUMN knownEnded;
    DROP TABLE evidence_held;
    DELETE FROM tag WHERE tag = (SELECT id FROM name WHERE text = 'label:pii');
    DELETE FROM counter WHERE name = 'labelled';
    DROP INDEX entry_clock;
    DROP INDEX session_open;
    DROP TABLE archive_hold;
    ALTER TABLE hold DROP COLUMN archived;
    PRAGMA user_version = 10;
  `);
    db.close();
    rmSync(`${path}-words`);
    const words = new DatabaseSync(`${path}-words`);
    words.exec(`
      CREATE VIRTUAL TABLE words USING fts5 (
        text, content='', contentless_delete=1, detail=none, tokenize="unicode61 remove_diacritics 2"
      );
      CREATE TABLE state (block INTEGER NOT NULL, entry TEXT NOT NULL, dropped INTEGER NOT NULL, swept INTEGER NOT NULL) STRICT;
      INSERT INTO state VALUES (1, '', 0, 0);
      INSERT INTO words (rowid, text) VALUES (1, '東京都');
      PRAGMA user_version = ${version};
    `);
    words.close();
    const store = open();
    expect([...(await store.held())].sort()).toEqual([...held].sort());
    expect(held.get('finance')).toBe(700);
    expect(held.get('ml')).toBeGreaterThan(0);
    const find = async (query: Partial<SessionQuery>) =>
      (await store.search({ limit: 9, ...query })).sessions.map(({ session }) => session);
    expect(await find({ label: 'pii' })).toEqual([sessionId(1)]);
    await store.append([blockOf(chain, [{ id: sessionId(2), rule: 'other/pii' }], testTime + 1)]);
    expect(await find({ label: 'pii' })).toEqual([sessionId(2), sessionId(1)]);
    expect(await find({ label: 'ii' })).toEqual([]);
    expect(await find({ text: '京都 falcon' })).toEqual([sessionId(1)]);
    // When the last of them is gone, the index of tags has all.
    expect(await deleteOld(store, { before: testTime + 1, of: { allBut: [] } }, testTime + 9, 9)).toBe(1);
    expect(await find({ label: 'pii' })).toEqual([sessionId(2)]);
    await store.close();
    await remove();
  },
);

test('deletion by age goes on however many names of rules were recorded', async () => {
  const { path, open, remove } = place();
  const before = open();
  const chain = testChain();
  await before.append([
    blockOf(chain, [{ id: sessionId(1), rule: 'support/no-1' }], testTime),
    blockOf(chain, [{ id: sessionId(2) }, { id: sessionId(3), rule: 'other/1' }], testTime),
  ]);
  await before.close();
  const db = new DatabaseSync(path);
  db.exec(`WITH RECURSIVE n (x) AS (SELECT 2 UNION ALL SELECT x + 1 FROM n WHERE x < 33000)
    INSERT INTO name (text) SELECT 'rule:support/no-' || x FROM n`);
  db.close();
  const store = open();
  const rule = { before: testTime + 10, of: { allBut: [] } };
  const policies = Array.from({ length: 17_000 }, (_, at) => `none-${at}/`);
  expect(await deleteOld(store, { ...rule, exceptRules: [...policies, 'support/no-'] }, testTime + 20, 10)).toBe(1);
  expect(await deleteOld(store, rule, testTime + 20, 10)).toBe(1);
  await store.close();
  await remove();
});

describe('the room of what is deleted', () => {
  /** Bytes of the file's pages that hold something. */
  const usedBytes = (path: string): number => {
    const db = new DatabaseSync(path);
    const pragma = (name: string): number => Number(db.prepare(`PRAGMA ${name}`).get()?.[name]);
    const used = pragma('page_size') * (pragma('page_count') - pragma('freelist_count'));
    db.close();
    return used;
  };

  test('is for new lines: of a block stays what proves it', async () => {
    const { path, open, remove } = place();
    const blocks = 600;
    const store = open();
    await store.close();
    const empty = usedBytes(path);
    const filled = open();
    const chain = testChain();
    await filled.append(Array.from({ length: blocks }, (_, n) => blockOf(chain, [{ id: sessionId(n) }])));
    await filled.close();
    const before = (usedBytes(path) - empty) / blocks;
    const again = open();
    const rule = { before: testTime + 1, of: { allBut: [] } };
    expect(await deleteOld(again, rule, testTime + 2, blocks)).toBe(blocks);
    await again.close();
    const after = (usedBytes(path) - empty) / blocks;
    const db = new DatabaseSync(path);
    // Two entries of the log, that of the block and that of its deletion, with their nodes.
    const texts = Number(db.prepare('SELECT sum(length(text)) AS n FROM entry').get()?.['n']) / blocks;
    for (const table of ['block', 'part', 'session', 'tag'])
      expect([table, db.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.['n']]).toEqual([table, 0]);
    db.close();
    expect(after).toBeLessThan(texts * 1.2 + 4 * 60);
    expect(after).toBeLessThan(before / 2);
    await remove();
  });

  test.each([
    [6, 'ALTER TABLE session DROP COLUMN said'],
    [7, ''],
  ])('is given back by a store of version %i, which is otherwise what it was', async (version, undo) => {
    const { path, open, remove } = place();
    const chain = testChain();
    const before = open();
    await before.append([0, 1, 2].map((n) => blockOf(chain, [{ id: sessionId(n), ask: `word${n}`, rule: 'a/b' }])));
    await before.close();
    // What retention left of the first block.
    const old = new DatabaseSync(path);
    old.exec(`
      DELETE FROM counter WHERE name IN ('unswept', 'sweeps', 'retentionReached', 'labelled');
      DROP INDEX tag_session;
      DROP INDEX entry_clock;
      DROP INDEX session_open;
      DROP TABLE archive_hold;
      ALTER TABLE hold DROP COLUMN archived;
      ALTER TABLE chain DROP COLUMN newest;
      ALTER TABLE chain DROP COLUMN bytes;
      ALTER TABLE chain DROP COLUMN knownEnded;
      DROP TABLE evidence_held;
      DELETE FROM part WHERE block = 0;
      DELETE FROM tag WHERE session = (SELECT min(id) FROM session);
      DELETE FROM session WHERE id = (SELECT min(id) FROM session);
      UPDATE block SET data = NULL WHERE id = 0;
      UPDATE counter SET value = value - 1 WHERE name IN ('blocks', 'sessions');
      ${undo};
      PRAGMA user_version = ${version};
    `);
    old.close();
    const store = open();
    expect((await store.search({ limit: 9 })).sessions.map(({ session }) => session)).toEqual([
      sessionId(2),
      sessionId(1),
    ]);
    expect((await store.search({ limit: 9, text: 'word1' })).sessions).toHaveLength(1);
    expect(await store.position(source, chain.name)).toMatchObject(chain.point());
    expect(await store.lineHash(source, chain.name, 1)).toBeUndefined();
    expect(await store.blockLines(0)).toBeUndefined();
    const pods = (await store.archivable(0, { entries: 9, bytes: 1e9 })).map(({ pod, data }) => [
      pod?.name,
      data?.length,
    ]);
    expect(pods[0]).toEqual(['llama-0', undefined]);
    expect(pods.slice(1)).toEqual([
      ['llama-0', expect.any(Number)],
      ['llama-0', expect.any(Number)],
    ]);
    expect((await store.held()).get('ml')).toBeGreaterThan(0);
    expect(await deleteOld(store, { before: testTime + 1, of: { allBut: [] } }, testTime + 2, 9)).toBe(2);
    expect(await store.stats()).toMatchObject({ blocks: 0, sessions: 0 });
    expect((await store.held()).get('ml')).toBe(0);
    await store.close();
    const db = new DatabaseSync(path);
    expect(db.prepare('SELECT (SELECT count(*) FROM block) + (SELECT count(*) FROM tag) AS n').get()?.['n']).toBe(0);
    // A session that goes is looked for by an index.
    const plan = db.prepare('EXPLAIN QUERY PLAN DELETE FROM tag WHERE session = ?').all(1);
    expect(plan.map((row) => String(row['detail'])).join()).toContain('USING COVERING INDEX tag_session');
    db.close();
    await remove();
  });
});

describe('the thread that searches', () => {
  const held = () => {
    const { path, remove } = place();
    const thread = new URL('./testing/held-thread.ts', import.meta.url);
    return { store: openSqliteStore({ path, clock: fakeClock(), thread }), remove };
  };

  test('holds nothing up: what is taken in while a search goes on is on the disk before it answers', async () => {
    const { store, remove } = held();
    let answered = false;
    const search = store.search({ limit: 1 }).then(() => (answered = true));
    const chain = testChain();
    for (let n = 0; n < 20; n++) await store.append([blockOf(chain, [{ id: sessionId(n) }])]);
    expect(await store.position(source, chain.name)).toMatchObject(chain.point());
    expect(answered).toBe(false);
    await store.stats();
    await search;
    expect(answered).toBe(true);
    await store.close();
    await remove();
  });

  test('that ends fails what it was asked, and is begun again', async () => {
    const { store, remove } = held();
    const search = store.search({ limit: 1 });
    const refused = expect(search).rejects.toMatchObject({ code: 'unavailable' });
    await expect(store.blockLines(0)).rejects.toMatchObject({ code: 'unavailable' });
    await refused;
    expect(await store.stats()).toMatchObject({ unindexed: 0 });
    await store.close();
    await expect(store.search({ limit: 1 })).rejects.toMatchObject({ code: 'unavailable' });
    await remove();
  });
});

describe('the file of words', () => {
  const find = async (store: ReturnType<typeof openSqliteStore>, text: string): Promise<readonly string[]> =>
    (await store.search({ text, limit: 10 })).sessions.map(({ session }) => session);

  test.each<[string, (path: string) => void]>([
    ['that is gone', (path) => rmSync(path)],
    ['that is damaged', (path) => writeFileSync(path, 'some text that is no database '.repeat(400))],
    ['of another version', (path) => writeFileSync(path, '')],
  ])('%s is made again from the lines', async (_, spoil) => {
    const { path, open, remove } = place();
    const chain = testChain();
    const first = open();
    await first.append([blockOf(chain, [{ id: sessionId(1), ask: 'falcon' }])]);
    expect(await find(first, 'falcon')).toEqual([sessionId(1)]);
    await first.close();
    spoil(`${path}-words`);
    const again = open();
    await again.append([blockOf(chain, [{ id: sessionId(2), ask: 'falcon' }])]);
    expect(await find(again, 'falcon')).toEqual([sessionId(2), sessionId(1)]);
    await again.close();
    await remove();
  });

  test('is not believed where the store is an older copy', async () => {
    const { folder, path, open, remove } = place();
    const chain = testChain();
    const first = open();
    await first.append([blockOf(chain, [{ id: sessionId(1), ask: 'falcon' }])]);
    await first.close();
    copyFileSync(path, join(folder, 'copy'));
    const later = open();
    await later.append([blockOf(chain, [{ id: sessionId(2), ask: 'pigeon' }])]);
    expect(await find(later, 'pigeon')).toEqual([sessionId(2)]);
    await later.close();
    copyFileSync(join(folder, 'copy'), path);
    const again = open();
    const other = testChain('b');
    await again.append([blockOf(other, [{ id: sessionId(3), ask: 'swallow' }])]);
    expect(await find(again, 'pigeon')).toEqual([]);
    expect(await find(again, 'falcon')).toEqual([sessionId(1)]);
    expect(await find(again, 'swallow')).toEqual([sessionId(3)]);
    await again.close();
    await remove();
  });
});

describe('what was deleted', () => {
  const word = (n: number): string => hash('sha256', `word ${n}`).replaceAll(/[0-9]/g, 'x').slice(0, 40);
  const caller = (n: number): string => `${hash('sha256', `caller ${n}`).slice(0, 30)}@example.test`;
  const group = (n: number): string => `group-${hash('sha256', `group ${n}`).slice(0, 30)}`;
  /** FTS5 writes what a word does not share with the one before it. */
  const tail = (text: string): string => text.slice(6);
  const told = (path: string, texts: readonly string[]): string[] => {
    const files = readdirSync(dirname(path)).map((name) => readFileSync(join(dirname(path), name)));
    return texts.filter((text) => files.some((bytes) => bytes.includes(text)));
  };

  test('is in no file of the store any more once it is swept: no word, no caller, no group', async () => {
    const { path, open, remove } = place();
    const store = open();
    const chain = testChain();
    const many = 400;
    const session = (n: number): TestSession => ({
      id: sessionId(n),
      ask: `common ${word(n)}`,
      user: caller(n),
      groups: [group(n)],
      rule: `rules/${word(n)}`,
    });
    for (let n = 0; n < many; n++) {
      await store.append([blockOf(chain, [session(n)], testTime + n)]);
      if (n % 50 === 0) while (await store.index());
    }
    while (await store.index());
    // Some of many: FTS5 by itself leaves their words where they are.
    const gone = 10;
    const texts = (n: number): string[] => [tail(word(n)), caller(n), group(n)];
    const deleted = Array.from({ length: gone }, (_, n) => texts(n)).flat();
    expect(told(path, deleted)).toEqual(deleted);
    expect(await deleteOld(store, { before: testTime + gone, of: { allBut: [] } }, testTime + many, many)).toBe(gone);
    while (await store.index());
    for (let n = many, more = true; more; n++) {
      // What is indexed meanwhile does not end it early.
      await store.append([blockOf(chain, [session(n)], testTime + n)]);
      await store.index();
      more = await store.sweep();
    }
    expect(told(path, deleted)).toEqual([]);
    expect(told(path, texts(gone))).toEqual(texts(gone));
    const found = async (query: object): Promise<readonly string[]> =>
      (await store.search({ limit: 1_000, ...query })).sessions.map((one) => one.session);
    expect(await found({ text: word(0) })).toEqual([]);
    expect(await found({ text: word(gone) })).toEqual([sessionId(gone)]);
    expect(await found({ user: caller(gone), group: group(gone), tags: [`rule:rules/${word(gone)}`] })).toEqual([
      sessionId(gone),
    ]);
    expect(await found({ user: caller(many), text: word(many) })).toEqual([sessionId(many)]);
    await store.close();
    await remove();
  });

  test('is found by its name where that comes again, also by who has looked for it before', async () => {
    const { open, remove } = place();
    const store = open();
    const chain = testChain();
    const add = (n: number, user: string): Promise<void> =>
      store.append([blockOf(chain, [{ id: sessionId(n), user }], testTime + n)]);
    const find = async (user: string): Promise<readonly unknown[]> =>
      (await store.search({ user, limit: 9 })).sessions.map(({ session, subject }) => [session, subject]);
    await add(1, 'ana');
    await add(2, 'bob');
    expect(await find('ana')).toEqual([[sessionId(1), 'ana']]);
    expect(await deleteOld(store, { before: testTime + 2, of: { allBut: [] } }, testTime + 3, 9)).toBe(1);
    // Comes again while it is swept: it is not removed.
    await store.sweep();
    await add(3, 'bob');
    while (await store.sweep());
    expect(await find('ana')).toEqual([]);
    await add(4, 'eve');
    await add(5, 'ana');
    expect(await find('eve')).toEqual([[sessionId(4), 'eve']]);
    expect(await find('ana')).toEqual([[sessionId(5), 'ana']]);
    expect(await find('bob')).toEqual([
      [sessionId(3), 'bob'],
      [sessionId(2), 'bob'],
    ]);
    await store.close();
    await remove();
  });

  test('leaves the name of who comes back while names are swept', async () => {
    const { open, remove } = place();
    const store = open();
    const chain = testChain();
    await store.append([blockOf(chain, [{ id: sessionId(1), user: 'ana' }], testTime)]);
    expect(await deleteOld(store, { before: testTime + 2, of: { allBut: [] } }, testTime + 3, 9)).toBe(1);
    expect(await store.sweep()).toBe(true);
    await store.append([blockOf(chain, [{ id: sessionId(2), user: 'ana' }], testTime + 4)]);
    while (await store.sweep());
    expect((await store.search({ user: 'ana', limit: 9 })).sessions).toMatchObject([{ subject: 'ana' }]);
    await store.close();
    await remove();
  });
});

test('a volume that is full takes nothing in until something is deleted, which has room; then it goes on, and nothing is lost', async () => {
  const { folder, remove } = place();
  const program = new URL('./testing/full-volume.ts', import.meta.url).pathname;
  const mounted = 'mount -t tmpfs -o size=48m tmpfs "$0" && exec "$1" --no-warnings "$2" "$0"';
  const { stdout, stderr } = await promisify(execFile)('unshare', [
    ...['-Urm', 'sh', '-c', mounted, folder, process.execPath, program],
  ]);
  expect(stderr).toBe('');
  const said = JSON.parse(stdout) as Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  const full = 'the volume of the store is full';
  expect(said).toMatchObject({
    began: { full: false, reserve: 4 * 1024 * 1024 },
    grown: { refused: full, full: true, reserve: 4 * 1024 * 1024 },
    room: { full: false, refused: 'nothing' },
    again: { refused: full, rule: 'nothing' },
    drained: { refused: full, rule: 'nothing', released: true },
    resumed: { refused: 'nothing', full: false },
    end: { full: false },
    whole: true,
  });
  for (const step of ['room', 'end']) expect(said[step]?.['reserve']).toBeGreaterThan(1024 * 1024);
  for (const step of ['room', 'drained']) expect(said[step]?.['deleted']).toBeGreaterThan(20);
  expect(Number(said['again']?.['kept'])).toBeGreaterThan(Number(said['grown']?.['kept']) + 20);
  await remove();
});

test('a second process waits for the first, and is refused', async () => {
  const { open, remove } = place();
  const store = open();
  expect(open).toThrow(expect.objectContaining({ code: 'in_use' }));
  await store.close();
  await open().close();
  await remove();
});

import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';

import { Secret, systemClock } from '../../../base/index.ts';
import { fakeClock } from '../../../../test/support/fake-clock.ts';
import { startPostgres } from '../../../../test/support/postgres.ts';
import type { PostgresServer } from '../../../../test/support/postgres.ts';
import { fixedPorts } from '../../../../test/support/ports.ts';
import { until } from '../../../../test/support/wait.ts';
import { createAuthority, createAuthorityPair, createKeyRequest } from '../../../pki/index.ts';
import type { Authority } from '../../../pki/index.ts';
import { entryLeaf, inclusionProof, provesInclusion, treeRoot } from '../../../record/index.ts';
import { restoredEntry } from '../../archive/restored-entry.ts';
import { sessionEvents, sessionId, testChain, testTime } from '../../testing/chains.ts';
import type { RecordStore, SessionQuery, StoreUse } from '../port.ts';
import { StoreError } from '../store-error.ts';
import type { Seal } from '../../../record/index.ts';
import { clockSuite } from '../../../../test/support/retention-clock-suite.ts';
import { blockOf, blockOfEvents, source, storeSuite } from '../testing/store-suite.ts';
import { openDatabase } from './connection.ts';
import type { Database, Run } from './connection.ts';
import { createNames } from './names.ts';
import { openPostgresStore } from './postgres.ts';
import { createSearch } from './search.ts';
import { forgetWords, mergeSegments } from './segments.ts';
import { migrate } from './schema.ts';
import { createWordIndex } from './word-index.ts';
import { unpackWords, wordOf } from './word-page.ts';
import { deleteOld } from '../testing/delete-old.ts';

let server: PostgresServer;
let authority: Authority;
let port: number;
beforeAll(async () => {
  const state = { current: await createAuthorityPair(systemClock), since: systemClock.now() };
  authority = createAuthority({ state, clock: systemClock });
  const { key, csr } = createKeyRequest();
  const cert = await authority.sign({ purpose: 'server', csr, dnsNames: ['localhost'] });
  [port = 0] = await fixedPorts(1);
  server = await startPostgres({ tls: { port, cert, key } });
});
afterAll(() => server?.stop());

const place = () => {
  const schema = server.schema();
  return {
    schema,
    open: (stallMs = 5_000) => openPostgresStore({ dsn: server.dsn, schema, clock: fakeClock(), stallMs }),
    openSealed: (seal: Seal) => openPostgresStore({ dsn: server.dsn, schema, clock: fakeClock(), seal }),
    async remove() {
      await server.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
    },
  };
};

storeSuite('postgres', place);

describe('two recorders', () => {
  let where: ReturnType<typeof place>;
  let stores: readonly [RecordStore, RecordStore];
  beforeEach(async () => {
    where = place();
    // Both make the tables at once.
    stores = await Promise.all([where.open(), where.open()]);
  });
  afterEach(async () => {
    await Promise.all(stores.map((store) => store.close()));
    await where.remove();
  });
  const proveAll = async (store: RecordStore): Promise<readonly string[]> => {
    const read = (level: number, index: number): Promise<Uint8Array> => store.node(level, index);
    const { size, root } = await store.log();
    expect(await treeRoot(size, read)).toEqual(root);
    const entries = await store.entries(0, 1_000);
    expect(entries.map(({ index }) => index)).toEqual(Array.from({ length: size }, (_, at) => at));
    for (const { index, text } of entries)
      expect(provesInclusion(entryLeaf(text), index, size, await inclusionProof(index, size, read), root)).toBe(true);
    return entries.map(({ text }) => text);
  };

  test('write one log, in turns: each entry once, under one root, whoever proves it', async () => {
    const chains = [testChain('a'), testChain('b')] as const;
    await Promise.all(
      stores.map(async (store, at) => {
        const chain = chains[at] ?? chains[0];
        for (let n = 0; n < 12; n++)
          await store.append([
            blockOf(chain, [{ id: sessionId(`${at} ${n}`), user: `u${n}` }], testTime + n, `s${at}`),
          ]);
      }),
    );
    for (const store of stores) {
      expect(await proveAll(store)).toHaveLength(24);
      expect(await store.search({ limit: 100, user: 'u3' })).toMatchObject({ sessions: [{}, {}] });
      for (const [at, chain] of chains.entries())
        expect(await store.position(`s${at}`, chain.name)).toMatchObject(chain.point());
    }
  });

  test('sweep names: those of deleted sessions are gone, those that the other gives out meanwhile stay, and what comes again is found', async () => {
    const [one, other] = stores;
    const [chain, second] = [testChain('a'), testChain('b')];
    const users = ['ana', 'bob', 'eve'];
    for (const [n, user] of users.entries())
      await one.append([blockOf(chain, [{ id: sessionId(n), user, groups: [`of-${user}`] }], testTime + n)]);
    // Who has both names in memory, to write and to find.
    const add = (n: number, user: string) =>
      other.append([blockOf(second, [{ id: sessionId(n), user }], testTime + n, 's2')]);
    await add(3, 'ana');
    await add(4, 'bob');
    const find = async (store: RecordStore, user: string) =>
      (await store.search({ limit: 9, user })).sessions.map(({ session }) => session);
    for (const user of users) for (const store of stores) expect(await find(store, user)).not.toEqual([]);
    expect(await deleteOld(one, { before: testTime + 5, of: { allBut: [] } }, testTime + 9, 9)).toBe(5);
    expect(await one.sweep()).toBe(true);
    await add(5, 'bob');
    while (await one.sweep());
    const names = (await server.query(`SELECT text FROM ${where.schema}.name`)).map((row) => row['text']);
    for (const gone of ['ana', 'eve', 'group:of-ana', 'group:of-eve']) expect(names).not.toContain(gone);
    for (const left of ['bob', 'group:ml', source, 's2', 'llama-3']) expect(names).toContain(left);
    for (const store of stores) expect(await find(store, 'ana')).toEqual([]);
    await add(6, 'ana');
    for (const store of stores) {
      expect(await find(store, 'ana')).toEqual([sessionId(6)]);
      expect(await find(store, 'bob')).toEqual([sessionId(5)]);
    }
    expect(await one.sweep()).toBe(false);
    expect(await server.query(`SELECT * FROM ${where.schema}.name_used`)).toEqual([]);
  });

  test('that sweep names at once remove none that is in use: one of them gives up', async () => {
    const [one, other] = stores;
    const chain = testChain();
    for (const [n, user] of ['ana', 'bob'].entries())
      await one.append([blockOf(chain, [{ id: sessionId(n), user }], testTime + n)]);
    expect(await deleteOld(one, { before: testTime + 5, of: { allBut: [] } }, testTime + 9, 9)).toBe(2);
    expect(await one.sweep()).toBe(true);
    expect(await other.sweep()).toBe(true);
    // Noted for the sweep of the other.
    await one.append([blockOf(chain, [{ id: sessionId(3), user: 'ana' }], testTime + 3)]);
    while (await one.sweep());
    while (await other.sweep());
    const names = (await server.query(`SELECT text FROM ${where.schema}.name`)).map((row) => row['text']);
    expect(names).toContain('ana');
    expect(names).not.toContain('bob');
  });

  test('that both were sent the same lines keep them once; the other says that the chain has moved', async () => {
    const [one, other] = stores;
    const chain = testChain();
    const [first, second] = [1, 2].map((n) => blockOf(chain, [{ id: sessionId(n) }]));
    if (first === undefined || second === undefined) throw new Error('two blocks');
    for (const block of [first, second]) {
      const results = await Promise.allSettled([one.append([block]), other.append([block])]);
      expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
      expect(results.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'moved' } });
    }
    expect(await other.position(source, chain.name)).toMatchObject(chain.point());
    expect(await proveAll(one)).toHaveLength(2);
  });

  test('sign one row of heads: of what both have written, none twice, and nothing later is dated before', async () => {
    const [one, other] = stores;
    const chain = testChain();
    const sign = (store: RecordStore, at: number) =>
      store.addHead((log) => ({
        size: log.size,
        root: Buffer.from(log.root).toString('hex'),
        at,
        text: `${log.size}`,
      }));
    await one.append([blockOf(chain, [{ id: sessionId(1) }])]);
    await other.append([blockOf(chain, [{ id: sessionId(2) }])]);
    const signed = await Promise.all([sign(one, testTime + 50), sign(other, testTime + 50)]);
    expect(signed.filter((head) => head !== undefined)).toMatchObject([{ size: 2 }]);
    await other.append([blockOf(chain, [{ id: sessionId(3) }])]);
    const [, , last] = await one.entries(0, 3);
    expect(last?.text).toContain(`"at":${testTime + 50},`);
  });

  test('do not wait for one that has stalled in its turn: the server ends that, and nothing of it is there', async () => {
    const [, other] = stores;
    const one = await where.open(500);
    const chain = testChain();
    await other.append([blockOf(chain, [{ id: sessionId(1) }])]);
    // As when its process is stopped, for far longer than the server needs to see it.
    const stalled = one.addHead(() => {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3_000);
      return { size: 1, root: 'stalled', at: testTime, text: 'stalled' };
    });
    await expect(stalled).rejects.toMatchObject({ code: 'unavailable' });
    await other.append([blockOf(chain, [{ id: sessionId(2) }])]);
    expect(await other.heads(0, 10)).toEqual([]);
    // It has its turn again.
    await one.append([blockOf(chain, [{ id: sessionId(3) }])]);
    expect(await proveAll(other)).toHaveLength(3);
    await one.close();
  });

  test('say once what never came of a pod, and not while the other takes in its lines', async () => {
    const [one, other] = stores;
    const chain = testChain();
    await one.append([blockOf(chain, [{ id: sessionId(1) }], testTime + 30_000)]);
    await one.learn({ heads: [], gone: [{ source, at: testTime }] }, testTime);
    // Told long ago; a line came just now.
    expect(await other.departed(testTime + 20_000, 10)).toEqual([]);
    const [departed] = await other.departed(testTime + 40_000, 10);
    if (departed === undefined) throw new Error('departed');
    const entry = {
      type: 'vanished',
      at: testTime,
      source,
      chain: chain.name,
      stored: 3,
      known: 3,
      hash: departed.stored.hash,
      ended: false,
      gone: testTime,
    } as const;
    await Promise.all(stores.map((store) => store.settle(departed, [{ entry }])));
    expect((await one.log()).size).toBe(2);
  });

  test('index words one at a time, and both find all', async () => {
    const [one, other] = stores;
    const chain = testChain();
    for (let n = 0; n < 10; n++)
      await stores[n % 2 === 0 ? 0 : 1].append([blockOf(chain, [{ id: sessionId(n), ask: `falcon ${n}` }])]);
    await Promise.all([one.index(), other.index(), one.index(), other.index()]);
    for (const store of stores) expect((await store.search({ text: 'falcon', limit: 100 })).sessions).toHaveLength(10);
  });
});

describe('words', () => {
  let where: ReturnType<typeof place>;
  let store: RecordStore;
  let database: Database;
  const steps = 40;
  const sessionsAStep = 3;
  const count = steps * sessionsAStep;
  const chain = testChain();
  const rows = async (table: string, what = 'count(*)'): Promise<number> =>
    Number((await server.query(`SELECT ${what} AS n FROM ${where.schema}.${table}`))[0]?.['n']);
  /** All pages, in their order. */
  const found = async (text: string, more: Partial<SessionQuery> = {}): Promise<string[]> => {
    const ids: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await store.search({ text, limit: 50, ...more, ...(cursor === undefined ? {} : { cursor }) });
      ids.push(...page.sessions.map(({ session }) => session));
      ({ cursor } = page);
    } while (cursor !== undefined);
    return ids;
  };
  const textOf = (n: number): string => `common of${n % 7} only${n} größe${n % 3} москва${n % 2}`;
  const newest = Array.from({ length: count }, (_, n) => sessionId(count - 1 - n));
  const findsAll = async (): Promise<void> => {
    expect(await found('common')).toEqual(newest);
    expect(await found('Common GRÖSSE0'.replace('SS', 'ß'), { user: 'u1' })).toEqual(
      newest.filter((_, at) => (count - 1 - at) % 2 === 1 && (count - 1 - at) % 3 === 0),
    );
    for (const n of [0, 17, count - 1]) {
      expect(await found(`only${n}`)).toEqual([sessionId(n)]);
      expect(await found(`only${n} of${n % 7} only${n} москва${n % 2} common`)).toEqual([sessionId(n)]);
      expect(await found(`only${n} of${(n + 1) % 7}`)).toEqual([]);
    }
    expect(await found('nowhere')).toEqual([]);
  };
  const indexAll = () => until(async () => !(await store.index()), 'the index of all words');
  beforeAll(async () => {
    where = place();
    store = await where.open();
    database = openDatabase({ dsn: server.dsn, schema: where.schema, stallMs: 5_000 });
    const index = createWordIndex(database);
    for (let at = 0; at < steps; at++) {
      const sessions = Array.from({ length: sessionsAStep }, (_, n) => at * sessionsAStep + n);
      await store.append([
        blockOf(
          chain,
          sessions.map((n) => ({ id: sessionId(n), user: `u${n % 2}`, ask: textOf(n), answer: '' })),
        ),
      ]);
      // As a search does it, which leaves what is not urgent.
      await index.step(testTime, true);
    }
  });
  afterAll(async () => {
    await store?.close();
    await database?.close();
    await where?.remove();
  });

  test('stand in a segment for each step; of sixteen that are alike one is made, and what is found stays the same', async () => {
    expect(await rows('segment')).toBe(steps);
    await findsAll();
    const pairs = await rows('segment', 'sum(pairs)');
    expect(await database.transaction((run) => mergeSegments(run, 1e6))).toBe(true);
    expect(await rows('segment')).toBe(steps - 15);
    expect(await rows('segment', 'max(pairs)')).toBe((pairs * 16) / steps);
    await findsAll();
    await indexAll();
    expect(await rows('segment')).toBe(steps - 30);
    expect(await rows('segment', 'sum(pairs)')).toBe(pairs);
    expect(await rows(`posting p LEFT JOIN ${where.schema}.segment g ON g.id = p.segment WHERE g.id IS NULL`)).toBe(0);
    await findsAll();
  });

  test('that come late are found beside those that were there, and with them', async () => {
    const [, answer] = sessionEvents({ id: sessionId(3), answer: 'falcon' });
    if (answer === undefined) throw new Error('an answer');
    await store.append([blockOfEvents(chain, [answer])]);
    expect(await found('falcon')).toEqual([sessionId(3)]);
    expect(await found('falcon only3')).toEqual([sessionId(3)]);
  });

  test('are moved in smaller pieces where the server ends what takes too long, and in larger ones after that', async () => {
    const merges: number[] = [];
    let fails = 2;
    const slow: Database = {
      ...database,
      transaction: (work) =>
        database.transaction((run) =>
          work(async (text, values) => {
            if (text.startsWith('DELETE FROM posting WHERE segment')) {
              merges.push((values?.[0] as readonly number[]).length);
              if (fails-- > 0) throw new StoreError('unavailable', 'it took too long');
            }
            return run(text, values);
          }),
        ),
    };
    for (let n = 0; n < 16; n++) {
      await store.append([blockOf(chain, [{ id: sessionId(`late ${n}`), ask: 'late', answer: '' }])]);
      await createWordIndex(database).step(testTime, true);
    }
    // The oldest are eight of 15 pairs; half as many pairs are four of them, and half of that two.
    const index = createWordIndex(slow, { mostPairs: 140 });
    const step = () => index.step(testTime, false).catch(() => 'failed');
    expect([await step(), await step(), await step()]).toEqual(['failed', 'failed', 'more']);
    expect(merges).toEqual([16, 4, 2]);
    expect(await found('late')).toHaveLength(16);
  });

  test('go an hour after their session, page by page, and at once where no session of a segment is left', async () => {
    const rule = { before: testTime + 1, of: { allBut: [] } };
    const before = await rows('segment', 'sum(pairs)');
    // Sessions of the first block, but for that which went on.
    expect(await deleteOld(store, rule, testTime + 3e9, 10)).toBe(10);
    const left = await rows('session');
    expect(await found('only17')).toEqual([]);
    await indexAll();
    const forgotten = await rows('forgotten');
    expect(forgotten).toBeGreaterThan(20);
    expect(await rows('segment', 'sum(pairs)')).toBe(before);
    await server.query(`UPDATE ${where.schema}.forgotten SET at = at - interval '1 hour'`);
    const affected = await rows(
      `posting p JOIN ${where.schema}.segment g ON g.id = p.segment WHERE EXISTS
         (SELECT 1 FROM ${where.schema}.forgotten f WHERE f.session BETWEEN g.low AND g.high)`,
    );
    expect(affected).toBeGreaterThan(0);
    // One page at a time: as many steps as there are pages, and one that finds that they are done.
    let taken = 0;
    while (await database.transaction((run) => forgetWords(run, 1))) taken++;
    expect(taken).toBe(affected + 1);
    expect(await rows('forgotten')).toBe(0);
    const words = await database.transaction(async (run) => {
      const pages = await run('SELECT low, first, data FROM posting p JOIN segment g ON g.id = p.segment');
      // Which stands beside it, and is a word as well.
      for (const { first, data } of pages)
        expect(wordOf(String(first))).toBe([...unpackWords(data as Uint8Array)][0]?.[0]);
      return pages.flatMap((page) =>
        [...unpackWords(page['data'] as Uint8Array)].flatMap(([word, numbers]) =>
          numbers.map((number) => ({ word, session: Number(page['low']) + number })),
        ),
      );
    });
    const alive = new Set((await database.read('SELECT id FROM session')).map((row) => Number(row['id'])));
    expect(words.filter(({ session }) => !alive.has(session))).toEqual([]);
    expect(alive.size).toBe(left);
    expect(await found(`only${count - 1}`)).toEqual([sessionId(count - 1)]);
    while ((await deleteOld(store, rule, testTime + 3e9, 100)) > 0);
    await indexAll();
    expect(await rows('session')).toBe(0);
    expect([await rows('posting'), await rows('segment'), await rows('forgotten')]).toEqual([0, 0, 0]);
  });

  test('stand nowhere when they have gone, nor as the first of what stands with them', async () => {
    await indexAll();
    const at = testTime + 4e9;
    const other = testChain('forgotten');
    const add = (n: number, ask: string) =>
      store.append([
        blockOf(other, [{ id: sessionId(`forgotten ${n}`), ask, answer: '' }], at + n, 'spiffe://forgotten'),
      ]);
    await add(1, 'aaaardvark');
    await add(2, 'aabbot');
    await indexAll();
    const firsts = async () =>
      (await server.query(`SELECT first FROM ${where.schema}.posting`)).map((row) => row['first']);
    expect(await firsts()).toContain('aaaardvark');
    while ((await deleteOld(store, { before: at + 2, of: { allBut: [] } }, at + 9, 100)) > 0);
    await server.query(`UPDATE ${where.schema}.forgotten SET at = at - interval '1 hour'`);
    await indexAll();
    expect(await firsts()).not.toContain('aaaardvark');
    expect(await found('aabbot')).toEqual([sessionId('forgotten 2')]);
  });
});

describe('a page whose time is over', () => {
  test('is short, and the next goes on behind what was read, by fields and by words', async () => {
    const where = place();
    const store = await where.open();
    const database = openDatabase({ dsn: server.dsn, schema: where.schema, stallMs: 5_000 });
    const chain = testChain();
    const count = 300;
    await store.append(
      Array.from({ length: count }, (_, n) =>
        blockOf(
          chain,
          [{ id: sessionId(n), user: `u${n % 2}`, ask: 'common', outcome: n === 3 ? 'refused' : 'completed' }],
          testTime + Math.floor(n / 3),
        ),
      ),
    );
    while (await store.index());
    // A server that has no time for what it is asked as a whole.
    let whole = 0;
    const slow: Run = (text, values, options) => {
      if (options?.ms === undefined) return database.read(text, values, options);
      whole++;
      return database.read('SELECT pg_sleep(5)', [], { ms: 20 });
    };
    const pagesOf = async (query: Partial<SessionQuery>) => {
      const search = createSearch(slow, createNames(), { pageMs: 0, firstRows: 50 });
      const found: string[] = [];
      let pages = 0;
      for (let cursor: string | undefined; ;) {
        const page = await search({ limit: 40, ...query, ...(cursor === undefined ? {} : { cursor }) });
        pages++;
        found.push(...page.sessions.map(({ session }) => session));
        ({ cursor } = page);
        if (cursor === undefined) return { found, pages };
      }
    };
    const every = (holds: (n: number) => boolean) =>
      Array.from({ length: count }, (_, n) => count - 1 - n)
        .filter(holds)
        .map(sessionId);
    expect(await pagesOf({ status: 403 })).toEqual({ found: every((n) => n === 3), pages: 7 });
    expect(await pagesOf({ status: 500, since: testTime + 50 })).toEqual({ found: [], pages: 4 });
    expect((await pagesOf({ user: 'u1', minBytes: 1 })).found).toEqual(every((n) => n % 2 === 1));
    const before = whole;
    // What an index has all of is not asked in haste.
    expect((await pagesOf({ user: 'u1' })).found).toEqual(every((n) => n % 2 === 1));
    expect(whole).toBe(before);
    expect((await pagesOf({ text: 'common', status: 403 })).found).toEqual(every((n) => n === 3));
    await database.close();
    await store.close();
    await where.remove();
  });
});

describe('the database', () => {
  test('that was restarted is used again: what was not acknowledged can be sent again', async () => {
    const { open, remove } = place();
    const store = await open();
    const chain = testChain();
    await store.append([blockOf(chain, [{ id: sessionId(1) }])]);
    const next = blockOf(chain, [{ id: sessionId(2) }]);
    // It need not recover what all tests before this have written: minutes on a slow disk.
    await server.query('CHECKPOINT');
    await server.kill();
    await expect(store.append([next])).rejects.toMatchObject({ code: 'unavailable' });
    await expect(store.position(source, chain.name)).rejects.toMatchObject({ code: 'unavailable' });
    await server.start();
    await until(() => store.append([next]).then(() => true), 'a block is taken again');
    expect(await store.position(source, chain.name)).toMatchObject(chain.point());
    await store.close();
    await remove();
  });

  test('of an older version goes on: its words are made anew from its lines', async () => {
    const { schema, open, remove } = place();
    const before = await open();
    const chain = testChain();
    await before.append([blockOf(chain, [{ id: sessionId(1), ask: 'falcon 東京都', rule: 'support/pii' }])]);
    expect((await before.search({ text: 'falcon', limit: 1 })).sessions).toHaveLength(1);
    const liar = 'spiffe://cluster.local/ns/finance/sa/default/pod/liar';
    const conflict = { type: 'conflict', at: testTime, source: liar, chain: testChain('liar').name } as const;
    const entry = { ...conflict, sequence: 1, what: 'changed', evidence: 'a'.repeat(64) } as const;
    await before.append([{ entry, evidence: new Uint8Array(700) }]);
    const held = await before.held();
    await before.close();
    await server.query(`
      SET search_path = ${schema};
      DROP TABLE evidence_held, archive_hold;
      ALTER TABLE hold DROP COLUMN archived;
      ALTER TABLE chain DROP COLUMN bytes, DROP COLUMN known_ended;
      DROP TABLE posting, segment, forgotten, stream, ship, ship_dead, name_used, retention;
      DROP SEQUENCE name_sweep;
      ALTER TABLE log DROP COLUMN unswept, DROP COLUMN names_sweep, DROP COLUMN names_removed, DROP COLUMN restoring, DROP COLUMN restoring_until;
      DROP INDEX entry_retention, entry_clock, session_open, session_tags, session_groups;
      ALTER TABLE session DROP COLUMN said;
      ALTER TABLE chain DROP COLUMN newest;
      CREATE TABLE tag (tag integer NOT NULL, session bigint NOT NULL, PRIMARY KEY (tag, session));
      CREATE TABLE words (session bigint PRIMARY KEY, words tsvector NOT NULL) PARTITION BY RANGE (session);
      CREATE INDEX words_words ON words USING gin (words);
      CREATE TABLE words_0 PARTITION OF words FOR VALUES FROM (0) TO (65536);
      INSERT INTO words VALUES (1, 'falcon');
      ALTER TABLE log RENAME COLUMN sealed_root TO root;
      ALTER TABLE log DROP COLUMN labelled;
      UPDATE session SET tags = array_remove(tags, (SELECT id FROM name WHERE text = 'label:pii'));
      ALTER TABLE words_read RENAME TO indexed;
      UPDATE store SET version = 2;
    `);
    const store = await open();
    expect([...(await store.held())].sort()).toEqual([...held].sort());
    expect(held.get('finance')).toBe(700);
    expect((await store.search({ text: 'falcon', limit: 1 })).sessions).toHaveLength(1);
    await store.append([blockOf(chain, [{ id: sessionId(2), ask: 'falcon', rule: 'other/pii' }])]);
    expect((await store.search({ text: 'falcon', limit: 9 })).sessions).toHaveLength(2);
    expect((await store.search({ text: '京都', limit: 9 })).sessions).toHaveLength(1);
    // Of sessions from before there are no tags of labels.
    const labelled = async (label: string) =>
      (await store.search({ label, limit: 9 })).sessions.map(({ session, end }) => [session, end?.tags]);
    expect(await labelled('pii')).toEqual([
      [sessionId(2), ['rule:other/pii', 'act:allowed']],
      [sessionId(1), ['rule:support/pii', 'act:allowed']],
    ]);
    expect(await labelled('ii')).toEqual([]);
    expect(await store.shipping.take('r', '00000000-0000-4000-8000-000000000000', 1)).toEqual({ entry: 0, events: 0 });
    await store.close();
    await remove();
  });

  test('whose words ended where a piece of a text does is indexed anew', async () => {
    const { schema, open, remove } = place();
    const before = await open();
    const [begin, said, end] = sessionEvents({ id: sessionId(1), answer: 'fal' });
    if (begin === undefined || said?.type !== 'segment' || end === undefined) throw new Error('events');
    await before.append([blockOfEvents(testChain(), [begin, said, { ...said, text: 'con' }, end])]);
    while (await before.index());
    await before.close();
    await server.query(
      `TRUNCATE ${schema}.segment, ${schema}.posting; DROP TABLE ${schema}.evidence_held, ${schema}.archive_hold;
        ALTER TABLE ${schema}.hold DROP COLUMN archived;
        ALTER TABLE ${schema}.chain DROP COLUMN bytes, DROP COLUMN known_ended;
        ALTER TABLE ${schema}.log DROP COLUMN restoring, DROP COLUMN restoring_until; UPDATE ${schema}.store SET version = 14`,
    );
    const store = await open();
    expect((await store.search({ text: 'falcon', limit: 9 })).sessions).toHaveLength(1);
    await store.close();
    await remove();
  });

  test('that a newer recorder has brought to its version takes nothing from an older one, however old', async () => {
    const { schema, open, remove } = place();
    const store = await open();
    const chain = testChain();
    await store.append([blockOf(chain, [{ id: sessionId(1) }])]);
    // What a recorder does in its turn that does not seal all entries: it reads the root, and writes it.
    const old = async (): Promise<string> => {
      const [row] = await server.query(`SELECT * FROM ${schema}.log FOR UPDATE`);
      expect(row).not.toHaveProperty('root');
      return server
        .query(`UPDATE ${schema}.log SET size = size + 1, root = '', at = 0, next_session = 2, blocks = blocks + 1`)
        .then(
          () => 'written',
          (error: { code: string }) => error.code,
        );
    };
    expect(await old()).toBe('42703');
    // A later one, in the turn in which its successor comes.
    await server.query(`UPDATE ${schema}.store SET version = version + 1`);
    const before = await store.entries(0, 9);
    await expect(store.append([blockOf(chain, [{ id: sessionId(2) }])])).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('a newer version of the recorder'),
    });
    await expect(
      store.addHead(({ size, root, at }) => ({ size, at, root: Buffer.from(root).toString('hex'), text: 'head' })),
    ).rejects.toMatchObject({ code: 'unavailable' });
    expect(await store.entries(0, 9)).toEqual(before);
    expect((await store.search({ limit: 9 })).sessions).toHaveLength(1);
    await server.query(`UPDATE ${schema}.store SET version = version - 1`);
    await store.append([]);
    await store.close();
    await remove();
  });

  describe('for its recorders, and for one restoration of an archive', () => {
    const claims = () => {
      const { schema, remove } = place();
      const clock = fakeClock();
      const open = (use: StoreUse) => openPostgresStore({ dsn: server.dsn, schema, clock, use });
      return { schema, clock, open, remove };
    };

    test('is kept by each from the other while it is open', async () => {
      const { open, remove } = claims();
      const recorders = [await open('recorder'), await open('recorder')];
      await expect(open('restoration')).rejects.toMatchObject({
        code: 'in_use',
        message: expect.stringContaining('a recorder uses the database'),
      });
      await recorders[0]?.close();
      await expect(open('restoration')).rejects.toMatchObject({ code: 'in_use' });
      await recorders[1]?.close();
      const restoration = await open('restoration');
      await expect(open('recorder')).rejects.toMatchObject({
        code: 'in_use',
        message: expect.stringContaining('audit restore writes into the database'),
      });
      await expect(open('restoration')).rejects.toMatchObject({
        code: 'in_use',
        message: expect.stringContaining('another audit restore'),
      });
      await restoration.append([blockOf(testChain(), [{ id: sessionId(1) }])]);
      await restoration.close();
      const after = await open('recorder');
      await after.append([blockOf(testChain('other'), [{ id: sessionId(2) }])]);
      expect((await after.log()).size).toBe(2);
      await after.close();
      await remove();
    });

    test('is said again in time, and counts for some seconds of one that was killed', async () => {
      const { schema, clock, open, remove } = claims();
      const left = async (): Promise<readonly [number, number]> => {
        const [row] = await server.query(
          `SELECT extract(epoch FROM (SELECT max(until) FROM ${schema}.stream) - now())::float8 AS recorder,
             extract(epoch FROM (SELECT restoring_until FROM ${schema}.log) - now())::float8 AS restoration`,
        );
        return [Number(row?.['recorder'] ?? 0), Number(row?.['restoration'] ?? 0)];
      };
      const recorder = await open('recorder');
      await server.query(`UPDATE ${schema}.stream SET until = now() + interval '1 second'`);
      clock.advance(3_000);
      await until(async () => (await left())[0] > 10);
      // It has stalled.
      await server.query(`UPDATE ${schema}.stream SET until = now() - interval '1 second'`);
      const restoration = await open('restoration');
      const block = blockOf(testChain(), [{ id: sessionId(1) }]);
      await expect(recorder.append([block])).rejects.toMatchObject({
        code: 'unavailable',
        message: expect.stringContaining('audit restore writes into the database'),
      });
      await server.query(`UPDATE ${schema}.log SET restoring_until = now() + interval '1 second'`);
      clock.advance(3_000);
      await until(async () => (await left())[1] > 50);
      // It was killed, and is not: a recorder has started meanwhile.
      await recorder.close();
      await server.query(`UPDATE ${schema}.log SET restoring_until = now() - interval '1 second'`);
      const next = await open('recorder');
      await expect(restoration.append([block])).rejects.toMatchObject({
        code: 'in_use',
        message: expect.stringContaining('a recorder has started on the database'),
      });
      await restoration.close();
      await next.append([block]);
      expect((await next.log()).size).toBe(1);
      await next.close();
      await remove();
    });

    test('is left at its version where another may not use it', async () => {
      const { schema, open, remove } = claims();
      const recorder = await open('recorder');
      await server.query(
        `UPDATE ${schema}.store SET version = version - 1; ALTER TABLE ${schema}.log DROP COLUMN restoring, DROP COLUMN restoring_until`,
      );
      const version = async () => (await server.query(`SELECT version FROM ${schema}.store`))[0]?.['version'];
      const before = await version();
      await expect(open('restoration')).rejects.toMatchObject({ code: 'in_use' });
      expect(await version()).toBe(before);
      await recorder.close();
      await (await open('restoration')).close();
      expect(await version()).toBe(Number(before) + 1);
      await remove();
    });
  });

  test('is brought to a newer version between two turns: who is in one ends it first', async () => {
    const { schema, open, remove } = place();
    const store = await open();
    await server.query(
      `UPDATE ${schema}.store SET version = 11; ALTER TABLE ${schema}.log RENAME COLUMN sealed_root TO root;
      DROP INDEX ${schema}.entry_clock, ${schema}.session_open;
      DROP TABLE ${schema}.evidence_held, ${schema}.archive_hold; ALTER TABLE ${schema}.chain DROP COLUMN bytes, DROP COLUMN known_ended;
      ALTER TABLE ${schema}.hold DROP COLUMN archived;
      ALTER TABLE ${schema}.log DROP COLUMN labelled, DROP COLUMN restoring, DROP COLUMN restoring_until; ALTER TABLE ${schema}.words_read RENAME TO indexed`,
    );
    const other = openDatabase({ dsn: server.dsn, schema, stallMs: 5_000 });
    const ended = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const turn = other.transaction(async (run) => {
      await run('SELECT * FROM log FOR UPDATE');
      begun.resolve();
      await ended.promise;
      // Of the version that it has begun with.
      await run(`UPDATE log SET root = root`);
    });
    await begun.promise;
    let migrated = false;
    const migrating = migrate(other, schema).then(() => void (migrated = true));
    await until(async () => {
      const rows = await server.query(`SELECT 1 FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'`);
      return rows.length > 0;
    });
    expect(migrated).toBe(false);
    ended.resolve();
    await turn;
    await migrating;
    await other.close();
    await store.close();
    await remove();
  });

  test('may take an hour for a step to a newer version, and as ever for what comes after it', async () => {
    const { schema, remove } = place();
    const database = openDatabase({ dsn: server.dsn, schema, stallMs: 5_000 });
    const limits = async (run: Run): Promise<unknown[]> => [
      ...(await run('SHOW statement_timeout')),
      ...(await run('SHOW lock_timeout')),
    ];
    let during: unknown[] = [];
    const watched: Database = {
      ...database,
      transaction: (work, statementMs) =>
        database.transaction(async (run) => {
          const result = await work(run);
          during = await limits(run);
          return result;
        }, statementMs),
    };
    await migrate(watched, schema);
    expect(during).toEqual([{ statement_timeout: '1h' }, { lock_timeout: '1h' }]);
    expect(await database.transaction(limits)).toEqual([{ statement_timeout: '15s' }, { lock_timeout: '15s' }]);
    await database.close();
    await remove();
  });

  test('at another address is used where it has the same log, and not where it has another, or less of it', async () => {
    const { schema, remove } = place();
    const at = (name: string) => new Secret(server.dsn.reveal().replace('/postgres?', `/${name}?`));
    const open = (name: string) => openPostgresStore({ dsn: at(name), schema, clock: fakeClock() });
    for (const name of ['first', 'strange', 'empty']) await server.query(`CREATE DATABASE ${name}`);
    const chain = testChain();
    const add = (store: RecordStore, n: number, user = 'ana') =>
      store.append([blockOf(chain, [{ id: sessionId(n), user }], testTime + n)]);
    const find = async (store: RecordStore, user: string) =>
      (await store.search({ limit: 9, user })).sessions.map(({ session }) => session);
    const filling = await open('first');
    for (const n of [1, 2, 3]) await add(filling, n);
    await filling.close();
    await server.query('CREATE DATABASE copied TEMPLATE first');
    const strange = await open('strange');
    for (const n of [7, 8, 9, 10])
      await strange.append([blockOf(testChain('b'), [{ id: sessionId(n) }], testTime, `s${n}`)]);
    await strange.close();
    const store = await open('copied');
    expect(await find(store, 'ana')).toHaveLength(3);
    const more = await open('first');
    await add(more, 4);
    // Brought back in another way: by the same log, with other numbers.
    await more.close();
    const client = new pg.Client({
      host: server.socket.folder,
      port: server.socket.port,
      user: 'sidegate',
      database: 'first',
    });
    await client.connect();
    await client.query(`SET search_path = ${schema}`);
    await client.query(`INSERT INTO name (digest, text) SELECT 'x', 'y'`);
    await client.query(
      `WITH other AS (SELECT max(id) AS id FROM name) UPDATE session SET subject = other.id FROM other`,
    );
    await client.query(`DELETE FROM name WHERE text = 'ana'`);
    await client.query(`UPDATE name SET text = 'ana', digest = sha256('ana') WHERE text = 'y'`);
    await client.end();
    for (const name of ['strange', 'empty'])
      await expect(store.moveTo({ dsn: at(name) })).rejects.toMatchObject({ code: 'not_a_store' });
    expect(await find(store, 'ana')).toHaveLength(3);
    await store.moveTo({ dsn: at('first') });
    expect(await find(store, 'ana')).toEqual([4, 3, 2, 1].map(sessionId));
    await add(store, 5);
    expect(await find(store, 'ana')).toHaveLength(5);
    await expect(store.moveTo({ dsn: at('copied') })).rejects.toThrow('lacks entries');
    await add(store, 6);
    expect(await find(store, 'ana')).toHaveLength(6);
    await store.close();
    await remove();
    for (const name of ['first', 'strange', 'empty', 'copied'])
      await server.query(`DROP DATABASE ${name} WITH (FORCE)`);
  });

  test('whose connections are all in use is not one that is away: nothing is moved, and there are no more of them', async () => {
    const { schema, open, remove } = place();
    await (await open()).close();
    // Nobody is at the other host.
    const dsn = new Secret(`postgres://sidegate@localhost:${port},localhost:1/postgres`);
    const database = openDatabase({ dsn, ca: authority.bundle(), schema, stallMs: 60_000, waitMs: 500 });
    const backends = async () =>
      (
        await server.query(
          `SELECT pid FROM pg_stat_activity WHERE application_name = 'sidegate-recorder' AND client_addr IS NOT NULL ORDER BY 1`,
        )
      ).map((row) => row['pid']);
    const held = Promise.withResolvers<void>();
    const holders = [1, 2, 3].map(() => database.transaction(() => held.promise));
    await until(async () => (await backends()).length === 3, 'all of them');
    const before = await backends();
    await expect(database.write('SELECT 1')).rejects.toThrow('all connections to the database are in use');
    expect(await backends()).toEqual(before);
    held.resolve();
    await Promise.all(holders);
    expect(await database.write('SELECT 1 AS n')).toEqual([{ n: 1 }]);
    expect(await backends()).toEqual(before);
    await database.close();
    await remove();
  });

  test('has a table for each day of lines, which goes with the last of them', async () => {
    const { schema, open, remove } = place();
    const store = await open();
    const chain = testChain();
    const days = [0, 1, 2].map((day) => testTime + day * 86_400_000);
    for (const [n, at] of days.entries()) await store.append([blockOf(chain, [{ id: sessionId(n) }], at)]);
    const tables = async (): Promise<readonly string[]> =>
      (
        await server.query(
          `SELECT tablename FROM pg_tables WHERE schemaname = '${schema}' AND tablename LIKE 'block_%' ORDER BY 1`,
        )
      ).map((row) => String(row['tablename']));
    const day = Math.floor(testTime / 86_400_000);
    expect(await tables()).toEqual([0, 1, 2].map((n) => `block_${day + n}`));
    // Somebody else's, and of no day: empty, and not ours to drop.
    await server.query(`CREATE TABLE ${schema}.block_mine PARTITION OF ${schema}.block FOR VALUES FROM (0) TO (1)`);
    expect(await deleteOld(store, { before: (day + 2) * 86_400_000, of: { allBut: [] } }, testTime + 3e9, 10)).toBe(2);
    expect(await tables()).toEqual([`block_${day + 2}`, 'block_mine']);
    expect(await store.blockLines(0)).toBeUndefined();
    expect(await store.blockLines(2)).toBeDefined();
    await store.close();
    await remove();
  });

  test('is asked for the day of a block alone where an archive brings back that it was deleted', async () => {
    const [before, after] = [place(), place()];
    const store = await before.open();
    const chain = testChain();
    const days = Array.from({ length: 20 }, (_, day) => testTime + day * 86_400_000);
    for (const [n, at] of days.entries()) await store.append([blockOf(chain, [{ id: sessionId(n) }], at)]);
    const blocks = await store.archivable(0, { entries: 100, bytes: 1_000_000 });
    const rule = { before: testTime * 2, of: { allBut: [] } };
    expect(await deleteOld(store, rule, testTime * 2, days.length)).toBe(days.length);
    const deletions = await store.archivable(days.length, { entries: 100, bytes: 1_000_000 });
    await store.close();
    const again = await after.open();
    const restored = [...blocks, ...deletions].map((one) => {
      const entry = restoredEntry(one);
      if (typeof entry === 'string') throw new Error(entry);
      return entry;
    });
    // The last of these blocks come with the first that say that some were deleted.
    for (const from of [0, 15]) await again.restore(restored.slice(from, from === 0 ? 15 : undefined));
    expect(await again.stats()).toMatchObject({ entries: 2 * days.length, blocks: 0, sessions: 0 });
    await again.close();
    // Which is when it counts them.
    await until(
      async () => (await server.query(`SELECT 1 FROM pg_stat_activity WHERE query ~ '${after.schema}'`)).length <= 1,
    );
    const [looked] = await server.query(
      `SELECT sum(coalesce(seq_scan, 0) + coalesce(idx_scan, 0))::integer AS n FROM pg_stat_user_tables WHERE schemaname = '${after.schema}' AND relname ~ '^block_[0-9]'`,
    );
    // Some for each block, and not all tables for each.
    expect(Number(looked?.['n'])).toBeLessThan(8 * days.length);
    for (const one of [before, after]) await one.remove();
  });

  test('whose table for a day cannot go keeps it, and what was deleted counts', async () => {
    const { schema, open, remove } = place();
    const store = await open();
    const day = Math.floor(testTime / 86_400_000);
    await store.append([blockOf(testChain(), [{ id: sessionId(1) }])]);
    await server.query(`SET search_path = ${schema}; CREATE VIEW user_of_day AS SELECT id FROM block_${day}`);
    const rule = { before: (day + 2) * 86_400_000, of: { allBut: [] } };
    expect(await deleteOld(store, rule, testTime + 3e9, 10)).toBe(1);
    expect(await store.stats()).toMatchObject({ blocks: 0 });
    const left = await server.query(
      `SELECT tablename FROM pg_tables WHERE schemaname = '${schema}' AND tablename LIKE 'block_%' ORDER BY 1`,
    );
    expect(left.map((row) => row['tablename'])).toEqual([`block_${day}`]);
    await store.close();
    await remove();
  });

  test.each<[string, string]>([
    ['of a newer version', 'CREATE TABLE store (version integer); INSERT INTO store VALUES (999)'],
    ['of another program', 'CREATE TABLE mine (x integer)'],
  ])('with tables %s is refused, and not touched', async (_, made) => {
    const { schema, open, remove } = place();
    await server.query(`CREATE SCHEMA ${schema}; SET search_path = ${schema}; ${made}`);
    const tables = () => server.query(`SELECT tablename FROM pg_tables WHERE schemaname = '${schema}'`);
    const before = await tables();
    await expect(open()).rejects.toMatchObject({ code: 'not_a_store' });
    expect(await tables()).toEqual(before);
    await remove();
  });

  test('proves itself by TLS: by its authority and by its name', async () => {
    const open = (host: string, ca: string) =>
      openPostgresStore({
        dsn: new Secret(`postgres://sidegate@${host}:${port}/postgres`),
        ca,
        schema: server.schema(),
        clock: systemClock,
      });
    const store = await open('localhost', authority.bundle());
    expect((await store.log()).size).toBe(0);
    const encrypted = await server.query(
      `SELECT count(*)::int AS n FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl AND application_name = 'sidegate-recorder'`,
    );
    expect(encrypted[0]?.['n']).toBeGreaterThan(0);
    await store.close();
    const other = createAuthority({
      state: { current: await createAuthorityPair(systemClock), since: systemClock.now() },
      clock: systemClock,
    });
    await expect(open('localhost', other.bundle())).rejects.toMatchObject({ code: 'unavailable' });
    // The certificate does not have this name.
    await expect(open('127.0.0.1', authority.bundle())).rejects.toMatchObject({ code: 'unavailable' });
  });

  test.each([
    'no url',
    'mysql://db/record',
    'postgres:///record',
    'postgres://db/record?sslmode=require',
    'postgres://db/record?sslmode=disable',
    'postgres://db/record?sslrootcert=x',
    'postgres://db/record?host=/run',
    'postgres:///record?host=run',
  ])('%s is no address of one', async (dsn) => {
    const opening = openPostgresStore({ dsn: new Secret(dsn), clock: systemClock });
    await expect(opening).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('address') });
  });
});

clockSuite('postgres', place);

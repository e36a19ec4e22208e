import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { startS3 } from '../../../test/support/s3-server.ts';
import type { TestS3 } from '../../../test/support/s3-server.ts';
import { until } from '../../../test/support/wait.ts';
import type { AuditEvent } from '../../core/index.ts';
import { createLogger, silentLogger, systemClock } from '../../base/index.ts';
import { signHead, verifySession } from '../../record/index.ts';
import { readLines } from '../ingest/read-lines.ts';
import { keepHeads } from '../log/heads.ts';
import type { RecordStore, SessionQuery, SessionSummary } from '../store/index.ts';
import { openSqliteStore } from '../store/index.ts';
import { blockOf, blockOfEvents, wordsWithMarks } from '../store/testing/store-suite.ts';
import { sessionEvents, sessionId, testChain } from '../testing/chains.ts';
import type { TestSession } from '../testing/chains.ts';
import { startArchiver } from './archiver.ts';
import type { Archiver, ArchiverOptions } from './archiver.ts';
import { parseLocation } from './location.ts';
import type { ObjectStore } from './object-store.ts';
import { openArchivedLog } from './read-archive.ts';
import { restoreArchive } from './restore.ts';
import type { Restoration } from './restore.ts';
import { openS3 } from './s3.ts';
import { searchArchive } from './search.ts';
import { sealSegment } from './segment.ts';
import type { SegmentHeader } from './segment.ts';
import { sessionInArchive } from './session.ts';
import { verifyArchive } from './verify.ts';
import { deleteOld } from '../store/testing/delete-old.ts';

// A store of one machine, an archive on a server that checks signatures and locks, and a store that is made again from it.

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const own = process.env['AWS_ACCESS_KEY_ID'];
let server: TestS3;
let folder: string;
let store: RecordStore;
let archiver: Archiver | undefined;
let chain = testChain();
let number = 0;

beforeAll(async () => {
  server = await startS3({ page: 4 });
  process.env['AWS_ACCESS_KEY_ID'] = server.credentials.id;
  process.env['AWS_SECRET_ACCESS_KEY'] = server.credentials.secret;
});
afterAll(async () => {
  await server.close();
  if (own === undefined) delete process.env['AWS_ACCESS_KEY_ID'];
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sidegate-archive-'));
  store = openStore('record.db');
  chain = testChain();
});
afterEach(async () => {
  await archiver?.close();
  archiver = undefined;
  await store.close();
  rmSync(folder, { recursive: true });
  server.objects.clear();
  server.asked.length = 0;
  server.fault = undefined;
});

const openStore = (name: string): RecordStore => openSqliteStore({ path: join(folder, name), clock: systemClock });
const objects = (url = 's3://records/log'): ObjectStore =>
  openS3(parseLocation(url, { endpoint: server.endpoint, region: 'eu-central-1', pathStyle: true }));

/** Adds blocks of one session each, and signs a head. */
async function add(blocks: number, to = store): Promise<void> {
  for (let n = 0; n < blocks; n++) await to.append([blockOf(chain, [{ id: sessionId(number++) }], systemClock.now())]);
  const heads = keepHeads({ store: to, key: privateKey, clock: systemClock, logger: silentLogger });
  await heads.sign();
  heads.close();
}

const start = (more: Partial<ArchiverOptions> = {}): Archiver =>
  (archiver = startArchiver({
    store,
    objects: objects(),
    key: privateKey,
    lock: { mode: 'COMPLIANCE', days: 30 },
    clock: systemClock,
    logger: silentLogger,
    segmentBytes: 4_000,
    ...more,
  }));

/** Waits until all that is under a head is in the archive. */
async function archived(from = store): Promise<void> {
  archiver?.kick();
  const { size } = await from.log();
  await until(async () => {
    const { entries, heads } = await from.archived();
    return entries === size && heads === size;
  });
}

/** Puts the archive into a store; `check` sees it before it is closed. */
async function restore(
  name = 'again.db',
  check: (again: RecordStore) => Promise<void> = () => Promise.resolve(),
  from = objects(),
): Promise<Restoration> {
  const again = openStore(name);
  try {
    const log = await openArchivedLog(from, undefined, publicKey);
    const result = await restoreArchive({ log, store: again, publicKey });
    await check(again);
    return result;
  } finally {
    from.close();
    await again.close();
  }
}

const names = (kind: string): string[] =>
  [...server.objects.keys()].filter((name) => name.includes(`/${kind}/`)).sort();

describe('a session in the archive', () => {
  test('is proven under the heads of its own segments, of which each is one', async () => {
    const events = sessionEvents({ id: sessionId('long') });
    await add(2);
    start();
    for (const event of events) {
      await store.append([blockOfEvents(chain, [event], systemClock.now())]);
      await add(1);
      await archived();
    }
    const from = objects();
    const log = await openArchivedLog(from, undefined, publicKey);
    const told: string[] = [];
    const found = await sessionInArchive(log, { session: sessionId('long') }, (name) => told.push(name));
    const proof = await found.proof();
    expect(told).toEqual([]);
    expect(new Set(proof.blocks.map(({ head }) => head)).size).toBe(events.length);
    const verdict = verifySession(proof, { session: sessionId('long'), publicKey });
    expect(verdict).toMatchObject({ ok: true, lines: events.length, ended: true });
    from.close();
  });

  test('is not hidden by a whole one that another sidecar wrote later under its id, and under the name of its chain', async () => {
    const [session, mine] = [sessionId('twice'), chain.name];
    await add(1);
    await store.append([blockOf(chain, [{ id: session }], systemClock.now())]);
    await add(1);
    start();
    await archived();
    const liar = 'spiffe://cluster.local/ns/tenant-b/sa/default/pod/uid-2';
    for (const seed of ['a', 'b'])
      await store.append([blockOf(testChain(seed), [{ id: session, answer: 'never' }], systemClock.now(), liar)]);
    await add(1);
    await archived();
    expect(names('segments').length).toBeGreaterThan(1);
    const from = objects();
    const log = await openArchivedLog(from, undefined, publicKey);
    const found = await sessionInArchive(log, { session }, () => undefined);
    expect(found.chains).toHaveLength(3);
    expect(verifySession(await found.proof(), { session, publicKey })).toMatchObject({ ok: false });
    const named = await sessionInArchive(log, { session, chain: mine }, () => undefined);
    expect(named.chains).toHaveLength(2);
    expect(verifySession(await named.proof(), { session, publicKey, chain: mine })).toMatchObject({ ok: false });
    from.close();
  });

  test('is shown and not proven where an older recorder wrote its segment, which does not say what was before it', async () => {
    await add(1);
    start();
    await archived();
    await add(1);
    await archived();
    const last = names('segments').at(-1) ?? '';
    const object = server.objects.get(last);
    if (object === undefined) throw new Error('no segment');
    const body = Buffer.from(object.body);
    const end = body.indexOf(0x0a);
    const { edge, sha256, key, signature, v, type, ...header } = JSON.parse(
      body.toString('utf8', 0, end),
    ) as SegmentHeader & Record<string, unknown>;
    expect([edge?.length, [sha256, key, signature, v, type].includes(undefined)]).toEqual([1, false]);
    server.objects.set(last, { ...object, body: Buffer.from(sealSegment(header, body.subarray(end + 1), privateKey)) });
    const from = objects();
    const log = await openArchivedLog(from, undefined, publicKey);
    const found = await sessionInArchive(log, { session: sessionId(number - 1) }, () => undefined);
    expect(found.lines).toHaveLength(3);
    await expect(found.proof()).rejects.toMatchObject({ code: 'archive_proof' });
    // As before: a log that lacks its first segments is not proven then.
    server.objects.delete(names('segments')[0] ?? '');
    const verdict = await verifyArchive(log, { publicKey, withLines: true }, () => undefined);
    expect(verdict.findings[0]).toMatchObject({ fault: 'removed', entry: 0 });
    from.close();
  });
});

describe('the archive', () => {
  test('gets the log in segments, then its heads, each locked; a store made from it is the same', async () => {
    const today = (): string => new Date().toISOString().slice(0, 10);
    const begun = today();
    await add(6);
    const written: string[] = [];
    start({ onWritten: (what) => written.push(what) });
    await archived();
    await until(() => archiver?.lag()?.entries === 0 && archiver.lag()?.seconds === 0);
    await add(3);
    await archived();
    // Two, where midnight was in between.
    const days = [...new Set([begun, today()])].join('|');
    expect(names('segments').length).toBeGreaterThan(2);
    expect(names('heads')).toHaveLength(2);
    expect(written.slice(-2)).toEqual(['segment', 'head']);
    for (const [name, { mode, until: end }] of server.objects) {
      expect(name).toMatch(new RegExp(`^log/[0-9a-f]{32}/(segments|heads)/(${days})/[0-9]{16}[.](segment|json)$`));
      expect(mode).toBe('COMPLIANCE');
      expect(Math.abs((end ?? 0) - Date.now() - 30 * 86_400_000)).toBeLessThan(600_000);
    }
    const { root, size } = await store.log();
    const result = await restore('again.db', async (again) => {
      expect((await again.log()).root).toEqual(root);
      expect(await again.archived()).toEqual({ entries: size, heads: size });
      expect((await again.lastHead())?.text).toBe((await store.lastHead())?.text);
      expect((await again.search({ limit: 100 })).sessions).toEqual((await store.search({ limit: 100 })).sessions);
    });
    expect(result).toMatchObject({ entries: size, segments: names('segments').length, fault: undefined });
  });

  test('is searched for a day that begins within a segment', async () => {
    const days = [5, 1].map((ago) => systemClock.now() - ago * 86_400_000);
    for (const at of days) await store.append([blockOf(chain, [{ id: sessionId(at) }], at)]);
    await add(0);
    start();
    await archived();
    expect(names('segments')).toHaveLength(1);
    const from = objects();
    const found: string[] = [];
    const since = (days[1] ?? 0) - 1_000;
    const log = await openArchivedLog(from, undefined, publicKey);
    for await (const { session } of searchArchive(log, { since, limit: 10 }, () => undefined)) found.push(session);
    from.close();
    expect(found).toEqual([sessionId(days[1] ?? 0)]);
  });

  test('is read no further back than a week before the day that is asked for, though a session has no start', async () => {
    const day = 86_400_000;
    const lines = (id: string, type: 'start' | 'end') => sessionEvents({ id }).filter((event) => event.type === type);
    const [lasting, lost] = [sessionId('lasting'), sessionId('lost')];
    const at = (ago: number): number => systemClock.now() - ago * day;
    for (const ago of [60, 50, 40, 30]) await store.append([blockOf(chain, [{ id: sessionId(ago) }], at(ago))]);
    await store.append([blockOfEvents(chain, lines(lasting, 'start'), at(5))]);
    await store.append([blockOf(chain, [{ id: sessionId(3) }], at(3))]);
    await store.append([blockOfEvents(chain, [...lines(lasting, 'end'), ...lines(lost, 'end')], at(0))]);
    await add(0);
    start({ segmentBytes: 1 });
    await archived();
    expect(names('segments')).toHaveLength(7);
    const from = objects();
    const log = await openArchivedLog(from, undefined, publicKey);
    const search = async (query: Partial<SessionQuery>) => {
      const read: string[] = [];
      const watched = { ...log, segment: (name: string) => (read.push(name), log.segment(name)) };
      const found: string[] = [];
      const asked = { since: at(0) - 60_000, limit: 10, ...query };
      for await (const { session } of searchArchive(watched, asked, () => undefined)) found.push(session);
      return { found, read: read.length };
    };
    // Of one that lasts, its start says that it began before; of the other no segment does. One more may hold what begins on the first of these days.
    expect(await search({})).toEqual({ found: [lost], read: 4 });
    expect(await search({ session: lost })).toEqual({ found: [lost], read: 7 });
    // Both have an end alone for a question that begins so late: what only a start has is not known of them.
    expect((await search({ user: 'ana' })).found).toEqual([]);
    from.close();
  });

  test('has its sessions found by words with marks', async () => {
    const sessions = wordsWithMarks.flatMap(([name, ask, , other]) => [
      { id: sessionId(name), ask },
      { id: sessionId(`other than ${name}`), ask: other },
    ]);
    await store.append([blockOf(chain, sessions, systemClock.now())]);
    await add(1);
    start();
    await archived();
    const from = objects();
    const log = await openArchivedLog(from, undefined, publicKey);
    for (const [name, , text] of wordsWithMarks) {
      const found: string[] = [];
      for await (const { session } of searchArchive(log, { text, limit: 100 }, () => undefined)) found.push(session);
      expect({ name, found }).toEqual({ name, found: expect.arrayContaining([sessionId(name)]) });
      expect({ name, found }).toEqual({ name, found: expect.not.arrayContaining([sessionId(`other than ${name}`)]) });
    }
    from.close();
  });

  test('has a session as the store has it, also one of a sidecar that lies or of which lines are missing', async () => {
    const now = systemClock.now();
    const day = 86_400_000;
    const liar = testChain('liar');
    const put = async (events: readonly AuditEvent[], wall = now): Promise<void> => {
      const from = liar.point();
      const { block, first, last, prev, hash, list } = readLines(liar.lines(events, wall), from, 'sidecar');
      const source = 'spiffe://cluster.local/ns/ml/sa/default/pod/liar';
      const entry = {
        type: 'block',
        at: systemClock.now(),
        source,
        chain: liar.name,
        first,
        last,
        prev,
        hash,
        list,
      } as const;
      await store.append([{ entry, block: { ...block, pod: { namespace: 'ml', name: 'llama-0' } } }]);
    };
    const of = (seed: string, more: Partial<TestSession> = {}) =>
      sessionEvents({ id: sessionId(seed), user: 'eve', ...more });
    await put(of('old'), Date.UTC(1971));
    await put(of('ahead'), now + 30 * day);
    await put(of('twice', { outcome: 'refused' }));
    await put(of('twice').slice(-1));
    await put(of('twice', { user: 'zoe' }).slice(0, 1));
    await put([...of('in one'), ...of('in one', { user: 'zoe', outcome: 'refused' })]);
    await put(of('without start').slice(1));
    await put(of('without end').slice(0, 1));
    const said = (text: string) =>
      ({ type: 'segment', session: sessionId('without end'), direction: 'response', lane: 'a', text, at: 1 }) as const;
    await put([said('The pro'), said('ject fal')]);
    await put([said('con hun')]);
    await put(of('many groups', { groups: Array.from({ length: 1_100 }, (_, n) => `g${n}`) }));
    await put(of('late start').slice(1));
    await put(of('late start').slice(0, 1));
    // Also where what comes later is in a segment of its own.
    await add(1);
    start({ segmentBytes: 1_000_000 });
    await archived();
    await put([said('te')]);
    await add(1);
    archiver?.kick();
    await archived();
    await put([said('r2. end'), said('s'), ...of('without end').slice(-1)]);
    await add(1);
    archiver?.kick();
    await archived();
    expect(names('segments').length).toBeGreaterThan(1);
    const from = objects();
    const log = await openArchivedLog(from, undefined, publicKey);
    const questions = [
      {},
      { user: 'eve', since: now - 8 * day },
      { since: now - day },
      { until: now - day },
      { since: now + 60_000 },
      { outcome: 'refused' },
      { outcome: 'completed' },
      { user: 'zoe' },
      { text: 'hello' },
      { text: 'project falcon' },
      { text: 'hunter2 ends' },
      { code: 'guard_blocked', namespace: 'ml' },
      { group: 'g7' },
      { group: 'g1090' },
      { group: 'g1090', text: 'falcon' },
    ];
    for (const question of questions) {
      const query = { ...question, limit: 100 };
      const inArchive: SessionSummary[] = [];
      const partly: string[] = [];
      const told = ({ session }: SessionSummary): void => void partly.push(session);
      for await (const one of searchArchive(log, query, () => undefined, undefined, told)) inArchive.push(one);
      const sorted = (all: readonly SessionSummary[]) =>
        [...all].sort((one, other) => (one.session < other.session ? -1 : 1));
      const found = await store.search(query);
      const inStore = found.sessions;
      expect({ question, partly }).toEqual({ question, partly: found.partly ?? [] });
      expect({ question, sessions: sorted(inArchive) }).toEqual({ question, sessions: sorted(inStore) });
      if (Object.keys(question).length === 0) expect(inStore).toHaveLength(11);
      if (question.group === 'g1090') expect(partly).toHaveLength(question.text === undefined ? 1 : 0);
      if (['project falcon', 'hunter2 ends'].includes(question.text ?? '')) expect(inStore).toHaveLength(1);
    }
    from.close();
  });

  test('goes on from a store that was made from it', async () => {
    await add(4);
    start();
    await archived();
    await archiver?.close();
    await restore();
    await store.close();
    store = openStore('again.db');
    await add(2);
    start();
    await archived();
    expect(await restore('third.db')).toMatchObject({ entries: 6, fault: undefined });
  });

  test('takes for done what was written before it could be noted', async () => {
    await add(2);
    server.fault = 'cut_after_write';
    let failures = 0;
    start({ onFailure: () => failures++ });
    await until(() => failures > 0);
    expect(await store.archived()).toEqual({ entries: 0, heads: 0 });
    server.fault = undefined;
    await archived();
    expect(names('segments')).toHaveLength(1);
    expect(await restore()).toMatchObject({ entries: 2, fault: undefined });
  });

  describe('whose newest head stands within a segment', () => {
    const told: string[] = [];
    const logger = createLogger({ level: 'error', write: (line) => void told.push(line), clock: systemClock });
    beforeEach(() => void (told.length = 0));

    test('goes on there, where another recorder has moved the mark', async () => {
      await add(1);
      start();
      await archived();
      await archiver?.close();
      for (let n = 0; n < 3; n++) await add(1);
      start();
      await archived();
      await archiver?.close();
      expect(names('segments')).toHaveLength(2);
      const mark = await store.archived();
      expect(await store.moveArchived(mark, { ...mark, heads: 3 })).toBe(true);
      start({ logger });
      await archived();
      expect(told).toEqual([]);
      // Of which the segment is gone: that is said, and made whole.
      await archiver?.close();
      server.objects.delete(names('segments')[1] ?? '');
      expect(await store.moveArchived(await store.archived(), { ...mark, heads: 3 })).toBe(true);
      start({ logger });
      await archived();
      expect(told).toEqual([expect.stringContaining('the archive does not have what was archived of the log')]);
      expect(await restore()).toMatchObject({ entries: 4, fault: undefined });
    });

    test('gets all heads from two recorders at once', async () => {
      for (let n = 0; n < 105; n++) await add(1);
      start({ logger, segmentBytes: 1_000_000 });
      const other = startArchiver({
        store,
        objects: objects(),
        key: privateKey,
        lock: { mode: 'COMPLIANCE', days: 30 },
        clock: systemClock,
        logger,
      });
      await archived();
      await other.close();
      expect(told).toEqual([]);
      expect(names('heads')).toHaveLength(105);
    });
  });

  describe('in another place', () => {
    const place = 's3://records/moved';
    beforeEach(async () => {
      await add(3);
      start();
      await archived();
      await archiver?.close();
      await add(2);
    });
    const inPlace = async (url: string): Promise<number> =>
      (await restore(`${randomUUID()}.db`, undefined, objects(url))).entries;
    const told = () => {
      const lines: string[] = [];
      return {
        lines,
        logger: createLogger({ level: 'error', write: (line) => void lines.push(line), clock: systemClock }),
      };
    };

    test('begins with the first entry, and says so', async () => {
      const { lines, logger } = told();
      start({ objects: objects(place), logger });
      await archived();
      expect(await inPlace(place)).toBe(5);
      expect(lines).toEqual([expect.stringContaining('the archive does not have what was archived of the log')]);
      expect(lines[0]).toMatch(/"archived":3,"there":0/);
    });

    test('and back in the first one goes on there, with nothing left out', async () => {
      start({ objects: objects(place) });
      await archived();
      await archiver?.close();
      await add(2);
      start();
      await archived();
      await archiver?.close();
      expect(await inPlace('s3://records/log')).toBe(7);
      // As long as there is nothing new, the mark is what it was.
      await add(1);
      start({ objects: objects(place) });
      await archived();
      expect(await inPlace(place)).toBe(8);
    });

    test('that lacks a segment is made whole', async () => {
      // Killed before its head was written: entries are noted, and their object is gone.
      const [last] = names('segments').slice(-1);
      start();
      await archived();
      await archiver?.close();
      const mark = await store.archived();
      expect(await store.moveArchived(mark, { ...mark, heads: 3 })).toBe(true);
      const [lost] = names('segments').filter((name) => name > (last ?? ''));
      server.objects.delete(lost ?? '');
      start();
      await archived();
      expect(await inPlace('s3://records/log')).toBe(5);
    });

    test('is looked at again where another recorder has moved the mark', async () => {
      start({ objects: objects(place) });
      await archived();
      // One that has the first place, and goes on there.
      const other = startArchiver({
        store,
        objects: objects(),
        key: privateKey,
        lock: { mode: 'COMPLIANCE', days: 30 },
        clock: systemClock,
        logger: silentLogger,
      });
      for (let n = 0; n < 3; n++) {
        await add(1);
        other.kick();
        await archived();
      }
      await other.close();
      await add(1);
      await archived();
      expect(await inPlace(place)).toBe(9);
    });
  });

  test('waits for a server that is busy, and says so once, without its words', async () => {
    await add(1);
    server.fault = 'busy';
    let failures = 0;
    let log = '';
    const logger = createLogger({ level: 'info', write: (line) => void (log += line), clock: systemClock });
    start({ onFailure: () => failures++, logger });
    await until(() => failures > 0);
    archiver?.kick();
    await until(() => failures > 1);
    server.fault = undefined;
    await archived();
    expect(log.match(/the archive does not answer \(SlowDown\)/g)).toHaveLength(1);
    expect(log).toContain('the log is archived again');
    expect(log).not.toContain(server.credentials.secret);
  });

  describe('of a store in which somebody else writes', () => {
    const write = (sql: string): void => {
      const db = new DatabaseSync(join(folder, 'record.db'));
      db.exec(sql);
      db.close();
    };

    test.each([
      ['over more entries than there are', 1_000_000],
      ['over those that there are', 2],
    ])('does not go on by a head of theirs %s, and says so', async (_, size) => {
      await add(1);
      start();
      await archived();
      await archiver?.close();
      await store.append([blockOf(chain, [{ id: sessionId(number++) }], systemClock.now())]);
      write(`INSERT INTO head (size, at, root, text) VALUES (${size}, 1, '${'0'.repeat(64)}', '{"size":${size}}')`);
      let failures = 0;
      let log = '';
      const logger = createLogger({ level: 'error', write: (line) => void (log += line), clock: systemClock });
      start({ onFailure: () => failures++, logger });
      await until(() => failures > 0);
      expect([await store.archived(), names('heads').length]).toEqual([{ entries: 1, heads: 1 }, 1]);
      expect(log).toContain('a head that no key of it has signed');
    });

    test('ends where entries that a head has signed are gone, and says so', async () => {
      await add(2);
      write('DELETE FROM entry WHERE id = 1');
      let failures = 0;
      start({ onFailure: () => failures++ });
      await until(() => failures > 0);
      expect(names('segments')).toEqual([]);
    });

    test('has lines that are damaged there as missing, names them, and has all others', async () => {
      await add(3);
      write("UPDATE block SET data = x'00' WHERE id = 1");
      let log = '';
      const logger = createLogger({ level: 'error', write: (line) => void (log += line), clock: systemClock });
      start({ logger });
      await archived();
      expect(log).toMatch(/the lines of a block are damaged in the store.*"entry":1/);
      const from = await openArchivedLog(objects(), undefined, publicKey);
      const verdict = await verifyArchive(from, { publicKey, withLines: true }, () => undefined);
      expect(verdict.findings).toMatchObject([{ fault: 'lines_missing', entry: 1 }]);
      expect(verdict.lines).toBe(6);
    });
  });

  test('does not go on where other entries stand', async () => {
    await add(1);
    start();
    await archived();
    await archiver?.close();
    await restore('twin.db');
    // The same log twice, with other entries from here on.
    const twin = openStore('twin.db');
    const here = chain;
    await add(1);
    chain = testChain('b');
    await add(1, twin);
    chain = here;
    start();
    await archived();
    await archiver?.close();
    let failures = 0;
    const two = startArchiver({
      store: twin,
      objects: objects(),
      key: privateKey,
      lock: { mode: 'GOVERNANCE', days: 1 },
      clock: systemClock,
      logger: silentLogger,
      onFailure: () => failures++,
    });
    await until(() => failures > 0);
    expect((await twin.archived()).entries).toBe(1);
    await two.close();
    await twin.close();
  });

  describe.each(['the same day', 'the next day'])('of which the store is an older copy, on %s', (when) => {
    const clock = when === 'the same day' ? systemClock : { ...systemClock, now: () => systemClock.now() + 86_400_000 };
    const old = async (): Promise<RecordStore> => {
      await add(2);
      start();
      await archived();
      await archiver?.close();
      await store.close();
      copyFileSync(join(folder, 'record.db'), join(folder, 'copy.db'));
      store = openStore('record.db');
      await add(1);
      start();
      await archived();
      await archiver?.close();
      return openStore('copy.db');
    };
    const takeIn = async (copy: RecordStore, blocks: number): Promise<void> => {
      const other = testChain('of another pod');
      for (let n = 0; n < blocks; n++)
        await copy.append([blockOf(other, [{ id: sessionId(`later ${n}`) }], clock.now())]);
      const heads = keepHeads({ store: copy, key: privateKey, clock, logger: silentLogger });
      await heads.sign();
      heads.close();
    };

    test.each([0, 1, 2])(
      'stays as it is, and nothing is held for archived that is not: %i entries are new',
      async (blocks) => {
        const copy = await old();
        const before = new Map(server.objects);
        await takeIn(copy, blocks);
        const told: string[] = [];
        let failures = 0;
        const logger = {
          ...silentLogger,
          error: (_: string, fields?: object) => void told.push(JSON.stringify(fields)),
        };
        const two = start({ store: copy, clock, logger, onFailure: () => failures++ });
        two.kick();
        await until(() => failures > 1);
        expect(two.foreign).toBe(true);
        await two.close();
        expect(told).toEqual([expect.stringContaining('docs/audit.md, The archive')]);
        expect([...server.objects.keys()].sort()).toEqual([...before.keys()].sort());
        expect((await copy.archived()).entries).toBe(2);
        const rule = { before: clock.now() + 1, of: { allBut: [] }, archivedOnly: true };
        expect(await deleteOld(copy, rule, clock.now() + 2, 50)).toBe(2);
        await copy.close();
        await restore();
      },
    );

    test('goes on with it where it was restored before anything else came', async () => {
      await (await old()).close();
      await restore('copy.db');
      const copy = openStore('copy.db');
      await takeIn(copy, 2);
      let failures = 0;
      const two = start({ store: copy, clock, onFailure: () => failures++ });
      await archived(copy);
      expect([two.foreign, failures]).toEqual([false, 0]);
      await two.close();
      await copy.close();
      expect(await restore()).toMatchObject({ entries: 5, fault: undefined });
    });
  });

  test('does not go on, and says so, where so many stand behind its last that it does not look at all of them', async () => {
    await add(2);
    start();
    await archived();
    await archiver?.close();
    const [segment = ''] = names('segments').slice(-1);
    for (let n = 0; n < 32; n++) {
      const junk = segment.replace(/\/[0-9-]{10}\/[0-9]{16}/, `/9999-12-31/00000000000099${String(n + 10)}`);
      server.objects.set(junk, { ...server.objects.get(segment)!, body: Buffer.from('{}') });
    }
    const before = server.objects.size;
    await add(1);
    let failures = 0;
    const two = start({ onFailure: () => failures++ });
    await until(() => failures > 0);
    expect(two.foreign).toBe(true);
    await two.close();
    expect(server.objects.size).toBe(before);
    expect((await store.archived()).entries).toBe(2);
  });

  test('does not count as gone on where somebody else has put objects behind its last', async () => {
    await add(2);
    start();
    await archived();
    await archiver?.close();
    const [segment = ''] = names('segments').slice(-1);
    const [head = ''] = names('heads').slice(-1);
    for (const name of [segment, head]) {
      const junk = name.replace(/\/[0-9-]{10}\/[0-9]{16}/, '/9999-12-31/0000000000009999');
      server.objects.set(junk, { ...server.objects.get(name)!, body: Buffer.from('{}') });
    }
    await add(1);
    start();
    await archived();
  });

  test('is not held for written where it is not locked', async () => {
    await add(1);
    server.fault = 'no_lock';
    let failures = 0;
    start({ onFailure: () => failures++ });
    await until(() => failures > 0);
    // What stands there from now on is found, and is as little a copy as it was.
    archiver?.kick();
    await until(() => failures > 1);
    expect(await store.archived()).toEqual({ entries: 0, heads: 0 });
    // Once the server locks, it is locked.
    server.fault = undefined;
    archiver?.kick();
    await archived();
    const least = Date.now() + 29 * 86_400_000;
    for (const [name, { mode, until: end = 0 }] of server.objects)
      expect([name, mode, end > least]).toEqual([name, 'COMPLIANCE', true]);
  });

  test('that was written and not noted is locked longer where it is to be kept longer, after it was compared', async () => {
    await add(1);
    start({ lock: { mode: 'COMPLIANCE', days: 30 } });
    await archived();
    await archiver?.close();
    // Killed before it was noted; then `lockDays` grew.
    expect(await store.moveArchived(await store.archived(), { entries: 0, heads: 0 })).toBe(true);
    start({ lock: { mode: 'COMPLIANCE', days: 90 } });
    await archived();
    await archiver?.close();
    const least = Date.now() + 89 * 86_400_000;
    expect([...server.objects.values()].map(({ until: end = 0 }) => end > least)).toEqual([true, true]);
    // What another log has put there stays as it is.
    const [segment = ''] = [...server.objects.keys()].filter((name) => name.includes('/segments/'));
    const kept = server.objects.get(segment);
    if (kept === undefined) throw new Error('no segment');
    const foreign = { ...kept, body: Buffer.from('{"v":1}\n'), until: 1 };
    server.objects.set(segment, foreign);
    expect(await store.moveArchived(await store.archived(), { entries: 0, heads: 0 })).toBe(true);
    let failures = 0;
    start({ onFailure: () => failures++ });
    await until(() => failures > 0);
    expect(server.objects.get(segment)).toEqual(foreign);
  });

  test('that the key before this one signed, and that was not noted, is the log’s', async () => {
    await add(1);
    start();
    await archived();
    await archiver?.close();
    const bodies = [...server.objects.values()].map(({ body }) => body);
    expect(await store.moveArchived(await store.archived(), { entries: 0, heads: 0 })).toBe(true);
    const next = generateKeyPairSync('ed25519').privateKey;
    let failures = 0;
    // A key that the log never had.
    start({ key: next, onFailure: () => failures++ });
    await until(() => failures > 0);
    await archiver?.close();
    start({ key: next, olderKeys: [publicKey] });
    await archived();
    expect([...server.objects.values()].map(({ body }) => body)).toEqual(bodies);
  });

  test('does not take another head for its own', async () => {
    await add(1);
    let failures = 0;
    /** Beside another that writes heads first. */
    const startBehind = (head: string): Archiver => {
      const own = objects();
      const put: ObjectStore['put'] = async (name, body, lock) => {
        if (name.includes('/heads/')) await own.put(name, Buffer.from(head), lock);
        return own.put(name, body, lock);
      };
      return start({ objects: { ...own, put }, onFailure: () => failures++ });
    };
    const first = startBehind('{"v":1}\n');
    await until(() => failures > 0);
    first.kick();
    await until(() => failures > 1);
    await first.close();
    expect(await store.archived()).toEqual({ entries: 1, heads: 0 });
    // Another that says the same of the log is as good.
    server.objects.delete(names('heads')[0] ?? '');
    const { size, root, at } = (await store.lastHead()) ?? { size: 0, root: '', at: 0 };
    startBehind(`${signHead({ size, root, at: at + 1 }, privateKey)}\n`);
    await archived();
  });
});

describe('a store is made again up to what is wrong', () => {
  beforeEach(async () => {
    await add(3);
    start({ segmentBytes: 1 });
    await archived();
    await add(3);
    await archived();
    expect(names('segments')).toHaveLength(6);
  });
  const name = (at: number): string => names('segments')[at] ?? '';
  const change = (at: number, edit: (body: Buffer) => Buffer): void => {
    const object = server.objects.get(name(at));
    if (object !== undefined) server.objects.set(name(at), { ...object, body: edit(object.body) });
  };
  const segment = (at: number): string => name(at).slice('log/'.length);

  test('a segment that is missing', async () => {
    server.objects.delete(name(2));
    const fault = { fault: 'missing', entry: 2, segment: undefined, what: 'no segment holds the entries 2 to 2' };
    expect(await restore()).toEqual({ entries: 2, segments: 2, events: 6, fault });
  });
  test('its last segments', async () => {
    for (const at of [5, 4]) server.objects.delete(name(at));
    expect(await restore()).toMatchObject({ entries: 4, fault: { fault: 'truncated', entry: 4 } });
  });
  test.each([
    ['something that is no head', () => Buffer.from('{"v":1}\n')],
    ['an older head', () => server.objects.get(names('heads')[0] ?? '')?.body ?? Buffer.alloc(0)],
  ])('its last segments, behind %s where a newer one would be', async (_, body) => {
    for (const at of [5, 4]) server.objects.delete(name(at));
    const forged = (names('heads')[1] ?? '').replace(/[0-9]+[.]json$/, '0000000000000099.json');
    server.objects.set(forged, { body: body(), mode: undefined, until: undefined, checksum: undefined });
    expect(await restore()).toMatchObject({ entries: 4, fault: { fault: 'truncated', entry: 4 } });
    const from = objects();
    const faults: string[] = [];
    const log = await openArchivedLog(from, undefined, publicKey);
    const verdict = await verifyArchive(log, { publicKey, withLines: false }, (at, { code }) => {
      faults.push(`${code} log/${at}`);
    });
    from.close();
    expect(faults).toEqual([`forged ${forged}`]);
    expect(verdict.findings).toMatchObject([{ fault: 'truncated', entry: 4, to: 5 }]);
  });
  test('a byte of its entries', async () => {
    change(3, (body) => Buffer.from(body.map((byte, at) => (at === body.length - 9 ? byte ^ 1 : byte))));
    expect(await restore()).toMatchObject({ entries: 3, fault: { fault: 'changed', entry: 3, segment: segment(3) } });
  });
  test('a segment that is cut off', async () => {
    change(3, (body) => body.subarray(0, -20));
    expect(await restore()).toMatchObject({ entries: 3, fault: { fault: 'changed', entry: 3 } });
  });
  test('a header that says something else', async () => {
    change(1, (body) => Buffer.from(body.toString('latin1').replace('"events":3', '"events":4'), 'latin1'));
    expect(await restore()).toMatchObject({ entries: 1, fault: { fault: 'forged', entry: 1, segment: segment(1) } });
  });
  test('a segment under the name of another', async () => {
    const other = server.objects.get(name(4))?.body ?? Buffer.alloc(0);
    change(3, () => other);
    expect(await restore()).toMatchObject({ entries: 3, fault: { fault: 'changed', entry: 3, segment: segment(3) } });
  });
  test('and over what others have put beside its segments, which the key has not signed for that name', async () => {
    const put = (at: string, body: Buffer): void =>
      void server.objects.set(name(0).replace(/[0-9-]{10}[/][0-9]{16}/, at), {
        ...{ body, mode: undefined, until: undefined, checksum: undefined },
      });
    const body = server.objects.get(name(3))?.body ?? Buffer.alloc(0);
    put('2020-01-01/9000000000000000', Buffer.from('x'));
    put('2020-01-01/0000000000000003', body);
    put('2020-01-02/0000000000000000', Buffer.from('x'));
    put('9999-12-31/0000000000000006', Buffer.from('x'));
    const left: string[] = [];
    const again = openStore('again.db');
    const from = objects();
    const log = await openArchivedLog(from, undefined, publicKey);
    const onSkipped = (at: string, why: string): void => void left.push(`${at.slice(-36, -8)} ${why}`);
    const result = await restoreArchive({ log, store: again, publicKey, onSkipped });
    from.close();
    await again.close();
    expect(result).toMatchObject({ entries: 6, segments: 6, fault: undefined });
    expect(left).toEqual([
      expect.stringMatching('2020-01-01/0000000000000003 another segment stands under this name'),
      expect.stringMatching('2020-01-01/9000000000000000 it is no segment'),
      expect.stringMatching('2020-01-02/0000000000000000 it is no segment'),
      expect.stringMatching('9999-12-31/0000000000000006 it is no segment'),
    ]);
  });
  test('and goes on when it is right again', async () => {
    const third = name(2);
    const object = server.objects.get(third);
    server.objects.delete(third);
    expect(await restore()).toMatchObject({ entries: 2, fault: { fault: 'missing' } });
    if (object !== undefined) server.objects.set(third, object);
    expect(await restore()).toMatchObject({ entries: 6, segments: 4, fault: undefined });
  });
  test('and what a store has beyond it is not held for archived', async () => {
    await restore();
    const ahead = openStore('again.db');
    await add(2, ahead);
    expect(await ahead.moveArchived(await ahead.archived(), { entries: 0, heads: 0 })).toBe(true);
    await ahead.close();
    const result = await restore('again.db', async (again) =>
      expect(await again.archived()).toEqual({ entries: 6, heads: 6 }),
    );
    expect(result).toMatchObject({ entries: 8, segments: 0, fault: undefined });
  });
  test('and not into a store that holds something else', async () => {
    const other = openStore('again.db');
    chain = testChain('c');
    await add(8, other);
    await other.close();
    expect(await restore()).toMatchObject({ entries: 8, fault: { fault: 'other_store' } });
  });
});

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { generateKeyPairSync, sign } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { createLogger } from '../../base/index.ts';
import {
  createFrontier,
  createLogVerifier,
  edgeOf,
  entryLeaf,
  entryText,
  keyName,
  sealBy,
} from '../../record/index.ts';
import type { BlockEntry, LogEntry, LogKeys, LogVerdict } from '../../record/index.ts';
import { restoredEntry } from '../archive/restored-entry.ts';
import { readLines } from '../ingest/read-lines.ts';
import { openSqliteStore } from '../store/index.ts';
import type { RecordStore } from '../store/index.ts';
import { sessionEvents, sessionId, testChain, testTime } from '../testing/chains.ts';
import { keepHeads } from './heads.ts';
import type { HeadKeeper } from './heads.ts';
import { writeRetention } from './retention.ts';
import { deleteOld } from '../store/testing/delete-old.ts';

// Somebody who can write the store, and has not the key of the log.

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const source = 'spiffe://cluster.local/ns/ml/sa/default/pod/uid-1';
const day = 86_400_000;
const clock = fakeClock();
let folder: string;
let store: RecordStore;
let heads: HeadKeeper;
let chain = testChain();
let told: string;
let refused: number;

const open = async (): Promise<void> => {
  store = openSqliteStore({ path: join(folder, 'record.db'), clock, seal: sealBy(privateKey) });
  const logger = createLogger({ level: 'error', write: (line) => void (told += line), clock });
  heads = keepHeads({ store, key: privateKey, clock, logger, onForeign: () => refused++ });
  await heads.sign();
};
const close = async (): Promise<void> => {
  heads.close();
  await store.close();
};
const retention = (all: number): Promise<void> =>
  writeRetention({ store, retention: { all, namespaces: {}, policies: {} }, clock });
const add = async (n: number, at: number): Promise<void> => {
  const from = chain.point();
  const read = readLines(chain.lines(sessionEvents({ id: sessionId(n) })), from);
  const { first, last, prev, hash } = read;
  const pod = { namespace: 'ml', name: 'llama-0' };
  const entry = { type: 'block', at, source, chain: chain.name, first, last, prev, hash } as const;
  await store.append([{ entry, block: { ...read.block, pod } }]);
};
const types = async (): Promise<(string | undefined)[]> =>
  (await store.entries(0, 100)).map(({ text }) => /"type":"([a-z]+)"/.exec(text)?.[1]);
const size = async (): Promise<number> => (await store.lastHead())?.size ?? 0;

/** Puts an entry into the file, as if the recorder had, and takes the lines of the first block that has some away. */
function put(entry: LogEntry, spell = (text: string): string => text): void {
  const db = new DatabaseSync(join(folder, 'record.db'));
  const at = Number(db.prepare('SELECT count(*) AS n FROM entry').get()?.['n']);
  const edge = edgeOf(at).map(({ level, index }) =>
    Buffer.from(
      db.prepare('SELECT hash FROM node WHERE level = ? AND idx = ?').get(level, index)?.['hash'] as Uint8Array,
    ),
  );
  const { v: _, ...own } = { v: 1, ...entry };
  const text = spell(entryText(own as LogEntry));
  db.prepare('INSERT INTO entry VALUES (?, ?)').run(at, text);
  for (const { level, index, hash } of createFrontier(at, edge).append(entryLeaf(text)))
    db.prepare('INSERT INTO node VALUES (?, ?, ?)').run(level, index, hash);
  db.exec('UPDATE block SET data = NULL WHERE id = (SELECT min(id) FROM block)');
  db.close();
}
/** Puts another text in the place of the last entry, a block, and takes what there is of its lines away. */
function putInPlace(spell: (block: BlockEntry, before: string) => string): void {
  const db = new DatabaseSync(join(folder, 'record.db'));
  const texts = db
    .prepare('SELECT text FROM entry ORDER BY id')
    .all()
    .map(({ text }) => String(text));
  const id = texts.length - 1;
  texts[id] = spell(JSON.parse(texts[id] ?? '') as BlockEntry, texts[id - 1] ?? '');
  db.prepare('UPDATE entry SET text = ? WHERE id = ?').run(texts[id], id);
  for (const sql of [
    'DELETE FROM session WHERE id IN (SELECT session FROM part WHERE block = ?)',
    'DELETE FROM part WHERE block = ?',
    'DELETE FROM block WHERE id = ?',
  ])
    db.prepare(sql).run(id);
  const frontier = createFrontier();
  for (const text of texts)
    for (const { level, index, hash } of frontier.append(entryLeaf(text)))
      db.prepare('INSERT OR REPLACE INTO node VALUES (?, ?, ?)').run(level, index, hash);
  db.close();
}
async function forge(entry: LogEntry, spell?: (text: string) => string): Promise<void> {
  await close();
  put(entry, spell);
  await open();
}
async function verify(keys: LogKeys = publicKey): Promise<LogVerdict> {
  const verifier = createLogVerifier({ publicKey: keys, heads: (await store.heads(0, 100)).map(({ text }) => text) });
  for (const { index, text } of await store.entries(0, 100)) {
    verifier.entry(index, text);
    const lines = await store.blockLines(index);
    verifier.lines(index, lines === undefined ? undefined : Buffer.from(lines).toString());
  }
  return verifier.end();
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sidegate-heads-'));
  chain = testChain();
  [told, refused] = ['', 0];
  await open();
});
afterEach(async () => {
  await close();
  rmSync(folder, { recursive: true });
});

describe('a head', () => {
  test('is signed over what the recorder deleted, which is proven, also by one that starts again', async () => {
    await retention(90);
    await add(1, testTime);
    expect(await deleteOld(store, { before: testTime + 1, of: { allBut: [] } }, testTime + 91 * day, 10)).toBe(1);
    await close();
    await open();
    expect(await size()).toBe(3);
    expect(await verify()).toMatchObject({ ok: true, deleted: 1, youngestDeletedMs: 91 * day });
    expect([told, refused]).toEqual(['', 0]);
  });

  test('is signed over what was restored from an archive, seals and all', async () => {
    await retention(90);
    await add(1, testTime);
    await store.placeHold({ at: testTime, who: 'ana', reason: 'case 7', terms: { user: 'bob' } });
    await deleteOld(store, { before: testTime + 1, of: { allBut: [] } }, testTime + 91 * day, 10);
    const archived = await store.archivable(0, { entries: 100, bytes: 1_000_000 });
    await close();
    rmSync(join(folder, 'record.db'));
    await open();
    await store.restore(
      archived.map(restoredEntry).map((one) => {
        if (typeof one === 'string') throw new Error(one);
        return one;
      }),
    );
    await heads.sign();
    await retention(90);
    expect([await types(), told, refused]).toEqual([['retention', 'block', 'hold', 'deleted'], '', 0]);
    expect(await store.holds()).toMatchObject([{ terms: { user: 'bob' }, reason: 'case 7' }]);
    expect(await verify()).toMatchObject({ ok: true, deleted: 1, entries: 4 });
  });

  test.each<[string, LogEntry]>([
    ['deletion', { type: 'deleted', at: testTime + 91 * day, entry: 1, why: 'retention' }],
    ['rule', { type: 'retention', at: testTime + 1, days: { all: 1, namespaces: {}, policies: {} } }],
    [
      'release of a hold',
      { type: 'hold', at: testTime + 1, who: 'ana', what: 'released', hold: 1, terms: {}, reason: 'none' },
    ],
  ])('is not signed over a %s that somebody else wrote, and proves it forged where it was', async (_, entry) => {
    await retention(90);
    await add(1, testTime);
    await heads.sign();
    await forge(entry);
    await add(2, testTime + 92 * day);
    await heads.sign();
    expect(await size()).toBe(2);
    expect(refused).toBeGreaterThan(0);
    expect(told).toContain('"entry":2');
    expect((await verify()).findings.map(({ fault }) => fault)).toEqual(['entry_forged', 'unsigned', 'lines_missing']);
  });

  const of = ({ at, source, chain }: BlockEntry) => ({ at, source, chain });
  test.each<[string, (block: BlockEntry, before: string) => string]>([
    [
      'a hole',
      (block) =>
        entryText({
          type: 'hole',
          ...of(block),
          from: block.first,
          to: block.last,
          hash: block.hash,
          why: 'missing',
        }),
    ],
    [
      'a conflict',
      (block) => entryText({ type: 'conflict', ...of(block), sequence: 1, what: 'changed', evidence: '0'.repeat(64) }),
    ],
    [
      'the end of a pod',
      (block) =>
        entryText({ type: 'vanished', ...of(block), stored: 3, known: 6, hash: block.hash, ended: true, gone: 1 }),
    ],
    ['a question', ({ at }) => entryText({ type: 'read', at, who: 'eve', what: 'search', question: '{}' })],
    ['authorities', ({ at }) => entryText({ type: 'authorities', at, bundle: '' })],
    ['what is of no kind', ({ at }) => `{"v":1,"type":"note","at":${at}}`],
    ['the entry before it, seal and all', (_, before) => before],
    ['the entry before it, as if sealed for this place', (_, before) => before.replace(/"index":[0-9]+/, '"index":3')],
  ])('is not signed over %s in the place of a block that no head had signed, and that is proven', async (_, spell) => {
    await retention(90);
    await add(1, testTime);
    await heads.sign();
    await store.append([{ entry: { type: 'read', at: testTime, who: 'ana', what: 'search', question: '{}' } }]);
    await add(2, testTime);
    await close();
    putInPlace(spell);
    await open();
    expect(told).toContain('"entry":3');
    // The chain goes on as if nothing had been.
    await add(3, testTime).catch(() => undefined);
    await heads.sign();
    expect(await size()).toBe(2);
    expect((await verify()).findings[0]).toMatchObject({ fault: 'entry_forged', entry: 3 });
  });

  test('is signed over what a recorder wrote that sealed its decisions alone, until one says that all is sealed', async () => {
    const older = (entry: LogEntry): string => {
      const text = entryText(entry);
      if (entry.type !== 'retention') return text;
      const body = `${text.slice(0, -1)},"key":"${keyName(privateKey)}"`;
      return `${body},"signature":"${sign(null, Buffer.from(body), privateKey).toString('base64')}"}`;
    };
    const question = { entry: { type: 'read', at: testTime, who: 'ana', what: 'search', question: '{}' } } as const;
    await close();
    store = openSqliteStore({ path: join(folder, 'record.db'), clock, seal: older });
    const days = { all: 90, namespaces: {}, policies: {} };
    await store.append([{ entry: { type: 'retention', at: testTime, days } }, question]);
    await store.close();
    await open();
    await retention(90);
    await store.append([question]);
    await heads.sign();
    expect([await types(), await size(), told, refused]).toEqual([
      ['retention', 'read', 'retention', 'read'],
      4,
      '',
      0,
    ]);
    expect(await verify()).toMatchObject({ ok: true, entries: 4 });
    await forge(question.entry);
    expect([await size(), refused > 0]).toEqual([4, true]);
    expect((await verify()).findings[0]).toMatchObject({ fault: 'entry_forged', entry: 4 });
  });

  test('is not signed over what somebody else wrote before a rule of the recorder that no head had signed', async () => {
    await retention(90);
    await heads.sign();
    await close();
    put({ type: 'hold', at: testTime, who: 'eve', what: 'released', hold: 1, terms: {}, reason: 'none' });
    store = openSqliteStore({ path: join(folder, 'record.db'), clock, seal: sealBy(privateKey) });
    await retention(30);
    await store.close();
    await open();
    expect([await size(), refused > 0]).toEqual([1, true]);
  });

  test('is signed over what an older recorder deleted, until one says that it seals', async () => {
    await add(1, testTime);
    const deletion = { type: 'deleted', at: testTime + day, entry: 0, why: 'retention' } as const;
    await forge(deletion);
    expect([await size(), refused]).toEqual([2, 0]);
    await retention(90);
    await heads.sign();
    expect([await size(), refused]).toEqual([3, 0]);
    await forge({ ...deletion, at: testTime + 2 * day });
    expect(await size()).toBe(3);
    expect(refused).toBeGreaterThan(0);
  });

  test.each([
    ['an escape in its type', String.raw`"type":"\u0064eleted"`],
    ['an escape in the name of its type', String.raw`"\u0074ype":"deleted"`],
    ['a space', '"type": "deleted"'],
  ])('is not signed over a deletion that somebody else spelled with %s', async (_, spelled) => {
    await retention(90);
    await add(1, testTime);
    await heads.sign();
    await forge({ type: 'deleted', at: testTime + 91 * day, entry: 1, why: 'retention' }, (text) =>
      text.replace('"type":"deleted"', spelled),
    );
    expect(await size()).toBe(2);
    expect(refused).toBeGreaterThan(0);
  });

  test('is not signed over what is no entry', async () => {
    await retention(90);
    await heads.sign();
    await forge({ type: 'deleted', at: testTime, entry: 0, why: 'retention' }, (text) => text.slice(0, -1));
    expect(await size()).toBe(1);
    expect(refused).toBeGreaterThan(0);
  });

  const putHead = (size: number, text = ''): void => {
    const db = new DatabaseSync(join(folder, 'record.db'));
    db.prepare('INSERT INTO head (size, at, root, text) VALUES (?, ?, ?, ?)').run(size, testTime, '0'.repeat(64), text);
    db.close();
  };
  test('is not signed, and that is told, where somebody else wrote one, over entries that there are not', async () => {
    await retention(90);
    await heads.sign();
    putHead(1_000_000, '{"v":1,"type":"head","size":1000000,"root":"');
    await add(1, testTime);
    await heads.sign();
    expect([refused > 0, told]).toEqual([true, expect.stringContaining('"size":1000000')]);
    expect((await verify()).findings.map(({ fault }) => fault)).toContain('head_forged');
  });

  test('is not signed over what somebody else wrote, and hid from the next recorder behind a head of their own', async () => {
    await retention(90);
    await add(1, testTime);
    await heads.sign();
    await close();
    put({ type: 'deleted', at: testTime + 91 * day, entry: 1, why: 'retention' });
    putHead(3);
    await open();
    await add(2, testTime + 92 * day);
    await heads.sign();
    expect([await size(), refused > 0]).toEqual([3, true]);
  });

  test('is not signed where the log has fewer entries than its newest head, as one that was cut off', async () => {
    await retention(90);
    await add(1, testTime);
    await heads.sign();
    await close();
    const db = new DatabaseSync(join(folder, 'record.db'));
    db.exec('DELETE FROM entry WHERE id = 1; DELETE FROM node WHERE level = 1 OR idx = 1');
    db.close();
    await open();
    expect([await size(), refused > 0]).toEqual([2, true]);
  });

  describe('of a log that has another key', () => {
    const newer = generateKeyPairSync('ed25519');
    const all = [publicKey, newer.publicKey];
    const reopen = async (olderKeys = [publicKey]): Promise<void> => {
      await close();
      store = openSqliteStore({ path: join(folder, 'record.db'), clock, seal: sealBy(newer.privateKey) });
      const logger = createLogger({ level: 'error', write: (line) => void (told += line), clock });
      heads = keepHeads({ store, key: newer.privateKey, olderKeys, clock, logger, onForeign: () => refused++ });
      await heads.sign();
    };
    /** What the recorder with the old key deletes, and is killed before it signs. */
    const deleteUnsigned = async (): Promise<void> => {
      await retention(90);
      await add(1, testTime);
      await heads.sign();
      expect(await deleteOld(store, { before: testTime + 1, of: { allBut: [] } }, testTime + 91 * day, 10)).toBe(1);
    };

    test('is signed over what the old one sealed and had no head for, and all of it is proven', async () => {
      await deleteUnsigned();
      await reopen();
      expect([await size(), told, refused]).toEqual([3, '', 0]);
      expect(await verify(all)).toMatchObject({ ok: true, deleted: 1 });
    });

    test('is not signed before its recorder knows the old one, whose Secret was lost', async () => {
      await retention(90);
      await add(1, testTime);
      await heads.sign();
      const before = await size();
      await reopen([]);
      await add(1, testTime);
      await heads.sign();
      expect([await size(), refused > 0]).toEqual([before, true]);
      await reopen();
      expect(await size()).toBe((before ?? 0) + 1);
      expect(await verify(all)).toMatchObject({ ok: true });
    });

    test('is not signed over what the old one seals after the new one has begun, and that is proven forged', async () => {
      await deleteUnsigned();
      await reopen();
      const at = testTime + 92 * day;
      await add(2, at);
      await heads.sign();
      expect(await size()).toBe(4);
      await close();
      put(JSON.parse(sealBy(privateKey)({ type: 'deleted', at, entry: 3, why: 'retention' }, 4)) as LogEntry);
      await reopen();
      expect(await size()).toBe(4);
      expect(refused).toBeGreaterThan(0);
      expect((await verify(all)).findings).toMatchObject([
        { fault: 'entry_forged', entry: 4 },
        { fault: 'lines_missing', entry: 3 },
      ]);
    });
  });

  test('that is asked for twice at once looks at each entry once', async () => {
    await add(1, testTime);
    await close();
    put({ type: 'deleted', at: testTime + day, entry: 0, why: 'retention' });
    store = openSqliteStore({ path: join(folder, 'record.db'), clock, seal: sealBy(privateKey) });
    await retention(90);
    await store.close();
    await open();
    expect([await size(), told, refused]).toEqual([3, '', 0]);
  });
});

test('how long lines are kept is in the log once, and again where it changes', async () => {
  await retention(90);
  await retention(90);
  await retention(30);
  expect(await types()).toEqual(['retention', 'retention']);
});

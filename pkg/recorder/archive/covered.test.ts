import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startS3 } from '../../../test/support/s3-server.ts';
import type { TestS3 } from '../../../test/support/s3-server.ts';
import { until } from '../../../test/support/wait.ts';
import { silentLogger, systemClock } from '../../base/index.ts';
import { sealBy } from '../../record/index.ts';
import type { LogVerdict } from '../../record/index.ts';
import { keepHeads } from '../log/heads.ts';
import { openSqliteStore } from '../store/index.ts';
import type { RecordStore, RestoredEntry } from '../store/index.ts';
import { blockOf } from '../store/testing/store-suite.ts';
import { sessionId, testChain } from '../testing/chains.ts';
import { startArchiver } from './archiver.ts';
import { parseLocation } from './location.ts';
import type { ObjectStore } from './object-store.ts';
import { openArchivedLog } from './read-archive.ts';
import type { ArchivedLog } from './read-archive.ts';
import { restoreArchive } from './restore.ts';
import { restoredEntry } from './restored-entry.ts';
import { openS3 } from './s3.ts';
import { searchArchive } from './search.ts';
import { verifyArchive } from './verify.ts';

// A lock keeps versions and not names: what whoever may write to the bucket lays over the archive hides nothing of it.

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const victim = sessionId('victim');
let server: TestS3;
let other: TestS3;
let folder: string;
beforeAll(async () => {
  [server, other] = [await startS3(), await startS3()];
  process.env['AWS_ACCESS_KEY_ID'] = server.credentials.id;
  process.env['AWS_SECRET_ACCESS_KEY'] = server.credentials.secret;
});
afterAll(async () => {
  await server.close();
  await other.close();
  delete process.env['AWS_ACCESS_KEY_ID'];
  delete process.env['AWS_SECRET_ACCESS_KEY'];
});
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sidegate-covered-'));
  const store = openSqliteStore({ path: join(folder, 'a.db'), clock: systemClock, seal: sealBy(privateKey) });
  const chain = testChain();
  for (const id of [sessionId(1), victim, sessionId(2)])
    await store.append([blockOf(chain, [{ id }], systemClock.now())]);
  await archive(store, server);
  await store.close();
});
afterEach(() => {
  rmSync(folder, { recursive: true });
  for (const one of [server, other]) {
    one.objects.clear();
    one.covers.clear();
  }
});

const objects = (of = server): ObjectStore =>
  openS3(parseLocation('s3://records/log', { endpoint: of.endpoint, region: 'eu-central-1', pathStyle: true }));
const logOf = (): Promise<ArchivedLog> => openArchivedLog(objects(), undefined, publicKey);

async function archive(store: RecordStore, to: TestS3): Promise<void> {
  const heads = keepHeads({ store, key: privateKey, clock: systemClock, logger: silentLogger });
  await heads.sign();
  heads.close();
  const archiver = startArchiver({
    store,
    objects: objects(to),
    key: privateKey,
    lock: { mode: 'COMPLIANCE', days: 365 },
    clock: systemClock,
    logger: silentLogger,
  });
  const { size } = await store.log();
  await until(async () => {
    const { entries, heads: signed } = await store.archived();
    return entries === size && signed === size;
  });
  await archiver.close();
}

/** The same log without the victim's block, whose place is a hole, signed by its own key: what a recorder that was taken over can make. */
async function forge(): Promise<void> {
  const store = openSqliteStore({ path: join(folder, 'b.db'), clock: systemClock, seal: sealBy(privateKey) });
  const log = await logOf();
  const entries: RestoredEntry[] = [];
  for await (const name of log.segments())
    for await (const one of (await log.segment(name)).entries()) {
      const entry = restoredEntry(one);
      if (typeof entry === 'string') throw new Error(entry);
      if (entry.entry.type === 'block' && Buffer.from(one.data ?? []).includes(victim)) {
        const { at, source, chain, first, last, hash } = entry.entry;
        const hole = { type: 'hole', at, source, chain, from: first, to: last, hash, why: 'missing' } as const;
        const text = sealBy(privateKey)(hole, one.index);
        entries.push({ entry: hole, index: one.index, text, pod: one.pod } as RestoredEntry);
      } else entries.push(entry);
    }
  await store.restore(entries);
  await archive(store, other);
  await store.close();
  expect([...other.objects.keys()].sort()).toEqual([...server.objects.keys()].sort());
}

const faults: string[] = [];
const verified = async (log: ArchivedLog): Promise<LogVerdict> => {
  faults.length = 0;
  return verifyArchive(log, { publicKey, withLines: true }, (name, { code }) => void faults.push(`${code} ${name}`));
};
const found = async (log: ArchivedLog): Promise<readonly string[]> => {
  const ids: string[] = [];
  const query = { session: victim, limit: 10 } as unknown as Parameters<typeof searchArchive>[1];
  for await (const { session } of searchArchive(log, query, (name) => void faults.push(name))) ids.push(session);
  return ids;
};
async function restored(): Promise<number> {
  const store = openSqliteStore({ path: join(folder, 'c.db'), clock: systemClock });
  const { entries, fault } = await restoreArchive({ log: await logOf(), store, publicKey });
  expect(fault).toBeUndefined();
  await store.close();
  return entries;
}
/** All that the archive has is read, whatever lies over it, and both the segment and the newest head are named. */
async function isRead(how: 'written' | 'deleted'): Promise<void> {
  const log = await logOf();
  expect(log.covered.size).toBe(0);
  expect(await verified(log)).toMatchObject({ ok: true, holes: 0, blocks: 3 });
  expect(faults).toEqual([]);
  const names = [...server.objects.keys()].map((name) => name.slice('log/'.length)).sort();
  expect([...log.covered].sort()).toEqual(names.map((name) => [name, how]));
  expect(await found(await logOf())).toEqual([victim]);
  expect(await restored()).toBe(3);
}

test('newer versions that the log’s own key has signed hide no session: the first ones are read, and it is said', async () => {
  await forge();
  for (const [name, object] of other.objects) server.covers.set(name, [object]);
  await isRead('written');
});

test('newer versions that are nothing keep nothing from being read', async () => {
  for (const [name, object] of server.objects)
    server.covers.set(name, [{ ...object, body: Buffer.from('x') }, 'marker', { ...object, body: Buffer.from('y') }]);
  await isRead('written');
});

test('delete markers over what is locked hide nothing', async () => {
  for (const name of server.objects.keys()) server.covers.set(name, ['marker']);
  await isRead('deleted');
});

test('what somebody had put under a name before the recorder wrote there is passed over', async () => {
  for (const [name, object] of [...server.objects]) {
    server.objects.set(name, { ...object, body: Buffer.from('x') });
    server.covers.set(name, ['marker', object]);
  }
  await isRead('written');
});

test('a recorder takes what it has written for its own, and locks that, also over what others had put there before', async () => {
  const until = Date.now() + 86_400_000;
  for (const [name, object] of [...server.objects]) {
    server.objects.set(name, { ...object, body: Buffer.from('x'), mode: undefined, until: undefined });
    server.covers.set(name, ['marker', { ...object, until }]);
  }
  const store = openSqliteStore({ path: join(folder, 'a.db'), clock: systemClock, seal: sealBy(privateKey) });
  // Killed before it was noted.
  expect(await store.moveArchived(await store.archived(), { entries: 0, heads: 0 })).toBe(true);
  await archive(store, server);
  await store.close();
  for (const [name, { mode }] of server.objects) {
    const [, own] = server.covers.get(name) ?? [];
    expect([mode, own === 'marker' || (own?.until ?? 0) > until]).toEqual([undefined, true]);
  }
});

test('of a log that nobody touched nothing is covered', async () => {
  const log = await logOf();
  expect(await verified(log)).toMatchObject({ ok: true, blocks: 3 });
  expect(log.covered.size).toBe(0);
});

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startS3 } from '../../../test/support/s3-server.ts';
import type { S3Fault, TestS3 } from '../../../test/support/s3-server.ts';
import { until } from '../../../test/support/wait.ts';
import { silentLogger, systemClock } from '../../base/index.ts';
import type { AuditEvent } from '../../core/index.ts';
import { keepHeads } from '../log/heads.ts';
import { openSqliteStore } from '../store/index.ts';
import type { HoldTerms, RecordStore } from '../store/index.ts';
import { deleteOld } from '../store/testing/delete-old.ts';
import { blockOf, blockOfEvents } from '../store/testing/store-suite.ts';
import { sessionEvents, sessionId, testChain } from '../testing/chains.ts';
import type { TestSession } from '../testing/chains.ts';
import { startArchiver } from './archiver.ts';
import type { Archiver } from './archiver.ts';
import { startHoldKeeper } from './hold-keeper.ts';
import type { HoldKeeper, HoldKeeperOptions } from './hold-keeper.ts';
import { parseLocation } from './location.ts';
import { readKey } from './names.ts';
import { ObjectStoreError } from './object-store-error.ts';
import type { ObjectStore } from './object-store.ts';
import { openArchivedLog } from './read-archive.ts';
import { restoreArchive } from './restore.ts';
import { openS3 } from './s3.ts';

// Holds of a store in its archive, on a server that checks signatures and keeps locks and holds of versions.

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
let server: TestS3;
let folder: string;
let store: RecordStore;
let archiver: Archiver | undefined;
let keeper: HoldKeeper | undefined;
const day = 86_400_000;
let chain = testChain();
let number = 0;
let failures = 0;
const open: ObjectStore[] = [];

beforeAll(async () => {
  server = await startS3({ page: 3 });
  process.env['AWS_ACCESS_KEY_ID'] = server.credentials.id;
  process.env['AWS_SECRET_ACCESS_KEY'] = server.credentials.secret;
});
afterAll(async () => {
  await server.close();
  delete process.env['AWS_ACCESS_KEY_ID'];
  delete process.env['AWS_SECRET_ACCESS_KEY'];
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sidegate-holds-'));
  store = openStore('record.db');
  chain = testChain();
  failures = 0;
});
afterEach(async () => {
  await keeper?.close();
  await archiver?.close();
  [keeper, archiver] = [undefined, undefined];
  for (const one of open.splice(0)) one.close();
  await store.close();
  rmSync(folder, { recursive: true });
  server.objects.clear();
  server.covers.clear();
  server.asked.length = 0;
  server.fault = undefined;
});

const openStore = (name: string): RecordStore => openSqliteStore({ path: join(folder, name), clock: systemClock });
const objects = (url = 's3://records/log'): ObjectStore => {
  const one = openS3(parseLocation(url, { endpoint: server.endpoint, region: 'eu-central-1', pathStyle: true }));
  open.push(one);
  return one;
};
const sign = async (time: { readonly now?: () => number } = {}): Promise<void> => {
  const heads = keepHeads({ store, key: privateKey, clock: { ...systemClock, ...time }, logger: silentLogger });
  await heads.sign();
  heads.close();
};
/** A segment of its own for each session. */
async function write(...sessions: readonly Omit<TestSession, 'id'>[]): Promise<void> {
  for (const session of sessions) {
    await store.append([blockOf(chain, [{ id: sessionId(number++), ...session }], systemClock.now())]);
    await archive();
  }
}
async function archive({ url, ...time }: { readonly url?: string; readonly now?: () => number } = {}): Promise<void> {
  await sign(time);
  archiver ??= startArchiver({
    ...{ store, objects: objects(url), key: privateKey, clock: systemClock, logger: silentLogger },
    lock: { mode: 'GOVERNANCE', days: 30 },
  });
  archiver.kick();
  const { size } = await store.log();
  await until(async () => (await store.archived()).entries === size);
}
const keep = (more: Partial<HoldKeeperOptions> = {}): HoldKeeper =>
  (keeper = startHoldKeeper({
    ...{ store, objects: objects(), keys: [publicKey], clock: systemClock, logger: silentLogger, ageMs: 0 },
    onFailure: () => failures++,
    random: () => -0.45,
    ...more,
  }));
const place = (terms: HoldTerms): Promise<number> =>
  store.placeHold({ at: systemClock.now(), who: 'eve', reason: 'case 7', terms });
const release = (id: number): Promise<boolean> =>
  store.releaseHold({ id, at: systemClock.now(), who: 'eve', reason: 'closed' });
/** First entries of the segments that carry a hold. */
const held = (): readonly number[] =>
  [...server.objects]
    .filter(([name, { held: is }]) => is === true && name.includes('/segments/'))
    .map(([name]) => readKey(name)?.number ?? -1)
    .sort((one, other) => one - other);
/** Until everything archived was looked at, and nothing is to be done. */
const done = (from = store): Promise<void> =>
  until(async () => {
    keeper?.kick();
    const { entries } = await from.archived();
    const { holds, toFree } = await from.archiveHolds.counts();
    return toFree === 0 && holds.every(({ waiting, lookedTo }) => waiting === 0 && lookedTo >= entries);
  });
const counts = async (id: number) => (await store.archiveHolds.counts()).holds.find((one) => one.id === id);

describe('a hold in the archive', () => {
  test('is on the segments that have what it names, those before it and those that come, and is taken off with the last that wants it', async () => {
    await write({}, { user: 'bob' }, {});
    const ana = await place({ user: 'ana' });
    keep();
    await done();
    expect(held()).toEqual([0, 2]);
    // Entry 3 is that of the hold.
    await write({ user: 'bob' }, {});
    const both = await place({ group: 'ml', user: 'ana', since: 0 });
    await archive();
    await done();
    expect(held()).toEqual([0, 2, 5]);
    expect(await counts(ana)).toMatchObject({ segments: 3, waiting: 0 });
    await release(ana);
    await done();
    expect(held()).toEqual([0, 2, 5]);
    await release(both);
    await done();
    expect(held()).toEqual([]);
    expect(await store.archiveHolds.counts()).toEqual({ holds: [], toFree: 0 });
    expect(failures).toBe(0);
  });

  test.each<[string, HoldTerms, readonly number[]]>([
    ['rule', { rule: 'support/no' }, [0]],
    ['label', { label: 'no' }, [0]],
    ['policy', { policy: 'ml/support' }, [0, 2]],
    ['model', { model: 'other' }, [1]],
    ['group', { group: 'staff' }, [2]],
  ])(
    'by %s is found by what the store knows, and where its lines are deleted by those in the archive',
    async (_, terms, first) => {
      await write({ rule: 'support/no' }, { rule: 'a/b', model: 'other' }, { groups: ['staff'] });
      const id = await place(terms);
      keep();
      await done();
      expect(held()).toEqual(first);
      await release(id);
      await done();
      expect(held()).toEqual([]);
      expect(await deleteOld(store, { before: Date.now() + 1, of: { allBut: [] } }, Date.now(), 100)).toBe(3);
      await place(terms);
      await done();
      expect(held()).toEqual(first);
      expect(failures).toBe(0);
    },
  );

  test('needs no more of a segment than its header, where the store has all lines', async () => {
    await write({}, { user: 'bob' }, {});
    await place({ user: 'ana' });
    const gets = (): readonly string[] => server.asked.filter((one) => /^GET .*[.]segment/.test(one));
    server.asked.length = 0;
    keep();
    await done();
    expect(held()).toEqual([0, 2]);
    expect(gets().map((one) => one.replace(/.* bytes=/, ''))).toEqual(['0-16383', '0-16383', '0-16383']);
    expect(await deleteOld(store, { before: Date.now() + 1, of: { allBut: [] } }, Date.now(), 1)).toBe(1);
    server.asked.length = 0;
    await place({ user: 'bob' });
    await done();
    expect(held()).toEqual([0, 1, 2]);
    expect(gets().filter((one) => !one.includes(' bytes='))).toHaveLength(1);
    expect(failures).toBe(0);
  });

  test('is on a segment whose header alone is signed, and whose lines are needed and no good', async () => {
    await write({ user: 'bob' }, { user: 'bob' });
    for (const [name, object] of server.objects)
      if (readKey(name)?.number === 0 && name.includes('/segments/')) {
        const body = Buffer.from(object.body);
        body.writeUInt8(body.readUInt8(body.length - 1) ^ 1, body.length - 1);
        server.objects.set(name, { ...object, body });
      }
    const id = await place({ user: 'ana' });
    let unreadable = 0;
    keep({ onUnreadable: () => unreadable++ });
    await done();
    expect([held(), unreadable]).toEqual([[], 0]);
    expect(await deleteOld(store, { before: Date.now() + 1, of: { allBut: [] } }, Date.now(), 9)).toBe(2);
    await release(id);
    await place({ user: 'ana' });
    await done();
    expect([held(), unreadable]).toEqual([[0], 1]);
  });

  describe('from a time on', () => {
    /** Segments of an hour each, a head over each, of which the last is of now; their lines are deleted. @returns times of them */
    const hours = async (count: number): Promise<readonly number[]> => {
      const now = systemClock.now();
      const times = Array.from({ length: count }, (_, n) => now - (count - 1 - n) * 3_600_000);
      for (const at of times) {
        await store.append([blockOf(chain, [{ id: sessionId(number++) }], at)]);
        await archive({ now: () => at });
      }
      const { at } = await store.log();
      expect(await deleteOld(store, { before: at + 1, of: { allBut: [] } }, at, 100)).toBe(count);
      server.asked.length = 0;
      return times;
    };
    const firsts = (): readonly number[] => [
      ...new Set(
        server.asked.flatMap((one) =>
          /^GET .*[.]segment/.test(one) ? (readKey(one.split(' ')[1] ?? '')?.number ?? []) : [],
        ),
      ),
    ];

    test('is looked for from the last signed segment before that, and in none of those before it', async () => {
      const times = await hours(6);
      await place({ since: times[3] ?? 0 });
      keep();
      await done();
      expect(held()).toEqual([3, 4, 5]);
      expect(firsts().toSorted()).toEqual([3, 4, 5]);
      await place({ since: systemClock.now() + 365 * day });
      await place({ since: 0 });
      await done();
      expect(held()).toEqual([0, 1, 2, 3, 4, 5]);
      expect(failures).toBe(0);
    });

    test('is on a session that began after it by the clock of its sidecar, which was four minutes ahead', async () => {
      const at = systemClock.now() - 7_200_000;
      for (const [hour, ahead] of [
        [-1, 0],
        [0, 4],
        [1, 0],
      ] as const) {
        const received = at + hour * 3_600_000;
        const events = sessionEvents({ id: sessionId(number++) });
        const block = blockOfEvents(chain, events, received + ahead * 60_000);
        await store.append([{ ...block, entry: { ...block.entry, at: received } } as typeof block]);
        await archive({ now: () => received });
      }
      await place({ since: at + 2 * 60_000 });
      keep();
      await done();
      expect(held()).toEqual([1, 2]);
      expect(failures).toBe(0);
    });

    test('goes by no head that the key has not signed', async () => {
      const times = await hours(4);
      const { heads } = store;
      store.heads = async (size, atMost) =>
        (await heads.call(store, size, atMost)).map((head) => ({
          ...head,
          text: head.text.replace('"at":1', '"at":2'),
        }));
      await place({ since: times[2] ?? 0 });
      keep();
      await done();
      expect([held(), firsts().toSorted()]).toEqual([
        [2, 3],
        [0, 1, 2, 3],
      ]);
    });

    test.each(['none', 'some', 'many'])(
      'begins with the segment that holds that time, whatever others have put among its names: %s',
      async (decoys) => {
        const now = systemClock.now();
        const timeOf = (n: number): number => now - (39 - n) * 3_600_000;
        // One segment of 35 entries, with a head in its middle.
        for (let n = 0; n < 40; n++) {
          await store.append([blockOf(chain, [{ id: sessionId(number++) }], timeOf(n))]);
          if ([4, 25, 39].includes(n)) await sign({ now: () => timeOf(n) });
          if (n !== 4) continue;
          await archive();
          await archiver?.close();
          archiver = undefined;
        }
        await archive();
        const [first = ''] = [...server.objects.keys()].filter((one) => one.includes('0000000000000005.segment'));
        const object = server.objects.get(first);
        if (object === undefined) throw new Error('segment');
        const put = { none: [], some: [24, 25], many: Array.from({ length: 20 }, (_, n) => n + 6) }[decoys] ?? [];
        for (const n of put) {
          const on = new Date(timeOf(n)).toISOString().slice(0, 10);
          const name = first.replace(/[^/]*[/][^/]*$/, `${on}/${String(n).padStart(16, '0')}.segment`);
          server.objects.set(name, { ...object, body: Buffer.from('decoy') });
        }
        const { at } = await store.log();
        expect(await deleteOld(store, { before: at + 1, of: { allBut: [] } }, at, 100)).toBe(40);
        server.asked.length = 0;
        await place({ since: timeOf(26) });
        keep();
        await done();
        expect(held()).toEqual([5]);
        // Among too many it is found from the first entry on.
        expect(firsts().includes(0)).toBe(decoys === 'many');
        expect(failures).toBe(0);
      },
    );

    test('also where some of the archive was lost and written anew, which overlaps what is left', async () => {
      const times = await hours(3);
      for (const name of [...server.objects.keys()])
        if (name.includes('/segments/') && readKey(name)?.number === 1) server.objects.delete(name);
      await archiver?.close();
      archiver = undefined;
      await store.append([blockOf(chain, [{ id: sessionId('anew') }], systemClock.now())]);
      await sign();
      expect(await store.moveArchived(await store.archived(), { entries: 1, heads: 1 })).toBe(true);
      await archive();
      await place({ since: times[2] ?? 0 });
      keep();
      await done();
      // The third as it was left, and what begins with the second.
      expect(held()).toEqual([1, 2]);
      expect(failures).toBe(0);
    });
  });

  test('is looked for with others that have seen more or less of the archive: each segment is read once', async () => {
    await write({}, { user: 'bob' }, { user: 'carl' }, {}, { user: 'bob' }, { user: 'carl' });
    expect(await deleteOld(store, { before: Date.now() + 1, of: { allBut: [] } }, Date.now(), 100)).toBe(6);
    const [ana, bob, carl] = [
      await place({ user: 'ana' }),
      await place({ user: 'bob' }),
      await place({ user: 'carl' }),
    ];
    const due = await store.archiveHolds.due(6);
    const some = (id: number) => ({ from: 0, holds: due?.holds.filter((one) => one.id === id) ?? [] });
    await store.archiveHolds.looked(some(ana), 3, { segment: 0, holds: [] });
    await store.archiveHolds.looked(some(bob), 1, { segment: 0, holds: [] });
    server.asked.length = 0;
    keep();
    await done();
    const whole = server.asked.filter((one) => /^GET .*[.]segment$/.test(one)).map((one) => readKey(one)?.number);
    expect(whole.toSorted()).toEqual([0, 1, 2, 3, 4, 5]);
    expect(held()).toEqual([1, 2, 3, 4, 5]);
    for (const [id, segments] of [
      [ana, 1],
      [bob, 2],
      [carl, 2],
    ] as const)
      expect([id, (await counts(id))?.segments]).toEqual([id, segments]);
    expect(failures).toBe(0);
  });

  test('by a rule is on what has no end, where only the archive has it', async () => {
    const [start, ...rest] = sessionEvents({ id: sessionId('open'), rule: 'support/no' });
    if (start === undefined) throw new Error('start');
    await store.append([blockOfEvents(chain, [start], systemClock.now())]);
    await archive();
    await store.append([blockOfEvents(chain, rest, systemClock.now())]);
    await archive();
    await write({ rule: 'a/b' });
    expect(await deleteOld(store, { before: Date.now() + 1, of: { allBut: [] } }, Date.now(), 100)).toBe(3);
    await place({ rule: 'support/no' });
    await place({ rule: 'none', user: 'bob' });
    keep();
    await done();
    // The start is in one segment, the end in another.
    expect(held()).toEqual([0, 1]);
  });

  test('by a time is on all of a session that began within it, also where its answer is in the next segment', async () => {
    const [start, ...rest] = sessionEvents({ id: sessionId('open') });
    if (start === undefined) throw new Error('start');
    const wall = Date.now();
    await store.append([{ ...blockOfEvents(chain, [start], wall) }]);
    await archive();
    await store.append([blockOfEvents(chain, rest, wall + 1_000)]);
    await archive();
    await store.append([blockOf(chain, [{ id: sessionId('later') }], wall + 1_000)]);
    await archive();
    const terms = { user: 'ana', until: wall + 500 };
    const id = await place(terms);
    keep();
    await done();
    const byStore = held();
    await release(id);
    await done();
    const { at } = await store.log();
    expect(await deleteOld(store, { before: at + 1, of: { allBut: [] } }, at, 100)).toBe(3);
    await place(terms);
    await done();
    expect([byStore, held()]).toEqual([
      [0, 1],
      [0, 1],
    ]);
  });

  test('goes by the first start of a session, as the store does, where its sidecar wrote two', async () => {
    const id = sessionId('twice');
    await store.append([
      blockOfEvents(chain, sessionEvents({ id }), systemClock.now()),
      blockOfEvents(chain, sessionEvents({ id, user: 'bob' }), systemClock.now()),
    ]);
    await archive();
    const first = await place({ user: 'ana' });
    keep();
    await done();
    const byStore = held();
    await release(first);
    await done();
    expect(await deleteOld(store, { before: Date.now() + 1, of: { allBut: [] } }, Date.now(), 100)).toBe(2);
    await place({ user: 'bob' });
    await done();
    expect(held()).toEqual([]);
    await place({ user: 'ana' });
    await done();
    expect([byStore, held()]).toEqual([[0], [0]]);
  });

  test('takes a session that goes on before it begins for one whose start is lost, as the store does', async () => {
    const id = sessionId('late');
    await store.append([
      blockOfEvents(chain, sessionEvents({ id }).slice(1), systemClock.now()),
      blockOfEvents(chain, sessionEvents({ id, user: 'bob' }), systemClock.now()),
    ]);
    await archive();
    const first = await place({ user: 'ana' });
    keep();
    await done();
    const byStore = held();
    await release(first);
    await done();
    expect(await deleteOld(store, { before: Date.now() + 1, of: { allBut: [] } }, Date.now(), 100)).toBe(2);
    await place({ user: 'ana' });
    await done();
    expect([byStore, held()]).toEqual([[0], [0]]);
  });

  test('by a namespace is on what people decided of its requests, also where only the archive has it', async () => {
    const change = (n: number, name: string): AuditEvent => ({
      ...{ type: 'change', session: sessionId(`change ${n}`), what: 'approval', step: 'approved', name },
      ...{ caller: null, rules: ['support/wire'] },
    });
    for (const [n, name] of ['claims/one', 'other/one'].entries()) {
      await store.append([blockOfEvents(chain, [change(n, name)], systemClock.now())]);
      await archive();
    }
    expect(await deleteOld(store, { before: Date.now() + 1, of: { allBut: [] } }, Date.now(), 100)).toBe(2);
    await place({ namespace: 'claims' });
    keep();
    await done();
    expect(held()).toEqual([0]);
  });

  test('waits until sessions have ended, as long as a segment is young', async () => {
    await write({ rule: 'support/no' });
    await place({});
    keep({ ageMs: 3_600_000 });
    await until(() => keeper?.waiting === 0);
    expect(await store.archiveHolds.due(1)).toMatchObject({ from: 0 });
    expect(held()).toEqual([]);
    await keeper?.close();
    keep();
    await done();
    expect(held()).toEqual([0]);
  });

  test('is brought where the log is a year ahead of the clock, as long after it was archived as a segment is young', async () => {
    await store.append([blockOf(chain, [{ id: sessionId('ahead') }], systemClock.now() + 365 * 86_400_000)]);
    await archive();
    await write({ user: 'bob' }, {});
    await place({ user: 'ana' });
    let passed = 0;
    const clock = { ...systemClock, monotonic: () => systemClock.monotonic() + passed };
    keep({ ageMs: 3_600_000, clock });
    await until(() => keeper?.waiting === 0);
    expect([held(), await store.archiveHolds.due(1)]).toMatchObject([[], { from: 0 }]);
    passed = 3_600_000;
    await done();
    expect(held()).toEqual([0, 2]);
  });

  test.each<S3Fault>(['hold_denied', 'no_hold', 'cut_after_hold', 'busy'])(
    'is tried again where the server does this: %s, is counted and seen meanwhile, and goes on with another process',
    async (fault) => {
      await write({}, {});
      const id = await place({ user: 'ana' });
      const told: string[] = [];
      server.fault = fault;
      keep({ logger: { ...silentLogger, error: (words) => void told.push(words) } });
      // What was done and not said the next round finds done.
      const isDone = fault === 'cut_after_hold';
      await until(() => failures > (isDone ? 0 : 1));
      expect(told[0]).toBe('holds were not brought into the archive: tried again');
      // Of an archive that says nothing it is not known what is to be done.
      const { waiting, lookedTo } = (await counts(id)) ?? { waiting: 0, lookedTo: 0 };
      if (!isDone) await until(() => (fault === 'busy' ? keeper?.unread : keeper?.waiting) !== 0);
      expect(fault === 'busy' ? lookedTo === 0 : isDone || waiting > 0).toBe(true);
      // Killed between what it noted and what it did.
      await keeper?.close();
      await archiver?.close();
      archiver = undefined;
      await store.close();
      store = openStore('record.db');
      server.fault = undefined;
      keep();
      await done();
      expect([held(), keeper?.waiting]).toEqual([[0, 1], 0]);
      expect(await counts(id)).toMatchObject({ segments: 2, waiting: 0 });
      // And so with what is taken off.
      server.fault = fault;
      await release(id);
      const before = failures;
      await until(() => failures > before);
      if (!isDone) expect((await store.archiveHolds.counts()).toFree).toBeGreaterThan(0);
      await keeper?.close();
      server.fault = undefined;
      keep();
      await done();
      expect(held()).toEqual([]);
    },
  );

  test('is put back within a day where somebody else has taken it off', async () => {
    await write({});
    await place({});
    keep();
    await done();
    const [name = ''] = [...server.objects.keys()].filter((one) => one.includes('/segments/'));
    const object = server.objects.get(name);
    if (object === undefined) throw new Error('segment');
    server.objects.set(name, { ...object, held: false });
    await store.archiveHolds.again(Date.now() + 2 * day, day);
    await done();
    expect(held()).toEqual([0]);
  });

  test('goes on where the first segments are no longer there, and over those that no key has signed', async () => {
    await write({}, { user: 'bob' }, {});
    for (const [name, object] of server.objects) {
      const key = name.includes('/segments/') ? readKey(name)?.number : undefined;
      if (key === 0) server.objects.delete(name);
      if (key === 1) server.objects.set(name, { ...object, body: Buffer.from('nothing') });
    }
    expect(await deleteOld(store, { before: Date.now() + 1, of: { allBut: [] } }, Date.now(), 100)).toBe(3);
    const id = await place({ user: 'ana' });
    keep();
    await done();
    // What cannot be read may be what it names.
    expect(held()).toEqual([1, 2]);
    // A segment that goes while it is held, which S3 lets nobody do.
    for (const name of [...server.objects.keys()]) if (readKey(name)?.number === 1) server.objects.delete(name);
    await release(id);
    await done();
    expect(held()).toEqual([]);
    expect(failures).toBe(0);
  });

  test('keeps its segment from who may delete, when its lock has ended', async () => {
    await write({}, { user: 'bob' });
    await place({ user: 'ana' });
    keep();
    await done();
    const names = [...server.objects.keys()].filter((one) => one.includes('/segments/')).sort();
    for (const name of names) {
      const object = server.objects.get(name);
      if (object !== undefined) server.objects.set(name, { ...object, until: Date.now() - 1 });
    }
    const { DeleteObjectCommand, S3Client } = await import('@aws-sdk/client-s3');
    const client = new S3Client({ endpoint: server.endpoint, region: 'eu-central-1', forcePathStyle: true });
    const remove = (Key = '') => client.send(new DeleteObjectCommand({ Bucket: 'records', Key, VersionId: 'v0' }));
    await expect(remove(names[0])).rejects.toMatchObject({ name: 'AccessDenied' });
    await remove(names[1]);
    expect(server.objects.has(names[0] ?? '')).toBe(true);
    client.destroy();
  });

  test.each(['decoy', 'two decoys'])(
    'is on the version that the log’s key has signed, and not on what was put there and marked deleted before it: %s',
    async (what) => {
      const { DeleteObjectCommand, PutObjectCommand, S3Client } = await import('@aws-sdk/client-s3');
      const client = new S3Client({ endpoint: server.endpoint, region: 'eu-central-1', forcePathStyle: true });
      const decoy = async (Key: string): Promise<void> => {
        await client.send(new PutObjectCommand({ Bucket: 'records', Key, Body: 'decoy' }));
        if (what === 'two decoys') await client.send(new PutObjectCommand({ Bucket: 'records', Key, Body: 'another' }));
        await client.send(new DeleteObjectCommand({ Bucket: 'records', Key }));
      };
      const heldOf = (name: string): readonly (boolean | undefined)[] =>
        [server.objects.get(name), ...(server.covers.get(name) ?? [])].map((one) =>
          one === 'marker' || one === undefined ? undefined : one.held === true,
        );
      await write({ user: 'bob' });
      const [first = ''] = [...server.objects.keys()].filter((one) => one.includes('/segments/'));
      const name = first.replace('0000000000000000.segment', '0000000000000001.segment');
      await decoy(name);
      await write({ user: 'ana' });
      const id = await place({ user: 'ana' });
      keep();
      await done();
      const below = what === 'decoy' ? [false, undefined] : [false, false, undefined];
      expect(heldOf(name)).toEqual([...below, true]);
      expect(await counts(id)).toMatchObject({ segments: 1, waiting: 0 });
      // Somebody takes it off, and lays more over it.
      await release(id);
      await done();
      expect(heldOf(name)).toEqual([...below, false]);
      await client.send(new PutObjectCommand({ Bucket: 'records', Key: name, Body: 'over it' }));
      await place({ user: 'ana' });
      await done();
      expect(heldOf(name)).toEqual([...below, true, false]);
      expect(failures).toBe(0);
      client.destroy();
    },
  );

  test('goes on where a name has been listed while only what was put there before the segment stood under it', async () => {
    await write({ user: 'bob' }, { user: 'bob' }, { user: 'bob' });
    const names = [...server.objects.keys()].filter((one) => one.includes('/segments/')).sort();
    const [first = ''] = names;
    // The first is gone, so that names are listed.
    server.objects.delete(first);
    const next = first.replace('0000000000000000.segment', '0000000000000004.segment');
    server.objects.set(next, { body: Buffer.from('decoy'), mode: undefined, until: undefined, checksum: undefined });
    server.covers.set(next, ['marker']);
    await place({ user: 'ana' });
    await archive();
    keep();
    await done();
    await write({ user: 'ana' });
    await done();
    expect([server.objects.get(next)?.held, server.covers.get(next)?.[1]]).toMatchObject([undefined, { held: true }]);
  });

  test.each(['8999999999999999', '9999999999999999', '0000000000000004'])(
    'goes by no name that others have put beside segments that a lifecycle rule has removed: %s',
    async (digits) => {
      await store.append([blockOf(chain, [{ id: sessionId(number++) }], systemClock.now() - 2 * 86_400_000)]);
      await archive();
      await write({ user: 'bob' }, {}, {});
      const [first = ''] = [...server.objects.keys()].filter((one) => one.includes('/segments/')).sort();
      const object = server.objects.get(first);
      if (object === undefined) throw new Error('segment');
      server.objects.delete(first);
      for (const day of ['', '2020-01-01', '9999-12-31'])
        server.objects.set(
          first.replace(/([0-9-]{10})[/][^/]*$/, (_, own: string) => `${day === '' ? own : day}/${digits}.segment`),
          { ...object, body: Buffer.from('x') },
        );
      const id = await place({ user: 'ana' });
      keep();
      await done();
      expect(held()).toEqual([2, 3]);
      expect(await counts(id)).toMatchObject({ segments: 2, lookedTo: (await store.archived()).entries });
      // And those that are placed, and that come, later.
      await place({ user: 'bob' });
      await write({});
      await done();
      expect(held()).toEqual([1, 2, 3, 4]);
      expect(failures).toBe(0);
    },
  );

  test('is on what is behind a segment that cannot be held, or that the archive does not give out, which is held for every hold', async () => {
    await write({ user: 'bob' }, {}, { user: 'bob' });
    const own = objects();
    const isFirst = (name: string): boolean => readKey(name)?.number === 0;
    const refused = (): Promise<never> => Promise.reject(new ObjectStoreError('refused', 'InvalidObjectState'));
    let open = false;
    let unreadable = 0;
    const id = await place({ user: 'ana' });
    keep({
      objects: {
        ...own,
        get: (name, version) => (isFirst(name) ? refused() : own.get(name, version)),
        hold: (name, version, on) => (isFirst(name) && !open ? refused() : own.hold(name, version, on)),
      },
      onUnreadable: () => unreadable++,
    });
    await until(async () => held().length === 1 && failures > 1 && (await counts(id))?.lookedTo === 3);
    expect([held(), unreadable, keeper?.waiting, keeper?.unread]).toEqual([[1], 1, 1, 0]);
    open = true;
    await done();
    expect(held()).toEqual([0, 1]);
  });

  test('is on segments that come before those that another hold, placed later, has not seen', async () => {
    await write({ user: 'bob' }, { user: 'bob' }, { user: 'bob' });
    await place({ user: 'ana' });
    keep();
    await done();
    await keeper?.close();
    await write({});
    await place({ user: 'carl' });
    const own = objects();
    const order: string[] = [];
    const note = (what: string, name: string): void => void order.push(`${what} ${readKey(name)?.number}`);
    keep({
      objects: {
        ...own,
        get: (name, version) => (note('get', name), own.get(name, version)),
      },
    });
    await done();
    // Entry 3 is that of the first hold.
    expect([order.indexOf('get 3') >= 0, order.indexOf('get 3') < order.indexOf('get 1')]).toEqual([true, true]);
    expect(held()).toEqual([3]);
  });

  test('is asked for again a day after it was last asked, whatever was started meanwhile, and not sooner', async () => {
    await write({}, { user: 'bob' });
    await place({});
    let [passed, monotonic] = [0, 0];
    const clock = {
      ...systemClock,
      now: () => systemClock.now() + passed,
      monotonic: () => systemClock.monotonic() + monotonic,
    };
    keep({ clock });
    await done();
    expect(held()).toEqual([0, 1]);
    const takeOff = (): void => {
      for (const [name, object] of server.objects) server.objects.set(name, { ...object, held: false });
      server.asked.length = 0;
    };
    const asked = (): boolean => server.asked.some((one) => one.includes('/segments/'));
    takeOff();
    // Begun anew, again and again.
    for (const hours of [1, 12, 23]) {
      await keeper?.close();
      [passed, monotonic] = [hours * 3_600_000, 0];
      keep({ clock });
      await until(() => keeper?.waiting === 0);
      monotonic = 700_000;
      keeper?.kick();
      await until(() => keeper?.waiting === 0);
    }
    expect([held(), asked()]).toEqual([[], false]);
    // In the process that goes on, by its own time; and in a new one at once.
    [passed, monotonic] = [day, 1_400_000];
    await until(() => (keeper?.kick(), held().length === 2));
    for (const step of [2 * day, -day]) {
      await keeper?.close();
      takeOff();
      // Clocks that have gone back say as little of what was asked then.
      [passed, monotonic] = [step, 0];
      keep({ clock });
      await until(() => held().length === 2);
    }
    expect(failures).toBe(0);
  });

  test('is on all versions of a segment of which none is signed', async () => {
    await write({ user: 'bob' });
    for (const [name, object] of server.objects)
      if (name.includes('/segments/')) {
        server.objects.set(name, { ...object, body: Buffer.from('x') });
        server.covers.set(name, [{ ...object, body: Buffer.from('y') }]);
      }
    const id = await place({ user: 'ana' });
    keep();
    await done();
    const [cover] = [...server.covers.values()].flat();
    expect([held(), cover]).toMatchObject([[0], { held: true }]);
    await release(id);
    await done();
    expect([held(), [...server.covers.values()].flat()[0]]).toMatchObject([[], { held: false }]);
  });

  test('is placed anew where the log is archived anew elsewhere', async () => {
    await write({}, { user: 'bob' });
    await place({ user: 'ana' });
    keep();
    await done();
    await keeper?.close();
    await archiver?.close();
    archiver = undefined;
    server.objects.clear();
    await archive({ url: 's3://records/elsewhere' });
    keep({ objects: objects('s3://records/elsewhere') });
    await done();
    expect(held()).toEqual([0]);
  });

  test('stands in a store that is made again from the archive, by age as in the archive; what was deleted stays deleted', async () => {
    await write({}, { user: 'bob' });
    await place({ user: 'ana' });
    await archive();
    expect(await deleteOld(store, { before: Date.now() + 1, of: { allBut: [] } }, Date.now(), 100)).toBe(1);
    await archive();
    await archiver?.close();
    archiver = undefined;
    const again = openStore('again.db');
    const source = objects();
    const log = await openArchivedLog(source, undefined, publicKey);
    const { fault } = await restoreArchive({ log, store: again, publicKey });
    expect(fault).toBeUndefined();
    await store.close();
    store = again;
    expect((await store.search({ limit: 9 })).sessions.map(({ subject }) => subject)).toEqual(['ana']);
    expect(
      await deleteOld(store, { before: Date.now() + 1, of: { allBut: [] }, archivedOnly: true }, Date.now(), 9),
    ).toBe(0);
    keep();
    await done();
    expect(held()).toEqual([0]);
    // The archive goes on where it was, and so does deletion by age.
    await write({ user: 'carl' });
    await done();
    const objectsNow = [...server.objects.keys()].length;
    const rule = { before: Date.now() + 1, of: { allBut: [] }, archivedOnly: true };
    expect(await deleteOld(store, rule, Date.now(), 9)).toBe(1);
    await release(1);
    expect(await deleteOld(store, rule, Date.now(), 9)).toBe(1);
    await done();
    expect([held(), [...server.objects.keys()].length]).toEqual([[], objectsNow]);
  });
});

import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { silentLogger, systemClock } from '../../pkg/base/index.ts';
import { createShares, openPostgresStore } from '../../pkg/recorder/index.ts';
import type { RecordStore, Shares } from '../../pkg/recorder/index.ts';
import { startPostgres } from '../support/postgres.ts';
import type { PostgresServer } from '../support/postgres.ts';
import { recordPod } from '../support/record-pod.ts';
import type { RecordPod } from '../support/record-pod.ts';
import { startRecorder } from '../support/recorder.ts';
import type { TestRecorder } from '../support/recorder.ts';
import { until } from '../support/wait.ts';

// Two tenants and one store that has little room left: who fills it waits, and the other goes on.

const mib = 1024 ** 2;
let server: PostgresServer;
let recorder: TestRecorder;
let shares: Shares;
/** Bytes that the store may take. */
let size = 0;
const pods: RecordPod[] = [];

beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());
afterEach(async () => {
  for (const pod of pods.splice(0)) await pod.close();
  await shares.close();
  await recorder.close();
});

const start = async (kind: 'embedded' | 'postgres'): Promise<void> => {
  recorder = await startRecorder({
    ...(kind === 'postgres' && {
      open: () => openPostgresStore({ dsn: server.dsn, schema: server.schema(), clock: systemClock }),
    }),
    shares(store) {
      // As a volume of that size would say it.
      const space: RecordStore['space'] = async () => {
        const { usedBytes } = await store.space();
        return { usedBytes, volume: { freeBytes: Math.max(0, size - usedBytes), sizeBytes: size } };
      };
      shares = createShares({
        store: { held: () => store.held(), append: (additions) => store.append(additions), space },
        belowPercent: 20,
        parts: {},
        databaseBytes: undefined,
        namespace: 'sidegate-system',
        clock: systemClock,
        logger: silentLogger,
        lookMs: 50,
      });
      return shares;
    },
  });
};
const pod = async (namespace: string, uid: string, limit?: number): Promise<RecordPod> => {
  const one = await recordPod(recorder, namespace, uid, limit === undefined ? {} : { limit });
  pods.push(one);
  return one;
};
const noise = (): string => randomBytes(30_000).toString('base64');
/** Sessions of a namespace that the store has, each once. */
const found = async (namespace: string): Promise<readonly string[]> => {
  const all: string[] = [];
  for (let cursor: string | undefined; ;) {
    const page = await recorder.store.search({ namespace, limit: 1_000, ...(cursor === undefined ? {} : { cursor }) });
    // What befell its process, such as its gap, is found as well.
    all.push(...page.sessions.filter(({ operation }) => operation === 'Chat').map(({ session }) => session));
    ({ cursor } = page);
    if (cursor === undefined) return all;
  }
};

describe.each(['embedded', 'postgres'] as const)('a tenant that fills a store of kind %s', (kind) => {
  test('waits once room is short, its spool fills and refuses; the other loses nothing and waits for nothing; with room again all is found', async () => {
    size = 10_000 * mib;
    await start(kind);
    const [hog, other] = [await pod('hog', 'uid-1', 24 * mib), await pod('ml', 'uid-2')];
    for (let n = 0; n < 100; n++) hog.write({ ask: noise() });
    other.write();
    // Nobody is refused while there is room.
    await until(() => hog.sender.pending() === 0 && other.sender.pending() === 0, 'both records');
    expect(shares.deferred()).toEqual([]);
    expect(recorder.told).not.toContain('refused share');

    size = (await recorder.store.space()).usedBytes;
    await until(() => shares.deferred().length > 0, 'a shortage');
    expect(shares.deferred()).toEqual(['hog']);
    // Its spool is all that it has, until that refuses.
    await until(() => {
      for (let n = 0; n < 50; n++) if (!hog.write({ ask: noise() })) return true;
      return false;
    }, 'a full spool');
    const before = (await found('hog')).length;
    for (let n = 0; n < 200; n++) other.write();
    await until(() => other.sender.pending() === 0, 'the record of the other');
    expect(other.refused()).toBe(0);
    expect((await found('ml')).toSorted()).toEqual([...other.taken].sort());
    expect((await found('hog')).length).toBe(before);
    expect(hog.sender.pending()).toBeGreaterThan(0);
    expect(recorder.told).toContain('refused share');

    size = 10_000 * mib;
    await until(() => shares.deferred().length === 0, 'room');
    await until(() => {
      hog.sender.kick();
      return hog.sender.pending() === 0;
    }, 'the rest of the record');
    expect((await found('hog')).toSorted()).toEqual([...hog.taken].sort());
    const entries = (await recorder.store.entries(0, 100_000)).filter(({ text }) => text.includes('"type":"share"'));
    expect(entries.map(({ text }) => JSON.parse(text) as object)).toEqual([
      expect.objectContaining({ namespace: 'hog', what: 'deferred' }),
    ]);
  }, 120_000);
});

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { generateKeyPairSync } from 'node:crypto';
import { fakeClock } from './fake-clock.ts';
import { until } from './wait.ts';
import { parseJson, silentLogger } from '../../pkg/base/index.ts';
import { createLogVerifier, sealBy } from '../../pkg/record/index.ts';
import type { LogVerdict, Seal } from '../../pkg/record/index.ts';
import { keepHeads } from '../../pkg/recorder/log/heads.ts';
import { writeRetention } from '../../pkg/recorder/log/retention.ts';
import { sessionId, testChain, testTime } from '../../pkg/recorder/testing/chains.ts';
import type { RecordStore } from '../../pkg/recorder/store/port.ts';
import { keepUp } from '../../pkg/recorder/store/upkeep.ts';
import { blockOf } from '../../pkg/recorder/store/testing/store-suite.ts';

const minute = 60_000;
const day = 86_400_000;
const years = 10 * 365 * day;
const retention = { all: 30, namespaces: {}, policies: {} };

/** Deletion by age where the recorder's clock was wrong by years: the same in every store. */
export function clockSuite(
  name: string,
  place: () => { openSealed(seal: Seal): RecordStore | Promise<RecordStore>; remove(): Promise<void> },
): void {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  let where: ReturnType<typeof place>;
  let store: RecordStore;
  beforeEach(async () => {
    where = place();
    store = await where.openSealed(sealBy(privateKey));
  });
  afterEach(async () => {
    await store.close();
    await where.remove();
  });

  /** A recorder on the store, whose clock the test moves. */
  const start = async (seed = 'a') => {
    const clock = fakeClock({ now: testTime });
    const chain = testChain(seed);
    let sessions = 0;
    let looks = 0;
    let indexed = 0;
    let looked = false;
    const timers = new Map<number, () => void>();
    await writeRetention({ store, retention, clock });
    const upkeep = keepUp({
      controlNamespace: 'sidegate-system',
      store: {
        ...store,
        async keepRetentionReached(at) {
          looked = true;
          indexed = 0;
          await store.keepRetentionReached(at);
        },
        // Once in the midst of each look at what is old, since time does not go on in it, and once behind it.
        async index() {
          if (looked && ++indexed === 2) {
            looks++;
            looked = false;
          }
          return false;
        },
        sweep: () => Promise.resolve(false),
      },
      clock: {
        ...clock,
        every(ms, run) {
          timers.set(ms, run);
          return { cancel: () => undefined };
        },
      },
      logger: silentLogger,
      retention,
      logEndsAt: 0,
      latest: () => store.latest(),
    });
    return {
      clock,
      upkeep,
      add: () => store.append([blockOf(chain, [{ id: sessionId(sessions++) }], clock.now())]),
      /** Lets time pass, and what is old be looked for. */
      async pass(ms: number) {
        clock.advance(ms);
        const before = looks;
        timers.get(minute)?.();
        await until(() => {
          timers.get(200)?.();
          return looks > before;
        }, 'a look at what is old');
      },
      left: async () =>
        (await store.search({ limit: 100 })).sessions
          .map(({ session }) => session)
          .toSorted((a, b) => (a < b ? -1 : 1)),
    };
  };
  const idsOf = (...numbers: number[]): string[] => numbers.map(sessionId).toSorted((a, b) => (a < b ? -1 : 1));
  const marks = async (): Promise<readonly { readonly at: number; readonly clock: number }[]> =>
    (await store.allOf('clock', 0, 1_000)).map(({ text }) => {
      const root = parseJson(text);
      return { at: root.get('at')?.number ?? 0, clock: root.get('clock')?.number ?? 0 };
    });
  const verify = async (clock: ReturnType<typeof fakeClock>, retentionDays?: number): Promise<LogVerdict> => {
    const keeper = keepHeads({ store, key: privateKey, clock, logger: silentLogger });
    await keeper.sign();
    keeper.close();
    const heads = (await store.heads(0, 100)).map(({ text }) => text);
    const verifier = createLogVerifier({ publicKey, heads, ...(retentionDays !== undefined && { retentionDays }) });
    for (const { index, text } of await store.entries(0, 10_000)) {
      verifier.entry(index, text);
      const lines = await store.blockLines(index);
      verifier.lines(index, lines && Buffer.from(lines).toString());
    }
    return verifier.end();
  };

  describe(`${name}: a recorder’s clock that was ahead by years for one entry`, () => {
    test('keeps nothing for years: what comes is deleted at its age by the clock, and that is proven', async () => {
      const { clock, add, pass, left, upkeep } = await start();
      await add();
      await pass(minute);
      clock.step(years);
      await add();
      clock.step(-years);
      await pass(minute);
      await add();
      await pass(day);
      for (let days = 0; days < 28; days++) {
        if (days === 10) await add();
        await pass(day);
      }
      expect(await left()).toEqual(idsOf(0, 1, 2, 3));
      // The one of before at its age; that of the moment, and what came just behind it, by the mark that stands behind each.
      await pass(day + 10 * minute);
      expect(await left()).toEqual(idsOf(2, 3));
      await pass(day);
      expect(await left()).toEqual(idsOf(3));
      for (let days = 0; days < 12; days++) await pass(day);
      expect(await left()).toEqual([]);
      const verdict = await verify(clock);
      expect(verdict).toMatchObject({ ok: true, findings: [], deleted: 4 });
      expect(verdict.youngestDeletedMs).toBeGreaterThanOrEqual(30 * day);
      expect(verdict.youngestDeletedMs).toBeLessThan(32 * day);
      expect((await verify(clock, 33)).findings.map(({ fault }) => fault)).toEqual([
        'deleted_early',
        'deleted_early',
        'deleted_early',
        'deleted_early',
      ]);
      await upkeep.close();
    });

    test('is told by marks of the log, at most one an hour and none where nothing came, by whichever recorder', async () => {
      const one = await start();
      await one.pass(minute);
      one.clock.step(years);
      await one.add();
      one.clock.step(-years);
      for (let n = 0; n < 5; n++) await one.pass(minute);
      expect(await marks()).toHaveLength(1);
      await one.pass(2 * 60 * minute);
      expect(await marks()).toHaveLength(1);
      await one.add();
      await one.pass(minute);
      expect(await marks()).toHaveLength(2);
      await one.upkeep.close();
      const other = await start('b');
      other.clock.advance(130 * minute);
      await other.add();
      for (let n = 0; n < 10; n++) await other.pass(minute);
      expect(await marks()).toHaveLength(2);
      await other.pass(60 * minute);
      await other.pass(minute);
      const all = await marks();
      expect(all).toHaveLength(3);
      for (const { at, clock } of all) expect(at - clock).toBeGreaterThan(years - day);
      await other.upkeep.close();
    });
  });

  describe(`${name}: a recorder’s clock that is behind by years`, () => {
    test('marks nothing, and what came then is deleted at its age once it is right', async () => {
      const { clock, add, pass, left, upkeep } = await start();
      await add();
      await pass(minute);
      clock.step(-years);
      await add();
      for (let n = 0; n < 3; n++) await pass(60 * minute);
      clock.step(years);
      for (let days = 0; days < 29; days++) await pass(day);
      expect(await marks()).toEqual([]);
      expect(await left()).toEqual(idsOf(0, 1));
      await pass(day);
      await pass(day);
      expect(await left()).toEqual([]);
      expect(await verify(clock)).toMatchObject({ ok: true, findings: [], deleted: 2 });
      await upkeep.close();
    });
  });
}

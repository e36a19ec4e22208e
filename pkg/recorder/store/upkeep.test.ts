import { describe, expect, test } from '@jest/globals';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { silentLogger } from '../../base/index.ts';
import { keepUp } from './upkeep.ts';

const stats = { entries: 0, blocks: 1, events: 2, sessions: 3, lineBytes: 4, diskBytes: 5, unindexed: 0 };
const dayMs = 86_400_000;
const nothing = { deleted: 0, reached: undefined, more: false };
const noMarks = {
  allOf: async () => [],
  append: async () => undefined,
  log: async () => ({ size: 0, root: new Uint8Array(), at: 0 }),
};

function make(retentionDays: number, unindexed = 0, old = 0, times = { reached: 0, logEndsAt: 0 }) {
  const clock = fakeClock();
  const warnings: string[] = [];
  const log = { latest: 0 };
  const sweeps: number[] = [];
  const asked: number[] = [];
  const froms: (number | undefined)[] = [];
  const holds = { version: '' };
  let left = unindexed;
  let kept = old;
  const upkeep = keepUp({
    controlNamespace: 'sidegate-system',
    store: {
      index: async () => {
        if (left > 0) left--;
        return left > 0;
      },
      async deleteOld({ before, after }, _now, atMost) {
        asked.push(before);
        froms.push(after?.entry);
        const deleted = Math.min(kept, atMost);
        kept -= deleted;
        const entry = (after?.entry ?? -1) + 1;
        return { deleted, reached: { received: before, entry }, more: deleted > 0 };
      },
      holdsVersion: async () => holds.version,
      async sweep() {
        sweeps.push(clock.monotonic());
        clock.stall(60_000);
        return sweeps.length % 3 !== 0;
      },
      stats: async () => stats,
      ...noMarks,
      retentionReached: async () => times.reached,
      async keepRetentionReached(at) {
        times.reached = at;
      },
    },
    clock,
    latest: () => log.latest,
    logger: { ...silentLogger, warn: (words) => void warnings.push(words) },
    retention: { all: retentionDays, namespaces: {}, policies: {} },
    logEndsAt: times.logEndsAt,
  });
  return { clock, warnings, log, asked, froms, holds, sweeps, upkeep, left: () => left, kept: () => kept };
}

describe('the upkeep of a store', () => {
  test('indexes what came, and reads the numbers', async () => {
    const { clock, upkeep, left } = make(0, 5);
    expect(upkeep.stats()).toBeUndefined();
    await clock.advanceAsync(10_000);
    expect(left()).toBe(0);
    expect(upkeep.stats()).toEqual(stats);
    await upkeep.close();
    expect(clock.pending).toBe(0);
  });

  test('deletes what people decided of requests when these are old enough', async () => {
    const clock = fakeClock();
    const asked: unknown[] = [];
    const upkeep = keepUp({
      store: {
        ...noMarks,
        index: async () => false,
        async deleteOld({ of, exceptAbout }) {
          asked.push([of, exceptAbout]);
          return nothing;
        },
        holdsVersion: async () => '',
        sweep: async () => false,
        stats: async () => stats,
        retentionReached: async () => 0,
        keepRetentionReached: async () => undefined,
      },
      ...{ clock, logger: silentLogger, logEndsAt: 0, latest: () => 0, controlNamespace: 'sidegate-system' },
      retention: { all: 30, namespaces: { finance: 0 }, policies: {} },
    });
    await clock.advanceAsync(180_000);
    await upkeep.close();
    expect(asked).toContainEqual([{ namespace: 'sidegate-system' }, [{ namespaces: { namespace: 'finance' } }]]);
  });

  test('says once that the log is ahead of the clock', async () => {
    const { clock, warnings, log, upkeep } = make(30);
    log.latest = clock.now() + 30 * 60_000;
    await clock.advanceAsync(120_000);
    expect(warnings).toEqual([]);
    log.latest = clock.now() + 3_650 * dayMs;
    await clock.advanceAsync(180_000);
    expect(warnings).toEqual([expect.stringContaining('the log is ahead of the clock')]);
    await upkeep.close();
  });

  test('deletes what is older than it is to be kept, step by step, each minute', async () => {
    const { clock, asked, upkeep, kept } = make(30, 0, 120);
    await clock.advanceAsync(59_000);
    expect(asked).toEqual([]);
    await clock.advanceAsync(3_000);
    expect(kept()).toBe(0);
    // Until nothing is left: a store may delete less than it is asked to.
    expect(asked).toHaveLength(4);
    expect(clock.now() - (asked[0] ?? 0)).toBeGreaterThanOrEqual(30 * dayMs);
    expect(clock.now() - (asked[0] ?? 0)).toBeLessThan(30 * dayMs + 5_000);
    await upkeep.close();
  });

  test('marks nothing by a clock that is behind that of another recorder of the store', async () => {
    const [right, slow] = [fakeClock(), fakeClock()];
    const behindMs = 90 * 60_000;
    slow.step(-behindMs);
    const marked: number[] = [];
    let reached = right.now();
    let size = 0;
    const latest = (): number => right.now();
    const [one, other] = [right, slow].map((clock) =>
      keepUp({
        controlNamespace: 'sidegate-system',
        store: {
          index: async () => false,
          deleteOld: async () => nothing,
          holdsVersion: async () => '',
          sweep: async () => false,
          stats: async () => stats,
          ...noMarks,
          // Blocks come all the time.
          log: async () => ({ size: ++size, root: new Uint8Array(), at: 0 }),
          append: async () => void marked.push(clock.now()),
          retentionReached: async () => reached,
          keepRetentionReached: async (at) => void (reached = Math.max(reached, at)),
        },
        ...{ clock, latest, logger: silentLogger, logEndsAt: right.now() },
        retention: { all: 30, namespaces: {}, policies: {} },
      }),
    );
    for (let minutes = 0; minutes < 180; minutes++) {
      await right.advanceAsync(60_000);
      await slow.advanceAsync(60_000);
    }
    expect(marked).toEqual([]);
    // Where it is the only one, nobody knows better once it is as far as the other was.
    await one?.close();
    await slow.advanceAsync(behindMs);
    expect(marked).toEqual([]);
    right.step(behindMs);
    await slow.advanceAsync(2 * 60_000);
    expect(marked.length).toBeGreaterThan(0);
    await other?.close();
  });

  test('deletes nothing at once by a clock that is a day ahead for a moment', async () => {
    const { clock, asked, upkeep } = make(30);
    await clock.advanceAsync(62_000);
    const right = clock.now();
    clock.step(dayMs);
    await clock.advanceAsync(10 * 60_000);
    clock.step(-dayMs);
    expect(asked.length).toBeGreaterThan(5);
    // Early by as long as it was ahead.
    expect(Math.max(...asked)).toBeLessThanOrEqual(right + 20 * 60_000 - 30 * dayMs);
    await upkeep.close();
  });

  test('looks at what is kept again once a day, and after holds have changed; otherwise at what has become old since', async () => {
    const { clock, froms, holds, upkeep } = make(30);
    const minutes = async (n: number): Promise<number> => {
      const before = froms.length;
      await clock.advanceAsync(n * 60_000);
      return froms.slice(before).filter((from) => from === undefined).length;
    };
    expect(await minutes(2)).toBe(1);
    expect(await minutes(23 * 60)).toBe(0);
    expect(froms.at(-1)).toBeGreaterThan(froms.at(-2) ?? Infinity);
    expect(await minutes(60)).toBe(1);
    expect(await minutes(60)).toBe(0);
    holds.version = 'another';
    expect(await minutes(2)).toBe(1);
    expect(await minutes(60)).toBe(0);
    await upkeep.close();
  });

  test('deletes by the other rules where one fails, and says that it failed', async () => {
    const clock = fakeClock();
    const asked: unknown[] = [];
    const errors: unknown[] = [];
    const upkeep = keepUp({
      controlNamespace: 'sidegate-system',
      store: {
        index: async () => false,
        async deleteOld({ of }) {
          asked.push(of);
          if ('allBut' in of) throw new Error('too many names');
          return nothing;
        },
        holdsVersion: async () => '',
        sweep: async () => false,
        stats: async () => stats,
        ...noMarks,
        retentionReached: async () => 0,
        keepRetentionReached: () => Promise.reject(new Error('full')),
      },
      latest: () => 0,
      clock,
      logger: { ...silentLogger, error: (_, fields) => void errors.push(fields) },
      retention: { all: 30, namespaces: { ml: 20 }, policies: {} },
      logEndsAt: 0,
    });
    await clock.advanceAsync(61_000);
    expect(asked).toEqual([{ allBut: ['ml'] }, { namespace: 'ml' }]);
    expect(errors).toEqual([{ error: expect.stringContaining('full') }]);
    await upkeep.close();
  });

  test('goes on from the time that was reached before it began, and keeps that time', async () => {
    const start = fakeClock().now();
    const times = { reached: start - dayMs, logEndsAt: start + 99 * dayMs };
    const { clock, asked, upkeep } = make(30, 0, 0, times);
    await clock.advanceAsync(62_000);
    expect(asked).toEqual([start - 31 * dayMs]);
    await clock.advanceAsync(60_000);
    expect(times.reached).toBe(start - dayMs + 2 * 60_000);
    await upkeep.close();
  });

  test('sweeps each hour, to its end, and where that takes long has 99 times as long for the rest', async () => {
    const { clock, sweeps, upkeep } = make(0);
    await clock.advanceAsync(3_600_000 - 1_000);
    expect(sweeps).toEqual([]);
    await clock.advanceAsync(61_000);
    // Three minutes.
    expect(sweeps).toHaveLength(3);
    await clock.advanceAsync(299 * 60_000);
    expect(sweeps).toHaveLength(3);
    await clock.advanceAsync(5 * 60_000);
    expect(sweeps).toHaveLength(6);
    await upkeep.close();
  });

  test('deletes nothing where nothing is to be deleted', async () => {
    const { clock, asked, upkeep } = make(0, 0, 120);
    await clock.advanceAsync((3 * dayMs) / 24 / 10);
    expect(asked).toEqual([]);
    await upkeep.close();
  });
});

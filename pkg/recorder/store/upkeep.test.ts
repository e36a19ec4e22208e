import { describe, expect, test } from '@jest/globals';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { silentLogger } from '../../base/index.ts';
import { keepUp } from './upkeep.ts';

const stats = { entries: 0, blocks: 1, events: 2, sessions: 3, lineBytes: 4, diskBytes: 5, unindexed: 0 };
const dayMs = 86_400_000;

function make(retentionDays: number, unindexed = 0, old = 0) {
  const clock = fakeClock();
  const asked: number[] = [];
  const froms: number[] = [];
  let left = unindexed;
  let kept = old;
  const upkeep = keepUp({
    store: {
      index: async () => {
        if (left > 0) left--;
        return left > 0;
      },
      async deleteOld({ before, from = 0 }, _now, atMost) {
        asked.push(before);
        froms.push(from);
        const deleted = Math.min(kept, atMost);
        kept -= deleted;
        return deleted;
      },
      stats: async () => stats,
    },
    clock,
    logger: silentLogger,
    retention: { all: retentionDays, namespaces: {}, policies: {} },
    logEndsAt: 0,
  });
  return { clock, asked, froms, upkeep, left: () => left, kept: () => kept };
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

  test('deletes what is older than it is to be kept, step by step, each minute', async () => {
    const { clock, asked, upkeep, kept } = make(30, 0, 120);
    await clock.advanceAsync(59_000);
    expect(asked).toEqual([]);
    await clock.advanceAsync(3_000);
    expect(kept()).toBe(0);
    expect(asked).toHaveLength(3);
    expect(clock.now() - (asked[0] ?? 0)).toBeGreaterThanOrEqual(30 * dayMs);
    expect(clock.now() - (asked[0] ?? 0)).toBeLessThan(30 * dayMs + 5_000);
    await upkeep.close();
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

  test('looks at what it kept again each hour, and meanwhile at what has become old since', async () => {
    const { clock, froms, upkeep } = make(30);
    await clock.advanceAsync(60_000 * 62);
    const [first, second, ...rest] = froms;
    expect([first, rest.filter((from) => from === 0)]).toEqual([0, [0]]);
    expect(second).toBeLessThanOrEqual(clock.now() - 30 * dayMs);
    expect(rest[0]).toBeGreaterThan(second ?? 0);
    await upkeep.close();
  });

  test('deletes by the other rules where one fails, and says that it failed', async () => {
    const clock = fakeClock();
    const asked: unknown[] = [];
    const errors: unknown[] = [];
    const upkeep = keepUp({
      store: {
        index: async () => false,
        async deleteOld({ of }) {
          asked.push(of);
          if ('allBut' in of) throw new Error('too many names');
          return 0;
        },
        stats: async () => stats,
      },
      clock,
      logger: { ...silentLogger, error: (_, fields) => void errors.push(fields) },
      retention: { all: 30, namespaces: { ml: 20 }, policies: {} },
      logEndsAt: 0,
    });
    await clock.advanceAsync(61_000);
    expect(asked).toEqual([{ allBut: ['ml'] }, { namespace: 'ml' }]);
    expect(errors).toEqual([{ error: expect.stringContaining('too many names') }]);
    await upkeep.close();
  });

  test('deletes nothing where nothing is to be deleted', async () => {
    const { clock, asked, upkeep } = make(0, 0, 120);
    await clock.advanceAsync((3 * dayMs) / 24 / 10);
    expect(asked).toEqual([]);
    await upkeep.close();
  });
});

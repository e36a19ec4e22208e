import { describe, expect, it } from '@jest/globals';
import { StateCache, unknown } from './state-cache.ts';

const setOf = (first: number, length: number): Int32Array => Int32Array.from({ length }, (_, at) => first + at);

describe('StateCache', () => {
  it('is emptied when its table is full', () => {
    const cache = new StateCache<undefined>(4, 16);
    for (let at = 0; at < 16; at++) cache.intern(setOf(at, 1), '', undefined);
    expect(cache.generation).toBe(0);
    cache.intern(setOf(16, 1), '', undefined);
    expect(cache.generation).toBe(1);
  });

  it('is emptied when its sets and their keys take twice as much as a full table', () => {
    const most = 2 * 64 * 100 * 4;
    const cache = new StateCache<undefined>(64, 100);
    let kept = 0;
    let at = 0;
    for (; cache.generation === 0; at++) {
      kept = Math.max(kept, cache.kept);
      cache.intern(setOf(at, 1000), '', undefined);
      expect(cache.kept).toBeLessThanOrEqual(most);
    }
    expect(at).toBeLessThan(20);
    expect(kept).toBeGreaterThan(most / 2);
    // The one that came last stands there, and nothing else.
    expect(cache.get(0).set).toEqual(setOf(at - 1, 1000));
    expect(cache.table.every((entry) => entry === unknown)).toBe(true);
  });

  it('holds one state however large it is', () => {
    const cache = new StateCache<undefined>(1, 16);
    for (let at = 0; at < 3; at++) {
      const id = cache.intern(setOf(at, 1000), '', undefined);
      expect(cache.get(id).set).toHaveLength(1000);
      expect(cache.intern(setOf(at, 1000), '', undefined)).toBe(id);
    }
  });
});

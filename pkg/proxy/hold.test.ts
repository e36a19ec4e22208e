import { describe, expect, test } from '@jest/globals';
import { HoldBook, holdLimits } from './hold.ts';

describe('those who wait for people', () => {
  test('are 1,000 in a pod; the next finds no place until one leaves, once', () => {
    const book = new HoldBook();
    const leave = Array.from({ length: holdLimits.perPod }, (_, at) => book.enter(`caller ${at % 50}`, 1_000));
    expect(leave.every((one) => one !== undefined)).toBe(true);
    expect([book.count, book.enter('another', 1)]).toEqual([1_000, undefined]);
    leave[0]?.();
    leave[0]?.();
    expect(book.count).toBe(999);
    expect(book.enter('another', 1)).toBeDefined();
    expect(book.enter('another', 1)).toBeUndefined();
  });

  test('are 20 of one caller, who keeps nobody else out', () => {
    const book = new HoldBook();
    const mine = Array.from({ length: holdLimits.perCaller }, () => book.enter('greedy', 1));
    expect([book.enter('greedy', 1), book.count]).toEqual([undefined, 20]);
    expect(book.enter('another', 1)).toBeDefined();
    mine[0]?.();
    expect(book.enter('greedy', 1)).toBeDefined();
  });

  test('hold so many bytes together and no more; what was refused counts for nothing', () => {
    const book = new HoldBook({ perPod: 10, perCaller: 10, bytes: 100, bytesPerCaller: 100, keptBytes: 0 });
    const leave = book.enter('a', 60);
    expect(book.enter('b', 41)).toBeUndefined();
    expect(book.enter('b', 40)).toBeDefined();
    expect([book.enter('c', 1), book.count]).toEqual([undefined, 2]);
    leave?.();
    expect(book.enter('c', 60)).toBeDefined();
  });

  test('of one caller hold a fourth of the bytes, or one of up to half, and leave the rest to others', () => {
    const book = new HoldBook({ perPod: 10, perCaller: 10, bytes: 100, bytesPerCaller: 25, keptBytes: 0 });
    const long = book.enter('long', 50);
    expect([book.enter('longer', 51), book.enter('long', 1)]).toEqual([undefined, undefined]);
    expect([book.enter('many', 20), book.enter('many', 6)]).toEqual([expect.any(Function), undefined]);
    expect(book.enter('many', 5)).toBeDefined();
    expect(book.enter('another', 25)).toBeDefined();
    long?.();
    expect(book.enter('long', 25)).toBeDefined();
    expect(book.count).toBe(4);
  });

  test('never fill with long ones what is kept for callers who hold nothing yet', () => {
    const book = new HoldBook();
    const [kib, mib] = [1_024, 1_024 * 1_024];
    // Each is a body of 8 MiB, which counts twice: the second would take what is kept.
    const first = book.enter('one', 16 * mib);
    expect([book.enter('two', 16 * mib), book.enter('two', 8 * mib)]).toEqual([undefined, expect.any(Function)]);
    expect([book.enter('three', 512 * kib + 1), book.enter('one', 1), book.enter('two', 1)]).toEqual(
      Array.from({ length: 3 }, () => undefined),
    );
    const others = Array.from({ length: 16 }, (_, at) => book.enter(`other ${at}`, 512 * kib));
    expect(others.every((one) => one !== undefined)).toBe(true);
    expect([book.enter('other 0', 1), book.enter('last', 1)]).toEqual([undefined, undefined]);
    first?.();
    expect([book.enter('other 0', 4 * mib), book.enter('last', 4 * mib)]).toEqual([
      expect.any(Function),
      expect.any(Function),
    ]);
  });
});

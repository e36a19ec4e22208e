import { describe, expect, test } from '@jest/globals';
import { BoundedQueue } from './queue.ts';

describe('a bounded queue', () => {
  test('gives items back in the order in which they came, also after it wrapped and grew', () => {
    const queue = new BoundedQueue<number>(100);
    const out: (number | undefined)[] = [];
    let next = 0;
    for (let round = 0; round < 50; round++) {
      for (let n = 0; n < 3; n++) queue.push(next++);
      out.push(queue.shift(), queue.shift());
    }
    while (queue.size > 0) out.push(queue.shift());
    expect(out).toEqual(Array.from({ length: 150 }, (_, at) => at));
  });

  test('refuses an item over its capacity and keeps what it has', () => {
    const queue = new BoundedQueue<string>(2);
    expect([queue.push('a'), queue.push('b'), queue.push('c')]).toEqual([true, true, false]);
    expect(queue.full).toBe(true);
    expect([queue.shift(), queue.shift(), queue.shift()]).toEqual(['a', 'b', undefined]);
  });

  test('has room again after an item was taken', () => {
    const queue = new BoundedQueue<string>(1);
    queue.push('a');
    queue.shift();
    expect(queue.push('b')).toBe(true);
    expect(queue.peek()).toBe('b');
    expect(queue.size).toBe(1);
  });

  test('keeps undefined as an item like any other', () => {
    const queue = new BoundedQueue<string | undefined>(2);
    queue.push(undefined);
    queue.push('b');
    expect(queue.size).toBe(2);
    expect(queue.shift()).toBeUndefined();
    expect(queue.shift()).toBe('b');
  });

  test('is empty after it was cleared', () => {
    const queue = new BoundedQueue<number>(40);
    for (let n = 0; n < 40; n++) queue.push(n);
    queue.clear();
    expect([queue.size, queue.peek(), queue.shift()]).toEqual([0, undefined, undefined]);
  });

  test.each([0, -1, 1.5, Number.NaN])('cannot be made with a capacity of %p', (capacity) => {
    expect(() => new BoundedQueue(capacity)).toThrow(RangeError);
  });
});

import { expect, test } from '@jest/globals';
import { createTakenBlocks } from './taken-blocks.ts';

test('each block has its source, its time, whether its lines are there, and what says that they were deleted', () => {
  const blocks = createTakenBlocks();
  blocks.add(0, 'one', 5);
  blocks.add(255, 'two', 6);
  blocks.add(256, 'one', 7);
  blocks.add(1e12, 'three', 8);
  expect([0, 255, 256, 1e12].map((index) => blocks.get(index))).toEqual([
    { source: 'one', at: 5 },
    { source: 'two', at: 6 },
    { source: 'one', at: 7 },
    { source: 'three', at: 8 },
  ]);
  for (const index of [1, 257, 1e12 + 1, NaN, -1, 0.5]) expect(blocks.get(index)).toBeUndefined();
  for (const index of [0, 255, 1e12, 1]) blocks.miss(index);
  expect([...blocks.missing()]).toEqual([0, 255, 1e12]);
  // By an entry that a head must have signed, and by a seal, which is not taken back.
  expect([blocks.delete(0, 300, false), blocks.delete(0, 301, false)]).toEqual([true, false]);
  expect([blocks.explains(0, 301), blocks.explains(0, 302), blocks.explains(255, 302)]).toEqual([false, true, false]);
  expect([blocks.delete(255, 302, true), blocks.delete(255, 303, false)]).toEqual([true, false]);
  expect(blocks.explains(255, 0)).toBe(true);
  // Of what was not taken nothing is kept, however often it is said.
  expect([blocks.delete(9, 304, true), blocks.explains(9, 1_000)]).toEqual([true, false]);
});

test('a block takes some twenty bytes', () => {
  const before = process.memoryUsage().arrayBuffers;
  const blocks = createTakenBlocks();
  const count = 256 * 1_000;
  for (let n = 0; n < count; n++) blocks.add(n, `source ${n % 10}`, n);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(24 * count);
  expect(blocks.get(count - 1)).toEqual({ source: 'source 9', at: count - 1 });
});

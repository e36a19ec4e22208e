import { expect, test } from '@jest/globals';
import { compress } from './compress.ts';
import { tailOf } from './tail.ts';

const of = (text: string): string | undefined =>
  tailOf({ data: compress(Buffer.from(text)), size: Buffer.byteLength(text) });
const line = (text: string, length = 0): string => `${text.padEnd(length, '.')}\n`;

test.each<[string, string, string]>([
  ['a short block', line('a') + line('b'), line('a') + line('b')],
  ['a long one', line('a', 2_000_000) + line('b') + line('c'), line('b') + line('c')],
  ['one whose last line is long', line('a') + line('b', 5_000), ''],
])('the tail of %s is its last whole lines', (_, text, tail) => {
  expect(of(text)).toBe(tail);
});

test('a block that was deleted has none', () => {
  expect(tailOf({ data: null, size: 3 })).toBeUndefined();
});

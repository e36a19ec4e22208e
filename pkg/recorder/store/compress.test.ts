import { expect, jest, test } from '@jest/globals';
import * as zlib from 'node:zlib';

let fault: Error | undefined;
const real = zlib.zstdDecompressSync;
jest.unstable_mockModule('node:zlib', () => ({
  ...zlib,
  zstdDecompressSync: (...args: Parameters<typeof real>) => {
    if (fault !== undefined) throw fault;
    return real(...args);
  },
}));
const { compress, unpacked } = await import('./compress.ts');

const lines = Buffer.from('{"v":1,"seq":1}\n'.repeat(100));

test('lines come back as they were', () => {
  expect(unpacked(compress(lines), lines.length)?.equals(lines)).toBe(true);
});

test.each<[string, (packed: Buffer) => Buffer, number]>([
  ['nothing is left', () => Buffer.alloc(0), lines.length],
  ['something else stands there', () => Buffer.alloc(20), lines.length],
  ['the end was cut off', (packed) => packed.subarray(0, -3), lines.length],
  ['a bit was flipped', (packed) => packed.fill(0xff, 6, 12), lines.length],
  ['there is more than was packed', (packed) => packed, 10],
  ['more is said to have been packed than can be', (packed) => packed, 1e300],
])('a block of which %s is damaged', (_, damage, size) => {
  expect(unpacked(damage(compress(lines)), size)).toBeUndefined();
});

test.each(['ZSTD_error_memory_allocation', 'ERR_ZLIB_INITIALIZATION_FAILED', undefined])(
  'a block is not taken for damaged where there was no memory to look at it: %s',
  (code) => {
    fault = Object.assign(new RangeError('no memory'), code === undefined ? {} : { code });
    const packed = compress(lines);
    expect(() => unpacked(packed, lines.length)).toThrow('no memory');
    fault = undefined;
    expect(unpacked(packed, lines.length)).toEqual(lines);
  },
);

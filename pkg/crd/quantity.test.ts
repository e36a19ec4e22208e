import { expect, test } from '@jest/globals';
import { parseDuration, parseSize } from './quantity.ts';

test.each([
  ['300ms', 300],
  ['0s', 0],
  ['30s', 30_000],
  ['2m', 120_000],
  ['24h', 86_400_000],
  ['1d', undefined],
  ['1.5s', undefined],
  ['-1s', undefined],
  ['1h30m', undefined],
  ['s', undefined],
  ['', undefined],
  [' 1s', undefined],
  ['1s\n', undefined],
])('the duration %j is %p ms', (text, expected) => {
  expect(parseDuration(text)).toBe(expected);
});

test.each<[string | number, number | undefined]>([
  [512, 512],
  ['512', 512],
  ['1Ki', 1024],
  ['1Mi', 1_048_576],
  ['1Gi', 1_073_741_824],
  ['1kB', 1000],
  ['1KB', 1000],
  ['1MB', 1_000_000],
  ['2GB', 2_000_000_000],
  ['999999999999Gi', undefined],
  [-1, undefined],
  [1.5, undefined],
  ['1mb', undefined],
  ['1 Mi', undefined],
])('the size %j is %p bytes', (value, expected) => {
  expect(parseSize(value)).toBe(expected);
});

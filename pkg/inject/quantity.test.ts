import { expect, test } from '@jest/globals';
import { quantityBytes, spoolLimit } from './quantity.ts';

test.each([
  ['1024', 1_024],
  ['1k', 1_000],
  ['1Ki', 1_024],
  ['16Mi', 16_777_216],
  ['1Gi', 1_073_741_824],
  ['1.5Gi', 1_610_612_736],
  ['500M', 500_000_000],
  ['2T', 2_000_000_000_000],
  ['1Pi', 1_125_899_906_842_624],
  ['1500m', 1],
  ['', undefined],
  ['Gi', undefined],
  ['1KB', undefined],
  ['-1', undefined],
  ['1e3', undefined],
  ['1 Gi', undefined],
  // As in Kubernetes, what is more than it can count is the most that it can.
  ['9999999Ei', Number.MAX_SAFE_INTEGER],
])('%j is %p bytes', (text, bytes) => {
  expect(quantityBytes(text)).toBe(bytes);
});

test('the record takes three quarters of its volume', () => {
  expect(spoolLimit('1Gi')).toBe(805_306_368);
  expect(spoolLimit('1')).toBe(0);
});

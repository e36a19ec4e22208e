import { expect, test } from '@jest/globals';
import { patternUnits } from './pattern-units.ts';

test.each([
  ['abc', 8],
  ['[a-z]{1000}', 1_005],
  ['a{3}-b{2}', 11],
  ['(ab){3}', 11],
  ['((ab){10}c){10}', 215],
  ['a{2,5}', 10],
  ['a{2,}', 8],
  ['\\pL{1000}', 30_005],
  ['\\p{Greek}+', 36],
  ['[^\\pL]{10}', 305],
  ['[\\w\\pL]{10}', 305],
  ['\\{3\\}', 8],
  ['[{3}]', 6],
  ['[]a]{3}', 8],
  ['(?i)ж{10}', 307],
  [')))', 8],
  ['(((', 5],
  ['', 5],
])('%s: %i', (pattern, units) => {
  expect(patternUnits(pattern)).toBe(units);
});

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
  ['(?i)ж{10}', 46],
  ['(?i)жук жук', 101],
  ['(?i)\\x{436}\\x{0436}x', 68],
  ['\\x{0441}{3}', 8],
  ['\\x{10FFFF}\\x41', 7],
  ['\\Q[\\E\\pL{1000}\\PL{990}x0]', 59_709],
  ['\\Qa{3}\\E{2}', 10],
  ['\\\\Q[a]{9}', 16],
  ['\\Q[a]{9}', 11],
  ['\\Q\\E[a]{9}', 14],
  [')))', 8],
  ['(((', 5],
  ['', 5],
])('%s: %i', (pattern, units) => {
  expect(patternUnits(pattern)).toBe(units);
});

test('a letter outside ASCII is counted once in one policy, where case does not matter', () => {
  const letters = new Set<string>();
  expect(patternUnits('(?i)жук', letters)).toBe(97);
  expect(patternUnits('(?i)жука', letters)).toBe(40);
});

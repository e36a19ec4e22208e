import { expect, test } from '@jest/globals';
import { cpuMs } from '../../test/support/cost.ts';
import { checkPattern } from '../detect/index.ts';
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
  ['[\\x{80}-\\x{10ffff}]', 6],
  ['(?i)[\\x{80}-\\x{10ffff}]', 7_828],
  ['(?i)[^a\\x{80}-\\x{10ffff}]{3}', 7_888],
  ['(?i)[\\\\x{80}-\\x{10ffff}]', 7_828],
  ['(?i)[\\d--\\x{10ffff}]', 7_863],
  ['(?i)[[:^ascii:]\\x{80}-\\x{10ffff}]', 7_858],
  ['(?i)[\\123-\\x{10ffff}]', 7_836],
  ['(?i)[\\x00-\\777a-z]', 41],
  ['(?i)[\\x{20000}-\\x{10ffff}]', 8],
  ['(?i)[а-яё]', 37],
  ['(?i)[a-z-]', 9],
  ['(?i)\\PL\\W', 287],
  ['[\\pL\\pN]', 65],
])('%s: %i', (pattern, units) => {
  expect(patternUnits(pattern)).toBe(units);
});

test.each([
  '[\\x{N}-\\x{10ffff}]',
  '[!\\x{N}-\\x{10ffff}]',
  '[\\\\\\x{N}-\\x{10ffff}]',
  '[^\\x{N}-\\x{ffff}]',
  '[\\d--\\x{10ffff}\\x{N}]',
  '[[:^ascii:]\\x{N}-\\x{10ffff}]',
  '[\\123-\\x{10ffff}\\x{N}]',
  '[b-\u{1e943}\\x{N}]',
  '[b-\\x{7ff}\\x{N}]',
  '\\PL',
  '[\\PL\\PN]',
  '\\W',
])('to read (?i)%s takes no more than its units say', (form) => {
  // Each time a pattern that was not read before.
  const pattern = (n: number): string =>
    `(?i)${Array.from({ length: 3 }, (_, at) => form.replace('N', (0x80 + 3 * n + at).toString(16))).join('')}q{${n}}`;
  checkPattern(pattern(9), 256);
  let n = 9;
  const ms = cpuMs(() => checkPattern(pattern(++n), 256));
  // A unit is 2 µs; ten times that, for machines that are slow.
  expect((ms * 1_000) / patternUnits(pattern(n))).toBeLessThan(20);
});

test('a letter outside ASCII is counted once in one policy, where case does not matter', () => {
  const letters = new Set<string>();
  expect(patternUnits('(?i)жук', letters)).toBe(97);
  expect(patternUnits('(?i)жука', letters)).toBe(40);
});

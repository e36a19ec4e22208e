import { expect, test } from '@jest/globals';
import type { Pattern } from '../automaton/pattern.ts';
import { wordPattern } from './word.ts';

/** What is taken for each letter of a word of fewer than four. */
const lettersOf = (word: string): readonly (readonly number[])[] => {
  const { instructions }: Pattern = wordPattern(word, (code) => String.fromCodePoint(code))!.pattern;
  return instructions.flatMap((one) => (one.op === 'char' ? [one.ranges] : []));
};

test('a letter is one array in all words, so that 32,000 of them are not told apart again', () => {
  const [a, b] = lettersOf('ab');
  const [c, again] = lettersOf('ca');
  expect(again).toBe(a);
  expect([a, b, c]).toEqual([
    [0x34, 0x34, 0x40, 0x40, 0x41, 0x41, 0x61, 0x61],
    [0x38, 0x38, 0x42, 0x42, 0x62, 0x62],
    [0x43, 0x43, 0x63, 0x63],
  ]);
});

test('letters beyond those that are kept are read as well', () => {
  for (let code = 0x4e00; code < 0x5f00; code++) lettersOf(String.fromCodePoint(code));
  expect(lettersOf('я龍')).toEqual([
    [0x42f, 0x42f, 0x44f, 0x44f],
    [0x9f8d, 0x9f8d],
  ]);
});

test.each(['a', 'as', 'word', 'ignore all previous instructions', 'a-b  c.d', '1gn0re', '日本 語'])(
  'what a word comes to is counted before it is made: %s',
  (word) => {
    const { pattern } = wordPattern(word, (code) => String.fromCodePoint(code))!;
    expect(pattern.size).toBe(pattern.instructions.length);
    expect(pattern.instructions).toEqual(pattern.instructions);
  },
);

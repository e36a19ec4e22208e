import { expect, test } from '@jest/globals';
import { heldWords } from './hold.ts';

const warning = /nothing in the store goes with it/;

test('a hold with which nothing goes is told to be spelled wrong, perhaps', () => {
  expect(heldWords({ sessions: 0, blocks: 0, whole: true })).toMatch(warning);
});

test.each([
  [{ sessions: 1, blocks: 1, whole: true }, 'it holds 1 sessions, in 1 blocks of lines'],
  [{ sessions: 0, blocks: 0, whole: false }, 'it holds at least 0 sessions, in 0 blocks of lines'],
  [undefined, 'how much it holds could not be counted'],
])('one that holds something, or of which it is not known, is not: %j', (held, words) => {
  expect(heldWords(held)).toBe(words);
});

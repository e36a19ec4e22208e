import { expect, test } from '@jest/globals';
import { foldWords } from './fold-words.ts';
import { gramsAsked, gramsOf, hasGrams, withoutGrams } from './grams.ts';

test('of what is written together there are its characters and pairs of them, in one spelling', () => {
  expect([...gramsOf('東京都 (a)')]).toEqual(['東', '京', '都', '東京', '京都']);
  expect([...gramsOf('ﾊﾞｽ')]).toEqual(['バ', 'ス', 'バス']);
  expect([...gramsOf('서울'.normalize('NFD'))]).toEqual(['서', '울', '서울']);
  expect([...gramsOf('𠮷野')]).toEqual(['𠮷', '野', '𠮷野']);
  expect(gramsAsked('東京都 野')).toEqual(['東京', '京都', '野']);
});

test('what other languages write is no part of it, accents and half characters included', () => {
  for (const text of [
    'Zürich',
    'Zürich'.normalize('NFD'),
    'ñandú'.normalize('NFD'),
    'Ελλάδα',
    'Москва',
    'שלום',
    '“a” 😀',
    '\ud83d',
    '①、。',
  ])
    expect([...gramsOf(text)]).toEqual([]);
  expect(withoutGrams('GPT模型 x')).toBe('GPT  x');
});

test('no text that has some is taken for one that has none', () => {
  const missed: string[] = [];
  for (let code = 0; code <= 0x10ffff; code++) {
    const character = String.fromCodePoint(code);
    if (withoutGrams(character) !== character && !hasGrams(character)) missed.push(code.toString(16));
  }
  expect(missed).toEqual([]);
});

test('words of a text have both, each once', () => {
  expect(foldWords(['Café 東京 東京'])).toEqual(['東', '京', '東京', 'cafe']);
});

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { foldCodePoint } from '../fold/index.ts';
import { WordJoints, classOfLetter } from './word-joints.ts';
import { formsOf } from './word.ts';

const joins = (words: readonly string[], before: string, behind: string): boolean => {
  const start = /[^\p{L}\p{N}]*$/u.exec(before)?.index ?? 0;
  const end = before.length + 5 + behind.search(/[\p{L}\p{N}]/u);
  return new WordJoints(words, foldCodePoint).mayJoin(`${before}     ${behind}`, start, end);
};

test('what is written for a letter is of one class with it', () => {
  for (let code = 1; code <= 0xffff; code += 1) {
    const char = String.fromCharCode(code);
    const forms = formsOf(char).map((form) => String.fromCodePoint(form));
    const others = forms.filter((form) => classOfLetter(form) !== classOfLetter(char));
    if (others.length > 0) throw new Error(`${code.toString(16)}: ${others.join()}`);
  }
});

describe('a gap in which a word may go on', () => {
  test.each([
    ['project falcon', 'proj', 'ect'],
    ['project falcon', 'PROJECT', 'Falcon'],
    ['project falcon', 'project f4', '1c0n'],
    ['project falcon', 'project falco', 'n is'],
    ['project falcon', 'project f', 'a...l.con'],
    ['project falcon', 'project f', '𝐚lcon'],
    ['project falcon', 'project f', 'ａｌcon'],
    ['project falcon', 'project fa', 'l\u0301con'],
    ['fail', 'f', 'a!l'],
    ['Straße', 'stra', 'sse'],
    ['проект', 'про', 'ект'],
    ['代号猎鹰', '代号', '猎鹰'],
    ['ab', 'a', 'b'],
  ])('%s: %s, %s', (word, before, behind) => {
    expect(joins(['other words', word], before, behind)).toBe(true);
  });

  test.each([
    ['the end.', 'Another one'],
    ['return x;', 'const y'],
    ['| 12', '34 |'],
    ['projec', 'ta'],
  ])('is told from others: %s, %s', (before, behind) => {
    expect(joins(['project falcon', 'ignore all previous instructions'], before, behind)).toBe(false);
  });

  test('wherever a word is parted, whatever stands for its letters', () => {
    const letter = fc.constantFrom(...'abcdefghilnostyz', 'é', 'ж', '鹰');
    const word = fc.array(letter, { minLength: 2, maxLength: 12 });
    fc.assert(
      fc.property(word, fc.array(word, { maxLength: 5 }), fc.nat(), fc.nat(), (letters, others, at, seed) => {
        const cut = 1 + (at % (letters.length - 1));
        const written = letters.map((char, index) => {
          const forms = formsOf(foldCodePoint(char.codePointAt(0) ?? 0));
          // Beside the gap stand letters and digits: a sign there is a part of it.
          const usable = forms.filter((form) => /[\p{L}\p{N}]/u.test(String.fromCodePoint(form)));
          return String.fromCodePoint(usable[(seed + index) % usable.length] ?? 0);
        });
        const words = [...others.map((one) => one.join('')), letters.join('')];
        expect(joins(words, written.slice(0, cut).join(''), written.slice(cut).join(''))).toBe(true);
      }),
    );
  });
});

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { tells } from '../testing/slow-tells.ts';
import { TellingWords, toldWithin } from './telling.ts';

const told = (text: string, ...words: string[]): boolean =>
  new TellingWords([undefined, ['other', ...words]]).before(text, text.length)[1] === 1;

describe('a word tells', () => {
  test.each([
    ['NHS: ', 'nhs'],
    ['my nhs no. ', 'nhs'],
    ['nhs_number=', 'nhs number'],
    ['nhsNumber: ', 'nhs number'],
    ['nhs-number ', 'nhs number'],
    ['NHSNUMBER ', 'nhs number'],
    ['patientNhsNumber=', 'nhs number'],
    ['tin1: ', 'tin'],
    ['DL: ', 'dl'],
    ['个人番号は', '番号'],
    ['주민등록번호는 ', '주민등록번호'],
    [`nhs${' '.repeat(toldWithin - 3)}`, 'nhs'],
  ])('%j of %j', (text, word) => {
    expect(told(text, word)).toBe(true);
    expect(tells(text, text.length, [word])).toBe(true);
  });

  test.each([
    ['a meeting ', 'tin'],
    ['tinfoil ', 'tin'],
    ['userDlNumber ', 'dl'],
    ['xnhs ', 'nhs'],
    ['nhs--number ', 'nhs number'],
    ['nhs the number ', 'nhs number'],
    ['', 'nhs'],
    ['nh', 'nhs'],
    [`nhs${' '.repeat(toldWithin - 2)}`, 'nhs'],
  ])('not %j of %j', (text, word) => {
    expect(told(text, word)).toBe(false);
    expect(tells(text, text.length, [word])).toBe(false);
  });
});

test('each list is told of by its own words alone, as the word by word reading has it', () => {
  const piece = fc.constantFrom('a', 'b', 'A', 'B', ' ', '_', '-', '番', '1', ',');
  const word = fc
    .array(fc.constantFrom('a', 'b', ' ', '番'), { minLength: 1, maxLength: 4 })
    .map((parts) => parts.join('').trim().replace(/ +/g, ' '))
    .filter((one) => one !== '');
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 60 }),
      fc.array(fc.array(word, { maxLength: 3 }), { maxLength: 3 }),
      fc.nat(60),
      (pieces, lists, place) => {
        const text = pieces.join('');
        const start = Math.min(place, text.length);
        expect(Array.from(new TellingWords(lists).before(text, start), Boolean)).toEqual(
          lists.map((words) => tells(text, start, words)),
        );
      },
    ),
    { numRuns: 2_000 },
  );
});

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { found } from './brute-force.ts';
import { iban, ibanLength } from './iban.ts';

/** ISO 13616: the check digits that make a country and account valid. */
function withCheckDigits(country: string, account: string): string {
  const digits = Array.from(`${account}${country}00`, (character) => String(parseInt(character, 36))).join('');
  return `${country}${String(98n - (BigInt(digits) % 97n)).padStart(2, '0')}${account}`;
}

describe('Iban', () => {
  test.each([
    ['Germany', 'DE89370400440532013000'],
    ['Germany in fours', 'DE89 3704 0044 0532 0130 00'],
    ['the United Kingdom', 'GB29 NWBK 6016 1331 9268 19'],
    ['France', 'FR1420041010050500013M02606'],
    ['Norway, the shortest', 'NO93 8601 1117 947'],
    ['Belgium', 'BE68539007547034'],
    ['Malta', 'MT84MALT011000012345MTLCAST001S'],
    ['Saint Lucia', 'LC55 HEMM 0001 0001 0012 0012 0002 3015'],
    ['Saudi Arabia', 'SA0380000000608010167519'],
    ['lower case', 'de89 3704 0044 0532 0130 00'],
    ['hyphens', 'CH93-0076-2011-6238-5295-7'],
  ])('finds one of %s', (_what, number) => {
    expect(found(iban, `IBAN: ${number}, BIC X`)).toEqual([number]);
    expect(found(iban, number)).toEqual([number]);
  });

  test('finds one that is glued to the word', () => {
    expect(found(iban, 'IBANDE89370400440532013000')).toEqual(['DE89370400440532013000']);
  });

  test.each([
    ['wrong check digits', 'DE88370400440532013000'],
    ['a country without IBANs', 'US89370400440532013000'],
    ['a length that is not the country’s', 'DE8937040044053201300'],
    ['more digits after it', 'DE893704004405320130001'],
    ['letters before it', 'XDE89370400440532013000'],
    ['a part number', 'AB12 3456 7890 1234 5678'],
    ['a hash', 'de12ab34cd56ef7890ab12cd34ef56ab78cd90ef'],
    ['words of four letters', 'in20 case they come from here with that'],
  ])('leaves %s', (_what, text) => {
    expect(found(iban, text)).toEqual([]);
  });

  test('finds any valid number of every country, grouped or not, and none with a digit changed', () => {
    const countries = Array.from({ length: 676 }, (_, index) =>
      String.fromCharCode(0x41 + Math.floor(index / 26), 0x41 + (index % 26)),
    ).filter((country) => ibanLength(country, 0) > 0);
    expect(countries.length).toBe(89);
    const character = fc.constantFrom(...'0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ');
    fc.assert(
      fc.property(
        fc.constantFrom(...countries),
        fc.array(character, { minLength: 29, maxLength: 29 }),
        fc.constantFrom('', ' ', '-'),
        (country, characters, separator) => {
          const number = withCheckDigits(country, characters.join('').slice(0, ibanLength(country, 0) - 4));
          const grouped = (number.match(/.{1,4}/g) ?? []).join(separator);
          expect(found(iban, `to ${grouped}.`)).toEqual([grouped]);
          const digit = (Number(number[3]) + 1) % 10;
          expect(found(iban, number.slice(0, 3) + String(digit) + number.slice(4))).toEqual([]);
        },
      ),
      { numRuns: 150 },
    );
  });
});

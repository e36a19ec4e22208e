import { inCapitals, shapedNumber } from './issued-number.ts';

// Italy. Codice fiscale: six letters of the name, year, letter of the month, day, letter and three digits of the municipality, and a check
// letter (Decreto Ministeriale 23 December 1976, n. 13813). Of persons who would have the same one, digits are replaced by letters from
// the right (omocodia).

const months = 'abcdehlmprst';
/** What letters stand for digits, in their order. */
const substitutes = 'lmnpqrstuv';
/** Values of 0-9 and A-Z at odd places, counted from one; at even places digits and letters count as they are. */
const odd = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];

const value = (code: number): number => (code < 0x40 ? code - 0x30 : code - 0x61);

const numeral = (code: number): number => (code < 0x40 ? code - 0x30 : substitutes.indexOf(String.fromCharCode(code)));

/** 1 to 31, of women 40 more. */
const isDayOfBirth = (day: number): boolean => (day >= 1 && day <= 31) || (day >= 41 && day <= 71);

const d = '[0-9LMNPQRSTUV]';

export const itCodiceFiscale = shapedNumber({
  name: 'ItCodiceFiscale',
  pattern: `(?i:[A-Z]{3} ?[A-Z]{3} ?${d}{2}[ABCDEHLMPRST]${d}{2} ?[A-Z]${d}{3} ?[A-Z])`,
  maxLength: 20,
  least: 16,
  telling: ['codice fiscale', 'fiscale', 'cf', 'tessera sanitaria'],
  alone: (text, start, end) => inCapitals(text, start, end) || end - start === 16,
  valid(characters) {
    if (!months.includes(String.fromCharCode(characters[8] as number))) return false;
    if (!isDayOfBirth(numeral(characters[9] as number) * 10 + numeral(characters[10] as number))) return false;
    let sum = 0;
    for (let at = 0; at < 15; at += 1) {
      const one = value(characters[at] as number);
      sum += at % 2 === 0 ? (odd[one] as number) : one;
    }
    return sum % 26 === value(characters[15] as number);
  },
});

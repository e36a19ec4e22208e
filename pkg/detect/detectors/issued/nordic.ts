import { digit, isDay, luhn, pair, weighed, whole } from './check-digits.ts';
import { digitNumber, inCapitals, shapedNumber } from './issued-number.ts';

// Numbers of persons in the Nordic countries, each a date of birth and what tells apart who was born on it.

/**
 * Sweden. Personnummer: date, `-` (`+` from the age of hundred on), three digits and Luhn's (Skatteverket SKV 704). The day of a
 * samordningsnummer is 60 more. With the century, of twelve digits, the last ten count.
 */
export const sePersonnummer = digitNumber({
  name: 'SePersonnummer',
  least: 10,
  telling: ['personnummer', 'person nummer', 'personnr', 'samordningsnummer', 'personal identity number', 'pnr'],
  alone: ['######-####', '######+####', '########-####', '########+####'],
  told: ['##########', '############', '###### ####', '######## ####'],
  valid(characters, length) {
    const from = length - 10;
    const day = pair(characters, from + 4);
    return isDay(pair(characters, from + 2), day > 60 ? day - 60 : day) && luhn(characters, from, length);
  },
});

const finnish = '0123456789abcdefhjklmnprstuvwxy';

/**
 * Finland. Henkilötunnus: date, a sign for the century (`+`, `-`, `A` and since 2023 others), three digits, and a character for the number
 * modulo 31 (Digi- ja väestötietovirasto).
 */
export const fiHetu = shapedNumber({
  name: 'FiHetu',
  pattern: '[0-3][0-9][01][0-9]{3}(?:[-+]|(?i:[A-FU-Y]))[0-9]{3}(?i:[0-9A-FHJ-NPR-Y])',
  maxLength: 11,
  least: 10,
  telling: ['hetu', 'henkilotunnus', 'henkilotunnuksesi', 'personbeteckning', 'personal identity code'],
  alone: inCapitals,
  valid(characters, length) {
    const number = whole(characters, 0, 6) * 1_000 + whole(characters, length - 4, length - 1);
    return (
      isDay(pair(characters, 2), pair(characters, 0)) && finnish.charCodeAt(number % 31) === characters[length - 1]
    );
  },
});

const first = [3, 7, 6, 1, 8, 9, 4, 5, 2, 1];
const second = [5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1];

/**
 * Norway. Fødselsnummer: date, three digits and two check digits, both mod 11 (Skatteetaten). The day of a D-number is 40 more, the month of
 * a number in tests and hospitals 40 or 80.
 */
export const noFodselsnummer = digitNumber({
  name: 'NoFodselsnummer',
  least: 11,
  telling: ['fodselsnummer', 'fodselsnr', 'personnummer', 'd nummer', 'fnr', 'national identity number'],
  alone: ['###########', '###### #####', '######-#####'],
  valid: (characters) =>
    isDay(pair(characters, 2) % 40, pair(characters, 0) % 40) &&
    weighed(characters, 0, first) % 11 === 0 &&
    weighed(characters, 0, second) % 11 === 0,
});

/**
 * Denmark. CPR number: date and four digits (CPR-kontoret). Its check digit has not been kept to since 2007, so the date alone tells.
 */
export const dkCpr = digitNumber({
  name: 'DkCpr',
  unchecked: true,
  least: 10,
  telling: ['cpr', 'cpr nummer', 'cpr nr', 'personnummer', 'central person register'],
  alone: ['######-####'],
  told: ['##########', '###### ####'],
  valid: (characters) => isDay(pair(characters, 2), pair(characters, 0)) && digit(characters, 0) < 4,
});

import { digit, isDay, pair, weighed } from './check-digits.ts';
import { digitNumber } from './issued-number.ts';

// Poland. PESEL: date of birth (the month tells the century), four digits and a check digit (Ustawa o ewidencji ludności, art. 15).

const weights = [1, 3, 7, 9, 1, 3, 7, 9, 1, 3];

export const plPesel = digitNumber({
  name: 'PlPesel',
  least: 11,
  telling: ['pesel', 'numer ewidencyjny'],
  told: ['###########', '###### #####'],
  valid: (characters) =>
    isDay(pair(characters, 2) % 20, pair(characters, 4)) &&
    (10 - (weighed(characters, 0, weights) % 10)) % 10 === digit(characters, 10),
});

import { digit, isDay, luhn, pair } from './check-digits.ts';
import { digitNumber } from './issued-number.ts';

// South Africa. Identity number: date of birth, four digits, citizenship (0, 1, of refugees 2), a digit, and Luhn's (Identification Act 1997).

export const zaId = digitNumber({
  name: 'ZaId',
  least: 13,
  telling: [
    'id number',
    'id no',
    'identity number',
    'rsa id',
    'sa id',
    'south african id',
    'identiteitsnommer',
    'id nommer',
  ],
  alone: ['###### #### ###', '###### #### ## #'],
  told: ['#############', '######-####-###'],
  valid: (characters) =>
    isDay(pair(characters, 2), pair(characters, 4)) && digit(characters, 10) < 3 && luhn(characters, 0, 13),
});

import { digit, same, weighed } from './check-digits.ts';
import { digitNumber } from './issued-number.ts';

// Australia. Tax file number: nine digits (older ones eight), weighted sum a multiple of 11. Business number: eleven digits, mod 89 (Australian
// Business Register, Format of the ABN). Medicare card: ten digits, the ninth a check digit, the last the issue, and the person's number on it.

const taxWeights = [1, 4, 3, 7, 5, 8, 6, 9, 10];
const oldTaxWeights = [10, 7, 8, 4, 6, 3, 5, 1];

export const auTfn = digitNumber({
  name: 'AuTfn',
  least: 8,
  telling: ['tfn', 'tax file number', 'tax file no', 'tax file', 'tax number', 'tax no'],
  told: ['#########', '### ### ###', '###-###-###', '########', '### ### ##', '###-###-##'],
  valid: (characters, length) =>
    !same(characters, length) && weighed(characters, 0, length === 9 ? taxWeights : oldTaxWeights) % 11 === 0,
});

const businessWeights = [10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19];

export const auAbn = digitNumber({
  name: 'AuAbn',
  least: 11,
  telling: ['abn', 'business number', 'business no'],
  alone: ['## ### ### ###'],
  told: ['###########', '##-###-###-###'],
  // One is taken from the first digit.
  valid: (characters) =>
    digit(characters, 0) > 0 && (weighed(characters, 0, businessWeights) - (businessWeights[0] as number)) % 89 === 0,
});

const medicareWeights = [1, 3, 7, 9, 1, 3, 7, 9];

export const auMedicare = digitNumber({
  name: 'AuMedicare',
  least: 10,
  telling: ['medicare'],
  alone: ['#### ##### #', '#### ##### # #', '#### ##### #-#', '#### ##### #/#'],
  told: ['##########', '###########', '####-#####-#', '####-#####-#-#', '##########-#', '##########/#', '########## #'],
  valid: (characters) => weighed(characters, 0, medicareWeights) % 10 === digit(characters, 8),
});

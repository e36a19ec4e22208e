import { digit, isDay, pair, same, weighed } from './check-digits.ts';
import { digitNumber, inCapitals, shapedNumber } from './issued-number.ts';

// United Kingdom. NHS number: ten digits, the last a check digit (mod 11; NHS Data Dictionary, NHS NUMBER). National Insurance number: two
// letters, six digits and a suffix (HMRC, National Insurance Manual NIM39110), without a check. Driver number: five
// characters of the name, decade, month (50 more of women), day and year of birth, initials and three more (DVLA, INF1D).

const nhsWeights = [10, 9, 8, 7, 6, 5, 4, 3, 2];

export const ukNhsNumber = digitNumber({
  name: 'UkNhsNumber',
  least: 10,
  telling: ['nhs', 'national health service', 'health number', 'chi number', 'chi no', 'h and c number'],
  told: ['##########', '### ### ####', '###-###-####'],
  valid: (characters, length) =>
    !same(characters, length) && (11 - (weighed(characters, 0, nhsWeights) % 11)) % 11 === digit(characters, 9),
});

const prefix = (first: number, second: number): number => first * 256 + second;
/** Prefixes that are not used. */
const unused = new Set(
  ['bg', 'gb', 'kn', 'nk', 'nt', 'tn', 'zz'].map((two) => prefix(two.charCodeAt(0), two.charCodeAt(1))),
);

export const ukNino = shapedNumber({
  name: 'UkNino',
  unchecked: true,
  pattern: '(?i:[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z])[ -]?[0-9]{2}[ -]?[0-9]{2}[ -]?[0-9]{2}[ -]?(?i:[A-D])',
  maxLength: 13,
  least: 9,
  telling: ['nino', 'national insurance', 'ni number', 'ni no', 'insurance number'],
  alone: inCapitals,
  valid: (characters) => !unused.has(prefix(characters[0] as number, characters[1] as number)),
});

export const ukDriverLicence = shapedNumber({
  name: 'UkDriverLicence',
  unchecked: true,
  pattern: '(?i:[A-Z9]{5})[0-9]{6}(?i:[A-Z9]{2}[A-Z0-9][A-Z]{2})',
  maxLength: 16,
  least: 16,
  telling: ['driving licence', 'driver number', 'driving license', 'driver licence', 'licence number', 'dvla'],
  alone: inCapitals,
  valid: (characters) => isDay((digit(characters, 6) % 5) * 10 + digit(characters, 7), pair(characters, 8)),
});

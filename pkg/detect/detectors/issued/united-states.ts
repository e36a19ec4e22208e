import { digit, pair, same, weighed } from './check-digits.ts';
import { digitNumber, shapedNumber } from './issued-number.ts';

// United States, beside the social security number (us-ssn.ts).

/** Individual taxpayer identification number: 9, two digits, and a group of 50-65, 70-88, 90-92 or 94-99 (Internal Revenue Manual 3.21.263). */
export const usItin = digitNumber({
  name: 'UsItin',
  unchecked: true,
  least: 9,
  telling: ['itin', 'taxpayer', 'tax id', 'tax identification', 'tin', 'ssn'],
  alone: ['###-##-####', '### ## ####'],
  told: ['#########'],
  valid(characters) {
    const group = pair(characters, 3);
    if (digit(characters, 0) !== 9 || group < 50) return false;
    return group <= 65 || (group >= 70 && group <= 88) || (group >= 90 && group !== 93);
  },
});

/** Passport number: nine digits, or since 2021 a letter and eight; a foreign one in English text looks alike (ICAO 9303: up to nine characters). */
export const usPassport = shapedNumber({
  name: 'UsPassport',
  unchecked: true,
  pattern: '(?i:[A-Z]{0,2})[0-9]{6,9}',
  maxLength: 11,
  least: 6,
  telling: ['passport', 'passport number', 'passport no', 'travel document'],
  valid: (characters, length) => length >= 7 && length <= 9 && !same(characters, length),
});

/** Driver's licence: each state has formats of its own, of 4 to 14 letters and digits (AAMVA); a word must tell. */
export const usDriverLicence = shapedNumber({
  name: 'UsDriverLicence',
  unchecked: true,
  pattern:
    '(?i:[A-Z]{1,3})-?[0-9]{3,14}(?:[ -][0-9]{1,6}){0,4}|[0-9]{6,14}|[0-9]{2,3}[ -][0-9]{3}[ -][0-9]{3,4}' +
    // New Hampshire; Iowa and Missouri; Maine, Missouri and Vermont; Idaho; Missouri; Washington.
    '|[0-9]{2}(?i:[A-Z]{3})[0-9]{5}|[0-9]{3}(?i:[A-Z]{1,2})[0-9]{4,6}|[0-9]{7,9}(?i:[A-Z]{1,2})' +
    '|(?i:[A-Z]{2})[0-9]{6}(?i:[A-Z])|(?i:[A-Z])[0-9]{5,9}(?i:R)|(?i:WDL)[A-Z0-9]{9}',
  maxLength: 46,
  least: 6,
  telling: [
    ...[
      'driver license',
      'drivers license',
      'driver s license',
      "driver's license",
      'driver licence',
      'drivers licence',
    ],
    ...["driver's licence", 'driving licence', 'driving license', 'license number', 'licence number', 'dl number'],
    ...['dl no', 'dl', 'dln', 'drivers lic', 'driver lic'],
  ],
  valid: (_characters, length) => length >= 6 && length <= 17,
});

const routingWeights = [3, 7, 1, 3, 7, 1, 3, 7, 1];

/** Routing transit number: nine digits, a Federal Reserve prefix, weighted sum a multiple of ten (ABA Key to Routing Numbers). */
export const usBankRouting = digitNumber({
  name: 'UsBankRouting',
  least: 9,
  telling: ['routing', 'aba', 'rtn', 'transit', 'wire', 'ach'],
  told: ['#########', '####-####-#', '#### #### #'],
  valid(characters, length) {
    const prefix = pair(characters, 0);
    const known = prefix <= 12 || (prefix >= 21 && prefix <= 32) || (prefix >= 61 && prefix <= 72) || prefix === 80;
    return known && weighed(characters, 0, routingWeights) % 10 === 0 && !same(characters, length);
  },
});

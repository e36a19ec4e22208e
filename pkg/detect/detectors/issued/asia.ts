import { digit, isDay, pair, same, weighed } from './check-digits.ts';
import { digitNumber, inCapitals, shapedNumber } from './issued-number.ts';

// Numbers of persons in Singapore, Korea and Japan.

const identityWeights = [2, 7, 6, 5, 4, 3, 2];
const citizens = 'jzihgfedcba';
const foreigners = 'xwutrqpnmlk';
const sinceM = 'xwutrqpnjlk';

/**
 * Singapore. NRIC and FIN: S or T of citizens, F, G or M of others, seven digits and a check letter; T and G count 4 more, M 3 (Immigration
 * and Checkpoints Authority; the rule is not published, but known).
 */
export const sgNric = shapedNumber({
  name: 'SgNric',
  pattern: '(?i:[STFGM])[0-9]{7}(?i:[A-Z])',
  maxLength: 9,
  least: 9,
  telling: ['nric', 'fin', 'identity card', 'ic no', 'ic number'],
  alone: inCapitals,
  valid(characters) {
    const kind = characters[0] as number;
    const sum = weighed(characters, 1, identityWeights) + (kind === 0x74 || kind === 0x67 ? 4 : kind === 0x6d ? 3 : 0);
    const letters = kind === 0x73 || kind === 0x74 ? citizens : kind === 0x6d ? sinceM : foreigners;
    return letters.charCodeAt(sum % 11) === characters[8];
  },
});

/**
 * Korea. Resident registration number: date, a digit for sex and century, six digits. Those given since October 2020 have no check digit
 * (Ministry of the Interior and Safety), so it is not asked for.
 */
export const krRrn = digitNumber({
  name: 'KrRrn',
  unchecked: true,
  least: 13,
  telling: ['rrn', 'resident registration', 'jumin', '주민등록번호', '주민번호', '주민등록', '외국인등록번호'],
  alone: ['######-#######'],
  told: ['#############', '###### #######'],
  valid: (characters) => isDay(pair(characters, 2), pair(characters, 4)) && digit(characters, 6) < 9,
});

const myNumberWeights = [6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2];

/** Japan. My Number (Individual Number): eleven digits and a check digit (Ordinance 85 of 2014 of the Ministry of Internal Affairs). */
export const jpMyNumber = digitNumber({
  name: 'JpMyNumber',
  least: 12,
  telling: ['my number', 'individual number', 'マイナンバー', '個人番号', 'kojin bango'],
  told: ['############', '#### #### ####', '####-####-####'],
  valid(characters, length) {
    const rest = weighed(characters, 0, myNumberWeights) % 11;
    return !same(characters, length) && digit(characters, 11) === (rest < 2 ? 0 : 11 - rest);
  },
});

import type { Detector } from '../detector.ts';
import { certainByCheckDigits } from '../verdict.ts';
import { isDigit, isLetter, isUpper, isWordCharacter, standsAt } from './characters.ts';

// An International Bank Account Number (ISO 13616): country, check digits, its country's length (SWIFT registry), mod 97 = 1
// (ISO 7064). Written in one piece or in groups of four with spaces or hyphens, in either case.
// It touches no letter or digit, except a glued `IBAN` before it.
// Limit: other groupings (`DE89 370400 44...`) are not found.

const registry =
  'AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29ES24FI18FK18FO18FR27GB22GE22GI23GL18GR27' +
  'GT28HN28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19MN20MR27MT31MU30NI28NL18NO15OM23PK24' +
  'PL28PS29PT25QA29RO24RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25SV28TL23TN24TR26UA29VA22VG24XK20YE30';

/** Length by country: index is 26 * first letter + second; 0 where no IBAN is issued. */
const lengths = new Uint8Array(26 * 26);
for (let at = 0; at < registry.length; at += 4) {
  lengths[countryIndex(registry, at)] = Number(registry.slice(at + 2, at + 4));
}

/** Length of the country at `at`; 0 for none. */
export function ibanLength(text: string, at: number): number {
  return lengths[countryIndex(text, at)] ?? 0;
}

function countryIndex(text: string, at: number): number {
  return letterValue(text.charCodeAt(at)) * 26 + letterValue(text.charCodeAt(at + 1));
}

function letterValue(code: number): number {
  return isUpper(code) ? code - 0x41 : code - 0x61;
}

function step(remainder: number, code: number): number {
  return isDigit(code) ? (remainder * 10 + code - 0x30) % 97 : (remainder * 100 + letterValue(code) + 10) % 97;
}

/** ISO 7064 mod 97-10 with the first four characters moved to the end. Separators are skipped. */
function checks(text: string, start: number, end: number): boolean {
  let remainder = 0;
  for (let at = start + 4; at < end; at += 1) {
    const code = text.charCodeAt(at);
    if (isWordCharacter(code)) remainder = step(remainder, code);
  }
  for (let at = start; at < start + 4; at += 1) remainder = step(remainder, text.charCodeAt(at));
  return remainder === 1;
}

function significantCharacters(text: string, start: number, end: number): number {
  let count = 0;
  for (let at = start; at < end; at += 1) if (isWordCharacter(text.charCodeAt(at))) count += 1;
  return count;
}

function free(text: string, start: number, end: number): boolean {
  if (isWordCharacter(text.charCodeAt(end))) return false;
  const before = text.charCodeAt(start - 1);
  if (!isWordCharacter(before)) return true;
  return (
    isLetter(before) && start >= 4 && standsAt(text, start - 4, 'iban') && !isWordCharacter(text.charCodeAt(start - 5))
  );
}

export const iban: Detector = {
  name: 'Iban',
  pattern: '[A-Za-z]{2}[0-9]{2}(?:[ -]?[A-Za-z0-9]{4}){2,7}(?:[ -]?[A-Za-z0-9]{1,3})?',
  maxLength: 43,
  left: 5,
  right: 1,
  verdict: certainByCheckDigits,
  accept(text, start, end) {
    return (
      free(text, start, end) &&
      significantCharacters(text, start, end) === ibanLength(text, start) &&
      checks(text, start, end)
    );
  },
  significant: isWordCharacter,
  leastSignificant: 15,
};

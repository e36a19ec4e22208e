import type { Detector } from '../../detector.ts';
import { shapedNumber } from '../issued/issued-number.ts';
import { same } from '../issued/check-digits.ts';

// Numbers of passports (ICAO 9303: up to nine letters and digits) beside those of the United States (issued/united-states.ts), which are
// found behind `passport`, too. Behind the word in other languages all forms; behind the English one those that the other detector does not know.
//   two digits, two letters, five digits (France) · three letters, six digits (Spain) · letters and digits mixed (Germany, Netherlands) ·
//   a letter, three digits, a letter, four digits (Korea) · ten digits (Russia)

const mixed =
  '[0-9]{2}(?i:[A-Z]{2})[0-9]{5}|(?i:[A-Z]{3})[0-9]{6}|(?i:[A-Z])[A-Z0-9]{7}[0-9]{1,2}|' +
  '(?i:[A-Z])[0-9]{3}(?i:[A-Z])[0-9]{4}|[0-9]{2} [0-9]{2} [0-9]{6}|[0-9]{4} [0-9]{6}|[0-9]{10}';
const plain = '(?i:[A-Z]{0,2})[0-9]{6,9}';

/** More digits than a word would have. */
const fewestDigits = 4;

function valid(characters: Uint8Array, length: number): boolean {
  let digits = 0;
  for (let at = 0; at < length; at += 1) if ((characters[at] as number) < 0x3a) digits += 1;
  return length >= 7 && length <= 10 && digits >= fewestDigits && !same(characters, length);
}

const ofForm = (pattern: string, telling: readonly string[]): Detector =>
  shapedNumber({ name: 'Passport', unchecked: true, pattern, maxLength: 12, least: 7, telling, valid });

export const passport: Detector = {
  ...ofForm(`${mixed}|${plain}`, [
    ...['passeport', 'reisepass', 'reisepassnummer', 'passnummer', 'pass nr', 'pasaporte', 'passaporto', 'passaporte'],
    ...['paspoort', 'paspoortnummer', 'paszport', 'paszportu', 'pasaport', 'passnumer', 'passi', 'pasport', 'utlevel'],
    ...['паспорт', 'паспорта', '护照', '護照', '旅券', 'パスポート', '여권', 'جواز سفر', 'पासपोर्ट'],
  ]),
  also: [ofForm(mixed, ['passport', 'passport number', 'passport no', 'travel document'])],
};

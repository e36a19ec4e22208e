import type { Detector } from '../detector.ts';
import { certainAsTold, likelyAsTold, likelyBySpelling } from '../verdict.ts';
import { edgeReach, isDigit, isLetter, wordGoesOnAt, wordReachesTo } from './characters.ts';
import { whole } from './issued/check-digits.ts';
import { digitNumber } from './issued/issued-number.ts';

// A United States social security number: area (not 000, 666, 9xx), group (not 00), serial (not 0000), as the Social Security
// Administration has assigned them since 2011. Written `123-45-6789` or `123 45 6789`; also as nine bare
// digits, where a telling word stands at most 16 characters before it. There is no check digit, so bare nine digits without
// such a word (or one that scan/telling.ts finds near it) are not looked for (with it they are likely, as is a grouped number without; certain is a grouped one that is told), and a number beside its own separator and another digit (`1-123-45-6789`) is not one.
// Words such as `order no.` or `case` before a grouped one take nothing from it: they stand before such numbers in files on persons, too.
// Coverage: of `SSN: 123456789` the digits, where the engine reads `from`; else the word, too.

const telling = 'ssn|social[ -]security|social[ -]sec|tax[ -]?id|taxpayer';

function digitsFrom(text: string, start: number, end: number): number {
  for (let at = start; at < end; at += 1) if (isDigit(text.charCodeAt(at))) return at;
  return start;
}

/** Digits skip separators: the number may be written with or without. */
function assigned(text: string, start: number, end: number): boolean {
  let number = 0;
  for (let at = start; at < end; at += 1) {
    const code = text.charCodeAt(at);
    if (isDigit(code)) number = number * 10 + code - 0x30;
  }
  return isAssigned(number);
}

function isAssigned(number: number): boolean {
  const area = Math.floor(number / 1_000_000);
  if (area === 0 || area === 666 || area >= 900) return false;
  return Math.floor(number / 10_000) % 100 !== 0 && number % 10_000 !== 0;
}

/** Beside no digit, and beside no separator that leads on to one: then it is a part of a longer number. */
function standsAlone(text: string, start: number, end: number): boolean {
  const separator = text.charCodeAt(start + 3);
  const before = text.charCodeAt(start - 1);
  const after = text.charCodeAt(end);
  if (wordReachesTo(text, start) || wordGoesOnAt(text, end)) return false;
  if (before === separator && isDigit(text.charCodeAt(start - 2))) return false;
  return !(after === separator && isDigit(text.charCodeAt(end + 1)));
}

export const usSsn: Detector = {
  name: 'UsSsn',
  pattern:
    '[0-9]{3}(?:-[0-9]{2}-| [0-9]{2} )[0-9]{4}' + `|(?i:${telling})[^0-9\\n]{0,16}[0-9]{3}[ -]?[0-9]{2}[ -]?[0-9]{4}`,
  maxLength: 42,
  left: edgeReach,
  right: edgeReach,
  accept(text, start, end) {
    if (isDigit(text.charCodeAt(start)))
      return standsAlone(text, start, end) && assigned(text, start, end) && likelyBySpelling;
    if (isLetter(text.charCodeAt(start - 1)) || isDigit(text.charCodeAt(end))) return false;
    const from = digitsFrom(text, start, end);
    return assigned(text, from, end) && (end - from > 9 ? certainAsTold : likelyAsTold);
  },
  from: digitsFrom,
  significant: isDigit,
  leastSignificant: 9,
  also: [
    digitNumber({
      name: 'UsSsn',
      unchecked: true,
      least: 9,
      telling: ['ssn', 'ssns', 'social security', 'social security number', 'social sec'],
      told: ['#########', '###-##-####', '### ## ####'],
      valid: (characters) => isAssigned(whole(characters, 0, 9)),
    }),
  ],
};

import type { Detector } from '../detector.ts';
import { certainAsTold, certainByFormat, likelyBySpelling, possiblyAnother } from '../verdict.ts';
import type { Verdict } from '../verdict.ts';
import { holdsWord, isDigit, isWordCharacter, lower } from './characters.ts';
import { followsOtherWord, otherWordLeft } from './other-word.ts';
import { nationalNumbers } from './phone-plans.ts';

// A telephone number. Three forms, since digits alone say nothing:
//   international  `+` or `00`, a country code that the ITU has assigned (E.164), 8 to 15 digits; ten after +1 and +7
//                  The country's numbering plan (phone-plans.ts) says whether it is one that can be called.
//   national       a trunk 0 with 9 to 12 digits grouped as European and Asian numbers are, or a North American
//                  3-3-4 with area and exchange from 2 to 9; never directly after a word such as `order` or `isbn`
//                  (there it is possible)
//   told           8 to 13 digits in any grouping at most 12 characters after a word such as `tel` or `phone`
// Certain where it is told or, with +, one of its country's plan, else likely.
// Dates, prices, versions, IP addresses, card numbers and identifiers fail the grouping or touch a character that no number touches.
// Coverage: of `tel: 0301234567` the number, where the engine reads `from`; else the word, too.
// Limit: bare digits without such a word; seven-digit local numbers; extensions stay visible; national forms of other plans beside another number.

const telling =
  'tel|tel\\.|telefon|telephone|telefono|phone|mobile|mobil|cell|handy|fax|whatsapp|sms|call|dial|ring|text';
const pause = '[ ()./-]{0,2}';

/** Country codes of two and three digits (ITU-T E.164.D); those of one are 1 and 7. */
const countryCodes = codes(
  '20 27 30-34 36 39-41 43-49 51-58 60-66 81 82 84 86 90-95 98 211-213 216 218 220-258 260-269 290 291 297-299 350-359 370-383 385-387 389 ' +
    '420 421 423 500-509 590-599 670 672-683 685-692 800 808 850 852 853 855 856 870 878 880-883 886 888 960-968 970-977 979 992-996 998',
);

function codes(list: string): Uint8Array {
  const table = new Uint8Array(1000);
  for (const range of list.split(' ')) {
    const [first = '', last = first] = range.split('-');
    for (let code = Number(first); code <= Number(last); code += 1) table[code] = 1;
  }
  return table;
}

function digitCount(text: string, start: number, end: number): number {
  let digits = 0;
  for (let at = start; at < end; at += 1) if (isDigit(text.charCodeAt(at))) digits += 1;
  return digits;
}

/** The digit of that index (0 first) at or after `start`, as a number; -1 when there is none before `end`. */
function digitAt(text: string, start: number, end: number, index: number): number {
  let left = index;
  for (let at = start; at < end; at += 1) {
    const code = text.charCodeAt(at);
    if (!isDigit(code)) continue;
    if (left === 0) return code - 0x30;
    left -= 1;
  }
  return -1;
}

/** Length of the `index`th run of digits; 0 when there are fewer runs. */
function run(text: string, start: number, end: number, index: number): number {
  let runs = -1;
  let length = 0;
  for (let at = start; at < end; at += 1) {
    if (!isDigit(text.charCodeAt(at))) {
      length = 0;
      continue;
    }
    if (length === 0) runs += 1;
    length += 1;
    if (runs === index && !isDigit(at + 1 < end ? text.charCodeAt(at + 1) : NaN)) return length;
  }
  return 0;
}

/** `skip` digits stand before the country code (the 00). */
function international(text: string, start: number, end: number, skip: number): boolean {
  const digits = digitCount(text, start, end) - skip;
  const first = digitAt(text, start, end, skip);
  const second = digitAt(text, start, end, skip + 1);
  if (first === 1) return digits === 11 && second >= 2;
  if (first === 7) return digits === 11 && second > 0;
  const two = first * 10 + second;
  const three = two * 10 + digitAt(text, start, end, skip + 2);
  return digits >= 8 && digits <= 15 && first > 0 && (countryCodes[two] === 1 || countryCodes[three] === 1);
}

type Side = 'binds' | 'beside' | 'free';

/** What stands before it: a letter, a digit or a character that binds numbers together; another number; or nothing of the kind. */
function leftSide(text: string, start: number): Side {
  const before = text.charCodeAt(start - 1);
  // _ # $ % & + - . / and the start of a currency
  if (isWordCharacter(before) || before === 0x5f || (before >= 0x23 && before <= 0x26)) return 'binds';
  if (before === 0x2b || (before >= 0x2d && before <= 0x2f)) return 'binds';
  return before === 0x2c || (before === 0x20 && isDigit(text.charCodeAt(start - 2))) ? 'beside' : 'free';
}

/** The same behind it. An extension (`x123`) is another number. */
function rightSide(text: string, end: number): Side {
  const after = text.charCodeAt(end);
  const goesOn = isDigit(text.charCodeAt(end + 1));
  if (goesOn && (after === 0x2c || after === 0x20 || lower(after) === 0x78)) return 'beside';
  if (isWordCharacter(after) || after === 0x5f || after === 0x25 || after === 0x40) return 'binds';
  return goesOn && ((after >= 0x2d && after <= 0x2f) || after === 0x3a) ? 'binds' : 'free';
}

/**
 * Nothing on either side binds it, and where another number stands beside it, as in the columns of a table, it is one by itself: all of its
 * country's plan, or grouped as North America writes.
 */
function standsAlone(text: string, start: number, end: number): boolean {
  const left = leftSide(text, start);
  if (left === 'binds') return false;
  const right = rightSide(text, end);
  return right !== 'binds' && ((left === 'free' && right === 'free') || isWhole(text, start, end));
}

/** Every character between the digits is this one, or there is none. */
function onlySeparator(text: string, start: number, end: number, separator: number): boolean {
  for (let at = start; at < end; at += 1) {
    const code = text.charCodeAt(at);
    if (!isDigit(code) && code !== separator) return false;
  }
  return true;
}

/** 2-2-2-2-2 with one separator throughout (France, and others in part). */
function inPairs(text: string, start: number, end: number): boolean {
  for (let index = 0; index < 5; index += 1) if (run(text, start, end, index) !== 2) return false;
  return run(text, start, end, 5) === 0 && onlySeparator(text, start, end, text.charCodeAt(start + 2));
}

/** After a trunk code of two digits: 8, 7, 4-4, 3-4 or 3-2-2 more; a date (`01-02-2024`) is none of these. */
function afterTwo(text: string, start: number, end: number): boolean {
  const second = run(text, start, end, 1);
  const third = run(text, start, end, 2);
  if (third === 0) return second === 7 || second === 8;
  if (run(text, start, end, 3) === 0) return (second === 4 || second === 3) && third === 4;
  return second === 3 && third === 2 && run(text, start, end, 3) === 2 && run(text, start, end, 4) === 0;
}

/** Trunk code of three to five digits, then groups of at least two. */
function afterTrunk(text: string, start: number, end: number): boolean {
  let groups = 1;
  for (let length = run(text, start, end, 1); length > 0; length = run(text, start, end, groups)) {
    if (length < 2) return false;
    groups += 1;
  }
  return groups >= 2 && groups <= 5;
}

/** A stop is only plausible between pairs, a slash only once and after the trunk code. */
function plausibleMarks(text: string, start: number, end: number): boolean {
  let slashes = 0;
  for (let at = start; at < end; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 0x2e) return false;
    if (code === 0x2f) slashes += 1;
  }
  return slashes === 0 || (slashes === 1 && run(text, start, end, 0) >= 3);
}

function trunk(text: string, start: number, end: number): boolean {
  const digits = digitCount(text, start, end);
  if (digits < 9 || digits > 12) return false;
  if (inPairs(text, start, end)) return true;
  if (!plausibleMarks(text, start, end)) return false;
  const first = run(text, start, end, 0);
  if (first === 2) return digits <= 10 && afterTwo(text, start, end);
  return first >= 3 && first <= 5 && afterTrunk(text, start, end);
}

/** 3-3-4, a 1 before it allowed: area and exchange begin with 2 to 9, as the pattern says. */
function northAmerican(text: string, start: number, end: number): boolean {
  const country = text.charCodeAt(start) === 0x31 ? 1 : 0;
  return digitCount(text, start, end) === 10 + country;
}

/** Of the words that tell of another number, those after which a grouped one is no telephone number. Their reach in characters holds a word between. */
const otherWords = 'order invoice isbn issn sku ticket ref item part case serial version'.split(' ');
const otherReach = 14;

/** Of a form without `+`: what stands before it may say that it is another number. */
const national = (text: string, start: number): Verdict =>
  holdsWord(text, start - otherReach, start, otherWords) && followsOtherWord(text, start)
    ? possiblyAnother
    : likelyBySpelling;

function firstOf(text: string, start: number, end: number): number {
  for (let at = start; at < end; at += 1) {
    const code = text.charCodeAt(at);
    if (isDigit(code) || code === 0x2b) return at;
  }
  return start;
}

function told(text: string, start: number, end: number): boolean {
  if (isWordCharacter(text.charCodeAt(start - 1)) || isWordCharacter(text.charCodeAt(end))) return false;
  const from = firstOf(text, start, end);
  if (isWordCharacter(text.charCodeAt(start + wordLength(text, start)))) return false;
  const digits = digitCount(text, from, end);
  if (digits < 8 || digits > 13) return false;
  const plain = run(text, from, end, 0) === digits;
  const first = run(text, from, end, 0);
  // A date has eight digits in three runs; a price or a count has one or three before its point.
  return plain || text.charCodeAt(from) === 0x2b || digits >= 10 || (digits === 9 && first >= 2);
}

function wordLength(text: string, start: number): number {
  let at = start;
  while (lower(text.charCodeAt(at)) >= 0x61 && lower(text.charCodeAt(at)) <= 0x7a) at += 1;
  return at - start;
}

function digitsOf(text: string, start: number, end: number): string {
  let digits = '';
  for (let at = start; at < end; at += 1) {
    const code = text.charCodeAt(at);
    if (isDigit(code)) digits += String.fromCharCode(code);
  }
  return digits;
}

/** By country code, compiled when first asked for: what stands behind it, whole. */
const plans = new Map<string, RegExp>();

function isOfPlan(country: string, national: string): boolean {
  const source = nationalNumbers[country];
  if (source === undefined) return false;
  let plan = plans.get(country);
  // eslint-disable-next-line no-restricted-syntax -- patterns of our own, without nested repeats, on at most fifteen digits
  if (plan === undefined) plans.set(country, (plan = new RegExp(`^(?:${source})$`)));
  return plan.test(national);
}

/** Whether its country's plan has it. A trunk 0 behind the country code may be written, too. */
function isAssigned(digits: string): boolean {
  for (let length = 1; length <= 3; length += 1) {
    const [country, national] = [digits.slice(0, length), digits.slice(length)];
    if (nationalNumbers[country] !== undefined)
      return isOfPlan(country, national) || (national.startsWith('0') && isOfPlan(country, national.slice(1)));
  }
  return false;
}

/** Whether its country's plan has it, whole or up to the end of one of its groups: what stands behind may be another number (`12 h`). */
function beginsAssigned(text: string, start: number, end: number): boolean {
  let digits = '';
  for (let at = start; at < end; at += 1) {
    if (!isDigit(text.charCodeAt(at))) continue;
    digits += String.fromCharCode(text.charCodeAt(at));
    const endsGroup = at + 1 === end || !isDigit(text.charCodeAt(at + 1));
    if (endsGroup && isAssigned(digits)) return true;
  }
  return false;
}

function isWhole(text: string, start: number, end: number): boolean {
  if (text.charCodeAt(start) === 0x2b) return isAssigned(digitsOf(text, start, end));
  const separator = text.charCodeAt(end - 5);
  return (separator === 0x2d || separator === 0x2e) && run(text, start, end, 0) <= 3 && northAmerican(text, start, end);
}

export const phone: Detector = {
  name: 'Phone',
  pattern:
    `\\+ ?\\(?[0-9](?:${pause}[0-9]){7,14}` +
    `|\\(?0[0-9](?:${pause}[0-9]){7,15}` +
    '|(?:1[ .-]?)?(?:\\([2-9][0-9]{2}\\)[ -]?|[2-9][0-9]{2}[ .-])[2-9][0-9]{2}[ .-][0-9]{4}' +
    `|(?i:${telling})[^0-9+\\n]{0,12}\\+?[0-9](?:${pause}[0-9]){7,12}`,
  maxLength: 59,
  left: otherWordLeft,
  right: 2,
  accept(text, start, end) {
    const code = text.charCodeAt(start);
    if (code !== 0x28 && code !== 0x2b && !isDigit(code)) return told(text, start, end) && certainAsTold;
    if (!standsAlone(text, start, end)) return false;
    if (code === 0x2b)
      return (
        international(text, start, end, 0) && (beginsAssigned(text, start, end) ? certainByFormat : likelyBySpelling)
      );
    if (digitAt(text, start, end, 0) !== 0) return northAmerican(text, start, end) && national(text, start);
    if (digitAt(text, start, end, 1) === 0) return international(text, start, end, 2) && national(text, start);
    return trunk(text, start, end) && national(text, start);
  },
  from: (text, start, end) => {
    const code = text.charCodeAt(start);
    return code === 0x28 ? start : firstOf(text, start, end);
  },
  // The + counts, so that a cut `+1 202` is hidden and a year is not.
  significant: (code) => isDigit(code) || code === 0x2b,
  leastSignificant: 9,
};

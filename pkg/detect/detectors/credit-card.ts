import type { Detector } from '../detector.ts';
import { certainByCheckDigits, likelyByCheckDigits } from '../verdict.ts';
import { isDigit, isHex, isLetter, isWordCharacter } from './characters.ts';

// A payment card number (ISO/IEC 7812): 13 to 19 digits, a known network's prefix and length, Luhn's check digit.
//
// Context: the digits may not touch further digits (L, R), nor follow `digit.` (a fraction), nor stand in a hex string (touching two
// hex characters of which the first is a letter). A separator beside them is no obstacle: each start is judged alone, so in
// `1234 4111 1111 1111 1111 99` the card is found although order number, card and amount are one run of digits and spaces.
// Two cards of 16 digits side by side are found where both pass: one pair of long identifiers in a thousand does.
// Grouping by at most one space or hyphen: none, every digit apart, or groups of at least three (the last may be shorter). Pairs are
// refused: lists of two-digit numbers pass Luhn one time in ten.
// Grouping by anything else (up to five of space, hyphen, tab, line break, control character, `.` `/` `_` `*`), the habit of dates,
// versions, columns of numbers and markup: every digit apart, or groups as they are embossed, and no further group of that form beside.
// Certain where it is grouped, likely in one piece: of long identifiers one in thirty passes by chance.
// Also as a number with an exponent (`4.111111111111111e15`), as programs print long ones.
// Limit: a card glued to other digits without a separator is not found, in long identifiers every tenth window passes Luhn;
// nor is one among further groups of a column.

/** First six digits from, to, and the lengths that this network issues, as bits (1 << length). */
const networks: readonly (readonly [number, number, number])[] = [
  [400000, 499999, bits(13, 16, 18, 19)], // Visa
  [510000, 559999, bits(16)], // Mastercard
  [222100, 272099, bits(16)],
  [340000, 349999, bits(15)], // American Express
  [370000, 379999, bits(15)],
  [601100, 601199, bits(16, 17, 18, 19)], // Discover
  [622126, 622925, bits(16, 17, 18, 19)],
  [644000, 659999, bits(16, 17, 18, 19)],
  [300000, 305999, bits(14, 16, 17, 18, 19)], // Diners Club
  [309500, 309599, bits(14, 16, 17, 18, 19)],
  [360000, 369999, bits(14, 15, 16, 17, 18, 19)],
  [380000, 399999, bits(14, 16, 17, 18, 19)],
  [352800, 358999, bits(16, 17, 18, 19)], // JCB
  [357111, 357111, bits(16)], // LankaPay
  [620000, 629999, bits(16, 17, 18, 19)], // UnionPay
  [810000, 817199, bits(16, 17, 18, 19)],
  [500000, 509999, bits(13, 14, 15, 16, 17, 18, 19)], // Maestro, Verve, RuPay
  [560000, 589999, bits(13, 14, 15, 16, 17, 18, 19)],
  [600000, 609999, bits(13, 14, 15, 16, 17, 18, 19)], // RuPay, Hipercard, Maestro
  [610000, 619999, bits(16, 17, 18, 19)],
  [630000, 643999, bits(13, 14, 15, 16, 17, 18, 19)], // Maestro, InstaPayment
  [660000, 699999, bits(13, 14, 15, 16, 17, 18, 19)], // Maestro
  [817200, 829999, bits(16)], // RuPay
  [220000, 220499, bits(16, 17, 18, 19)], // Mir
  [979200, 979299, bits(16)], // Troy
  [860000, 860099, bits(16)], // UzCard
  [986000, 986099, bits(16)], // Humo
];

function bits(...lengths: readonly number[]): number {
  return lengths.reduce((all, length) => all | (1 << length), 0);
}

function issued(prefix: number, length: number): boolean {
  for (const [from, to, lengths] of networks) {
    if (prefix >= from && prefix <= to && (lengths & (1 << length)) !== 0) return true;
  }
  return false;
}

/** Luhn's sum over the digits of `[start, end)`, separators skipped. */
function luhn(text: string, start: number, end: number): boolean {
  let sum = 0;
  let twice = false;
  for (let at = end - 1; at >= start; at -= 1) {
    const code = text.charCodeAt(at);
    if (!isDigit(code)) continue;
    const digit = code - 0x30;
    const weighed = twice ? digit * 2 : digit;
    sum += weighed > 9 ? weighed - 9 : weighed;
    twice = !twice;
  }
  return sum % 10 === 0;
}

/** Digits of the only cards that are looked for side by side. */
const twin = 16;

function free(text: string, start: number, end: number): boolean {
  const before = text.charCodeAt(start - 1);
  const after = text.charCodeAt(end);
  if (isDigit(before) || isDigit(after)) return isTwin(text, start, end);
  if (before === 0x2e && isDigit(text.charCodeAt(start - 2))) return false;
  if (isLetter(before) && isHex(before) && isHex(text.charCodeAt(start - 2))) return false;
  return !(isLetter(after) && isHex(after) && isHex(text.charCodeAt(end + 1)));
}

/** One of two cards that make up a number of twice the length. */
function isTwin(text: string, start: number, end: number): boolean {
  if (end - start !== twin || !areDigits(text, start, end)) return false;
  const from = isDigit(text.charCodeAt(start - 1)) ? start - twin : end;
  const least = Math.min(from, start);
  if (isDigit(text.charCodeAt(least - 1)) || isDigit(text.charCodeAt(least + 2 * twin))) return false;
  return areDigits(text, from, from + twin) && luhn(text, from, from + twin) && issued(prefix(text, from), twin);
}

function areDigits(text: string, start: number, end: number): boolean {
  for (let at = start; at < end; at += 1) if (!isDigit(text.charCodeAt(at))) return false;
  return true;
}

/** Most characters between two digits. */
const widest = 5;
/** Digits of a group beside that is one of the same column. */
const column = 3;

/** What only other things than cards are usually grouped by. */
const isUnusual = (code: number): boolean =>
  code < 0x20 || code === 0x7f || code === 0x2e || code === 0x2f || code === 0x5f || code === 0x2a;
const separates = (code: number): boolean => isUnusual(code) || code === 0x20 || code === 0x2d;

/** Sizes of groups, as they are embossed: by fours, the last of one to four; American Express and Diners Club. */
function isEmbossed(sizes: number, count: number): boolean {
  if (sizes === 0x465 || sizes === 0x464) return true;
  const last = sizes & 0xf;
  const rest = sizes >> 4;
  return last <= 4 && (count === 4 ? rest === 0x444 : count === 5 && rest === 0x4444);
}

/** Counts digits; 0 when they are grouped as no card is. */
function groupedDigits(text: string, start: number, end: number): number {
  let digits = 0;
  let group = 0;
  let shortest = 99; // of all groups but the last
  let longest = 0;
  let gap = 0;
  let unusual = false;
  let groups = 1;
  let sizes = 0; // of the first groups, a hex digit each
  for (let at = start; at < end; at += 1) {
    const code = text.charCodeAt(at);
    if (isDigit(code)) {
      digits += 1;
      group += 1;
      gap = 0;
      if (group > longest) longest = group;
      continue;
    }
    gap += 1;
    if (gap > 1 || isUnusual(code)) unusual = true;
    if (gap > 1) continue;
    if (group < shortest) shortest = group;
    if (groups < 6) sizes = (sizes << 4) | group;
    groups += 1;
    group = 0;
  }
  if (!unusual) return shortest >= 3 || longest === 1 ? digits : 0;
  if (longest === 1) return beside(text, start, -1) > 0 || beside(text, end - 1, 1) > 0 ? 0 : digits;
  if (groups > 5 || longest > 6 || !isEmbossed((sizes << 4) | group, groups)) return 0;
  return beside(text, start, -1) >= column || beside(text, end - 1, 1) >= column ? 0 : digits;
}

/** Digits, up to {@link column}, of the group next to the digit at `from` behind unusual separators; 0 without one. */
function beside(text: string, from: number, step: number): number {
  let unusual = false;
  let at = from + step;
  for (let gap = 0; gap <= widest && separates(text.charCodeAt(at)); gap += 1, at += step) {
    if (gap === widest) return 0;
    if (gap > 0 || isUnusual(text.charCodeAt(at))) unusual = true;
  }
  if (!unusual) return 0;
  let digits = 0;
  while (digits < column && isDigit(text.charCodeAt(at + digits * step))) digits += 1;
  return digits;
}

function prefix(text: string, start: number): number {
  let value = 0;
  let digits = 0;
  for (let at = start; digits < 6; at += 1) {
    const code = text.charCodeAt(at);
    if (!isDigit(code)) continue;
    value = value * 10 + code - 0x30;
    digits += 1;
  }
  return value;
}

/** Fewest digits of a number with an exponent: round numbers are no cards. */
const leastMantissa = 8;

/** Where the exponent's letter stands in [start, end); -1 without one. */
function exponentAt(text: string, start: number, end: number): number {
  for (let at = end - 2; at > start && at >= end - 5; at -= 1) {
    if ((text.charCodeAt(at) | 0x20) === 0x65) return at;
  }
  return -1;
}

function exponent(text: string, start: number, end: number): number {
  let value = 0;
  for (let at = start; at < end; at += 1) {
    const code = text.charCodeAt(at);
    if (isDigit(code)) value = value * 10 + code - 0x30;
  }
  return text.charCodeAt(start) === 0x2d ? -value : value;
}

/** `d.ddde15`: is the whole number that it stands for a card's? */
function isCardWithExponent(text: string, start: number, end: number, letter: number): boolean {
  const before = text.charCodeAt(start - 1);
  if (isWordCharacter(before) || before === 0x2e || isWordCharacter(text.charCodeAt(end))) return false;
  let digits = '';
  let fraction = -1; // digits behind the point; -1 before it
  for (let at = start; at < letter; at += 1) {
    const code = text.charCodeAt(at);
    if (fraction >= 0) fraction += 1;
    if (code === 0x2e) fraction = 0;
    else if (!isDigit(code)) return false;
    else if (code !== 0x30 || digits !== '') digits += String.fromCharCode(code);
  }
  const shift = exponent(text, letter + 1, end) - Math.max(0, fraction);
  if (shift < 0 && /[1-9]/.test(digits.slice(shift))) return false;
  const whole = shift >= 0 ? digits + '0'.repeat(Math.min(shift, 20)) : digits.slice(0, shift);
  if (digits.length < leastMantissa || whole.length < 13 || whole.length > 19) return false;
  return luhn(whole, 0, whole.length) && issued(prefix(whole, 0), whole.length);
}

export const creditCard: Detector = {
  name: 'CreditCard',
  pattern: '[0-9](?:[\u0000-\u001f\u007f \\-./_*]{0,5}[0-9]){12,18}|[0-9]{1,20}(?:\\.[0-9]{1,20})?[eE][+-]?[0-9]{1,3}',
  maxLength: 109,
  left: twin + 1,
  right: twin + 1,
  accept(text, start, end) {
    const letter = exponentAt(text, start, end);
    if (letter >= 0) return isCardWithExponent(text, start, end, letter) && likelyByCheckDigits;
    if (!free(text, start, end)) return false;
    const digits = groupedDigits(text, start, end);
    if (digits === 0 || !luhn(text, start, end) || !issued(prefix(text, start), digits)) return false;
    return end - start === digits ? likelyByCheckDigits : certainByCheckDigits;
  },
  significant: isDigit,
  leastSignificant: 13,
};

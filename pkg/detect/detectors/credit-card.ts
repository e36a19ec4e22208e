import type { Detector } from '../detector.ts';
import { isDigit, isHex, isLetter } from './characters.ts';

// A payment card number (ISO/IEC 7812): 13 to 19 digits, a known network's prefix and length, Luhn's check digit.
//
// Context: the digits may not touch further digits (L, R), nor follow `digit.` (a fraction), nor stand in a hex string (touching two
// hex characters of which the first is a letter). A separator beside them is no obstacle: each start is judged alone, so in
// `1234 4111 1111 1111 1111 99` the card is found although order number, card and amount are one run of digits and spaces.
// Grouping: none, every digit apart, or groups of at least three (the last may be shorter). Pairs are refused: lists of two-digit
// numbers pass Luhn one time in ten.
// Limit: a card glued to more digits without a separator is not found; in long identifiers every tenth window passes Luhn.

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

function free(text: string, start: number, end: number): boolean {
  const before = text.charCodeAt(start - 1);
  const after = text.charCodeAt(end);
  if (isDigit(before) || isDigit(after)) return false;
  if (before === 0x2e && isDigit(text.charCodeAt(start - 2))) return false;
  if (isLetter(before) && isHex(before) && isHex(text.charCodeAt(start - 2))) return false;
  return !(isLetter(after) && isHex(after) && isHex(text.charCodeAt(end + 1)));
}

/** Counts digits; 0 when they are grouped as no card is. */
function groupedDigits(text: string, start: number, end: number): number {
  let digits = 0;
  let group = 0;
  let shortest = 99; // of all groups but the last
  let longest = 0;
  for (let at = start; at < end; at += 1) {
    if (isDigit(text.charCodeAt(at))) {
      digits += 1;
      group += 1;
      if (group > longest) longest = group;
    } else {
      if (group < shortest) shortest = group;
      group = 0;
    }
  }
  return shortest >= 3 || longest === 1 ? digits : 0;
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

export const creditCard: Detector = {
  name: 'CreditCard',
  pattern: '[0-9](?:[ -]?[0-9]){12,18}',
  maxLength: 37,
  left: 2,
  right: 2,
  accept(text, start, end) {
    if (!free(text, start, end)) return false;
    const digits = groupedDigits(text, start, end);
    return digits > 0 && luhn(text, start, end) && issued(prefix(text, start), digits);
  },
  significant: isDigit,
  leastSignificant: 13,
};

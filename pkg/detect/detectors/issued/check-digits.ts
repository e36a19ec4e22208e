/**
 * Check digits over the characters of a number, as codes ({@link IssuedNumber.valid}). They read `characters[from, to)` and allocate nothing.
 */

/** The digit at an index; of a letter something that is no digit. */
export const digit = (characters: Uint8Array, at: number): number => (characters[at] as number) - 0x30;

/** The number that two digits make. */
export const pair = (characters: Uint8Array, at: number): number =>
  digit(characters, at) * 10 + digit(characters, at + 1);

/** The number that the digits make; exact up to 15 digits. */
export function whole(characters: Uint8Array, from: number, to: number): number {
  let value = 0;
  for (let at = from; at < to; at += 1) value = value * 10 + digit(characters, at);
  return value;
}

/** Sum of the digits, each times its weight. */
export function weighed(characters: Uint8Array, from: number, weights: readonly number[]): number {
  let sum = 0;
  for (let at = 0; at < weights.length; at += 1) sum += digit(characters, from + at) * (weights[at] as number);
  return sum;
}

/** Luhn (ISO/IEC 7812-1, annex B). */
export function luhn(characters: Uint8Array, from: number, to: number): boolean {
  let sum = 0;
  for (let at = to - 1, twice = false; at >= from; at -= 1, twice = !twice) {
    const one = digit(characters, at) * (twice ? 2 : 1);
    sum += one > 9 ? one - 9 : one;
  }
  return sum % 10 === 0;
}

/** Verhoeff (Error Detecting Decimal Codes, 1969): the dihedral group of order ten. */
export function verhoeff(characters: Uint8Array, from: number, to: number): boolean {
  let state = 0;
  for (let at = to - 1; at >= from; at -= 1) {
    let one = digit(characters, at);
    for (let times = (to - 1 - at) % 8; times > 0; times -= 1) one = permutation[one] as number;
    state = product(state, one);
  }
  return state === 0;
}

const permutation = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
/** In the dihedral group: rotations are 0 to 4, reflections 5 to 9. */
function product(a: number, b: number): number {
  if (a < 5) return b < 5 ? (a + b) % 5 : 5 + ((a + b - 5) % 5);
  return b < 5 ? 5 + ((a - 5 - b + 5) % 5) : (a - b + 5) % 5;
}

/** ISO/IEC 7064, MOD 11,10, the check digit last. */
export function mod11And10(characters: Uint8Array, from: number, to: number): boolean {
  let product10 = 10;
  for (let at = from; at < to - 1; at += 1) {
    const sum = (digit(characters, at) + product10) % 10;
    product10 = ((sum === 0 ? 10 : sum) * 2) % 11;
  }
  return (11 - product10) % 10 === digit(characters, to - 1);
}

/** A day that month can have; the year is not asked, so 29 February always is one. */
export const isDay = (month: number, day: number): boolean =>
  month >= 1 && month <= 12 && day >= 1 && day <= (daysOf[month - 1] as number);
const daysOf = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** All characters are the same: a filler, which passes many a check. */
export function same(characters: Uint8Array, length: number): boolean {
  for (let at = 1; at < length; at += 1) if (characters[at] !== characters[0]) return false;
  return true;
}

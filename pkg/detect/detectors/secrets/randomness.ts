import { isDigit, isLower, isUpper } from '../characters.ts';

/** What one pass over a value sees. */
export interface Tally {
  length: number;
  digits: number;
  uppers: number;
  lowers: number;
  /** All others: signs, spaces, letters of other scripts. */
  others: number;
  /** Different characters; letters count in either case as one. */
  distinct: number;
  /** The longest row of one character. */
  row: number;
}

// One object for all calls: accept functions allocate nothing, and nothing here is re-entered.
const tally: Tally = { length: 0, digits: 0, uppers: 0, lowers: 0, others: 0, distinct: 0, row: 0 };

/** Counts what stands in `[from, to)`. Valid until the next call. */
export function count(text: string, from: number, to: number): Readonly<Tally> {
  tally.length = to - from;
  tally.digits = tally.uppers = tally.lowers = tally.others = tally.row = 0;
  let low = 0;
  let high = 0;
  let row = 0;
  let before = -1;
  for (let at = from; at < to; at += 1) {
    const code = text.charCodeAt(at);
    if (isDigit(code)) tally.digits += 1;
    else if (isUpper(code)) tally.uppers += 1;
    else if (isLower(code)) tally.lowers += 1;
    else tally.others += 1;
    if (code < 0x40) low |= 1 << (code & 31);
    else high |= 1 << (code & 31);
    row = code === before ? row + 1 : 1;
    if (row > tally.row) tally.row = row;
    before = code;
  }
  tally.distinct = ones(low) + ones(high);
  return tally;
}

function ones(bits: number): number {
  let rest = bits;
  let found = 0;
  while (rest !== 0) {
    rest &= rest - 1;
    found += 1;
  }
  return found;
}

/**
 * Random characters of this length have so many different ones, but once in a million times: 16 of hex have seven, 40 ten.
 */
function leastDistinct(length: number): number {
  if (length < 16) return Math.ceil(length / 3);
  return length < 24 ? 7 : length < 40 ? 8 : 10;
}

/** Does `[from, to)` look as if it was drawn, not written: many different characters, and digits among letters or letters of both cases? */
export function isRandom(text: string, from: number, to: number): boolean {
  const { length, digits, uppers, lowers, distinct, row } = count(text, from, to);
  if (distinct < leastDistinct(length) || row * 3 > length) return false;
  return digits > 0 ? digits < length : uppers >= 2 && lowers >= 2;
}

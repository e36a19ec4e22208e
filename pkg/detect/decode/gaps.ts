import type { Spelled } from './spelled-out.ts';
import { readUnits, unitsOf } from './units.ts';

/** More separators between two letters than a word of a list allows (scan/word.ts). */
const leastGap = 4;

/** What tells of a gap whether it matters. */
export interface Joints {
  /** Whether the letters on either side of `[start, end)` may be neighbours in a word that is looked for. False is certain. */
  mayJoin(text: string, start: number, end: number): boolean;
}

/** By UTF-16 unit: 1 for letters and digits, 2 for others, 0 until somebody asked. Halves of pairs count as letters. */
const kinds = new Uint8Array(1 << 16);
kinds.fill(1, 0xd800, 0xe000);
const letterOrDigit = /[\p{L}\p{N}]/u;

function kindOf(code: number): number {
  const kind = letterOrDigit.test(String.fromCharCode(code)) ? 1 : 2;
  kinds[code] = kind;
  return kind;
}

/**
 * Stretches of {@link leastGap} and more characters that are neither letters nor digits, each of which reads as one space: those in which a word
 * may go on.
 */
class Gaps {
  readonly #text: string;
  readonly #joints: Joints | undefined;
  #at = 0;
  /** Where the stretch begins that the last unit is of. */
  #start = 0;

  constructor(text: string, joints: Joints | undefined) {
    this.#text = text;
    this.#joints = joints;
  }

  /** Those that end in the next part of the text, which is some {@link readUnits}. Undefined: that was all. */
  step(): readonly Spelled[] | undefined {
    const from = this.#at;
    const to = Math.min(this.#text.length, from + readUnits);
    if (from >= to) return undefined;
    const found: Spelled[] = [];
    const units = unitsOf(this.#text, from, to);
    let start = this.#start;
    for (let at = from; at < to; at += 1) {
      const code = units[at - from] ?? 0;
      if ((kinds[code] || kindOf(code)) === 2) continue;
      // Before the first letter there is none to part.
      if (at - start >= leastGap && start > 0 && this.#joints?.mayJoin(this.#text, start, at) !== false) {
        found.push({ start, end: at, text: ' ' });
      }
      start = at + 1;
    }
    this.#start = start;
    this.#at = to;
    return found;
  }
}

const isSeparator = (code: number): boolean => (kinds[code] || kindOf(code)) === 2;

/** False is certain. A stretch stands over a fourth place of the text, so that most of it is not looked at. */
function mayHaveGaps(text: string): boolean {
  for (let at = leastGap - 1; at < text.length; at += leastGap) {
    if (!isSeparator(text.charCodeAt(at))) continue;
    let start = at;
    while (start > 0 && isSeparator(text.charCodeAt(start - 1))) start -= 1;
    let end = at + 1;
    while (end < text.length && isSeparator(text.charCodeAt(end))) end += 1;
    if (end - start >= leastGap) return true;
  }
  return false;
}

/** @param joints absent: any gap matters */
export function* gaps(text: string, joints?: Joints): Generator<Spelled | undefined, void, void> {
  if (text.length <= readUnits && !mayHaveGaps(text)) return;
  const search = new Gaps(text, joints);
  for (let found = search.step(); found !== undefined; found = search.step()) {
    yield* found;
    yield;
  }
}

/** Whether there is any, in a text that is read in one go. */
export function hasGaps(text: string, joints?: Joints): boolean {
  if (!mayHaveGaps(text)) return false;
  const search = new Gaps(text, joints);
  for (let found = search.step(); found !== undefined; found = search.step()) if (found.length > 0) return true;
  return false;
}

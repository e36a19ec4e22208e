import type { Joints } from '../decode/index.ts';
import { standIns, wordLetters } from './word.ts';

/**
 * Which letters stand side by side in some word of a policy: of most gaps in code, tables and prose it tells at once that no word goes on in them,
 * so that they need not be read as one space. Letters are compared by {@link classOfLetter}; pairs and threes are kept as bits at a hash, so it
 * may say yes too often and never no.
 */
export class WordJoints implements Joints {
  readonly #words: readonly string[];
  readonly #fold: (code: number) => string;
  #sets: Sets | undefined;

  constructor(words: readonly string[], fold: (code: number) => string) {
    this.#words = words;
    this.#fold = fold;
  }

  mayJoin(text: string, start: number, end: number): boolean {
    const before = this.#letter(text.charCodeAt(start - 1));
    const behind = this.#letter(text.charCodeAt(end));
    if (before < 0 || behind < 0) return true;
    const { pairs, last, threes } = (this.#sets ??= this.#build());
    const pair = mix(before, behind);
    if (!pairs.has(pair)) return false;
    if (last.has(pair)) return true;
    const next = this.#next(text, end + 1);
    return next === unknown || threes.has(mix(pair, next));
  }

  /** The next letter of a text; {@link unknown} where something may be read as one that is none, or comes late. */
  #next(text: string, from: number): number {
    for (let at = from; at < text.length && at < from + mostBetween; at += 1) {
      const code = text.charCodeAt(at);
      const found = this.#letter(code);
      if (found !== separator) return found;
    }
    return unknown;
  }

  #letter(code: number): number {
    if (code < 0x80) return asciiClass[code] ?? unknown;
    if (code >= 0xd800 && code <= 0xdfff) return unknown;
    const folded = this.#fold(code);
    if (folded === '') return separator;
    if (folded.length > 1) return unknown;
    const one = folded.charCodeAt(0);
    if (one < 0x80) return asciiClass[one] ?? unknown;
    return letterOrDigit.test(folded) ? classOfLetter(folded) : separator;
  }

  #build(): Sets {
    const sets: Sets = { pairs: new Bits(16), last: new Bits(16), threes: new Bits(18) };
    for (const word of this.#words) {
      const letters = wordLetters(word, this.#fold).map(classOfLetter);
      for (let at = 1; at < letters.length; at += 1) {
        const pair = mix(letters[at - 1] ?? 0, letters[at] ?? 0);
        sets.pairs.add(pair);
        const next = letters[at + 1];
        if (next === undefined) sets.last.add(pair);
        else sets.threes.add(mix(pair, next));
      }
    }
    return sets;
  }
}

interface Sets {
  readonly pairs: Bits;
  /** Pairs that end a word. */
  readonly last: Bits;
  readonly threes: Bits;
}

/** A set of numbers of 32 bits, of which only some bits are kept. */
class Bits {
  readonly #bits: Uint8Array;
  readonly #shift: number;

  /** @param size bits of the number that are kept */
  constructor(size: number) {
    this.#bits = new Uint8Array(1 << (size - 3));
    this.#shift = 32 - size;
  }

  add(value: number): void {
    const at = value >>> this.#shift;
    this.#bits[at >>> 3] = (this.#bits[at >>> 3] ?? 0) | (1 << (at & 7));
  }

  has(value: number): boolean {
    const at = value >>> this.#shift;
    return ((this.#bits[at >>> 3] ?? 0) & (1 << (at & 7))) !== 0;
  }
}

/** Fibonacci hashing (Knuth, The Art of Computer Programming 3, 6.4): the upper bits depend on both. */
const mix = (a: number, b: number): number => Math.imul(Math.imul(a, 0x9e3779b1) ^ b, 0x85ebca6b) >>> 0;

/** Characters that are passed over on the way to the next letter. */
const mostBetween = 64;
const separator = -1;
const unknown = -2;
const letterOrDigit = /[\p{L}\p{N}]/u;

/** `1` is written for `i` and for `l`, so that these are one, too. */
const standsFor = new Map<string, string>();
for (const [letter, others] of Object.entries(standIns)) {
  const first = standsFor.get(letter) ?? letter;
  for (const char of [letter, ...others]) standsFor.set(char, first);
}

/** The other case, where that is one character. */
const one = (char: string, other: string): string => (other.length === 1 ? other : char);

/** One number for all that is written for a letter (`formsOf` in word.ts). */
export function classOfLetter(char: string): number {
  const upper = one(char, char.toUpperCase());
  const plain = one(upper, upper.toLowerCase());
  return (standsFor.get(plain) ?? plain).codePointAt(0) ?? 0;
}

/** Of ASCII: letters, digits and the signs that stand for letters. What may be a letter or a sign between letters is unknown. */
const asciiClass = Int32Array.from({ length: 128 }, (_, code) => {
  const char = String.fromCharCode(code);
  if (letterOrDigit.test(char)) return classOfLetter(char);
  return standsFor.has(char) ? unknown : separator;
});

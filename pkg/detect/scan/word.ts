import { parsePattern } from '../automaton/pattern.ts';
import type { Instruction, Pattern } from '../automaton/pattern.ts';
import { wordAt, wordBefore } from '../automaton/word-edges.ts';

/**
 * A word of a fixed list, compared as a reader would: case, digits and signs that stand for letters (`1gn0re`), and spaces or
 * punctuation between letters (`i g n o r e`, `ign-ore`) do not matter; it begins and ends where a word does
 * (word-edges.ts).
 *
 * Words of fewer than four letters of ASCII allow nothing between them, or "IAM" would be found in "I am". In Chinese, Japanese and Korean
 * nearly all words are that short, and there one space would hide any.
 */
export interface WordPattern {
  readonly pattern: Pattern;
  readonly maxLength: number;
  /** Letters, digits and signs of the word. */
  readonly letters: number;
}

/** What is written instead of a letter. */
export const standIns: Readonly<Record<string, string>> = {
  a: '4@',
  b: '8',
  e: '3',
  g: '9',
  i: '1!|l',
  l: '1|i',
  o: '0',
  s: '5$',
  t: '7+',
  z: '2',
};

/** Most characters between two letters, and between two words of a phrase. */
const betweenLetters = 3;
const betweenWords = 8;

/** What separates the words of a phrase in a list: it matches any separator, or none. */
const separators = /[\s\p{Pd}\p{Pc}.,:;'"/\\]+/u;
const noSeparator = /[^\s\p{Pd}\p{Pc}.,:;'"/\\]/u;

/** Whether a word of a policy holds anything to look for. Costs next to nothing, unlike its pattern. */
export function holdsLetters(word: string, fold: (code: number) => string): boolean {
  for (const char of word) if (noSeparator.test(fold(char.codePointAt(0) as number))) return true;
  return false;
}

/**
 * The pattern of a word of a policy; undefined when it holds nothing to look for.
 *
 * @param fold how text is mapped before it is matched
 */
export function wordPattern(word: string, fold: (code: number) => string): WordPattern | undefined {
  if (!holdsLetters(word, fold)) return undefined;
  const folded = Array.from(word, (char) => fold(char.codePointAt(0) as number)).join('');
  const parts = partsOf(folded);
  const letters = parts.reduce((sum, part) => sum + part.length, 0);
  const inner = letters < 4 && /^[\x00-\x7f]*$/.test(folded) ? 0 : betweenLetters;
  const gaps = parts.length - 1;
  const between = (letters - 1 - gaps) * inner + gaps * betweenWords;
  return {
    pattern: {
      // Some 200 for each: of 32,000 words they would be more than the pod may have, so none are kept.
      get instructions() {
        return instructionsOf(partsOf(folded), inner);
      },
      size: letters + 2 * between + 1,
      start: 0,
      asserted: false,
      shortest: letters,
    },
    letters,
    maxLength: letters + between,
  };
}

/** The letters of a word of a policy, as a reader sees them, without what separates them. */
export function wordLetters(word: string, fold: (code: number) => string): readonly string[] {
  return partsOf(Array.from(word, (char) => fold(char.codePointAt(0) as number)).join('')).flat();
}

const partsOf = (folded: string): readonly (readonly string[])[] =>
  folded
    .split(separators)
    .map((part) => Array.from(part))
    .filter((part) => part.length > 0);

function instructionsOf(parts: readonly (readonly string[])[], inner: number): readonly Instruction[] {
  const instructions: Instruction[] = [];
  const gap = (most: number): void => {
    // Each optional character may be skipped to the end of the gap.
    const after = instructions.length + 2 * most;
    for (let left = most; left > 0; left--) {
      instructions.push({ op: 'alt', out: instructions.length + 1, other: after });
      instructions.push({ op: 'char', out: instructions.length + 1, ranges: separatorRanges() });
    }
  };
  parts.forEach((part, at) => {
    if (at > 0) gap(betweenWords);
    part.forEach((char, index) => {
      if (index > 0) gap(inner);
      instructions.push({ op: 'char', out: instructions.length + 1, ranges: letterRanges(char) });
    });
  });
  instructions.push({ op: 'match' });
  return instructions;
}

/** Everything that is neither letter nor digit, as RE2 has it. */
export const separatorPattern = '[^\\pL\\pN]';

let separatorCache: readonly number[] | undefined;

function separatorRanges(): readonly number[] {
  if (separatorCache === undefined) {
    const one = parsePattern(separatorPattern).instructions.find((instruction) => instruction.op === 'char');
    separatorCache = one?.op === 'char' ? one.ranges : [];
  }
  return separatorCache;
}

/** Of the characters that came first: words are of few. */
const letterCache = new Map<string, readonly number[]>();
const mostLetters = 4_096;

/** A character, its other cases and what stands in for it: one array for each character, so that what is built of it once is found again. */
function letterRanges(char: string): readonly number[] {
  const known = letterCache.get(char);
  if (known !== undefined) return known;
  const ranges = formsOf(char);
  if (letterCache.size < mostLetters) letterCache.set(char, ranges);
  return ranges;
}

/** All that is written for a letter of a word, as code points in pairs of one. */
export function formsOf(char: string): readonly number[] {
  const lower = char.toLowerCase();
  const forms = [char, lower, char.toUpperCase(), ...Array.from(standIns[lower] ?? '')];
  const codes = new Set(
    forms.filter((form) => Array.from(form).length === 1).map((form) => form.codePointAt(0) as number),
  );
  return [...codes].sort((a, b) => a - b).flatMap((code) => [code, code]);
}

/** A word ends where words end. */
export function wordAccepts(text: string, start: number, end: number): boolean {
  return !wordBefore(text, start) && !wordAt(text, end);
}

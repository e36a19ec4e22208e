import { RE2JS } from 're2js';
import type { PatternFault } from '../scanner.ts';
import type { Instruction } from './instruction.ts';
import { preparedPattern } from './prepared.ts';
import type { Instructions } from './prepared.ts';

export type { Instruction } from './instruction.ts';

/**
 * An operator's pattern as instructions. The parser, the flags, Unicode classes and case folding are RE2's own (re2js, pinned):
 * we read its compiled program instead of parsing a second time, so no pattern can mean one thing to the API server and another
 * here. An instruction that we do not know refuses the pattern: nothing is accepted silently.
 */

/** Bits of `assert`, RE2's own. */
export const assertion = {
  beginLine: 1,
  endLine: 2,
  beginText: 4,
  endText: 8,
  wordBoundary: 16,
  noWordBoundary: 32,
} as const;

export interface Pattern {
  /** Of a word of a list they are made whenever they are asked for. */
  readonly instructions: readonly Instruction[];
  /** How many they are. */
  readonly size: number;
  readonly start: number;
  /** Whether it holds `^ $ \b \B \A \z`: then it reads one character to each side. */
  readonly asserted: boolean;
  /** Code points of its shortest match; Infinity when nothing matches. */
  readonly shortest: number;
}

/** Longest `maxLength` that a policy may ask for, in code points. */
export const longestSpan = 4096;

/** More instructions than this in one pattern are refused: `(a{1000}){...}` and the like. */
const maxInstructions = 20_000;

const maxCodePoint = 0x10ffff;

/** The part of re2js's program that we read; its declarations leave it untyped. */
interface Re2Instruction {
  readonly op: number;
  readonly out: number;
  readonly arg: number;
  readonly runes: ArrayLike<number>;
  matchRune(code: number): boolean;
}

class PatternRefused extends Error {}

/**
 * Patterns that somebody still holds. A policy's are checked and then compiled, and most stay as they are when it changes:
 * reading each once halves what a thousand of them cost.
 */
const held = new Map<string, WeakRef<Pattern>>();
const released = new FinalizationRegistry<string>((source) => {
  if (held.get(source)?.deref() === undefined) held.delete(source);
});

/** @throws Error with the parser's message. */
export function parsePattern(source: string): Pattern {
  const known = held.get(source)?.deref();
  if (known !== undefined) return known;
  const prepared = preparedPattern(source);
  const pattern = prepared === undefined ? parseWithRe2(source) : finish(prepared);
  held.set(source, new WeakRef(pattern));
  released.register(pattern, source);
  return pattern;
}

/** What RE2 itself says, also of patterns that are prepared. @throws as {@link parsePattern} */
export function parseWithRe2(source: string): Pattern {
  const program = RE2JS.compile(source).re2().prog as {
    readonly inst: readonly Re2Instruction[];
    readonly start: number;
  };
  if (!Array.isArray(program.inst)) throw new PatternRefused('pattern cannot be read');
  if (program.inst.length > maxInstructions) throw new PatternRefused('pattern is too large');
  const classes: Classes = new Map();
  return finish({ instructions: program.inst.map((one) => translate(one, classes)), start: program.start });
}

function finish({ instructions, start }: Instructions): Pattern {
  return {
    instructions,
    size: instructions.length,
    start,
    asserted: instructions.some((one) => one.op === 'assert'),
    shortest: shortestMatch(instructions, start),
  };
}

/**
 * Why a pattern cannot be used, or undefined.
 *
 * @param maxLength longest match in code points, 1 to 4,096
 */
export function checkPattern(pattern: string, maxLength: number): PatternFault | undefined {
  const read = readPattern(pattern, maxLength);
  return 'message' in read ? read : undefined;
}

/** The pattern, or why it cannot be used. */
export function readPattern(pattern: string, maxLength: number): Pattern | PatternFault {
  if (!Number.isInteger(maxLength) || maxLength < 1 || maxLength > longestSpan) {
    return { pattern, message: `maxLength must be a whole number from 1 to ${longestSpan}` };
  }
  try {
    const parsed = parsePattern(pattern);
    if (parsed.shortest > maxLength) return { pattern, message: 'no match is as short as maxLength allows' };
    return parsed;
  } catch (error) {
    return { pattern, message: error instanceof Error ? error.message : 'pattern cannot be read' };
  }
}

/** Copies of an instruction, which counted repeats make by the thousand, share its class as they do in RE2. */
type Classes = Map<Re2Instruction['runes'], readonly number[]>;

function translate(one: Re2Instruction, classes: Classes): Instruction {
  switch (one.op) {
    case 1: // ALT
    case 2: // ALT_MATCH
      return { op: 'alt', out: one.out, other: one.arg };
    case 3: // CAPTURE: groups mean nothing here
    case 7: // NOP
      return { op: 'jump', out: one.out };
    case 4: // EMPTY_WIDTH
      return { op: 'assert', out: one.out, flags: one.arg };
    case 5:
      return { op: 'fail' };
    case 6:
      return { op: 'match' };
    case 8: // RUNE
    case 9: // RUNE1
      return { op: 'char', out: one.out, ranges: runeRanges(one, classes) };
    case 10: // RUNE_ANY
      return { op: 'char', out: one.out, ranges: [0, maxCodePoint] };
    case 11: // RUNE_ANY_NOT_NL
      return { op: 'char', out: one.out, ranges: [0, 9, 11, maxCodePoint] };
    default:
      throw new PatternRefused('pattern uses what is not supported here');
  }
}

const foldCase = 1;

function runeRanges(one: Re2Instruction, classes: Classes): readonly number[] {
  const only = one.runes[0];
  if (one.runes.length !== 1 || only === undefined) {
    let ranges = classes.get(one.runes);
    if (ranges === undefined) classes.set(one.runes, (ranges = Array.from(one.runes)));
    return ranges;
  }
  return (one.arg & foldCase) === 0 ? [only, only] : foldedRanges(only, one);
}

const foldedByRune = new Map<number, readonly number[]>();

/** Every code point that RE2 takes for this one under `(?i)`: of those that have case at all, each is asked, which is exact. */
function foldedRanges(rune: number, one: Re2Instruction): readonly number[] {
  const known = foldedByRune.get(rune);
  if (known !== undefined) return known;
  const ranges: number[] = [];
  // ASCII letters fold only among themselves and with U+017F and U+212A.
  const candidates = rune < 0x80 ? asciiFoldCandidates : casedLetters();
  for (const code of candidates) if (one.matchRune(code)) ranges.push(code, code);
  if (!ranges.includes(rune)) ranges.push(rune, rune);
  foldedByRune.set(rune, ranges);
  return ranges;
}

const asciiFoldCandidates = [...Array.from({ length: 0x80 }, (_, code) => code), 0x17f, 0x212a];

/** Blocks of Unicode outside ASCII that hold every letter with case. */
const casedBlocks = [
  [0x80, 0x2dff],
  [0xa600, 0xabff],
  [0xfb00, 0x118ff],
  [0x16e00, 0x16eff],
  [0x1e900, 0x1e9ff],
] as const;

let cased: readonly number[] | undefined;

/** Every code point outside ASCII that folds with another; found when the first is asked for. */
function casedLetters(): readonly number[] {
  if (cased !== undefined) return cased;
  const found: number[] = [];
  for (const [first, last] of casedBlocks) {
    for (let code = first; code <= last; code++)
      if (/[\p{Changes_When_Casefolded}\p{Changes_When_Casemapped}]/u.test(String.fromCodePoint(code)))
        found.push(code);
  }
  cased = found;
  return found;
}

/** Fewest characters on a way from start to match, assertions taken as passed. */
function shortestMatch(instructions: readonly Instruction[], start: number): number {
  let shortest = Number.POSITIVE_INFINITY;
  const seen = new Set<number>();
  let level = [start];
  for (let length = 0; level.length > 0 && shortest === Number.POSITIVE_INFINITY; length++) {
    const next: number[] = [];
    while (level.length > 0) {
      const at = level.pop();
      if (at === undefined || seen.has(at)) continue;
      seen.add(at);
      const one = instructions[at];
      if (one === undefined || one.op === 'fail') continue;
      if (one.op === 'match') shortest = length;
      else if (one.op === 'char') next.push(one.out);
      else {
        level.push(one.out);
        if (one.op === 'alt') level.push(one.other);
      }
    }
    level = next;
  }
  return shortest;
}

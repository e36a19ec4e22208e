import type { Instruction, Pattern } from '../automaton/pattern.ts';

/**
 * An operator's pattern in a text as a reader sees it. RE2 says what it means in the text as it is written, and that is looked for as well
 * (text-scan.ts). What is added here is for texts in disguise: a letter that the pattern names is found as what a reader takes it for, too
 * (`é` as `e`, Cyrillic `а` as `a`, `ß` as `ss`). Classes stay as they are: with the folds of its members, `[^ ]` would find a space
 * (another kind of space is one) and `\p{Cyrillic}` most English words.
 */

/** A letter with its cases is named; what has more members is a class. RE2 makes one of `a|á|à|â`, too. */
const mostNamed = 4;
/** A named character that folds to several is written out so often: that of each of its cases. */
const mostSequences = 2;
/** A pattern at most doubles, and small ones may have a little more. */
const leastRoom = 64;

const mark = /^\p{M}$/u;

/**
 * Whether the pattern finds in a text as a reader sees it all that it finds in the text as it is written: each of its characters stands in
 * both, and nothing asks what stands beside it. May say no of one that does.
 */
export function readsAlike({ asserted, instructions }: Pattern, fold: (code: number) => string): boolean {
  return !asserted && instructions.every((one) => one.op !== 'char' || isClosed(one.ranges, fold));
}

function isClosed(ranges: readonly number[], fold: (code: number) => string): boolean {
  for (let at = 0; at < ranges.length; at += 2) {
    const low = ranges[at] ?? 0;
    const high = ranges[at + 1] ?? 0;
    if (high < 0x80) continue;
    if (low !== high || !isMember(ranges, fold(low))) return false;
  }
  return true;
}

function isMember(ranges: readonly number[], text: string): boolean {
  const code = text.codePointAt(0) ?? -1;
  if (text !== String.fromCodePoint(Math.max(0, code))) return false;
  for (let at = 0; at < ranges.length; at += 2) {
    if ((ranges[at] ?? 0) <= code && code <= (ranges[at + 1] ?? 0)) return true;
  }
  return false;
}

/** The pattern, which also finds what a reader takes for the letters that it names. Its `shortest` is that of the pattern as it was. */
export function withFoldedLiterals(pattern: Pattern, fold: (code: number) => string): Pattern {
  const instructions: Instruction[] = [...pattern.instructions];
  const most = 2 * instructions.length + leastRoom;
  for (const [at, one] of pattern.instructions.entries()) {
    if (one.op !== 'char') continue;
    const named = membersOf(one.ranges);
    if (named === undefined) continue;
    const folds = [...new Set(named.filter((code) => code >= 0x80).map(fold))];
    const single = folds.filter((text) => lengthOf(text) === 1).map((text) => text.codePointAt(0) ?? 0);
    const several = folds.filter((text) => lengthOf(text) > 1).slice(0, mostSequences);
    const absent = folds.includes('') && named.every((code) => mark.test(String.fromCodePoint(code)));
    const char = { ...one, ranges: single.length === 0 ? one.ranges : rangesOf([...named, ...single]) };
    const others = [...several.map((text) => Array.from(text)), ...(absent ? [[]] : [])];
    instructions[at] = char;
    const added = others.reduce((sum, text) => sum + text.length + 1, 1);
    if (others.length === 0 || instructions.length + added > most) continue;
    addWays(instructions, at, char, others);
  }
  return { ...pattern, instructions, size: instructions.length };
}

/** Instead of the instruction: it, or one of these texts. */
function addWays(
  instructions: Instruction[],
  at: number,
  char: Instruction & { op: 'char' },
  texts: readonly (readonly string[])[],
): void {
  const { out } = char;
  let way = instructions.push(char) - 1;
  for (const [index, text] of texts.entries()) {
    let next = out;
    for (const one of text.toReversed()) {
      const code = one.codePointAt(0) ?? 0;
      next = instructions.push({ op: 'char', out: next, ranges: [code, code] }) - 1;
    }
    const choice: Instruction = { op: 'alt', out: way, other: next };
    if (index === texts.length - 1) instructions[at] = choice;
    else way = instructions.push(choice) - 1;
  }
}

function membersOf(ranges: readonly number[]): readonly number[] | undefined {
  const members: number[] = [];
  for (let at = 0; at < ranges.length; at += 2) {
    for (let code = ranges[at] ?? 0; code <= (ranges[at + 1] ?? 0); code++) {
      if (members.push(code) > mostNamed) return undefined;
    }
  }
  return members;
}

function rangesOf(codes: readonly number[]): readonly number[] {
  return [...new Set(codes)].sort((a, b) => a - b).flatMap((code) => [code, code]);
}

const lengthOf = (text: string): number => Array.from(text).length;

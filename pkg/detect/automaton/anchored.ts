import { ForwardAutomaton } from './forward.ts';
import { assertion } from './pattern.ts';
import { op } from './program.ts';
import type { Program } from './program.ts';
import { fewStates } from './state-cache.ts';

/**
 * Every accepted end of one pattern from one start, exact: assertions are decided on the text around. Linear in the span.
 */
export interface Ends {
  /** Ends in rising order, as indices into the text. Reused between calls. */
  readonly ends: number[];
  /** Whether, at the end of what may be read, the pattern could still go on within W (assertions taken as passed). */
  live: boolean;
}

export class AnchoredMatcher {
  readonly #program: Program;
  readonly #unit: number;
  readonly #asserted: boolean;
  readonly #automaton: ForwardAutomaton;
  readonly #result: Ends = { ends: [], live: false };

  constructor(program: Program, unit: number, asserted: boolean) {
    this.#program = program;
    this.#unit = unit;
    this.#asserted = asserted;
    this.#automaton = new ForwardAutomaton(program, [unit], {
      anywhere: false,
      tails: false,
      maxStates: fewStates(program.classes.count),
    });
  }

  /**
   * Ends of matches in `text` that start at `start`, are not empty, and have at most `longest` code points.
   *
   * @param to where reading stops; the character there still serves assertions as context
   * @param begin where the text begins for assertions, whatever stands before it
   */
  match(text: string, start: number, to: number, longest: number, begin = 0): Ends {
    const result = this.#result;
    result.ends.length = 0;
    const stopped = this.#automaton.endsFrom(text, start, to, longest, result.ends);
    result.live = stopped === to && countCodePoints(text, start, to) < longest;
    if (this.#asserted && result.ends.length > 0) this.#decide(text, start, result.ends.at(-1) as number, begin);
    return result;
  }

  /** Runs again as a set of threads, with assertions asked. Only where the over-estimate matched. */
  #decide(text: string, start: number, stop: number, begin: number): void {
    const program = this.#program;
    const { member, arg, out, classes } = program;
    const ends = this.#result.ends;
    ends.length = 0;
    let threads: number[] = [];
    this.#close(program.starts[this.#unit] as number, context(text, start, begin), threads);
    let i = start;
    while (i < stop && threads.length > 0) {
      const code = text.codePointAt(i) as number;
      i += code > 0xffff ? 2 : 1;
      const one = classes.of(code);
      const flags = context(text, i, begin);
      const next: number[] = [];
      let matched = false;
      this.#seen.clear();
      for (const pc of threads) {
        if (member[(arg[pc] as number) * classes.count + one] === 1 && this.#into(out[pc] as number, flags, next)) {
          matched = true;
        }
      }
      if (matched) ends.push(i);
      threads = next;
    }
  }
  readonly #seen = new Set<number>();

  #close(from: number, flags: number, into: number[]): void {
    this.#seen.clear();
    this.#into(from, flags, into);
  }

  #into(from: number, flags: number, into: number[]): boolean {
    const { op: ops, out, arg } = this.#program;
    const stack = [from];
    let matched = false;
    while (stack.length > 0) {
      const pc = stack.pop() as number;
      if (this.#seen.has(pc)) continue;
      this.#seen.add(pc);
      const kind = ops[pc];
      if (kind === op.char) into.push(pc);
      else if (kind === op.match) matched = true;
      else if (kind === op.assert) {
        if (((arg[pc] as number) & ~flags) === 0) stack.push(out[pc] as number);
      } else if (kind !== op.fail) {
        stack.push(out[pc] as number);
        if (kind === op.alt) stack.push(arg[pc] as number);
      }
    }
    return matched;
  }
}

/** Which assertions hold between two characters; RE2's words are ASCII. */
function context(text: string, at: number, begin: number): number {
  const before = at === begin ? -1 : text.charCodeAt(at - 1);
  const after = at >= text.length ? -1 : text.charCodeAt(at);
  let flags = isWord(before) === isWord(after) ? assertion.noWordBoundary : assertion.wordBoundary;
  if (before === -1) flags |= assertion.beginText | assertion.beginLine;
  if (before === 10) flags |= assertion.beginLine;
  if (after === -1) flags |= assertion.endText | assertion.endLine;
  if (after === 10) flags |= assertion.endLine;
  return flags;
}

function isWord(code: number): boolean {
  return (
    (code >= 0x30 && code <= 0x39) || (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a) || code === 0x5f
  );
}

/** Whether a surrogate pair stands across `at`. */
export function splitsPair(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code >= 0xdc00 && code < 0xe000 && (text.charCodeAt(at - 1) & 0xfc00) === 0xd800;
}

/** The index `count` code points after `from`, at most `to`. */
export function advance(text: string, from: number, to: number, count: number): number {
  let at = from;
  for (let left = count; left > 0 && at < to; left--) {
    at++;
    if (at < to && splitsPair(text, at)) at++;
  }
  return at;
}

export function countCodePoints(text: string, from: number, to: number): number {
  let count = 0;
  for (let at = from; at < to; count++) {
    at++;
    if (at < to && splitsPair(text, at)) at++;
  }
  return count;
}

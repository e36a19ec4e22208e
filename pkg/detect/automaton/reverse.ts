import { op } from './program.ts';
import type { Program } from './program.ts';
import { StateCache, unknown } from './state-cache.ts';
import { wordBefore } from './word-edges.ts';

/**
 * Finds the earliest start from which some match may still come, by reading backwards from the end of what was received: it
 * recognises reversed prefixes of matches (with their right context). It begins with what lives where the forward automaton stands: of all
 * patterns, what could have ended in the last word is a multiple of that, and another set for nearly every word. Exact but for assertions,
 * which it takes as passed, and for a match's last R characters. Its cost is the held text, usually a word.
 */
export interface Reach {
  /** Most code points between a start and now for which the unit is still undecided (W + R - 1). */
  readonly reach: number;
  /** Starts only where a word may begin (word-edges.ts). */
  readonly wordStart: boolean;
}

interface Note {
  /** Longest reach of the units that may start here: of all, and of those that start only at words. */
  readonly anywhere: number;
  readonly atWord: number;
}

interface Initial {
  readonly id: number;
  readonly generation: number;
}

const quiet: Note = { anywhere: 0, atWord: 0 };

export class ReverseAutomaton {
  readonly #program: Program;
  readonly #cache: StateCache<Note>;
  readonly #reaches: readonly Reach[];
  /** By what lives, the state behind it. */
  readonly #initial = new WeakMap<Int32Array, Initial>();
  /** starts[pc] = 1: a match may start by consuming this instruction's character. */
  readonly #starts: Uint8Array;
  readonly #longest: number;
  readonly #closer: ReverseCloser;

  constructor(program: Program, units: readonly number[], reaches: readonly Reach[], maxStates?: number) {
    this.#program = program;
    this.#reaches = reaches;
    this.#cache = new StateCache(program.classes.count, maxStates);
    this.#closer = new ReverseCloser(program);
    this.#starts = new Uint8Array(program.size);
    this.#longest = units.reduce((longest, unit) => Math.max(longest, (reaches[unit] as Reach).reach), 0);
    const mark = (pc: number): boolean => {
      if (program.op[pc] === op.char) this.#starts[pc] = 1;
      return false;
    };
    // A match that began and ended without a character is none, so its tail is no start.
    for (const unit of units) this.#closer.leadsTo(program.starts[unit] as number, mark, op.match);
  }

  /**
   * The smallest index in `[floor, end)` from which something is undecided at `end`; `end` when nothing is.
   *
   * @param text holds at least one code point before `floor`, unless the lane begins there
   * @param live the set of the forward automaton over the same program that has read all starts from `floor` on and stands at `end`
   */
  earliest(text: string, floor: number, end: number, live: Int32Array): number {
    const cache = this.#cache;
    const classes = this.#program.classes;
    let state = this.#before(live);
    let best = end;
    let depth = 0;
    for (let i = end - 1; i >= floor && depth < this.#longest; i--) {
      let code = text.charCodeAt(i);
      if (code >= 0xdc00 && code < 0xe000 && i > floor) {
        const whole = text.codePointAt(i - 1) as number;
        if (whole > 0xffff) {
          code = whole;
          i--;
        }
      }
      depth++;
      const one = code < 128 ? (classes.ascii[code] as number) : classes.of(code);
      let next = cache.table[state + one] as number;
      if (next === unknown) next = this.#build(state, one);
      if (next < 0) {
        next = ~next;
        const { anywhere, atWord } = cache.get(next).note;
        if (depth <= anywhere || (depth <= atWord && !wordBefore(text, i))) best = i;
      }
      state = next;
      if (cache.empty[state / cache.stride] === 1) break;
    }
    return best;
  }

  /** The state of the characters after which something of `live` may stand. */
  #before(live: Int32Array): number {
    const known = this.#initial.get(live);
    if (known?.generation === this.#cache.generation) return known.id;
    const into: number[] = [];
    this.#closer.begin();
    for (const pc of live) this.#closer.close(pc, into);
    const id = this.#cache.intern(Int32Array.from(into).sort(), '0,0', quiet);
    this.#initial.set(live, { id, generation: this.#cache.generation });
    return id;
  }

  #build(state: number, one: number): number {
    const { member, arg, classes, unit } = this.#program;
    const into: number[] = [];
    let anywhere = 0;
    let atWord = 0;
    this.#closer.begin();
    for (const pc of this.#cache.get(state).set) {
      if (member[(arg[pc] as number) * classes.count + one] !== 1) continue;
      if (this.#starts[pc] === 1) {
        const { reach, wordStart } = this.#reaches[unit[pc] as number] as Reach;
        if (wordStart) atWord = Math.max(atWord, reach);
        else anywhere = Math.max(anywhere, reach);
      }
      this.#closer.close(pc, into);
    }
    const generation = this.#cache.generation;
    const noted = anywhere > 0 || atWord > 0;
    const id = this.#cache.intern(
      Int32Array.from(into).sort(),
      `${anywhere},${atWord}`,
      noted ? { anywhere, atWord } : quiet,
    );
    const entry = noted ? ~id : id;
    if (generation === this.#cache.generation) this.#cache.table[state + one] = entry;
    return entry;
  }
}

/** Follows a program's edges backwards. */
export class ReverseCloser {
  readonly #program: Program;
  readonly #stack: number[] = [];

  constructor(program: Program) {
    this.#program = program;
  }

  /** Starts another set. */
  begin(): void {
    this.#program.marks.clear();
  }

  /** Adds the character instructions after which this one may stand. */
  close(from: number, into: number[]): void {
    const { charInto, freeInto, marks } = this.#program;
    const { seen, passed, stamp } = marks;
    const stack = this.#stack;
    stack.push(from);
    while (stack.length > 0) {
      const pc = stack.pop() as number;
      if (passed[pc] === stamp) continue;
      passed[pc] = stamp;
      for (let at = charInto.first[pc] as number; at < (charInto.first[pc + 1] as number); at++) {
        const before = charInto.to[at] as number;
        if (seen[before] === stamp) continue;
        seen[before] = stamp;
        into.push(before);
      }
      for (let at = freeInto.first[pc] as number; at < (freeInto.first[pc + 1] as number); at++) {
        stack.push(freeInto.to[at] as number);
      }
    }
  }

  /** Whether `found` says so of an instruction that is reached without consuming; does not look past `stopAt`. */
  leadsTo(from: number, found: (pc: number) => boolean, stopAt: number = op.fail): boolean {
    const { op: ops, out, arg } = this.#program;
    const stack = [from];
    const seen = new Set<number>();
    while (stack.length > 0) {
      const pc = stack.pop() as number;
      if (seen.has(pc)) continue;
      seen.add(pc);
      if (found(pc)) return true;
      const kind = ops[pc];
      if (kind === op.char || kind === op.fail || kind === stopAt) continue;
      stack.push(out[pc] as number);
      if (kind === op.alt) stack.push(arg[pc] as number);
    }
    return false;
  }
}

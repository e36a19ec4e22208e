import { op } from './program.ts';
import type { Program } from './program.ts';
import { StateCache, unknown } from './state-cache.ts';

/**
 * Runs over text once and says where some pattern may have ended (`accepted`) and whether anything is still possible.
 * Assertions are taken as passed: it over-estimates both, never under. One table lookup a character whatever the number of
 * patterns.
 */

/** A place to stand between calls. It survives the emptying of the state table. */
export interface Standing {
  id: number;
  generation: number;
  set: Int32Array;
}

export type OnAccept = (end: number, units: readonly number[]) => void;

const nothing: readonly number[] = [];
const none = new Int32Array(0);

export interface ForwardOptions {
  /** A match may start at every character; false: only at the first. */
  readonly anywhere: boolean;
  /** Keep threads that wait for right context after a match. */
  readonly tails: boolean;
  /** Most states; default what a table of 4 MiB holds. */
  readonly maxStates?: number;
}

export class ForwardAutomaton {
  readonly #program: Program;
  readonly #anywhere: boolean;
  readonly #tails: boolean;
  readonly #cache: StateCache<readonly number[]>;
  /** Character instructions at which a match may start. */
  readonly #initial: Int32Array;
  readonly #initialByClass: (Int32Array | undefined)[] = [];
  #beginId = 0;
  #beginGeneration = -1;
  readonly #stack: number[] = [];

  constructor(program: Program, units: readonly number[], options: ForwardOptions) {
    this.#program = program;
    this.#anywhere = options.anywhere;
    this.#tails = options.tails;
    this.#cache = new StateCache(program.classes.count, options.maxStates);
    const found: number[] = [];
    program.marks.clear();
    for (const unit of units) this.#close(program.starts[unit] as number, found, undefined);
    this.#initial = Int32Array.from(found);
  }

  /** Before any text. */
  begin(): Standing {
    this.#beginState();
    const set = this.#anywhere ? none : this.#initial;
    return { id: this.#beginId, generation: this.#cache.generation, set };
  }

  /** Where another automaton over the same program stands, without its new starts where this one has none. */
  carry(from: Standing): Standing {
    const set = from.set;
    return { id: this.#cache.intern(set, '', nothing), generation: this.#cache.generation, set };
  }

  /** Whether some match has begun and may go on or waits for context. */
  alive(at: Standing): boolean {
    return at.set.length > 0;
  }

  /** Moves over `[from, to)`; whole code points. */
  run(at: Standing, text: string, from: number, to: number, accepted: OnAccept): void {
    const cache = this.#cache;
    const classes = this.#program.classes;
    const ascii = classes.ascii;
    let state = at.generation === cache.generation ? at.id : cache.intern(at.set, '', nothing);
    let table = cache.table;
    for (let i = from; i < to; i++) {
      let code = text.charCodeAt(i);
      let one: number;
      if (code < 128) one = ascii[code] as number;
      else {
        if (code >= 0xd800 && code < 0xdc00 && i + 1 < to) {
          code = text.codePointAt(i) as number;
          if (code > 0xffff) i++;
        }
        one = classes.of(code);
      }
      let next = table[state + one] as number;
      if (next < 0) {
        if (next === unknown) {
          next = this.#build(state, one);
          table = cache.table;
        }
        if (next < 0) {
          next = ~next;
          accepted(i + 1, cache.get(next).note);
        }
      }
      state = next;
    }
    at.id = state;
    at.generation = cache.generation;
    at.set = cache.get(state).set;
  }

  /**
   * For an automaton that is not `anywhere`: every end of a match that starts at `from`, at most `longest` code points on.
   * Returns where it stopped: `to` or the limit while something lives, else the place of death, negated and less one.
   */
  endsFrom(text: string, from: number, to: number, longest: number, ends: number[]): number {
    const cache = this.#cache;
    const classes = this.#program.classes;
    const ascii = classes.ascii;
    let state = this.#beginState();
    let table = cache.table;
    let left = longest;
    let i = from;
    for (; i < to && left > 0; left--) {
      let code = text.charCodeAt(i++);
      let one: number;
      if (code < 128) one = ascii[code] as number;
      else {
        if (code >= 0xd800 && code < 0xdc00 && i < to) {
          code = text.codePointAt(i - 1) as number;
          if (code > 0xffff) i++;
        }
        one = classes.of(code);
      }
      let next = table[state + one] as number;
      if (next < 0) {
        if (next === unknown) {
          next = this.#build(state, one);
          table = cache.table;
        }
        if (next < 0) {
          next = ~next;
          ends.push(i);
        }
      }
      state = next;
      if (cache.empty[state / cache.stride] === 1) return -i - 1;
    }
    return i;
  }

  /**
   * For an automaton that is not `anywhere`: every end of a match that starts at `from`, with who matches, until nothing lives. Of patterns
   * whose length is bounded by themselves.
   */
  allFrom(text: string, from: number, to: number, accepted: OnAccept): void {
    const cache = this.#cache;
    const classes = this.#program.classes;
    const ascii = classes.ascii;
    let state = this.#beginState();
    let table = cache.table;
    for (let i = from; i < to;) {
      let code = text.charCodeAt(i++);
      let one: number;
      if (code < 128) one = ascii[code] as number;
      else {
        if (code >= 0xd800 && code < 0xdc00 && i < to) {
          code = text.codePointAt(i - 1) as number;
          if (code > 0xffff) i++;
        }
        one = classes.of(code);
      }
      let next = table[state + one] as number;
      if (next < 0) {
        if (next === unknown) {
          next = this.#build(state, one);
          table = cache.table;
        }
        if (next < 0) {
          next = ~next;
          accepted(i, cache.get(next).note);
        }
      }
      state = next;
      if (cache.empty[state / cache.stride] === 1) return;
    }
  }

  #beginState(): number {
    if (this.#beginGeneration !== this.#cache.generation) {
      const set = this.#anywhere ? none : this.#initial;
      this.#beginId = this.#cache.intern(set, '', nothing);
      this.#beginGeneration = this.#cache.generation;
    }
    return this.#beginId;
  }

  /** Units with a thread in this set. */
  units(at: Standing): number[] {
    const found: number[] = [];
    for (const pc of at.set) {
      const unit = this.#program.unit[pc] as number;
      if (!found.includes(unit)) found.push(unit);
    }
    return found;
  }

  #build(state: number, one: number): number {
    const program = this.#program;
    const { member, arg, out } = program;
    const count = program.classes.count;
    const set = this.#cache.get(state).set;
    const next: number[] = [];
    const units: number[] = [];
    program.marks.clear();
    for (const pc of set) {
      if (member[(arg[pc] as number) * count + one] === 1) this.#close(out[pc] as number, next, units);
    }
    if (this.#anywhere) {
      for (const pc of this.#startsAt(one)) this.#close(out[pc] as number, next, units);
    }
    const generation = this.#cache.generation;
    const to = Int32Array.from(next).sort();
    const note = units.length === 0 ? nothing : units.sort((a, b) => a - b);
    const id = this.#cache.intern(to, note.join(), note);
    const entry = note.length > 0 ? ~id : id;
    // An emptied table no longer has the row that we came from.
    if (generation === this.#cache.generation) this.#cache.table[state + one] = entry;
    return entry;
  }

  #startsAt(one: number): Int32Array {
    let starts = this.#initialByClass[one];
    if (starts === undefined) {
      const { member, arg, classes } = this.#program;
      starts = this.#initial.filter((pc) => member[(arg[pc] as number) * classes.count + one] === 1);
      this.#initialByClass[one] = starts;
    }
    return starts;
  }

  /** Follows what consumes nothing. `units`: where matches are noted; undefined at a start, where a match would be empty. */
  #close(from: number, into: number[], units: number[] | undefined): void {
    const { op: ops, out, arg, marks } = this.#program;
    const stack = this.#stack;
    stack.push(from);
    while (stack.length > 0) {
      const pc = stack.pop() as number;
      if (marks.seen[pc] === marks.stamp) continue;
      marks.seen[pc] = marks.stamp;
      switch (ops[pc]) {
        case op.char:
          into.push(pc);
          break;
        case op.alt:
          stack.push(out[pc] as number, arg[pc] as number);
          break;
        case op.match:
          if (units === undefined) break;
          units.push(arg[pc] as number);
          if (this.#tails) stack.push(out[pc] as number);
          break;
        case op.fail:
          break;
        default:
          stack.push(out[pc] as number);
      }
    }
  }
}

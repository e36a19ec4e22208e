import { op } from './program.ts';
import type { Program } from './program.ts';
import { StateCache, unknown } from './state-cache.ts';

/**
 * Runs over text once and says where some pattern may have ended (`accepted`) and whether anything is still possible.
 * Assertions are taken as passed: it over-estimates both, never under. One table lookup a character whatever the number of
 * patterns.
 *
 * Of units that begin at words' edges alone, none begins within a word. That is what keeps the table small: what may begin at each letter
 * stands, in the middle of a word, wherever it may have begun, so that nearly every beginning of a word is a state of its own.
 */

/** A place to stand between calls. It survives the emptying of the state table. */
export interface Standing {
  id: number;
  generation: number;
  set: Int32Array;
  /** Behind a character of a word. */
  inWord: boolean;
}

/** What is noted of a state. */
interface Note {
  /** Units that may have ended there. */
  readonly units: readonly number[];
  readonly inWord: boolean;
}

export type OnAccept = (end: number, units: readonly number[]) => void;

const nothing: readonly number[] = [];
const outside: Note = { units: nothing, inWord: false };
const within: Note = { units: nothing, inWord: true };
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
  readonly #cache: StateCache<Note>;
  /** Character instructions at which a match may start. */
  readonly #initial: Int32Array;
  /** The same of units that begin anywhere: within a word, these alone. */
  readonly #initialWithin: Int32Array;
  readonly #initialByClass: (Int32Array | undefined)[] = [];
  readonly #withinByClass: (Int32Array | undefined)[] = [];
  #beginId = 0;
  #beginGeneration = -1;
  readonly #stack: number[] = [];

  constructor(program: Program, units: readonly number[], options: ForwardOptions) {
    this.#program = program;
    this.#anywhere = options.anywhere;
    this.#tails = options.tails;
    this.#cache = new StateCache(program.classes.count, options.maxStates);
    this.#initial = this.#startsOf(units);
    const anywhere = units.filter((unit) => program.atWord[unit] === 0);
    this.#initialWithin = anywhere.length === units.length ? this.#initial : this.#startsOf(anywhere);
  }

  #startsOf(units: readonly number[]): Int32Array {
    const found: number[] = [];
    this.#program.marks.clear();
    for (const unit of units) this.#close(this.#program.starts[unit] as number, found, undefined);
    return Int32Array.from(found);
  }

  /** Before any text. */
  begin(): Standing {
    this.#beginState();
    const set = this.#anywhere ? none : this.#initial;
    return { id: this.#beginId, generation: this.#cache.generation, set, inWord: false };
  }

  /** Where others over the same program stand, each over units of its own, without their new starts where this one has none. */
  carry(from: readonly Standing[]): Standing {
    const set = Int32Array.from(from.flatMap((one) => [...one.set])).sort();
    const standing: Standing = { id: 0, generation: this.#cache.generation, set, inWord: false };
    standing.id = this.#stateOf(standing);
    standing.generation = this.#cache.generation;
    return standing;
  }

  /** Whether some match has begun and may go on or waits for context. */
  alive(at: Standing): boolean {
    return at.set.length > 0;
  }

  /** Moves over `[from, to)`; whole code points. */
  run(at: Standing, text: string, from: number, to: number, accepted: OnAccept): void {
    const classes = this.#program.classes;
    const ascii = classes.ascii;
    let state = this.enter(at);
    let table = this.table;
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
        next = this.look(state, one, next, i + 1, accepted);
        table = this.table;
      }
      state = next;
    }
    this.leave(at, state);
  }

  // For who steps several at once (forward-parts.ts): each step is `table[state + class]`, and `look` where that is negative.

  /** Another one after each `look`. */
  get table(): Int32Array {
    return this.#cache.table;
  }

  /** The state of a place. */
  enter(at: Standing): number {
    return at.generation === this.#cache.generation ? at.id : this.#stateOf(at);
  }

  leave(at: Standing, state: number): void {
    const { set, note } = this.#cache.get(state);
    at.id = state;
    at.generation = this.#cache.generation;
    at.set = set;
    at.inWord = note.inWord;
  }

  /** The next state where the table does not say it, or something may have ended. */
  look(state: number, one: number, entry: number, end: number, accepted: OnAccept): number {
    const next = entry === unknown ? this.#build(state, one) : entry;
    if (next >= 0) return next;
    accepted(end, this.#cache.get(~next).note.units);
    return ~next;
  }

  #stateOf({ set, inWord }: Standing): number {
    return this.#cache.intern(set, inWord ? 'w' : '', inWord ? within : outside);
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
          accepted(i, cache.get(next).note.units);
        }
      }
      state = next;
      if (cache.empty[state / cache.stride] === 1) return;
    }
  }

  #beginState(): number {
    if (this.#beginGeneration !== this.#cache.generation) {
      const set = this.#anywhere ? none : this.#initial;
      this.#beginId = this.#cache.intern(set, '', outside);
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
    const { set, note: from } = this.#cache.get(state);
    const next: number[] = [];
    const units: number[] = [];
    program.marks.clear();
    for (const pc of set) {
      if (member[(arg[pc] as number) * count + one] === 1) this.#close(out[pc] as number, next, units);
    }
    if (this.#anywhere) {
      for (const pc of this.#startsAt(one, from.inWord)) this.#close(out[pc] as number, next, units);
    }
    const generation = this.#cache.generation;
    const to = Int32Array.from(next).sort();
    const inWord = this.#anywhere && program.ofWord[one] === 1 && this.#initialWithin !== this.#initial;
    const note = units.length > 0 ? { units: units.sort((a, b) => a - b), inWord } : inWord ? within : outside;
    const id = this.#cache.intern(to, `${inWord ? 'w' : ''}${units.join()}`, note);
    const entry = units.length > 0 ? ~id : id;
    // An emptied table no longer has the row that we came from.
    if (generation === this.#cache.generation) this.#cache.table[state + one] = entry;
    return entry;
  }

  #startsAt(one: number, inWord: boolean): Int32Array {
    const byClass = inWord ? this.#withinByClass : this.#initialByClass;
    let starts = byClass[one];
    if (starts === undefined) {
      const { member, arg, classes } = this.#program;
      const initial = inWord ? this.#initialWithin : this.#initial;
      starts = initial.filter((pc) => member[(arg[pc] as number) * classes.count + one] === 1);
      byClass[one] = starts;
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

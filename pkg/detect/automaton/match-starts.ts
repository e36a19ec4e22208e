import { op } from './program.ts';
import type { Program } from './program.ts';
import { ReverseCloser } from './reverse.ts';
import { StateCache, fewStates, unknown } from './state-cache.ts';

/**
 * From the places where one unit may have ended, the places where it may have started, in one pass backwards over a whole
 * cluster of ends: linear however many ends there are. W is not counted: it may name starts that are too far away.
 */
export class MatchStarts {
  readonly #program: Program;
  readonly #cache: StateCache<boolean>;
  /** Character instructions that may end the match. */
  readonly #initial: number[] = [];
  readonly #starts = new Set<number>();
  readonly #closer: ReverseCloser;
  #beginId = 0;
  #beginGeneration = -1;

  constructor(program: Program, unit: number) {
    this.#program = program;
    // Two columns for each class: the second where a match ends after the character.
    this.#cache = new StateCache(program.classes.count * 2, fewStates(program.classes.count * 2));
    this.#closer = new ReverseCloser(program);
    for (let pc = 1; pc < program.size; pc++) {
      if (program.op[pc] !== op.char || program.unit[pc] !== unit) continue;
      if (this.#closer.leadsTo(program.out[pc] as number, (to) => program.op[to] === op.match)) this.#initial.push(pc);
    }
    this.#closer.leadsTo(
      program.starts[unit] as number,
      (to) => {
        if (program.op[to] === op.char) this.#starts.add(to);
        return false;
      },
      op.match,
    );
  }

  /**
   * Starts in `[floor, limit)` in falling order.
   *
   * @param ends rising; each is an index into the text
   */
  find(text: string, ends: readonly number[], floor: number, limit: number, found: (start: number) => void): void {
    const cache = this.#cache;
    const { classes } = this.#program;
    let next = ends.length - 1;
    if (this.#beginGeneration !== cache.generation) {
      this.#beginId = cache.intern(none, '', false);
      this.#beginGeneration = cache.generation;
    }
    let state = this.#beginId;
    let i = ends[next] ?? 0;
    while (i > floor) {
      if (cache.empty[state / cache.stride] === 1) {
        if (next < 0) return;
        i = Math.min(i, ends[next] as number);
        if (i <= floor) return;
      }
      const ending = next >= 0 && ends[next] === i;
      if (ending) next--;
      let code = text.charCodeAt(--i);
      if (code >= 0xdc00 && code < 0xe000 && i > floor) {
        const whole = text.codePointAt(i - 1) as number;
        if (whole > 0xffff) {
          code = whole;
          i--;
        }
      }
      const one = code < 128 ? (classes.ascii[code] as number) : classes.of(code);
      const column = one + (ending ? classes.count : 0);
      let to = cache.table[state + column] as number;
      if (to === unknown) to = this.#build(state, column);
      if (to < 0) {
        to = ~to;
        if (i < limit) found(i);
      }
      state = to;
    }
  }

  #build(state: number, column: number): number {
    const { member, arg, classes } = this.#program;
    const one = column % classes.count;
    const from =
      column >= classes.count ? [...this.#cache.get(state).set, ...this.#initial] : this.#cache.get(state).set;
    const into: number[] = [];
    let starts = false;
    this.#closer.begin();
    for (const pc of from) {
      if (member[(arg[pc] as number) * classes.count + one] !== 1) continue;
      if (this.#starts.has(pc)) starts = true;
      this.#closer.close(pc, into);
    }
    const generation = this.#cache.generation;
    const id = this.#cache.intern(Int32Array.from(into).sort(), starts ? 's' : '', starts);
    const entry = starts ? ~id : id;
    if (generation === this.#cache.generation) this.#cache.table[state + column] = entry;
    return entry;
  }
}

const none = new Int32Array(0);

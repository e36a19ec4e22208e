/**
 * States of a lazy automaton: each is a set of instructions plus a note, built when text first reaches it. Memory is bounded:
 * when the table is full, or its sets and their keys take twice as much as a full table, it is emptied, and whoever holds a state across
 * calls finds it again by its set (`generation` tells).
 *
 * The table gives, for state and character class, the next state: zero or more for a plain one, `~state` for one with a note
 * that the caller must look at, {@link unknown} where it was not built yet. States are row offsets, so that a step is one addition.
 */
export const unknown = -0x80000000;

/** Transitions of one automaton over many units: 4 MiB, and 8 MiB of sets. */
const maxEntries = 1 << 20;

/** Most states of an automaton over one unit of `stride` columns: 256 KiB, and 512 KiB of sets. There may be a thousand of them. */
export function fewStates(stride: number): number {
  return Math.max(16, Math.floor((1 << 16) / stride));
}

export interface CachedState<Note> {
  readonly set: Int32Array;
  readonly note: Note;
}

export class StateCache<Note> {
  table: Int32Array;
  /** By state number: 1 where the set is empty. */
  empty: Uint8Array;
  generation = 0;
  readonly stride: number;
  readonly #states: CachedState<Note>[] = [];
  readonly #ids = new Map<string, number>();
  readonly #limit: number;
  /** Bytes that sets and keys may take. */
  readonly #mostKept: number;
  #kept = 0;

  /** @param limit most states; default as many as 4 MiB hold, at least 16. Fewer where their sets are large, at least one */
  constructor(stride: number, limit = Math.max(16, Math.floor(maxEntries / stride))) {
    this.stride = stride;
    this.#limit = limit;
    this.#mostKept = 2 * limit * stride * Int32Array.BYTES_PER_ELEMENT;
    this.empty = new Uint8Array(Math.min(16, limit));
    this.table = new Int32Array(stride * Math.min(16, limit)).fill(unknown);
  }

  get(id: number): CachedState<Note> {
    return this.#states[id / this.stride] as CachedState<Note>;
  }

  /** Bytes that the sets and keys of the states take. */
  get kept(): number {
    return this.#kept;
  }

  /** The state's row; a new one may empty the table first. `key` must tell notes apart. */
  intern(set: Int32Array, key: string, note: Note): number {
    const name = `${key}:${set.join()}`;
    const known = this.#ids.get(name);
    if (known !== undefined) return known;
    const bytes = set.byteLength + name.length;
    if (this.#states.length >= this.#limit || (this.#kept + bytes > this.#mostKept && this.#states.length > 0))
      this.#empty();
    this.#kept += bytes;
    const id = this.#states.length * this.stride;
    if (id + this.stride > this.table.length) {
      const larger = new Int32Array(Math.min(this.table.length * 2, this.#limit * this.stride)).fill(unknown);
      larger.set(this.table);
      this.table = larger;
      const empty = new Uint8Array(larger.length / this.stride);
      empty.set(this.empty);
      this.empty = empty;
    }
    this.empty[this.#states.length] = set.length === 0 ? 1 : 0;
    this.#states.push({ set, note });
    this.#ids.set(name, id);
    return id;
  }

  #empty(): void {
    this.generation++;
    this.#kept = 0;
    this.#states.length = 0;
    this.#ids.clear();
    this.table.fill(unknown);
  }
}

import type { LaneEnds } from '../dialect/index.ts';

/**
 * How each text of a whole answer ended: what the first of its dialect's entries says whose prefix its id has.
 *
 * Gain: a look-up takes a step for each length that prefixes have, of which there are as many as an index has digits, however many blocks ended.
 */
export class EndsByPrefix {
  readonly #first = new Map<string, number>();
  readonly #lengths: readonly number[];
  readonly #ends: readonly LaneEnds[];

  constructor(ends: readonly LaneEnds[]) {
    this.#ends = ends;
    ends.forEach(({ prefix }, at) => {
      if (!this.#first.has(prefix)) this.#first.set(prefix, at);
    });
    this.#lengths = [...new Set(ends.map(({ prefix }) => prefix.length))];
  }

  /** Undefined: none says so. */
  of(lane: string): LaneEnds['end'] | undefined {
    let first = Infinity;
    for (const length of this.#lengths) {
      if (length > lane.length) continue;
      first = Math.min(first, this.#first.get(lane.slice(0, length)) ?? Infinity);
    }
    return this.#ends[first]?.end;
  }
}

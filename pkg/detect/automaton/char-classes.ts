/**
 * Groups code points that no pattern tells apart, so that automata index a few dozen classes instead of 1,114,112 characters.
 */
export interface CharClasses {
  readonly count: number;
  /** Class of each ASCII character: the hot path's only lookup. */
  readonly ascii: Uint16Array;
  of(code: number): number;
  /** The first code point after this one whose class may differ. */
  nextCut(code: number): number;
}

/** A set of code points: sorted pairs [low, high, low, high …], both ends included. */
export type Ranges = readonly number[];

const end = 0x110000;

export function buildClasses(sets: readonly Ranges[]): CharClasses {
  const cuts = new Set<number>([0]);
  for (const ranges of sets) {
    for (let at = 0; at < ranges.length; at += 2) {
      cuts.add(ranges[at] as number);
      cuts.add((ranges[at + 1] as number) + 1);
    }
  }
  cuts.delete(end);
  const starts = Int32Array.from([...cuts].sort((a, b) => a - b));
  const classes = new Int32Array(starts.length);
  let count = 1;
  // Each set splits the classes that it cuts through. Only what lies in it is looked at: patterns of many letters have many small sets.
  const total = [starts.length];
  const inside: number[] = [];
  for (const ranges of sets) {
    inside.length = 0;
    for (let at = 0; at < ranges.length; at += 2) {
      for (let i = indexOf(starts, ranges[at] as number); i < starts.length; i++) {
        if ((starts[i] as number) > (ranges[at + 1] as number)) break;
        if (i > (inside.at(-1) ?? -1)) inside.push(i);
      }
    }
    const hit = new Map<number, number>();
    for (const i of inside) hit.set(classes[i] as number, (hit.get(classes[i] as number) ?? 0) + 1);
    const split = new Map<number, number>();
    for (const i of inside) {
      const one = classes[i] as number;
      if (hit.get(one) === total[one]) continue;
      let to = split.get(one);
      if (to === undefined) {
        split.set(one, (to = count++));
        total[to] = hit.get(one) as number;
      }
      classes[i] = to;
    }
    for (const [from, to] of split) total[from] = (total[from] as number) - (total[to] as number);
  }
  const bmp = new Uint16Array(0x10000);
  for (let i = 0; i < starts.length; i++) {
    const from = starts[i] as number;
    if (from > 0xffff) break;
    bmp.fill(classes[i] as number, from, Math.min(0x10000, starts[i + 1] ?? end));
  }
  return {
    count,
    ascii: bmp.slice(0, 128),
    of: (code) => (code < 0x10000 ? (bmp[code] as number) : (classes[indexOf(starts, code)] as number)),
    nextCut: (code) => starts[indexOf(starts, code) + 1] ?? end,
  };
}

/** The last entry that is at most `value`. */
function indexOf(sorted: Int32Array, value: number): number {
  let low = 0;
  let high = sorted.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((sorted[middle] as number) <= value) low = middle;
    else high = middle - 1;
  }
  return low;
}

/**
 * What is known of each block of a log while it is read: whose it is, when it came, whether its lines are there, and which entry says that they were
 * deleted. In arrays, some twenty bytes for each entry: a log has more blocks than a Map holds entries (16,777,216).
 */
export interface TakenBlocks {
  /** The block of an entry. @param at When it was taken in: epoch milliseconds. */
  add(index: number, source: string, at: number): void;
  get(index: number): { readonly source: string; readonly at: number } | undefined;
  /** Its lines are not there. */
  miss(index: number): void;
  /**
   * An entry behind it says that its lines were deleted.
   *
   * @param sealed Its own seal proves it.
   * @returns false: that was said before
   */
  delete(index: number, by: number, sealed: boolean): boolean;
  /** That an entry says that its lines were deleted, which a head over so many entries proves, or its own seal. */
  explains(index: number, signed: number): boolean;
  /** Those whose lines are not there, in the order of the log. */
  missing(): Iterable<number>;
}

/** Entries together: few, since one who leaves entries out of a log makes a page for each that is left. */
const pageSize = 256;

interface Page {
  readonly at: Float64Array;
  /** Number of its source, from 1 on; 0: no block. */
  readonly source: Int32Array;
  /** The entry that says that it was deleted, from 1 on, negative where its seal proves it; 0: none does. */
  readonly deletedBy: Float64Array;
  readonly missing: Uint8Array;
}

export function createTakenBlocks(): TakenBlocks {
  const pages = new Map<number, Page>();
  const sources: string[] = [];
  const numbers = new Map<string, number>();
  const numberOf = (source: string): number => {
    const known = numbers.get(source) ?? sources.push(source);
    numbers.set(source, known);
    return known;
  };
  /** Undefined: it is no block that was taken. */
  const find = (index: number): { readonly page: Page; readonly place: number } | undefined => {
    const page = pages.get(Math.floor(index / pageSize));
    const place = index % pageSize;
    return page === undefined || !(page.source[place] ?? 0) ? undefined : { page, place };
  };
  return {
    add(index, source, at) {
      const number = Math.floor(index / pageSize);
      const page = pages.get(number) ?? {
        at: new Float64Array(pageSize),
        source: new Int32Array(pageSize),
        deletedBy: new Float64Array(pageSize),
        missing: new Uint8Array(pageSize),
      };
      pages.set(number, page);
      page.source[index % pageSize] = numberOf(source);
      page.at[index % pageSize] = at;
    },
    get(index) {
      const found = find(index);
      if (found === undefined) return undefined;
      const { page, place } = found;
      return { source: sources[(page.source[place] ?? 0) - 1] ?? '', at: page.at[place] ?? NaN };
    },
    miss(index) {
      const found = find(index);
      if (found !== undefined) found.page.missing[found.place] = 1;
    },
    delete(index, by, sealed) {
      const found = find(index);
      if (found === undefined) return true;
      const { page, place } = found;
      const before = page.deletedBy[place] ?? 0;
      if (before >= 0) page.deletedBy[place] = sealed ? -1 - by : 1 + by;
      return before === 0;
    },
    explains(index, signed) {
      const found = find(index);
      const by = found?.page.deletedBy[found.place] ?? 0;
      return by < 0 || (by > 0 && by - 1 < signed);
    },
    *missing() {
      for (const [number, { missing }] of pages)
        for (let place = 0; place < pageSize; place++) if (missing[place] === 1) yield number * pageSize + place;
    },
  };
}

/**
 * How long a page may take where rows have to be read one by one: what it has until then is the page, with a cursor behind what was read. Rows are
 * read in windows, each some times as many as the one before, or fewer, so that each takes some tens of milliseconds.
 */
export interface PageTime {
  /** Rows of the next window. */
  rows(): number;
  /** A window was read. @returns false: the page's time is over */
  read(): boolean;
}

export interface PageTimeOptions {
  /** Default 500 ms. */
  readonly pageMs?: number;
  /** Of the first window; default 2,000. */
  readonly firstRows?: number;
  /** Milliseconds from an arbitrary start; default: the system's. */
  readonly now?: () => number;
}

const shortMs = 20;
const longMs = 80;

export function createPageTime({
  pageMs = 500,
  firstRows = 2_000,
  now = () => performance.now(),
}: PageTimeOptions = {}): PageTime {
  const began = now();
  let last = began;
  let rows = firstRows;
  return {
    rows: () => rows,
    read() {
      const at = now();
      const took = at - last;
      last = at;
      if (took < shortMs) rows *= 2;
      else if (took > longMs) rows = Math.max(100, Math.floor(rows / 2));
      return at - began < pageMs;
    },
  };
}

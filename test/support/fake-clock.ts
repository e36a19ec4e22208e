import type { Clock, Timer } from '../../pkg/base/index.ts';

/** A clock that stands still until the test moves it. */
export interface FakeClock extends Clock {
  /** Lets time pass on both clocks; timers that fall due run in the order of their time, each at its own time. */
  advance(ms: number): void;
  /** The same, and lets promises settle after each timer: for code that awaits between timers. */
  advanceAsync(ms: number): Promise<void>;
  /** Lets time pass and runs nothing, as a busy process does: timers that fell due run late, at the next `advance`. */
  stall(ms: number): void;
  /** Moves the wall clock alone, as NTP or an operator does. */
  step(ms: number): void;
  /** Timers that wait. */
  readonly pending: number;
}

interface Entry {
  due: number;
  readonly order: number;
  readonly period: number | undefined;
  readonly run: () => void;
}

/** @param start Wall clock at the start, epoch milliseconds; default 2026-01-01T00:00:00Z. The monotonic clock starts at 1,000. */
export function fakeClock(start: { readonly now?: number } = {}): FakeClock {
  let wall = start.now ?? Date.UTC(2026, 0, 1);
  let monotonic = 1000;
  let order = 0;
  const timers = new Set<Entry>();

  const add = (delayMs: number, period: number | undefined, run: () => void): Timer => {
    const entry: Entry = { due: monotonic + Math.max(0, delayMs), order: order++, period, run };
    timers.add(entry);
    return { cancel: () => void timers.delete(entry) };
  };
  const pass = (to: number): void => {
    wall += to - monotonic;
    monotonic = to;
  };
  /** Runs the next timer that falls due up to `end`; false when there is none. */
  const next = (end: number): boolean => {
    let first: Entry | undefined;
    for (const entry of timers) {
      if (entry.due > end) continue;
      if (first === undefined || entry.due < first.due || (entry.due === first.due && entry.order < first.order)) {
        first = entry;
      }
    }
    if (first === undefined) return false;
    pass(Math.max(monotonic, first.due));
    if (first.period === undefined) timers.delete(first);
    else first.due += Math.max(1, first.period);
    first.run();
    return true;
  };

  return {
    now: () => wall,
    monotonic: () => monotonic,
    after: (delayMs, run) => add(delayMs, undefined, run),
    every: (periodMs, run) => add(periodMs, periodMs, run),
    advance(ms) {
      const end = monotonic + ms;
      while (next(end));
      pass(end);
    },
    async advanceAsync(ms) {
      const end = monotonic + ms;
      // A turn of the event loop settles promises and finishes small file reads of the code under test.
      const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
      await settle();
      while (next(end)) await settle();
      pass(end);
      await settle();
    },
    stall: (ms) => pass(monotonic + ms),
    step(ms) {
      wall += ms;
    },
    get pending() {
      return timers.size;
    },
  };
}

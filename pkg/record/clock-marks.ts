/**
 * When entries came, by the recorder's own clock. The log's time never goes back: where the clock was once ahead by years, it stands still for as
 * long, and says of nothing in it when it came. While it does, the recorder writes entries of type `clock`, which it seals: what stands before one
 * came no later than the clock was then. So a wrong clock keeps nothing longer than that hour, and makes nothing older than it is.
 */
export interface ClockMarks {
  /** An entry of type `clock`, in the order of the log. @param clock Epoch milliseconds */
  note(index: number, clock: number): void;
  /** The latest time at which this entry can have come, epoch milliseconds; Infinity: no mark says. */
  cameBy(index: number): number;
  /** Index of an entry of which all that stands before it came before this time; undefined: no mark says so. */
  olderThan(time: number): number | undefined;
}

export function createClockMarks(): ClockMarks {
  /** In the order of the log, and of their clocks: one behind which another says less is worth nothing. */
  const marks: { readonly index: number; readonly clock: number }[] = [];
  /** How many of the first are so. */
  const countWhile = (is: (mark: { readonly index: number; readonly clock: number }) => boolean): number => {
    let [low, high] = [0, marks.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const mark = marks[middle];
      if (mark !== undefined && is(mark)) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  return {
    note(index, clock) {
      while ((marks.at(-1)?.clock ?? -Infinity) >= clock) marks.pop();
      marks.push({ index, clock });
    },
    cameBy: (index) => marks[countWhile((mark) => mark.index <= index)]?.clock ?? Infinity,
    olderThan: (time) => marks[countWhile((mark) => mark.clock < time) - 1]?.index,
  };
}

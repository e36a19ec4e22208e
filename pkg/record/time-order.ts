import type { JsonNode } from '../base/index.ts';

/** Whether the times of a chain's lines go on as its numbers do. */
export interface TimeOrder {
  /** The next line. True: it says that it is older than one before it, and none says why. */
  isBack(root: JsonNode, time: number): boolean;
  /** The latest time since its clock last began anew, epoch milliseconds: what an order goes on from. */
  readonly newest: number;
}

/** What clocks of one node may differ by where a sidecar begins anew. */
const mostMs = 5 * 60_000;

/** After these a chain's clock may stand anywhere: it stepped, or another process writes. Lost lines are told before either. */
const anew: ReadonlySet<string | undefined> = new Set(['start', 'clock_step', 'gap']);

/** @param from {@link TimeOrder.newest} of the lines before; default: none count. */
export function createTimeOrder(from = Number.NEGATIVE_INFINITY): TimeOrder {
  let newest = from;
  return {
    get newest() {
      return newest;
    },
    isBack(root, time) {
      // Nothing could be compared with what is no time.
      if (Number.isNaN(time)) return true;
      if (root.get('type')?.string === 'process' && anew.has(root.get('what')?.string)) newest = time;
      const back = time < newest - mostMs;
      // One that is told is not told for each line behind it.
      newest = back ? time : Math.max(newest, time);
      return back;
    },
  };
}

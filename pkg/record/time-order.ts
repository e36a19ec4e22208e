import type { JsonNode } from '../base/index.ts';

/** Whether the times of a chain's lines go on as its numbers do. */
export interface TimeOrder {
  /** The next line. True: it says that it is older than one before it, and none says why. */
  isBack(root: JsonNode, time: number): boolean;
}

/** What clocks of one node may differ by where a sidecar begins anew. */
const mostMs = 5 * 60_000;

/** After these a chain's clock may stand anywhere: it stepped, or another process writes. Lost lines are told before either. */
const anew: ReadonlySet<string | undefined> = new Set(['start', 'clock_step', 'gap']);

export function createTimeOrder(): TimeOrder {
  let newest = Number.NEGATIVE_INFINITY;
  return {
    isBack(root, time) {
      if (root.get('type')?.string === 'process' && anew.has(root.get('what')?.string)) newest = time;
      const back = time < newest - mostMs;
      // One that is told is not told for each line behind it.
      newest = back ? time : Math.max(newest, time);
      return back;
    },
  };
}

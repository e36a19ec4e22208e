import { getHeapSpaceStatistics } from 'node:v8';
import type { Clock } from '../../pkg/base/index.ts';

/**
 * Empties V8's young generation while no request is under way. Left to itself V8 collects when it is full, which is always
 * within a request: one in seventy waits for it, longer than for all else that is done with it. Between requests nobody waits,
 * and next to nothing of the generation is alive, so that less is copied.
 *
 * Under load nothing changes: there is no moment without a request, and whoever asks again at once is not made to wait either.
 */
export interface YoungGeneration {
  /** How much of it is used, from 0 to 1. */
  used(): number;
  collect(): void;
}

/** Since the last look at the heap, which costs some microseconds: so many requests fill less than half of 8 MB. */
const fewestRequests = 16;

/** Quiet for so long: a caller who sends the next request as soon as it has the answer has done so. */
const quietMs = 3;

/** From here on it is worth a collection. */
const halfFull = 0.5;

/** What runs with `--expose-gc`; without it nothing is ever collected here. */
export const youngGeneration: YoungGeneration = {
  used() {
    const space = getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space');
    if (space === undefined) return 0;
    return space.space_used_size / (space.space_used_size + space.space_available_size);
  },
  collect: () => void globalThis.gc?.({ type: 'minor', execution: 'sync' }),
};

/** @returns to be told of each change of how many requests are under way. */
export function collectWhenIdle(clock: Clock, young = youngGeneration): (inFlight: number) => void {
  let busy = false;
  let requests = 0;
  let waiting = false;
  const look = (): void => {
    waiting = false;
    if (busy) return;
    requests = 0;
    if (young.used() >= halfFull) young.collect();
  };
  return (inFlight) => {
    busy = inFlight > 0;
    if (busy) return;
    requests += 1;
    if (waiting || requests < fewestRequests) return;
    waiting = true;
    clock.after(quietMs, look);
  };
}

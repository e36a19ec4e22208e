import { setFlagsFromString } from 'node:v8';
import type { Clock } from '../../pkg/base/index.ts';
import { growingPercent, isSet } from './memory.ts';
import type { Launch } from './memory.ts';

/**
 * Lets more garbage come together while large bodies do. Their memory is none of V8's heap, but V8 counts it as if it were: where the old
 * generation may grow by three quarters of what lives (memory.ts), ten bodies of a megabyte make V8 mark all of it, 15 MB, to find that
 * they are gone, which takes more than reading and sending them. Once such bodies do not come any more, their garbage is given back.
 *
 * Only where it is worth it: what V8 finds without a living object while nothing happens (shapes of a request's objects, closures) takes the
 * compiled code with it that expects such, and the next thousands of requests cost twice to three times as much.
 */
export interface BodyHeap {
  /** Bytes of bodies, or of their garbage, that were not given back. */
  held(): number;
  collect(): void;
  /** By how many percent of what lives the old generation may grow before it is collected: from its next collection on. */
  grow(percent: number): void;
}

/** Smaller pieces are gone before the young generation is collected. */
const smallBytes = 8 * 1_024;
/** So many bytes of bodies... */
const bytesEach = 16 * 1_024 * 1_024;
/** ...twice within this time are traffic of large ones. */
const withinMs = 5_000;
/** It is over. */
const quietMs = 60_000;
/** From here on a collection is worth its price. */
const worthBytes = 16 * 1_024 * 1_024;
/** What lives, and some 60 MB of bodies. */
const percentWithBodies = 300;

/** @param launch what whoever started the process set stays as it is. */
export const bodyHeap = (launch: Launch): BodyHeap => ({
  held: () => process.memoryUsage().arrayBuffers,
  collect: () => void globalThis.gc?.({ type: 'major', execution: 'sync' }),
  grow(percent) {
    if (!isSet('--heap-growing-percent', launch, String(growingPercent)))
      setFlagsFromString(`--heap-growing-percent=${percent}`);
  },
});

/** @returns to be told of bytes of bodies, when they come. */
export function growWithBodies(clock: Clock, heap: BodyHeap): (bytes: number) => void {
  let since = 0;
  let lastAt = Number.NEGATIVE_INFINITY;
  let large = false;
  const look = (): void => {
    const left = lastAt + quietMs - clock.monotonic();
    if (left > 0) return void clock.after(left, look);
    large = false;
    heap.grow(growingPercent);
    if (heap.held() >= worthBytes) heap.collect();
  };
  return (bytes) => {
    if (bytes < smallBytes) return;
    since += bytes;
    if (since < bytesEach) return;
    since = 0;
    const now = clock.monotonic();
    if (!large && now - lastAt < withinMs) {
      large = true;
      heap.grow(percentWithBodies);
      clock.after(quietMs, look);
    }
    lastAt = now;
  };
}

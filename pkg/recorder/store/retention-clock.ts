import type { Clock } from '../../base/index.ts';

/** Twice as fast as time passes: after an outage it has caught up within as long as that was. */
const rate = 2;

/** The time by which lines are old. */
export interface RetentionTime {
  /** Epoch milliseconds. */
  readonly now: number;
  /**
   * The wall clock is where this is: it was right for as long as it was ahead before, or has not been ahead. Where nothing was kept of that, and the
   * log ends ahead of it, either may be wrong: it agrees once it is there.
   */
  readonly agrees: boolean;
}

/**
 * The time by which lines are old: never ahead of the wall clock, and after a step of that no sooner there than half of the step has passed.
 * Lines are so deleted early by no more than the wall clock was wrong for, however far ahead it was. It goes on where it was left, whatever the
 * wall clock says when a recorder begins.
 *
 * @param from.reached What it returned last, as the store keeps it; 0: nothing is kept
 * @param from.logEndsAt Time of the log's last entry or head before this process wrote any, which counts then; 0: there is none
 * @returns reads it
 */
export function createRetentionClock(
  clock: Pick<Clock, 'now' | 'monotonic'>,
  { reached: kept, logEndsAt }: { readonly reached: number; readonly logEndsAt: number },
): () => RetentionTime {
  // The log may end ahead of the time, as far as the wall clock once was.
  const ofLog = logEndsAt === 0 ? clock.now() : Math.min(logEndsAt, clock.now());
  let bound = kept === 0 ? ofLog : kept;
  const doubtedUntil = kept === 0 ? logEndsAt : 0;
  let read = clock.monotonic();
  return () => {
    const [wall, monotonic] = [clock.now(), clock.monotonic()];
    const reached = bound + rate * (monotonic - read);
    read = monotonic;
    // Where the wall clock is behind it stands still, so that what it was ahead is no head start for the next time.
    if (wall > bound) bound = Math.min(wall, reached);
    return { now: Math.min(wall, bound), agrees: wall === bound && wall >= doubtedUntil };
  };
}

/** A timer that can be taken back. */
export interface Timer {
  cancel(): void;
}

/**
 * Time as an argument: nothing outside pkg/base reads a clock or sets a timer, so that expiry, back-off and rotation
 * are tested at once and never flake.
 */
export interface Clock {
  /** Wall clock, milliseconds since the Unix epoch. It may step: use it for what people and tokens say, not for durations. */
  now(): number;
  /** Milliseconds from an arbitrary start; never goes back. */
  monotonic(): number;
  /** Calls `run` once after `delayMs`. The timer does not keep the process alive. */
  after(delayMs: number, run: () => void): Timer;
  /** Calls `run` each `periodMs`, first after one period. The timer does not keep the process alive. */
  every(periodMs: number, run: () => void): Timer;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
  every(periodMs, run) {
    const timer = setInterval(run, periodMs);
    timer.unref();
    return { cancel: () => clearInterval(timer) };
  },
};

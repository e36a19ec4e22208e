import type { Clock, Timer } from '../base/index.ts';

export interface LookLoop {
  /** Looks now, or once more when a look is under way. */
  look(): void;
  /** Looks five seconds after the last look began, or now when that is over: whoever has it look often adds no more than that. */
  lookSoon(): void;
  close(): void;
}

const lookEveryMs = 60_000;
const soonMs = 5_000;
const firstRetryMs = 500;
const mostRetryMs = 15_000;

/** Looks at once, then each minute, and sooner after a look that failed. */
export function createLookLoop(options: {
  readonly clock: Clock;
  readonly lookOnce: () => Promise<void>;
  readonly failed: (error: unknown) => void;
}): LookLoop {
  const { clock, lookOnce, failed } = options;
  let running = false;
  let again = false;
  let closed = false;
  let failures = 0;
  let timer: Timer | undefined;
  /** When the last look began, and when the next is due; monotonic. */
  let begun = 0;
  let due = 0;
  let soon = false;

  const run = async (): Promise<void> => {
    try {
      do {
        again = false;
        await lookOnce();
      } while (again && !closed);
      failures = 0;
    } catch (error) {
      failures++;
      failed(error);
    }
    running = false;
    if (closed) return;
    lookAfter(failures === 0 ? lookEveryMs : Math.min(mostRetryMs, firstRetryMs * 2 ** (failures - 1)));
    if (soon) lookSoon();
  };
  const lookAfter = (wait: number): void => {
    timer?.cancel();
    due = clock.monotonic() + wait;
    timer = clock.after(wait, look);
  };
  const lookSoon = (): void => {
    soon = running;
    const at = begun + soonMs;
    if (!closed && !running && at < due) lookAfter(Math.max(0, at - clock.monotonic()));
  };
  const look = (): void => {
    if (closed) return;
    if (running) {
      again = true;
      return;
    }
    timer?.cancel();
    running = true;
    begun = clock.monotonic();
    void run();
  };
  look();
  return {
    look,
    lookSoon,
    close() {
      closed = true;
      timer?.cancel();
    },
  };
}

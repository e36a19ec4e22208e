import type { Clock, Timer } from '../base/index.ts';

export interface LookLoop {
  /** Looks now, or once more when a look is under way. */
  look(): void;
  close(): void;
}

const lookEveryMs = 60_000;
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
    const wait = failures === 0 ? lookEveryMs : Math.min(mostRetryMs, firstRetryMs * 2 ** (failures - 1));
    timer = clock.after(wait, look);
  };
  const look = (): void => {
    if (closed) return;
    if (running) {
      again = true;
      return;
    }
    timer?.cancel();
    running = true;
    void run();
  };
  look();
  return {
    look,
    close() {
      closed = true;
      timer?.cancel();
    },
  };
}

// Waiting in tests. A test waits for the fact that it needs; only where the fact is that nothing happens does it wait for time.

const turnMs = 5;

/**
 * Lets at least `ms` pass in short turns, so that this process has had its chances to run: on a machine that gives it no time, one long timer
 * would be over before anything else of the process ran once.
 */
export async function pause(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= turnMs)
    await new Promise((resolve) => setTimeout(resolve, Math.min(left, turnMs)));
}

/**
 * Waits until `holds`; asked in every turn.
 *
 * @param what Names the fact in the error; default: the source of `holds`.
 * @param withinMs Far more than it ever takes: it ends a test that fails, it measures nothing. Default 30 s.
 * @throws Error that names what was waited for; its cause is the last error of `holds`.
 */
export async function until(
  holds: () => unknown,
  what: string | (() => string) = `${holds}`,
  withinMs = 30_000,
): Promise<void> {
  let cause: unknown;
  const held = async (): Promise<boolean> => {
    try {
      return Boolean(await holds());
    } catch (error) {
      cause = error;
      return false;
    }
  };
  for (const end = performance.now() + withinMs; !(await held());) {
    if (performance.now() > end) {
      throw new Error(`not within ${withinMs} ms: ${typeof what === 'string' ? what : what()}`, { cause });
    }
    await pause(turnMs);
  }
}

/**
 * A stopwatch that is fair on a busy machine: of each turn of the event loop it counts 5 ms at most, so that time in which this process could
 * not run does not count. For claims such as `within a second`, of work that this process does.
 */
export function stopwatch(): { stop(): number } {
  let elapsed = 0;
  let last = performance.now();
  const turn = (): void => {
    const now = performance.now();
    elapsed += Math.min(now - last, turnMs);
    last = now;
  };
  const timer = setInterval(turn, 1);
  return {
    stop() {
      clearInterval(timer);
      turn();
      return elapsed;
    },
  };
}

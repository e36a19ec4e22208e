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
 * @param withinMs Far more than it ever takes: it ends a test that fails, it measures nothing. Default 20 s.
 * @throws Error that names what was waited for; its cause is the last error of `holds`.
 */
export async function until(
  holds: () => boolean | Promise<boolean>,
  what: string | (() => string) = `${holds}`,
  withinMs = 20_000,
): Promise<void> {
  let cause: unknown;
  const held = async (): Promise<boolean> => {
    try {
      return await holds();
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

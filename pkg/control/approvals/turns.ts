/** So many at once, the others wait in their order. */
export interface Turns {
  /** Runs `work` at its turn. */
  take<T>(work: () => Promise<T>): Promise<T>;
}

export function createTurns(atOnce: number): Turns {
  const waiting: (() => void)[] = [];
  let running = 0;
  return {
    async take(work) {
      if (running >= atOnce) await new Promise<void>((resolve) => void waiting.push(resolve));
      else running++;
      try {
        return await work();
      } finally {
        // The place is handed on, so that nobody who comes now gets in between.
        const next = waiting.shift();
        if (next === undefined) running--;
        else next();
      }
    },
  };
}

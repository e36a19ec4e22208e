import type { Clock } from './clock.ts';

/**
 * For lines of the log that could come with every request: of each kind one is written in a while.
 *
 * @returns How many of its kind were not written since the last; undefined: this one is not to be written.
 */
export type Seldom = (kind: string) => number | undefined;

/** @param everyMs default 60,000. Kinds come from a closed set: they are kept. */
export function createSeldom(clock: Clock, everyMs = 60_000): Seldom {
  const kinds = new Map<string, { until: number; missed: number }>();
  return (kind) => {
    const now = clock.monotonic();
    const known = kinds.get(kind);
    if (known !== undefined && now < known.until) {
      known.missed++;
      return undefined;
    }
    kinds.set(kind, { until: now + everyMs, missed: 0 });
    return known?.missed ?? 0;
  };
}

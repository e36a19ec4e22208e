import type { UnitPlan } from './plan.ts';

/** A finding in source offsets. */
export interface Finding {
  readonly plan: UnitPlan;
  readonly start: number;
  /** Infinity while it is open. */
  end: number;
  /** What was recognised ends here: of an open-ended finding its opener, else all of it. */
  readonly recognised: number;
  /** Its end was not bounded when it was found: it counts as longer than every bounded finding of the same start. */
  readonly openEnded: boolean;
  /** As a reader sees it, where a replacement style prints from it and it is short enough. */
  value: string | undefined;
}

/** Smallest start, then longest, then policy order. */
export function compareFindings(a: Finding, b: Finding): number {
  if (a.start !== b.start) return a.start - b.start;
  if (a.openEnded !== b.openEnded) return a.openEnded ? -1 : 1;
  if (!a.openEnded && a.end !== b.end) return b.end - a.end;
  for (let at = 0; at < 3; at++) {
    const difference = (a.plan.order[at] as number) - (b.plan.order[at] as number);
    if (difference !== 0) return difference;
  }
  return 0;
}

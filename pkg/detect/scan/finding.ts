import type { Verdict } from '../verdict.ts';
import type { Unit } from './unit.ts';

/** A finding in source offsets; what is done about it is each view's to say (components.ts). */
export interface Finding {
  readonly unit: Unit;
  readonly verdict: Verdict;
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

import type { DetectorName } from '../core/index.ts';
import type { Verdict } from './verdict.ts';

/**
 * A built-in detector as data. It sees text as a reader would: pkg/detect/fold has mapped compatibility forms, look-alike
 * letters and invisible characters before (case is kept).
 *
 * Whether `[start, end)` is a finding, and how certain, depends only on the characters from `start - left` to `end + right` and on whether
 * they touch the lane's true start or end. Every start is judged alone and yields its longest accepted end.
 *
 * A policy takes findings from some certainty on (`Likely` where it says nothing). For it, a candidate that is less certain is none: what is looked
 * for is the detector from that certainty on, so that a shorter end may be accepted where a longer one is not certain enough.
 */
export interface Detector {
  readonly name: DetectorName;
  /** RE2 syntax, no assertions (`^ $ \b`): context belongs to `accept`. For an open-ended detector: the bounded opener. */
  readonly pattern: string;
  /** W: longest span in code points; for an open-ended detector that of its opener. */
  readonly maxLength: number;
  /** L and R: context that `accept` reads, in code points. */
  readonly left: number;
  readonly right: number;
  /**
   * It begins and ends only where no letter (A-Z), digit or `_` stands beside it; three `_` at most are none where nothing of a word stands on
   * their other side (emphasis). `left` and `right` cover what is read for it: `edgeReach` (detectors/characters.ts).
   */
  readonly atWord?: true;
  /**
   * Words that tell of it (scan/telling.ts), within `toldWithin` characters before it. `required`: without one nothing begins there, also
   * where a cut leaves a candidate unfinished; `'Likely'`: the same for policies that take it from `Likely` on. `left` covers what is read for it.
   */
  readonly telling?: { readonly words: readonly string[]; readonly required: boolean | 'Likely' };
  /** What stands for `true` of `accept`, and where there is none. Default: `Likely`, by its `Format`. */
  readonly verdict?: Verdict;
  /**
   * Decides a candidate. `text` holds at least `left` characters before `start` and `right` after `end`, unless the lane
   * begins or ends there; `told` whether a telling word stands before it: with one it accepts no less, and is no less certain. What is below
   * `least`, a level of a certainty (verdict.ts), does not count and need not be worked out. Pure. Default: every candidate is a finding.
   */
  readonly accept?: (text: string, start: number, end: number, told: boolean, least: number) => Verdict | boolean;
  /**
   * How a candidate is spelled, as a number that `of` gives, and the spellings that `accept` may take: it is not asked of others. `of` is one
   * function for all detectors of a pattern, so that of many that share it only those are asked that can accept.
   */
  readonly spellings?: {
    readonly of: (text: string, start: number, end: number) => number;
    readonly taken: ReadonlySet<number>;
  };
  /**
   * Where what is covered begins, in [start, end): a name that told (`password=`, `SSN: `) stays readable. Depends on no more than
   * `accept` does. Default: `start`. An engine that leaves it out covers more, never less.
   */
  readonly from?: (text: string, start: number, end: number) => number;
  /**
   * Where what is covered ends, in [end, end + right]: of a pattern that holds only how a value begins. Reads no more than `accept` does. At a
   * cut a candidate that waits for what stands behind it lives only where this is the text's end. Default: `end`. Not of open-ended ones.
   */
  readonly to?: (text: string, start: number, end: number) => number;
  /** Which characters count when a lane is cut while a candidate lives (card: digits). */
  readonly significant: (code: number) => boolean;
  /** Fewest significant characters of any finding: at a cut, half of them make a live candidate a finding. */
  readonly leastSignificant: number;
  /**
   * From the opener's acceptance, everything up to and with the closer (a literal-ended pattern), or while the class goes on,
   * is one finding, swallowed without storage. A lane that ends before the closer ends the finding.
   */
  readonly open?:
    { readonly until: string; readonly untilMaxLength: number } | { readonly whileClass: (code: number) => boolean };
  /** Other forms of the same thing, each judged by itself, of the same name: what one of them finds, the detector finds. They have no others. */
  readonly also?: readonly Detector[];
}

/** A detector's forms: itself first. */
export const formsOf = (detector: Detector): readonly Detector[] => [detector, ...(detector.also ?? [])];

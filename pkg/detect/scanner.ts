import type { RuleSelection, Said, ScanRule } from '../core/index.ts';
import type { Joints } from './decode/index.ts';

/**
 * What the rest of the program sees of detection. Offsets are UTF-16 units from the start of a lane's source text.
 */

/** How a lane ended: the model's natural stop, or a cut (length, content filter, the caller's `stop`, no finish at all). */
export type LaneEnd = 'complete' | 'cut';

/**
 * `text`: prose; when its first non-space character is `{` or `[` it is read as JSON for field rules, otherwise only `**.name` rules
 * apply, on `"name":` followed by a JSON value. `json`: tool arguments, JSON rooted at `$`. `prose`: never read as JSON and without
 * field rules: what callers write.
 */
export type LaneKind = 'text' | 'json' | 'prose';

/** Which rules do what in one view of a text. Disjoint; rules in none of them are not looked for. */
export interface ViewSpec {
  /** Findings are replaced. */
  readonly replace: RuleSelection;
  /** The first finding ends the lane: text before its component may go out, nothing after. */
  readonly stop: RuleSelection;
  /** Findings are counted, nothing else. */
  readonly note: RuleSelection;
}

/**
 * One finding, without its text. `end` is the end of what was recognised: of an open-ended finding its opener, of a field the
 * value's first character. Findings of one rule and kind that overlap an earlier one are counted with it; how certain the earlier is, is said.
 */
export interface Hit extends Said {
  /** Index into scanRules. */
  readonly rule: number;
  /** Detector name, `pattern`, `word` or `field`. */
  readonly by: string;
  readonly start: number;
  readonly end: number;
}

/** A component's replacement. While the component still grows, `end` is Infinity. */
export interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
  /** What stands for its end where its beginning has left as it was: nothing of the value. Absent: `text`. */
  readonly rest?: string;
}

export interface MaskResult {
  /** The whole text masked; the same string when untouched. */
  readonly text: string;
  readonly edits: readonly Edit[];
  readonly hits: readonly Hit[];
  /** The first finding of a `stop` rule, by start. */
  readonly stopped: Hit | undefined;
  /** As {@link LaneScanner.failed}: `text` holds what stands before the fault. */
  readonly failed: boolean;
}

/** One lane while it streams. See DESIGN section 5: what `take` gave is at all times a prefix of mask(P + X) for every X. */
export interface LaneScanner {
  push(text: string): void;
  /** After it `decided` equals the length received (unless stopped) and nothing may be pushed. */
  end(end: LaneEnd): void;
  /** Up to here the output is final. Never goes back; never passes the start of a `stop` finding's component. */
  readonly decided: number;
  /** Units received. */
  readonly received: number;
  /** The output for [taken, to), to <= decided; text of a component stands at its start, the rest of it gives nothing. */
  take(to: number): string;
  /** Decided components that touch [from, to), in order. Only for ranges that were not taken yet. */
  edits(from: number, to: number): readonly Edit[];
  readonly stopped: Hit | undefined;
  /**
   * The lane is read as JSON and is none: nothing after `decided` may go out, and its answer ends with an error. Not in lanes
   * that are read as text.
   */
  readonly failed: boolean;
  /** Findings since the last call, each once, also of `note` rules. */
  drainHits(): readonly Hit[];
}

/** What is left of one text in two views. */
export interface PairResult {
  readonly caller: MaskResult;
  readonly record: MaskResult;
}

/** One lane in two views. Feed both the same; one reading of the text serves them where it can. */
export interface PairLane {
  /** To be fed first. */
  readonly caller: LaneScanner;
  readonly record: LaneScanner;
}

/** Two views of the same texts: what the caller receives and what is recorded. Equal to asking each of them. */
export interface ViewPair {
  mask(text: string, kind: LaneKind, end: LaneEnd): PairResult;
  /** As {@link View.maskInSteps}. */
  maskInSteps(text: string, kind: LaneKind, end: LaneEnd): Generator<void, PairResult, void>;
  open(kind: LaneKind): PairLane;
}

/** One selection of rules over the scanner, compiled: keep it with the plan that it came from. */
export interface View {
  readonly spec: ViewSpec;
  /** True when no rule is looked for: lanes pass untouched. */
  readonly idle: boolean;
  /** True when some field rule is in this view: then the answer's own JSON is walked, see {@link View.field}. */
  readonly fields: boolean;
  /** In which gaps between letters a word of a list may go on; undefined when no words are looked for. */
  readonly joints: Joints | undefined;
  /** UTF-16 units that the widest finding takes, with what is read around it: where two texts meet, so much of either is to be read. */
  readonly reach: number;
  mask(text: string, kind: LaneKind, end: LaneEnd): MaskResult;
  /**
   * The same in steps for long texts, so that other requests go on: yields after at most 64 KiB of text.
   */
  maskInSteps(text: string, kind: LaneKind, end: LaneEnd): Generator<void, MaskResult, void>;
  open(kind: LaneKind): LaneScanner;
  /**
   * Whether a finding may have characters of both texts when they stand one after the other. True says nothing; false is certain
   * where each of them is followed or preceded by more than one finding can span, or by the end.
   */
  mayCross(left: string, right: string): boolean;
  /** Does a value at this path (`$.a.b[0]`) fall under a field rule? Returns the rule's index, the first in policy order. */
  field(path: readonly (string | number)[]): number | undefined;
  /** The field rule, the first in policy order, under which some element of a list at this path may fall by a path that ends at it. */
  fieldOfItems(path: readonly (string | number)[]): number | undefined;
  /** What stands in place of a whole value that a field rule hides (label of the rule; for keyed hash and partial, of the value). */
  fieldReplacement(rule: number, value: string): string;
}

/** Compiled once for each snapshot from all scan rules; immutable and shared by all requests. */
export interface Scanner {
  readonly rules: readonly ScanRule[];
  /** Views of equal specs are the same object. */
  view(spec: ViewSpec): View;
  /** @throws TypeError for a view of another scanner */
  pair(caller: View, record: View): ViewPair;
}

export interface ScannerOptions {
  /** Key for replacements of style Hash: equal values give equal hashes under one key. */
  readonly hashKey: Uint8Array;
}

/**
 * Why a pattern of a policy was refused. `message` is the RE2 parser's own.
 */
export interface PatternFault {
  readonly pattern: string;
  readonly message: string;
}

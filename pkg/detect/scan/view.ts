import type { Hit, LaneEnd, LaneKind, LaneScanner, MaskResult, View, ViewSpec } from '../scanner.ts';
import { compileFieldPaths } from './field-path.ts';
import type { PathState } from './field-path.ts';
import { foldText } from './fold-text.ts';
import { decodeRuns } from '../decode/index.ts';
import type { Joints } from '../decode/index.ts';
import { DecodingLane, beforePiece, nextRun, runOver, windowUnits } from './decoding-lane.ts';
import type { Run } from './decoding-lane.ts';
import { inOrder } from './in-order.ts';
import { Lane, PassingLane } from './lane.ts';
import { Plan, isIn } from './plan.ts';
import type { Compiled } from './plan.ts';
import { longestStyledValue, replacementText } from './replacement.ts';
import { toldLeft } from './telling.ts';

/** Text between two yields of `maskInSteps`: hostile text costs about 3 µs a character, so a step stays near 20 ms. */
export const stepUnits = 8 * 1024;

/** See {@link CompiledView.look}. */
export type Look = 'clean' | 'prose' | 'other';

/**
 * On either side of a seam: a run that is longer there is read with what stands around it. Texts are given to {@link View.mayCross} from some
 * place on or up to one, which cuts no shorter run: at the reach, which is more, or at what is carried of short ones (pkg/proxy/seams.ts).
 */
const shortRun = 40;

/** One selection of rules over what is compiled. */
export class CompiledView implements View {
  readonly spec: ViewSpec;
  readonly idle: boolean;
  readonly fields: boolean;
  readonly joints: Joints | undefined;
  readonly reach: number;
  readonly plan: Plan;
  readonly decodes: boolean;
  readonly #fields: PathState | undefined;

  constructor(compiled: Compiled, spec: ViewSpec, decode: boolean) {
    this.spec = spec;
    this.plan = Plan.of(compiled, spec);
    this.decodes = decode && this.plan.active.length > 0;
    this.#fields = compileFieldPaths(compiled.rules, (rule) => isIn(spec, rule));
    this.fields = this.#fields !== undefined;
    this.joints = this.plan.units.some((one) => one?.unit.by === 'word') ? compiled.joints : undefined;
    this.reach = Math.max(leastReach, 2 * this.plan.widest);
    this.idle = this.plan.active.length === 0 && this.#fields === undefined;
  }

  mask(text: string, kind: LaneKind, end: LaneEnd): MaskResult {
    switch (this.look(text, kind, end)) {
      case 'clean':
        return untouched(text);
      case 'prose':
        return lastOf(steps(this.#plain('prose'), text, end));
      default:
        return lastOf(text.length > stepUnits ? this.maskInSteps(text, kind, end) : steps(this.open(kind), text, end));
    }
  }

  /**
   * What one look at a text of moderate length says. `clean`: no rule finds anything. `prose`: it may, and the text folds to itself, is not read
   * as JSON and hides nothing in encodings, so that the plainest lane reads it. `other`: none of that is sure.
   *
   * Most texts are clean, and one step of the automaton for each character tells: it over-estimates where something may have
   * ended, so where it says nothing there is no finding.
   */
  look(text: string, kind: LaneKind, end: LaneEnd): Look {
    if (this.idle || text.length === 0) return 'clean';
    // What an encoding hides merges with what stands around it: only lanes know how.
    if (text.length > stepUnits || !this.#isProse(text, kind) || (this.decodes && this.#hides(text, end)))
      return 'other';
    const { forward } = this.plan.seen;
    const at = forward.begin();
    sawEnd = false;
    // Where something may have ended, a lane reads all of it anyway: no need to look further.
    for (let from = 0; from < text.length; from += lookUnits) {
      forward.run(at, text, from, Math.min(from + lookUnits, text.length), noteEnd);
      if (sawAnEnd()) return 'prose';
    }
    // At a cut a candidate that still lives may count as a finding.
    return end === 'cut' && forward.alive(at) ? 'prose' : 'clean';
  }

  /** The same for a text of any length, and with a pause after each part of it. */
  *lookInSteps(text: string, kind: LaneKind, end: LaneEnd): Generator<void, Look, void> {
    if (text.length <= stepUnits) return this.look(text, kind, end);
    if (this.idle) return 'clean';
    if (!this.#isProse(text, kind)) return 'other';
    yield;
    let paused = 0;
    for (let run = nextRun(text, 0); this.decodes && run !== undefined; run = nextRun(text, run.end)) {
      if (this.#hidesIn(text, run, end)) return 'other';
      if (run.end - paused < stepUnits) continue;
      paused = run.end;
      yield;
    }
    const { forward } = this.plan.seen;
    const at = forward.begin();
    for (let from = 0; from < text.length; from += stepUnits) {
      sawEnd = false;
      forward.run(at, text, from, Math.min(from + stepUnits, text.length), noteEnd);
      if (sawEnd) return 'prose';
      yield;
    }
    return end === 'cut' && forward.alive(at) ? 'prose' : 'clean';
  }

  /** Text that folds to itself and is not read as JSON. */
  #isProse(text: string, kind: LaneKind): boolean {
    if (kind === 'json' || nonAscii.test(text)) return false;
    return kind !== 'text' || this.#fields === undefined || !beginsAsJson.test(text);
  }

  /** Whether some encoded run of the text, decoded, holds what a rule looks for. */
  #hides(text: string, end: LaneEnd): boolean {
    for (let run = nextRun(text, 0); run !== undefined; run = nextRun(text, run.end)) {
      if (this.#hidesIn(text, run, end)) return true;
    }
    return false;
  }

  #hidesIn(text: string, run: Run, end: LaneEnd): boolean {
    if (run.end - run.start >= windowUnits) return true;
    const encoded = text.slice(run.start, run.end);
    for (const decoded of decodeRuns(encoded)) {
      const before = beforePiece(text.slice(Math.max(0, run.start - toldLeft), run.start), encoded, decoded.start);
      const found = this.read(decoded.text, run.end === text.length ? end : 'complete', before);
      if (found.hits.length > 0 || found.edits.length > 0 || found.stopped !== undefined) return true;
    }
    return false;
  }

  /** Whether a run over the place where two texts meet may hold, decoded, what a rule looks for. */
  #hidesOver(left: string, right: string): boolean {
    const run = runOver(left, right, shortRun);
    if (run === undefined) return false;
    const { before, behind } = run;
    if (before === shortRun || behind === shortRun) return true; // it may go on
    const from = Math.max(0, left.length - before - toldLeft);
    const text = left.slice(from) + right.slice(0, behind);
    return this.#hidesIn(text, { start: left.length - from - before, end: text.length }, 'complete');
  }

  mayCross(left: string, right: string): boolean {
    if (this.plan.active.length === 0 || left.length === 0 || right.length === 0) return false;
    // As much as the widest finding, with what is read around it: where nothing lives on in that, nothing crosses.
    const before = left.length <= this.reach ? left : left.slice(-this.reach);
    const behind = right.length <= this.reach ? right : right.slice(0, this.reach);
    if (nonAscii.test(before) || nonAscii.test(behind)) return true;
    if (this.decodes && this.#hidesOver(left, right)) return true;
    const { forward, onwards } = this.plan.seen;
    const at = forward.begin();
    sawEnd = false;
    forward.run(at, before, 0, before.length, (end, forms) => {
      if (forms.some((form) => this.#mayReach(form, before.length - end))) sawEnd = true;
    });
    if (sawAnEnd()) return true;
    if (!forward.alive(at)) return false;
    const carried = onwards.carry(at);
    for (let from = 0; from < behind.length; from += 16) {
      onwards.run(carried, behind, from, Math.min(from + 16, behind.length), noteEnd);
      if (sawAnEnd()) return true;
      if (!onwards.alive(carried)) return false;
    }
    return true;
  }

  /** Whether what a match of this form covers may go on so many characters behind it. */
  #mayReach(form: number, behind: number): boolean {
    const { byForm } = this.plan;
    return byForm[form]?.some(({ unit }) => unit.to !== undefined && behind <= unit.form.right) ?? false;
  }

  /** What decoded text is read by: the same rules, and no further decoding. */
  read(text: string, end: LaneEnd, before = ''): MaskResult {
    const seen = before === '' ? undefined : { text: foldText(before, this.plan.compiled.fold) };
    return lastOf(steps(new Lane(this.plan, undefined, 'text', seen), text, end));
  }

  *maskInSteps(text: string, kind: LaneKind, end: LaneEnd): Generator<void, MaskResult, void> {
    const look = yield* this.lookInSteps(text, kind, end);
    if (look === 'clean') return untouched(text);
    return yield* steps(look === 'prose' ? this.#plain('prose') : this.open(kind), text, end);
  }

  open(kind: LaneKind): LaneScanner {
    if (this.idle) return new PassingLane();
    const plain = this.#plain(kind);
    return this.decodes ? new DecodingLane(plain, this) : plain;
  }

  #plain(kind: LaneKind): LaneScanner {
    return kind === 'prose' ? new Lane(this.plan, undefined, 'text') : new Lane(this.plan, this.#fields, kind);
  }

  field(path: readonly (string | number)[]): number | undefined {
    let state = this.#fields;
    const matched: number[] = [];
    for (const step of path) {
      matched.push(...(state?.rules ?? []));
      state = typeof step === 'number' ? state?.item(step) : state?.key(step);
    }
    matched.push(...(state?.rules ?? []));
    return this.#firstOf(matched);
  }

  fieldOfItems(path: readonly (string | number)[]): number | undefined {
    let state = this.#fields;
    for (const step of path) state = typeof step === 'number' ? state?.item(step) : state?.key(step);
    return this.#firstOf(state?.itemRules() ?? []);
  }

  /** Rules that act come before those that only note. */
  #firstOf(matched: readonly number[]): number | undefined {
    const { replace, stop } = this.spec;
    const acting = matched.filter((rule) => replace[rule] === 1 || stop[rule] === 1);
    const among = acting.length > 0 ? acting : matched;
    return among.length === 0 ? undefined : Math.min(...among);
  }

  fieldReplacement(rule: number, value: string): string {
    const { rules, hashKey, fold } = this.plan.compiled;
    const known = rules[rule];
    if (known === undefined) throw new RangeError('no rule has this index');
    return replacementText(known, value.length > longestStyledValue ? undefined : foldText(value, fold), hashKey);
  }
}

const nonAscii = /[^\x00-\x7f]/;
const beginsAsJson = /^[ \t\r\n]*[{[]/;

/** So much of two texts that meet is read at least: characters that show nothing, and escapes, make a finding longer than it is. */
const leastReach = 512;

// One flag for all calls: the automaton runs to its end before anybody else does.
/** Characters looked at between two questions whether that was enough. */
const lookUnits = 256;
let sawEnd = false;
const sawAnEnd = (): boolean => sawEnd;
const noteEnd = (): void => {
  sawEnd = true;
};

export const untouched = (text: string): MaskResult => ({
  text,
  edits: nothing,
  hits: nothing,
  stopped: undefined,
  failed: false,
});
const nothing: readonly never[] = Object.freeze([]);

function* steps(lane: LaneScanner, text: string, end: LaneEnd): Generator<void, MaskResult, void> {
  for (let at = 0; at < text.length; at += stepUnits) {
    if (at > 0) yield;
    lane.push(text.length <= stepUnits ? text : text.slice(at, at + stepUnits));
    if (lane.stopped !== undefined || lane.failed) break;
  }
  lane.end(end);
  return resultOf(lane, text);
}

/** What a lane that has ended leaves of a text of which nothing was taken yet. */
export function resultOf(lane: LaneScanner, text: string): MaskResult {
  const edits = lane.edits(0, lane.decided);
  const whole = edits.length === 0 && lane.decided === text.length;
  return {
    text: whole ? text : lane.take(lane.decided),
    edits,
    hits: sorted(lane.drainHits()),
    stopped: lane.stopped,
    failed: lane.failed,
  };
}

export function lastOf<T>(steps: Generator<void, T, void>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

function sorted(hits: readonly Hit[]): readonly Hit[] {
  return hits.length < 2 ? hits : inOrder([...hits], byStart);
}

function byStart(a: Hit, b: Hit): number {
  return a.start - b.start || a.rule - b.rule || a.end - b.end;
}

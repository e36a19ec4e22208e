import type { ScanRule } from '../../core/index.ts';
import type {
  Hit,
  LaneEnd,
  LaneKind,
  LaneScanner,
  MaskResult,
  Scanner,
  ScannerOptions,
  View,
  ViewSpec,
} from '../scanner.ts';
import { compileFieldPaths } from './field-path.ts';
import type { PathState } from './field-path.ts';
import { foldText } from './json-scan.ts';
import { DecodingLane, hasRun } from './decoding-lane.ts';
import { Lane, PassingLane } from './lane.ts';
import { Compiled, Plan, isIn } from './plan.ts';
import { longestStyledValue, replacementText } from './replacement.ts';
import { collectUnits } from './unit.ts';
import type { Environment } from './unit.ts';

/** Text between two yields of `maskInSteps`: hostile text costs about 3 µs a character, so a step stays near 20 ms. */
const stepUnits = 8 * 1024;

class CompiledView implements View {
  readonly spec: ViewSpec;
  readonly idle: boolean;
  readonly fields: boolean;
  readonly #plan: Plan;
  readonly #fields: PathState | undefined;
  readonly #decode: boolean;

  constructor(compiled: Compiled, spec: ViewSpec, decode: boolean) {
    this.spec = spec;
    this.#decode = decode;
    this.#plan = new Plan(compiled, spec);
    this.#fields = compileFieldPaths(compiled.rules, (rule) => isIn(spec, rule));
    this.fields = this.#fields !== undefined;
    this.idle = this.#plan.active.length === 0 && this.#fields === undefined;
  }

  mask(text: string, kind: LaneKind, end: LaneEnd): MaskResult {
    if (text.length <= stepUnits && this.#surelyClean(text, kind, end)) return untouched(text);
    return lastOf(this.maskInSteps(text, kind, end));
  }

  /**
   * Most texts hold nothing that any rule knows, and one look at each character tells: the automaton over-estimates where
   * something may have ended, so where it says nothing there is no finding. False says nothing.
   */
  #surelyClean(text: string, kind: LaneKind, end: LaneEnd): boolean {
    if (!this.#plainText(text, kind)) return false;
    const { forward } = this.#plan;
    const at = forward.begin();
    let ended = false;
    forward.run(at, text, 0, text.length, () => (ended = true));
    // At a cut a candidate that still lives may count as a finding.
    return !ended && (end === 'complete' || !forward.alive(at));
  }

  /** Text that folds to itself, holds no encoded run and is not read as JSON. */
  #plainText(text: string, kind: LaneKind): boolean {
    if (kind === 'json' || nonAscii.test(text)) return false;
    if (kind === 'text' && this.#fields !== undefined && /^[ \t\r\n]*[{[]/.test(text)) return false;
    return !(this.#decode && hasRun(text));
  }

  /** What decoded text is read by: the same rules, and no further decoding. */
  read(text: string, end: LaneEnd): MaskResult {
    return lastOf(steps(new Lane(this.#plan, undefined, 'text'), text, end));
  }

  *maskInSteps(text: string, kind: LaneKind, end: LaneEnd): Generator<void, MaskResult, void> {
    if (this.idle) return untouched(text);
    return yield* steps(hasRun(text) ? this.open(kind) : this.#plain(kind), text, end);
  }

  open(kind: LaneKind): LaneScanner {
    if (this.idle) return new PassingLane();
    const plain = this.#plain(kind);
    return this.#decode && this.#plan.active.length > 0 ? new DecodingLane(plain, this) : plain;
  }

  #plain(kind: LaneKind): LaneScanner {
    return kind === 'prose' ? new Lane(this.#plan, undefined, 'text') : new Lane(this.#plan, this.#fields, kind);
  }

  field(path: readonly (string | number)[]): number | undefined {
    let state = this.#fields;
    const matched: number[] = [];
    for (const step of path) {
      matched.push(...(state?.rules ?? []));
      state = typeof step === 'number' ? state?.item(step) : state?.key(step);
    }
    matched.push(...(state?.rules ?? []));
    const { replace, stop } = this.spec;
    const acting = matched.filter((rule) => replace[rule] === 1 || stop[rule] === 1);
    const among = acting.length > 0 ? acting : matched;
    return among.length === 0 ? undefined : Math.min(...among);
  }

  fieldReplacement(rule: number, value: string): string {
    const { rules, hashKey, fold } = this.#plan.compiled;
    const known = rules[rule];
    if (known === undefined) throw new RangeError('no rule has this index');
    return replacementText(known, value.length > longestStyledValue ? undefined : foldText(value, fold), hashKey);
  }
}

const nonAscii = /[^\x00-\x7f]/;

const untouched = (text: string): MaskResult => ({
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
  const edits = lane.edits(0, lane.decided);
  const whole = edits.length === 0 && lane.decided === text.length;
  return {
    text: whole ? text : lane.take(lane.decided),
    edits,
    hits: [...lane.drainHits()].sort(byStart),
    stopped: lane.stopped,
    failed: lane.failed,
  };
}

function lastOf(steps: Generator<void, MaskResult, void>): MaskResult {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

function byStart(a: Hit, b: Hit): number {
  return a.start - b.start || a.rule - b.rule || a.end - b.end;
}

class CompiledScanner implements Scanner {
  readonly rules: readonly ScanRule[];
  readonly #compiled: Compiled;
  readonly #decode: boolean;
  readonly #views = new Map<string, View>();

  constructor(compiled: Compiled, decode: boolean) {
    this.#decode = decode;
    this.rules = compiled.rules;
    this.#compiled = compiled;
  }

  view(spec: ViewSpec): View {
    const key = [spec.replace, spec.stop, spec.note].map((one) => setOf(one, this.rules.length)).join('|');
    let view = this.#views.get(key);
    if (view === undefined) this.#views.set(key, (view = new CompiledView(this.#compiled, spec, this.#decode)));
    return view;
  }
}

function setOf(selection: Uint8Array, rules: number): string {
  const members: number[] = [];
  for (let rule = 0; rule < rules; rule++) if (selection[rule] === 1) members.push(rule);
  return members.join();
}

/**
 * Compiles all scan rules of a snapshot.
 *
 * @throws CodedError `invalid_pattern`, `unknown_detector`, `invalid_word`, `invalid_field_path`
 */
export function compileWith(rules: readonly ScanRule[], options: ScannerOptions, environment: Environment): Scanner {
  compileFieldPaths(rules, () => true);
  const units = collectUnits(rules, environment);
  return new CompiledScanner(
    new Compiled(rules, units, options.hashKey, environment.fold),
    environment.decode ?? false,
  );
}

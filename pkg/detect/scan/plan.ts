import { Recent } from '../../base/index.ts';
import type { ScanRule } from '../../core/index.ts';
import { AnchoredMatcher } from '../automaton/anchored.ts';
import { ForwardAutomaton } from '../automaton/forward.ts';
import { ForwardParts } from '../automaton/forward-parts.ts';
import { MatchStarts } from '../automaton/match-starts.ts';
import { buildProgram } from '../automaton/program.ts';
import type { Program } from '../automaton/program.ts';
import { ReverseAutomaton } from '../automaton/reverse.ts';
import type { Joints } from '../decode/index.ts';
import type { ViewSpec } from '../scanner.ts';
import { foldText } from './fold-text.ts';
import { needsValue } from './replacement.ts';
import { TellingWords } from './telling.ts';
import type { Form, Unit } from './unit.ts';
import { WordJoints } from './word-joints.ts';

/**
 * Automata over the forms of a selection of units, whatever is done with what they find: built when first needed, and as text comes. Each takes up to
 * 4 MiB, and 8 MiB of sets (state-cache.ts).
 */
export class Automata {
  readonly #compiled: Compiled;
  readonly #active: readonly number[];
  #forward: ForwardParts | undefined = undefined;
  #reverse: ReverseAutomaton | undefined = undefined;
  #anchored: ForwardAutomaton | undefined = undefined;
  #onwards: ForwardAutomaton | undefined = undefined;
  #atWord: ForwardAutomaton | undefined = undefined;

  constructor(compiled: Compiled, active: readonly number[]) {
    this.#compiled = compiled;
    this.#active = active;
  }

  get forward(): ForwardParts {
    return (this.#forward ??= new ForwardParts(
      [...Map.groupBy(this.#active, (form) => beginningOf(this.#compiled.forms[form] as Form)).values()].map(
        (forms) => new ForwardAutomaton(this.#compiled.program, forms, { anywhere: true, tails: false }),
      ),
      this.#compiled.program.classes,
    ));
  }

  get reverse(): ReverseAutomaton {
    return (this.#reverse ??= new ReverseAutomaton(
      this.#compiled.program,
      this.#active,
      this.#compiled.forms.map((form) => ({
        reach: form.maxLength - 1,
        wordStart: form.wordStart,
      })),
    ));
  }

  /** Those that stand at words' edges, from one start. */
  get atWord(): ForwardAutomaton {
    return (this.#atWord ??= new ForwardAutomaton(
      this.#compiled.program,
      this.#active.filter((form) => this.#compiled.forms[form]?.atWord === true),
      { anywhere: false, tails: false },
    ));
  }

  /** All forms, from where {@link forward} stands. */
  get onwards(): ForwardAutomaton {
    return (this.#onwards ??= new ForwardAutomaton(this.#compiled.program, this.#active, {
      anywhere: false,
      tails: false,
    }));
  }

  /** All forms, from one start, with what waits for what stands behind it. */
  get anchored(): ForwardAutomaton {
    return (this.#anchored ??= new ForwardAutomaton(this.#compiled.waitingProgram, this.#active, {
      anywhere: false,
      tails: true,
    }));
  }
}

/** Letters that an instruction takes which any word may begin with, in either case: hexadecimal digits are the fewest such. */
const fewestOfAny = 12;

/** How a form begins: what lives of forms that begin alike goes together (automaton/forward-parts.ts). */
function beginningOf({ pattern, atWord }: Form): 'at a word' | 'in any word' | 'as it says' {
  if (atWord) return 'at a word';
  const seen = new Set<number>();
  const open = [pattern.start];
  let first = 0;
  let ofAny = 0;
  let ofNone = 0;
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    if (seen.has(at)) continue;
    seen.add(at);
    const one = pattern.instructions[at];
    if (one?.op === 'char') {
      first++;
      const letters = lettersIn(one.ranges);
      if (letters >= fewestOfAny) ofAny++;
      else if (letters === 0) ofNone++;
    } else if (one !== undefined && 'out' in one) {
      open.push(one.out);
      if (one.op === 'alt') open.push(one.other);
    }
  }
  // Of hundreds of prefixes a few may be such.
  if (ofAny > 0 && 4 * ofAny >= first) return 'in any word';
  // Within words nothing lives of them, either.
  return ofNone === first ? 'at a word' : 'as it says';
}

/** How many of A-Z and a-z are in them. */
function lettersIn(ranges: readonly number[]): number {
  let letters = 0;
  for (let at = 0; at < ranges.length; at += 2) {
    for (const first of [0x41, 0x61])
      letters += Math.max(
        0,
        Math.min(ranges[at + 1] as number, first + 25) - Math.max(ranges[at] as number, first) + 1,
      );
  }
  return letters;
}

/** Selections whose automata are kept for the next plan that asks: there may be as many as callers have rights. */
const mostSelections = 32;

/** Everything compiled that views share: built once for each snapshot, parts of it when first needed. */
export class Compiled {
  readonly rules: readonly ScanRule[];
  readonly units: readonly Unit[];
  /** By index; units of one form have the same one. */
  readonly forms: readonly Form[];
  readonly telling: TellingWords;
  readonly hashKey: Uint8Array;
  readonly fold: (code: number) => string;
  /**
   * Without what waits for right context: that takes as many instructions as there are characters of it, and as many states for each of the
   * pattern's. The reader remembers such matches (text-reader.ts).
   */
  readonly program: Program;
  #waitingProgram: Program | undefined = undefined;
  /** Of the words of all rules. */
  readonly joints: Joints;
  readonly #matchers: (AnchoredMatcher | undefined)[] = [];
  readonly #starts: (MatchStarts | undefined)[] = [];
  readonly #closers: (ForwardAutomaton | undefined)[] = [];
  readonly #automata = new Recent<string, Automata>(mostSelections);

  constructor(rules: readonly ScanRule[], units: readonly Unit[], hashKey: Uint8Array, fold: (code: number) => string) {
    this.rules = rules;
    this.units = units;
    this.hashKey = hashKey;
    this.fold = fold;
    const forms: Form[] = [];
    for (const { form } of units) forms[form.index] = form;
    this.forms = forms;
    this.program = buildProgram(forms.map(({ pattern, atWord }) => ({ pattern, right: 0, atWord })));
    // As the text that they stand in.
    this.telling = new TellingWords(units.map((unit) => unit.telling?.words.map((word) => foldText(word, fold))));
    this.joints = new WordJoints(
      rules.flatMap((rule) => rule.match.words),
      fold,
    );
  }

  /** For those who ask from one start. */
  get waitingProgram(): Program {
    return (this.#waitingProgram ??= buildProgram(this.forms));
  }

  matcher({ index, pattern }: Form): AnchoredMatcher {
    return (this.#matchers[index] ??= new AnchoredMatcher(this.program, index, pattern.asserted));
  }

  automata(active: readonly number[]): Automata {
    const key = active.join();
    let automata = this.#automata.get(key);
    if (automata === undefined) this.#automata.set(key, (automata = new Automata(this, active)));
    return automata;
  }

  starts({ index }: Form): MatchStarts {
    return (this.#starts[index] ??= new MatchStarts(this.program, index));
  }

  /** The closer of an open-ended unit, as an automaton that finds its first end. */
  closer(unit: Unit): ForwardAutomaton {
    let closer = this.#closers[unit.index];
    if (closer === undefined) {
      if (unit.open?.kind !== 'until') throw new TypeError('the unit has no closer');
      const program = buildProgram([{ pattern: unit.open.closer, right: 0 }]);
      closer = new ForwardAutomaton(program, [0], { anywhere: true, tails: false });
      this.#closers[unit.index] = closer;
    }
    return closer;
  }
}

/** What a view does with a unit's findings; -1: nothing. */
export interface UnitPlan {
  readonly unit: Unit;
  /** First rule in policy order whose replacement stands for its findings. */
  readonly replace: number;
  /** First rule that a finding ends the lane for. */
  readonly stop: number;
  /** All rules of the view that count its findings, rising. */
  readonly rules: readonly number[];
  /** For each of them: what findings of it that cover one another are counted under. */
  readonly counted: readonly string[];
  /** Sorts findings of equal extents: policy order, then detectors, patterns, words, then place. */
  readonly order: readonly number[];
  readonly keepsValue: boolean;
}

/** The units of one form by the spellings that they take. */
export interface Spellings {
  readonly of: (text: string, start: number, end: number) => number;
  readonly plans: ReadonlyMap<number, readonly UnitPlan[]>;
}

function spellingsOf(plans: readonly UnitPlan[]): Spellings | undefined {
  const of = plans[0]?.unit.spellings?.of;
  if (of === undefined || plans.some(({ unit }) => unit.spellings?.of !== of)) return undefined;
  const bySpelling = new Map<number, UnitPlan[]>();
  for (const plan of plans) {
    for (const spelling of plan.unit.spellings?.taken ?? []) {
      const known = bySpelling.get(spelling);
      if (known === undefined) bySpelling.set(spelling, [plan]);
      else known.push(plan);
    }
  }
  return { of, plans: bySpelling };
}

/** One selection of rules, compiled. */
export class Plan {
  readonly compiled: Compiled;
  /** Of a plan for two views that of the first: only JSON lanes, which are never shared, look at it. */
  readonly spec: ViewSpec;
  /** By unit index; undefined where no rule of the view asks for it. */
  readonly units: readonly (UnitPlan | undefined)[];
  readonly active: readonly number[];
  /** The same by the index of their form. */
  readonly byForm: readonly (readonly UnitPlan[] | undefined)[];
  /** By the index of a form all of whose units say which spellings they take: which of them to ask of a candidate. */
  readonly bySpelling: readonly (Spellings | undefined)[];
  /** Forms of which a name is a part that is not covered: what is found may begin behind where its candidate does. */
  readonly naming: ReadonlySet<number>;
  /** UTF-16 units that the widest form spans that stands at words' edges; 0 without any. */
  readonly widestAtWord: number;
  readonly stops: boolean;
  /** Most characters of a finding with what is read around it. */
  readonly widest: number;
  /** UTF-16 units of left context to keep before what is decided. */
  readonly leftUnits: number;
  /** Source characters after which a candidate of any unit may be called undecided for too long. */
  readonly shortestPatience: number;
  /** See TextScan: how much padding must have been seen before anybody looks for padded candidates. */
  readonly paddingAlarm: number;
  /** All units, in texts as a reader sees them. */
  readonly seen: Automata;
  /** Patterns that may find something else in a text as it is written; undefined when there are none. */
  readonly written: Automata | undefined;

  static of(compiled: Compiled, spec: ViewSpec): Plan {
    return new Plan(
      compiled,
      spec,
      compiled.units.map((unit) => planUnit(unit, compiled.rules, spec)),
    );
  }

  /** Looks for what either looks for, so that one scan serves both. */
  static both(a: Plan, b: Plan): Plan {
    return new Plan(
      a.compiled,
      a.spec,
      a.units.map((one, index) => {
        const other = b.units[index];
        if (one === undefined || other === undefined) return one ?? other;
        return { ...one, keepsValue: one.keepsValue || other.keepsValue };
      }),
    );
  }

  private constructor(compiled: Compiled, spec: ViewSpec, units: readonly (UnitPlan | undefined)[]) {
    this.compiled = compiled;
    this.spec = spec;
    this.units = units;
    const plans = this.units.filter((one) => one !== undefined);
    this.active = plans.map((one) => one.unit.index);
    const byForm: UnitPlan[][] = [];
    for (const one of plans) (byForm[one.unit.form.index] ??= []).push(one);
    this.byForm = byForm;
    this.bySpelling = byForm.map(spellingsOf);
    this.naming = new Set(plans.filter(({ unit }) => unit.from !== undefined).map(({ unit }) => unit.form.index));
    this.widestAtWord = plans.reduce(
      (most, { unit: { form } }) => (form.atWord ? Math.max(most, 2 * form.maxLength) : most),
      0,
    );
    const formsOf = (some: readonly UnitPlan[]): number[] => [...new Set(some.map((one) => one.unit.form.index))];
    this.seen = compiled.automata(formsOf(plans));
    const written = formsOf(plans.filter((one) => one.unit.asWritten));
    this.written = written.length > 0 ? compiled.automata(written) : undefined;
    this.stops = plans.some((one) => one.stop >= 0);
    this.widest = plans.reduce(
      (most, { unit: { form, left } }) => Math.max(most, form.maxLength + left + form.right),
      0,
    );
    this.leftUnits = 2 * plans.reduce((most, one) => Math.max(most, one.unit.left), 1) + 2;
    this.shortestPatience = plans.reduce(
      (least, one) => Math.min(least, patience(one.unit.form)),
      Number.POSITIVE_INFINITY,
    );
    this.paddingAlarm = plans.reduce(
      (least, { unit: { form } }) => Math.min(least, Math.max(1, 3 * form.maxLength - 5 * form.right)),
      Number.POSITIVE_INFINITY,
    );
  }
}

/** Source characters after which a candidate that is still undecided is a finding: 8 W, and never before W + R. */
export function patience({ maxLength, right }: Form): number {
  return Math.max(8 * maxLength, maxLength + right);
}

function planUnit(unit: Unit, rules: readonly ScanRule[], spec: ViewSpec): UnitPlan | undefined {
  const asking = unit.rules.filter(({ rule }) => isIn(spec, rule));
  const [first] = asking;
  if (first === undefined) return undefined;
  const replace = asking.find(({ rule }) => spec.replace[rule] === 1);
  const decisive = replace ?? first;
  const style = replace === undefined ? undefined : rules[replace.rule];
  return {
    unit,
    replace: replace?.rule ?? -1,
    stop: asking.find(({ rule }) => spec.stop[rule] === 1)?.rule ?? -1,
    rules: asking.map(({ rule }) => rule),
    counted: asking.map(({ rule }) => `${rule} ${unit.rank} ${unit.by}`),
    order: [decisive.rule, unit.rank, decisive.place],
    keepsValue: style !== undefined && needsValue(style),
  };
}

export function isIn(spec: ViewSpec, rule: number): boolean {
  return spec.replace[rule] === 1 || spec.stop[rule] === 1 || spec.note[rule] === 1;
}

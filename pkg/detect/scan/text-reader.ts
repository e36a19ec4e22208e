import { advance as advancePoints, countCodePoints, splitsPair } from '../automaton/anchored.ts';
import type { Ends } from '../automaton/anchored.ts';
import type { ForwardParts, Standings } from '../automaton/forward-parts.ts';
import { wordGoesOnAt, wordReachesTo } from '../detectors/characters.ts';
import { wordBefore } from '../automaton/word-edges.ts';
import type { LaneEnd } from '../scanner.ts';
import { cutShort } from '../verdict.ts';
import type { Verdict } from '../verdict.ts';
import type { Finding } from './finding.ts';
import { foldText } from './fold-text.ts';
import { patience } from './plan.ts';
import type { Automata, Plan, Spellings, UnitPlan } from './plan.ts';
import type { Form, Unit } from './unit.ts';
import { trackOpen, trackPadding } from './tracker.ts';
import type { Tracker } from './tracker.ts';
import { longestStyledValue } from './replacement.ts';

/** What stands before a text and is none of it: the key of a value of JSON. As a reader sees it. */
export interface Before {
  readonly text: string;
  /** Where the automata stand behind it; filled when first needed. */
  standing?: Standings;
}

/**
 * One form of a text, as it grows: each character as a reader sees it, or as it is written. Looks for its units there, and keeps for each
 * character of the form where it stands in the source.
 *
 * How a finding becomes certain. The forward automaton says, at one table lookup a character, which units may have ended where.
 * Before the *frontier*, the earliest start from which any unit is still undecided (it may go on, or waits for its right
 * context), every start can be judged for good: a unit that may have ended after it is matched there exactly, its longest
 * accepted end is the finding.
 *
 * Memory: the text from the frontier on, and some left context.
 */
export class TextReader {
  readonly #plan: Plan;
  readonly #automata: Automata;
  /** Where findings go, in no order. */
  readonly #found: Finding[];
  readonly #at: Standings;

  /** The form's text from #base on. */
  #window = '';
  #base = 0;
  /** Units of the form appended. */
  #length = 0;
  /** Source units received. */
  #received = 0;
  /** Code points received. */
  #ordinal = 0;

  /** Where offsets in the source and in the form differ by more than #delta: for each unit of the window, else undefined. */
  #map: SourceMap | undefined = undefined;
  /** Source minus form's offset, while there is no map. */
  #delta = 0;
  /** Offset in the form before which a map is needed. */
  #mapUntil = 0;
  /** Offset in the form of the text's first character: behind what stands before it. */
  #textStart = 0;
  /** The same in the source. */
  #sourceStart = 0;

  /** Offset in the form: all starts before it are judged. */
  #frontier = 0;
  /** Places after the frontier where forms may have ended, rising. */
  readonly #due = new Map<number, number[]>();
  /** By form, ends since the last look whose matches may wait for what stands behind them. */
  readonly #fresh = new Map<number, number[]>();
  /** Starts of matches that wait for what stands behind them. */
  #waiting: Waiting[] = [];
  /** Of one start, by form: {@link #judgeAtWords} empties it before it goes on. */
  readonly #endsAtWords = new Map<number, number[]>();
  #trackers: Tracker[] = [];
  /** The last open-ended finding of each unit: what begins in it is part of it. */
  readonly #regions = new Map<number, Region>();

  /** Rises with ignorable characters, falls with others. */
  #padding = 0;
  /** Starts before this may be padded candidates. */
  #paddedUntil = 0;

  constructor(plan: Plan, automata: Automata, found: Finding[]) {
    this.#plan = plan;
    this.#automata = automata;
    this.#found = found;
    this.#at = automata.forward.begin();
  }

  /** Begins another text, at this source offset. Detectors alone see what stands before it, and find nothing that is not of the text. */
  begin(source: number, before?: Before): void {
    const { forward } = this.#automata;
    const text = before?.text ?? '';
    const standing = before === undefined ? forward.begin() : (before.standing ??= standingAfter(forward, text));
    this.#at.forEach((at, part) => Object.assign(at, standing[part]));
    this.#window = text;
    this.#base = 0;
    this.#length = this.#textStart = text.length;
    this.#ordinal = countCodePoints(text, 0, text.length);
    this.#map = undefined;
    this.#mapUntil = 0;
    this.#received = this.#sourceStart = source;
    this.#delta = source - text.length;
    this.#frontier = 0;
    this.#due.clear();
    this.#fresh.clear();
    this.#waiting = [];
    this.#trackers = [];
    this.#regions.clear();
    this.#padding = 0;
    this.#paddedUntil = 0;
  }

  /**
   * Reads on where this one stands, by other automata over the same units: what is still undecided is looked at by both. What is kept must
   * read the same in both forms.
   */
  fork(automata: Automata): TextReader {
    const other = new TextReader(this.#plan, automata, this.#found);
    const keep = Math.max(this.#base, this.#frontier - this.#plan.leftUnits);
    other.#window = this.#window.slice(keep - this.#base);
    other.#base = keep;
    other.#length = this.#length;
    other.#received = this.#received;
    other.#ordinal = this.#ordinal;
    other.#map = this.#map?.from(keep - this.#base);
    other.#delta = this.#delta;
    other.#mapUntil = this.#mapUntil;
    other.#textStart = this.#textStart;
    other.#sourceStart = this.#sourceStart;
    other.#frontier = this.#frontier;
    other.#run(this.#frontier);
    return other;
  }

  /** Source offset before which all starts are judged: findings from there on may still come. */
  get judgedUntil(): number {
    return this.#frontier < this.#length ? this.#sourceAt(this.#frontier, false) : this.#received;
  }

  /** Source offset of what is kept, the context of undecided starts included. */
  get keptFrom(): number {
    const at = Math.max(this.#base, this.#frontier - this.#plan.leftUnits);
    return at < this.#length ? this.#sourceAt(at, false) : this.#received;
  }

  /** Judges what can be judged. */
  settle(): void {
    this.#advance(this.#nextFrontier());
  }

  /** The text is over. */
  finish(end: LaneEnd): void {
    const before = this.#found.length;
    if (end === 'cut') this.#judgeCut();
    // Behind what is found in full: of two of one unit that are equal the first says why.
    const cutShort = this.#found.splice(before);
    this.#advance(this.#length);
    this.#found.push(...cutShort);
    for (const tracker of this.#trackers) tracker.close(this.#received);
    this.#trackers = [];
  }

  // --- taking text in

  /**
   * One code point of the source.
   *
   * @param text what it is in this form
   * @param width source units that spell it
   */
  point(code: number, text: string, width: number): void {
    const units = code > 0xffff ? 2 : 1;
    if (width === units && text.length === units && text.codePointAt(0) === code) {
      this.plain(text, 1);
      return;
    }
    const map = this.#needMap();
    const start = this.#received;
    for (let i = 0; i < text.length; i++) map.push(start, start + width, this.#ordinal);
    this.#received += width;
    this.#ordinal++;
    this.#append(text);
    this.#mapUntil = this.#length;
    if (text.length > 0) this.#visible(1);
    else if (++this.#padding >= this.#plan.paddingAlarm) this.#paddedUntil = this.#length;
  }

  /** Text that stands there as it is, and in this form, too: `points` code points of one unit each, or one of two. */
  plain(text: string, points: number): void {
    const map = this.#map;
    if (map !== undefined) {
      if (points < text.length) {
        map.push(this.#received, this.#received + 2, this.#ordinal);
        map.push(this.#received, this.#received + 2, this.#ordinal);
      } else {
        for (let i = 0; i < points; i++) map.push(this.#received + i, this.#received + i + 1, this.#ordinal + i);
      }
    }
    this.#received += text.length;
    this.#ordinal += points;
    this.#append(text);
    if (this.#padding > 0) this.#visible(points);
  }

  #visible(points: number): void {
    this.#padding = Math.max(0, this.#padding - 4 * points);
  }

  #needMap(): SourceMap {
    if (this.#map === undefined) {
      const map = new SourceMap();
      const text = this.#window;
      let ordinal = this.#ordinal - countCodePoints(text, 0, text.length);
      for (let at = 0; at < text.length; ordinal++) {
        const start = this.#base + at + this.#delta;
        const units = at + 1 < text.length && splitsPair(text, at + 1) ? 2 : 1;
        for (let i = 0; i < units; i++) map.push(start, start + units, ordinal);
        at += units;
      }
      this.#map = map;
    }
    return this.#map;
  }

  #append(text: string): void {
    if (text.length === 0) return;
    const from = this.#length;
    this.#window += text;
    this.#length += text.length;
    if (this.#trackers.length > 0) this.#track(text, from);
    this.#automata.forward.run(this.#at, text, 0, text.length, (end, forms) => this.#mayEnd(from + end, forms));
  }

  /** Over what the window holds from there on. */
  #run(from: number): void {
    const base = this.#base;
    this.#automata.forward.run(this.#at, this.#window, from - base, this.#window.length, (end, forms) => {
      this.#mayEnd(base + end, forms);
    });
  }

  /** The starts that this concerns are judged when the frontier has passed them. */
  #mayEnd(end: number, forms: readonly number[]): void {
    for (const form of forms) {
      const due = this.#due.get(form);
      if (due === undefined) this.#due.set(form, [end]);
      else due.push(end);
      if ((this.#plan.compiled.forms[form] as Form).right === 0) continue;
      const fresh = this.#fresh.get(form);
      if (fresh === undefined) this.#fresh.set(form, [end]);
      else fresh.push(end);
    }
  }

  #track(text: string, from: number): void {
    for (const tracker of this.#trackers) {
      const end = tracker.read(text, 0);
      if (end >= 0) this.#closeTracker(tracker, from + end);
    }
    this.#trackers = mergeTrackers(this.#trackers.filter((one) => one.finding.end === Number.POSITIVE_INFINITY));
  }

  /** `end`: offset in the form after its last character. */
  #closeTracker(tracker: Tracker, end: number): void {
    tracker.close(tracker.endsBefore ? this.#sourceAt(end, false) : this.#sourceAt(end - 1, true));
    const region = this.#regions.get(tracker.finding.unit.index);
    if (region?.tracker === tracker) region.end = end;
  }

  // --- deciding

  /** The earliest start from which something is undecided, as an offset in the form. */
  #nextFrontier(): number {
    if (this.#paddedUntil > this.#frontier) return this.#paddedFrontier();
    const earliest = this.#earliestFrom(this.#frontier);
    return earliest < this.#textStart ? this.#frontierBefore(earliest) : earliest;
  }

  /**
   * The same, of starts in what stands before the text: only what names its value may begin there, and be found behind it. All else would hold
   * the text for nothing: the quote of a value is that of an address (`"a b"@acme.org`), too.
   */
  #frontierBefore(earliest: number): number {
    const { onwards } = this.#automata;
    let at = earliest;
    while (at < this.#textStart) {
      if (this.#waiting.some(({ start }) => start === at)) return at;
      const standing = onwards.begin();
      onwards.run(standing, this.#window, at - this.#base, this.#length - this.#base, ignore);
      if (onwards.units(standing).some((form) => this.#plan.naming.has(form))) return at;
      at = this.#earliestFrom(this.#after(at));
    }
    return at;
  }

  #earliestFrom(floor: number): number {
    let earliest = this.#earliestWaiting(floor);
    const base = this.#base;
    for (const { set } of this.#at) {
      if (set.length === 0) continue;
      const at = this.#automata.reverse.earliest(this.#window, floor - base, this.#length - base, set) + base;
      if (at < earliest) earliest = at;
    }
    return this.#wholePoint(earliest);
  }

  /** The earliest start from which a match waits for what stands behind it; the text's end without one. */
  #earliestWaiting(floor: number): number {
    if (this.#fresh.size > 0) this.#noteWaiting(floor);
    if (this.#waiting.length === 0) return this.#length;
    let earliest = this.#length;
    let kept = 0;
    for (const one of this.#waiting) {
      if (one.start < floor || !this.#waits(one.end, one.right)) continue;
      this.#waiting[kept++] = one;
      if (one.start < earliest) earliest = one.start;
    }
    this.#waiting.length = kept;
    return earliest;
  }

  /** Fewer than `right` code points came behind `end`. */
  #waits(end: number, right: number): boolean {
    if (this.#length - end >= 2 * right) return false;
    return countCodePoints(this.#window, end - this.#base, this.#length - this.#base) < right;
  }

  /** Where the matches of fresh ends may have begun: each is taken to end where the last of those does that were found with it. */
  #noteWaiting(floor: number): void {
    const { compiled } = this.#plan;
    const base = this.#base;
    for (const [index, ends] of this.#fresh) {
      const form = compiled.forms[index] as Form;
      const waiting = ends.filter((end) => this.#waits(end, form.right));
      const last = waiting.at(-1);
      if (last === undefined) continue;
      const relative = waiting.map((end) => end - base);
      const first = this.#plan.naming.has(index) ? 0 : this.#textStart - base;
      compiled.starts(form).find(this.#window, relative, floor - base, this.#length - base, (start) => {
        if (start >= first && !this.#beginsWithin(form, start))
          this.#waiting.push({ start: start + base, end: last, right: form.right });
      });
    }
    this.#fresh.clear();
  }

  /** It stands where such a form cannot begin: in a word. */
  #beginsWithin(form: Form, start: number): boolean {
    const text = this.#window;
    return (form.wordStart && wordBefore(text, start)) || (form.atWord && wordReachesTo(text, start));
  }

  /** One code point may fold to several characters: judged together. */
  #wholePoint(at: number): number {
    const map = this.#map;
    if (map === undefined || at >= this.#length) return at;
    let first = at - this.#base;
    while (first > 0 && map.ordinal(first - 1) === map.ordinal(first)) first--;
    return Math.max(first + this.#base, this.#frontier);
  }

  /** As #earliestFrom, but a start whose patience ran out is decided. Only where text is mostly ignorable. */
  #paddedFrontier(): number {
    const { compiled } = this.#plan;
    const { anchored } = this.#automata;
    let at = this.#frontier;
    while (at < this.#length && at < this.#paddedUntil) {
      const standing = anchored.begin();
      anchored.run(standing, this.#window, at - this.#base, this.#length - this.#base, ignore);
      const waiting = anchored
        .units(standing)
        .some((form) => this.#ordinal - this.#ordinalAt(at) < patience(compiled.forms[form] as Form));
      if (waiting) return this.#wholePoint(at);
      at = this.#after(at);
    }
    return Math.max(at, this.#earliestFrom(at));
  }

  #after(at: number): number {
    return this.#base + advancePoints(this.#window, at - this.#base, this.#window.length, 1);
  }

  /** Judges all starts before `frontier`, and forgets what is no longer needed. */
  #advance(frontier: number): void {
    const from = this.#frontier;
    if (this.#paddedUntil > from) this.#judgePadded(from, Math.min(frontier, this.#paddedUntil));
    if (this.#due.size > 0 && frontier > from) this.#judgeDue(from, frontier);
    this.#frontier = frontier;
    this.#trim();
  }

  #judgeDue(from: number, frontier: number): void {
    const { byForm } = this.#plan;
    const together = this.#map === undefined && this.#plan.widestAtWord > 0;
    if (together) this.#judgeAtWords(from, frontier);
    for (const [index, due] of this.#due) {
      const plans = byForm[index];
      const form = plans?.[0]?.unit.form;
      if (plans !== undefined && form !== undefined && !(together && form.atWord))
        this.#judgeForm(form, plans, due, from, frontier);
      const left = due.filter((end) => end > frontier);
      if (left.length === 0) this.#due.delete(index);
      else this.#due.set(index, left);
    }
  }

  #judgeForm(form: Form, plans: readonly UnitPlan[], due: readonly number[], from: number, frontier: number): void {
    const base = this.#base;
    const starts: number[] = [];
    const ends = base === 0 ? due : due.map((end) => end - base);
    const finder = this.#plan.compiled.starts(form);
    finder.find(this.#window, ends, from - base, frontier - base, (start) => starts.push(start + base));
    for (let i = starts.length - 1; i >= 0; i--) this.#judge(form, plans, starts[i] as number, false);
  }

  /** Forms that stand at words' edges are looked for together, from each edge: there are few of those and many forms. */
  #judgeAtWords(from: number, frontier: number): void {
    const { byForm, widestAtWord } = this.#plan;
    let first = Number.POSITIVE_INFINITY;
    let last = 0;
    for (const [index, due] of this.#due) {
      if (byForm[index]?.[0]?.unit.form.atWord !== true) continue;
      first = Math.min(first, (due[0] as number) - widestAtWord);
      last = Math.max(last, due.at(-1) as number);
    }
    const text = this.#window;
    const automaton = this.#automata.atWord;
    const ends = this.#endsAtWords;
    const found = (end: number, forms: readonly number[]): void => {
      if (wordGoesOnAt(text, end)) return;
      for (const form of forms) {
        const known = ends.get(form);
        if (known === undefined) ends.set(form, [end]);
        else known.push(end);
      }
    };
    for (let at = Math.max(from, first); at < Math.min(frontier, last); at++) {
      const start = at - this.#base;
      if (wordReachesTo(text, start) || splitsPair(text, start)) continue;
      automaton.allFrom(text, start, text.length, found);
      if (ends.size === 0) continue;
      for (const [form, its] of ends) this.#judgeEnds(byForm[form] ?? [], start, its);
      ends.clear();
    }
  }

  /** Each unit's longest accepted end from one start. */
  #judge(form: Form, plans: readonly UnitPlan[], at: number, onlyImpatient: boolean): void {
    const text = this.#window;
    const start = at - this.#base;
    if (form.atWord && wordReachesTo(text, start)) return;
    const visible = this.#map === undefined ? text.length : this.#visibleUntil(start, patience(form));
    const { ends, live } = this.#match(form, start, visible);
    let impatient = false;
    if (this.#map !== undefined && this.#ordinal - this.#map.ordinal(start) >= patience(form)) {
      const last = ends.at(-1);
      const waits = last !== undefined && countCodePoints(text, last, visible) < form.right;
      impatient = (live || waits) && !(form.wordStart && wordBefore(text, start));
    }
    if (onlyImpatient && !impatient) return;
    if (form.atWord) keepOutside(text, ends);
    if (!impatient) {
      this.#judgeEnds(plans, start, ends);
      return;
    }
    const told = this.#toldBefore(plans, start);
    for (const plan of plans) if (this.#begins(plan.unit, at, told)) this.#impatient(plan, at, visible + this.#base);
  }

  #judgeEnds(plans: readonly UnitPlan[], start: number, ends: readonly number[]): void {
    if (ends.length === 0) return;
    const spellings = this.#plan.bySpelling[plans[0]?.unit.form.index ?? -1];
    if (spellings !== undefined) {
      this.#judgeSpelled(spellings, start, ends);
      return;
    }
    const told = this.#toldBefore(plans, start);
    for (const plan of plans) {
      if (this.#begins(plan.unit, start + this.#base, told))
        this.#longest(plan, start, ends, told[plan.unit.index] === 1);
    }
  }

  /** The same of units of which a candidate's spelling says which can accept it: few, of most candidates none. */
  #judgeSpelled({ of, plans: bySpelling }: Spellings, start: number, ends: readonly number[]): void {
    let decided = undecided;
    for (let i = ends.length - 1; i >= 0; i--) {
      const end = ends[i] as number;
      const plans = bySpelling.get(of(this.#window, start, end));
      if (plans === undefined) continue;
      const told = this.#toldBefore(plans, start);
      for (const plan of plans) {
        const { unit } = plan;
        if (decided.includes(plan) || !this.#begins(unit, start + this.#base, told)) continue;
        if (this.#decides(plan, start, end, told[unit.index] === 1)) decided = [...decided, plan];
      }
    }
  }

  #longest(plan: UnitPlan, start: number, ends: readonly number[], told: boolean): void {
    for (let i = ends.length - 1; i >= 0; i--) if (this.#decides(plan, start, ends[i] as number, told)) return;
  }

  /** Whether the unit accepts this end: then no shorter one is looked at. */
  #decides(plan: UnitPlan, start: number, end: number, told: boolean): boolean {
    const { unit } = plan;
    const read = this.#read(unit, start, end, told);
    if (read === undefined) return false;
    const { verdict, text, shift } = read;
    const from = (unit.from === undefined ? start : unit.from(text, start - shift, end - shift) + shift) + this.#base;
    if (from < this.#textStart) return true;
    if (unit.open !== undefined) {
      this.#openFrom(plan, verdict, from, end + this.#base);
      return true;
    }
    const to = (unit.to === undefined ? end : unit.to(text, start - shift, end - shift) + shift) + this.#base;
    // What is allowed is allowed as a whole: no shorter end of it is looked for.
    if (unit.allows?.(this.#valueOf(from, to)) !== true || followsLetter(this.#window, from - this.#base))
      this.#find(plan, verdict, from, to);
    return true;
  }

  /**
   * What the unit says of a candidate; undefined: nothing that counts. What stands before the text may make it more certain, and takes
   * nothing from what it is by itself: a key is a name of somebody's schema.
   */
  #read(unit: Unit, start: number, end: number, told: boolean): Reading | undefined {
    const window = this.#window;
    const verdict = verdictOf(unit, window, start, end, told);
    const own = this.#textStart - this.#base;
    if (own > 0 && unit.rank === 0 && start >= own && start - 2 * unit.left < own) {
      const text = window.slice(own);
      const alone = verdictOf(unit, text, start - own, end - own, told);
      if (alone !== undefined && alone.level > (verdict?.level ?? -1)) return { verdict: alone, text, shift: own };
    }
    return verdict === undefined ? undefined : { verdict, text: window, shift: 0 };
  }

  /** What stands before the text is seen by detectors alone, and begins what names its value alone: nothing else is found behind where it begins. */
  #begins({ rank, from, telling, index }: Unit, at: number, told: Uint8Array): boolean {
    if (at < this.#textStart && (rank !== 0 || from === undefined)) return false;
    return telling?.required !== true || told[index] === 1;
  }

  #match(form: Form, start: number, to: number): Ends {
    const begin = Math.max(0, this.#textStart - this.#base);
    return this.#plan.compiled.matcher(form).match(this.#window, start, to, form.maxLength, begin);
  }

  /** By unit, whether a word tells of it before this start. */
  #toldBefore(plans: readonly UnitPlan[], start: number): Uint8Array {
    if (plans.every(({ unit }) => unit.telling === undefined)) return untold;
    return this.#plan.compiled.telling.before(this.#window, start);
  }

  #find(plan: UnitPlan, verdict: Verdict, at: number, end: number): void {
    const value = plan.keepsValue ? this.#valueOf(at, end) : undefined;
    const last = this.#sourceAt(end - 1, true);
    this.#found.push({
      unit: plan.unit,
      verdict,
      start: this.#sourceAt(at, false),
      end: last,
      recognised: last,
      openEnded: false,
      value: value !== undefined && value.length > longestStyledValue ? undefined : value,
    });
  }

  /** As a reader sees it, whatever the form. */
  #valueOf(at: number, end: number): string {
    return foldText(this.#window.slice(at - this.#base, end - this.#base), this.#plan.compiled.fold);
  }

  /** A finding whose end the coming text decides. */
  #openFrom(plan: UnitPlan, verdict: Verdict, at: number, end: number): void {
    const { unit } = plan;
    if (this.#inRegion(unit, at, end)) return;
    const finding: Finding = {
      unit,
      verdict,
      start: this.#sourceAt(at, false),
      end: Number.POSITIVE_INFINITY,
      recognised: this.#sourceAt(end - 1, true),
      openEnded: true,
      value: plan.keepsValue ? this.#valueOf(at, end) : undefined,
    };
    const tracker = trackOpen(finding, this.#plan.compiled, this.#window.charCodeAt(end - 1 - this.#base));
    const closed = tracker.read(this.#window, end - this.#base);
    this.#found.push(finding);
    if (closed >= 0) {
      this.#regions.set(unit.index, { tracker, start: at, end: closed + this.#base });
      this.#closeTracker(tracker, closed + this.#base);
      return;
    }
    this.#trackers = mergeTrackers([...this.#trackers, tracker]);
    if (this.#trackers.includes(tracker)) {
      this.#regions.set(unit.index, { tracker, start: at, end: Number.POSITIVE_INFINITY });
    }
  }

  /** Whether an opener that ends here leads to the same end as the unit's last open-ended finding: then it is part of it. */
  #inRegion(unit: Unit, start: number, end: number): boolean {
    const region = this.#regions.get(unit.index);
    if (region === undefined || start < region.start || end > region.end) return false;
    if (unit.open?.kind !== 'until') return true;
    // A closer that ends at the region's end began after this opener.
    return end + 2 * unit.open.closerMaxLength <= Math.min(region.end, this.#length);
  }

  /** A candidate padded beyond all patience: a finding up to the next visible character. */
  #impatient(plan: UnitPlan, at: number, visible: number): void {
    const finding: Finding = {
      unit: plan.unit,
      verdict: cutShort,
      start: this.#sourceAt(at, false),
      end: Number.POSITIVE_INFINITY,
      recognised: this.#sourceAt(visible - 1, true),
      openEnded: true,
      value: undefined,
    };
    const tracker = trackPadding(finding);
    this.#found.push(finding);
    if (visible < this.#length) tracker.close(this.#sourceAt(visible, false));
    else this.#trackers.push(tracker);
  }

  #judgePadded(from: number, to: number): void {
    const { byForm } = this.#plan;
    const { anchored } = this.#automata;
    for (let at = from; at < to; at = this.#after(at)) {
      const start = at - this.#base;
      const standing = anchored.begin();
      const possible = new Set<number>();
      for (let read = start; read < this.#window.length && anchored.alive(standing);) {
        const next = advancePoints(this.#window, read, this.#window.length, 1);
        anchored.run(standing, this.#window, read, next, ignore);
        read = next;
        if (this.#gapAfter(read, start) < this.#plan.shortestPatience) continue;
        for (const form of anchored.units(standing)) possible.add(form);
      }
      for (const index of possible) {
        const plans = byForm[index];
        const form = plans?.[0]?.unit.form;
        if (plans !== undefined && form !== undefined) this.#judge(form, plans, at, true);
      }
    }
  }

  /** Source characters from a start to the next visible character after `read`. */
  #gapAfter(read: number, start: number): number {
    const next = read < this.#window.length ? this.#ordinalAt(read + this.#base) : this.#ordinal;
    return next - this.#ordinalAt(start + this.#base);
  }

  /** At a cut: a live candidate with half of its least significant characters is a finding. */
  #judgeCut(): void {
    const { byForm } = this.#plan;
    const { anchored } = this.#automata;
    const from = this.#nextFrontier();
    const text = this.#window;
    for (let at = from; at < this.#length; at = this.#after(at)) {
      const start = at - this.#base;
      const standing = anchored.begin();
      anchored.run(standing, text, start, text.length, ignore);
      for (const index of anchored.units(standing)) {
        const plans = byForm[index];
        const form = plans?.[0]?.unit.form;
        if (plans !== undefined && form !== undefined && this.#goesOn(form, start)) this.#judgeLive(form, plans, at);
      }
    }
  }

  /** Whether a candidate that begins here is undecided at the end of what came. */
  #goesOn(form: Form, start: number): boolean {
    if (this.#beginsWithin(form, start)) return false;
    // Patience ran out before: decided without regard to the cut.
    return this.#map === undefined || this.#ordinal - this.#map.ordinal(start) < patience(form);
  }

  #judgeLive(form: Form, plans: readonly UnitPlan[], at: number): void {
    const text = this.#window;
    const start = at - this.#base;
    const { ends, live } = this.#match(form, start, text.length);
    const last = ends.at(-1);
    const waits = last !== undefined && countCodePoints(text, last, text.length) < form.right;
    if (!live && !waits) return;
    // What can grow no more, and waits for what stands behind it, covers nothing behind it.
    const end = live ? text.length : (last as number);
    const from = Math.max(at, this.#textStart);
    if (end + this.#base <= from) return;
    const told = this.#toldBefore(plans, start);
    for (const plan of plans) {
      const { unit } = plan;
      if (!this.#begins(unit, at, told)) continue;
      // An accepted opener is a finding without this, and begins where it says.
      const opens =
        unit.open !== undefined &&
        ends.some((end) => this.#read(unit, start, end, told[unit.index] === 1) !== undefined);
      // What has its end is decided: only what reaches the text's end lives.
      const reaches = live || unit.to === undefined ? end : unit.to(text, start, end);
      if (!live && unit.to !== undefined && reaches < text.length) continue;
      if (!opens && this.#holdsHalf(unit, start, reaches)) this.#find(plan, cutShort, from, reaches + this.#base);
    }
  }

  /** Half of its least significant characters have come. */
  #holdsHalf(unit: Unit, start: number, end: number): boolean {
    const text = this.#window;
    let count = 0;
    for (let i = start; i < end;) {
      const code = text.codePointAt(i) as number;
      if (unit.significant(code)) count++;
      i += code > 0xffff ? 2 : 1;
    }
    return count > 0 && 2 * count >= unit.leastSignificant;
  }

  // --- offsets

  /** Where a unit of the form's code point begins in the source, or ends. */
  #sourceAt(at: number, end: boolean): number {
    const map = this.#map;
    const source =
      map === undefined
        ? at + this.#delta + (end ? 1 : 0)
        : end
          ? map.end(at - this.#base)
          : map.start(at - this.#base);
    // Of what stands before the text nothing is in the source.
    return Math.max(source, this.#sourceStart);
  }

  #ordinalAt(at: number): number {
    // Only asked of padded text, which has a map.
    return this.#map?.ordinal(at - this.#base) ?? 0;
  }

  /** First window index whose code point comes `count` or more after the one at `start`. */
  #visibleUntil(start: number, count: number): number {
    const map = this.#map;
    if (map === undefined) return this.#window.length;
    const limit = map.ordinal(start) + count;
    let low = start;
    let high = this.#window.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (map.ordinal(middle) < limit) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #trim(): void {
    const keep = this.#frontier - this.#plan.leftUnits;
    const drop = keep - this.#base;
    if (drop < 512) return;
    this.#window = this.#window.slice(drop);
    this.#base = keep;
    if (this.#map === undefined) return;
    this.#map.drop(drop);
    if (keep >= this.#mapUntil) {
      this.#map = undefined;
      this.#delta = this.#received - this.#length;
    }
  }
}

interface Reading {
  readonly verdict: Verdict;
  readonly text: string;
  /** Where that begins in the window. */
  readonly shift: number;
}

interface Waiting {
  readonly start: number;
  /** Where it ends, and how many code points of what follows decide it. */
  readonly end: number;
  readonly right: number;
}

interface Region {
  readonly tracker: Tracker;
  readonly start: number;
  /** Offset in the form after it; Infinity while it is open. */
  end: number;
}

class SourceMap {
  #starts: number[] = [];
  #ends: number[] = [];
  #ordinals: number[] = [];

  push(start: number, end: number, ordinal: number): void {
    this.#starts.push(start);
    this.#ends.push(end);
    this.#ordinals.push(ordinal);
  }
  start(at: number): number {
    return this.#starts[at] as number;
  }
  end(at: number): number {
    return this.#ends[at] as number;
  }
  ordinal(at: number): number {
    return this.#ordinals[at] as number;
  }
  from(at: number): SourceMap {
    const rest = new SourceMap();
    rest.#starts = this.#starts.slice(at);
    rest.#ends = this.#ends.slice(at);
    rest.#ordinals = this.#ordinals.slice(at);
    return rest;
  }
  drop(count: number): void {
    this.#starts = this.#starts.slice(count);
    this.#ends = this.#ends.slice(count);
    this.#ordinals = this.#ordinals.slice(count);
  }
}

/** Two open findings of one unit that are in the same state end together: the later is part of the earlier. */
function mergeTrackers(trackers: readonly Tracker[]): Tracker[] {
  const kept: Tracker[] = [];
  for (const tracker of trackers) {
    const same = kept.find((one) => one.joins(tracker));
    if (same === undefined) kept.push(tracker);
    else same.follow(tracker);
  }
  return kept;
}

/** Leaves the ends that no word goes on after. */
function keepOutside(text: string, ends: number[]): void {
  let kept = 0;
  for (const end of ends) if (!wordGoesOnAt(text, end)) ends[kept++] = end;
  ends.length = kept;
}

/** What the unit says of a candidate; undefined: nothing that counts. */
function verdictOf(unit: Unit, text: string, start: number, end: number, told: boolean): Verdict | undefined {
  const said = unit.accept === undefined || unit.accept(text, start, end, told, unit.least);
  const verdict = said === true ? unit.verdict : said;
  return verdict !== false && verdict.level >= unit.least ? verdict : undefined;
}

/**
 * A letter of another script or a digit of one stands before it: detectors know ASCII alone, so what they found may be the end of a longer
 * value, of which nothing is allowed.
 */
function followsLetter(text: string, at: number): boolean {
  if (at < 1) return false;
  const code = text.codePointAt(splitsPair(text, at - 1) ? at - 2 : at - 1) as number;
  return code > 0x7f && letterOrDigit.test(String.fromCodePoint(code));
}
const letterOrDigit = /[\p{L}\p{M}\p{N}]/u;

/** Where no unit has accepted an end. */
const undecided: readonly UnitPlan[] = [];

/** Of units that no words tell of. */
const untold = new Uint8Array(0);

/** Where it stands behind a text; what ends in that is not told. */
function standingAfter(automata: ForwardParts, text: string): Standings {
  const at = automata.begin();
  automata.run(at, text, 0, text.length, ignore);
  return at;
}

function ignore(): void {
  // Only whether anything lives is asked.
}

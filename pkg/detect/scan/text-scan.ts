import type { LaneEnd } from '../scanner.ts';
import { Components } from './components.ts';
import type { ComponentSink, Spell } from './components.ts';
import type { Finding } from './finding.ts';
import type { Plan } from './plan.ts';
import { TextReader } from './text-reader.ts';
import type { Before } from './text-reader.ts';

/** One view of the same findings: what is replaced, counted and stopped at, and where that goes. */
export interface ScanView {
  readonly plan: Plan;
  readonly sink: ComponentSink;
}

/**
 * Scans one logical text (a lane, or one string of a JSON lane) as it grows.
 *
 * The guarantee. With prefix P received, what lies before `decided` is at all times a prefix of mask(P + X) for every
 * continuation X, and after `finish` all of it is mask(T), however the text was cut into pieces. mask(T) is: every start of
 * every unit is judged alone and yields its longest accepted end, in the text as a reader sees it, and of an operator's pattern in the text
 * as it is written, too; findings that share a character merge; each component becomes the replacement of its first finding, or its label
 * where extents differ. Settled here, where DESIGN leaves room:
 *
 * - A finding inside of an earlier one of the same detector, pattern or word is part of it (see components.ts).
 * - An open-ended finding counts as longer than any bounded one of the same start. What a character class or a bare JSON value
 *   ends covers the ignorable characters before the character that ended it.
 * - A candidate that is undecided after max(8 W, W + R) source characters is a finding up to the next visible character.
 * - Where some rule of the view stops the lane, a component is not given out before it has closed.
 * - At a cut, the end of what came counts as the lane's end for context, and a live candidate (assertions taken as passed) with
 *   half of its least significant characters is a finding up to there.
 *
 * The limits. What detectors cannot see as folded text is not found: disguises by encoding (base64, hex, URL) are decoded
 * elsewhere. Findings never cross from one string of a JSON lane into the next.
 *
 * How. Two readers look at two forms of the text: as a reader sees it, for all units; and as it is written, for those patterns that may find
 * something else there. The second reads only where the two differ: from a character on whose fold is another, until no undecided start can
 * reach it. What stands before both frontiers (text-reader.ts) and in no undecided component is final.
 */
export class TextScan {
  readonly #plan: Plan;
  /** One for each view that is served. */
  readonly #components: readonly Components[];
  /** Found, and not yet given to the components. */
  readonly #found: Finding[] = [];
  readonly #seen: TextReader;
  /** Only where it differs from what is seen. */
  #written: TextReader | undefined = undefined;
  /** Source offset after the last character whose fold is another. */
  #foldedUntil = 0;
  /** A high surrogate waits for its other half. */
  #half: Half | undefined = undefined;
  /** Source units received. */
  #received = 0;
  #stopped = false;

  /** @param plan holds every unit of the views */
  constructor(plan: Plan, views: readonly ScanView[]) {
    this.#plan = plan;
    this.#seen = new TextReader(plan, plan.seen, this.#found);
    this.#components = views.map((view) => new Components(view.plan, view.sink, spellPlain));
  }

  /** Begins another text of the same lane, at this source offset; `before` is read with it and is none of it. */
  begin(source: number, spell: Spell = spellPlain, before?: Before): void {
    this.#seen.begin(source, before);
    this.#written = undefined;
    this.#found.length = 0;
    this.#half = undefined;
    this.#received = source;
    for (const one of this.#components) one.reset(source, spell);
  }

  /** Source offset before which the output of the first view is final, as of the last `settle` or `finish`. */
  get decided(): number {
    return this.decidedFor(0);
  }

  /** The same for another of the views. */
  decidedFor(view: number): number {
    return this.#components[view]?.decided ?? 0;
  }

  /** Takes source text that stands there as it is: one source unit for each unit. */
  raw(text: string): void {
    if (this.#half === undefined && !nonAscii.test(text)) {
      this.#plain(text, text.length);
      return;
    }
    let from = 0;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code < 128 && this.#half === undefined) continue;
      if (i > from) this.#plain(text.slice(from, i), i - from);
      from = this.#readPoint(text, i);
      i = from - 1;
    }
    if (from < text.length) this.#plain(text.slice(from), text.length - from);
  }

  /** Takes one decoded unit that is spelled by `width` source units. */
  spelled(unit: string, width: number): void {
    const code = unit.charCodeAt(0);
    this.#takeUnit(code, width);
  }

  /** Judges what can be judged. */
  settle(): void {
    if (this.#stopped) return;
    this.#seen.settle();
    this.#written?.settle();
    this.#give();
    this.#leaveWritten();
  }

  /** The text is over. */
  finish(end: LaneEnd): void {
    if (this.#stopped) return;
    this.#flushHalf();
    this.#seen.finish(end);
    this.#written?.finish(end);
    this.#give();
    if (this.#stopped) return;
    for (const one of this.#components) one.finish(this.#received);
  }

  /** Gives the components what starts before anything that may still come. */
  #give(): void {
    const seen = this.#seen.judgedUntil;
    const until = this.#written === undefined ? seen : Math.min(seen, this.#written.judgedUntil);
    if (this.#found.length > 0) this.#giveUntil(until);
    if (this.#stopped) return;
    for (const one of this.#components) one.advance(until, this.#received);
  }

  #giveUntil(until: number): void {
    const given: Finding[] = [];
    let left = 0;
    for (const one of this.#found) {
      // At the end of what came everything is judged.
      if (one.start < until || until === this.#received) given.push(one);
      else this.#found[left++] = one;
    }
    this.#found.length = left;
    if (given.length === 0) return;
    let going = false;
    for (const one of this.#components) {
      one.give(given);
      if (!one.stopped) going = true;
    }
    this.#stopped = !going;
  }

  /** Nothing that is kept differs any more. */
  #leaveWritten(): void {
    const written = this.#written;
    if (written === undefined) return;
    if (Math.min(this.#seen.keptFrom, written.keptFrom) >= this.#foldedUntil) this.#written = undefined;
  }

  // --- taking text in

  /** Reads the code point at `at`, folds it, returns the offset after it. */
  #readPoint(text: string, at: number): number {
    const code = text.charCodeAt(at);
    if (this.#half === undefined && code >= 0xd800 && code < 0xdc00 && at + 1 < text.length) {
      const whole = text.codePointAt(at) as number;
      if (whole > 0xffff) {
        this.#point(whole, 2);
        return at + 2;
      }
    }
    if (this.#half === undefined && (code & 0xfc00) !== 0xd800) {
      return this.#readRun(text, at);
    }
    this.#takeUnit(code, 1);
    return at + 1;
  }

  /** A stretch of characters that fold to themselves goes in as one. */
  #readRun(text: string, at: number): number {
    const { fold } = this.#plan.compiled;
    let end = at;
    while (end < text.length) {
      const code = text.charCodeAt(end);
      if ((code & 0xf800) === 0xd800) break;
      if (code >= 128 && fold(code) !== text.charAt(end)) break;
      end++;
    }
    if (end > at) {
      this.#plain(at === 0 && end === text.length ? text : text.slice(at, end), end - at);
      return end;
    }
    this.#point(text.charCodeAt(at), 1);
    return at + 1;
  }

  #takeUnit(code: number, width: number): void {
    const half = this.#half;
    if (half !== undefined) {
      this.#half = undefined;
      if ((code & 0xfc00) === 0xdc00) {
        this.#point(0x10000 + ((half.code - 0xd800) << 10) + (code - 0xdc00), half.width + width);
        return;
      }
      this.#point(half.code, half.width);
    }
    if ((code & 0xfc00) === 0xd800) this.#half = { code, width };
    else this.#point(code, width);
  }

  #flushHalf(): void {
    const half = this.#half;
    if (half === undefined) return;
    this.#half = undefined;
    this.#point(half.code, half.width);
  }

  /** One code point spelled by `width` source units. */
  #point(code: number, width: number): void {
    const own = String.fromCodePoint(code);
    const text = code < 128 ? own : this.#plan.compiled.fold(code);
    if (text !== own) this.#differs(width);
    this.#received += width;
    this.#seen.point(code, text, width);
    this.#written?.point(code, own, width);
  }

  /** Text that folds to itself: `points` code points of one unit each, or one of two. */
  #plain(text: string, points: number): void {
    this.#received += text.length;
    this.#seen.plain(text, points);
    this.#written?.plain(text, points);
  }

  /** The next code point, of `width` source units, does not fold to itself. */
  #differs(width: number): void {
    const { written } = this.#plan;
    if (written === undefined) return;
    this.#foldedUntil = this.#received + width;
    this.#written ??= this.#seen.fork(written);
  }
}

interface Half {
  readonly code: number;
  readonly width: number;
}

function spellPlain(text: string, finding: Finding): string {
  return finding.unit.rank === 3 ? JSON.stringify(text) : text;
}

const nonAscii = /[^\x00-\x7f]/;

import type { Edit, Hit, LaneEnd, LaneScanner } from '../detect/index.ts';

/** A stretch of a lane that was judged as at a cut. */
interface Settled {
  readonly from: number;
  readonly to: number;
  /** It has ended. */
  readonly scanner: LaneScanner;
  /** Where in the lane that one began to read. */
  readonly base: number;
  /** Stands before its text: for what is hidden from its beginning on, of which a part has left before. */
  readonly label: string;
  /** It ends within something that is hidden, for which something stands already. */
  readonly hides: boolean;
}

/**
 * A scanner of a lane that may go on after what it holds was given out: for streams whose peers wait for each other, where nothing says that a text is
 * whole, so that what is held would wait for good.
 *
 * Guarantee: what is held is given out as it would be at a cut (LaneEnd `cut`: a candidate with half of its significant characters is a finding, a
 * lesser one goes out); and what follows is judged together with it, as if nothing had been given out: where a finding then covers both, its replacement
 * stands in place of what has yet to leave of it (its label, where its replacement would show a part of the value). So however a value is cut by pauses, less than half of it leaves.
 *
 * How: the lane's own scanner reads on and never ends early. What is given out before it has decided comes from another one that has read the same
 * text and has ended.
 */
export class SettlingScanner implements LaneScanner {
  readonly #main: LaneScanner;
  readonly #settled: Settled[] = [];
  /** Up to here all is decided. */
  #to = 0;
  #taken = 0;
  #hits: Hit[] = [];
  /** Findings that were told before the lane's own scanner comes to them. */
  #told: Hit[] = [];
  #stopped: Hit | undefined;

  constructor(main: LaneScanner) {
    this.#main = main;
  }

  /** @param scanner that has read the lane's text from `base` on, and has ended; it has not failed. */
  settle(scanner: LaneScanner, base: number): void {
    const from = this.decided;
    this.#told = this.#told.filter(({ start }) => start >= this.#main.decided);
    for (const one of scanner.drainHits()) {
      if (one.start + base < Math.max(this.#main.decided, base)) continue;
      const hit = { ...one, start: one.start + base, end: one.end + base };
      if (this.#told.some((other) => isSame(other, hit))) continue;
      this.#told.push(hit);
      this.#hits.push(hit);
    }
    const { stopped } = scanner;
    if (stopped !== undefined) this.#stopped = { ...stopped, start: stopped.start + base, end: stopped.end + base };
    const to = Math.max(from, scanner.decided + base);
    const hidden = from === this.#to && this.#hides;
    const label = hidden ? '' : begunBefore(scanner, from - base);
    scanner.take(from - base); // its own decided that
    this.#hides = scanner.edits(to - 1 - base, to - base).some(({ end }) => end >= to - base);
    this.#to = to;
    if (to > from) this.#settled.push({ from, to, scanner, base, label, hides: this.#hides });
  }
  /** Of all that was settled the end is hidden. */
  #hides = false;
  /** The last settled stretch that was taken, until something behind it is. */
  #last: Settled | undefined;

  push(text: string): void {
    this.#main.push(text);
  }

  end(end: LaneEnd): void {
    this.#main.end(end);
  }

  get decided(): number {
    return this.#stopped === undefined ? Math.max(this.#to, this.#main.decided) : this.#to;
  }

  get received(): number {
    return this.#main.received;
  }

  get stopped(): Hit | undefined {
    return this.#stopped ?? this.#main.stopped;
  }

  get failed(): boolean {
    return this.#main.failed;
  }

  take(to: number): string {
    let text = '';
    for (;;) {
      const next = this.#settled[0];
      if (next === undefined || next.from >= to) break;
      text += this.#takeOwn(next.from);
      const until = Math.min(to, next.to);
      if (this.#taken === next.from) text += next.label;
      text += next.scanner.take(until - next.base);
      this.#taken = Math.max(this.#taken, until);
      if (until < next.to) return text;
      this.#last = this.#settled.shift();
    }
    return text + this.#takeOwn(Math.min(to, this.decided));
  }

  /** What was given out before of it is not given again; nor is what is left of a finding that began there. */
  #takeOwn(to: number): string {
    if (to <= this.#taken) return '';
    const last = this.#last;
    this.#last = undefined;
    const label = last === undefined || last.hides ? '' : begunBefore(this.#main, this.#taken);
    this.#main.take(this.#taken);
    this.#taken = to;
    return label + this.#main.take(to);
  }

  edits(from: number, to: number): readonly Edit[] {
    if (this.#settled.length === 0) return this.#main.edits(from, to);
    const edits: Edit[] = [];
    let at = from;
    for (const { from: begin, to: end, scanner, base } of this.#settled) {
      if (begin >= to) break;
      if (at < begin) edits.push(...this.#main.edits(at, begin));
      at = Math.max(at, begin);
      const until = Math.min(to, end);
      if (at < until)
        for (const edit of scanner.edits(at - base, until - base))
          edits.push({ start: edit.start + base, end: edit.end + base, text: edit.text });
      at = Math.max(at, until);
    }
    if (at < to) edits.push(...this.#main.edits(at, to));
    return edits;
  }

  drainHits(): readonly Hit[] {
    const own = this.#main.drainHits();
    const hits = this.#told.length === 0 ? own : own.filter((hit) => !this.#told.some((one) => isSame(one, hit)));
    if (this.#hits.length === 0) return hits;
    const all = [...this.#hits, ...hits];
    this.#hits = [];
    return all;
  }
}

/** What stands for the rest of the finding that began before `at` and covers it; '' where there is none. */
function begunBefore(scanner: LaneScanner, at: number): string {
  const edit = scanner.edits(at, at + 1).find(({ start }) => start < at);
  return edit?.rest ?? edit?.text ?? '';
}

/** Its end may be another: more of it has come. */
const isSame = (a: Hit, b: Hit): boolean => a.start === b.start && a.rule === b.rule && a.by === b.by;

import type { Hit, LaneEnd, LaneKind, LaneScanner } from '../detect/index.ts';
import { placeIn } from './edits.ts';
import type { ResponseViews } from './runtime.ts';
import { SettlingScanner } from './settling-scanner.ts';

/** Of a text that may have to be given out before it has ended, so much of its end is kept: more than twice what any finding spans, and what is read around it. */
const keptTail = 16_384;

export interface LaneOptions {
  /** Text counts as decided only when what is recorded of it is, too. */
  readonly waitForRecord: boolean;
  /** Its text is recorded as its own; where texts are sealed, `takeSealed` says what, too. Default false. */
  readonly recorded?: boolean;
  /** What is held of it may have to be given out before it has ended; only where the record is waited for. Default false. */
  readonly settles?: boolean;
}

/**
 * One lane of an answer while it streams: what the caller may receive of it, and what is recorded of it. Where both are the
 * same, one scanner serves both; else text counts as decided only when both have decided it, so that the record never
 * lags behind the bytes that it covers.
 */
export class AnswerLane {
  readonly id: string;
  /** Its text is recorded as its own; that of token ids is not. */
  readonly recorded: boolean;
  readonly #caller: LaneScanner;
  readonly #record: LaneScanner | undefined;
  readonly #waitForRecord: boolean;
  #recordedTo = 0;
  /** Of what is sealed beside the record. */
  readonly #sealed: LaneScanner | undefined;
  #taken = 0;
  #ended = false;
  readonly #kind: LaneKind;
  readonly #views: ResponseViews;
  /** Of a lane that settles: the end of what came. */
  #tail: string | undefined;
  /** It begins as JSON does, so that its end says nothing without its beginning. */
  #json = false;
  /** Some of it is no white space. */
  #begun = false;

  constructor(id: string, kind: LaneKind, views: ResponseViews, options: LaneOptions) {
    const { waitForRecord, recorded = false, settles = false } = options;
    this.id = id;
    this.recorded = recorded;
    this.#kind = kind;
    this.#views = views;
    this.#waitForRecord = waitForRecord;
    this.#tail = settles && waitForRecord && !(views.act.idle && views.record.idle) ? '' : undefined;
    const scanners = this.#open();
    const own = (scanner: LaneScanner): LaneScanner =>
      this.#tail === undefined ? scanner : new SettlingScanner(scanner);
    this.#caller = own(scanners.caller);
    this.#record = scanners.record && own(scanners.record);
    this.#sealed = scanners.sealed && own(scanners.sealed);
  }

  #open(): { readonly caller: LaneScanner; readonly record?: LaneScanner; readonly sealed?: LaneScanner } {
    const views = this.#views;
    const kind = this.#kind;
    const sealed = this.recorded ? views.sealed?.open(kind) : undefined;
    if (views.same) return { caller: views.act.open(kind), ...(sealed && { sealed }) };
    // One reading serves both where both must have decided anyhow.
    const both = this.#waitForRecord
      ? views.pair.open(kind)
      : { caller: views.act.open(kind), record: views.record.open(kind) };
    return { ...both, ...(sealed && { sealed }) };
  }

  /** Its end is kept. */
  get keeps(): boolean {
    return this.#tail !== undefined;
  }

  /** Characters of it that are kept beside what is held. */
  get keptUnits(): number {
    return this.#tail?.length ?? 0;
  }

  /**
   * Decides all that came as a cut would, and reads on: see {@link SettlingScanner}. Where that cannot be said of a part of it (JSON, or one long word,
   * whose beginning is not kept any more), nothing changes, and until more comes it is not tried again.
   *
   * @returns how many characters of it were read for that, in all views together.
   */
  settle(): number {
    const tail = this.#tail;
    const { received } = this;
    if (tail === undefined || this.#ended || this.decided >= received || this.stopped !== undefined) return 0;
    if (this.#triedAt === received) return 0;
    this.#triedAt = received;
    let from = 0;
    if (tail.length < received) {
      if (this.#json) return 0;
      // Not within a word: what encodings hide is read from its beginning.
      from = tail.search(/\s/u) + 1;
      const reach = Math.max(this.#views.act.reach, this.#views.record.reach);
      const held = received - Math.min(this.#caller.decided, this.#record?.decided ?? received);
      if (from === 0 || tail.length - from < held + reach) return 0;
    }
    const base = received - (tail.length - from);
    const text = tail.slice(from);
    const pairs = this.#open();
    // The caller's first: one reading may serve both.
    const sides = [pairs.caller, pairs.record, pairs.sealed].filter((one) => one !== undefined);
    for (const one of sides) one.push(text);
    for (const one of sides) one.end('cut');
    const read = text.length * sides.length;
    if (sides.some((one) => one.failed)) return read;
    for (const [own, side] of [
      [this.#caller, pairs.caller],
      [this.#record, pairs.record],
      [this.#sealed, pairs.sealed],
    ] as const)
      if (own instanceof SettlingScanner && side !== undefined) own.settle(side, base);
    return read;
  }
  /** How much of it had come when it was last settled, or could not be. */
  #triedAt = 0;

  #keepTail(text: string): void {
    const before = this.#tail;
    if (before === undefined) return;
    if (!this.#begun) {
      const first = /\S/u.exec(text)?.[0];
      this.#begun = first !== undefined;
      this.#json = first !== undefined && '{["'.includes(first);
    }
    const tail = before + text;
    this.#tail = tail.length > 2 * keptTail ? tail.slice(-keptTail) : tail;
  }

  /** It has text, and no white space at its end. */
  get endsInWord(): boolean {
    return this.#last !== '' && !/\s/.test(this.#last);
  }

  /** The last character of it; '' where it has none. */
  get lastUnit(): string {
    return this.#last;
  }
  #last = '';

  push(text: string): void {
    if (text !== '') this.#last = text.charAt(text.length - 1);
    this.#keepTail(text);
    this.#caller.push(text);
    this.#record?.push(text);
    this.#sealed?.push(text);
  }

  end(end: LaneEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#caller.end(end);
    this.#record?.end(end);
    this.#sealed?.end(end);
  }

  get ended(): boolean {
    return this.#ended;
  }

  get received(): number {
    return this.#caller.received;
  }

  get decided(): number {
    const decided = this.#caller.decided;
    if (this.#record === undefined || !this.#waitForRecord) return decided;
    // A caller's `stop` rule holds its own scanner back for good; the record goes on, so the smaller one counts.
    return Math.min(decided, this.#record.decided);
  }

  /** Received and not taken yet, in UTF-16 units. */
  get held(): number {
    return this.received - this.#taken;
  }

  get stopped(): Hit | undefined {
    return this.#caller.stopped;
  }

  /** It began as JSON and went on as none: what is held of it can neither be masked nor given out. */
  get failed(): boolean {
    return this.#caller.failed || (this.#waitForRecord && (this.#record?.failed ?? false));
  }

  drainHits(): readonly Hit[] {
    return this.#caller.drainHits();
  }

  /** Where something that was found at `start` of what came stands in what is recorded, or will stand. */
  recordedAt(start: number): number {
    if (this.#label !== undefined)
      return Math.max(0, this.#keptUnits - (this.#label.told ? this.#label.text.length : 0));
    const record = this.#record ?? this.#caller;
    const from = this.#record === undefined ? this.#taken : this.#recordedTo;
    if (start <= from) return Math.max(0, this.#keptUnits - (from - start));
    const edits = record
      .edits(from, start)
      .map((edit) => ({ ...edit, start: Math.max(0, edit.start - from), end: edit.end - from }));
    return this.#keptUnits + placeIn(edits, start - from);
  }

  /** Up to where `take` gives just what came from `from` on, as it came; at most `to`, which is decided. */
  untouchedUntil(from: number, to: number): number {
    if (this.#taken !== from) return from;
    let until = to;
    for (const { start } of this.#caller.edits(from, to)) until = Math.min(until, start);
    return until;
  }

  /** What the caller receives for everything up to `to`. */
  take(to: number): string {
    if (to <= this.#taken) return '';
    this.#taken = to;
    return this.#caller.take(to);
  }

  /** From now on this stands in the record in place of all of its text that is not recorded yet: a field rule hides the value that it stands in. */
  hideInRecord(label: string): void {
    this.#label ??= { text: label, told: false };
  }
  #label: { readonly text: string; told: boolean } | undefined = undefined;

  /** What is recorded for everything up to what was taken (or decided, where the record runs apart). `output` is what `take` gave. */
  takeRecord(output: string): string {
    const text = this.#labelled(this.#nextRecord(output));
    this.#keptUnits += text.length;
    return text;
  }
  /** What was recorded, in UTF-16 units. */
  #keptUnits = 0;

  #labelled(text: string): string {
    const label = this.#label;
    if (label === undefined || text === '') return text;
    if (label.told) return '';
    label.told = true;
    return label.text;
  }

  #nextRecord(output: string): string {
    if (this.#record === undefined) return output;
    const to = this.#waitForRecord ? Math.min(this.#taken, this.#record.decided) : this.#record.decided;
    if (to <= this.#recordedTo) return '';
    this.#recordedTo = to;
    return this.#record.take(to);
  }

  /** What is sealed of all that `takeRecord` has given since the last call; undefined where nothing is. */
  takeSealed(): string | undefined {
    const to = this.#record === undefined ? this.#taken : this.#recordedTo;
    return this.#sealed?.take(Math.min(to, this.#sealed.decided));
  }
}

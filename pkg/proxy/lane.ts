import type { Hit, LaneEnd, LaneKind, LaneScanner } from '../detect/index.ts';
import { placeIn } from './edits.ts';
import type { ResponseViews } from './runtime.ts';

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

  /** @param recorded where texts are sealed, `takeSealed` says what, too. */
  constructor(id: string, kind: LaneKind, views: ResponseViews, waitForRecord: boolean, recorded = false) {
    this.id = id;
    this.recorded = recorded;
    this.#sealed = recorded ? views.sealed?.open(kind) : undefined;
    this.#waitForRecord = waitForRecord;
    if (views.same) {
      this.#caller = views.act.open(kind);
      this.#record = undefined;
      return;
    }
    // One reading serves both where both must have decided anyhow.
    const { caller, record } = waitForRecord
      ? views.pair.open(kind)
      : { caller: views.act.open(kind), record: views.record.open(kind) };
    this.#caller = caller;
    this.#record = record;
  }

  /** It has text, and no white space at its end. */
  get endsInWord(): boolean {
    return this.#last !== '' && !/\s/.test(this.#last);
  }
  #last = '';

  push(text: string): void {
    if (text !== '') this.#last = text.charAt(text.length - 1);
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

  /** What is recorded for everything up to what was taken (or decided, where the record runs apart). `output` is what `take` gave. */
  takeRecord(output: string): string {
    const text = this.#nextRecord(output);
    this.#keptUnits += text.length;
    return text;
  }
  /** What was recorded, in UTF-16 units. */
  #keptUnits = 0;

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

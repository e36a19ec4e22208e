import type { Edit, Hit, LaneEnd, LaneKind, LaneScanner } from '../scanner.ts';
import type { PathState } from './field-path.ts';
import { JsonScan } from './json-scan.ts';
import { Output } from './output.ts';
import type { Plan } from './plan.ts';
import type { Before } from './text-reader.ts';
import { TextScan } from './text-scan.ts';

/** Leading white space that is held until it is known whether JSON follows; after more than this the lane is text. */
const mostLeadingSpace = 1024;

/**
 * One lane: decides whether it is read as text or as JSON, and joins what these decide with what was received.
 *
 * A lane of kind `json` is read as JSON, one of kind `text` only where a field rule is looked for and it begins with `{` or
 * `[`; what follows the end of its first value is text. Without a field rule, a `json` lane that does not begin with
 * `{`, `[` or `"` is text too; so is one of kind `text` that turns out to be no JSON before its first string or number has
 * ended (`[Note] …`). Once strings of a lane were read as JSON, a fault of syntax ends it (`failed`): strings before it were
 * decided one by one, so that reading it again as text could no longer hide what stands across them.
 */
export class Lane implements LaneScanner {
  readonly #plan: Plan;
  readonly #fields: PathState | undefined;
  readonly #kind: LaneKind;
  readonly #output = new Output();
  #text: TextScan | undefined = undefined;
  #json: JsonScan | undefined = undefined;
  /** White space before the first other character. */
  #leading = '';
  #undetermined = true;
  #received = 0;
  #decided = 0;
  #ended = false;

  /** @param before what stands before a lane that is read as text, and is none of it */
  constructor(plan: Plan, fields: PathState | undefined, kind: LaneKind, before?: Before) {
    this.#plan = plan;
    this.#fields = fields;
    this.#kind = kind;
    if (kind === 'text' && fields === undefined) this.#beginText(0, before);
  }

  get decided(): number {
    return this.#decided;
  }

  get received(): number {
    return this.#received;
  }

  get stopped(): Hit | undefined {
    return this.#output.stopped;
  }

  get failed(): boolean {
    return this.#json?.failed ?? false;
  }

  push(text: string): void {
    if (this.#ended) throw new TypeError('the lane has ended');
    if (text.length === 0) return;
    this.#received += text.length;
    if (this.#closed) return;
    this.#output.append(text);
    this.#read(text);
    this.#text?.settle();
    this.#update();
  }

  end(end: LaneEnd): void {
    if (this.#ended) throw new TypeError('the lane has ended');
    this.#ended = true;
    if (this.#closed) return;
    if (this.#undetermined) this.#beginText(0);
    this.#flushLeading();
    this.#json?.end(end);
    this.#text?.finish(end);
    this.#update();
    if (!this.#closed) this.#decided = this.#received;
  }

  take(to: number): string {
    return this.#output.take(Math.min(to, this.#decided));
  }

  edits(from: number, to: number): readonly Edit[] {
    return this.#output.edits(from, to);
  }

  drainHits(): readonly Hit[] {
    return this.#output.drainHits();
  }

  get #closed(): boolean {
    return this.#output.stopped !== undefined || this.failed;
  }

  #update(): void {
    if (this.#output.stopped !== undefined) {
      this.#decided = Math.max(this.#decided, this.#output.stoppedAt);
      return;
    }
    const scan = this.#text ?? this.#json;
    if (scan !== undefined) this.#decided = Math.max(this.#decided, Math.min(scan.decided, this.#received));
  }

  #read(text: string): void {
    if (this.#text !== undefined) {
      this.#text.raw(text);
      return;
    }
    if (this.#json === undefined) {
      const first = /[^ \t\r\n]/.exec(text)?.index ?? -1;
      if (first < 0 && this.#leading.length + text.length <= mostLeadingSpace) {
        this.#leading += text;
        return;
      }
      this.#choose(first < 0 || this.#leading.length + first > mostLeadingSpace ? 'x' : text.charAt(first));
      if (this.#text !== undefined) {
        this.#flushLeading();
        this.#read(text);
        return;
      }
      this.#leading = '';
    }
    const json = this.#json as JsonScan | undefined;
    if (json === undefined) return;
    const read = json.read(text);
    if (json.prose !== undefined && this.#kind === 'text') {
      this.#readAsProse(json.prose, text);
      return;
    }
    if (read < text.length && !this.#closed) {
      // The JSON value is over; the rest is prose.
      this.#json = undefined;
      this.#beginText(this.#received - text.length + read);
      this.#read(text.slice(read));
    }
  }

  /** It began like JSON and is none, and nothing of it was decided as JSON. */
  #readAsProse({ from, begun }: { readonly from: number; readonly begun: string }, text: string): void {
    const chunkStart = this.#received - text.length;
    this.#json = undefined;
    this.#beginText(from);
    this.#read(from >= chunkStart ? text.slice(from - chunkStart) : begun.slice(0, chunkStart - from) + text);
  }

  #choose(first: string): void {
    const asJson = this.#kind === 'text' ? '{[' : this.#fields === undefined ? '{["' : '{["-0123456789tfn';
    // A lane that must be JSON, with field rules, and is not, fails in the reader.
    const mustBe = this.#kind === 'json' && this.#fields !== undefined;
    this.#undetermined = false;
    if (asJson.includes(first) || mustBe) {
      this.#json = new JsonScan(this.#plan, this.#output, 0, this.#fields, this.#kind === 'json');
      this.#json.read(this.#leading);
    } else this.#beginText(0);
  }

  #beginText(source: number, before?: Before): void {
    this.#undetermined = false;
    this.#text = new TextScan(this.#plan, [{ plan: this.#plan, sink: this.#output }]);
    this.#text.begin(source, undefined, before);
  }

  #flushLeading(): void {
    if (this.#leading.length > 0) this.#text?.raw(this.#leading);
    this.#leading = '';
  }
}

/** A lane in which nothing is looked for. */
export class PassingLane implements LaneScanner {
  readonly #output = new Output();
  readonly stopped = undefined;
  readonly failed = false;
  received = 0;
  #ended = false;

  get decided(): number {
    return this.received;
  }

  push(text: string): void {
    if (this.#ended) throw new TypeError('the lane has ended');
    this.received += text.length;
    this.#output.append(text);
  }

  end(): void {
    if (this.#ended) throw new TypeError('the lane has ended');
    this.#ended = true;
  }

  take(to: number): string {
    return this.#output.take(Math.min(to, this.received));
  }

  edits(): readonly Edit[] {
    return [];
  }

  drainHits(): readonly Hit[] {
    return [];
  }
}

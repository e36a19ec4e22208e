import { decodeRuns } from '../decode/index.ts';
import { EditList } from './edit-list.ts';
import type { Edit, Hit, LaneEnd, LaneScanner, MaskResult } from '../scanner.ts';
import { toldLeft } from './telling.ts';

/**
 * A lane that also sees through encodings: base64, base64url, hex, URL and character escapes, two levels deep.
 *
 * Definition. A *run* is a maximal stretch of characters that encoded text is made of (no spaces, no non-ASCII). Runs of 16 and
 * more characters are decoded when they end; what a rule finds in the decoded text covers the encoded groups that spell it,
 * and merges with what is found in the text as it stands. A run longer than 4,096 characters is read in windows of that size that
 * overlap by 1,024, so that data of any length passes through a fixed amount of memory. Detectors see what stands before decoded text as they
 * see it in a plain one (`NHS no: %39%34…`, {@link DecodedReader}): of a word that tells its value, only the value need be encoded.
 *
 * On a stream a run is held until it ends, or until its window is full, so the guarantee of text-scan.ts holds for decoded
 * findings too: the same edits come out however the text was cut. In prose this holds no more than the last word.
 *
 * Limits: encodings that are spread over spaces or lines are found in whole runs only where each part spells a finding by itself;
 * a finding that needs more than 1,024 characters of one window's end and the next one's beginning is not seen.
 */
const leastRun = 16;
export const windowUnits = 4_096;
const overlapUnits = 1_024;

const inRun = new Uint8Array(128);
for (const char of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=_%&#;\\.@:~-')
  inRun[char.charCodeAt(0)] = 1;

/** Where a run stands in a text. */
export interface Run {
  readonly start: number;
  readonly end: number;
}

/**
 * The first run of at least {@link leastRun} characters that begins at or after `from`, which is no character of one. Looks at each
 * sixteenth character, since a run covers one of them.
 */
export function nextRun(text: string, from: number): Run | undefined {
  for (let at = from + leastRun - 1; at < text.length; at += leastRun) {
    if (!isRun(text, at)) continue;
    let start = at;
    while (start > from && isRun(text, start - 1)) start--;
    let end = at + 1;
    while (end < text.length && isRun(text, end)) end++;
    if (end - start >= leastRun) return { start, end };
    at = end - 1;
  }
  return undefined;
}

/**
 * How much of each of two texts, one after the other, is in a run across the place where they meet; undefined: there is none.
 *
 * @param most counted on either side
 */
export function runOver(left: string, right: string, most: number): { before: number; behind: number } | undefined {
  let before = 0;
  while (before < most && before < left.length && isRun(left, left.length - 1 - before)) before++;
  let behind = 0;
  while (behind < most && behind < right.length && isRun(right, behind)) behind++;
  return before > 0 && behind > 0 && before + behind >= leastRun ? { before, behind } : undefined;
}

/**
 * What stands before a piece decoded from a run, as far as words tell. Of a piece that begins deep in its run nothing: what stands there is
 * encoded, and hostile runs have hundreds of pieces.
 *
 * @param before source before the run
 * @param at where the piece begins in the run
 */
export function beforePiece(before: string, run: string, at: number): string {
  return at >= toldLeft ? '' : (before + run.slice(0, at)).slice(-toldLeft);
}

function isRun(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code < 128 && inRun[code] === 1;
}

export interface DecodedReader {
  /**
   * Masks a decoded text as a whole, without looking for further encodings.
   *
   * @param before what detectors see before it, and find nothing in
   */
  read(text: string, end: LaneEnd, before?: string): MaskResult;
}

export class DecodingLane implements LaneScanner {
  readonly #inner: LaneScanner;
  readonly #reader: DecodedReader;
  /** Source from `#taken` on, where a run or an edit of ours needs it. */
  #source = '';
  #taken = 0;
  #run = '';
  #runStart = 0;
  /** Source before the run; undefined while it can still be read from the text that came last. */
  #before: string | undefined = '';
  /** End of what came before the text that came last. */
  #tail = '';
  /** Where text waits for the end of a run. */
  #hold = Number.POSITIVE_INFINITY;
  readonly #edits = new EditList();
  #hits: Hit[] = [];
  #stopped: Hit | undefined = undefined;
  #stoppedAt = Number.POSITIVE_INFINITY;
  /** Source up to here belongs to an edit whose text was given out. */
  #swallowed = 0;

  constructor(inner: LaneScanner, reader: DecodedReader) {
    this.#inner = inner;
    this.#reader = reader;
  }

  get received(): number {
    return this.#inner.received;
  }

  get failed(): boolean {
    return this.#inner.failed;
  }

  get decided(): number {
    // A run is held again from its start when the component that hid its beginning has closed: what was given out stays so.
    return Math.max(this.#taken, Math.min(this.#inner.decided, this.#hold, this.#stoppedAt));
  }

  get stopped(): Hit | undefined {
    // The first in the text, whichever was seen first.
    const inner = this.#inner.stopped;
    return inner !== undefined && inner.start <= this.#stoppedAt ? inner : this.#stopped;
  }

  push(text: string): void {
    const from = this.#inner.received;
    this.#inner.push(text);
    this.#source += text;
    let begin = this.#run === '' ? -1 : 0;
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code < 128 && inRun[code] === 1) {
        if (begin < 0) {
          begin = at;
          this.#runStart = from + at;
          this.#before = undefined;
        }
        if (this.#run.length + at - begin >= windowUnits) {
          this.#run += text.slice(begin, at);
          begin = at;
          this.#noteBefore(text, from);
          this.#window();
        }
      } else if (begin >= 0) {
        this.#run += text.slice(begin, at);
        begin = -1;
        if (this.#run.length >= leastRun) this.#noteBefore(text, from);
        this.#close('complete');
      }
    }
    if (begin >= 0) {
      this.#run += text.slice(begin);
      this.#noteBefore(text, from);
    }
    this.#tail = this.#untilUnit(text, text.length);
    this.#hold =
      this.#run === '' || this.#covered(this.#runStart, this.received) ? Number.POSITIVE_INFINITY : this.#runStart;
  }

  /** @param from source offset of the text that comes */
  #noteBefore(text: string, from: number): void {
    this.#before ??= this.#untilUnit(text, this.#runStart - from);
  }

  /** As much of the source as words tell in, up to this unit of the text that comes. */
  #untilUnit(text: string, at: number): string {
    return at >= toldLeft ? text.slice(at - toldLeft, at) : (this.#tail + text.slice(0, at)).slice(-toldLeft);
  }

  /**
   * A component that still grows hides the run anyhow: nothing in it needs to be decoded. One that only waits for what may join it
   * has no end yet either, and hides no more than what is decided.
   */
  #covered(from: number, to: number): boolean {
    if (this.#inner.decided < to) return false;
    return this.#inner.edits(from, to).some((one) => one.start <= from && one.end === Number.POSITIVE_INFINITY);
  }

  end(end: LaneEnd): void {
    this.#inner.end(end);
    this.#close(end);
    this.#hold = Number.POSITIVE_INFINITY;
  }

  take(upTo: number): string {
    const from = this.#taken;
    const to = Math.min(upTo, this.decided);
    if (to <= from) return '';
    const inner = this.#inner.edits(from, to);
    const output = this.#inner.take(to);
    const source = this.#source.slice(0, to - from);
    this.#source = this.#source.slice(to - from);
    this.#taken = to;
    if (!this.#edits.empty || this.#swallowed > from) return this.#merged(source, from, to, inner);
    for (const one of inner) this.#swallow(one);
    return output;
  }

  edits(from: number, to: number): readonly Edit[] {
    const inner = this.#inner.edits(from, to);
    const own = this.#edits.touching(from, to);
    return own.length === 0 ? inner : joined([...inner, ...own]);
  }

  drainHits(): readonly Hit[] {
    const inner = this.#inner.drainHits();
    if (this.#hits.length === 0) return inner;
    const hits = this.#hits;
    this.#hits = [];
    return [...inner, ...hits];
  }

  #merged(source: string, from: number, to: number, inner: readonly Edit[]): string {
    const own = this.#edits.touching(from, to);
    this.#edits.drop(to);
    let text = '';
    let at = Math.max(from, Math.min(this.#swallowed, to));
    for (const one of joined([...inner, ...own])) {
      if (one.start >= from && one.start >= this.#swallowed) {
        text += source.slice(at - from, one.start - from) + one.text;
      }
      at = Math.max(at, Math.min(one.end, to));
      this.#swallow(one);
    }
    return text + source.slice(at - from);
  }

  #swallow(edit: Edit): void {
    if (Number.isFinite(edit.end)) this.#swallowed = Math.max(this.#swallowed, edit.end);
  }

  #close(end: LaneEnd): void {
    const run = this.#run;
    this.#run = '';
    if (run.length >= leastRun && !this.#covered(this.#runStart, this.#runStart + run.length)) this.#read(run, end);
  }

  /** A full window: read it, and go on with its last part. */
  #window(): void {
    this.#read(this.#run, 'complete');
    const step = windowUnits - overlapUnits;
    this.#run = this.#run.slice(step);
    this.#runStart += step;
    this.#before = '';
  }

  #read(run: string, end: LaneEnd): void {
    const start = this.#runStart;
    for (const decoded of decodeRuns(run)) {
      const found = this.#reader.read(decoded.text, end, beforePiece(this.#before ?? '', run, decoded.start));
      const place = (from: number, to: number): { start: number; end: number } => ({
        start: start + (decoded.map[from] ?? 0),
        end: start + (decoded.mapEnd[Math.max(from, to - 1)] ?? run.length),
      });
      const placed = (hit: Hit): Hit => ({ ...hit, ...place(hit.start, Math.min(hit.end, decoded.text.length)) });
      for (const hit of found.hits) this.#hits.push(placed(hit));
      for (const edit of found.edits) {
        this.#edits.add({ ...edit, ...place(edit.start, Math.min(edit.end, decoded.text.length)) });
      }
      if (found.stopped !== undefined) this.#stop(placed(found.stopped));
    }
  }

  #stop(hit: Hit): void {
    if (hit.start >= this.#stoppedAt) return;
    this.#stopped = hit;
    this.#stoppedAt = hit.start;
  }
}

/** In order; edits that share a character become one, with the replacement of the first. */
function joined(edits: readonly Edit[]): Edit[] {
  const ordered = [...edits].sort((a, b) => a.start - b.start || b.end - a.end);
  const result: Edit[] = [];
  for (const edit of ordered) {
    const last = result.at(-1);
    if (last === undefined || edit.start >= last.end) result.push(edit);
    else if (edit.end > last.end) result[result.length - 1] = { ...last, end: edit.end };
  }
  return result;
}

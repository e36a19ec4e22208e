import { classOf, digitShift, isDigit, isLetter, markShift } from './alphabets.ts';
import { TextRows } from './text-rows.ts';
import type { SpreadRun } from './text-rows.ts';
import { readUnits, unitsOf } from './units.ts';

/**
 * Base64 and hex that is spread over lines, spaces and signs (`base64 -w 76`, `xxd -p`, `od -An -tx1`, `0x48, 0x65`), and single words of it that
 * are too short to be runs. What it would decode to tells where it stands (text-rows.ts): of words, numbers and hashes next to nothing
 * reads as text for long enough.
 *
 * base64   12 bytes of text in a row; spaces, line breaks and signs of no alphabet are passed over, `=` ends it
 * hex      8 bytes of text in a row; every sign and `0x` is passed over, any other letter ends it, and so does `%`, which leads a URL escape
 * words    of 8 to 15 characters that are text as a whole
 *
 * Cost: a character of words takes a nanosecond or two. Only where two of the last 16 are capitals, digits or signs, as in all that is encoded, is
 * it looked at closely, at some ten times that.
 */
export interface SpreadSink {
  /** A stretch of encoded text; in no order, and one may cover another. */
  run(run: SpreadRun): void;
  /** A word whose whole groups are text. */
  word(start: number, end: number, kind: 'base64' | 'hex'): void;
}

const leastWord = 8;
const longestWord = 15;
const between = -1_000;
/** Characters that are remembered: a bit for each. */
const recentMask = 0xffff;

/** Whether two of 16 letters in a row are marks somewhere in a short text. False is certain: {@link SpreadRuns} finds nothing. */
export function mayBeEncoded(text: string): boolean {
  let recent = 0;
  for (let at = 0; at < text.length; at += 1) {
    const kind = classOf(text.charCodeAt(at));
    if ((kind & isLetter) === 0) continue;
    recent = ((recent << 1) | (kind >> markShift)) & recentMask;
    if ((recent & (recent - 1)) !== 0) return true;
  }
  return false;
}

export class SpreadRuns {
  readonly #text: string;
  readonly #sink: SpreadSink;
  /** Made when something is looked at closely: hardly any text has that. */
  #rows: { readonly base64: TextRows; readonly hex: TextRows } | undefined;
  #at = 0;
  /** Of each of the last characters, whether it is a mark. */
  #recent = 0;
  /** They are looked at closely. */
  #close = false;
  /** Before here all was. */
  #closed = 0;
  // The bits of the last letters, and how many there were since the last cut; the same for digits of hex.
  #bits = 0;
  #count = 0;
  #byte = 0;
  #digits = 0;
  /** Where the word begins that is being read; {@link between} outside of one. */
  #wordStart = between;

  constructor(text: string, sink: SpreadSink) {
    this.#text = text;
    this.#sink = sink;
  }

  /** Reads on, some {@link readUnits}. False: that was all. */
  step(): boolean {
    const text = this.#text;
    const from = this.#at;
    const to = Math.min(text.length, from + readUnits);
    const units = unitsOf(text, from, to);
    while (this.#at < to) {
      if (this.#close) this.#read(to);
      else this.#skip(units, from, to);
    }
    if (to < text.length) return true;
    this.#cut(text.length);
    return false;
  }

  /** To where two of the last characters are marks. The units that were read begin at `from`. */
  #skip(units: Uint16Array, from: number, to: number): void {
    let recent = this.#recent;
    let at = this.#at;
    while (at < to && (recent & (recent - 1)) === 0) {
      const kind = classOf(units[at - from] ?? 0);
      // Without branches, which words would make the processor guess wrong: other characters shift by nothing.
      recent = ((recent << ((kind & isLetter) >> 6)) | (kind >> markShift)) & recentMask;
      at += 1;
    }
    this.#recent = recent;
    this.#at = at;
    if ((recent & (recent - 1)) !== 0) this.#open(at);
  }

  #open(at: number): void {
    let start = at;
    for (let left = 16; start > this.#closed && left > 0; start -= 1) {
      if ((classOf(this.#text.charCodeAt(start - 1)) & isLetter) !== 0) left -= 1;
    }
    this.#close = true;
    this.#at = start;
    // A word that began earlier is longer than those that are looked for.
    const inWord = start > 0 && (classOf(this.#text.charCodeAt(start - 1)) & isLetter) !== 0;
    this.#wordStart = inWord ? start - longestWord - 1 : between;
    this.#recent = 1;
  }

  #opened(): { readonly base64: TextRows; readonly hex: TextRows } {
    const run = (found: SpreadRun): void => this.#sink.run(found);
    return (this.#rows ??= { base64: new TextRows(4, run), hex: new TextRows(2, run) });
  }

  #read(to: number): void {
    const text = this.#text;
    const { base64 } = this.#opened();
    let bits = this.#bits;
    let count = this.#count;
    let recent = this.#recent;
    let at = this.#at;
    for (; at < to && recent !== 0; at += 1) {
      const code = text.charCodeAt(at);
      const kind = classOf(code);
      if ((kind & isLetter) === 0) {
        if (this.#wordStart !== between) this.#endWord(at, count);
        if (code === 0x3d) {
          base64.cut(text, at);
          count = 0;
        } else if (code === 0x25) {
          this.#noDigit(at);
        }
      } else {
        if (this.#wordStart === between) this.#wordStart = at;
        bits = ((bits << 6) | (kind & 0x3f)) & 0xffffff;
        count += 1;
        if (count >= 4) base64.three(count & 3, bits, text, at);
        if ((kind & isDigit) !== 0) this.#digit((kind >> digitShift) & 0xf, at);
        else if (this.#digits !== 0 && (kind & 0x3f) < 52) this.#noDigit(at);
        recent = ((recent << 1) | (kind >> markShift)) & recentMask;
      }
    }
    this.#bits = bits;
    this.#count = count;
    this.#at = at;
    this.#recent = recent;
    if (recent === 0) this.#cut(at);
  }

  #digit(value: number, at: number): void {
    if (value === 0 && this.#isPrefix(at)) return;
    this.#byte = ((this.#byte << 4) | value) & 0xff;
    this.#digits += 1;
    if (this.#digits >= 2) this.#opened().hex.one(this.#digits & 1, this.#byte, this.#text, at);
  }

  /** Another letter. */
  #noDigit(at: number): void {
    if (this.#isPrefix(at - 1)) return;
    if (this.#digits >= 2) this.#opened().hex.cut(this.#text, at);
    this.#digits = 0;
  }

  /** `0x` */
  #isPrefix(at: number): boolean {
    return this.#text.charCodeAt(at) === 0x30 && (this.#text.charCodeAt(at + 1) | 0x20) === 0x78;
  }

  #cut(end: number): void {
    if (!this.#close) return;
    this.#endWord(end, this.#count);
    this.#opened().base64.cut(this.#text, end);
    this.#opened().hex.cut(this.#text, end);
    this.#count = 0;
    this.#digits = 0;
    this.#close = false;
    this.#closed = end;
    this.#recent = 0;
  }

  /** A word ends, which are the last of `count` letters. */
  #endWord(end: number, count: number): void {
    const start = this.#wordStart;
    const length = end - start;
    this.#wordStart = between;
    if (start === between || length < leastWord || length > longestWord) return;
    const { base64, hex } = this.#opened();
    if (length % 4 !== 1 && base64.groups((count - length) & 3) >= length >> 2) this.#sink.word(start, end, 'base64');
    if (length % 2 === 0 && this.#digits >= length && hex.groups(this.#digits & 1) >= length >> 1) {
      this.#sink.word(start, end, 'hex');
    }
  }
}

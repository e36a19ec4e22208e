import { printable } from './printable.ts';

/**
 * Base64 and hex, decoded as they come. A run is a maximal sequence of the alphabet of at least {@link leastRun} characters (hex: digits);
 * its groups (four base64 characters, two hex digits) become bytes, the bytes UTF-8 text, and each printable character is given out once
 * its last group is complete, with the source range of the groups that it came from. A run shorter than that gives nothing, so
 * ordinary words cost a counter. Memory: one group and at most `leastRun` characters.
 *
 * base64   both alphabets (RFC 4648 sections 4 and 5), `=` padding, line breaks between whole groups
 * hex      pairs in either case, between pairs at most one of space `:` `-` `,`
 *
 * Limits: groups are counted from the run's first character plus `phase`, so text glued before it needs the right phase (0 to 3);
 * UTF-16 and compressed content; `0x48, 0x65` lists.
 */
export type RunKind = 'base64' | 'hex';

/** Shorter runs are words. */
export const leastRun = 16;

export interface DecodedSink {
  /** A printable character (also tab, line feed, carriage return) that stands for source `[start, end)`. */
  character(code: number, start: number, end: number): void;
  /** What follows does not join what came before: the run ended or a byte was no text. */
  gap(): void;
}

function base64Value(code: number): number {
  if (code >= 0x41 && code <= 0x5a) return code - 0x41;
  if (code >= 0x61 && code <= 0x7a) return code - 0x47;
  if (code >= 0x30 && code <= 0x39) return code + 4;
  if (code === 0x2b || code === 0x2d) return 62;
  return code === 0x2f || code === 0x5f ? 63 : -1;
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

const isPair = (code: number): boolean => code === 0x20 || code === 0x3a || code === 0x2d || code === 0x2c;

/** Bytes to characters, strictly as UTF-8 (RFC 3629). */
class TextReader {
  readonly #sink: DecodedSink;
  #code = 0;
  #missing = 0;
  #least = 0;
  #open = false;
  /** Source start of a character that is not complete; -1 without one. */
  start = -1;

  constructor(sink: DecodedSink) {
    this.#sink = sink;
  }

  byte(value: number, start: number, end: number): void {
    if (this.#missing > 0) {
      if ((value & 0xc0) === 0x80) {
        this.#code = (this.#code << 6) | (value & 0x3f);
        this.#missing -= 1;
        if (this.#missing === 0) this.#give(this.#code, this.start, end, this.#least);
        return;
      }
      this.break();
    }
    if (value < 0x80) this.#give(value, start, end, 0);
    else if (value >= 0xc2 && value < 0xe0) this.#lead(value & 0x1f, 1, 0x80, start);
    else if (value >= 0xe0 && value < 0xf0) this.#lead(value & 0x0f, 2, 0x800, start);
    else if (value >= 0xf0 && value < 0xf5) this.#lead(value & 0x07, 3, 0x10000, start);
    else this.break();
  }

  break(): void {
    this.#missing = 0;
    this.start = -1;
    if (this.#open) this.#sink.gap();
    this.#open = false;
  }

  #lead(bits: number, missing: number, least: number, start: number): void {
    this.#code = bits;
    this.#missing = missing;
    this.#least = least;
    this.start = start;
  }

  #give(code: number, start: number, end: number, least: number): void {
    this.start = -1;
    if (code < least || !printable(code)) {
      this.break();
      return;
    }
    this.#open = true;
    this.#sink.character(code, start, end);
  }
}

export class RunDecoder {
  readonly #base64: boolean;
  readonly #size: number;
  readonly #phase: number;
  readonly #reader: TextReader;
  /** Characters of the run so far, while they are fewer than leastRun: value, start, end of each. */
  readonly #early = new Float64Array(leastRun * 3);
  #length = 0;
  #bits = 0;
  #filled = 0;
  #groupStart = 0;
  #groupEnd = 0;
  /** `=` seen after a partial group. */
  #padding = 0;
  /** A separator or line break was skipped and something of the alphabet must follow. */
  #skipped = false;
  #runStart = -1;

  /** `phase`: how many characters of a run to pass over before its first group (base64 0 to 3, hex 0 or 1). */
  constructor(kind: RunKind, sink: DecodedSink, phase = 0) {
    this.#base64 = kind === 'base64';
    this.#size = this.#base64 ? 4 : 2;
    this.#phase = phase;
    this.#reader = new TextReader(sink);
  }

  /** Source start of what may still become a character; Infinity when nothing may. What is given out later never begins before it. */
  get pending(): number {
    if (this.#length === 0) return Infinity;
    if (this.#length < leastRun) return this.#runStart;
    if (this.#reader.start >= 0) return this.#reader.start;
    return this.#filled > 0 ? this.#groupStart : Infinity;
  }

  /** The next character of the text, which stands at source `[start, end)`. */
  push(code: number, start: number, end: number): void {
    const value = this.#base64 ? base64Value(code) : hexDigit(code);
    if (value >= 0 && this.#padding === 0) this.#take(value, start, end);
    else if (this.#padding > 0 || !this.#skip(code)) this.#other(value, code, start, end);
  }

  /** The text is over. */
  end(): void {
    this.#finish();
  }

  #take(value: number, start: number, end: number): void {
    this.#skipped = false;
    if (this.#length === 0) this.#runStart = start;
    this.#length += 1;
    if (this.#length > leastRun) {
      this.#group(value, start, end);
      return;
    }
    const at = (this.#length - 1) * 3;
    this.#early[at] = value;
    this.#early[at + 1] = start;
    this.#early[at + 2] = end;
    if (this.#length < leastRun) return;
    for (let index = this.#phase; index < leastRun; index += 1) {
      this.#group(this.#early[index * 3] ?? 0, this.#early[index * 3 + 1] ?? 0, this.#early[index * 3 + 2] ?? 0);
    }
  }

  #group(value: number, start: number, end: number): void {
    if (this.#filled === 0) this.#groupStart = start;
    this.#groupEnd = end;
    this.#bits = (this.#bits << (this.#base64 ? 6 : 4)) | value;
    this.#filled += 1;
    if (this.#filled === this.#size) this.#bytes(this.#base64 ? 3 : 1);
  }

  /** `count` bytes are in the bits, highest first. */
  #bytes(count: number): void {
    for (let index = count - 1; index >= 0; index -= 1) {
      this.#reader.byte((this.#bits >> (index * 8)) & 0xff, this.#groupStart, this.#groupEnd);
    }
    this.#bits = 0;
    this.#filled = 0;
  }

  /** Line breaks between whole base64 groups, one separator between hex pairs: passed over, once. */
  #skip(code: number): boolean {
    const whole = this.#length > this.#phase && (this.#length - this.#phase) % this.#size === 0;
    if (!whole) return false;
    if (this.#base64) {
      // Only after a full-length line: a word before a line break is no run yet.
      return this.#length >= leastRun && !this.#skipped && (code === 0x0d || this.#lineFeed(code));
    }
    if (this.#skipped || !isPair(code)) return false;
    this.#skipped = true;
    return true;
  }

  #lineFeed(code: number): boolean {
    if (code !== 0x0a) return false;
    this.#skipped = true;
    return true;
  }

  #other(value: number, code: number, start: number, end: number): void {
    const wanted = this.#filled >= 2 ? 4 - this.#filled : 0;
    if (this.#base64 && code === 0x3d && this.#length >= leastRun && this.#padding < wanted) {
      this.#padding += 1;
      this.#groupEnd = end;
      if (this.#padding === wanted) this.#finish();
      return;
    }
    this.#finish();
    if (value >= 0) this.#take(value, start, end);
  }

  #finish(): void {
    if (this.#length >= leastRun && this.#base64 && this.#filled >= 2) {
      const count = this.#filled - 1;
      this.#bits >>= count === 1 ? 4 : 2;
      this.#bytes(count);
    }
    this.#reader.break();
    this.#length = 0;
    this.#bits = 0;
    this.#filled = 0;
    this.#padding = 0;
    this.#skipped = false;
    this.#runStart = -1;
  }
}

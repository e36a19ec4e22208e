import { printable } from './printable.ts';

/** A text in which something was read otherwise than it is written, with where its characters stand in the source. */
export interface Reading {
  readonly text: string;
  /** Source range of all of it, UTF-16 units. */
  readonly start: number;
  readonly end: number;
  /** Where the group begins that unit `at` of the text came from. */
  startOf(at: number): number;
  /** And where it ends. */
  endOf(at: number): number;
  /** Only words of lists are to be looked for in it: detectors and patterns say themselves what may stand between characters. */
  readonly wordsOnly: boolean;
}

/** Shorter pieces hold nothing that a detector finds. */
export const leastText = 6;

/** Pieces of text that are joined at once: a join of all at the end would take too long in one go. */
const joinedParts = 4_096;

/**
 * Builds readings piece by piece, in order of the source. What it keeps is by piece, not by character: a long text with one escape costs no
 * more than the text.
 */
export class ReadingBuilder {
  #readings: Reading[] = [];
  readonly #least: number;
  readonly #wordsOnly: boolean;
  #text = '';
  #parts: string[] = [];
  #length = 0;
  #pieces = new Pieces();

  /**
   * @param least shorter readings are dropped
   * @param wordsOnly see {@link Reading.wordsOnly}
   */
  constructor(least = leastText, wordsOnly = false) {
    this.#least = least;
    this.#wordsOnly = wordsOnly;
  }

  /** Those that have ended since the last call. */
  drain(): readonly Reading[] {
    const readings = this.#readings;
    if (readings.length > 0) this.#readings = [];
    return readings;
  }

  /** A part of the source as it stands. */
  plain(source: string, from: number, to: number): void {
    if (to <= from) return;
    this.#pieces.add(this.#length, from, 0);
    this.#add(source.slice(from, to));
  }

  /** What stands for `[start, end)` of the source. What is no printable text cuts. */
  decoded(text: string, start: number, end: number): void {
    if (isPrintable(text)) return this.#group(text, start, end);
    for (const part of text) {
      if (printable(part.codePointAt(0) ?? 0)) this.#group(part, start, end);
      else this.cut();
    }
  }

  /** What follows does not join what came before. */
  cut(): void {
    if (this.#length === 0) return;
    if (this.#length >= this.#least) {
      this.#readings.push(new Whole(this.#text + this.#parts.join(''), this.#pieces, this.#wordsOnly));
    }
    this.#text = '';
    this.#parts = [];
    this.#length = 0;
    this.#pieces = new Pieces();
  }

  #group(text: string, start: number, end: number): void {
    if (text === '') return;
    this.#pieces.add(this.#length, start, end);
    this.#add(text);
  }

  #add(text: string): void {
    this.#parts.push(text);
    this.#length += text.length;
    if (this.#parts.length < joinedParts) return;
    this.#text += this.#parts.join('');
    this.#parts = [];
  }
}

function isPrintable(text: string): boolean {
  for (let at = 0; at < text.length; at += 1) {
    const code = text.codePointAt(at) ?? 0;
    if (!printable(code)) return false;
    if (code > 0xffff) at += 1;
  }
  return true;
}

/** Where each piece begins in the text and in the source, and where it ends there; 0: it stands for itself, unit by unit. */
class Pieces {
  #numbers = new Uint32Array(12);
  count = 0;

  add(at: number, start: number, end: number): void {
    const from = this.count * 3;
    if (from === this.#numbers.length) {
      const grown = new Uint32Array(from * 2);
      grown.set(this.#numbers);
      this.#numbers = grown;
    }
    this.#numbers[from] = at;
    this.#numbers[from + 1] = start;
    this.#numbers[from + 2] = end;
    this.count += 1;
  }

  at(piece: number): number {
    return this.#numbers[piece * 3] ?? 0;
  }

  start(piece: number): number {
    return this.#numbers[piece * 3 + 1] ?? 0;
  }

  end(piece: number): number {
    return this.#numbers[piece * 3 + 2] ?? 0;
  }

  /** The last that begins at or before unit `at`. */
  holding(at: number): number {
    let low = 0;
    let high = this.count - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.at(middle) <= at) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

class Whole implements Reading {
  readonly text: string;
  readonly wordsOnly: boolean;
  readonly #pieces: Pieces;

  constructor(text: string, pieces: Pieces, wordsOnly: boolean) {
    this.text = text;
    this.wordsOnly = wordsOnly;
    this.#pieces = pieces;
  }

  get start(): number {
    return this.startOf(0);
  }

  get end(): number {
    return this.endOf(this.text.length - 1);
  }

  startOf(at: number): number {
    const pieces = this.#pieces;
    const piece = pieces.holding(at);
    return pieces.end(piece) === 0 ? pieces.start(piece) + at - pieces.at(piece) : pieces.start(piece);
  }

  endOf(at: number): number {
    const pieces = this.#pieces;
    const piece = pieces.holding(at);
    const end = pieces.end(piece);
    return end === 0 ? pieces.start(piece) + at - pieces.at(piece) + 1 : end;
  }
}

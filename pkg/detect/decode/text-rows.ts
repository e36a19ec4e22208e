import { classOf, isDigit, isLetter } from './alphabets.ts';

/** A stretch of encoded text, with the groups beside it, since it may begin or end in the middle of one. UTF-16 units of the source. */
export interface SpreadRun {
  readonly kind: 'base64' | 'hex';
  readonly start: number;
  readonly end: number;
  /** Characters of its alphabet between them. */
  readonly letters: number;
  /** Where the group before it begins; `start` where there is none. */
  readonly before: number;
  /** Where what follows it ends, a group at most; `end` where nothing does. */
  readonly after: number;
}

/** 1: printable characters of ASCII and its white space. 2, 4, 8: bytes that lead one, two, three more of UTF-8. 0: no text begins so. */
const bytes = new Uint8Array(256);
bytes.fill(1, 0x20, 0x7f);
for (const space of [0x09, 0x0a, 0x0d]) bytes[space] = 1;
bytes.fill(2, 0xc2, 0xe0);
bytes.fill(4, 0xe0, 0xf0);
bytes.fill(8, 0xf0, 0xf5);

/** Two bytes behind a character of ASCII: 1 where they are such, too, 0 where they are no text, 2 where they may be of UTF-8. */
const pairs = new Uint8Array(1 << 16);
for (let pair = 0; pair < pairs.length; pair += 1) {
  const [first, second] = [bytes[pair >> 8] ?? 0, bytes[pair & 0xff] ?? 0];
  if (first === 1) pairs[pair] = Math.min(second, 2);
  else if (first > 1 && (pair & 0xc0) === 0x80) pairs[pair] = 2;
}

/**
 * Rows of groups that decode to UTF-8 text, in one alphabet, in each of its phases: groups are told as their last character comes. A row of
 * {@link leastBytes} is found.
 */
export class TextRows {
  readonly #size: 2 | 4;
  readonly #found: (run: SpreadRun) => void;
  // By phase: groups in the row, where the first and the last of them end, bytes of UTF-8 that its last character lacks.
  readonly #groups = [0, 0, 0, 0];
  readonly #first = [0, 0, 0, 0];
  readonly #last = [0, 0, 0, 0];
  readonly #missing = [0, 0, 0, 0];

  /**
   * @param size characters of a group: 4 of base64, which are three bytes, 2 of hex, which are one
   * @param found is told of each row when it ends
   */
  constructor(size: 2 | 4, found: (run: SpreadRun) => void) {
    this.#size = size;
    this.#found = found;
  }

  /** A group of base64, of these 24 bits, whose last character stands at `at`. */
  three(phase: number, bits: number, text: string, at: number): void {
    const first = bytes[bits >>> 16] ?? 0;
    const pair = first === 1 ? (pairs[bits & 0xffff] ?? 0) : first;
    // Of what is no text nearly all is told by this, and of what is text, too.
    const isText =
      this.#missing[phase] === 0 && pair < 2
        ? pair === 1
        : this.#isText(phase, bits >>> 16) &&
          this.#isText(phase, (bits >>> 8) & 0xff) &&
          this.#isText(phase, bits & 0xff);
    this.#add(phase, isText, text, at);
  }

  /** A group of hex, of this byte. */
  one(phase: number, byte: number, text: string, at: number): void {
    this.#add(phase, this.#isText(phase, byte), text, at);
  }

  /** What follows does not join what came before, which ends at `end`. */
  cut(text: string, end: number): void {
    for (let phase = 0; phase < this.#size; phase += 1) this.#close(phase, text, end);
  }

  /** Groups of the row that is open in this phase. */
  groups(phase: number): number {
    return this.#groups[phase] ?? 0;
  }

  #add(phase: number, isText: boolean, text: string, at: number): void {
    const groups = this.#groups[phase] ?? 0;
    if (isText) {
      if (groups === 0) this.#first[phase] = at + 1;
      this.#groups[phase] = groups + 1;
      this.#last[phase] = at + 1;
    } else if (groups !== 0) this.#close(phase, text, at + 1);
    else this.#missing[phase] = 0;
  }

  #close(phase: number, text: string, after: number): void {
    const groups = this.#groups[phase] ?? 0;
    this.#groups[phase] = 0;
    this.#missing[phase] = 0;
    if (groups < (this.#size === 4 ? leastBytes.base64 / 3 : leastBytes.hex)) return;
    const start = this.#back(text, this.#first[phase] ?? 0);
    this.#found({
      kind: this.#size === 4 ? 'base64' : 'hex',
      start,
      end: this.#last[phase] ?? 0,
      letters: groups * this.#size,
      before: this.#back(text, start),
      after,
    });
  }

  /** Where the group that ends at `end` begins. */
  #back(text: string, end: number): number {
    const alphabet = this.#size === 4 ? isLetter : isDigit;
    let start = end;
    let left: number = this.#size;
    for (let at = end - 1; at >= 0 && left > 0; at -= 1) {
      if ((classOf(text.charCodeAt(at)) & alphabet) === 0) continue;
      start = at;
      left -= 1;
    }
    return start;
  }

  #isText(phase: number, byte: number): boolean {
    const missing = this.#missing[phase] ?? 0;
    if (missing === 0) {
      const kind = bytes[byte] ?? 0;
      this.#missing[phase] = kind === 8 ? 3 : kind >> 1;
      return kind !== 0;
    }
    const goesOn = (byte & 0xc0) === 0x80;
    this.#missing[phase] = goesOn ? missing - 1 : 0;
    return goesOn;
  }
}

/** Bytes of text in a row that are no chance. */
const leastBytes = { base64: 12, hex: 8 };

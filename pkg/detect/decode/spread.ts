import { classOf, isDigit, isLetter } from './alphabets.ts';
import { printable } from './printable.ts';
import type { Reading } from './reading.ts';
import { SpreadRuns, mayBeEncoded } from './spread-runs.ts';
import type { SpreadRun } from './text-rows.ts';

/**
 * What stands in a text in base64 or hex that decodeRuns does not read, since it is spread over lines, spaces and signs, or too short
 * (spread-runs.ts): decoded, a line each.
 * Blocks are decoded in windows, so that no step is long and little is held.
 */
const windowLetters = 8 * 1024;
/** Letters of base64 that two windows share: 3 KiB of text. A multiple of both groups. */
const sharedLetters = 4 * 1024;
/** Source that is walked between two pauses: letters may stand far apart. */
const stepUnits = 64 * 1024;
/** Text from which on a reading is given. */
const fullReading = 4 * 1024;
/** Letters on either side of where two texts meet: a word, and those that are looked at with its first. */
const nearLetters = 32;
/** Words at the end of a reading that the next one begins with: a text that is spelled in many stands over both. */
const sharedWords = 64;

type SpreadWord = readonly [start: number, end: number, kind: 'base64' | 'hex'];

/** Each as it is decoded, undefined for a pause. */
export function* spreadReadings(text: string): Generator<Reading | undefined, void, void> {
  let runs: SpreadRun[] = [];
  let words: SpreadWord[] = [];
  const search = new SpreadRuns(text, {
    run: (run) => void (isSpread(text, run) && runs.push(run)),
    word: (...word) => void words.push(word),
  });
  const lastWords: SpreadWord[] = [];
  let reading = new Decoded();
  for (let more = true; more;) {
    more = search.step();
    const [foundRuns, foundWords] = [runs, words];
    runs = [];
    words = [];
    for (const word of foundWords) {
      reading.word(text, word);
      lastWords.push(word);
      if (lastWords.length > 4 * sharedWords) lastWords.splice(0, lastWords.length - sharedWords);
      if (reading.length < fullReading) continue;
      yield reading;
      reading = new Decoded();
      for (const shared of lastWords.slice(-sharedWords)) reading.word(text, shared);
    }
    for (const run of foundRuns) {
      for (const letters of windows(text, run)) {
        if (letters === undefined) {
          yield;
          continue;
        }
        reading.letters(letters);
        if (reading.length >= fullReading) {
          yield reading;
          reading = new Decoded();
        }
        if (letters.text.length === windowLetters) yield;
      }
    }
    if (more) yield;
  }
  if (reading.length > 0) yield reading;
}

/** Whether there is any, in a text that is read in one go. */
export function isSpreadIn(text: string): boolean {
  let found = false;
  const search = new SpreadRuns(text, {
    run: (run) => void (found ||= isSpread(text, run)),
    word: () => void (found = true),
  });
  while (search.step());
  return found;
}

/**
 * Whether any may have characters of two texts that stand one after the other. False is certain: what is encoded has marks on every side
 * ({@link mayBeEncoded}).
 */
export function mayBeSpreadAcross(left: string, right: string): boolean {
  return mayBeEncoded(lettersOf(left, true) + lettersOf(right, false));
}

/** The last letters of a text, or the first. */
function lettersOf(text: string, last: boolean): string {
  let at = last ? text.length : 0;
  for (let count = 0; count < nearLetters && at >= 0 && at <= text.length;) {
    at += last ? -1 : 1;
    if ((classOf(text.charCodeAt(last ? at : at - 1)) & isLetter) !== 0) count += 1;
  }
  return last ? text.slice(Math.max(0, at)) : text.slice(0, at);
}

/** Not what stands there in one piece, which is a run for decodeRuns. */
function isSpread(text: string, { kind, start, end, letters, after }: SpreadRun): boolean {
  const alphabet = kind === 'base64' ? isLetter : isDigit;
  return end - start > letters || ((classOf(text.charCodeAt(end)) & alphabet) === 0 && after > end);
}

/** Each as it is read, undefined for a pause. */
function* windows(text: string, run: SpreadRun): Generator<Letters | undefined, void, void> {
  // What is around it may be of it, or of what stands beside it: both are read.
  if (run.before < run.start) yield yield* lettersIn(text, run, run.before, run.after);
  let window = yield* lettersIn(text, run, run.start, run.end);
  yield window;
  while (window.next < run.end) {
    window = yield* lettersIn(text, run, window.placeOf(windowLetters - sharedLetters), run.end);
    yield window;
  }
  const shared = Math.max(0, window.text.length - sharedLetters);
  if (run.after > run.end) yield yield* lettersIn(text, run, window.placeOf(shared), run.after);
}

function* lettersIn(text: string, { kind }: SpreadRun, from: number, to: number): Generator<undefined, Letters, void> {
  const letters = new Letters(text, kind, from, to);
  while (letters.step()) yield;
  return letters;
}

/** The letters of a block, or digits of hex, without what stands between them: as many as a window has. */
class Letters {
  readonly kind: 'base64' | 'hex';
  readonly #source: string;
  readonly #to: number;
  readonly #letters: string[] = [];
  readonly #places: number[] = [];
  #next: number;
  #text: string | undefined;

  constructor(source: string, kind: 'base64' | 'hex', from: number, to: number) {
    this.kind = kind;
    this.#source = source;
    this.#next = from;
    this.#to = to;
  }

  /** Reads on, some {@link stepUnits}. False: that was all. */
  step(): boolean {
    const source = this.#source;
    const isHex = this.kind === 'hex';
    const alphabet = isHex ? isDigit : isLetter;
    const end = Math.min(this.#to, this.#next + stepUnits);
    let at = this.#next;
    for (; at < end && this.#letters.length < windowLetters; at += 1) {
      if ((classOf(source.charCodeAt(at)) & alphabet) === 0) continue;
      if (isHex && source[at] === '0' && (source[at + 1] === 'x' || source[at + 1] === 'X')) continue;
      this.#letters.push(source.charAt(at));
      this.#places.push(at);
    }
    this.#next = at;
    return at < this.#to && this.#letters.length < windowLetters;
  }

  /** What was read, all of it. */
  get text(): string {
    return (this.#text ??= this.#letters.join(''));
  }

  /** The first place that was not read. */
  get next(): number {
    return this.#next;
  }

  /** Where letter `index` stands in the source. */
  placeOf(index: number): number {
    return this.#places[index] ?? this.#next;
  }
}

/** The character of strict UTF-8 (RFC 3629) at `at`, -1 for none, and how many bytes it has. */
function characterOf(bytes: Uint8Array, at: number): { readonly code: number; readonly size: number } {
  const lead = bytes[at] ?? 0;
  if (lead < 0x80) return { code: lead, size: 1 };
  const more = lead >= 0xf0 && lead < 0xf5 ? 3 : lead >= 0xe0 && lead < 0xf0 ? 2 : lead >= 0xc2 && lead < 0xe0 ? 1 : 0;
  let code = lead & (0x3f >> more);
  for (let one = 1; one <= more; one += 1) {
    const byte = bytes[at + one] ?? 0;
    if ((byte & 0xc0) !== 0x80) return none;
    code = (code << 6) | (byte & 0x3f);
  }
  return more === 0 || code < (leastOf[more] ?? 0) ? none : { code, size: more + 1 };
}

const none = { code: -1, size: 1 };
/** The least character that is spelled in two, three and four bytes. */
const leastOf = [0, 0x80, 0x800, 0x10000];

/** Texts that came from encodings, one behind the other on lines of their own, with the source of each unit. */
class Decoded implements Reading {
  readonly wordsOnly = false;
  readonly #parts: string[] = [];
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  #text: string | undefined;

  get text(): string {
    return (this.#text ??= this.#parts.join(''));
  }

  /** Units of the text. */
  get length(): number {
    return this.#starts.length;
  }

  get start(): number {
    return this.#starts.reduce((least, one) => Math.min(least, one), Number.POSITIVE_INFINITY);
  }

  get end(): number {
    return this.#ends.reduce((most, one) => Math.max(most, one), 0);
  }

  startOf(at: number): number {
    return this.#starts[at] ?? 0;
  }

  endOf(at: number): number {
    return this.#ends[at] ?? 0;
  }

  word(text: string, [start, end, kind]: SpreadWord): void {
    const read = Buffer.from(text.slice(start, end), kind).toString('utf8');
    for (const char of read) if (!printable(char.codePointAt(0) ?? 0)) return;
    for (let unit = 0; unit <= read.length; unit += 1) this.#place(start, end);
    this.#parts.push(read, '\n');
  }

  letters(letters: Letters): void {
    const { kind } = letters;
    const [size, bytesOf] = kind === 'base64' ? [4, 3] : [2, 1];
    const bytes = Buffer.from(letters.text, kind);
    let open = false;
    let next = 0;
    while (next < bytes.length) {
      const at = next;
      const character = characterOf(bytes, at);
      const { code } = character;
      next = at + character.size;
      if (!printable(code)) {
        if (open) this.#line();
        open = false;
        continue;
      }
      open = true;
      const char = String.fromCodePoint(code);
      const start = letters.placeOf(Math.floor(at / bytesOf) * size);
      const last = Math.min(letters.text.length, (Math.floor((next - 1) / bytesOf) + 1) * size) - 1;
      for (let unit = 0; unit < char.length; unit += 1) this.#place(start, letters.placeOf(last) + 1);
      this.#parts.push(char);
    }
    if (open) this.#line();
  }

  #line(): void {
    const end = this.endOf(this.#ends.length - 1);
    this.#place(end, end);
    this.#parts.push('\n');
  }

  #place(start: number, end: number): void {
    this.#starts.push(start);
    this.#ends.push(end);
  }
}

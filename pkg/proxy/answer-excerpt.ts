import { findingsOf, longestExcerpt, sealedExcerpt } from './excerpt.ts';

/**
 * What approvers read of an answer that waits, gathered while it is recorded: what the rules found that hold it, with what is around, then its
 * beginning and its end. It keeps a few thousand characters, however long the answer is.
 */
export class AnswerExcerpt {
  #head = '';
  #tail = '';
  #length = 0;
  readonly #lanes = new Map<string, { length: number; tail: string }>();
  readonly #windows: Window[] = [];
  readonly #counts = new Map<string, number>();
  #more = 0;
  readonly #sealed: boolean;

  /** @param sealed nothing of a text is kept, for nobody reads it without the key: how long each is, alone */
  constructor(sealed = false) {
    this.#sealed = sealed;
  }

  /** The next text of a lane, as it is recorded. */
  record(lane: string, text: string): void {
    if (text === '') return;
    if (this.#sealed) {
      this.#lane(lane).length += text.length;
      return;
    }
    if (this.#head.length < longestExcerpt) this.#head = (this.#head + text).slice(0, longestExcerpt);
    this.#tail = (this.#tail + text).slice(-longestTail);
    this.#length += text.length;
    const known = this.#lane(lane);
    for (const window of this.#windows) {
      if (window.lane !== lane || window.to <= known.length) continue;
      const from = Math.max(0, window.from - known.length);
      window.text += text.slice(from, window.to - known.length);
    }
    known.length += text.length;
    known.tail = (known.tail + text).slice(-longestLate);
  }

  /** @param at in the lane's recorded text, where that is, or will be; of a lane that is not recorded: undefined */
  found(rule: string, lane: string, at: number | undefined): void {
    if (this.#sealed) return;
    const count = this.#counts.get(rule) ?? 0;
    this.#counts.set(rule, count + 1);
    if (count >= mostOfRule || (count > 0 && this.#windows.length >= mostWindows)) {
      this.#more++;
      return;
    }
    const { length, tail } = this.#lane(lane);
    const from = Math.max(0, (at ?? 0) - around);
    const start = length - tail.length;
    // What of it has passed already.
    const text = at === undefined ? '' : tail.slice(Math.max(0, from - start), Math.max(0, at + around - start));
    this.#windows.push({ rule, lane, from, at: (at ?? 0) - from, to: at === undefined ? 0 : at + around, text });
  }

  text(): string {
    if (this.#sealed) return sealedExcerpt([...this.#lanes].map(([id, { length }]) => ({ id, length })));
    if (this.#length <= longestExcerpt) return this.#head;
    const places = this.#windows.map(({ rule, lane, from, at, text }) => {
      const cut = from > 0 ? '…' : '';
      return { rule, id: lane, text: cut + text, at: cut.length + at };
    });
    const lines = findingsOf({ kept: places, more: this.#more });
    const note = `of ${this.#length} characters:\n`;
    const left = ' … and much more … ';
    const each = Math.floor((longestExcerpt - lines.length - note.length - left.length) / 2);
    const ends = this.#head.slice(0, each) + left + this.#tail.slice(-Math.min(each, longestTail));
    return (lines + note + ends).slice(0, longestExcerpt);
  }

  #lane(id: string): { length: number; tail: string } {
    const known = this.#lanes.get(id);
    if (known !== undefined) return known;
    const made = { length: 0, tail: '' };
    this.#lanes.set(id, made);
    return made;
  }
}

interface Window {
  readonly rule: string;
  readonly lane: string;
  /** In the lane's recorded text. */
  readonly from: number;
  readonly to: number;
  /** Of what was found, in `text`. */
  readonly at: number;
  text: string;
}

/** Characters on either side of a finding. */
const around = 200;
/** What is found late began at most so many characters before: a match of the longest pattern, and what is around. */
const longestLate = 4_096 + 2 * around;
const longestTail = longestExcerpt / 2;
const mostOfRule = 4;
const mostWindows = 64;

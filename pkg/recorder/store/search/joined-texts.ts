import { sealedWords } from './sealed-words.ts';
import { holdsTexts, readSessionLine, sessionPieces } from './session-lines.ts';
import type { SessionLine } from './session-lines.ts';

/** Characters of a word that are waited for; of one that is longer, so many of its last ones go on, which keeps pairs of characters together. */
const mostRun = 4_096;
const keptRun = 16;
/** Lanes of a session that may go on: with one more, the one that was heard of least lately has ended. */
const mostLanes = 1_024;

/** Where a lane stands. */
interface Lane {
  /** What it began with, up to what is no letter, as far as a word is waited for; undefined: nothing else has come. */
  head: string | undefined;
  /** The letters that it ends with: a word that may go on. */
  run: string;
  /** What of them came last. */
  piece: string;
  /** Its beginning is not here, and its first word has not ended, of which nobody knows the first half. */
  cut: boolean;
}

const sizeOf = (id: string, { head = '', run, piece }: Lane): number =>
  id.length + head.length + run.length + piece.length;

/**
 * The texts of a session for an index of words. The record has them in pieces: a streamed answer one for each read of the model's, which end within
 * words, a long text one for each 16,384 characters. Pieces of one direction and lane are joined before words are told apart in them. What stands
 * at a seam is also there as it came, since the pieces may be texts of their own (a lane that another message has again).
 */
export class JoinedTexts {
  /** From the one that was heard of least lately on. */
  readonly #lanes = new Map<string, Lane>();
  #held = 0;
  #isSealed = false;

  /** Some of its texts are sealed: they have {@link sealedWords} for a word. */
  get isSealed(): boolean {
    return this.#isSealed;
  }

  /** Characters that are kept of lanes that may go on. */
  get held(): number {
    return this.#held;
  }

  /**
   * @param fromBeginning A lane of which nothing has come begins here. Otherwise what comes first of it, up to what is no letter, is left out.
   * @returns the words that are whole with a line; those that may go on come with a later one, or with {@link rest}
   */
  add(line: SessionLine, fromBeginning = true): string {
    const out: string[] = [];
    for (const { lane, text, isSealed } of sessionPieces(line)) {
      if (isSealed && !this.#isSealed) out.push(sealedWords);
      this.#isSealed ||= isSealed;
      if (text === '') continue;
      const known = this.#lanes.get(lane);
      if (known !== undefined) this.#remove(lane, known);
      else if (this.#lanes.size >= mostLanes) this.#forget(out);
      const next = known ?? { head: undefined, run: '', piece: '', cut: !fromBeginning };
      joinPiece(next, text, out);
      this.#put(known === undefined ? copyOf(lane) : lane, next);
    }
    return out.join('\n');
  }

  #put(id: string, lane: Lane): void {
    this.#lanes.set(id, lane);
    this.#held += sizeOf(id, lane);
  }

  #remove(id: string, lane: Lane): void {
    this.#lanes.delete(id);
    this.#held -= sizeOf(id, lane);
  }

  #forget(out: string[]): void {
    for (const [id, lane] of this.#lanes) {
      this.#remove(id, lane);
      if (!lane.cut) out.push(lane.run);
      return;
    }
  }

  /** The words with which lanes end. */
  rest(): string {
    return [...this.#lanes.values()].map(({ run }) => run).join('\n');
  }

  /**
   * What follows on these, of the same session: from here on both are one.
   *
   * @returns the words over the seams
   */
  followedBy(later: JoinedTexts): string {
    const out: string[] = [];
    this.#isSealed ||= later.#isSealed;
    for (const [id, after] of later.#lanes) {
      const before = this.#lanes.get(id);
      if (before === undefined) {
        if (this.#lanes.size >= mostLanes) this.#forget(out);
        this.#put(id, { ...after });
        continue;
      }
      this.#remove(id, before);
      const begins = after.head ?? after.run;
      const joined = before.run + begins;
      if (before.run !== '' && begins !== '') out.push(joined);
      if (after.head !== undefined) before.head ??= joined.slice(0, mostRun);
      before.run = after.head === undefined ? joined.slice(-mostRun) : after.run;
      this.#put(id, before);
    }
    return out.join('\n');
  }
}

function joinPiece(lane: Lane, text: string, out: string[]): void {
  const first = text.slice(0, leading(text));
  if (!lane.cut && lane.run !== '' && first !== '') out.push(lane.piece, first);
  const last = trailing(text);
  if (last > 0) {
    const whole = lane.run + text.slice(0, last);
    if (lane.head === undefined || lane.cut) {
      const begins = leading(whole);
      lane.head ??= copyOf(whole.slice(0, Math.min(begins, mostRun)));
      out.push(lane.cut ? whole.slice(begins) : whole);
    } else out.push(whole);
    lane.cut = false;
    lane.run = '';
  }
  lane.piece = copyOf(text.slice(last));
  lane.run += lane.piece;
  if (lane.run.length <= mostRun) return;
  lane.head ??= copyOf(lane.run.slice(0, mostRun));
  if (!lane.cut) out.push(lane.run);
  lane.run = copyOf(lane.run.slice(-keptRun));
  lane.piece = copyOf(lane.piece.slice(-keptRun));
}

/** A part of a text would keep all of that in memory. */
function copyOf(part: string): string {
  // V8 copies shorter ones by itself.
  if (part.length < 13) return part;
  const encoding = /^[\x00-\xff]*$/.test(part) ? 'latin1' : 'utf16le';
  return Buffer.from(part, encoding).toString(encoding);
}

/**
 * What is said in the lines of a block, by session, as far as an index of all lines has it in the same words: without what may go on behind it, or
 * may have begun before it.
 */
export function textsOfBlock(lines: string): ReadonlyMap<string, string> {
  const started = new Set<string>();
  const sessions = new Map<string, { readonly joined: JoinedTexts; readonly texts: string[] }>();
  for (const line of lines.split('\n')) {
    const read = readSessionLine(line);
    if (read === undefined || !holdsTexts(read)) continue;
    const session = sessions.get(read.session) ?? { joined: new JoinedTexts(), texts: [] };
    if (read.type === 'start' && session.texts.length === 0) started.add(read.session);
    sessions.set(read.session, session);
    session.texts.push(session.joined.add(read, started.has(read.session)));
  }
  return new Map([...sessions].map(([id, { texts }]) => [id, texts.join('\n')]));
}

const letter = /^[\p{L}\p{N}\p{M}\p{Co}]$/u;

function isLetter(code: number): boolean {
  if (code < 0x80)
    return (code >= 0x61 && code <= 0x7a) || (code >= 0x41 && code <= 0x5a) || (code >= 0x30 && code <= 0x39);
  return letter.test(String.fromCodePoint(code));
}
const isHighSurrogate = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdbff;
const isLowSurrogate = (unit: number): boolean => unit >= 0xdc00 && unit <= 0xdfff;

/** Where the letters end that a text begins with. */
function leading(text: string): number {
  let at = 0;
  // The other half of a character that was cut.
  if (isLowSurrogate(text.charCodeAt(0))) at++;
  for (;;) {
    const code = text.codePointAt(at);
    if (code === undefined || !isLetter(code)) return at;
    at += code > 0xffff ? 2 : 1;
  }
}

/** Where the letters begin that a text ends with. */
function trailing(text: string): number {
  let at = text.length;
  // The first half of a character that was cut.
  if (isHighSurrogate(text.charCodeAt(at - 1))) at--;
  while (at > 0) {
    const pair = isLowSurrogate(text.charCodeAt(at - 1)) && isHighSurrogate(text.charCodeAt(at - 2));
    const size = pair ? 2 : 1;
    const code = text.codePointAt(at - size);
    if (code === undefined || !isLetter(code)) {
      // One that is such a half alone: it goes on what came before.
      return at === 1 && isLowSurrogate(text.charCodeAt(0)) ? 0 : at;
    }
    at -= size;
  }
  return 0;
}

import { holdsTexts, readSessionLine, sessionPieces } from './session-lines.ts';
import type { SessionLine } from './session-lines.ts';

/** Characters of a word that are waited for; of one that is longer, so many of its last ones go on, which keeps pairs of characters together. */
const mostRun = 4_096;
const keptRun = 16;

/** Where a lane stands. */
interface Lane {
  /** What it began with, up to what is no letter; undefined: nothing else has come. */
  head: string | undefined;
  /** The letters that it ends with: a word that may go on. */
  run: string;
  /** What of them came last. */
  piece: string;
}

/**
 * The texts of a session for an index of words. The record has them in pieces: a streamed answer one for each read of the model's, which end within
 * words, a long text one for each 16,384 characters. Pieces of one direction and lane are joined before words are told apart in them. What stands
 * at a seam is also there as it came, since the pieces may be texts of their own (a lane that another message has again).
 */
export class JoinedTexts {
  readonly #lanes = new Map<string, Lane>();

  /** @returns the words that are whole with a line; those that may go on come with a later one, or with {@link rest} */
  add(line: SessionLine): string {
    const out: string[] = [];
    for (const { lane, text } of sessionPieces(line)) if (text !== '') this.#piece(lane, text, out);
    return out.join('\n');
  }

  #piece(id: string, text: string, out: string[]): void {
    let lane = this.#lanes.get(id);
    if (lane === undefined) {
      lane = { head: undefined, run: '', piece: '' };
      this.#lanes.set(id, lane);
    }
    const first = text.slice(0, leading(text));
    if (lane.run !== '' && first !== '') out.push(lane.piece, first);
    const last = trailing(text);
    if (last > 0) {
      const whole = lane.run + text.slice(0, last);
      lane.head ??= whole.slice(0, leading(whole));
      out.push(whole);
      lane.run = '';
    }
    lane.piece = text.slice(last);
    lane.run += lane.piece;
    if (lane.run.length <= mostRun) return;
    lane.head ??= lane.run;
    out.push(lane.run);
    lane.run = lane.run.slice(-keptRun);
    lane.piece = lane.piece.slice(-keptRun);
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
    for (const [id, after] of later.#lanes) {
      const before = this.#lanes.get(id);
      if (before === undefined) {
        this.#lanes.set(id, { ...after });
        continue;
      }
      const begins = after.head ?? after.run;
      const joined = before.run + begins;
      if (before.run !== '' && begins !== '') out.push(joined);
      if (after.head !== undefined) before.head ??= joined.slice(0, mostRun);
      before.run = after.head === undefined ? joined.slice(-mostRun) : after.run;
    }
    return out.join('\n');
  }
}

/** What is said in the lines of a block, by session, without what may go on behind it. */
export function textsOfBlock(lines: string): ReadonlyMap<string, string> {
  const sessions = new Map<string, { readonly joined: JoinedTexts; readonly texts: string[] }>();
  for (const line of lines.split('\n')) {
    const read = readSessionLine(line);
    if (read === undefined || !holdsTexts(read)) continue;
    const session = sessions.get(read.session) ?? { joined: new JoinedTexts(), texts: [] };
    sessions.set(read.session, session);
    session.texts.push(session.joined.add(read));
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

import { gaps, hasGaps } from './gaps.ts';
import type { Joints } from './gaps.ts';
import { ReadingBuilder, leastText } from './reading.ts';
import type { Reading } from './reading.ts';
import { isSpreadIn, mayBeSpreadAcross, spreadReadings } from './spread.ts';
import { inSurroundings, spelled } from './spelled.ts';
import { surroundings } from './spelled-out.ts';

/**
 * Other readings of a text: with its escapes read, and without long gaps, each with its surroundings and across spaces and lines; as it reads
 * to whoever passes over tag characters; and what it holds in base64 and hex over lines and spaces. One level. Time and memory
 * grow with the text and with what is spelled in it, by little; a text without any of it costs a search.
 */
export interface ReadingOptions {
  /**
   * Most characters of a finding: so much is read on either side of what is spelled otherwise. Default and least:
   * {@link surroundings}.
   */
  readonly around?: number;
  /**
   * In which gaps a word of a list may go on: only words are compared without regard to what separates their letters. False: no words are looked
   * for. Default: in any.
   */
  readonly words?: Joints | false | undefined;
}

/** Source between two pauses. */
const stepUnits = 64 * 1024;

/** All of them, in no order; undefined from time to time, for a pause. */
export function* otherReadings(text: string, options: ReadingOptions = {}): Generator<Reading | undefined, void, void> {
  yield* inPlace(text, options);
  yield* spreadReadings(text);
}

/** Those that read on from what stands around them. */
function* inPlace(
  text: string,
  { around = surroundings, words }: ReadingOptions,
): Generator<Reading | undefined, void, void> {
  yield* spelled(text, 'url', around);
  yield* spelled(text, 'escape', around);
  if (words !== false) yield* inSurroundings(text, gaps(text, words), around, new ReadingBuilder(leastText, true));
  yield* withoutTags(text);
}

/** False is certain: the text has no other reading. */
export function mayReadOtherwise(text: string, options: ReadingOptions = {}): boolean {
  // A search of a long text is one that other requests would wait for.
  return text.length > stepUnits || mayReadInPlace(text, options) || isSpreadIn(text);
}

function mayReadInPlace(text: string, { words }: ReadingOptions): boolean {
  if (text.includes('%') || text.includes('\\') || text.includes('&') || text.includes(tagLead)) return true;
  return words !== false && hasGaps(text, words);
}

/**
 * Whether some other reading of two texts, when they stand one after the other, has characters of both. False is certain. For texts that are read
 * in one go.
 */
export function readsAcross(left: string, right: string, options: ReadingOptions = {}): boolean {
  const text = left + right;
  const isAcross = (one: Reading | undefined): boolean =>
    one !== undefined && one.start < left.length && one.end > left.length;
  if (mayReadInPlace(text, options)) for (const one of inPlace(text, options)) if (isAcross(one)) return true;
  if (!mayBeSpreadAcross(left, right)) return false;
  for (const one of spreadReadings(text)) if (isAcross(one)) return true;
  return false;
}

/** Tag characters (Unicode chapter 23.9), U+E0000 to U+E007F: invisible to people. All begin with this unit. */
const tagLead = '\udb40';

function isTag(text: string, at: number): boolean {
  const low = text.charCodeAt(at + 1);
  return low >= 0xdc00 && low <= 0xdc7f;
}

/**
 * The text as a reader sees it who passes over tag characters: a word with tags strewn into it is whole again. The scanner reads tags as
 * the letters that they stand for; here they are nothing.
 */
function* withoutTags(text: string): Generator<Reading | undefined, void, void> {
  const builder = new ReadingBuilder(1);
  let from = 0;
  let paused = 0;
  let found = false;
  for (let at = text.indexOf(tagLead); at >= 0; at = text.indexOf(tagLead, at + 1)) {
    if (at - paused >= stepUnits) {
      paused = at;
      yield;
    }
    if (!isTag(text, at)) continue;
    found = true;
    builder.plain(text, from, at);
    from = at + 2;
  }
  if (!found) return;
  builder.plain(text, from, text.length);
  builder.cut();
  yield* builder.drain();
}

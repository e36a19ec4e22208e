import { gaps, hasGaps } from './gaps.ts';
import { ReadingBuilder, leastText } from './reading.ts';
import type { Reading } from './reading.ts';
import { isSpreadIn, spreadReadings } from './spread.ts';
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
  /** Whether words of lists are looked for: only they are compared without regard to what separates their letters. Default: true. */
  readonly words?: boolean;
}

/** Source between two pauses. */
const stepUnits = 64 * 1024;

/** All of them, in no order; undefined from time to time, for a pause. */
export function* otherReadings(
  text: string,
  { around = surroundings, words = true }: ReadingOptions = {},
): Generator<Reading | undefined, void, void> {
  yield* spelled(text, 'url', around);
  yield* spelled(text, 'escape', around);
  if (words) yield* inSurroundings(text, gaps(text), around, new ReadingBuilder(leastText, true));
  yield* withoutTags(text);
  yield* spreadReadings(text);
}

/** False is certain: the text has no other reading. */
export function mayReadOtherwise(text: string, { words = true }: ReadingOptions = {}): boolean {
  if (text.includes('%') || text.includes('\\') || text.includes('&') || text.includes(tagLead)) return true;
  // That takes a search, which other requests would wait for.
  return text.length > stepUnits || (words && hasGaps(text)) || isSpreadIn(text);
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

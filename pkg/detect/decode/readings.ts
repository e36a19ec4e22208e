import { ReadingBuilder } from './reading.ts';
import type { Reading } from './reading.ts';
import { spelledOut, surroundings } from './spelled-out.ts';
import type { Spelled, SpelledKind } from './spelled-out.ts';

/**
 * Other readings of a text: with its escapes read, each with its surroundings and across spaces, and as it reads to whoever passes over tag
 * characters. One level. Time and memory grow with the text and with what is spelled in it, by little; a text without any of it costs a
 * search for four characters.
 */

/** Source between two pauses. */
const stepUnits = 64 * 1024;

/**
 * All of them, with a pause after each part of the text.
 *
 * @param most readings; default any number
 * @returns undefined: there are more
 */
export function* otherReadings(
  text: string,
  most = Number.POSITIVE_INFINITY,
): Generator<void, readonly Reading[] | undefined, void> {
  const url = yield* spelled(text, 'url', most);
  if (url.length > most) return undefined;
  const escape = yield* spelled(text, 'escape', most - url.length);
  const found = [...url, ...escape, ...(yield* withoutTags(text))];
  return found.length > most ? undefined : found;
}

/** Without its pauses. */
export function wholly<T>(steps: Generator<void, T, void>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** False is certain: the text has no other reading. */
export function mayReadOtherwise(text: string): boolean {
  return text.includes('%') || text.includes('\\') || text.includes('&') || text.includes(tagLead);
}

/** Those of one kind of escape; a few more than `most` where there are more. */
export function* spelled(
  text: string,
  kind: SpelledKind,
  most = Number.POSITIVE_INFINITY,
): Generator<void, readonly Reading[], void> {
  const builder = new ReadingBuilder();
  let past = 0; // everything before is given or skipped
  let one: Spelled | undefined;
  const give = ({ start, end, text: decoded }: Spelled, next: number): void => {
    const begin = before(text, start, past);
    if (begin > past) builder.cut();
    builder.plain(text, begin, start);
    builder.decoded(decoded, start, end);
    past = after(text, end, next);
    builder.plain(text, end, past);
  };
  for (const next of spelledOut(text, kind)) {
    if (next === undefined) {
      yield;
      continue;
    }
    if (one !== undefined) give(one, next.start);
    one = next;
    if (builder.readings.length > most) return builder.readings;
  }
  if (one !== undefined) give(one, text.length);
  builder.cut();
  return builder.readings;
}

/** Where the surroundings of what stands at `start` begin, on its line and not before `least`. */
function before(text: string, start: number, least: number): number {
  const first = Math.max(least, start - surroundings);
  let at = start;
  while (at > first && text.charCodeAt(at - 1) !== 0x0a) at -= 1;
  return at;
}

/** Where the surroundings of what ends at `end` end. */
function after(text: string, end: number, most: number): number {
  const last = Math.min(most, end + surroundings);
  let at = end;
  while (at < last && text.charCodeAt(at) !== 0x0a) at += 1;
  return at;
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
function* withoutTags(text: string): Generator<void, readonly Reading[], void> {
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
  if (!found) return [];
  builder.plain(text, from, text.length);
  builder.cut();
  return builder.readings;
}

import { ReadingBuilder } from './reading.ts';
import type { Reading } from './reading.ts';
import { spelledOut, surroundings } from './spelled-out.ts';
import type { Spelled, SpelledKind } from './spelled-out.ts';

/** Those of one kind of escape. */
export function spelled(text: string, kind: SpelledKind, around: number): Generator<Reading | undefined, void, void> {
  return inSurroundings(text, spelledOut(text, kind), around, new ReadingBuilder());
}

/** What is spelled otherwise, read, with what stands around it. */
export function* inSurroundings(
  text: string,
  places: Iterable<Spelled | undefined>,
  around: number,
  builder: ReadingBuilder,
): Generator<Reading | undefined, void, void> {
  const reach = Math.max(around, surroundings);
  let past = 0; // everything before is given or skipped
  let one: Spelled | undefined;
  const give = ({ start, end, text: decoded }: Spelled, next: number): void => {
    const begin = Math.max(past, start - reach);
    if (begin > past) builder.cut();
    builder.plain(text, begin, start);
    builder.decoded(decoded, start, end);
    past = Math.min(next, end + reach);
    builder.plain(text, end, past);
  };
  for (const next of places) {
    if (next === undefined) {
      yield;
      continue;
    }
    if (one !== undefined) give(one, next.start);
    one = next;
    yield* builder.drain();
  }
  if (one !== undefined) give(one, text.length);
  builder.cut();
  yield* builder.drain();
}

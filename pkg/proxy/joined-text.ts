import type { Edit, Hit, MaskResult } from '../detect/index.ts';

/**
 * A text that an answer spells in pieces: words, segments, cues, parts of a content. Read twice: with a space where two pieces meet without one, as people read them,
 * and without, since some are parts of a word.
 *
 * Promise: what a rule hides in either reading is in no piece; what stands for it is in the first piece that it was in.
 */
export interface JoinedText {
  readonly pieces: readonly string[];
  /** What is left, with spaces as people read it; where `close` was asked for, without. */
  readonly text: string;
  /** Where things stood in the text as it came. */
  readonly hits: readonly Hit[];
  readonly stopped: Hit | undefined;
}

interface Joined {
  readonly text: string;
  readonly starts: readonly number[];
}

const isSpace = (unit: string | undefined): boolean => unit !== undefined && /\s/.test(unit);

/** @param spaced with a space where there is none. */
function join(pieces: readonly string[], spaced: boolean): Joined {
  const parts: string[] = [];
  const starts: number[] = [];
  let length = 0;
  let last: string | undefined;
  for (const piece of pieces) {
    if (spaced && piece !== '' && last !== undefined && !isSpace(last) && !isSpace(piece[0])) {
      parts.push(' ');
      length++;
    }
    starts.push(length);
    parts.push(piece);
    length += piece.length;
    last = piece.at(-1) ?? last;
  }
  return { text: parts.join(''), starts };
}

/** The text as people read it. */
export const joinedText = (pieces: readonly string[]): string => join(pieces, true).text;

/** Each piece with what of the edits falls to it. */
function spread(pieces: readonly string[], starts: readonly number[], edits: readonly Edit[]): readonly string[] {
  if (edits.length === 0) return pieces;
  const made: string[] = [];
  let next = 0;
  // What an edit puts in waits here for the first piece of its own.
  let placed = -1;
  pieces.forEach((piece, index) => {
    const start = starts[index] ?? 0;
    const end = start + piece.length;
    let text = '';
    let at = start;
    while (next < edits.length) {
      const edit = edits[next];
      if (edit === undefined || edit.start >= end) break;
      if (edit.end > start || (edit.end === edit.start && edit.start === start)) {
        text += piece.slice(at - start, Math.max(at, edit.start) - start);
        if (placed !== next) text += edit.text;
        placed = next;
        at = Math.min(end, Math.max(at, edit.end));
      }
      if (edit.end > end) break;
      next++;
    }
    made.push(text + piece.slice(at - start));
  });
  return made;
}

/** Where the same stands in another reading: at the same place of its first piece, or where that begins. */
function moved(hit: Hit, from: readonly number[], to: readonly number[], exact: boolean): Hit {
  let low = 0;
  let high = from.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((from[middle] ?? 0) <= hit.start) low = middle;
    else high = middle - 1;
  }
  const start = (to[low] ?? 0) + (exact ? Math.min(hit.start, (from[low + 1] ?? Infinity) - 1) - (from[low] ?? 0) : 0);
  return { ...hit, start, end: start + (hit.end - hit.start) };
}

/**
 * @param mask one text for one reader.
 * @param as how `text` is joined, and where `hits` are told.
 * @throws what `mask` does
 */
export async function maskJoined(
  source: readonly string[],
  mask: (text: string) => MaskResult | Promise<MaskResult>,
  as: 'spaced' | 'close' = 'spaced',
): Promise<JoinedText> {
  const first = join(source, true);
  const spaced = await mask(first.text);
  const between = spread(source, first.starts, spaced.edits);
  const second = join(between, false);
  const close = await mask(second.text);
  const pieces = spread(between, second.starts, close.edits);
  const more = added(close.hits, spaced.hits);
  const { starts } = as === 'spaced' ? first : join(source, false);
  return {
    pieces,
    text: as === 'spaced' ? joinedText(pieces) : pieces.join(''),
    hits: [
      ...(as === 'spaced' ? spaced.hits : spaced.hits.map((hit) => moved(hit, first.starts, starts, true))),
      ...more.map((hit) => moved(hit, second.starts, starts, false)),
    ],
    stopped: spaced.stopped ?? close.stopped,
  };
}

/** What the first reading did not tell already: where nothing is replaced, both find the same. */
function added(hits: readonly Hit[], known: readonly Hit[]): readonly Hit[] {
  const rules = new Set(known.map(({ rule }) => rule));
  return hits.filter(({ rule }) => !rules.has(rule));
}

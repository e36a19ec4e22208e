import type { Edit, Hit, LaneEnd, MaskResult } from '../detect/index.ts';

/**
 * A text that an answer spells in pieces: words, segments, cues, parts of a content. Read twice: with a space where two pieces meet without one, as people read them,
 * and without, since some are parts of a word.
 *
 * Promise: what a rule hides in either reading is in no piece; what stands for it is in the first piece that it was in. Where nobody says whether they are
 * pieces at all, the same holds of each by itself.
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

export interface Joining {
  /** How `text` is joined, and where `hits` are told; default spaced. */
  readonly as?: 'spaced' | 'close';
  /** How the text ends; default complete. */
  readonly end?: LaneEnd;
  /** Each piece is read by itself first: one that does not end the text is whole. */
  readonly each?: boolean;
}

/** A text that is to be masked for the reader. */
export interface Asked {
  readonly text: string;
  readonly end: LaneEnd;
  /** It may be no text at all but several, so that what begins as JSON need not be it. */
  readonly guessed: boolean;
}

/**
 * @param mask one text for one reader.
 * @throws what `mask` does
 */
export async function maskJoined(
  source: readonly string[],
  mask: (asked: Asked) => MaskResult | Promise<MaskResult>,
  joining: Joining = {},
): Promise<JoinedText> {
  const steps = joinedSteps(source, joining);
  for (let step = steps.next(); ;) {
    if (step.done === true) return step.value;
    step = steps.next(await mask(step.value));
  }
}

/** The same in one go. */
export function maskJoinedNow(
  source: readonly string[],
  mask: (asked: Asked) => MaskResult,
  joining: Joining = {},
): JoinedText {
  const steps = joinedSteps(source, joining);
  for (let step = steps.next(); ;) {
    if (step.done === true) return step.value;
    step = steps.next(mask(step.value));
  }
}

function* joinedSteps(
  source: readonly string[],
  { as = 'spaced', end = 'complete', each = false }: Joining,
): Generator<Asked, JoinedText, MaskResult> {
  const alone = each ? yield* eachAlone(source, end) : { pieces: source, hits: [], stopped: undefined };
  const first = join(alone.pieces, true);
  const spaced = yield { text: first.text, end, guessed: each };
  const between = spread(alone.pieces, first.starts, spaced.edits);
  const second = join(between, false);
  const close = yield { text: second.text, end, guessed: each };
  const pieces = spread(between, second.starts, close.edits);
  const spacedHits = added(spaced.hits, alone.hits);
  const closeHits = added(close.hits, [...alone.hits, ...spaced.hits]);
  const { starts } = join(source, as === 'spaced');
  const inPlace = as === 'spaced' && !each;
  return {
    pieces,
    text: as === 'spaced' ? joinedText(pieces) : pieces.join(''),
    hits: [
      ...alone.hits.map(({ at, hit }) => moved(hit, [0], [starts[at] ?? 0], true)),
      ...(inPlace ? spacedHits : spacedHits.map((hit) => moved(hit, first.starts, starts, true))),
      ...closeHits.map((hit) => moved(hit, second.starts, starts, false)),
    ],
    stopped: alone.stopped ?? spaced.stopped ?? close.stopped,
  };
}

interface Alone extends Pick<JoinedText, 'pieces' | 'stopped'> {
  readonly hits: readonly { readonly at: number; readonly hit: Hit; readonly rule: number }[];
}

function* eachAlone(source: readonly string[], end: LaneEnd): Generator<Asked, Alone, MaskResult> {
  const pieces: string[] = [];
  const found: Alone['hits'][number][] = [];
  let stopped: Hit | undefined;
  for (const [at, text] of source.entries()) {
    const result = yield { text, end: at === source.length - 1 ? end : 'complete', guessed: false };
    pieces.push(result.text);
    found.push(...result.hits.map((hit) => ({ at, hit, rule: hit.rule })));
    stopped ??= result.stopped;
  }
  return { pieces, hits: found, stopped };
}

/** What the first reading did not tell already: where nothing is replaced, both find the same. */
function added(hits: readonly Hit[], known: readonly Pick<Hit, 'rule'>[]): readonly Hit[] {
  const rules = new Set(known.map(({ rule }) => rule));
  return hits.filter(({ rule }) => !rules.has(rule));
}

import type { JsonNode } from '../base/index.ts';
import type { LoneValue, RequestView } from '../dialect/index.ts';
import type { Hit } from '../detect/index.ts';

// Where one text of a request ends and the next begins: models read them as one, so that a value may stand in both.

/** What servers put between two texts that they join: nothing, or white space. */
export const glues = ['', ' '];

/** Fields that hold words of the API, also where nothing else is between two texts. */
const apiWords = new Set(['role', 'type', 'format', 'detail', 'id', 'tool_call_id', 'model', 'voice', 'ttl', 'uuid']);

/** A name, number or key that a template may write beside the texts. */
export const isText = ({ path, key }: LoneValue): boolean =>
  key || (path.length > 1 && !apiWords.has(String(path.at(-1))));

/** Texts on either side of a name or key that are read with it. */
const nearTexts = 2;

/**
 * Names, numbers and keys with the texts beside them, in the order in which the body has them: a template writes them into one
 * prompt. What stands on the top level is about the request, but for its unknown keys.
 */
function* withValues(view: RequestView): Generator<readonly JsonNode[], void, void> {
  const values = view.loneValues.filter(isText);
  if (values.length === 0) return;
  const alone = new Set(values.map((value) => value.node));
  const nodes = [...view.lanes.map((lane) => lane.node), ...alone].sort((a, b) => a.start - b.start);
  let from = 0;
  let to = -1; // of the group that is being gathered, both included
  for (const [at, node] of nodes.entries()) {
    if (!alone.has(node)) continue;
    if (at - nearTexts > to + 1) {
      if (to >= from) yield nodes.slice(from, to + 1);
      from = Math.max(0, at - nearTexts);
    }
    to = at + nearTexts;
  }
  yield nodes.slice(from, to + 1);
}

/** Texts that are read as one: all lanes, and names, numbers and keys with what is beside them. */
export function* neighbours(view: RequestView): Generator<readonly JsonNode[], void, void> {
  if (view.lanes.length > 1) yield view.lanes.map((lane) => lane.node);
  yield* withValues(view);
}

/** A text shorter than this is looked at with what stands before it: what is spread over many short ones shows in no two of them. */
export const carriedUnits = 64;

export interface Seam {
  readonly text: string;
  /** Where one lane ends, in order; what joins it to the next follows. */
  readonly borders: readonly number[];
  /** Of what stands between the borders, which of the texts it is. */
  readonly members: readonly number[];
}

/**
 * The texts joined, without the middle of long ones: together never longer than the texts, however many there are.
 *
 * @param reach units that are read on either side of a seam
 */
export function* seams(texts: readonly string[], glue: string, reach: number): Generator<Seam, void, void> {
  let pieces: string[] = [];
  let borders: number[] = [];
  let members: number[] = [];
  let length = 0;
  const add = (piece: string): void => {
    pieces.push(piece);
    length += piece.length;
  };
  for (const [at, text] of texts.entries()) {
    if (text === '') continue;
    if (length > 0) {
      borders.push(length);
      add(glue);
    }
    members.push(at);
    if (text.length <= 2 * reach) {
      add(text);
      continue;
    }
    add(text.slice(0, reach));
    if (borders.length > 0) yield { text: pieces.join(''), borders, members };
    pieces = [];
    borders = [];
    members = [at];
    length = 0;
    add(text.slice(-reach));
  }
  if (borders.length > 0) yield { text: pieces.join(''), borders, members };
}

/** A finding has characters on both sides of a border: of the first one behind its start, or of none. */
export function crosses(hit: Hit, borders: readonly number[], glue: number): boolean {
  let low = 0;
  let high = borders.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((borders[middle] ?? 0) <= hit.start) low = middle + 1;
    else high = middle;
  }
  const border = borders[low];
  return border !== undefined && hit.end > border + glue;
}

/** The texts of a seam, one by one. */
export const piecesOf = ({ text, borders }: Seam, glue: string): readonly string[] =>
  [...borders, text.length].map((border, at) =>
    text.slice(at === 0 ? 0 : (borders[at - 1] ?? 0) + glue.length, border),
  );

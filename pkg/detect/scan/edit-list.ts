import type { Edit } from '../scanner.ts';

/** Index of the first of a list in order whose end is past `at`; the ends rise as the starts do. */
function firstPast(edits: readonly Pick<Edit, 'end'>[], at: number): number {
  let low = 0;
  let high = edits.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((edits[middle]?.end ?? 0) <= at) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Those of a list in order, of which no two share a character, that have characters in [from, to). */
export function touching<T extends Pick<Edit, 'start' | 'end'>>(edits: readonly T[], from: number, to: number): T[] {
  const first = firstPast(edits, from);
  let last = first;
  for (let one = edits[last]; one !== undefined && one.start < to; one = edits[last]) last++;
  return edits.slice(first, last);
}

/**
 * Edits in order, none of which shares a character with another: those that do become one, with the replacement of the first, and of the
 * longer where they begin together.
 *
 * Cost: what is added near the end, as findings are, costs the same however many there are.
 */
export class EditList {
  #edits: Edit[] = [];

  get empty(): boolean {
    return this.#edits.length === 0;
  }

  add(edit: Edit): void {
    const edits = this.#edits;
    let at = edits.length;
    while (at > 0 && isBefore(edit, edits[at - 1] as Edit)) at--;
    const previous = edits[at - 1];
    let merged = edit;
    if (previous !== undefined && edit.start < previous.end) {
      if (edit.end <= previous.end) return;
      merged = { ...previous, end: edit.end };
      at--;
    }
    let next = merged === edit ? at : at + 1;
    for (let one = edits[next]; one !== undefined && one.start < merged.end; one = edits[++next])
      if (one.end > merged.end) merged = { ...merged, end: one.end };
    if (next === edits.length && at === next) edits.push(merged);
    else edits.splice(at, next - at, merged);
  }

  touching(from: number, to: number): readonly Edit[] {
    return touching(this.#edits, from, to);
  }

  /** Forgets those that end up to here. */
  drop(upTo: number): void {
    const gone = firstPast(this.#edits, upTo);
    if (gone > 0) this.#edits = this.#edits.slice(gone);
  }
}

function isBefore(a: Edit, b: Edit): boolean {
  return a.start < b.start || (a.start === b.start && a.end > b.end);
}

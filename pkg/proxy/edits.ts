import type { JsonEdit } from '../base/index.ts';
import type { Edit } from '../detect/index.ts';

/** Edits without those that lie inside another: what replaces a whole value replaces all that is in it. */
export function outermost(edits: readonly JsonEdit[]): readonly JsonEdit[] {
  if (edits.length < 2) return edits;
  const ordered = [...edits].sort((a, b) => a.start - b.start || b.end - a.end);
  const kept: JsonEdit[] = [];
  let end = -1;
  for (const edit of ordered) {
    if (edit.start < end && edit.end <= end) continue;
    kept.push(edit);
    end = Math.max(end, edit.end);
  }
  return kept;
}

/** Where that stands in a text after these edits which stood at `at` before. */
export function placeIn(edits: readonly Edit[], at: number): number {
  let place = at;
  for (const { start, end, text } of edits) {
    if (start >= at) break;
    place += Math.min(text.length, at - start) - (Math.min(end, at) - start);
    if (end <= at) place += text.length - Math.min(text.length, at - start);
  }
  return Math.max(0, place);
}

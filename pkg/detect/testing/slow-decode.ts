import { decodeRuns } from '../decode/index.ts';
import type { Edit, LaneEnd } from '../scanner.ts';
import { toldLeft } from '../scan/telling.ts';
import type { SlowMasker } from './slow-mask.ts';

/** What runs are made of, and from how many characters on they are decoded: as decoding-lane.ts defines them. Shorter than a window. */
const run = /[A-Za-z0-9+/=_%&#;\\.@:~-]{16,4096}/g;

const plainly = (text: string): string => text;

/**
 * mask(T) of a lane that sees through encodings, from the definition in decoding-lane.ts: each run is decoded, what the slow mask finds in the
 * decoded text covers the characters that spell it, and what shares a character with another replacement is one with it. Shares
 * with the scanner the folding of characters and the decoding of a run, which have tests of their own.
 */
export function slowDecodedMask(masker: SlowMasker, text: string, end: LaneEnd): { text: string; edits: Edit[] } {
  const edits: Edit[] = masker.mask(text, end).edits.map((edit) => ({ ...edit }));
  for (const { index, 0: encoded } of text.matchAll(run)) {
    const runEnd = index + encoded.length === text.length ? end : 'complete';
    for (const decoded of decodeRuns(encoded)) {
      const inSource = (from: number, to: number): { start: number; end: number } => ({
        start: index + (decoded.map[from] ?? 0),
        end: index + (decoded.mapEnd[Math.max(from, to - 1)] ?? encoded.length),
      });
      // Of pieces that begin far into the run it is not read.
      const at = index + decoded.start;
      const before = decoded.start < toldLeft ? text.slice(Math.max(0, at - toldLeft), at) : '';
      for (const found of masker.mask(decoded.text, runEnd, plainly, before).edits)
        edits.push({ ...found, ...inSource(found.start, Math.min(found.end, decoded.text.length)) });
    }
  }
  edits.sort((a, b) => a.start - b.start || b.end - a.end);
  const components: Edit[] = [];
  for (const edit of edits) {
    const last = components.at(-1);
    if (last === undefined || edit.start >= last.end) components.push(edit);
    else components[components.length - 1] = { ...last, end: Math.max(last.end, edit.end) };
  }
  let out = '';
  let from = 0;
  for (const edit of components) {
    out += text.slice(from, edit.start) + edit.text;
    from = edit.end;
  }
  return { text: out + text.slice(from), edits: components };
}

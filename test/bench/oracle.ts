import { detectors } from '../../pkg/detect/detectors/index.ts';
import { foldCodePoint } from '../../pkg/detect/fold/index.ts';
import { sketchRules, sketchView } from '../../pkg/detect/testing/rules.ts';
import { SlowMasker } from '../../pkg/detect/testing/slow-mask.ts';
import { maskedDetectors } from './policy.ts';

/**
 * For each frame of a stream (the one with the role, one a token, the one with the finish reason, each a write of its own) the index of
 * the write that decides it: the first after which nothing that may follow makes its text a part of a value. It follows from the text and from
 * the slow and obvious mask of the tests, so that a sidecar that holds text longer than it must is late by it.
 */
export function decidingWrites(tokens: readonly string[]): number[] {
  const needed = neededLengths(tokens.join(''));
  const ends: number[] = [];
  for (const token of tokens) ends.push((ends.at(-1) ?? 0) + token.length);
  const last = tokens.length + 1;
  let write = 0;
  const decided = ends.map((end) => {
    const length = needed[end - 1] ?? 0;
    while (write < ends.length && (ends[write] ?? 0) < length) write++;
    return write + 1;
  });
  return [0, ...decided, last];
}

/**
 * For each character the number of characters that must have been seen before it is decided; more than there are where only the end decides.
 * A value that begins at or before a character may hold it until it can be read no further.
 */
function neededLengths(text: string): number[] {
  const rules = sketchRules({ detectors: maskedDetectors });
  const byName = Object.fromEntries(detectors.map((one) => [one.name, one]));
  const { units } = new SlowMasker(
    { rules, detectors: byName, fold: foldCodePoint, hashKey: new Uint8Array(32) },
    sketchView('r'),
  );
  // The texts of the bench are ASCII: a character is one code, and folds to itself in the cases that detectors tell apart.
  const codes = Array.from(text, (char) => char.charCodeAt(0));
  let most = 0;
  return codes.map((_, start) => {
    for (const { regex, right, maxLength } of units) {
      let seen = Math.max(most, start + 1);
      for (; seen <= codes.length; seen++) {
        const { ends, ranOut } = regex.match(codes, start, seen, false);
        const open = ranOut && seen - start < maxLength;
        if (!open && !ends.some((end) => end - start <= maxLength && seen - end < right)) break;
      }
      most = Math.max(most, seen);
    }
    return most;
  });
}

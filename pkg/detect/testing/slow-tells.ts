import { isLetter, isLower, isUpper, lower } from '../detectors/characters.ts';
import { toldWithin } from '../scan/telling.ts';

/** What scan/telling.ts says, word by word: does one of `words` stand at most `toldWithin` characters before `start`? */
export const tells = (text: string, start: number, words: readonly string[]): boolean =>
  standsIn(text, start - toldWithin, start, words);

function standsIn(text: string, from: number, to: number, words: readonly string[]): boolean {
  const first = Math.max(0, from);
  for (const word of words) {
    const initial = word.charCodeAt(0);
    for (let at = first; at < to; at += 1) {
      if (lower(text.charCodeAt(at)) !== initial || !startsWord(text, at)) continue;
      if (wordEnds(text, at, to, word)) return true;
    }
  }
  return false;
}

function startsWord(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  const before = text.charCodeAt(at - 1);
  return !isLetter(code) || !isLetter(before) || (isUpper(code) && isLower(before));
}

const joins = (code: number): boolean =>
  code === 0x20 || code === 0x5f || code === 0x2d || code === 0x2e || code === 0x2f;

function wordEnds(text: string, start: number, to: number, word: string): boolean {
  let at = start;
  for (let index = 0; index < word.length; index += 1) {
    const wanted = word.charCodeAt(index);
    if (wanted === 0x20) {
      if (joins(text.charCodeAt(at))) at += 1;
    } else if (at < to && lower(text.charCodeAt(at)) === wanted) at += 1;
    else return false;
  }
  if (at > to) return false;
  const touches = isLetter(text.charCodeAt(start - 1)) || isLetter(text.charCodeAt(at));
  if (at - start <= 2 && text.charCodeAt(start) < 0x80 && touches) return false;
  const last = text.charCodeAt(at - 1);
  const after = text.charCodeAt(at);
  return !isLetter(last) || !isLetter(after) || (isLower(last) && isUpper(after));
}

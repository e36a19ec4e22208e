/**
 * ASCII classes by code, for `accept` functions: no allocation, and NaN (a position outside of the text) is in no class.
 */
export const isDigit = (code: number): boolean => code >= 0x30 && code <= 0x39;
export const isUpper = (code: number): boolean => code >= 0x41 && code <= 0x5a;
export const isLower = (code: number): boolean => code >= 0x61 && code <= 0x7a;
export const isLetter = (code: number): boolean => isUpper(code) || isLower(code);
export const isWordCharacter = (code: number): boolean => isDigit(code) || isLetter(code);
export const isHex = (code: number): boolean =>
  isDigit(code) || (code >= 0x41 && code <= 0x46) || (code >= 0x61 && code <= 0x66);

/** Most `_` that emphasis puts beside a word (`___12___`). */
const mostEmphasis = 3;

/** Characters before and after a place that {@link wordReachesTo} and {@link wordGoesOnAt} read. */
export const edgeReach = mostEmphasis + 1;

/** Whether what stands before `at` is of one word with it: a letter, a digit, or `_`. Emphasis is not: at most three `_` with nothing of a word before. */
export function wordReachesTo(text: string, at: number): boolean {
  let before = at - 1;
  while (before >= at - mostEmphasis && text.charCodeAt(before) === 0x5f) before -= 1;
  const code = text.charCodeAt(before);
  return isWordCharacter(code) || code === 0x5f;
}

/** The same of what stands at `at` and behind it. */
export function wordGoesOnAt(text: string, at: number): boolean {
  let after = at;
  while (after < at + mostEmphasis && text.charCodeAt(after) === 0x5f) after += 1;
  const code = text.charCodeAt(after);
  return isWordCharacter(code) || code === 0x5f;
}

/** Lower case of an ASCII letter; any other code as it is. */
export const lower = (code: number): number => (isUpper(code) ? code + 0x20 : code);

/** Value of a hex digit's code. */
export const hexValue = (code: number): number => (code <= 0x39 ? code - 0x30 : (code | 0x20) - 0x57);

/** Does `word` (lower case, ASCII) stand at `at`, in any case? Positions outside of the text never match. */
export function standsAt(text: string, at: number, word: string): boolean {
  for (let index = 0; index < word.length; index += 1) {
    if (lower(text.charCodeAt(at + index)) !== word.charCodeAt(index)) return false;
  }
  return true;
}

/** Does one of `words` (lower case) end somewhere in `[from, to)`, wholly inside of it, in any case? */
export function holdsWord(text: string, from: number, to: number, words: readonly string[]): boolean {
  for (const word of words) {
    for (let at = Math.max(0, from); at + word.length <= to; at += 1) {
      if (standsAt(text, at, word)) return true;
    }
  }
  return false;
}

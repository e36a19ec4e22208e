/**
 * Where a whole word begins and ends, in a text as a reader sees it: where no letter or digit stands on the other side, or one that cannot
 * be of the same word. These are:
 *
 * - letters of scripts that are written without spaces between words (those for which Unicode's UAX 29 asks for a dictionary: Chinese,
 *   Japanese, Thai, Lao, Khmer, Burmese and their like), and Korean, whose particles are written on: a border on either side of each;
 * - a Latin letter beside a letter of another script: Hebrew and Arabic write prefixes on foreign words, and Cyrillic endings. What a reader
 *   takes for a Latin letter is one.
 *
 * Marks are no letters: a word is found before one, also in Devanagari, where it makes another syllable of the last.
 */

/** Whether what stands before `at` is of the word that begins there. */
export function wordBefore(text: string, at: number): boolean {
  if (at <= 0) return false;
  const outer = text.charCodeAt(at - 1);
  if (outer < 128 && asciiWord[outer] === 0) return false;
  return belongs(pointBefore(text, at), pointAt(text, at));
}

/** Whether what stands at `at` is of the word that ends there. */
export function wordAt(text: string, at: number): boolean {
  if (at >= text.length) return false;
  const outer = text.charCodeAt(at);
  if (outer < 128 && asciiWord[outer] === 0) return false;
  return belongs(pointAt(text, at), pointBefore(text, at));
}

function belongs(outer: string, inner: string): boolean {
  const both = outer + inner;
  if (!notAscii.test(both)) return true;
  if (!letterOrDigit.test(outer) || unspaced.test(both)) return false;
  return !(letter.test(outer) && letter.test(inner) && latin.test(outer) !== latin.test(inner));
}

const asciiWord = Uint8Array.from({ length: 128 }, (_, code) =>
  /[0-9A-Za-z]/.test(String.fromCharCode(code)) ? 1 : 0,
);
const notAscii = /[^\x00-\x7f]/;
const letterOrDigit = /[\p{L}\p{N}]/u;
const letter = /\p{L}/u;
const latin = /[\p{scx=Latin}\p{sc=Common}]/u;
const unspaced =
  /[\p{scx=Han}\p{scx=Hira}\p{scx=Kana}\p{scx=Bopo}\p{scx=Yi}\p{scx=Hang}\p{scx=Thai}\p{scx=Lao}\p{scx=Khmr}\p{scx=Mymr}\p{scx=Tale}\p{scx=Talu}\p{scx=Lana}\p{scx=Tavt}\p{scx=Ahom}\p{scx=Java}\p{scx=Bali}]/u;

function pointAt(text: string, at: number): string {
  const code = text.codePointAt(at);
  return code === undefined ? '' : String.fromCodePoint(code);
}

function pointBefore(text: string, at: number): string {
  const whole = text.charCodeAt(at - 1) >= 0xdc00 && at > 1 && (text.codePointAt(at - 2) ?? 0) > 0xffff;
  return text.slice(at - (whole ? 2 : 1), at);
}

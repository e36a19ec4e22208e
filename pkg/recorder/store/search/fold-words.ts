import { gramsOf, hasGrams, withoutGrams } from './grams.ts';
import { notAllWords } from './not-all-words.ts';

/** Characters of a word that count, and bytes of all words of a session. */
const longest = 128;
const mostBytes = 900_000;

/** Nearly all texts have nothing else: nearly twice as fast. */
const ascii = /^[\x00-\x7f]*$/;

/**
 * A text as its words are told apart in it and in questions: without accents, and without vowels and points that are marks (Hindi, Bengali, Tamil,
 * Arabic, Hebrew), at which a word does not end.
 */
export const withoutMarks = (text: string): string =>
  ascii.test(text) ? text : text.normalize('NFD').replace(/\p{M}/gu, '');

/** Words of texts as they are looked for: without case and accents, each once; behind the last {@link notAllWords}, where there are more than fit. */
export function foldWords(texts: Iterable<string>): readonly string[] {
  const words = new Set<string>();
  let bytes = 0;
  /** False: there is no room for it. */
  const add = (word: string, size: number): boolean => {
    if (words.has(word)) return true;
    bytes += size + 1;
    if (bytes > mostBytes) return false;
    words.add(word);
    return true;
  };
  for (const text of texts) {
    const isAscii = ascii.test(text);
    const written = !isAscii && hasGrams(text);
    if (written)
      for (const gram of gramsOf(text)) if (!add(gram, Buffer.byteLength(gram))) return [...words, notAllWords];
    const all = isAscii
      ? text.toLowerCase().match(/[a-z0-9]+/g)
      : withoutMarks(written ? withoutGrams(text) : text)
          .toLowerCase()
          .match(/[\p{L}\p{N}\p{Co}]+/gu);
    for (const whole of all ?? []) {
      const word = whole.length <= longest ? whole : whole.slice(0, longest).toWellFormed();
      if (!add(word, isAscii ? word.length : Buffer.byteLength(word))) return [...words, notAllWords];
    }
  }
  return [...words];
}

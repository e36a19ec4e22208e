import { notAllWords } from './words.ts';

/** Characters of a word that count, and bytes of all words of a session. */
const longest = 128;
const mostBytes = 900_000;

/** Letters and digits, of which nearly all texts have none but these: nearly twice as fast. */
const ascii = /^[\x00-\x7f]*$/;

/** Words of texts as they are looked for: without case and accents, each once; behind the last {@link notAllWords}, where there are more than fit. */
export function foldWords(texts: Iterable<string>): readonly string[] {
  const words = new Set<string>();
  let bytes = 0;
  for (const text of texts) {
    const isAscii = ascii.test(text);
    const all = isAscii
      ? text.toLowerCase().match(/[a-z0-9]+/g)
      : text
          .normalize('NFD')
          .replace(/\p{M}/gu, '')
          .toLowerCase()
          .match(/[\p{L}\p{N}\p{Co}]+/gu);
    for (const whole of all ?? []) {
      const word = whole.length <= longest ? whole : whole.slice(0, longest).toWellFormed();
      if (words.has(word)) continue;
      bytes += (isAscii ? word.length : Buffer.byteLength(word)) + 1;
      if (bytes > mostBytes) return [...words, notAllWords];
      words.add(word);
    }
  }
  return [...words];
}

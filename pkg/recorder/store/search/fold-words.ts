/** Characters of a word that count, and bytes of all words of a session: a tsvector has room for 2^20. */
const longest = 128;
const mostBytes = 900_000;

/** Words of texts as they are looked for: without case and accents, each once. */
export function foldWords(texts: Iterable<string>): readonly string[] {
  const words = new Set<string>();
  let bytes = 0;
  for (const text of texts) {
    const plain = /^[\x00-\x7f]*$/.test(text) ? text : text.normalize('NFD').replace(/\p{M}/gu, '');
    for (const [whole] of plain.toLowerCase().matchAll(/[\p{L}\p{N}\p{Co}]+/gu)) {
      const word = whole.length <= longest ? whole : whole.slice(0, longest).toWellFormed();
      if (words.has(word)) continue;
      bytes += Buffer.byteLength(word) + 1;
      if (bytes > mostBytes) return [...words];
      words.add(word);
    }
  }
  return [...words];
}

import { isLetter, lower } from './characters.ts';

// Words directly before a number that make it some other number than a person's. Only of numbers that no check digit confirms, and that no word
// tells of: those are possible then.

const others = new Set(
  (
    'order invoice isbn issn sku ticket ref reference item part case serial version batch lot model build release ' +
    'bestellung auftrag rechnung artikel vorgang commande facture pedido factura ordine fattura'
  ).split(' '),
);
/** What may stand between: `order no. 123`, `Invoice number: 123`. */
const fillers = new Set(['no', 'nr', 'num', 'number', 'id', 'nummer', 'numero']);

/** Most characters of a word, and between two of them, or a word and the number. */
const longestWord = 10;
const widestGap = 4;
/** Characters before a number that are read. */
export const otherWordLeft = 2 * (widestGap + longestWord) + 1;

/** Where letters end that stand before `at` with at most {@link widestGap} other characters between; -1 without any. */
function wordEndBefore(text: string, at: number): number {
  for (let gap = 0; gap <= widestGap; gap += 1)
    if (isLetter(text.charCodeAt(at - gap - 1))) return gap === 0 ? -1 : at - gap;
  return -1;
}

/** The word in lower case that ends there; '' for one that is too long. */
function wordAt(text: string, end: number): string {
  let word = '';
  for (let at = end - 1; isLetter(text.charCodeAt(at)); at -= 1) {
    if (word.length === longestWord) return '';
    word = String.fromCharCode(lower(text.charCodeAt(at))) + word;
  }
  return word;
}

export function followsOtherWord(text: string, start: number): boolean {
  const end = wordEndBefore(text, start);
  if (end < 0) return false;
  const word = wordAt(text, end);
  if (others.has(word)) return true;
  if (!fillers.has(word)) return false;
  const before = wordEndBefore(text, end - word.length);
  return before >= 0 && others.has(wordAt(text, before));
}

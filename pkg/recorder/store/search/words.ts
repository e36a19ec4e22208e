import { StoreError } from '../store-error.ts';

/** Most words of one question. */
const mostWords = 16;

/** In an index of words: of this session not all are there. Of characters for private use, so that it is in no text but one that wants to be found by it. */
export const notAllWords = '\u{10fffd}cut';
/** Such sessions that a search names. */
export const mostNamed = 100;

/** Rules with the name of one label, over all policies. */
export const mostRulesNamed = 500;
export const tooManyRules = (): StoreError =>
  new StoreError('query', `more than ${mostRulesNamed} rules have the name of that label: ask for one by its policy`);

/** The words of a question, as indices take them. @throws StoreError query */
export function wordsOf(text: string): readonly string[] {
  const words = text.normalize('NFC').match(/[\p{L}\p{N}\p{Co}]+/gu) ?? [];
  if (words.length === 0) throw new StoreError('query', 'the text to look for has no word in it');
  if (words.length > mostWords) throw new StoreError('query', `the text to look for has more than ${mostWords} words`);
  return words;
}

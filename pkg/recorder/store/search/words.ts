import { StoreError } from '../store-error.ts';
import { foldWords, withoutMarks } from './fold-words.ts';
import { gramsAsked, withoutGrams } from './grams.ts';

/** Most words of one question, and pairs of characters where words are not parted. */
const most = { words: 16, pairs: 64 } as const;

interface Asked {
  readonly pairs: readonly string[];
  readonly words: readonly string[];
}

function read(text: string): Asked {
  const pairs = gramsAsked(text);
  const words = withoutMarks(withoutGrams(text)).match(/[\p{L}\p{N}\p{Co}]+/gu) ?? [];
  if (pairs.length + words.length === 0) throw new StoreError('query', 'the text to look for has no word in it');
  if (words.length > most.words)
    throw new StoreError('query', `the text to look for has more than ${most.words} words`);
  if (pairs.length > most.pairs)
    throw new StoreError(
      'query',
      `the text to look for has more than ${most.pairs} characters that are written together`,
    );
  return { pairs: [...new Set(pairs)], words };
}

/** The words of a question, as an index takes them that folds them itself. @throws StoreError query */
export function wordsOf(text: string): readonly string[] {
  const { pairs, words } = read(text);
  return [...pairs, ...words];
}

/** The words of a question, as {@link foldWords} has those of texts. @throws StoreError query */
export function foldedWordsOf(text: string): readonly string[] {
  const { pairs, words } = read(text);
  return [...pairs, ...foldWords([words.join(' ')])];
}

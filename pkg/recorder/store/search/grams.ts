/**
 * Languages that write no spaces between words, or put endings on them: Chinese, Japanese, Korean, Thai, Lao, Khmer, Burmese. Their words are found
 * within what is written together by pairs of characters, which stand in the indices as words: a text has the word 東京都 where it has both 東京 and 京都.
 */
const run =
  /[[\p{sc=Han}\p{sc=Bopo}\p{sc=Hira}\p{sc=Kana}\p{sc=Hang}\p{sc=Thai}\p{sc=Laoo}\p{sc=Khmr}\p{sc=Mymr}\u3031-\u3035\u3099\u309a\u30fc\uff70\uff9e\uff9f]&&[\p{L}\p{M}\p{N}]]+/gv;
/** Has all of these, and nothing of Latin, Greek, Cyrillic, Hebrew and Arabic: most texts are told apart by it at once. */
const some = /[\u0e00-\u0eff\u1000-\u11ff\u1780-\u17ff\u19e0-\u19ff\u2e80-\uffff]/;

/** Whether a text may have {@link gramsOf}. */
export const hasGrams = (text: string): boolean => some.test(text);

/** One spelling: no half or full width, no parts of syllables; without vowels and tones that are marks. */
const charactersOf = (written: string): readonly string[] => [...written.normalize('NFKC').replace(/\p{M}/gu, '')];

const pairs = (characters: readonly string[]): readonly string[] =>
  characters.slice(1).map((character, at) => `${characters[at]}${character}`);

/** What an index has of a text: its characters and pairs of them, in their order, not each once. */
export function* gramsOf(text: string): Iterable<string> {
  for (const [written] of text.matchAll(run)) {
    const characters = charactersOf(written);
    yield* characters;
    yield* pairs(characters);
  }
}

/** What to look for of a question: pairs, or a character that stands alone. */
export function gramsAsked(text: string): readonly string[] {
  const asked = Array.from(text.matchAll(run), ([written]) => charactersOf(written));
  return asked.flatMap((characters) => (characters.length < 2 ? characters : pairs(characters)));
}

/** A text without what {@link gramsOf} has of it. */
export const withoutGrams = (text: string): string => text.replace(run, ' ');

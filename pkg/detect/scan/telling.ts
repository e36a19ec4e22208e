import { isLetter, isLower, isUpper, lower } from '../detectors/characters.ts';

/**
 * Words that tell what stands behind them (`nhs number`, `bsn`), all of a scanner in one tree: which of them stand before a place is asked
 * once for all who want to know.
 *
 * A word is found in any case, as people write it (`NHS no.`), as a column or a key (`nhs_number`, `nhsNumber`): a space in it stands for one
 * of space, `_`, `-`, `.` and `/`, or for nothing. Whole words alone: `tin` is not told by `meeting`. A capital behind a small letter is a border,
 * but for words of two letters, which any base64 has so. Characters of other scripts than Latin need no border: their words are
 * written without spaces, or bent.
 */

/** Most characters before a value in which a word is looked for. */
export const toldWithin = 48;
/** What is read to know: the character before such a word, too. */
export const toldLeft = toldWithin + 1;

interface Node {
  /** By lower-case code. */
  readonly next: Map<number, Node>;
  /** Where a space of the word is. */
  gap: Node | undefined;
  /** Lists that have the word that ends here. */
  readonly lists: number[];
}

const node = (): Node => ({ next: new Map(), gap: undefined, lists: [] });

export class TellingWords {
  readonly #root = node();
  /** 1 for each ASCII letter, in either case, with which some word begins; other scripts are always looked at. */
  readonly #begins = new Uint8Array(128);
  /** One for all questions: it holds numbers of lists, nothing of a text. */
  readonly #told: Uint8Array;

  /** @param lists words in lower case that begin with a letter; undefined for who asks for none */
  constructor(lists: readonly (readonly string[] | undefined)[]) {
    this.#told = new Uint8Array(lists.length);
    lists.forEach((words, list) => {
      for (const word of words ?? []) this.#add(word, list);
    });
  }

  #add(word: string, list: number): void {
    let at = this.#root;
    const initial = word.charCodeAt(0);
    if (initial < 128) this.#begins[initial] = this.#begins[initial & ~0x20] = 1;
    for (let index = 0; index < word.length; index += 1) {
      const code = word.charCodeAt(index);
      if (code === 0x20) at = at.gap ??= node();
      else {
        let next = at.next.get(code);
        if (next === undefined) at.next.set(code, (next = node()));
        at = next;
      }
    }
    at.lists.push(list);
  }

  /** For each list 1 where one of its words stands at most {@link toldWithin} characters before `start`. Valid until the next question. */
  before(text: string, start: number): Uint8Array {
    this.#told.fill(0);
    for (let at = Math.max(0, start - toldWithin); at < start; at += 1) {
      const code = text.charCodeAt(at);
      if (code < 128 ? this.#begins[code] === 1 && startsWord(text, at, code) : this.#root.next.has(code))
        this.#walk(this.#root, text, at, at, start);
    }
    return this.#told;
  }

  #walk(from: Node, text: string, begin: number, first: number, to: number): void {
    let here: Node | undefined = from;
    for (let at = first; here !== undefined; at += 1) {
      if (here.lists.length > 0 && isWord(text, begin, at)) for (const list of here.lists) this.#told[list] = 1;
      if (here.gap !== undefined)
        this.#walk(here.gap, text, begin, at < to && joins(text.charCodeAt(at)) ? at + 1 : at, to);
      here = at < to ? here.next.get(lower(text.charCodeAt(at))) : undefined;
    }
  }
}

function startsWord(text: string, at: number, code: number): boolean {
  const before = text.charCodeAt(at - 1);
  return !isLetter(before) || (isUpper(code) && isLower(before));
}

/** The longest word that wants a border on either side that is none of camel case. */
const shortWord = 2;

function isWord(text: string, begin: number, end: number): boolean {
  if (!endsWord(text, end)) return false;
  if (end - begin > shortWord || text.charCodeAt(begin) > 0x7f) return true;
  return !isLetter(text.charCodeAt(begin - 1)) && !isLetter(text.charCodeAt(end));
}

function endsWord(text: string, at: number): boolean {
  const last = text.charCodeAt(at - 1);
  const after = text.charCodeAt(at);
  return !isLetter(last) || !isLetter(after) || (isLower(last) && isUpper(after));
}

const joins = (code: number): boolean =>
  code === 0x20 || code === 0x5f || code === 0x2d || code === 0x2e || code === 0x2f;

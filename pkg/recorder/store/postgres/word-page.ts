import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';

/**
 * Words in the order of their bytes, each with the numbers of what has it, packed into pages: a word as what differs from the one before it, its
 * numbers as the distances between them, the whole compressed. A pair of word and number costs some half of a byte, where a row or an array of
 * the database would take 2 to 30.
 */
export interface WordPage {
  /** Its first word. */
  readonly first: Word;
  readonly data: Buffer;
}

/** A word's bytes in UTF-8, one character each: such strings compare as the database's collation `C` does. */
export type Word = string;

/** Numbers ascend; each is a whole number from 0. */
export type WordEntry = readonly [word: Word, numbers: readonly number[]];

const ascii = /^[\x00-\x7f]*$/;
export const wordOf = (text: string): Word => (ascii.test(text) ? text : Buffer.from(text).toString('latin1'));
export const textOf = (word: Word): string => (ascii.test(word) ? word : Buffer.from(word, 'latin1').toString('utf8'));

/** Bytes of a page before compression; a word whose own list is longer makes a longer one. */
const pageBytes = 8_192;
/** What a page can be in memory: a damaged one cannot ask for more. */
const mostBytes = 64 * 1024 * 1024;
const params = { [constants.ZSTD_c_compressionLevel]: 1 };

/** Numbers of 7 bits a byte, the lowest first. */
class Bytes {
  #data = Buffer.alloc(2 * pageBytes);
  length = 0;

  number(value: number): void {
    this.#room(8);
    let rest = value;
    for (; rest > 0x7f; rest = Math.floor(rest / 0x80)) this.#data[this.length++] = (rest % 0x80) | 0x80;
    this.#data[this.length++] = rest;
  }
  word(word: Word, from: number): void {
    this.#room(word.length - from);
    for (let at = from; at < word.length; at++) this.#data[this.length++] = word.charCodeAt(at);
  }
  bytes(): Buffer {
    return this.#data.subarray(0, this.length);
  }
  clear(): void {
    this.length = 0;
  }
  #room(more: number): void {
    if (this.length + more <= this.#data.length) return;
    const larger = Buffer.alloc(2 * (this.length + more));
    this.#data.copy(larger, 0, 0, this.length);
    this.#data = larger;
  }
}

/** @param entries In the order of their words, each word once. */
export function* packWords(entries: Iterable<WordEntry>): Generator<WordPage> {
  const [words, lists, head] = [new Bytes(), new Bytes(), new Bytes()];
  let first: Word | undefined;
  let before = '';
  const page = (start: Word): WordPage => {
    head.clear();
    head.number(words.length);
    const raw = Buffer.concat([head.bytes(), words.bytes(), lists.bytes()]);
    words.clear();
    lists.clear();
    return { first: start, data: zstdCompressSync(raw, { params }) };
  };
  for (const [word, numbers] of entries) {
    if (first !== undefined && words.length + lists.length >= pageBytes) {
      yield page(first);
      first = undefined;
    }
    if (first === undefined) {
      first = word;
      before = '';
    }
    const from = lists.length;
    let last = -1;
    for (const number of numbers) {
      lists.number(number - last - 1);
      last = number;
    }
    const shared = sharedOf(before, word);
    words.number(shared);
    words.number(word.length - shared);
    words.word(word, shared);
    words.number(lists.length - from);
    before = word;
  }
  if (first !== undefined) yield page(first);
}

function sharedOf(one: Word, other: Word): number {
  let at = 0;
  while (at < one.length && at < other.length && one.charCodeAt(at) === other.charCodeAt(at)) at++;
  return at;
}

/** Reads a page on: past its end, numbers are 0 and words empty, which ends every loop here. */
class Reader {
  at = 0;
  readonly #data: Buffer;
  constructor(data: Buffer) {
    this.#data = data;
  }
  number(): number {
    for (let value = 0, unit = 1; ; unit *= 0x80) {
      const byte = this.#data[this.at++] ?? 0;
      value += (byte & 0x7f) * unit;
      if (byte < 0x80) return value;
    }
  }
  word(length: number): Word {
    const from = this.at;
    this.at += length;
    return this.#data.toString('latin1', from, this.at);
  }
}

function* entriesOf(data: Uint8Array): Generator<{ word: Word; numbers(): number[] }> {
  const raw = zstdDecompressSync(data, { maxOutputLength: mostBytes });
  const words = new Reader(raw);
  const length = words.number();
  const end = words.at + length;
  let list = end;
  let word = '';
  while (words.at < end) {
    const shared = words.number();
    word = word.slice(0, shared) + words.word(words.number());
    const from = list;
    list += words.number();
    const to = list;
    yield { word, numbers: () => numbersOf(raw, from, to) };
  }
}

function numbersOf(raw: Buffer, from: number, to: number): number[] {
  const numbers: number[] = [];
  const lists = new Reader(raw);
  lists.at = from;
  for (let last = -1; lists.at < to;) numbers.push((last += lists.number() + 1));
  return numbers;
}

/** Words of a page with their numbers. */
export function* unpackWords(data: Uint8Array): Generator<WordEntry> {
  for (const { word, numbers } of entriesOf(data)) yield [word, numbers()];
}

/** Numbers of one word of a page; none, where it is not in it. */
export function numbersIn(data: Uint8Array, wanted: Word): number[] {
  for (const { word, numbers } of entriesOf(data)) {
    if (word === wanted) return numbers();
    if (word > wanted) break;
  }
  return [];
}

/** Words of several rows of pages, each row in its order, with what is added to the numbers of each row. */
export function* mergeWords(
  rows: readonly { readonly pages: readonly Uint8Array[]; readonly by: number }[],
): Generator<WordEntry> {
  const heads = rows.map(({ pages, by }) => {
    const entries = unpackAll(pages);
    return { entries, by, next: entries.next() };
  });
  for (;;) {
    let least: Word | undefined;
    for (const { next } of heads)
      if (next.done !== true && (least === undefined || next.value[0] < least)) least = next.value[0];
    if (least === undefined) return;
    const lists: number[][] = [];
    for (const head of heads) {
      const { next, by, entries } = head;
      if (next.done === true || next.value[0] !== least) continue;
      lists.push(next.value[1].map((number) => number + by));
      head.next = entries.next();
    }
    yield [least, lists.length === 1 ? (lists[0] ?? []) : unionOf(lists)];
  }
}

function* unpackAll(pages: readonly Uint8Array[]): Generator<WordEntry> {
  for (const page of pages) yield* unpackWords(page);
}

function unionOf(lists: readonly number[][]): number[] {
  const all = lists.flat();
  let ascends = true;
  for (let at = 1; at < all.length; at++) if ((all[at] ?? 0) <= (all[at - 1] ?? 0)) ascends = false;
  return ascends ? all : [...new Set(all)].sort((one, other) => one - other);
}

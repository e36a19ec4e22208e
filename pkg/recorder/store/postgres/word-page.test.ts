import { expect, test } from '@jest/globals';
import { mergeWords, numbersIn, packWords, textOf, unpackWords, wordOf } from './word-page.ts';
import type { WordEntry } from './word-page.ts';

const texts = ['a', 'ab', 'abc', 'b', 'z9', 'ß', 'é', '東京', '\u{e000}', '𝛼'];
const entries: readonly WordEntry[] = texts
  .map(wordOf)
  .sort()
  .map((word, at) => [word, [at, at + 1, at + 128, at + 129, at + 2 ** 31, at + 2 ** 40]]);

test('words are in the order of their bytes, and come back with their numbers', () => {
  const pages = [...packWords(entries)];
  expect(pages.map(({ first }) => first)).toEqual(['a']);
  const data = pages[0]?.data ?? Buffer.alloc(0);
  expect([...unpackWords(data)]).toEqual(entries);
  const order = texts.toSorted((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)));
  expect(entries.map(([word]) => textOf(word))).toEqual(order);
  for (const [word, numbers] of entries) expect(numbersIn(data, word)).toEqual(numbers);
  for (const word of ['', 'aa', 'abd', 'zzz']) expect(numbersIn(data, word)).toEqual([]);
});

test('many words are many pages, each of which begins anew; long lists are one page', () => {
  const many = Array.from({ length: 5_000 }, (_, at): WordEntry => [
    `word${String(at).padStart(5, '0')}`,
    [at, at + 7],
  ]);
  many.push(['x', Array.from({ length: 100_000 }, (_, at) => 3 * at)], ['y', [1]]);
  const pages = [...packWords(many)];
  expect(pages.length).toBeGreaterThan(3);
  expect(pages.flatMap(({ data }) => [...unpackWords(data)])).toEqual(many);
  for (const { first, data } of pages) expect([...unpackWords(data)][0]?.[0]).toBe(first);
  expect([...unpackWords(pages.at(-1)?.data ?? Buffer.alloc(0))].map(([word]) => word)).toEqual(['y']);
});

test('what is taken out makes no page longer than it was', () => {
  const dense = Array.from({ length: 900 }, (_, at): WordEntry => [
    `w${at.toString(36).padStart(3, '0')}`,
    [0, 127, 254, 381],
  ]);
  const [page] = packWords(dense);
  const all = [...unpackWords(page?.data ?? Buffer.alloc(0))];
  for (const keep of [2, 3, 5, 100]) {
    const some = all
      .filter((_, at) => at % keep === 0)
      .map(([word, numbers]): WordEntry => [word, numbers.filter((_, at) => at % 2 === 0)]);
    expect([...packWords(some)]).toHaveLength(1);
  }
});

test('rows of pages become one: numbers of each are moved, in order, each once', () => {
  const pack = (some: readonly WordEntry[]) => [...packWords(some)].map(({ data }) => data);
  const one = pack([
    ['a', [0, 4]],
    ['c', [1]],
    ['d', [9]],
  ]);
  const other = pack([
    ['a', [0, 1]],
    ['b', [2]],
    ['d', [0]],
  ]);
  expect([
    ...mergeWords([
      { pages: one, by: 0 },
      { pages: other, by: 10 },
    ]),
  ]).toEqual([
    ['a', [0, 4, 10, 11]],
    ['b', [12]],
    ['c', [1]],
    ['d', [9, 10]],
  ]);
  expect([
    ...mergeWords([
      { pages: one, by: 1 },
      { pages: other, by: 0 },
      { pages: [], by: 0 },
    ]),
  ]).toEqual([
    ['a', [0, 1, 5]],
    ['b', [2]],
    ['c', [2]],
    ['d', [0, 10]],
  ]);
});

test('a damaged page ends', () => {
  const [page] = packWords(entries);
  expect(() => [...unpackWords((page?.data ?? Buffer.alloc(0)).subarray(0, 40))]).toThrow();
});

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Edit } from '../scanner.ts';
import { EditList } from './edit-list.ts';

const listOf = (edits: readonly Edit[]): EditList => {
  const list = new EditList();
  for (const one of edits) list.add(one);
  return list;
};
const all = (list: EditList): readonly Edit[] => list.touching(0, Number.POSITIVE_INFINITY);
const place = fc.tuple(fc.nat(60), fc.integer({ min: 1, max: 9 })).map(([start, length]) => [start, start + length]);

describe('a list of edits', () => {
  test('covers what its edits cover, in order, each place once', () => {
    fc.assert(
      fc.property(fc.array(place, { maxLength: 30 }), (places) => {
        const edits = places.map(([start = 0, end = 0], at) => ({ start, end, text: String(at) }));
        const kept = all(listOf(edits));
        for (let at = 0; at < 80; at++) {
          const covers = ({ start, end }: Edit): boolean => start <= at && at < end;
          expect(kept.filter(covers)).toHaveLength(edits.some(covers) ? 1 : 0);
        }
        expect(kept).toEqual([...kept].sort((a, b) => a.start - b.start));
        for (const one of kept) {
          const first = edits.filter(({ start }) => start === one.start).map(({ text }) => text);
          expect(first).toContain(one.text);
        }
      }),
    );
  });

  test('joins those that share a character, with the replacement of the first, and the longer of two that begin together', () => {
    const merged = listOf([
      { start: 10, end: 20, text: 'a' },
      { start: 18, end: 25, text: 'b' },
      { start: 25, end: 30, text: 'c' },
      { start: 10, end: 22, text: 'd' },
      { start: 5, end: 11, text: 'e' },
      { start: 40, end: 50, text: 'f' },
      { start: 40, end: 52, text: 'g' },
    ]);
    expect(all(merged)).toEqual([
      { start: 5, end: 25, text: 'e' },
      { start: 25, end: 30, text: 'c' },
      { start: 40, end: 52, text: 'g' },
    ]);
  });

  test('tells those that have a character of a range, and forgets those before a place', () => {
    const list = listOf([0, 10, 20, 30].map((start) => ({ start, end: start + 5, text: '' })));
    const starts = (from: number, to: number): number[] => list.touching(from, to).map(({ start }) => start);
    expect([starts(5, 10), starts(4, 11), starts(12, 13), starts(35, 99)]).toEqual([[], [0, 10], [10], []]);
    list.drop(15);
    expect(starts(0, 99)).toEqual([20, 30]);
    list.drop(99);
    expect(list.empty).toBe(true);
  });

  test('looks at a few edits for each that comes after all others, however many there are', () => {
    let looks = 0;
    const watched = (start: number): Edit => ({
      text: '',
      end: start + 3,
      get start() {
        looks++;
        return start;
      },
    });
    const list = new EditList();
    for (let at = 0; at < 10_000; at++) list.add(watched(5 * at));
    expect(looks).toBeLessThan(10 * 10_000);
  });
});

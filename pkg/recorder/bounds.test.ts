import { expect, test } from '@jest/globals';
import { cut, cutList, cutValue } from './bounds.ts';

const long = 'x'.repeat(2 * 1024 * 1024);

test('a text is cut and has no control characters', () => {
  expect(cut(long)).toHaveLength(256);
  expect(cut('a\nb\u0000c')).toBe('a b c');
  expect(cut('short')).toBe('short');
});

test('a list has each text once, cut, and ends where there is no more room', () => {
  expect(cutList(['a', 'b', 'a'])).toEqual(['a', 'b']);
  expect(cutList(Array.from({ length: 50_000 }, (_, n) => `g${n}`))).toHaveLength(64);
  expect(cutList(Array.from({ length: 64 }, (_, n) => `${n}${long}`))).toHaveLength(16);
});

test('a value is cut in texts, keys, members, depth and altogether', () => {
  const most = { text: 10, characters: 100, members: 4 };
  expect(cutValue({ a: long, b: [1, 2, 3, 4, 5], c: { d: true }, e: null, f: 1 }, most)).toEqual({
    a: 'x'.repeat(10),
    b: [1, 2, 3, 4],
    c: { d: true },
    e: null,
  });
  expect(cutValue({ [long]: 1, a: 2 }, most)).toEqual({});
  expect(cutValue([[[[[[['deep']]]]]]], most)).toEqual([[[[[[null]]]]]]);
  const many = Array.from({ length: 4 }, () => Array.from({ length: 4 }, () => ['x'.repeat(20), 'y'.repeat(20)]));
  expect(JSON.stringify(cutValue(many, most)).replaceAll(/[^xy]/g, '')).toHaveLength(100);
});

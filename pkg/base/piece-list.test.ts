import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { PieceList, shortPiece } from './piece-list.ts';

test('holds the bytes that came, in whatever pieces, and no more pieces than blocks need', () => {
  const piece = fc
    .oneof(fc.nat(5), fc.constantFrom(shortPiece - 1, shortPiece, 5_000))
    .chain((length) => fc.uint8Array({ minLength: length, maxLength: length }));
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      const list = new PieceList();
      pieces.forEach((one, at) => {
        list.push(one);
        const so = list.chain();
        expect(so.length).toBe(list.length);
        expect(Buffer.from(so.bytes())).toEqual(Buffer.concat(pieces.slice(0, at + 1)));
      });
      const long = pieces.filter(({ length }) => length >= shortPiece).length;
      expect(list.chain().pieces.length).toBeLessThanOrEqual(2 * long + 2 + list.length / shortPiece);
    }),
    { numRuns: 300 },
  );
});

test('keeps long pieces, and a short one by itself, as they are', () => {
  const list = new PieceList();
  const pieces = [Buffer.alloc(5_000, 1), Buffer.alloc(3_000, 2)];
  for (const piece of pieces) list.push(piece);
  expect(list.chain().pieces).toEqual(pieces);
  expect(list.chain().pieces[0]?.buffer).toBe(pieces[0]?.buffer);
  const one = new PieceList();
  const short = Buffer.from('short');
  one.push(short);
  expect(one.chain().pieces[0]).toBe(short);
});

test('what was given out stays as it is when more comes', () => {
  const list = new PieceList();
  for (const byte of 'abc') list.push(Buffer.from(byte));
  const before = list.chain();
  list.push(Buffer.from('d'));
  expect([before.bytes().toString(), list.chain().bytes().toString()]).toEqual(['abc', 'abcd']);
  list.reset(list.chain().slice(2));
  list.push(Buffer.from('e'));
  expect(list.chain().bytes().toString()).toBe('cde');
});

test('costs no more than a few bytes for each byte that comes alone', () => {
  const list = new PieceList();
  for (let at = 0; at < 100_000; at++) list.push(Buffer.alloc(1, at));
  const held = new Set(list.chain().pieces.map(({ buffer }) => buffer));
  expect(list.chain().pieces.length).toBeLessThan(30);
  expect([...held].reduce((sum, buffer) => sum + buffer.byteLength, 0)).toBeLessThan(120_000);
});

import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ByteChain } from './byte-chain.ts';

const chainOf = (sizes: readonly number[]): { readonly chain: ByteChain; readonly all: Buffer } => {
  let next = 0;
  const pieces = sizes.map((size) => Buffer.from(Array.from({ length: size }, () => next++ & 0xff)));
  return { chain: ByteChain.of(...pieces), all: Buffer.concat(pieces) };
};

test('it is the bytes of its pieces, whatever part is asked for', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(6), { maxLength: 8 }),
      fc.nat(50),
      fc.nat(50),
      fc.array(fc.nat(6), { maxLength: 3 }),
      (sizes, one, other, more) => {
        const { chain, all } = chainOf(sizes);
        const [from, to] = [Math.min(one, other), Math.max(one, other)];
        expect(chain.length).toBe(all.length);
        expect(chain.bytes()).toEqual(all);
        expect(chain.bytes(from, to)).toEqual(all.subarray(from, to));
        expect(chain.slice(from, to).bytes()).toEqual(all.subarray(from, to));
        expect(chain.slice(from).slice(0, to).bytes()).toEqual(all.subarray(from, from + to));
        expect(chain.at(from)).toBe(all[from]);
        const second = chainOf(more);
        expect(ByteChain.concat([chain, second.chain]).bytes()).toEqual(Buffer.concat([all, second.all]));
        for (const piece of chain.slice(from, to).pieces) expect(piece.length).toBeGreaterThan(0);
      },
    ),
  );
});

test('what is cut out of it is the memory that came, and of one piece so is what is read', () => {
  const pieces = [Buffer.alloc(10, 1), Buffer.alloc(20, 2), Buffer.alloc(30, 3)];
  const chain = ByteChain.of(...pieces);
  expect(chain.slice(5, 45).pieces.map(({ buffer, byteOffset, length }) => [buffer, byteOffset, length])).toEqual([
    [pieces[0]?.buffer, (pieces[0]?.byteOffset ?? 0) + 5, 5],
    [pieces[1]?.buffer, pieces[1]?.byteOffset, 20],
    [pieces[2]?.buffer, pieces[2]?.byteOffset, 15],
  ]);
  const read = chain.bytes(12, 28);
  expect([read.buffer, read.byteOffset]).toEqual([pieces[1]?.buffer, (pieces[1]?.byteOffset ?? 0) + 2]);
  expect(ByteChain.concat([chain]).pieces[2]).toBe(pieces[2]);
});

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  consistencyProof,
  createFrontier,
  edgeOf,
  emptyRoot,
  inclusionProof,
  leafHash,
  nodeHash,
  provesConsistency,
  provesInclusion,
  treeRoot,
} from './merkle.ts';

const leaf = (n: number): Buffer => leafHash(Buffer.from(`entry ${n}`));

/** RFC 6962 section 2.1, as it is written there. */
function slowRoot(leaves: readonly Buffer[]): Buffer {
  const [first] = leaves;
  if (first === undefined) return emptyRoot;
  if (leaves.length === 1) return first;
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  return nodeHash(slowRoot(leaves.slice(0, split)), slowRoot(leaves.slice(split)));
}

function grow(count: number) {
  const stored = new Map<string, Buffer>();
  const frontier = createFrontier();
  const roots = [frontier.root()];
  for (let n = 0; n < count; n++) {
    for (const node of frontier.append(leaf(n))) stored.set(`${node.level}/${node.index}`, node.hash);
    roots.push(frontier.root());
  }
  const read = async (level: number, index: number): Promise<Buffer> => {
    const found = stored.get(`${level}/${index}`);
    if (found === undefined) throw new Error(`not full: ${level}/${index}`);
    return found;
  };
  return { read, roots, stored };
}

const size = 70;
const { read, roots, stored } = grow(size);

describe('the tree', () => {
  test('has the roots that RFC 6962 defines, and the known ones of the empty tree and of one empty leaf', () => {
    for (let n = 0; n <= size; n++)
      expect(roots[n]?.toString('hex')).toBe(slowRoot(Array.from({ length: n }, (_, at) => leaf(at))).toString('hex'));
    expect(emptyRoot.toString('hex')).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
    expect(leafHash(Buffer.alloc(0)).toString('hex')).toBe(
      '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
    );
  });

  test('goes on from its stored edge, at every size', async () => {
    for (let n = 0; n < size; n++) {
      const edge = edgeOf(n).map(({ level, index }) => stored.get(`${level}/${index}`) ?? Buffer.alloc(0));
      const frontier = createFrontier(n, edge);
      expect(frontier.root()).toEqual(roots[n]);
      frontier.append(leaf(n));
      expect(frontier.root()).toEqual(roots[n + 1]);
      expect(await treeRoot(n, read)).toEqual(roots[n]);
    }
  });

  test('refuses an edge of another size', () => {
    expect(() => createFrontier(3, []).append(leaf(3))).toThrow(RangeError);
  });
});

describe('a proof', () => {
  const root = (n: number): Buffer => roots[n] ?? Buffer.alloc(0);

  test('of inclusion holds for every leaf of every tree, and for no other leaf, index, size or root', async () => {
    for (let n = 1; n <= size; n++) {
      for (let at = 0; at < n; at++) {
        const path = await inclusionProof(at, n, read);
        expect(path.length).toBeLessThanOrEqual(Math.ceil(Math.log2(n)));
        expect(provesInclusion(leaf(at), at, n, path, root(n))).toBe(true);
        expect(provesInclusion(leaf(at + 1), at, n, path, root(n))).toBe(false);
        expect(provesInclusion(leaf(at), at, n, path, root(n - 1))).toBe(false);
        expect(provesInclusion(leaf(at), at + 0.5, n, path, root(n))).toBe(false);
        if (path.length > 0) {
          expect(provesInclusion(leaf(at), at ^ 1, n, path, root(n))).toBe(false);
          expect(provesInclusion(leaf(at), at, n, path.slice(1), root(n))).toBe(false);
        }
        expect(provesInclusion(leaf(at), at, n, [...path, leaf(0)], root(n))).toBe(false);
      }
    }
    await expect(inclusionProof(3, 3, read)).rejects.toThrow(RangeError);
    expect(provesInclusion(leaf(3), 3, 3, [], root(3))).toBe(false);
  });

  test('of consistency holds for every pair of sizes, and fails where the older tree was another', async () => {
    for (let n = 0; n <= size; n++) {
      for (let m = 0; m <= n; m++) {
        const proof = await consistencyProof(m, n, read);
        const newer = { size: n, root: root(n) };
        expect(provesConsistency({ size: m, root: root(m) }, newer, proof)).toBe(true);
        expect(provesConsistency({ size: m, root: leaf(999) }, newer, proof)).toBe(false);
        // Every tree begins with the empty one.
        if (m > 0)
          expect(provesConsistency({ size: m, root: root(m) }, { size: n, root: leaf(999) }, proof)).toBe(false);
        if (proof.length > 0)
          expect(provesConsistency({ size: m, root: root(m) }, newer, proof.slice(0, -1))).toBe(false);
      }
    }
    await expect(consistencyProof(4, 3, read)).rejects.toThrow(RangeError);
    expect(provesConsistency({ size: 4, root: root(4) }, { size: 3, root: root(3) }, [])).toBe(false);
  });

  test('does not hold when any bit of it is another', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 2, max: size }), fc.nat(), fc.nat(), async (n, seed, bit) => {
        const at = seed % n;
        const path = (await inclusionProof(at, n, read)).map((one) => Buffer.from(one));
        const spoilt = path[bit % path.length];
        if (spoilt === undefined) return;
        const place = bit % 256;
        spoilt[place >> 3] = (spoilt[place >> 3] ?? 0) ^ (1 << (place & 7));
        expect(provesInclusion(leaf(at), at, n, path, root(n))).toBe(false);
      }),
      { numRuns: 200 },
    );
  });
});

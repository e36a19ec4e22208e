import { hash } from 'node:crypto';

/**
 * A Merkle tree over a log that only grows: hashing, audit paths and consistency proofs of RFC 6962 section 2.1 with
 * SHA-256. Leaves count from 0. Proofs are checked as RFC 9162 sections 2.1.3.2 and 2.1.4.2 say.
 *
 * Subtrees that are full never change: they are stored once by (level, index), where level 0 are the leaves and a node of
 * level L covers the 2^L leaves from index * 2^L.
 */
export type TreeHash = Buffer;

const leafPrefix = Buffer.from([0]);
const nodePrefix = Buffer.from([1]);
const sha256 = (...parts: readonly Uint8Array[]): TreeHash => hash('sha256', Buffer.concat(parts), 'buffer');

export const leafHash = (data: Uint8Array): TreeHash => sha256(leafPrefix, data);
export const nodeHash = (left: Uint8Array, right: Uint8Array): TreeHash => sha256(nodePrefix, left, right);
/** Root of a tree without leaves. */
export const emptyRoot: TreeHash = hash('sha256', '', 'buffer');

export interface TreeNode {
  readonly level: number;
  readonly index: number;
  readonly hash: TreeHash;
}

/** Reads a full subtree's hash. */
export type NodeReader = (level: number, index: number) => Promise<Uint8Array>;

/** The right edge of a growing tree: roots of its full subtrees, largest first. */
export interface Frontier {
  readonly size: number;
  /** Adds a leaf by its hash. @returns the subtrees that became full, the leaf first. */
  append(leaf: TreeHash): readonly TreeNode[];
  root(): TreeHash;
  /** Hashes of the full subtrees, largest first: what it takes to go on from here. */
  edge(): readonly TreeHash[];
}

/** @param edge Hashes of the full subtrees of a tree of this size, largest first: as many as the size has bits that are 1. */
export function createFrontier(size = 0, edge: readonly TreeHash[] = []): Frontier {
  const full = [...edge];
  let leaves = size;
  return {
    get size() {
      return leaves;
    },
    append(leaf) {
      const made: TreeNode[] = [{ level: 0, index: leaves, hash: leaf }];
      let node = leaf;
      let level = 0;
      for (let at = leaves; at % 2 === 1; at = (at - 1) / 2) {
        const left = full.pop();
        if (left === undefined) throw new RangeError('the edge does not belong to a tree of this size');
        node = nodeHash(left, node);
        level++;
        made.push({ level, index: (at - 1) / 2, hash: node });
      }
      full.push(node);
      leaves++;
      return made;
    },
    edge: () => [...full],
    root() {
      const last = full.at(-1);
      if (last === undefined) return emptyRoot;
      return full.slice(0, -1).reduceRight((right, left) => nodeHash(left, right), last);
    },
  };
}

/** Where the full subtrees at the right edge of a tree of this size are, largest first. */
export function edgeOf(size: number): readonly { readonly level: number; readonly index: number }[] {
  const edge = [];
  let from = 0;
  while (from < size) {
    const width = largestPower(size - from);
    edge.push({ level: Math.log2(width), index: from / width });
    from += width;
  }
  return edge;
}

/** Largest power of two that is not above `count`. Exact for all safe integers: no bit operators. */
function largestPower(count: number): number {
  let width = 1;
  while (width * 2 <= count) width *= 2;
  return width;
}

/** Largest power of two below `count`: where RFC 6962 splits. */
const splitOf = (count: number): number => largestPower(count - 1);

/** Hash of the leaves from `from` up to and without `to`; `from` is a multiple of the split's width. All nodes are asked for at once. */
async function rangeRoot(from: number, to: number, read: NodeReader): Promise<Uint8Array> {
  const width = to - from;
  if (largestPower(width) === width) return read(Math.log2(width), from / width);
  const split = splitOf(width);
  const halves = await Promise.all([rangeRoot(from, from + split, read), rangeRoot(from + split, to, read)]);
  return nodeHash(...halves);
}

/** Root of the first `size` leaves. */
export async function treeRoot(size: number, read: NodeReader): Promise<Uint8Array> {
  return size === 0 ? emptyRoot : rangeRoot(0, size, read);
}

/** The audit path of a leaf in the tree of the first `size` leaves. */
export async function inclusionProof(index: number, size: number, read: NodeReader): Promise<readonly Uint8Array[]> {
  if (!(index >= 0 && index < size)) throw new RangeError('no such leaf');
  let [from, to] = [0, size];
  const siblings: [number, number][] = [];
  while (to - from > 1) {
    const middle = from + splitOf(to - from);
    if (index < middle) {
      siblings.push([middle, to]);
      to = middle;
    } else {
      siblings.push([from, middle]);
      from = middle;
    }
  }
  return Promise.all(siblings.reverse().map(([start, end]) => rangeRoot(start, end, read)));
}

/** That the tree of `size` leaves begins with the tree of `older` leaves. */
export async function consistencyProof(older: number, size: number, read: NodeReader): Promise<readonly Uint8Array[]> {
  if (!(older >= 0 && older <= size)) throw new RangeError('no such tree');
  if (older === 0 || older === size) return [];
  let [from, to] = [0, size];
  let whole = true;
  const parts: [number, number][] = [];
  while (older !== to) {
    const middle = from + splitOf(to - from);
    if (older <= middle) {
      parts.push([middle, to]);
      to = middle;
    } else {
      parts.push([from, middle]);
      from = middle;
      whole = false;
    }
  }
  if (!whole) parts.push([from, to]);
  return Promise.all(parts.reverse().map(([start, end]) => rangeRoot(start, end, read)));
}

/** Whether the path leads from the leaf to the root. */
export function provesInclusion(
  leaf: Uint8Array,
  index: number,
  size: number,
  path: readonly Uint8Array[],
  root: Uint8Array,
): boolean {
  // Between two leaves is none: it would be taken for the one before it.
  if (!(Number.isSafeInteger(index) && index >= 0 && index < size)) return false;
  let [node, at, last] = [leaf, index, size - 1];
  for (const sibling of path) {
    if (last === 0) return false;
    if (at % 2 === 1 || at === last) {
      node = nodeHash(sibling, node);
      while (at % 2 === 0 && at !== 0) [at, last] = [at / 2, Math.floor(last / 2)];
    } else node = nodeHash(node, sibling);
    [at, last] = [Math.floor(at / 2), Math.floor(last / 2)];
  }
  return last === 0 && Buffer.from(node).equals(root);
}

/** Whether the proof shows that the newer tree begins with the older one. */
export function provesConsistency(
  older: { readonly size: number; readonly root: Uint8Array },
  newer: { readonly size: number; readonly root: Uint8Array },
  proof: readonly Uint8Array[],
): boolean {
  if (older.size > newer.size) return false;
  if (older.size === newer.size) return proof.length === 0 && Buffer.from(older.root).equals(newer.root);
  if (older.size === 0) return proof.length === 0 && emptyRoot.equals(older.root);
  const path = largestPower(older.size) === older.size ? [older.root, ...proof] : [...proof];
  const [first, ...rest] = path;
  if (first === undefined) return false;
  let [at, last] = [older.size - 1, newer.size - 1];
  while (at % 2 === 1) [at, last] = [(at - 1) / 2, Math.floor(last / 2)];
  let [one, two] = [first, first];
  for (const node of rest) {
    if (last === 0) return false;
    if (at % 2 === 1 || at === last) {
      one = nodeHash(node, one);
      two = nodeHash(node, two);
      while (at % 2 === 0 && at !== 0) [at, last] = [at / 2, Math.floor(last / 2)];
    } else two = nodeHash(two, node);
    [at, last] = [Math.floor(at / 2), Math.floor(last / 2)];
  }
  return last === 0 && Buffer.from(one).equals(older.root) && Buffer.from(two).equals(newer.root);
}

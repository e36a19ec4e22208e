import { ByteChain } from '../../base/index.ts';
import { varint } from './wire.ts';

/** A stretch of bytes that its length stands before: a message, a string, bytes, or an element of a BYTES tensor. */
export interface Region {
  /** Where its length begins. */
  readonly lengthAt: number;
  readonly from: number;
  readonly to: number;
  /** What it stands in; undefined: the body itself. */
  readonly parent: Region | undefined;
  /** Protobuf's varint, or the four bytes, least first, of KServe's BYTES elements. */
  readonly length: 'varint' | 'uint32';
}

/**
 * The bytes with some regions holding something else, and every length around them repaired. All else is what came: no byte of it is copied.
 *
 * @param changes regions that hold no other region.
 */
export function editWire(bytes: ByteChain, changes: ReadonlyMap<Region, Uint8Array>): ByteChain {
  if (changes.size === 0) return bytes;
  const inside = new Map<Region | undefined, Region[]>();
  const placed = new Set<Region>();
  const place = (region: Region): void => {
    if (placed.has(region)) return;
    placed.add(region);
    const siblings = inside.get(region.parent);
    if (siblings === undefined) inside.set(region.parent, [region]);
    else siblings.push(region);
    if (region.parent !== undefined) place(region.parent);
  };
  for (const region of changes.keys()) place(region);
  const parts: Uint8Array[] = [];
  /** Writes what stands from `from` to `to`, and says how many bytes that are. */
  const render = (within: Region | undefined, from: number, to: number, into: Uint8Array[]): number => {
    let at = from;
    let written = 0;
    const put = (piece: Uint8Array): void => {
      into.push(piece);
      written += piece.length;
    };
    const keep = (from: number, to: number): void => {
      for (const piece of bytes.slice(from, to).pieces) put(piece);
    };
    for (const region of (inside.get(within) ?? []).sort((a, b) => a.lengthAt - b.lengthAt)) {
      keep(at, region.lengthAt);
      const own: Uint8Array[] = [];
      const change = changes.get(region);
      const size =
        change === undefined ? render(region, region.from, region.to, own) : own.push(change) && change.length;
      put(lengthOf(size, region.length));
      for (const piece of own) put(piece);
      at = region.to;
    }
    keep(at, to);
    return written;
  };
  render(undefined, 0, bytes.length, parts);
  return ByteChain.ofAll(parts);
}

function lengthOf(size: number, kind: Region['length']): Uint8Array {
  if (kind === 'varint') return varint(size);
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(size);
  return bytes;
}

import type { KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { constants, createZstdCompress } from 'node:zlib';
import { jsonValue, parseJson } from '../../base/index.ts';
import type { BlockEntry } from '../../record/index.ts';
import { createFrontier, entryLeaf } from '../../record/index.ts';
import type { Frontier } from '../../record/index.ts';
import type { ArchivedEntry } from '../store/index.ts';
import { sealSegment } from './segment.ts';
import type { SegmentHeader } from './segment.ts';

/** Collects entries into a segment: what is in memory is compressed already, but for one batch. */
export interface SegmentWriter {
  /** Bytes so far, before compression. */
  readonly bytes: number;
  /** The tree with what was added. */
  readonly frontier: Frontier;
  add(entries: readonly ArchivedEntry[]): Promise<void>;
  /** @param head The signed head of the tree that now stands; null: none. @returns the object */
  seal(
    head: string | null,
    key: KeyObject,
  ): Promise<{ readonly header: SegmentHeaderSealed; readonly object: Uint8Array }>;
}

export type SegmentHeaderSealed = Omit<SegmentHeader, 'sha256'>;

const timeOf = (text: string): number => Number(/"at":([0-9]+)/.exec(text)?.[1] ?? 0);

/** @param frontier The tree before the first entry; entries are added to it. */
export function createSegmentWriter(log: string, frontier: Frontier = createFrontier()): SegmentWriter {
  const first = frontier.size;
  const before = frontier.root().toString('hex');
  const edge = frontier.edge().map((one) => one.toString('hex'));
  const stream = createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: 3 } });
  const pieces: Buffer[] = [];
  stream.on('data', (piece: Buffer) => pieces.push(piece));
  const namespaces = new Set<string>();
  let [bytes, events, from, to] = [0, 0, 0, 0];
  const write = async (piece: Uint8Array | string): Promise<void> => {
    bytes += Buffer.byteLength(piece);
    if (!stream.write(piece)) await once(stream, 'drain');
  };
  return {
    get bytes() {
      return bytes;
    },
    frontier,
    async add(entries) {
      for (const { data, damaged: _, ...entry } of entries) {
        if (frontier.size === first) from = timeOf(entry.text);
        to = timeOf(entry.text);
        frontier.append(entryLeaf(entry.text));
        if (entry.pod !== undefined) namespaces.add(entry.pod.namespace);
        if (data !== undefined && entry.pod !== undefined) {
          const block = jsonValue(parseJson(entry.text)) as unknown as BlockEntry;
          events += block.last - block.first + 1;
        }
        await write(`${JSON.stringify(data === undefined ? entry : { ...entry, size: data.length })}\n`);
        if (data !== undefined) await write(data);
      }
    },
    async seal(head, key) {
      stream.end();
      await once(stream, 'end');
      const header = {
        log,
        first,
        last: frontier.size - 1,
        from,
        to,
        before,
        edge,
        after: frontier.root().toString('hex'),
        head,
        namespaces: [...namespaces].sort(),
        events,
        bytes,
      };
      return { header, object: sealSegment(header, Buffer.concat(pieces), key) };
    },
  };
}

import { hash, sign, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { createZstdDecompress } from 'node:zlib';
import { CodedError, jsonValue, parseJson } from '../../base/index.ts';
import { createFrontier, edgeOf, keyName, logKeyOf } from '../../record/index.ts';
import type { Frontier, LogKeys } from '../../record/index.ts';
import type { ArchivedEntry } from '../store/index.ts';

/**
 * A segment: a run of entries of the log with what hangs on them, as one object that never changes. One line of JSON, the header, and behind
 * it entries, compressed (zstd): for each one line of JSON,
 *
 *     {"index":7,"text":"…","pod":{"namespace":"ml","name":"llama-0"},"size":5210}
 *
 * and so many bytes as `size` says: lines of a block, or evidence of a conflict. `sed 1d FILE | zstd -d` shows them.
 */
export interface SegmentHeader {
  /** {@link logId} */
  readonly log: string;
  /** Indices of its first and last entry. */
  readonly first: number;
  readonly last: number;
  /** Times of these, recorder's clock, epoch milliseconds. */
  readonly from: number;
  readonly to: number;
  /** Root of the tree before its first entry, and with its last; hex. */
  readonly before: string;
  readonly after: string;
  /** Hashes of the full subtrees before its first entry, largest first, hex: it is proven without what was before it. Older ones have none. */
  readonly edge?: readonly string[];
  /** The signed head of that tree; null: the next segments lead to one. */
  readonly head: string | null;
  /** Namespaces of the pods whose lines are in it. */
  readonly namespaces: readonly string[];
  /** Lines in it. */
  readonly events: number;
  /** Bytes behind the header, before they were compressed. */
  readonly bytes: number;
  /** SHA-256 of the bytes behind the header, as they stand; hex. */
  readonly sha256: string;
}

/** The tree before a segment's first entry; undefined: its header does not hold it. */
export function frontierBefore({ first, before, edge }: SegmentHeader): Frontier | undefined {
  if (first === 0) return createFrontier();
  if (!Array.isArray(edge) || edge.length !== edgeOf(first).length) return undefined;
  const frontier = createFrontier(
    first,
    edge.map((one) => Buffer.from(String(one), 'hex')),
  );
  return frontier.root().toString('hex') === before ? frontier : undefined;
}

export class SegmentError extends CodedError<'changed' | 'truncated' | 'forged'> {}

/** Of a segment, or a head beside them. */
export const notSigned = (): SegmentError => new SegmentError('forged', 'the key of the log has not signed it');

/** The header is signed as a head is: its bytes up to and without `,"signature"`, by the key that `key` names. */
const shape = /^(\{"v":1,"type":"segment",.*,"key":"([0-9a-f]{64})"),"signature":"([A-Za-z0-9+/=]{1,200})"\}$/;
const longestHeader = 1024 * 1024;
/** Nearly all have less. */
const shortHeader = 16 * 1024;
/** Most bytes behind a header before they were compressed: four times what the archiver fills one with. */
const mostBytes = 64 * 1024 * 1024;
const lineFeed = 0x0a;

export function sealSegment(header: Omit<SegmentHeader, 'sha256'>, body: Uint8Array, key: KeyObject): Uint8Array {
  const members = { v: 1, type: 'segment', ...header, sha256: hash('sha256', body, 'hex'), key: keyName(key) };
  const text = JSON.stringify(members).slice(0, -1);
  const signature = sign(null, Buffer.from(text), key).toString('base64');
  return Buffer.concat([Buffer.from(`${text},"signature":"${signature}"}\n`), body]);
}

export interface Segment {
  readonly header: SegmentHeader;
  /** @throws SegmentError */
  entries(): AsyncIterable<ArchivedEntry>;
}

/**
 * Reads a segment, of which nothing is believed before its hash and signature are right.
 *
 * @param publicKey Of the log; undefined: whoever signed it.
 * @throws SegmentError
 */
export function openSegment(object: Uint8Array, publicKey: LogKeys | undefined): Segment {
  const bytes = Buffer.from(object.buffer, object.byteOffset, object.byteLength);
  const { header, end } = readStart(bytes, publicKey) ?? noSegment();
  // Without a key nobody has vouched for what the header says.
  if (header.bytes > mostBytes) throw new SegmentError('changed', 'it holds more than any that is written');
  const body = bytes.subarray(end + 1);
  if (hash('sha256', body, 'hex') !== header.sha256)
    throw new SegmentError('changed', 'its entries are not those that were signed');
  return { header, entries: () => readEntries(body, header) };
}

const noSegment = (): never => {
  throw new SegmentError('changed', 'it is no segment');
};

/**
 * Reads the header of a segment from its first bytes, of which nothing is believed before its signature is right; what stands behind it is not looked at.
 *
 * @param publicKey As of {@link openSegment}.
 * @param start Gives so many of its first bytes, or all that there are. Undefined: it is not there.
 * @throws SegmentError, and what `start` does
 */
export async function openHeader(
  start: (most: number) => Promise<Uint8Array | undefined>,
  publicKey: LogKeys | undefined,
): Promise<Pick<Segment, 'header'> | undefined> {
  for (const most of [shortHeader, longestHeader]) {
    const bytes = await start(most);
    if (bytes === undefined) return undefined;
    const header = readStart(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), publicKey);
    if (header !== undefined) return header;
    if (bytes.length < most) break;
  }
  return noSegment();
}

/** @returns undefined: there is no line that could be a header */
function readStart(
  bytes: Buffer,
  publicKey: LogKeys | undefined,
): { readonly header: SegmentHeader; readonly end: number } | undefined {
  const end = bytes.subarray(0, longestHeader).indexOf(lineFeed);
  if (end === -1) return undefined;
  return { header: readHeader(bytes.toString('utf8', 0, end), publicKey) ?? noSegment(), end };
}

function readHeader(text: string, publicKey: LogKeys | undefined): SegmentHeader | undefined {
  const [, signed, key, signature] = shape.exec(text) ?? [];
  if (signed === undefined || signature === undefined) return undefined;
  if (publicKey !== undefined) {
    const own = logKeyOf(publicKey, key ?? '');
    if (own === undefined || !verify(null, Buffer.from(signed), own, Buffer.from(signature, 'base64')))
      throw notSigned();
  }
  try {
    const header = jsonValue(parseJson(text)) as unknown as SegmentHeader;
    const whole = [header.first, header.last, header.from, header.to, header.events, header.bytes];
    const good = whole.every((one) => Number.isSafeInteger(one) && one >= 0) && header.last >= header.first;
    return good && Array.isArray(header.namespaces) ? header : undefined;
  } catch {
    return undefined;
  }
}

async function* readEntries(body: Uint8Array, header: SegmentHeader): AsyncIterable<ArchivedEntry> {
  const reader = createReader(unpack(body, header.bytes));
  for (let index = header.first; index <= header.last; index++) {
    const text = await reader.line();
    if (text === undefined) throw new SegmentError('truncated', `its entries end before ${index}`);
    const { size, ...entry } = readEntry(text, index);
    yield size === undefined ? entry : { ...entry, data: await reader.bytes(size) };
  }
}

function readEntry(text: string, index: number): ArchivedEntry & { readonly size?: number } {
  let entry: ArchivedEntry & { readonly size?: number };
  try {
    entry = jsonValue(parseJson(text, { loneSurrogates: true })) as unknown as typeof entry;
  } catch (error) {
    throw new SegmentError('changed', `entry ${index} cannot be read`, { cause: error });
  }
  const { size = 0 } = entry;
  if (entry.index !== index || typeof entry.text !== 'string' || !(Number.isSafeInteger(size) && size >= 0))
    throw new SegmentError('changed', `something else stands where entry ${index} must`);
  return entry;
}

/** The bytes before they were compressed, piece by piece. */
async function* unpack(body: Uint8Array, size: number): AsyncIterable<Buffer> {
  const stream = createZstdDecompress({ chunkSize: 256 * 1024 });
  stream.end(body);
  let read = 0;
  try {
    for await (const piece of stream as AsyncIterable<Buffer>) {
      read += piece.length;
      if (read > size) throw new SegmentError('changed', 'it holds more than its header says');
      yield piece;
    }
  } catch (error) {
    if (error instanceof SegmentError) throw error;
    throw new SegmentError('changed', 'its entries cannot be unpacked', { cause: error });
  }
  if (read < size) throw new SegmentError('truncated', 'it holds less than its header says');
}

/** Lines, and so many bytes, of what comes in pieces. */
function createReader(pieces: AsyncIterable<Buffer>): {
  /** Without its line feed; undefined: there is none. */
  line(): Promise<string | undefined>;
  bytes(size: number): Promise<Buffer>;
} {
  const source = pieces[Symbol.asyncIterator]();
  let rest = Buffer.alloc(0);
  const more = async (): Promise<boolean> => {
    const { done, value } = await source.next();
    if (done !== true) rest = Buffer.concat([rest, value]);
    return done !== true;
  };
  const take = (size: number): Buffer => {
    const taken = rest.subarray(0, size);
    rest = rest.subarray(size);
    return taken;
  };
  return {
    async line() {
      let end = rest.indexOf(lineFeed);
      while (end === -1) {
        const from = rest.length;
        if (!(await more())) return undefined;
        end = rest.indexOf(lineFeed, from);
      }
      return take(end + 1).toString('utf8', 0, end);
    },
    async bytes(size) {
      while (rest.length < size) if (!(await more())) throw new SegmentError('truncated', 'lines that are cut off');
      return take(size);
    },
  };
}

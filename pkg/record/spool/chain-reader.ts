import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { errorCode } from '../../base/index.ts';
import { auditDigest, isWhole, placeOf } from '../audit-line.ts';
import { rotatedFiles } from '../audit-verify.ts';
import { lastOf, linesIn } from './chain-files.ts';

/**
 * Reads a chain's files from a point on, while they are written, rotated and removed.
 *
 * A disk that flips a bit or gives back zeros takes the lines that it struck and no others: each line's own hash is looked at, and what
 * is not as it was hashed is not there. A full file ends with the line that its name says, whatever the disk has of it. Whether a line follows
 * the one before it is the recorder's to judge.
 */
export interface ChainReader {
  /**
   * What comes next, up to `upTo`: lines as they are, or that some are not there. Undefined: nothing now. The bytes are good until
   * the next call.
   *
   * @throws what the file system throws
   */
  next(upTo: number): Piece | undefined;
  /** Last sequence number that `next` has given. */
  readonly sequence: number;
  /**
   * Behind the last line that was given: lines that a full file had by its name, and what stands there and is no whole line. More may come that says
   * what it was.
   */
  readonly unreadable: number;
  close(): void;
}

export type Piece =
  | {
      readonly kind: 'lines';
      readonly first: number;
      readonly count: number;
      readonly bytes: Buffer;
      readonly last: Point;
    }
  | {
      readonly kind: 'skip';
      readonly from: number;
      readonly to: number;
      readonly hash: string;
      readonly why: 'missing' | 'too_long' | 'unreadable';
    };

type Place = NonNullable<ReturnType<typeof placeOf>>;

interface Point {
  readonly sequence: number;
  readonly hash: string;
}

export interface ChainReaderOptions {
  readonly path: string;
  /** The point after which reading begins. */
  readonly after: Point;
  /** Bytes of lines in one piece; a longer line is a piece of its own. Default 256 KiB. */
  readonly pieceBytes?: number;
  /** Longest line that is given. */
  readonly maxLine: number;
  /** Called where the file has another hash at `after` than it should. */
  readonly onOther?: () => void;
}

const lineFeed = 10;
const digest = auditDigest(undefined);

const inodeOf = (file: string): number | undefined => statSync(file, { throwIfNoEntry: false })?.ino;

export function createChainReader(options: ChainReaderOptions): ChainReader {
  const { path, after, pieceBytes = 256 * 1024, maxLine } = options;
  let sequence = after.sequence;
  let fd: number | undefined;
  let inode: number | undefined;
  let offset = 0;
  /** Bytes that were read and not given. */
  let rest = Buffer.alloc(0);
  /** The last line of the open file, by its name; Infinity: it is the one that is written. */
  let end = 0;
  /** What are no lines any more since the last one that is; and those of the open file. */
  let bad = 0;
  let badHere = 0;

  const scratch = Buffer.alloc(pieceBytes);

  const leave = (): void => {
    if (fd !== undefined) closeSync(fd);
    fd = undefined;
    rest = Buffer.alloc(0);
    offset = 0;
  };
  /** The file in which the next line is, as far as names say; undefined: the one that is open, which still grows. */
  const wanted = (): string | undefined => {
    if (fd !== undefined && end === Infinity && inodeOf(path) === inode) return undefined;
    const full = rotatedFiles(path);
    // It was written when it was opened, and has a name that says where it ends.
    if (end === Infinity) end = Math.max(0, ...full.filter((file) => inodeOf(file) === inode).map(lastOf));
    return full.find((file) => lastOf(file) > Math.max(sequence, end)) ?? path;
  };
  /** At the end of the open file. @returns false when there is no other. */
  const move = (): boolean => {
    try {
      const file = wanted();
      if (file === undefined) return false;
      const opened = openSync(file, 'r');
      if (rest.length > 0) bad += 1;
      leave();
      fd = opened;
      inode = fstatSync(opened).ino;
      end = lastOf(file);
      badHere = 0;
      return true;
    } catch (error) {
      // Rotated at this moment, or not begun: the next call sees.
      if (errorCode(error) === 'ENOENT') return false;
      throw error;
    }
  };
  /** @returns false at the end of the file */
  const fill = (): boolean => {
    if (fd === undefined) return false;
    const read = readSync(fd, scratch, 0, scratch.length, offset);
    if (read === 0) return false;
    offset += read;
    rest = Buffer.concat([rest, scratch.subarray(0, read)]);
    return true;
  };

  /** That the next line in `rest` cannot follow, or cannot be sent. */
  const skipOf = (place: Place, length: number): Extract<Piece, { kind: 'skip' }> | undefined => {
    if (place.seq > sequence + 1) {
      const why = bad > 0 ? 'unreadable' : 'missing';
      return { kind: 'skip', from: sequence + 1, to: place.seq - 1, hash: place.prev, why };
    }
    if (length > maxLine) return { kind: 'skip', from: place.seq, to: place.seq, hash: place.hash, why: 'too_long' };
    return undefined;
  };

  /** The place of a line that comes next; or that it was given before, or is no line as it was hashed. */
  const judge = (line: Uint8Array): Place | 'known' | 'bad' => {
    if (line.length === 0) return 'known';
    const place = placeOf(line);
    if (place === undefined) return 'bad';
    const isKnown = place.seq <= sequence;
    // What was sent before is read again at each start: only the point that all goes on from is proven.
    if (isKnown && place.seq !== after.sequence) return sequence > after.sequence ? 'bad' : 'known';
    if (!isWhole(line, digest)) return 'bad';
    if (!isKnown) return place;
    if (place.hash !== after.hash) options.onOther?.();
    return 'known';
  };

  /** Takes whole lines off `rest`. */
  const take = (upTo: number): Piece | undefined => {
    let from = 0;
    let begin = 0;
    let first = 0;
    let last: Point | undefined;
    while (sequence < upTo) {
      const to = rest.indexOf(lineFeed, from);
      if (to === -1) break;
      const line = rest.subarray(from, to);
      const place = judge(line);
      if (typeof place === 'string') {
        // The rest of a failed write, what was sent before, or what the disk did not keep: a piece ends there.
        if (last !== undefined) break;
        if (place === 'bad') {
          const lost = linesIn(line);
          bad += lost;
          badHere += lost;
        }
        from = to + 1;
        continue;
      }
      const skip = skipOf(place, line.length);
      if (last !== undefined && (skip !== undefined || to + 1 - begin > pieceBytes)) break;
      sequence = skip?.to ?? place.seq;
      // What comes after a hole is read again.
      if (skip === undefined || skip.to === place.seq) from = to + 1;
      bad = 0;
      badHere = 0;
      if (skip !== undefined) {
        rest = rest.subarray(from);
        return skip;
      }
      if (last === undefined) {
        begin = to - line.length;
        first = place.seq;
      }
      last = { sequence: place.seq, hash: place.hash };
    }
    const bytes = rest.subarray(begin, from);
    rest = rest.subarray(from);
    return last === undefined ? undefined : { kind: 'lines', first, count: last.sequence - first + 1, bytes, last };
  };

  return {
    next(upTo) {
      if (sequence >= upTo) return undefined;
      if (fd === undefined && !move()) return undefined;
      for (;;) {
        const piece = take(upTo);
        if (piece !== undefined) return piece;
        if (sequence >= upTo) return undefined;
        if (!fill() && !move()) return undefined;
      }
    },
    get sequence() {
      return sequence;
    },
    get unreadable() {
      const pieces = badHere + (rest.length > 0 ? linesIn(rest) : 0);
      const named = Math.max(
        0,
        ...rotatedFiles(path)
          .slice(-1)
          .map(lastOf)
          .map((last) => last - sequence),
      );
      // Pieces of a full file are among the lines that its name tells of.
      return end === Infinity ? named + pieces : Math.max(named, pieces);
    },
    close: leave,
  };
}

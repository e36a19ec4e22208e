import { fstatSync, readSync } from 'node:fs';
import { chainStart, readAuditLine } from './audit-line.ts';
import type { ChainHead, Digest } from './audit-line.ts';

/** How the end of an existing log was found. */
export interface AuditTail {
  /** Where the chain goes on. */
  readonly head: ChainHead;
  /** Bytes up to and with the last good line; what stands after them is to be kept aside. */
  readonly goodBytes: number;
  /** The last good line has no line feed yet. */
  readonly unterminated: boolean;
  /** What stands after the last good line, and how many lines that is. */
  readonly rest: Buffer;
  readonly restLines: number;
  /** False: no line of the window is good, so nothing can be continued. */
  readonly usable: boolean;
}

/** Longest look back for a good line: many times the longest line that the sidecar writes. */
const windowBytes = 4 * 1024 * 1024;

const lineFeed = 10;

/** Reads the end of a log: the process may have died in the middle of a write. Reads only. */
export function readAuditTail(fd: number, digest: Digest): AuditTail {
  const size = fstatSync(fd).size;
  const window = Buffer.alloc(Math.min(size, windowBytes));
  let filled = 0;
  while (filled < window.length) {
    const read = readSync(fd, window, filled, window.length - filled, size - window.length + filled);
    if (read === 0) break;
    filled += read;
  }
  const base = size - window.length;
  const text = window.subarray(0, filled);
  let end = text.length;
  let restLines = 0;
  while (end > 0) {
    const terminated = text[end - 1] === lineFeed;
    const stop = terminated ? end - 1 : end;
    const start = stop === 0 ? 0 : text.lastIndexOf(lineFeed, stop - 1) + 1;
    const record = readAuditLine(text.toString('utf8', start, stop), digest);
    if (typeof record !== 'string') {
      const head = { seq: record.seq, hash: record.hash };
      return {
        head,
        goodBytes: base + end,
        unterminated: !terminated,
        rest: text.subarray(end),
        restLines,
        usable: true,
      };
    }
    restLines++;
    end = start;
  }
  return { head: chainStart, goodBytes: 0, unterminated: false, rest: text, restLines, usable: size === 0 };
}

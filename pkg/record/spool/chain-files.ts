import { closeSync, openSync, readSync, readdirSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { parseJson } from '../../base/index.ts';
import { auditDigest, isWhole, placeOf } from '../audit-line.ts';
import { gapOf } from '../gap.ts';

/** A line of a chain, by its number and its hash. */
export interface ChainPoint {
  readonly sequence: number;
  readonly hash: string;
}

/**
 * What the files of a chain say of a line that somebody has.
 *
 * - `same`: it is the line that is here, so that all lines before it are those that are here; or no line up to it is here
 * - `other`: another line stands here under its number, or another is the one that the next line follows
 * - `ends`: lines are here, and all of them come before it
 * - `unreadable`: what stood there is not as it was written, and lines come before it and behind it
 */
export type PointFound = 'same' | 'other' | 'ends' | 'unreadable';

const lineFeed = 10;
const pieceBytes = 256 * 1024;
const digest = auditDigest(undefined);

/** The number of the last line of a full file, by its name; of the one that is written there is none: Infinity. */
export const lastOf = (file: string): number => {
  const [, last] = /\.jsonl\.([0-9]{15})$/.exec(file) ?? [];
  return last === undefined ? Infinity : Number(last);
};
/** In the order of their lines. A file that cannot be looked at is there: where it is opened that is said. */
const filesOf = (path: string): readonly string[] =>
  readdirSync(dirname(path))
    .filter((name) => name === basename(path) || (name.startsWith(`${basename(path)}.`) && lastOf(name) !== Infinity))
    .sort((a, b) => (lastOf(a) < lastOf(b) ? -1 : 1))
    .map((name) => join(dirname(path), name));

/** Cuts pieces into lines; what is left at the end is the last. */
function createLineCutter(onLine: (line: Buffer) => void) {
  let rest = Buffer.alloc(0);
  return {
    push(piece: Uint8Array): void {
      // What is left has no line feed.
      const known = rest.length;
      rest = Buffer.concat([rest, piece]);
      let from = 0;
      for (let to = rest.indexOf(lineFeed, known); to !== -1; to = rest.indexOf(lineFeed, from)) {
        if (to > from) onLine(rest.subarray(from, to));
        from = to + 1;
      }
      rest = rest.subarray(from);
    },
    end(): void {
      if (rest.length > 0) onLine(rest);
    },
  };
}

const lineStart = '{"v":1,"seq":';
/** The number that a line says to have, by its first bytes: of thousands of lines two are looked at closer. */
function numberOf(line: Buffer): number | undefined {
  const start = line.toString('latin1', 0, lineStart.length + 16);
  if (!start.startsWith(lineStart)) return undefined;
  const number = Number.parseInt(start.slice(lineStart.length), 10);
  return Number.isNaN(number) ? undefined : number;
}

const hashMember = ',"hash":"';
const times = (piece: Buffer, text: string): number => {
  let count = 0;
  for (let at = piece.indexOf(text); at !== -1; at = piece.indexOf(text, at + text.length)) count++;
  return count;
};
/** How many lines a piece between line feeds was that is none: where a line feed was lost, it is more than one. In no text stands what is looked for. */
export const linesIn = (piece: Buffer): number => Math.max(1, times(piece, lineStart), times(piece, hashMember));

/**
 * Reads the file that should have the line, and the one behind it.
 *
 * @throws what the file system throws
 */
export function findPoint(path: string, { sequence, hash }: ChainPoint): PointFound {
  if (sequence === 0) return 'same';
  const files = filesOf(path);
  if (files.length === 0) return 'same';
  const at = files.findIndex((file) => lastOf(file) >= sequence);
  const first = at === -1 ? files.length - 1 : at;
  let same = false;
  /** Another line of that number. */
  let another = false;
  /** The next line follows another. */
  let unlinked = false;
  let before = first > 0;
  let behind = files.length > first + 2;
  for (const file of files.slice(first, first + 2))
    readFileLines(file, (line) => {
      const number = numberOf(line);
      if (number === undefined) return;
      if (number <= sequence) before = true;
      else behind = true;
      if (number !== sequence && number !== sequence + 1) return;
      // Where its line feed has become another byte, it is the line still.
      const place = placeOf(line) ?? placeOf(line.subarray(0, -1));
      if (place === undefined) return;
      if ((number === sequence ? place.hash : place.prev) === hash) same = true;
      else if (isWhole(line, digest)) {
        if (number === sequence) another = true;
        else unlinked = true;
      }
    });
  if (another || (unlinked && !same)) return 'other';
  if (same || !before) return 'same';
  return behind ? 'unreadable' : 'ends';
}

function readFileLines(file: string, onLine: (line: Buffer) => void): void {
  const cutter = createLineCutter(onLine);
  const piece = Buffer.alloc(pieceBytes);
  const fd = openSync(file, 'r');
  try {
    for (let read = readSync(fd, piece); read > 0; read = readSync(fd, piece)) cutter.push(piece.subarray(0, read));
    cutter.end();
  } finally {
    closeSync(fd);
  }
}

/**
 * Events that the files of a chain hold, or tell of in their gaps, rather too many than too few: whatever stands between line feeds counts,
 * also a signature. Gives up the thread after each piece: a spool may have hundreds of MiB, and requests wait.
 *
 * @param chain That nobody writes any more.
 * @param above Lines up to this number do not count.
 * @param upTo Lines behind this number do not count.
 * @throws what the file system throws
 */
export async function countEvents(path: string, above: number, upTo: number): Promise<number> {
  let events = 0;
  const cutter = (): ReturnType<typeof createLineCutter> =>
    createLineCutter((line) => {
      const sequence = placeOf(line)?.seq;
      if (sequence !== undefined && (sequence <= above || sequence > upTo)) return;
      events += weightOf(line);
    });
  for (const file of filesOf(path)) {
    const handle = await open(file, 'r');
    try {
      const lines = cutter();
      const piece = Buffer.alloc(pieceBytes);
      for (;;) {
        const { bytesRead } = await handle.read(piece, 0, piece.length, null);
        if (bytesRead === 0) break;
        lines.push(piece.subarray(0, bytesRead));
      }
      lines.end();
    } finally {
      await handle.close();
    }
  }
  return events;
}

function weightOf(line: Buffer): number {
  const lines = linesIn(line);
  if (lines > 1 || !line.includes('"what":"gap"')) return lines;
  try {
    return Math.max(1, gapOf(parseJson(line.toString())));
  } catch {
    return 1;
  }
}

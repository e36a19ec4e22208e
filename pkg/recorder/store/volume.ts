import { randomFillSync } from 'node:crypto';
import { rmSync, statSync, statfsSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errorCode } from '../../base/index.ts';

/** The volume that a store is on, with a file that keeps room there: a volume that is full leaves no room to delete by. */
export interface Volume {
  readonly freeBytes: number;
  readonly sizeBytes: number;
  /** Of the file, by which what is free is less. */
  readonly reserveBytes: number;
  /** Gives the room of the file to whoever is first. */
  release(): void;
  /** Makes the file, as large as leaves free what has to be; where there is no room, none. */
  keep(): Promise<void>;
}

const pieceBytes = 1024 * 1024;

export function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return 0;
    throw error;
  }
}

/**
 * @param path Of the file.
 * @param bytes Of it where there is room; half as many stay free beside it.
 */
export function openVolume(path: string, bytes: number): Volume {
  const folder = dirname(path);
  const freeBytes = (): number => {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  };
  const write = async (size: number): Promise<void> => {
    // What no file system makes smaller.
    const piece = randomFillSync(Buffer.alloc(Math.min(size, pieceBytes)));
    const file = await open(path, 'w', 0o600);
    try {
      for (let left = size; left > 0;) left -= (await file.write(piece, 0, Math.min(left, piece.length))).bytesWritten;
      await file.sync();
    } finally {
      await file.close();
    }
  };
  let writing: Promise<void> | undefined;
  return {
    get freeBytes() {
      return freeBytes();
    },
    get sizeBytes() {
      const { blocks, bsize } = statfsSync(folder);
      return blocks * bsize;
    },
    get reserveBytes() {
      return sizeOf(path);
    },
    release: () => rmSync(path, { force: true }),
    async keep() {
      const now = sizeOf(path);
      const size = Math.floor(Math.min(bytes, now + freeBytes() - bytes / 2));
      // A little more is not worth that it is gone meanwhile.
      if (writing !== undefined || now >= bytes || size < now + bytes / 4) return;
      writing = write(size).catch((error: unknown) => {
        rmSync(path, { force: true });
        if (errorCode(error) !== 'ENOSPC' && errorCode(error) !== 'EDQUOT') throw error;
      });
      await writing.finally(() => {
        writing = undefined;
      });
    },
  };
}

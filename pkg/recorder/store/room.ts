import type { DatabaseSync } from 'node:sqlite';
import { errorCode } from '../../base/index.ts';
import { StoreError } from './store-error.ts';
import type { Volume } from './volume.ts';

/**
 * Whether the store may take something in: not while there is less room for it than deleting needs, in free pages of the file and on the volume.
 * It may again once twice as much is there.
 */
export interface Room {
  /** @throws StoreError unavailable, while there is none */
  need(): void;
  /** What is left to the index of words, which is never what deleting needs. */
  readonly forWords: boolean;
  readonly full: boolean;
  /** In the file, of pages that nothing is in. */
  readonly freePageBytes: number;
  /** There is not much more room than deleting needs. */
  readonly tight: boolean;
  /** What a write has failed by: where that was the volume, the reserve is released. */
  failed(error: unknown): void;
  /** Some was made, or may have been. */
  look(): void;
}

/** SQLITE_FULL, and SQLITE_IOERR where the system has no room for what SQLite writes beside its pages. */
const [fullCode, ioCode] = [13, 10];
const none = 1024 * 1024;

/** @param needBytes What deleting needs. */
export function createRoom(db: DatabaseSync, volume: Volume, needBytes: number): Room {
  const freePages = db.prepare('PRAGMA freelist_count');
  const pageBytes = Number(db.prepare('PRAGMA page_size').get()?.['page_size']);
  let full = false;
  const freePageBytes = (): number => Number(freePages.get()?.['freelist_count']) * pageBytes;
  const look = (): void => {
    const { freeBytes } = volume;
    // Which costs more to ask.
    const pages = freeBytes >= 2 * needBytes ? 0 : freePageBytes();
    full = freeBytes + pages < (full ? 2 : 1) * needBytes;
  };
  look();
  return {
    need() {
      look();
      if (full) throw new StoreError('unavailable', 'the volume of the store is full');
    },
    get forWords() {
      return volume.freeBytes >= needBytes / 2;
    },
    get full() {
      return full;
    },
    get freePageBytes() {
      return freePageBytes();
    },
    get tight() {
      return full || volume.freeBytes < 4 * needBytes;
    },
    failed(error) {
      const cause = error instanceof StoreError ? error.cause : error;
      if (errorCode(cause) !== 'ERR_SQLITE_ERROR') return;
      const number = ((cause as { readonly errcode?: number }).errcode ?? 0) & 0xff;
      if (number !== fullCode && !(number === ioCode && volume.freeBytes < none)) return;
      full = true;
      volume.release();
    },
    look,
  };
}

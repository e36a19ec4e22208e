import { closeSync, constants, fdatasync, fsyncSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describeError, errorCode } from '../../base/index.ts';
import type { Logger } from '../../base/index.ts';

/**
 * How many events were refused and stand in no `gap` line yet, beside the spool: a process that is killed before it can write that line leaves
 * the number to the next one. The file has its room on the disk from the start and is written in place, so that a disk that is full does not
 * hinder it. It is in the kernel's hands with each loss, and on the disk soon after.
 */
export interface LossMark {
  /** What processes before left. */
  readonly before: number;
  keep(lost: number): void;
  close(): void;
}

const fileName = 'lost';
const digits = 16;
const shape = /^[0-9]{16}\n$/;
const textOf = (lost: number): string => `${String(lost).padStart(digits, '0')}\n`;

/** Undefined: there is none. */
function openFound(path: string): number | undefined {
  try {
    return openSync(path, constants.O_RDWR);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Where the mark cannot be had it says so in the log, and keeps nothing. What it cannot read counts as one. */
export function openLossMark(folder: string, logger: Logger): LossMark {
  let fd: number | undefined;
  let before = 0;
  /** Something of it is in the file. */
  let written = false;
  let failed = false;
  const fail = (error: unknown): void => {
    if (!failed)
      logger.warn('what is not recorded will not be told after a crash: its mark beside the spool cannot be written', {
        error: describeError(error),
      });
    failed = true;
  };
  const path = join(folder, fileName);
  try {
    const found = openFound(path);
    if (found === undefined) {
      fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
      writeSync(fd, textOf(0), 0);
      written = true;
      fsyncSync(fd);
    } else {
      fd = found;
      const bytes = Buffer.alloc(digits + 1);
      const text = bytes.toString('latin1', 0, readSync(fd, bytes, 0, bytes.length, 0));
      // Empty: there was no room for it when it was made, and so none for what came.
      before = shape.test(text) ? Number(text) : 1;
      written = text !== '';
    }
  } catch (error) {
    fail(error);
  }
  let kept = before;
  let syncing = false;
  const sync = (of: number): void => {
    syncing = true;
    const synced = kept;
    fdatasync(of, (error) => {
      syncing = false;
      // It was closed meanwhile, with a sync of its own.
      if (fd !== of) return;
      if (error !== null) fail(error);
      else if (kept !== synced) sync(of);
    });
  };
  return {
    before,
    keep(lost) {
      if (fd === undefined || lost === kept) return;
      try {
        writeSync(fd, textOf(Math.min(lost, Number.MAX_SAFE_INTEGER)), 0);
        kept = lost;
        written = true;
        failed = false;
        if (!syncing) sync(fd);
      } catch (error) {
        fail(error);
      }
    },
    close() {
      if (fd === undefined) return;
      const open = fd;
      fd = undefined;
      try {
        // The next process would take it for a loss.
        if (!written) writeSync(open, textOf(kept), 0);
        fsyncSync(open);
      } catch (error) {
        fail(error);
      }
      closeSync(open);
    },
  };
}

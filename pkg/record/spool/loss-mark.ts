import { closeSync, constants, fdatasync, fstatSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describeError } from '../../base/index.ts';
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

/** Where the mark cannot be had it says so in the log, and keeps nothing. What it cannot read counts as one. */
export function openLossMark(folder: string, logger: Logger): LossMark {
  let fd: number | undefined;
  let before = 0;
  let failed = false;
  const fail = (error: unknown): void => {
    if (!failed)
      logger.warn('what is not recorded will not be told after a crash: its mark beside the spool cannot be written', {
        error: describeError(error),
      });
    failed = true;
  };
  try {
    fd = openSync(join(folder, fileName), constants.O_RDWR | constants.O_CREAT, 0o600);
    const bytes = Buffer.alloc(fstatSync(fd).size === 0 ? 0 : digits + 1);
    readSync(fd, bytes, 0, bytes.length, 0);
    const text = bytes.toString('latin1');
    if (text === '') {
      writeSync(fd, textOf(0), 0);
      fsyncSync(fd);
    } else before = shape.test(text) ? Number(text) : 1;
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
        fsyncSync(open);
      } catch (error) {
        fail(error);
      }
      closeSync(open);
    },
  };
}

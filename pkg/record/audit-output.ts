import {
  closeSync,
  constants,
  existsSync,
  fdatasync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { describeError, errorCode } from '../base/index.ts';
import type { Clock, Logger } from '../base/index.ts';
import type { ChainHead, Digest } from './audit-line.ts';
import type { AuditLines } from './audit-lines.ts';
import { readAuditTail } from './audit-tail.ts';
import { rotatedFiles } from './audit-verify.ts';
import { unblocked } from './unblocked.ts';
import type { Unblocked } from './unblocked.ts';

/** System calls, as arguments: tests make them fail where a disk would. */
export interface AuditIo {
  /** As `fs.writeSync`: bytes taken by the kernel. */
  write(fd: number, bytes: Uint8Array, offset: number, length: number): number;
  truncate(fd: number, size: number): void;
  sync(fd: number, done: (error: Error | null) => void): void;
  /** Waits without giving up the thread: only while a pipe is full. */
  pause(ms: number): void;
}

const sleeper = new Int32Array(new SharedArrayBuffer(4));

export const systemAuditIo: AuditIo = {
  write: (fd, bytes, offset, length) => writeSync(fd, bytes, offset, length),
  truncate: (fd, size) => ftruncateSync(fd, size),
  sync: (fd, done) => fdatasync(fd, done),
  pause: (ms) => void Atomics.wait(sleeper, 0, 0, ms),
};

export interface AuditOutputOptions {
  readonly output: { readonly path: string } | { readonly fd: number };
  readonly clock: Clock;
  readonly logger: Logger;
  readonly digest: Digest;
  readonly maxBytes: number;
  /** Of a chain that begins here. */
  readonly start: ChainHead;
  readonly io: AuditIo;
}

/** A full pipe is waited for so long in all (20 steps of 1 ms), then the record counts as unavailable. */
const fullPipeSteps = 20;
/** And is not tried again for so long: each wait stops the whole process. */
const fullPipeRetryMs = 1_000;
const rotateRetryMs = 60_000;

const lineFeed = 10;

/** The place where bytes go: knows how much of it is whole, and mends it. */
export class AuditOutput {
  readonly #options: AuditOutputOptions;
  readonly #io: AuditIo;
  readonly #path: string | undefined;
  #fd = -1;
  #regular = false;
  #size = 0;
  /** The last line has no line feed: the next write begins with one. */
  #unterminated = false;
  #retryOpenAt = 0;
  #retryRotateAt = 0;
  /** Of a descriptor that others gave. */
  #given: Unblocked | undefined;
  /** The pipe was full: what is written before then fails at once. */
  #full: { readonly until: number; readonly error: unknown } | undefined;
  /** Files that were left and are not synced yet. */
  #leaving = 0;
  /** Why one that was left was not synced; until it is told. */
  #leftUnsynced: Error | undefined;
  #onLeft: (() => void) | undefined;

  constructor(options: AuditOutputOptions) {
    this.#options = options;
    this.#io = options.io;
    this.#path = 'path' in options.output ? options.output.path : undefined;
  }

  /** Only regular files can be synced. */
  get syncable(): boolean {
    return this.#regular;
  }

  /** Syncs what is open, and waits for what was left: without an error all that was written before is on the disk. One at a time. */
  sync(done: (error: Error | null) => void): void {
    const fd = this.#fd;
    const own = (): void => {
      const left = this.#leftUnsynced;
      this.#leftUnsynced = undefined;
      // The file that was open may be one that was left meanwhile: it was synced as such.
      if (fd === -1 || fd !== this.#fd || left !== undefined) return done(left ?? null);
      this.#io.sync(fd, done);
    };
    if (this.#leaving === 0) return own();
    this.#onLeft = own;
  }

  /**
   * Opens what is not open, at most once a second.
   *
   * @returns what an existing file says about the chain, when it was opened for the first time.
   * @throws when it cannot be opened, or cannot be continued: then nothing is open.
   */
  open(first: boolean): { readonly head: ChainHead; readonly lost: number } | undefined {
    if (this.#fd !== -1) return undefined;
    const now = this.#options.clock.monotonic();
    if (now < this.#retryOpenAt) throw new Error('the audit file could not be opened a moment ago');
    this.#retryOpenAt = now + 1000;
    if (this.#path === undefined) {
      this.#given = unblocked('fd' in this.#options.output ? this.#options.output.fd : -1);
      this.#fd = this.#given.fd;
      this.#regular = fstatSync(this.#fd).isFile();
      return undefined;
    }
    this.#openFile(this.#path);
    if (!first) return undefined;
    try {
      return this.#continueChain(this.#path);
    } catch (error) {
      if (this.#fd !== -1) closeSync(this.#fd);
      this.#fd = -1;
      throw error;
    }
  }

  #openFile(path: string): void {
    // Append: whatever else happens to the file, a write never lands on bytes that are there.
    // Not blocking: the name may be that of a pipe, such as /dev/stdout.
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_APPEND | constants.O_NONBLOCK;
    const fd = openSync(path, flags, 0o600);
    try {
      const stat = fstatSync(fd);
      this.#regular = stat.isFile();
      this.#size = stat.size;
      // A line that was torn before the file was left is there still.
      this.#unterminated = this.#regular && stat.size > 0 && lastByte(fd, stat.size) !== lineFeed;
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    this.#fd = fd;
  }

  #continueChain(path: string): { readonly head: ChainHead; readonly lost: number } | undefined {
    if (!this.#regular) return undefined;
    const { clock, logger } = this.#options;
    if (this.#size === 0) return { head: this.#lastRotated(path), lost: 0 };
    const tail = readAuditTail(this.#fd, this.#options.digest);
    const when = new Date(clock.now()).toISOString().replace(/[:.]/g, '');
    if (!tail.usable) {
      const aside = `${path}.unreadable-${when}`;
      closeSync(this.#fd);
      this.#fd = -1;
      renameSync(path, aside);
      logger.error('no audit record in the file can be continued: moved aside, a new chain begins', { file: aside });
      this.#openFile(path);
      return { head: this.#options.start, lost: tail.restLines };
    }
    this.#unterminated = tail.unterminated;
    if (tail.rest.length > 0) {
      const aside = `${path}.torn-${tail.head.seq}-${when}`;
      setAside(aside, tail.rest);
      this.#io.truncate(this.#fd, tail.goodBytes);
      this.#size = tail.goodBytes;
      logger.warn('the audit file had a torn end: moved aside', { file: aside, bytes: tail.rest.length });
    }
    return { head: tail.head, lost: tail.restLines };
  }

  /** Where an empty file goes on: the process may have died between a rotation and the first line after it. */
  #lastRotated(path: string): ChainHead {
    const last = rotatedFiles(path).at(-1);
    if (last === undefined) return this.#options.start;
    const fd = openSync(last, 'r');
    try {
      const tail = readAuditTail(fd, this.#options.digest);
      return tail.usable ? tail.head : this.#options.start;
    } finally {
      closeSync(fd);
    }
  }

  /**
   * Begins a new file before so many bytes would take this one over its cap. A rotation that fails makes the file longer, nothing
   * else, and is tried again after a minute.
   */
  rotateFor(bytes: number, seq: number): void {
    const { maxBytes, clock, logger } = this.#options;
    if (this.#size + bytes - 1 <= maxBytes || this.#path === undefined || !this.#regular || this.#size === 0) return;
    if (clock.monotonic() < this.#retryRotateAt) return;
    const target = `${this.#path}.${String(seq).padStart(15, '0')}`;
    try {
      if (existsSync(target)) throw new Error('the name of the rotated file is taken');
      renameSync(this.#path, target);
      this.#leave();
      this.#openFile(this.#path);
    } catch (error) {
      this.#retryRotateAt = clock.monotonic() + rotateRetryMs;
      logger.error('the audit file was not rotated', { error: describeError(error) });
    }
  }

  /** Syncs and closes the file that is open; the next write opens another. */
  #leave(): void {
    const fd = this.#fd;
    this.#fd = -1;
    this.#retryOpenAt = 0;
    this.#leaving += 1;
    this.#io.sync(fd, (error) => {
      closeQuietly(fd);
      this.#leaving -= 1;
      if (error !== null) {
        this.#leftUnsynced = error;
        this.#options.logger.error('a left audit file was not synced', { error: describeError(error) });
      }
      if (this.#leaving > 0) return;
      const then = this.#onLeft;
      this.#onLeft = undefined;
      then?.();
    });
  }

  /**
   * Hands the lines to the kernel.
   *
   * @returns undefined when it has all of them; else what went wrong and how many whole lines it has.
   */
  write(lines: AuditLines): { readonly error: unknown; readonly wholeLines: number } | undefined {
    const bytes = lines.bytes.subarray(this.#unterminated ? 0 : 1, lines.length);
    const { length } = bytes;
    if (this.#full !== undefined && this.#options.clock.monotonic() < this.#full.until)
      return { error: this.#full.error, wholeLines: 0 };
    let written = 0;
    let waits = 0;
    while (written < length) {
      try {
        written += this.#io.write(this.#fd, bytes, written, length - written);
      } catch (error) {
        const code = errorCode(error);
        if (code === 'EINTR') continue;
        if (code === 'EAGAIN' && waits++ < fullPipeSteps) {
          this.#io.pause(1);
          continue;
        }
        if (code === 'EAGAIN') this.#full = { until: this.#options.clock.monotonic() + fullPipeRetryMs, error };
        return { error, wholeLines: this.#mend(bytes, written) };
      }
    }
    this.#size += length;
    this.#unterminated = false;
    this.#full = undefined;
    return undefined;
  }

  /** After a failed write of which `written` bytes arrived: cuts them off, or notes how the text ends now. */
  #mend(bytes: Buffer, written: number): number {
    if (written === 0) return 0;
    if (this.#path !== undefined && this.#regular) {
      try {
        this.#io.truncate(this.#fd, this.#size);
        return 0;
      } catch (error) {
        this.#options.logger.error('a torn audit line could not be cut off', { error: describeError(error) });
      }
    }
    this.#size += written;
    const leading = this.#unterminated ? 1 : 0;
    this.#unterminated = bytes[written - 1] !== lineFeed;
    let whole = 0;
    for (let at = leading; at < written; at++) if (bytes[at] === lineFeed) whole++;
    // A line that lacks nothing but its line feed is whole.
    if (this.#unterminated && bytes[written] === lineFeed && written > leading) whole++;
    return whole;
  }

  /** Looks whether others touched the file; a file that is gone is made anew with the next write. */
  inspect(): void {
    if (this.#path === undefined || !this.#regular || this.#fd === -1) return;
    const { logger } = this.#options;
    let own: { readonly ino: number; readonly dev: number; readonly size: number };
    try {
      own = fstatSync(this.#fd);
    } catch (error) {
      // As of a file system that went and came back (ESTALE): the descriptor is of no use any more.
      logger.error('the audit file is gone from under its descriptor: it is opened anew', {
        error: describeError(error),
      });
      return this.#leave();
    }
    if (own.size !== this.#size) {
      logger.error('the audit file was changed by another program', { expected: this.#size, found: own.size });
      this.#size = own.size;
    }
    let there: { readonly ino: number; readonly dev: number } | undefined;
    try {
      there = statSync(this.#path);
    } catch {
      there = undefined;
    }
    if (there?.ino === own.ino && there.dev === own.dev) return;
    logger.error('the audit file was moved or removed by another program: writing goes on in a new one');
    this.#leave();
  }

  /** @returns whether the disk has all that was written */
  close(): Promise<boolean> {
    const fd = this.#fd;
    this.#fd = -1;
    if (fd === -1) return Promise.resolve(false);
    return new Promise((resolve) => {
      const done = (error: unknown): void => {
        if (this.#given === undefined) closeSync(fd);
        else this.#given.close();
        resolve(error === null && this.#leftUnsynced === undefined);
      };
      if (this.#regular) this.#io.sync(fd, done);
      else done(null);
    });
  }
}

function lastByte(fd: number, size: number): number | undefined {
  const byte = Buffer.alloc(1);
  return readSync(fd, byte, 0, 1, size - 1) === 1 ? byte[0] : undefined;
}

/** Whole or not at all: it is tried again, by another name. */
function setAside(file: string, bytes: Uint8Array): void {
  try {
    writeFileSync(file, bytes, { flag: 'wx', mode: 0o600 });
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') rmSync(file, { force: true });
    throw error;
  }
}

/** Of a descriptor that may be of no use any more. */
function closeQuietly(fd: number): void {
  try {
    closeSync(fd);
  } catch {
    // What there was to say of it the sync has said.
  }
}

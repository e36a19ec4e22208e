import { describeError, randomId } from '../base/index.ts';
import type { Clock, Logger, Timer } from '../base/index.ts';
import { AuditUnavailableError } from '../core/index.ts';
import type { AuditEvent, AuditSink, ProcessEvent } from '../core/index.ts';
import { AuditChain, auditDigest, chainStart } from './audit-line.ts';
import { AuditLines } from './audit-lines.ts';
import type { ChainHead } from './audit-line.ts';
import { AuditOutput, systemAuditIo } from './audit-output.ts';
import type { AuditIo } from './audit-output.ts';

/**
 * The record as JSON lines in a file or on an open descriptor (stdout), one line an event, chained as audit-line.ts says.
 *
 * Guarantee: when `append` returns, the kernel has every line of the call: a crash of this process loses none of them. It
 * reaches the disk within 100 ms (fdatasync, never waited for): a crash of the machine loses at most that. When `append`
 * throws, the caller knows that its events are not recorded; how many were lost so is written as a `gap` event as soon as
 * writing works again, before anything else. A half-written line is cut off again (file) or ended by a line feed and
 * followed by the `gap` (descriptor), so that a reader sees what happened and the chain has no hole.
 *
 * A process that starts on an existing file continues its chain. What a crash left torn at the end is moved to
 * `FILE.torn-SEQ-TIME` and recorded as a gap. Steps of the wall clock by more than a second against the monotonic clock
 * are recorded, so that times in the log can be believed.
 *
 * Limit: one writer a file. Another writer, or a cut by another program, is seen within a second and logged, and the
 * verifier finds it; it is not prevented.
 */

export interface AuditFileOptions {
  /** A file, made when it is missing (mode 600); or an open descriptor that nobody else closes, such as 1 for stdout. */
  readonly output: { readonly path: string } | { readonly fd: number };
  readonly clock: Clock;
  readonly logger: Logger;
  /** HMAC key of the chain. Without it the chain shows accidents and clumsy hands, not who can write a whole new file. */
  readonly key?: Uint8Array;
  /** A file is rotated to `FILE.LASTSEQ` before it grows over this; default 256 MiB. Old files are never removed. */
  readonly maxBytes?: number;
  /** Where a chain begins that is not there yet; default {@link chainStart}. */
  readonly start?: ChainHead;
  readonly io?: AuditIo;
  /** Keeps how many events no `gap` line tells of yet, over the end of the process; default: nobody does. */
  readonly losses?: LossKeeper;
}

export interface LossKeeper {
  /** What processes before left: it counts in the first `gap`. */
  readonly before: number;
  keep(lost: number): void;
  close(): void;
}

export interface AuditFile extends AuditSink {
  /** Where the chain stands: whoever keeps it elsewhere can tell a log that was cut at its end. */
  head(): ChainHead;
  /** The last line that the disk keeps whatever happens to the machine; where nothing can be synced, that of the head. */
  durable(): ChainHead;
  /** Whether the last line up to {@link durable}, but for signatures behind it, says that this process stops, and nothing was to be written after it. */
  ended(): boolean;
  /** Whether what was there before could be read: until then the head is where a chain begins, whatever is in the file. */
  opened(): boolean;
  /** Bytes that it has written in all. */
  written(): number;
  /** Why nothing can be written now, for readiness and people; undefined while all is well. */
  problem(): string | undefined;
  /** Events that were refused before they came here: they count in the next `gap`. */
  lose(events: number): void;
  /** As {@link AuditSink.append}, of what the record can do without: where it throws, nothing counts as lost. */
  offer(events: readonly AuditEvent[]): void;
  /**
   * Closes it and writes nothing more.
   *
   * @returns how many events no `gap` line tells of: they stay in the {@link LossKeeper}, which is closed; and when what was written is on the disk
   */
  leave(): { readonly lost: number; readonly closed: Promise<void> };
}

const linesBytes = 256 * 1024;
const syncEveryMs = 100;
const inspectEveryMs = 1000;
const clockStepMs = 1000;

/** How many of the caller's events were recorded before it failed. */
class PartialWrite extends Error {
  readonly recorded: number;

  constructor(recorded: number, cause: unknown) {
    super('partial write', { cause });
    this.name = 'PartialWrite';
    this.recorded = recorded;
  }
}

class FileSink implements AuditFile {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #output: AuditOutput;
  readonly #chain: AuditChain;
  readonly #lines = new AuditLines(linesBytes);
  #opened = false;
  #written = 0;
  #closed = false;
  /** Events that no `gap` line tells of yet. */
  #unsaid = 0;
  readonly #losses: LossKeeper | undefined;
  #problem: string | undefined;
  /** Wall minus monotonic clock, as last recorded. */
  #offset: number;
  #timer: Timer | undefined;
  #syncing = false;
  #durable: ChainHead;
  /** Number of the line that says that the process stops, where only signatures stand behind it. */
  #stop: number | undefined;
  /** Records written since the last sync began, and since the last that succeeded, with those that `gap` lines among them speak of. */
  #unsynced = 0;
  /** How many of these count as lost already. */
  #doubted = 0;
  /** Why the disk did not keep what it was given; undefined when it does. */
  #syncFailure: { readonly error: unknown } | undefined;
  #inspectAt: number;

  constructor(options: AuditFileOptions) {
    this.#clock = options.clock;
    this.#logger = options.logger;
    const digest = auditDigest(options.key);
    this.#output = new AuditOutput({
      output: options.output,
      clock: options.clock,
      logger: options.logger,
      digest,
      maxBytes: options.maxBytes ?? 256 * 1024 * 1024,
      start: options.start ?? chainStart,
      io: options.io ?? systemAuditIo,
    });
    this.#chain = new AuditChain(digest, options.start);
    this.#losses = options.losses;
    this.#unsaid = options.losses?.before ?? 0;
    this.#durable = this.head();
    this.#offset = options.clock.now() - options.clock.monotonic();
    this.#inspectAt = options.clock.monotonic() + inspectEveryMs;
    try {
      this.#open();
      if (this.#lost > 0) this.append([]);
    } catch (error) {
      this.#note(error);
    }
  }

  append(events: readonly AuditEvent[]): void {
    this.#append(events, true);
  }

  offer(events: readonly AuditEvent[]): void {
    this.#append(events, false);
  }

  get #lost(): number {
    return this.#unsaid;
  }

  set #lost(lost: number) {
    this.#unsaid = lost;
    this.#losses?.keep(lost);
  }

  #append(events: readonly AuditEvent[], counts: boolean): void {
    if (this.#closed) throw new AuditUnavailableError({ cause: new Error('the audit file is closed') });
    try {
      const now = this.#clock.monotonic();
      if (now >= this.#inspectAt) {
        this.#inspectAt = now + inspectEveryMs;
        this.#output.inspect();
      }
      this.#open();
      if (this.#syncFailure !== undefined) throw new PartialWrite(0, this.#syncFailure.error);
      this.#write(events);
    } catch (error) {
      const failure = error instanceof PartialWrite ? error : new PartialWrite(0, error);
      if (counts) this.#lost += Math.max(0, events.length - failure.recorded);
      this.#note(failure.cause);
      throw new AuditUnavailableError({ cause: failure.cause });
    }
    if (this.#problem !== undefined) {
      this.#problem = undefined;
      this.#logger.info('the audit file can be written again');
    }
  }

  head(): ChainHead {
    return { seq: this.#chain.seq, hash: this.#chain.hash };
  }

  durable(): ChainHead {
    return this.#output.syncable ? this.#durable : this.head();
  }

  ended(): boolean {
    return this.#stop !== undefined && this.#lost === 0 && this.durable().seq >= this.#stop;
  }

  opened(): boolean {
    return this.#opened;
  }

  written(): number {
    return this.#written;
  }

  problem(): string | undefined {
    return this.#problem;
  }

  lose(events: number): void {
    this.#lost += events;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    try {
      if (this.#lost > 0) this.append([]);
    } catch {
      this.#logger.error('audit records were lost', { records: this.#lost });
    }
    await this.leave().closed;
  }

  leave(): { readonly lost: number; readonly closed: Promise<void> } {
    const lost = this.#lost;
    if (this.#closed) return { lost, closed: Promise.resolve() };
    this.#closed = true;
    return { lost, closed: this.#end() };
  }

  async #end(): Promise<void> {
    this.#timer?.cancel();
    this.#losses?.close();
    const at = this.head();
    // What a sync failed on is not known to be there, however the last one went.
    if ((await this.#output.close()) && this.#syncFailure === undefined) this.#durable = at;
  }

  #open(): void {
    const found = this.#output.open(!this.#opened);
    this.#opened = true;
    if (found === undefined) return;
    this.#chain.reset(found.head);
    this.#durable = found.head;
    this.#stop = undefined;
    this.#lost += found.lost;
  }

  #write(events: readonly AuditEvent[]): void {
    // Together, behind all that may have taken long.
    const [wall, monotonic] = [this.#clock.now(), this.#clock.monotonic()];
    const moved = wall - monotonic - this.#offset;
    const own: ProcessEvent[] = [];
    if (this.#lost > 0) own.push({ type: 'process', what: 'gap', amount: this.#lost });
    if (Math.abs(moved) > clockStepMs) own.push({ type: 'process', what: 'clock_step', amount: Math.round(moved) });
    if (own.length + events.length === 0) return;

    const { seq, hash } = this.#chain;
    const lines = this.#lines;
    lines.clear();
    for (const event of own) this.#chain.append(named(event), wall, lines);
    for (const event of events) this.#chain.append(named(event), wall, lines);
    this.#output.rotateFor(lines.length, seq);
    const failed = this.#output.write(lines);
    const whole = failed?.wholeLines ?? own.length + events.length;
    this.#noteStop(own, seq, whole);
    this.#noteStop(events, seq + own.length, whole - own.length);
    if (failed === undefined) {
      this.#written += lines.length;
      this.#settle(own, moved);
      this.#unsynced += own.reduce((sum, event) => sum + weightOf(event), events.length);
      this.#scheduleSync();
      return;
    }
    // The chain goes back to the last line that is really there.
    const last = whole === 0 ? undefined : lines.text().split('\n', whole)[whole - 1];
    this.#chain.reset(last === undefined ? { seq, hash } : { seq: seq + whole, hash: last.slice(-66, -2) });
    this.#settle(own.slice(0, whole), moved);
    throw new PartialWrite(Math.max(0, whole - own.length), failed.error);
  }

  /** @param before Number of the line before theirs. @param count How many of them were written. */
  #noteStop(events: readonly AuditEvent[], before: number, count: number): void {
    for (let at = 0; at < Math.min(count, events.length); at++) {
      const event = events[at];
      if (event === undefined || event.type === 'signature') continue;
      this.#stop = event.type === 'process' && event.what === 'stop' ? before + at + 1 : undefined;
    }
  }

  /** What these own events said is now on record. */
  #settle(own: readonly ProcessEvent[], moved: number): void {
    for (const event of own) {
      if (event.what === 'gap') this.#lost = 0;
      else this.#offset += moved;
    }
  }

  #note(error: unknown): void {
    const words = describeError(error);
    // Once for each kind of trouble: a full disk must not fill the log too.
    if (this.#problem !== words) this.#logger.error('the audit file cannot be written', { error: words });
    this.#problem = words;
  }

  #scheduleSync(): void {
    if (!this.#output.syncable || this.#timer !== undefined || this.#syncing) return;
    this.#timer = this.#clock.after(syncEveryMs, () => {
      this.#timer = undefined;
      this.#sync();
    });
  }

  #sync(): void {
    if (this.#closed) return;
    const covered = this.#unsynced;
    const at = this.head();
    this.#syncing = true;
    this.#output.sync((error) => {
      this.#syncing = false;
      if (this.#closed) return;
      if (error === null) {
        const failed = this.#syncFailure !== undefined;
        this.#syncFailure = undefined;
        this.#unsynced -= covered;
        this.#durable = at;
        this.#doubted = 0;
        if (failed) this.#tellLost();
        if (this.#unsynced > 0) this.#scheduleSync();
        return;
      }
      // The kernel may have dropped the pages: these records count as lost, at most. They are not durable before what comes after them is.
      this.#lost += covered - this.#doubted;
      this.#doubted = covered;
      this.#syncFailure = { error };
      this.#note(error);
      this.#scheduleSync();
    });
  }

  /** Where nothing else comes: the next event would tell. */
  #tellLost(): void {
    try {
      this.append([]);
    } catch {
      // Whoever writes next is told.
    }
  }
}

/** What counts as lost where the disk drops the event. */
const weightOf = (event: ProcessEvent): number => (event.what === 'gap' ? Math.max(1, event.amount ?? 1) : 1);

/** What befell a process is in no session: it has an id of its own, behind its type as every line's. */
const named = (event: AuditEvent): AuditEvent =>
  event.type === 'process' && event.session === undefined
    ? { ...event, type: 'process', session: randomId(), ...withoutType(event) }
    : event;
const withoutType = ({ type: _type, ...rest }: ProcessEvent): Omit<ProcessEvent, 'type'> => rest;

/**
 * Opens the record. It does not throw when the file cannot be had: `append` does, each time, and tries again once a
 * second, so that `audit.onFailure` decides; `problem()` says why.
 */
export function auditFile(options: AuditFileOptions): AuditFile {
  return new FileSink(options);
}

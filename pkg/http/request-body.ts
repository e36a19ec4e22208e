import type { Readable, Transform } from 'node:stream';
import { PieceList } from '../base/index.ts';
import type { ByteChain, Clock, Timer } from '../base/index.ts';
import { RefusedError } from '../core/index.ts';
import type { ReasonCode } from '../core/index.ts';
import { codingOf, createDecoder } from './content-coding.ts';

/**
 * Reads one request body whole, under caps.
 *
 * Guarantee: never more than `maxBytes` coded and `maxBytes` decoded bytes are held, all of them are counted in the
 * process-wide budget before they are kept, and the promise settles in `timeoutMs` at the latest.
 */

/** Why a budget has no room. */
export type NoRoom = Extract<ReasonCode, 'overloaded' | 'caller_share_used'>;

/**
 * Buffered bodies of the whole process. Each body gives back what it took when nobody holds it, at the latest when its exchange closes.
 * Of one owner they take half of it at most, so that no caller alone keeps all others out; a single body may take as much as its own limit.
 */
export class BodyBudget {
  readonly maxBytes: number;
  readonly #owned = new Map<string, number>();
  readonly #onTaken: (bytes: number) => void;
  #used = 0;

  /**
   * @param maxBytes default 64 MiB.
   * @param onTaken told of all bytes that were taken, when they are.
   */
  constructor(maxBytes = 64 * 1024 * 1024, onTaken: (bytes: number) => void = () => undefined) {
    this.maxBytes = maxBytes;
    this.#onTaken = onTaken;
  }

  get used(): number {
    return this.#used;
  }

  /**
   * @param owner whose body it is; undefined: nobody's in particular, and no share is kept.
   * @param most bytes that this one body may have.
   * @param room bytes that may be taken in all, where that is more than the budget has: what belongs to one body of the largest size.
   * @param own bytes that it has already: where its owner has others beside them, half of the budget is for all of these together. Default: all
   * that its owner has.
   * @returns undefined: they are counted.
   */
  take(bytes: number, owner: string | undefined, most: number, room = 0, own?: number): NoRoom | undefined {
    if (this.#used + bytes > Math.max(this.maxBytes, room)) return 'overloaded';
    if (owner !== undefined) {
      const owned = this.#owned.get(owner) ?? 0;
      const alone = own === undefined || own === owned;
      if (owned + bytes > Math.max(this.maxBytes / 2, alone ? most : 0)) return 'caller_share_used';
      this.#owned.set(owner, owned + bytes);
    }
    this.#used += bytes;
    this.#onTaken(bytes);
    return undefined;
  }

  give(bytes: number, owner: string | undefined): void {
    this.#used -= bytes;
    if (owner === undefined) return;
    const left = (this.#owned.get(owner) ?? 0) - bytes;
    if (left > 0) this.#owned.set(owner, left);
    else this.#owned.delete(owner);
  }
}

export interface BodyLimits {
  readonly maxBytes: number;
  readonly timeoutMs: number;
  /** Whose body it is, so that one owner's take no more than their share of the memory for all; default nobody's. */
  readonly owner?: string;
}

export class RequestBody {
  readonly #source: Readable;
  readonly #budget: BodyBudget;
  readonly #clock: Clock;
  readonly #pieces = new PieceList();
  #taken = 0;
  #kept = 0;
  #wire = 0;
  #maxBytes = 0;
  #owner: string | undefined;
  #timer: Timer | undefined;
  #decoder: Transform | undefined;
  #settled = false;
  #resolve: (body: ByteChain) => void = () => undefined;
  #reject: (error: RefusedError) => void = () => undefined;

  constructor(source: Readable, budget: BodyBudget, clock: Clock) {
    this.#source = source;
    this.#budget = budget;
    this.#clock = clock;
  }

  /** Bytes off the wire. */
  get bytes(): number {
    return this.#wire;
  }

  /** What can be said before a byte is read, and before `100 Continue` goes out. */
  static refusal(
    limits: BodyLimits,
    encoding: string | undefined,
    length: number | undefined,
  ): RefusedError | undefined {
    if (codingOf(encoding) === undefined) return new RefusedError('unsupported_encoding');
    if (length !== undefined && length > limits.maxBytes) return new RefusedError('body_too_large');
    return undefined;
  }

  async read(limits: BodyLimits, encoding: string | undefined): Promise<Buffer> {
    return (await this.pieces(limits, encoding)).bytes();
  }

  /** In the pieces in which it came; short ones are put together. */
  pieces(limits: BodyLimits, encoding: string | undefined): Promise<ByteChain> {
    const coding = codingOf(encoding);
    if (coding === undefined) return Promise.reject(new RefusedError('unsupported_encoding'));
    this.#maxBytes = limits.maxBytes;
    this.#owner = limits.owner;
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      this.#timer = this.#clock.after(limits.timeoutMs, () => this.fail('request_timeout'));
      if (coding !== 'identity') this.#decoder = this.#decode(createDecoder(coding));
      this.#source.on('data', this.#onData);
      this.#source.on('end', this.#onEnd);
    });
  }

  /** Ends the reading, if it is under way. */
  fail(code: ReasonCode, detail?: string): void {
    if (this.#settled) return;
    this.#settle();
    this.#pieces.reset();
    this.#give();
    this.#reject(new RefusedError(code, detail === undefined ? {} : { detail }));
  }

  /** Nobody holds the body any more. */
  release(): void {
    this.fail('malformed_http', 'body_incomplete');
    this.#give();
  }

  #give(): void {
    this.#budget.give(this.#taken, this.#owner);
    this.#taken = 0;
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#wire += chunk.length;
    if (this.#decoder === undefined) this.#keep(chunk);
    else if (this.#wire > this.#maxBytes) this.fail('body_too_large');
    else if (!this.#decoder.write(chunk)) {
      this.#source.pause();
      this.#decoder.once('drain', () => {
        if (!this.#settled) this.#source.resume();
      });
    }
  };

  readonly #onEnd = (): void => {
    if (this.#settled) return;
    if (this.#decoder === undefined) this.#finish();
    else this.#decoder.end();
  };

  #decode(decoder: Transform): Transform {
    decoder.on('data', (chunk: Buffer) => this.#keep(chunk));
    decoder.on('end', () => this.#finish());
    decoder.on('error', () => this.fail('invalid_encoding'));
    return decoder;
  }

  #keep(chunk: Buffer): void {
    if (this.#settled) return;
    this.#kept += chunk.length;
    if (this.#kept > this.#maxBytes) return this.fail('body_too_large');
    const noRoom = this.#budget.take(chunk.length, this.#owner, this.#maxBytes, 0, this.#taken);
    if (noRoom !== undefined) return this.fail(noRoom);
    this.#taken += chunk.length;
    this.#pieces.push(chunk);
  }

  #finish(): void {
    if (this.#settled) return;
    this.#settle();
    const chain = this.#pieces.chain();
    this.#pieces.reset();
    this.#resolve(chain);
  }

  #settle(): void {
    this.#settled = true;
    this.#timer?.cancel();
    this.#source.off('data', this.#onData);
    this.#source.off('end', this.#onEnd);
    this.#decoder?.destroy();
  }
}

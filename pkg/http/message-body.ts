import type { Readable } from 'node:stream';
import { ByteChain, PieceList } from '../base/index.ts';
import type { Clock, Timer } from '../base/index.ts';
import { RefusedError } from '../core/index.ts';
import type { ReasonCode } from '../core/index.ts';
import type { BodyBudget, BodyLimits } from './request-body.ts';

export interface MessageLimits extends BodyLimits {
  /** How long it may take until the message is there; default as long as it takes. */
  readonly beginMs?: number;
}

/**
 * Reads a body that is a row of length-prefixed messages (gRPC over HTTP/2), one when it is asked for.
 *
 * Guarantee: while nobody asks, nothing is read beyond the chunk under way, so that the peer's window fills and it waits; what is kept is
 * counted in the budget of all bodies and never more than one message of `maxBytes` and one chunk; a message that has begun comes in
 * `timeoutMs` or not at all. How long a peer takes until it begins one is for whoever asks to
 * bound.
 */
export class MessageBody {
  readonly #source: Readable;
  readonly #budget: BodyBudget;
  readonly #clock: Clock;
  readonly #pieces = new PieceList();
  /** Of the message under way, as its prefix says; undefined: not known yet. */
  #due: number | undefined;
  #kept = 0;
  #taken = 0;
  #owner: string | undefined;
  #wire = 0;
  #limits: BodyLimits | undefined;
  #timer: Timer | undefined;
  #waiting: PromiseWithResolvers<Buffer | undefined> | undefined;
  #ended = false;
  #fault: RefusedError | undefined;

  constructor(source: Readable, budget: BodyBudget, clock: Clock) {
    this.#source = source;
    this.#budget = budget;
    this.#clock = clock;
    source.on('data', (chunk: Buffer) => this.#onData(chunk));
    source.on('end', () => this.#onEnd());
    source.pause();
  }

  /** Bytes off the wire. */
  get bytes(): number {
    return this.#wire;
  }

  /**
   * The next message with its prefix; undefined: there is none any more. One call at a time.
   *
   * @throws RefusedError body_too_large, request_timeout, invalid_request, overloaded, caller_share_used, malformed_http
   */
  next(limits: MessageLimits): Promise<Buffer | undefined> {
    if (this.#fault !== undefined) return Promise.reject(this.#fault);
    this.#limits = limits;
    this.#owner ??= limits.owner;
    // Nobody looks at the one before any more.
    this.#giveBack(this.#taken - this.#kept);
    this.#waiting = Promise.withResolvers();
    const { promise } = this.#waiting;
    const { beginMs } = limits;
    if (beginMs !== undefined) this.#timer = this.#clock.after(beginMs, () => this.#fail('request_timeout'));
    this.#look();
    return promise;
  }

  /** Nothing more is asked for, and nothing of it is looked at. */
  release(): void {
    this.#fail('malformed_http', 'body_incomplete');
  }

  #onData(chunk: Buffer): void {
    this.#wire += chunk.length;
    if (this.#fault !== undefined) return; // what is left of it is drained
    const most = (this.#limits?.maxBytes ?? 0) + chunk.length;
    const noRoom = this.#budget.take(chunk.length, this.#owner, most, 0, this.#taken);
    if (noRoom !== undefined) return this.#fail(noRoom);
    this.#taken += chunk.length;
    this.#kept += chunk.length;
    this.#pieces.push(chunk);
    this.#look();
  }

  #onEnd(): void {
    this.#ended = true;
    this.#look();
  }

  /** Gives out a message that is whole, or goes on reading. */
  #look(): void {
    const { maxBytes = 0, timeoutMs = 0 } = this.#limits ?? {};
    if (this.#waiting === undefined) return void this.#source.pause();
    const length = this.#length();
    if (length !== undefined && length > maxBytes) return this.#fail('body_too_large');
    if (length !== undefined && this.#kept >= prefixBytes + length) return this.#give(prefixBytes + length);
    if (this.#ended) return this.#kept > 0 ? this.#fail('invalid_request', 'message') : this.#settle(undefined);
    if (this.#kept > 0) this.#timer ??= this.#clock.after(timeoutMs, () => this.#fail('request_timeout'));
    this.#source.resume();
  }

  #length(): number | undefined {
    if (this.#kept < prefixBytes) return undefined;
    return (this.#due ??= this.#pieces.chain().bytes(0, prefixBytes).readUInt32BE(1));
  }

  #give(size: number): void {
    const all = this.#pieces.chain().bytes();
    const rest = all.subarray(size);
    this.#pieces.reset(ByteChain.of(Buffer.from(rest)));
    this.#due = undefined;
    this.#kept = rest.length;
    this.#settle(all.subarray(0, size));
  }

  #settle(message: Buffer | undefined): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#source.pause();
    waiting?.resolve(message);
  }

  #fail(code: ReasonCode, detail?: string): void {
    if (this.#fault !== undefined) return;
    const fault = new RefusedError(code, detail === undefined ? {} : { detail });
    this.#fault = fault;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    this.#timer?.cancel();
    this.#pieces.reset();
    this.#due = undefined;
    this.#kept = 0;
    this.#giveBack(this.#taken);
    waiting?.reject(fault);
  }

  #giveBack(bytes: number): void {
    if (bytes <= 0) return;
    this.#budget.give(bytes, this.#owner);
    this.#taken -= bytes;
  }
}

const prefixBytes = 5;

import type { Readable, Transform } from 'node:stream';
import type { Clock, Timer } from '../base/index.ts';
import { RefusedError } from '../core/index.ts';
import type { ReasonCode } from '../core/index.ts';
import { codingOf, createDecoder } from './content-coding.ts';

/**
 * Reads one request body whole, under caps.
 *
 * Guarantee: never more than `maxBytes` coded and `maxBytes` decoded bytes are held, all of them are counted in the
 * process-wide budget before they are kept, and the promise settles in `timeoutMs` at the latest.
 */

/** Buffered bodies of the whole process. Each body gives back what it took when its exchange closes. */
export class BodyBudget {
  readonly maxBytes: number;
  #used = 0;

  /** @param maxBytes default 64 MiB. */
  constructor(maxBytes = 64 * 1024 * 1024) {
    this.maxBytes = maxBytes;
  }

  get used(): number {
    return this.#used;
  }

  take(bytes: number): boolean {
    if (this.#used + bytes > this.maxBytes) return false;
    this.#used += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#used -= bytes;
  }
}

export interface BodyLimits {
  readonly maxBytes: number;
  readonly timeoutMs: number;
}

export class RequestBody {
  readonly #source: Readable;
  readonly #budget: BodyBudget;
  readonly #clock: Clock;
  readonly #chunks: Buffer[] = [];
  #taken = 0;
  #kept = 0;
  #wire = 0;
  #maxBytes = 0;
  #timer: Timer | undefined;
  #decoder: Transform | undefined;
  #settled = false;
  #resolve: (body: Buffer) => void = () => undefined;
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

  read(limits: BodyLimits, encoding: string | undefined): Promise<Buffer> {
    const coding = codingOf(encoding);
    if (coding === undefined) return Promise.reject(new RefusedError('unsupported_encoding'));
    this.#maxBytes = limits.maxBytes;
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
    this.#chunks.length = 0;
    this.#reject(new RefusedError(code, detail === undefined ? {} : { detail }));
  }

  /** The exchange is over: nobody holds the body any more. */
  release(): void {
    this.fail('malformed_http', 'body_incomplete');
    this.#budget.give(this.#taken);
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
    if (!this.#budget.take(chunk.length)) return this.fail('overloaded');
    this.#taken += chunk.length;
    this.#chunks.push(chunk);
  }

  #finish(): void {
    if (this.#settled) return;
    this.#settle();
    const [only] = this.#chunks;
    const body = this.#chunks.length === 1 && only !== undefined ? only : Buffer.concat(this.#chunks, this.#kept);
    this.#chunks.length = 0;
    this.#resolve(body);
  }

  #settle(): void {
    this.#settled = true;
    this.#timer?.cancel();
    this.#source.off('data', this.#onData);
    this.#source.off('end', this.#onEnd);
    this.#decoder?.destroy();
  }
}

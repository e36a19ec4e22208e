import type { OutgoingHttpHeaders } from 'node:http';
import type { ByteChain, Clock, Timer } from '../base/index.ts';
import type { ResponsePlanLimits } from '../core/index.ts';
import { RefusedError } from '../core/index.ts';
import { missing } from '../dialect/index.ts';
import type { StreamFraming } from '../dialect/index.ts';
import type { Exchange } from '../http/index.ts';

/** What may wait for a tick, in characters; beyond it the model is not read until the tick. */
const mostWaiting = 262_144;

/**
 * How an answer leaves: at once, or shaped against observers of size and time (docs/security.md, side channels).
 * Shaping delays or pads what was decided to leave; it never reorders it and never releases what is held.
 *
 * With a cadence everything of an answer, its head and its end included, leaves at multiples of the cadence from the
 * request on: the first byte, a pause and the last byte of the model's show to a tick only. Where padding is asked for
 * too, a tick without text sends a step of comment, where the stream's framing has any, so that pauses do not show at all. What fails leaves at once.
 */
export class Delivery {
  readonly #exchange: Exchange;
  readonly #limits: ResponsePlanLimits;
  readonly #clock: Clock;
  /** Of a stream with a cadence. */
  #every: number | undefined;
  /** The last tick that has passed. */
  #tick = 0;
  /** Of a stream whose frames were read; undefined: its bytes are as they came. */
  #framing: StreamFraming | undefined;
  /** Waits for the first tick. */
  #head: (() => void) | undefined;
  #batch = '';
  /** The last departure, while it waits for its tick. */
  #ending: (() => void) | undefined;
  #timer: Timer | undefined;
  #bytes = 0;
  #over = false;
  #blocked = false;
  readonly #watch: DeliveryWatch;

  constructor(exchange: Exchange, limits: ResponsePlanLimits, clock: Clock, watch: DeliveryWatch) {
    this.#exchange = exchange;
    this.#limits = limits;
    this.#clock = clock;
    this.#watch = watch;
  }

  /** What was let through and has not left: waits for its tick, in characters, or for its peer, in bytes. */
  get waiting(): number {
    return this.#batch.length + this.#exchange.backlogBytes;
  }

  /** A whole answer; padded with white space where JSON allows it. `left` runs once it left. @throws RefusedError response_too_large */
  respond(answer: WholeAnswer, left: () => void): void {
    const { status, headers, body, json } = answer;
    const { maxBytes, minDurationMs = 0, padToMultipleOf, cadenceMs } = this.#limits;
    const size = typeof body === 'string' ? Buffer.byteLength(body) : body.length;
    if (maxBytes !== undefined && size > maxBytes) throw new RefusedError('response_too_large');
    const pad = json && padToMultipleOf !== undefined ? missing(size, padToMultipleOf) : 0;
    const padded =
      pad === 0 ? body : Buffer.concat([typeof body === 'string' ? Buffer.from(body) : body, Buffer.alloc(pad, 0x20)]);
    const soonest = Math.max(minDurationMs, this.#elapsed());
    this.#notBefore(cadenceMs === undefined ? soonest : Math.ceil(soonest / cadenceMs) * cadenceMs, () => {
      this.#exchange.respond(status, headers, padded);
      left();
    });
  }

  /** @param framing undefined: none that anybody could write a frame in. */
  start(status: number, headers: OutgoingHttpHeaders, framing: StreamFraming | undefined): void {
    this.#framing = framing;
    this.#every = this.#limits.cadenceMs;
    if (this.#every === undefined) return this.#exchange.start(status, headers);
    this.#head = () => this.#exchange.start(status, headers);
    this.#tick = Math.floor(this.#elapsed() / this.#every);
    this.#schedule(this.#every);
  }

  /** Frames that may leave. False when the peer reads too slowly, or too much waits for a tick. @throws RefusedError response_too_large */
  write(text: string | ByteChain): boolean {
    if (this.#over || text.length === 0) return true;
    if (this.#limits.maxBytes !== undefined) {
      this.#bytes += typeof text === 'string' ? Buffer.byteLength(text, this.#framing?.encoding) : text.length;
      if (this.#bytes > this.#limits.maxBytes) throw new RefusedError('response_too_large');
    }
    if (this.#every !== undefined) {
      this.#batch += typeof text === 'string' ? text : text.bytes().toString('latin1');
      return !this.#blocked && this.#batch.length < mostWaiting;
    }
    return typeof text === 'string' ? this.#exchange.write(this.#written(text)) : this.#writeBytes(text);
  }

  /** In the pieces in which they came: none of what was not read is copied. */
  #writeBytes({ pieces }: ByteChain): boolean {
    let taken = true;
    for (const piece of pieces) taken = this.#exchange.write(piece);
    return taken;
  }

  /** Bytes that nobody read (Observe): as they come from now on, behind what waits. False when the peer reads too slowly. */
  pass(chunk: Buffer): boolean {
    this.#every = undefined;
    this.#timer?.cancel();
    this.#startNow();
    const waiting = this.#take();
    if (waiting !== '') this.#exchange.write(this.#bytesOf(waiting));
    return this.#exchange.write(chunk);
  }

  /** The end of a streamed answer, with a last piece that size limits do not count. `left` runs once it left. */
  end(last: string, left: () => void): void {
    if (this.#over) return;
    this.#over = true;
    this.#batch += last;
    const leave = (): void => {
      this.#finish();
      left();
    };
    if (this.#every === undefined) this.#notBefore(this.#limits.minDurationMs ?? 0, leave);
    else this.#ending = leave;
  }

  /** The answer must not go on: what waits for its tick and then an error event, at once. @param keep whether what waits may still leave */
  fail(event: string, keep: boolean): void {
    // What waits behind an end is the end: an answer that fails never looks whole.
    const waiting = keep && !this.#over ? this.#batch : '';
    this.cancel();
    this.#startNow();
    this.#batch = waiting + event;
    this.#finish();
  }

  /** Nothing more leaves. */
  cancel(): void {
    this.#over = true;
    this.#batch = '';
    this.#timer?.cancel();
  }

  /** The peer reads again. */
  drained(): void {
    this.#blocked = false;
  }

  #schedule(every: number): void {
    this.#timer = this.#clock.after(Math.max(0, (this.#tick + 1) * every - this.#elapsed()), () => this.#depart(every));
  }

  #depart(every: number): void {
    // Counted, because a timer may be a little early; one that is late by whole ticks does not make up for them.
    this.#tick = Math.max(this.#tick + 1, Math.floor(this.#elapsed() / every));
    this.#startNow();
    if (this.#ending !== undefined && this.#tick * every >= (this.#limits.minDurationMs ?? 0)) return this.#ending();
    const full = this.#batch.length >= mostWaiting;
    const text = this.#ending === undefined ? this.#take() : '';
    if (text !== '') this.#blocked = !this.#exchange.write(this.#written(text));
    else if (!this.#blocked) this.#cover();
    this.#schedule(every);
    if (text !== '') this.#watch.departed();
    if (full && !this.#blocked) this.#watch.room();
  }

  #startNow(): void {
    const head = this.#head;
    this.#head = undefined;
    head?.();
  }

  #take(): string {
    const text = this.#batch;
    this.#batch = '';
    return text;
  }

  #finish(): void {
    const text = this.#take();
    this.#exchange.end(text === '' ? undefined : this.#written(text));
  }

  /** A step that says nothing. */
  #cover(): void {
    const multiple = this.#limits.padToMultipleOf;
    const cover = multiple === undefined ? undefined : this.#framing?.cover?.(multiple);
    if (cover !== undefined) this.#blocked = !this.#exchange.write(this.#bytesOf(cover));
  }

  /** Filled up to the next multiple, so that an observer of record sizes sees steps. */
  #written(text: string): string | Buffer {
    const multiple = this.#limits.padToMultipleOf;
    if (multiple === undefined || this.#framing === undefined) return this.#bytesOf(text);
    return this.#bytesOf(this.#framing.padded(text, multiple));
  }

  #bytesOf(text: string): string | Buffer {
    return this.#framing?.encoding === 'latin1' ? Buffer.from(text, 'latin1') : text;
  }

  /** Runs at once when so many milliseconds have passed since the request came. */
  #notBefore(ms: number, run: () => void): void {
    const wait = ms - this.#elapsed();
    if (wait <= 0) return run();
    this.#timer = this.#clock.after(wait, run);
  }

  #elapsed(): number {
    return this.#clock.monotonic() - this.#exchange.startedAt;
  }
}

export interface DeliveryWatch {
  /** A `write` that answered false because of what waited for a tick may be followed by others. */
  room(): void;
  /** What waited for its tick does not any more. */
  departed(): void;
}

export interface WholeAnswer {
  readonly status: number;
  readonly headers: OutgoingHttpHeaders;
  readonly body: Buffer | string;
  /** White space may follow it. */
  readonly json: boolean;
}

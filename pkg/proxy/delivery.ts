import type { OutgoingHttpHeaders } from 'node:http';
import type { Clock, Timer } from '../base/index.ts';
import type { ResponsePlanLimits } from '../core/index.ts';
import { RefusedError } from '../core/index.ts';
import type { Exchange } from '../http/index.ts';

/**
 * How an answer leaves: at once, or shaped against observers of size and time (docs/security.md, side channels).
 * Shaping delays or pads what was decided to leave; it never reorders it and never releases what is held.
 */
export class Delivery {
  readonly #exchange: Exchange;
  readonly #limits: ResponsePlanLimits;
  readonly #clock: Clock;
  #batch = '';
  #cadence: Timer | undefined;
  #finish: Timer | undefined;
  #bytes = 0;
  #over = false;
  #blocked = false;

  constructor(exchange: Exchange, limits: ResponsePlanLimits, clock: Clock) {
    this.#exchange = exchange;
    this.#limits = limits;
    this.#clock = clock;
  }

  /** A whole answer; padded with white space where JSON allows it. @throws RefusedError response_too_large */
  respond(status: number, headers: OutgoingHttpHeaders, body: Buffer | string, json: boolean): void {
    const size = typeof body === 'string' ? Buffer.byteLength(body) : body.length;
    if (this.#limits.maxBytes !== undefined && size > this.#limits.maxBytes)
      throw new RefusedError('response_too_large');
    const pad = json ? padding(size, this.#limits.padToMultipleOf) : 0;
    const padded =
      pad === 0 ? body : Buffer.concat([typeof body === 'string' ? Buffer.from(body) : body, Buffer.alloc(pad, 0x20)]);
    this.#atLeast(() => this.#exchange.respond(status, headers, padded));
  }

  start(status: number, headers: OutgoingHttpHeaders): void {
    this.#exchange.start(status, headers);
    const every = this.#limits.cadenceMs;
    if (every !== undefined) this.#cadence = this.#clock.every(every, () => this.#flush());
  }

  /** Frames that may leave. False when the peer reads too slowly. @throws RefusedError response_too_large */
  write(text: string): boolean {
    if (this.#over || text === '') return true;
    if (this.#limits.maxBytes !== undefined) {
      this.#bytes += Buffer.byteLength(text);
      if (this.#bytes > this.#limits.maxBytes) throw new RefusedError('response_too_large');
    }
    if (this.#cadence !== undefined) {
      this.#batch += text;
      return !this.#blocked;
    }
    return this.#exchange.write(this.#padded(text));
  }

  /** The end of a streamed answer, with a last piece that size limits do not count (an error event, a receipt). */
  end(last = ''): void {
    if (this.#over) return;
    this.#over = true;
    this.#cadence?.cancel();
    const text = this.#batch + last;
    this.#batch = '';
    this.#atLeast(() => this.#exchange.end(text === '' ? undefined : this.#padded(text)));
  }

  /** Nothing more leaves. */
  cancel(): void {
    this.#over = true;
    this.#batch = '';
    this.#cadence?.cancel();
    this.#finish?.cancel();
  }

  #flush(): void {
    if (this.#batch === '') return;
    const text = this.#batch;
    this.#batch = '';
    this.#blocked = !this.#exchange.write(this.#padded(text));
  }

  /** The peer reads again. */
  drained(): void {
    this.#blocked = false;
  }

  /** SSE comments fill a write up to the next multiple, so that an observer of record sizes sees steps. */
  #padded(text: string): string {
    const multiple = this.#limits.padToMultipleOf;
    if (multiple === undefined) return text;
    const size = Buffer.byteLength(text);
    let pad = padding(size, multiple);
    if (pad === 0) return text;
    // The shortest comment is a colon and an empty line.
    while (pad < 3) pad += multiple;
    return `${text}:${' '.repeat(pad - 3)}\n\n`;
  }

  #atLeast(run: () => void): void {
    const wait = (this.#limits.minDurationMs ?? 0) - (this.#clock.monotonic() - this.#exchange.startedAt);
    if (wait <= 0) return run();
    this.#finish = this.#clock.after(wait, run);
  }
}

const padding = (size: number, multiple: number | undefined): number =>
  multiple === undefined || multiple <= 1 ? 0 : (multiple - (size % multiple)) % multiple;

import { EventEmitter } from 'node:events';
import type { ClientRequest, IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import type { Clock, Timer } from '../base/index.ts';
import { RefusedError } from '../core/index.ts';
import type { Exchange } from './exchange.ts';
import type { PassthroughRoute, PassthroughWatch } from './passthrough-route.ts';
import { rawBody } from './raw-exchange.ts';
import type { RawExchange } from './raw-exchange.ts';
import { everyHeader, responseHeadersToCaller } from './response-headers.ts';

/** Where a route does not say how long the model may be silent. */
export const longestSilenceMs = 600_000;

const codings = ['content-encoding', 'accept-encoding', 'content-length'] as const;

/**
 * What `http-proxy` reads of a request: enough of one for HTTP/1.1 and HTTP/2 alike. It keeps the limits of the body and of the
 * model's silence, and ends the model's connection with the exchange.
 */
export class WebRequest extends EventEmitter {
  readonly method: string;
  readonly url: string;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly httpVersion = '1.1';
  readonly httpVersionMajor = 1;
  readonly socket = new EventEmitter();
  readonly connection = this.socket;
  readonly #exchange: Exchange & RawExchange;
  readonly #route: PassthroughRoute;
  readonly #watch: PassthroughWatch;
  readonly #clock: Clock;
  readonly #idleMs: number;
  #source: Readable | undefined;
  #to: ClientRequest | undefined;
  #response: IncomingMessage | undefined;
  #bodyTimer: Timer | undefined;
  #idleTimer: Timer | undefined;
  #lastActivity = 0;
  #paused = false;
  #over = false;

  constructor(exchange: Exchange & RawExchange, route: PassthroughRoute, watch: PassthroughWatch, clock: Clock) {
    super();
    this.#exchange = exchange;
    this.#route = route;
    this.#watch = watch;
    this.#clock = clock;
    this.#idleMs = route.idleMs ?? longestSilenceMs;
    this.method = exchange.method;
    this.url = route.path;
    const headers: NodeJS.Dict<string | string[]> = asStrings(route.headers);
    for (const name of codings) headers[name] ??= exchange.headers[name];
    this.headers = withoutUndefined(headers);
    exchange.onClose(() => {
      this.#close();
      this.#source?.resume(); // what is left of a body after an early answer is read and thrown away
    });
  }

  /** The caller has left, or has its answer. */
  get gone(): boolean {
    return this.#over;
  }

  pipe(to: ClientRequest): ClientRequest {
    this.#frame(to);
    const source = this.#exchange[rawBody]((code) => this.failed(new RefusedError(code)));
    if (this.#over) return to; // it had broken before: it ended the exchange, and no timer may outlive that
    const { body } = this.#route;
    this.#source = source;
    this.#to = to;
    this.#touch();
    this.#idleTimer = this.#clock.after(this.#idleMs, this.#onIdle);
    source.on('data', () => {
      this.#touch();
      if (body !== undefined && this.#exchange.bytesIn > body.maxBytes) this.failed(new RefusedError('body_too_large'));
    });
    source.on('end', () => {
      this.#touch();
      this.#bodyTimer?.cancel();
    });
    if (body !== undefined) {
      const since = this.#clock.monotonic() - this.#exchange.startedAt;
      this.#bodyTimer = this.#clock.after(Math.max(0, body.timeoutMs - since), this.#onBodyTimeout);
    }
    return source.pipe(to);
  }

  /**
   * A body without a length goes in chunks, whatever the method: `http-proxy` says of DELETE and OPTIONS that they have none, and Node
   * frames none of theirs by itself. Unframed, its bytes would be the model's next request.
   */
  #frame(to: ClientRequest): void {
    if (!this.#exchange.hasBody || this.#exchange.headers['content-length'] !== undefined) return;
    to.removeHeader('content-length');
    to.setHeader('transfer-encoding', 'chunked');
  }

  answer(response: IncomingMessage): void {
    const exchange = this.#exchange;
    const status = response.statusCode ?? 0;
    if (this.#over) return void response.destroy();
    // HTTP/2 knows no others, and node throws where nobody catches.
    if (status < 200 || status > 599) {
      response.destroy();
      return this.failed(new RefusedError('upstream_protocol'));
    }
    this.#response = response;
    this.#touch();
    const headers =
      this.#route.everyHeader === true ? everyHeader(response.headers) : responseHeadersToCaller(response.headers);
    const coding = response.headers['content-encoding'];
    if (coding !== undefined) headers['content-encoding'] = coding;
    this.#watch.begun?.(status, undefined);
    exchange.start(status, headers);
    exchange.onDrain(() => {
      this.#paused = false;
      this.#touch();
      response.resume();
    });
    response.on('data', (chunk: Buffer) => {
      this.#touch();
      if (exchange.write(chunk)) return;
      this.#paused = true;
      response.pause();
    });
    response.on('end', () => {
      this.#idleTimer?.cancel();
      exchange.end();
    });
    const broken = (cause?: Error): void => this.failed(new RefusedError('upstream_protocol', { cause }));
    response.on('error', broken);
    response.on('aborted', broken);
  }

  failed(error: RefusedError): void {
    if (this.#over) return;
    const begun = this.#response !== undefined;
    this.#close();
    this.#watch.failed(error);
    if (begun) this.#exchange.breakOff();
  }

  /** Nothing of it goes on: an answer that is whole is not touched by it. */
  #close(): void {
    if (this.#over) return;
    this.#over = true;
    this.#bodyTimer?.cancel();
    this.#idleTimer?.cancel();
    this.#source?.unpipe();
    // `http-proxy` then breaks the model's connection.
    if (this.#response?.complete !== true || this.#source?.readableEnded === false) this.emit('aborted');
    this.#response?.destroy();
  }

  #touch(): void {
    this.#lastActivity = this.#clock.monotonic();
  }

  readonly #onIdle = (): void => {
    if (this.#over) return;
    const quiet = this.#clock.monotonic() - this.#lastActivity;
    // While the caller does not read, or does not send what the model waits for, silence is not the model's.
    if (this.#paused || this.#waitsForCaller()) this.#idleTimer = this.#clock.after(this.#idleMs, this.#onIdle);
    else if (quiet < this.#idleMs) this.#idleTimer = this.#clock.after(this.#idleMs - quiet, this.#onIdle);
    else this.failed(new RefusedError('upstream_timeout'));
  };

  readonly #onBodyTimeout = (): void =>
    this.failed(new RefusedError(this.#waitsForCaller() ? 'request_timeout' : 'upstream_timeout'));

  /** The body is not in, and the model takes what comes of it. */
  #waitsForCaller(): boolean {
    return this.#source?.readableEnded === false && !this.#modelStalls();
  }

  #modelStalls(): boolean {
    return this.#to?.writableNeedDrain === true;
  }
}

export function asStrings(headers: OutgoingHttpHeaders): NodeJS.Dict<string | string[]> {
  const strings: NodeJS.Dict<string | string[]> = {};
  for (const name in headers) {
    const value = headers[name];
    if (value !== undefined) strings[name] = typeof value === 'object' ? [...value] : String(value);
  }
  return strings;
}

export function withoutUndefined(headers: NodeJS.Dict<string | string[]>): NodeJS.Dict<string | string[]> {
  for (const name of Object.keys(headers)) if (headers[name] === undefined) delete headers[name];
  return headers;
}

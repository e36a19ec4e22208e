import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { RefusedError } from '../core/index.ts';
import type { ReasonCode } from '../core/index.ts';
import { afterWrites } from './after-writes.ts';
import { Backlog, behindSince, pieceBytes } from './backlog.ts';
import { drain } from './drain.ts';
import type { Exchange } from './exchange.ts';
import { CloseListeners, emptyBody, endToEnd, neverHasBody } from './exchange-host.ts';
import type { CloseKind, ExchangeHost, LiveExchange } from './exchange-host.ts';
import type { Arrival, Current, Http1Connection } from './http1-connection.ts';
import { rawBody } from './raw-exchange.ts';
import type { RawExchange } from './raw-exchange.ts';
import { RequestBody } from './request-body.ts';
import type { BodyLimits } from './request-body.ts';

/**
 * Of a head: Node writes one in the encoding of the text that follows, UTF-8 where none does, and so changes the bytes of what is not
 * ASCII. Before bytes it writes it as it is.
 */
const isAscii = (text: string): boolean => /^[\x00-\x7f]*$/.test(text);
const nothing = new Uint8Array(0);

/** An exchange over node:http's request and response. */
export class Http1Exchange implements Exchange, Current, LiveExchange, RawExchange {
  readonly protocol = 'http/1.1';
  readonly startedAt: number;
  readonly encrypted: boolean;
  readonly peer: string;
  readonly method: string;
  readonly target: string;
  readonly headers: IncomingHttpHeaders;
  readonly hasBody: boolean;
  place = -1;
  readonly #host: ExchangeHost;
  readonly #connection: Http1Connection;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #closing = new CloseListeners();
  #body: RequestBody | undefined;
  #rawBytes = 0;
  #onRawFault: ((code: ReasonCode) => void) | undefined;
  #continued = false;
  #fault: ReasonCode | undefined;
  #state: 'open' | 'started' | 'ended' = 'open';
  #bytesOut = 0;
  #stalledSince: number | undefined;
  #listening = false;
  #backlog: Backlog | undefined;
  /** What follows the last byte of the backlog. */
  #whenOut: (() => void) | undefined;
  readonly #drainListeners: (() => void)[] = [];

  constructor(host: ExchangeHost, connection: Http1Connection, arrival: Arrival) {
    const { request, response } = arrival;
    this.#host = host;
    this.#connection = connection;
    this.#request = request;
    this.#response = response;
    this.startedAt = arrival.startedAt;
    this.encrypted = connection.encrypted;
    this.peer = connection.peer;
    this.method = request.method ?? '';
    this.target = request.url ?? '';
    this.headers = request.headers;
    const length = this.headers['content-length'];
    this.hasBody = this.headers['transfer-encoding'] !== undefined || (length !== undefined && Number(length) > 0);
    host.live.add(this);
    response.on('close', this.#onClose);
    response.on('error', () => connection.socket.destroy());
  }

  get clientCertificate(): Uint8Array | undefined {
    return this.#connection.certificate;
  }

  get bytesIn(): number {
    return this.#body?.bytes ?? this.#rawBytes;
  }

  get bytesOut(): number {
    return this.#bytesOut;
  }

  get backlogged(): boolean {
    return this.#backlog !== undefined;
  }

  get backlogBytes(): number {
    return this.#backlog?.bytes ?? 0;
  }

  get stalledSince(): number | undefined {
    // An answer that was written in one go never says so by itself.
    if (this.#state === 'ended' && this.#stalledSince === undefined && this.#backlog === undefined) {
      if (this.#response.writableLength === 0 && this.#connection.socket.writableLength === 0) return undefined;
      this.#stalledSince = this.#host.clock.monotonic();
    }
    return behindSince(this.#stalledSince, this.#backlog);
  }

  readBody(limits: BodyLimits): Promise<Buffer> {
    if (this.#body !== undefined)
      return Promise.reject(new RefusedError('internal_error', { detail: 'body_read_twice' }));
    if (this.#fault !== undefined) return Promise.reject(new RefusedError(this.#fault));
    if (this.#closing.closed) return Promise.reject(new RefusedError('malformed_http', { detail: 'body_incomplete' }));
    if (!this.hasBody) return Promise.resolve(emptyBody);
    const encoding = this.headers['content-encoding'];
    const length = this.headers['content-length'];
    const refusal = RequestBody.refusal(limits, encoding, length === undefined ? undefined : Number(length));
    if (refusal !== undefined) return Promise.reject(refusal);
    this.#continue();
    this.#body = new RequestBody(this.#request, this.#host.budget, this.#host.clock);
    return this.#body.read(limits, encoding);
  }

  releaseBody(): void {
    this.#body?.release();
  }

  [rawBody](onFault: (code: ReasonCode) => void): Readable {
    this.#continue();
    if (this.#fault !== undefined) onFault(this.#fault);
    this.#onRawFault = onFault;
    this.#request.on('data', (chunk: Buffer) => (this.#rawBytes += chunk.length));
    return this.#request;
  }

  /** Only now does a client that waits send its body (RFC 9110 section 10.1.1). */
  #continue(): void {
    if (this.#continued || this.headers.expect === undefined || this.#request.httpVersionMinor === 0) return;
    this.#continued = true;
    this.#response.writeContinue();
  }

  respond(status: number, headers: OutgoingHttpHeaders, body: string | Uint8Array): void {
    if (this.#state !== 'open' || this.#closing.closed) return;
    const bare = neverHasBody(status);
    const length = typeof body === 'string' ? Buffer.byteLength(body) : body.byteLength;
    const list = this.#headerList(headers);
    if (!bare) list.push('content-length', String(length));
    this.#response.writeHead(status, list);
    this.#state = 'ended';
    this.#drainRest();
    if (bare || length === 0 || this.method === 'HEAD') this.#response.end();
    else if (length > pieceBytes) this.#endLater(body);
    else {
      this.#bytesOut += length;
      this.#response.end(typeof body === 'string' && !list.every(isAscii) ? Buffer.from(body) : body);
    }
  }

  start(status: number, headers: OutgoingHttpHeaders): void {
    if (this.#state !== 'open' || this.#closing.closed) return;
    const list = this.#headerList(headers);
    this.#response.writeHead(status, list);
    this.#state = 'started';
    // The caller's clock runs: heads do not wait for the first byte of the body. What the same read of the model's brought leaves
    // with the head, in one write and one TLS record.
    const { socket } = this.#connection;
    socket.cork();
    process.nextTick(() => socket.uncork());
    if (list.every(isAscii)) this.#response.flushHeaders();
    else this.#response.write(nothing);
  }

  write(chunk: string | Uint8Array): boolean {
    if (this.#state !== 'started' || this.#closing.closed) return false;
    const length = typeof chunk === 'string' ? Buffer.byteLength(chunk) : chunk.byteLength;
    const stalled = this.#stalledSince !== undefined;
    if (length === 0) return !stalled;
    return stalled || length > pieceBytes ? this.#later(chunk) : this.#put(chunk, length);
  }

  #put(chunk: string | Uint8Array, length: number): boolean {
    this.#bytesOut += length;
    const { socket } = this.#connection;
    if (!socket.writable) return false;
    if (this.#response.chunkedEncoding ? socket.write(chunked(chunk, length)) : this.#response.write(chunk))
      return true;
    this.#stalledSince ??= this.#host.clock.monotonic();
    this.#listenForDrain();
    return false;
  }

  /** In pieces, each once its peer took the one before. False: some of it waits. */
  #later(chunk: string | Uint8Array): boolean {
    this.#backlog ??= new Backlog(this.#host.clock.monotonic());
    this.#backlog.add(typeof chunk === 'string' ? Buffer.from(chunk) : chunk);
    return this.#goOn(this.#backlog);
  }

  #endLater(chunk: string | Uint8Array): void {
    this.#whenOut = () => this.#response.end();
    this.#later(chunk);
  }

  #goOn(backlog: Backlog): boolean {
    while (this.#stalledSince === undefined) {
      const piece = backlog.next();
      if (piece === undefined) {
        this.#backlog = undefined;
        this.#whenOut?.();
        return true;
      }
      if (!this.#put(piece, piece.length)) break;
    }
    return false;
  }

  /** Of the socket, since chunks go past the response. */
  #listenForDrain(): void {
    if (this.#listening) return;
    this.#listening = true;
    this.#connection.socket.on('drain', this.#onDrained);
  }

  end(chunk?: string | Uint8Array): void {
    if (this.#state !== 'started' || this.#closing.closed) return;
    this.#state = 'ended';
    this.#drainRest();
    if (this.#backlog !== undefined || (chunk?.length ?? 0) > pieceBytes) this.#endLater(chunk ?? nothing);
    else if (chunk === undefined || chunk.length === 0) this.#response.end();
    else {
      this.#bytesOut += typeof chunk === 'string' ? Buffer.byteLength(chunk) : chunk.byteLength;
      this.#response.end(chunk);
    }
  }

  destroy(): void {
    // An HTTP/1.0 answer ends with its connection: only a reset tells a cut one from a whole one.
    if (this.#request.httpVersionMinor === 0) this.#connection.reset();
    else this.#connection.socket.destroy();
  }

  breakOff(): void {
    const { drain: limits, clock } = this.#host;
    const destroy = (): void => this.destroy();
    if (this.#backlog === undefined) return afterWrites(this.#connection.socket, limits.ms, clock, destroy);
    const timer = clock.after(limits.ms, destroy);
    this.#whenOut = () => {
      timer.cancel();
      afterWrites(this.#connection.socket, limits.ms, clock, destroy);
    };
  }

  onDrain(listener: () => void): void {
    this.#drainListeners.push(listener);
    this.#listenForDrain();
  }

  onClose(listener: (how: CloseKind) => void): void {
    this.#closing.add(listener);
  }

  /** The parser can read no further: a body under way is lost, and the connection ends with this answer. */
  connectionBroken(code: ReasonCode): void {
    this.#fault = code;
    if (this.#state === 'open') {
      this.#body?.fail(code);
      this.#onRawFault?.(code);
      return;
    }
    if (this.#state === 'started' && this.hasBody && !this.#request.complete) this.destroy();
  }

  withHead(fields: () => OutgoingHttpHeaders): void {
    this.#fields = fields;
  }
  #fields: (() => OutgoingHttpHeaders) | undefined;

  #headerList(headers: OutgoingHttpHeaders): string[] {
    const list = endToEnd(this.#fields === undefined ? headers : { ...headers, ...this.#fields() });
    const unread = this.headers.expect !== undefined && this.hasBody && !this.#continued;
    if (this.#connection.broken || this.#host.closing || unread) list.push('connection', 'close');
    return list;
  }

  /** The answer is out before the body is in: see drain.ts. */
  #drainRest(): void {
    const request = this.#request;
    if (!this.hasBody || request.complete || this.#fault !== undefined) return;
    const connection = this.#connection;
    const { socket } = connection;
    this.#body?.fail('malformed_http', 'body_incomplete');
    // Node closes right after an answer that says so: it has to wait until the body is in.
    let wantsClose = false;
    socket.destroySoon = () => {
      wantsClose = true;
    };
    connection.draining = true;
    drain(request, this.#host.drain, this.#host.clock, (whole) => {
      connection.draining = false;
      Reflect.deleteProperty(socket, 'destroySoon');
      if (!whole) socket.destroy();
      else if (wantsClose) socket.destroySoon();
    });
  }

  readonly #onDrained = (): void => {
    this.#stalledSince = undefined;
    if (this.#closing.closed) return;
    if (this.#backlog !== undefined && !this.#goOn(this.#backlog)) return;
    for (const listener of this.#drainListeners) listener();
  };

  readonly #onClose = (): void => {
    this.#host.live.delete(this);
    this.#body?.release();
    this.#backlog = undefined;
    const finished = this.#state === 'ended' && this.#response.writableFinished;
    const { socket } = this.#connection;
    if (this.#listening) socket.off('drain', this.#onDrained);
    this.#connection.next();
    if (this.#connection.idle && (this.#host.stopping || this.#connection.broken) && finished) socket.destroySoon();
    this.#closing.close(finished ? 'finished' : 'aborted');
  };
}

/**
 * A chunk of RFC 9112 section 7.1 as one write. Node's own way puts each write's parts into a list and sends them on the next
 * tick: on streams of small events that costs more than all else that is done with an event.
 */
function chunked(chunk: string | Uint8Array, length: number): string | Buffer {
  const head = `${length.toString(16)}\r\n`;
  if (typeof chunk === 'string') return `${head}${chunk}\r\n`;
  const framed = Buffer.alloc(head.length + length + 2);
  framed.write(head, 0, 'latin1');
  framed.set(chunk, head.length);
  framed.write('\r\n', head.length + length, 'latin1');
  return framed;
}

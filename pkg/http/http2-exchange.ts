import { constants } from 'node:http2';
import type { IncomingHttpHeaders as Http2Headers, ServerHttp2Stream } from 'node:http2';
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import { ByteChain } from '../base/index.ts';
import { RefusedError } from '../core/index.ts';
import { afterWrites } from './after-writes.ts';
import { Backlog, behindSince, pieceBytes } from './backlog.ts';
import { drain } from './drain.ts';
import type { Exchange } from './exchange.ts';
import { CloseListeners, emptyBody, endToEnd, neverHasBody } from './exchange-host.ts';
import type { CloseKind, ExchangeHost, LiveExchange } from './exchange-host.ts';
import { MessageBody } from './message-body.ts';
import type { MessageLimits } from './message-body.ts';
import { rawBody } from './raw-exchange.ts';
import type { RawExchange } from './raw-exchange.ts';
import { RequestBody } from './request-body.ts';
import type { BodyLimits } from './request-body.ts';

export interface Http2Arrival {
  readonly stream: ServerHttp2Stream;
  readonly headers: Http2Headers;
  readonly endStream: boolean;
  readonly startedAt: number;
  readonly encrypted: boolean;
  readonly peer: string;
  readonly certificate: Uint8Array | undefined;
}

/** An exchange over one HTTP/2 stream; without node's compatibility layer, which costs an object more for each part. */
export class Http2Exchange implements Exchange, LiveExchange, RawExchange {
  readonly protocol = 'h2';
  readonly encrypted: boolean;
  readonly startedAt: number;
  readonly peer: string;
  readonly method: string;
  readonly target: string;
  readonly headers: IncomingHttpHeaders;
  readonly clientCertificate: Uint8Array | undefined;
  readonly hasBody: boolean;
  place = -1;
  readonly #host: ExchangeHost;
  readonly #stream: ServerHttp2Stream;
  readonly #closing = new CloseListeners();
  #body: RequestBody | undefined;
  #rawBytes = 0;
  #continued = false;
  #state: 'open' | 'started' | 'ended' = 'open';
  #bytesOut = 0;
  #stalledSince: number | undefined;
  #listening = false;
  #onRoom: (() => void) | undefined;
  #backlog: Backlog | undefined;
  /** What follows the last byte of the backlog. */
  #whenOut: (() => void) | undefined;

  constructor(host: ExchangeHost, arrival: Http2Arrival) {
    const { stream, headers } = arrival;
    this.#host = host;
    this.#stream = stream;
    this.startedAt = arrival.startedAt;
    this.encrypted = arrival.encrypted;
    this.peer = arrival.peer;
    this.clientCertificate = arrival.certificate;
    this.method = headers[':method'] ?? '';
    this.target = headers[':path'] ?? '';
    this.headers = plainHeaders(headers);
    this.hasBody = !arrival.endStream;
    host.live.add(this);
    stream.on('finish', this.#onFinish);
    stream.on('close', this.#onClose);
  }

  get bytesIn(): number {
    return this.#body?.bytes ?? this.#messages?.bytes ?? this.#rawBytes;
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
    if (this.#state === 'ended' && this.#stalledSince === undefined && this.#backlog === undefined) {
      if (this.#stream.writableLength === 0) return undefined;
      this.#stalledSince = this.#host.clock.monotonic();
    }
    return behindSince(this.#stalledSince, this.#backlog);
  }

  async readBody(limits: BodyLimits): Promise<Buffer> {
    return (await this.readPieces(limits)).bytes();
  }

  readPieces(limits: BodyLimits): Promise<ByteChain> {
    if (this.#body !== undefined)
      return Promise.reject(new RefusedError('internal_error', { detail: 'body_read_twice' }));
    if (this.#gone()) return Promise.reject(new RefusedError('malformed_http', { detail: 'body_incomplete' }));
    if (!this.hasBody) return Promise.resolve(noBytes);
    const encoding = this.headers['content-encoding'];
    const length = this.headers['content-length'];
    const refusal = RequestBody.refusal(limits, encoding, length === undefined ? undefined : Number(length));
    if (refusal !== undefined) return Promise.reject(refusal);
    this.#continue();
    this.#body = new RequestBody(this.#stream, this.#host.budget, this.#host.clock);
    return this.#body.pieces(limits, encoding);
  }

  nextMessage(limits: MessageLimits): Promise<Buffer | undefined> {
    if (this.#body !== undefined || this.#gone())
      return Promise.reject(new RefusedError('malformed_http', { detail: 'body_incomplete' }));
    if (!this.hasBody) return Promise.resolve(undefined);
    this.#continue();
    this.#messages ??= new MessageBody(this.#stream, this.#host.budget, this.#host.clock);
    return this.#messages.next(limits);
  }
  #messages: MessageBody | undefined;

  releaseBody(): void {
    this.#body?.release();
  }

  [rawBody](): Readable {
    this.#continue();
    this.#stream.on('data', (chunk: Buffer) => (this.#rawBytes += chunk.length));
    return this.#stream;
  }

  #continue(): void {
    if (this.#continued || this.headers.expect === undefined) return;
    this.#continued = true;
    if (!this.#gone()) this.#stream.additionalHeaders({ ':status': 100 });
  }

  #gone(): boolean {
    return this.#closing.closed || this.#stream.destroyed || this.#stream.closed;
  }

  respond(status: number, headers: OutgoingHttpHeaders, body: string | Uint8Array): void {
    if (this.#state !== 'open' || this.#gone()) return;
    const bare = neverHasBody(status);
    const length = typeof body === 'string' ? Buffer.byteLength(body) : body.byteLength;
    const head = this.#headOf(status, headers);
    if (!bare) head['content-length'] = String(length);
    const empty = bare || length === 0 || this.method === 'HEAD';
    this.#stream.respond(head, { endStream: empty });
    this.#state = 'ended';
    this.#drainRest();
    if (empty) return;
    if (length > pieceBytes) return this.#endLater(body);
    this.#bytesOut += length;
    this.#stream.end(body);
  }

  withHead(fields: () => OutgoingHttpHeaders): void {
    this.#fields = fields;
  }
  #fields: (() => OutgoingHttpHeaders) | undefined;

  #headOf(status: number, headers: OutgoingHttpHeaders): Record<string, string | number | string[]> {
    return headersOf(status, this.#fields === undefined ? headers : { ...headers, ...this.#fields() });
  }

  trailers(fields: () => OutgoingHttpHeaders): void {
    this.#trailers = fields;
  }
  #trailers: (() => OutgoingHttpHeaders) | undefined;

  start(status: number, headers: OutgoingHttpHeaders): void {
    if (this.#state !== 'open' || this.#gone()) return;
    const trailers = this.#trailers;
    const endStream = this.method === 'HEAD' || neverHasBody(status);
    const waitForTrailers = trailers !== undefined && !endStream;
    this.#stream.respond(this.#headOf(status, headers), { endStream, waitForTrailers });
    if (waitForTrailers) this.#stream.on('wantTrailers', () => this.#sendTrailers(trailers()));
    this.#state = 'started';
  }

  #sendTrailers(fields: OutgoingHttpHeaders): void {
    try {
      this.#stream.sendTrailers(fields);
    } catch {
      // Fields that HTTP/2 does not have: without its end the answer must not look whole.
      this.destroy();
    }
  }

  write(chunk: string | Uint8Array): boolean {
    if (this.#state !== 'started' || this.#gone() || this.#stream.writableEnded) return false;
    const length = typeof chunk === 'string' ? Buffer.byteLength(chunk) : chunk.byteLength;
    const stalled = this.#stalledSince !== undefined;
    if (length === 0) return !stalled;
    return stalled || length > pieceBytes ? this.#later(chunk) : this.#put(chunk, length);
  }

  #put(chunk: string | Uint8Array, length: number): boolean {
    this.#bytesOut += length;
    if (this.#stream.write(chunk)) return true;
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
    this.#whenOut = () => this.#stream.end();
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

  #listenForDrain(): void {
    if (this.#listening) return;
    this.#listening = true;
    this.#stream.on('drain', this.#onDrained);
  }

  end(chunk?: string | Uint8Array): void {
    if (this.#state !== 'started' || this.#gone()) return;
    this.#state = 'ended';
    this.#drainRest();
    if (this.#stream.writableEnded) return;
    if (this.#backlog !== undefined || (chunk?.length ?? 0) > pieceBytes) this.#endLater(chunk ?? emptyBody);
    else if (chunk === undefined || chunk.length === 0) this.#stream.end();
    else {
      this.#bytesOut += typeof chunk === 'string' ? Buffer.byteLength(chunk) : chunk.byteLength;
      this.#stream.end(chunk);
    }
  }

  destroy(): void {
    // Not close(): that sends END_STREAM before its reset, and a cut answer would look whole.
    if (!this.#stream.destroyed) this.#stream.destroy(cut);
  }

  breakOff(): void {
    const { drain: limits, clock } = this.#host;
    const destroy = (): void => this.destroy();
    if (this.#backlog === undefined) return afterWrites(this.#stream, limits.ms, clock, destroy);
    const timer = clock.after(limits.ms, destroy);
    this.#whenOut = () => {
      timer.cancel();
      afterWrites(this.#stream, limits.ms, clock, destroy);
    };
  }

  onDrain(listener: () => void): void {
    const first = this.#onRoom;
    this.#onRoom =
      first === undefined
        ? listener
        : () => {
            first();
            listener();
          };
    this.#listenForDrain();
  }

  onClose(listener: (how: CloseKind) => void): void {
    this.#closing.add(listener);
  }

  /** RFC 9113 section 8.1: after a whole answer the rest of the request may be refused with NO_ERROR; see drain.ts for why not at once. */
  #drainRest(): void {
    const stream = this.#stream;
    if (!this.hasBody || stream.readableEnded) return;
    this.#body?.fail('malformed_http', 'body_incomplete');
    this.#messages?.release();
    drain(stream, this.#host.drain, this.#host.clock, (whole) => {
      if (!whole && !stream.destroyed) stream.close(constants.NGHTTP2_NO_ERROR);
    });
  }

  readonly #onDrained = (): void => {
    this.#stalledSince = undefined;
    if (this.#gone()) return;
    if (this.#backlog !== undefined && !this.#goOn(this.#backlog)) return;
    this.#onRoom?.();
  };

  readonly #onFinish = (): void => {
    // A HEAD answer's writable side is ended by node before anything was said.
    if (this.#state === 'ended') this.#over('finished');
  };

  readonly #onClose = (): void => {
    // Node 26 reaches `close` without `finish` when a stream ends with its last data: `writableFinished` says nothing here.
    const whole =
      this.#state === 'ended' && this.#backlog === undefined && !this.#stream.aborted && this.#stream.rstCode === 0;
    this.#over(whole ? 'finished' : 'aborted');
  };

  #over(how: CloseKind): void {
    if (this.#closing.closed) return;
    this.#host.live.delete(this);
    this.#body?.release();
    this.#messages?.release();
    this.#backlog = undefined;
    this.#closing.close(how);
  }
}

const cut = new Error('answer cut');
const noBytes = ByteChain.of();

function plainHeaders(headers: Http2Headers): IncomingHttpHeaders {
  const plain: IncomingHttpHeaders = {};
  for (const name in headers) if (name.charCodeAt(0) !== 0x3a) plain[name] = headers[name];
  plain.host ??= headers[':authority'];
  return plain;
}

function headersOf(status: number, headers: OutgoingHttpHeaders): Record<string, string | number | string[]> {
  const head: Record<string, string | number | string[]> = { ':status': status };
  const list = endToEnd(headers);
  for (let at = 0; at < list.length; at += 2) {
    const name = list[at] ?? '';
    const value = list[at + 1] ?? '';
    const known = head[name];
    head[name] = known === undefined ? value : [...(Array.isArray(known) ? known : [String(known)]), value];
  }
  return head;
}

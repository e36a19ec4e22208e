import { constants } from 'node:http2';
import type {
  ClientHttp2Stream,
  Http2Session,
  IncomingHttpHeaders as Http2Headers,
  OutgoingHttpHeaders,
} from 'node:http2';
import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';
import { createSecureContext } from 'node:tls';
import type { Transform } from 'node:stream';
import type { ConnectionOptions } from 'node:tls';
import { ByteChain } from '../base/index.ts';
import type { Clock, Timer } from '../base/index.ts';
import { RefusedError } from '../core/index.ts';
import type { ReasonCode } from '../core/index.ts';
import { mostInterim } from './client/answer-parser.ts';
import { Http2Pool, refusedStream } from './client/http2-pool.ts';
import type { Http2ClientLimits, NoStream, StreamWaiter } from './client/http2-pool.ts';
import { isSafe } from './client/safe-method.ts';
import { codingOf, createDecoder } from './content-coding.ts';
import type { Http2Upstream, OpenCall, UpstreamHandler, UpstreamRequest } from './exchange.ts';
import { isHopByHop } from './response-headers.ts';
import { tunnelTo } from './upstream.ts';
import type { UpstreamOptions } from './upstream.ts';

/**
 * Requests to a model that speaks HTTP/2: over TLS by ALPN, else with prior knowledge (h2c).
 *
 * Guarantee: as that of {@link Upstream}: one head, data, trailers where there are any, then exactly one of end or error, and nothing after
 * `abort`, which resets the stream. What may have been carried out is never sent a second time (RFC 9110 section 9.2.2): a request is sent
 * again once, only whole, and only where its server says that it did not begin with it (REFUSED_STREAM, or GOAWAY before it), or where its
 * method is safe, it has no body, and a connection that had been used before broke off at once and without an answer. Neither side's bytes
 * pile up: the model sends no more than its window while its caller does not read, and `write` says when to wait.
 */

const defaults: Http2ClientLimits = {
  connectMs: 5_000,
  idleSessionMs: 60_000,
  maxAgeMs: 3_600_000,
  maxHeaderBytes: 64 * 1_024,
  maxHeaders: 200,
  maxSessions: 64,
  maxStreams: 100,
  windowBytes: 256 * 1_024,
};

/** A server that had closed a connection says so within a round trip; what breaks later may have been worked on. */
const resendMs = 1_000;

export interface Http2UpstreamOptions extends Pick<UpstreamOptions, 'url' | 'tls' | 'proxy' | 'clock'> {
  /** All have defaults. */
  readonly limits?: Partial<Http2ClientLimits>;
  /** See {@link Http2PoolOptions}: then a request that found HTTP/1.1 there fails with a {@link NoHttp2Error}, and was not sent. Default false. */
  readonly offersHttp1?: boolean;
}

/** The server chose HTTP/1.1: nothing of the request was sent. */
export class NoHttp2Error extends RefusedError {
  constructor(cause: unknown) {
    super('upstream_protocol', { cause });
  }
}

/** @throws TypeError for a URL that is not http or https. */
export function createHttp2Upstream(options: Http2UpstreamOptions): Http2Upstream {
  const url = new URL(options.url);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw new TypeError('the upstream must be http or https');
  const secure = url.protocol === 'https:';
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const pool = new Http2Pool({
    clock: options.clock,
    address: { host, port: Number(url.port) || (secure ? 443 : 80) },
    tls: secure ? () => tlsOptions(host, options.tls) : undefined,
    tunnel: tunnelTo(url, options.proxy),
    offersHttp1: options.offersHttp1 === true,
    limits: { ...defaults, ...options.limits },
  });
  const line: Line = {
    clock: options.clock,
    pool,
    authority: url.host,
    scheme: secure ? 'https' : 'http',
    prefix: url.pathname === '/' ? '' : url.pathname.replace(/\/$/, ''),
  };
  const begin = (request: UpstreamRequest, handler: UpstreamHandler, open: boolean): Call => {
    const call = new Call(line, request, handler, open);
    call.send();
    return call;
  };
  return {
    send: (request, handler) => begin(request, handler, false),
    open: (request, handler) => begin(request, handler, true),
    close: () => pool.close(),
  };
}

function tlsOptions(host: string, tls: UpstreamOptions['tls']): ConnectionOptions {
  return {
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2',
    // In a list: an empty text alone would stand for the public roots.
    secureContext: createSecureContext({ minVersion: 'TLSv1.2', ...(tls?.ca === undefined ? {} : { ca: [tls.ca] }) }),
    servername: tls?.serverName ?? (isIP(host) === 0 ? host : ''),
  };
}

interface Line {
  readonly clock: Clock;
  readonly pool: Http2Pool;
  readonly authority: string;
  readonly scheme: 'http' | 'https';
  readonly prefix: string;
}

class Call implements OpenCall, StreamWaiter {
  readonly #line: Line;
  readonly #handler: UpstreamHandler;
  readonly #idleMs: number;
  readonly #open: boolean;
  readonly #safe: boolean;
  readonly headers: OutgoingHttpHeaders;
  /** Until it is sent and an answer has begun: it may have to be sent again. */
  #body: UpstreamRequest['body'];
  #bodySent = false;
  #stream: ClientHttp2Stream | undefined;
  #session: Http2Session | undefined;
  /** Written before there was a connection. */
  readonly #early: Uint8Array[] = [];
  #finished = false;
  #reused = false;
  #timer: Timer | undefined;
  #lastActivity = 0;
  #sentAt = 0;
  #again = false;
  #answered = false;
  #ended = false;
  #trailers: IncomingHttpHeaders | undefined;
  #paused = false;
  #done = false;

  constructor(line: Line, request: UpstreamRequest, handler: UpstreamHandler, open: boolean) {
    this.#line = line;
    this.#handler = handler;
    this.#idleMs = request.idleMs;
    this.#open = open;
    this.#body = request.body;
    this.#safe = isSafe(request.method, request.body);
    this.headers = headOf(line, request, open);
  }

  send(): void {
    const { clock, pool } = this.#line;
    this.#touch();
    this.#timer = clock.after(this.#idleMs, this.#onIdle);
    pool.take(this);
  }

  opened(stream: ClientHttp2Stream, reused: boolean): void {
    this.#stream = stream;
    this.#session = stream.session; // a stream that has ended has none
    this.#reused = reused;
    this.#sentAt = this.#line.clock.monotonic();
    this.#ended = false;
    this.#interim = 0;
    this.#bodySent = false;
    if (this.#paused) stream.pause();
    stream.on('error', () => undefined); // told by its end
    stream.on('response', (headers) => this.#head(stream, headers));
    stream.on('headers', () => this.#passOver(stream));
    stream.on('trailers', (headers) => {
      if (stream === this.#stream) this.#trailers = plain(headers);
    });
    stream.on('data', (chunk: Buffer) => {
      if (this.#done || stream !== this.#stream) return;
      this.#touch();
      if (this.#decoder === undefined) this.#handler.data(chunk);
      else if (!this.#decoder.write(chunk)) stream.pause();
    });
    stream.on('end', () => {
      // Of a stream that was reset, too: what came last says whether it was whole.
      if (stream === this.#stream && !stream.aborted && stream.rstCode === constants.NGHTTP2_NO_ERROR) this.#end();
    });
    stream.on('drain', () => {
      if (!this.#done && stream === this.#stream) this.#handler.room?.();
    });
    stream.on('close', () => this.#closed(stream));
    this.#write(stream);
  }

  #write(stream: ClientHttp2Stream): void {
    const sent = (): void => {
      if (stream !== this.#stream) return;
      this.#bodySent = true;
      this.#releaseBody();
    };
    const body = this.#body;
    if (!this.#open) {
      if (body === undefined || body.length === 0) stream.end();
      else if (body instanceof ByteChain) {
        for (const piece of body.pieces) stream.write(piece);
        stream.end(sent);
      } else stream.end(body, sent);
      return;
    }
    if (body !== undefined && body.length > 0) stream.write(body instanceof ByteChain ? body.bytes() : body, sent);
    for (const chunk of this.#early.splice(0)) stream.write(chunk);
    if (this.#finished) stream.end();
    else if (stream.writableLength < stream.writableHighWaterMark) this.#handler.room?.();
  }

  failed(why: NoStream, cause: unknown): void {
    if (why === 'other' && !this.#done) return this.#failAs(new NoHttp2Error(cause));
    this.#fail(why === 'unreachable' ? 'upstream_unreachable' : 'upstream_protocol', cause);
  }

  write(chunk: Uint8Array): boolean {
    if (this.#done || this.#finished) return true;
    this.#touch();
    if (this.#stream !== undefined) return this.#stream.write(chunk);
    this.#early.push(chunk);
    return false;
  }

  finish(): void {
    if (this.#done || this.#finished) return;
    this.#finished = true;
    this.#stream?.end();
  }

  pause(): void {
    this.#paused = true;
    if (this.#decoder === undefined) this.#stream?.pause();
    else this.#decoder.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#touch();
    this.#decoder?.resume();
    this.#stream?.resume();
  }

  abort(): void {
    if (this.#done) return;
    this.#finish();
    this.#leave();
  }

  #touch(): void {
    this.#lastActivity = this.#line.clock.monotonic();
  }

  readonly #onIdle = (): void => {
    const { clock, pool } = this.#line;
    const quiet = clock.monotonic() - this.#lastActivity;
    // While the caller does not read, silence is ours.
    if (this.#paused) this.#timer = clock.after(this.#idleMs, this.#onIdle);
    else if (quiet < this.#idleMs) this.#timer = clock.after(this.#idleMs - quiet, this.#onIdle);
    else {
      if (this.#stream !== undefined) pool.suspect(this.#stream);
      this.#fail('upstream_timeout');
    }
  };

  #head(stream: ClientHttp2Stream, headers: Http2Headers): void {
    if (this.#done || stream !== this.#stream) return;
    this.#touch();
    const status = Number(headers[':status'] ?? 0);
    const fields = plain(headers);
    const coding = stream.endAfterHeaders ? 'identity' : codingOf(headers['content-encoding']);
    // We asked for none. Of a call whose messages are framed within, nobody could read one that is coded.
    if (coding === undefined || (coding !== 'identity' && this.#open)) return this.#fail('upstream_protocol');
    if (coding !== 'identity') {
      delete fields['content-encoding'];
      delete fields['content-length'];
      this.#decoder = this.#decode(createDecoder(coding));
    }
    this.#answered = true;
    this.#handler.head(status, fields);
    this.#releaseBody();
  }

  /** An interim answer (1xx) is nobody's, and no sign that the model works: silence goes on. */
  #passOver(stream: ClientHttp2Stream): void {
    if (this.#done || stream !== this.#stream) return;
    if (++this.#interim > mostInterim) this.#fail('upstream_protocol');
  }
  #interim = 0;

  /** Between the stream and the handler, where the server coded its answer unasked. */
  #decoder: Transform | undefined;

  #decode(decoder: Transform): Transform {
    decoder.on('data', (chunk: Buffer) => {
      if (this.#done) return;
      this.#touch();
      this.#handler.data(chunk);
    });
    decoder.on('end', () => this.#ending());
    decoder.on('error', (cause) => this.#fail('upstream_protocol', cause));
    decoder.on('drain', () => this.#stream?.resume());
    if (this.#paused) decoder.pause();
    return decoder;
  }

  #releaseBody(): void {
    if (!this.#bodySent || !this.#answered || this.#done || this.#body === undefined) return;
    this.#body = undefined;
    this.#handler.bodyReleased?.();
  }

  #end(): void {
    if (this.#done || !this.#answered) return;
    this.#ended = true;
    if (this.#decoder === undefined) this.#ending();
    else this.#decoder.end();
  }

  #ending(): void {
    if (this.#done) return;
    const trailers = this.#trailers;
    this.#finish();
    const stream = this.#stream;
    this.#stream = undefined;
    // An answer may end before its request: what is left of that is nobody's.
    if (stream !== undefined && !stream.writableEnded) stream.close(constants.NGHTTP2_NO_ERROR);
    if (trailers !== undefined) this.#handler.trailers?.(trailers);
    this.#handler.end();
  }

  #closed(stream: ClientHttp2Stream): void {
    if (this.#done || stream !== this.#stream || this.#ended) return;
    this.#stream = undefined;
    const { rstCode } = stream;
    if (!this.#answered && !this.#again && !this.#open && this.#mayRepeat(rstCode)) {
      this.#again = true;
      this.#line.pool.take(this, true);
      return;
    }
    this.#fail('upstream_protocol');
  }

  #mayRepeat(rstCode: number): boolean {
    if (rstCode === refusedStream) return true;
    // A stream that its server reset on a connection that goes on: it may have done the work.
    if (this.#session?.destroyed !== true || !this.#safe) return false;
    return this.#reused && this.#line.clock.monotonic() - this.#sentAt < resendMs;
  }

  #fail(code: ReasonCode, cause?: unknown): void {
    if (!this.#done) this.#failAs(new RefusedError(code, { cause }));
  }

  #failAs(error: RefusedError): void {
    this.#finish();
    this.#leave();
    this.#handler.error(error);
  }

  #finish(): void {
    this.#done = true;
    this.#timer?.cancel();
    this.#early.length = 0;
    this.#body = undefined;
  }

  /** Ends the model's work, or gives the place in the queue back. */
  #leave(): void {
    const stream = this.#stream;
    this.#stream = undefined;
    this.#decoder?.destroy();
    if (stream === undefined) this.#line.pool.cancel(this);
    else {
      stream.close(constants.NGHTTP2_CANCEL);
      // What it still holds is read by nobody.
      stream.resume();
    }
  }
}

/** RFC 9113 section 8.3.1. */
function headOf(line: Line, { method, path, headers, body }: UpstreamRequest, open: boolean): OutgoingHttpHeaders {
  const head: OutgoingHttpHeaders = {
    ':method': method,
    ':scheme': line.scheme,
    ':authority': line.authority,
    ':path': line.prefix + path,
  };
  for (const name in headers) {
    const value = headers[name];
    const lower = name.toLowerCase();
    if (value === undefined || setByUs.has(lower)) continue;
    // The one hop-by-hop field of HTTP/2, and with one value only (RFC 9113 section 8.2.2).
    if (isHopByHop(lower) && !(lower === 'te' && value === 'trailers')) continue;
    head[lower] = value;
  }
  if (!open && body !== undefined) head['content-length'] = String(body.length);
  return head;
}

const setByUs = new Set(['host', 'accept-encoding', 'content-encoding', 'content-length', 'expect']);

function plain(headers: Http2Headers): IncomingHttpHeaders {
  const fields: IncomingHttpHeaders = {};
  for (const name in headers) if (!name.startsWith(':')) fields[name] = headers[name] as string | undefined;
  return fields;
}

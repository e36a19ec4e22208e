import { isIP } from 'node:net';
import { createSecureContext } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import type { Transform } from 'node:stream';
import { ByteChain } from '../base/index.ts';
import type { Clock, Logger, Timer } from '../base/index.ts';
import { RefusedError } from '../core/index.ts';
import type { ReasonCode } from '../core/index.ts';
import type { AnswerHead } from './client/answer-head.ts';
import type { Connection, ConnectionUser, Loss } from './client/connection.ts';
import { Pool } from './client/pool.ts';
import { requestHeads } from './client/request-head.ts';
import type { RequestHead } from './client/request-head.ts';
import { Tunnel } from './client/tunnel.ts';
import type { ProxyAddress } from './client/tunnel.ts';
import { isSafe } from './client/safe-method.ts';
import { codingOf, createDecoder } from './content-coding.ts';
import type { Upstream, UpstreamCall, UpstreamHandler, UpstreamRequest } from './exchange.ts';

/**
 * Requests to the model, over HTTP/1.1 connections of our own (client/): node:http's client costs as much as all else that is done
 * with a request.
 *
 * Guarantee: the handler gets one head, then data, then exactly one of end or error, and nothing after `abort`; an answer
 * that broke off is never an end; and what a connection says while it is idle is nobody's answer. What may have been carried out is never
 * sent a second time (RFC 9110 section 9.2.2): a request is sent again once, and only where its connection had ended before a byte of it was
 * written, or where its method is safe, it has no body, and a reused connection failed at once ({@link resendMs}) and before any byte of an
 * answer. TLS is always verified.
 *
 * Idle sockets live 4 s, since uvicorn (vLLM, TGI, Triton's front ends) closes its own at 5.
 */
export interface UpstreamOptions {
  /** `http:` or `https:` with host and port; a path in it is put before each request's. */
  readonly url: string;
  readonly tls?: {
    /** PEM; in place of the public roots. */
    readonly ca?: string;
    /** For SNI and verification; default the URL's host. */
    readonly serverName?: string;
  };
  /** A proxy that https goes through. */
  readonly proxy?: ProxyAddress | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Connections at once; more requests wait, within their idle time. Default 10,000: who forwards has a bound of its own. */
  readonly maxSockets?: number;
  readonly limits?: UpstreamLimits;
}

/** All have defaults. */
export interface UpstreamLimits {
  /** Default 5 s, TLS included. */
  readonly connectMs?: number;
  /** Default 4 s. */
  readonly idleSocketMs?: number;
  /** Default 64 KiB. */
  readonly maxHeaderBytes?: number;
  /** Default 200. */
  readonly maxHeaders?: number;
}

/** A server that had closed a connection says so within a round trip; what breaks later may have been worked on. */
const resendMs = 1_000;

const defaults = { connectMs: 5_000, idleSocketMs: 4_000, maxHeaderBytes: 64 * 1024, maxHeaders: 200 };

/** @throws TypeError for a URL that is not http or https. */
export function createUpstream(options: UpstreamOptions): Upstream {
  const url = new URL(options.url);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw new TypeError('the upstream must be http or https');
  const secure = url.protocol === 'https:';
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const pool = new Pool({
    clock: options.clock,
    address: { host, port: Number(url.port) || (secure ? 443 : 80) },
    tls: secure ? tlsOptions(host, options.tls) : undefined,
    tunnel: tunnelTo(url, options.proxy),
    maxSockets: options.maxSockets ?? 10_000,
    limits: { ...defaults, ...options.limits },
  });
  const line: Line = {
    clock: options.clock,
    pool,
    prefix: url.pathname === '/' ? '' : url.pathname.replace(/\/$/, ''),
    headOf: requestHeads(url.host),
  };
  return {
    send(request, handler) {
      const call = new Call(line, request, handler);
      call.send();
      return call;
    },
    close: () => pool.close(),
  };
}

/** @param proxy where a connection to this https URL goes through; it is told host and port */
export function tunnelTo(url: URL, proxy: ProxyAddress | undefined): (() => Tunnel) | undefined {
  if (proxy === undefined || url.protocol !== 'https:') return undefined;
  return () => new Tunnel(proxy, `${url.hostname}:${url.port === '' ? 443 : url.port}`);
}

function tlsOptions(host: string, tls: UpstreamOptions['tls']): ConnectionOptions {
  return {
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2',
    ALPNProtocols: ['http/1.1'],
    // Made once: reading the authorities costs more than a handshake.
    // In a list: an empty text alone would stand for the public roots.
    secureContext: createSecureContext({ minVersion: 'TLSv1.2', ...(tls?.ca === undefined ? {} : { ca: [tls.ca] }) }),
    servername: tls?.serverName ?? (isIP(host) === 0 ? host : ''),
  };
}

/** What calls share. */
interface Line {
  readonly clock: Clock;
  readonly pool: Pool;
  readonly prefix: string;
  readonly headOf: (request: RequestHead) => string;
}

class Call implements UpstreamCall, ConnectionUser {
  readonly #line: Line;
  readonly #request: Omit<UpstreamRequest, 'body'>;
  readonly #handler: UpstreamHandler;
  /** Until it is sent and an answer has begun: it may have to be sent again. */
  #body: Uint8Array | undefined;
  #bodySent = false;
  #answered = false;
  #head = '';
  #connection: Connection | undefined;
  #decoder: Transform | undefined;
  #timer: Timer | undefined;
  #lastActivity = 0;
  #sentAt = 0;
  #again = false;
  #paused = false;
  /** Came while paused: at most what one read brought. */
  #held: Buffer | undefined;
  #complete = false;
  #done = false;

  constructor(line: Line, request: UpstreamRequest, handler: UpstreamHandler) {
    this.#line = line;
    const { body, ...rest } = request;
    this.#request = rest;
    this.#body = body instanceof ByteChain ? body.bytes() : body;
    this.#handler = handler;
  }

  send(): void {
    const { clock, prefix, headOf, pool } = this.#line;
    const { method, path, headers, idleMs } = this.#request;
    this.#touch();
    try {
      this.#head = headOf({ method, target: prefix + path, headers, bodyBytes: this.#body?.byteLength });
      this.#timer = clock.after(idleMs, this.#onIdle);
      pool.take(this.#begin);
    } catch (cause) {
      // A path or header that cannot be written. Told later, as every other error.
      queueMicrotask(() => this.#fail('internal_error', cause));
    }
  }

  readonly #begin = (connection: Connection | undefined): void => {
    if (connection === undefined) return this.#fail('upstream_unreachable');
    this.#connection = connection;
    this.#sentAt = this.#line.clock.monotonic();
    // Who does not read yet did not when there was no connection either.
    if (this.#paused) connection.pause();
    this.#bodySent = false;
    connection.send(this, this.#head, this.#body, this.#request.method === 'HEAD');
  };

  bodySent(): void {
    this.#bodySent = true;
    this.#releaseBody();
  }

  #releaseBody(): void {
    if (!this.#bodySent || !this.#answered || this.#done || this.#body === undefined) return;
    this.#body = undefined;
    this.#handler.bodyReleased?.();
  }

  pause(): void {
    this.#paused = true;
    if (this.#decoder === undefined) this.#connection?.pause();
    else this.#decoder.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#touch();
    if (this.#decoder !== undefined) {
      this.#decoder.resume();
      this.#connection?.resume();
    } else if (this.#held !== undefined || this.#complete) queueMicrotask(this.#giveHeld);
    else this.#connection?.resume();
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
    const { clock } = this.#line;
    const { idleMs } = this.#request;
    const quiet = clock.monotonic() - this.#lastActivity;
    // While the caller does not read, silence is ours.
    if (this.#paused) this.#timer = clock.after(idleMs, this.#onIdle);
    else if (quiet < idleMs) this.#timer = clock.after(idleMs - quiet, this.#onIdle);
    else this.#fail('upstream_timeout');
  };

  answerHead({ status, headers, framing }: AnswerHead): void {
    this.#touch();
    const bare = framing === 0 && (this.#request.method === 'HEAD' || status === 204 || status === 304);
    const coding = bare ? 'identity' : codingOf(headers['content-encoding']);
    if (coding === undefined) return this.#fail('upstream_protocol');
    if (coding !== 'identity') {
      delete headers['content-encoding'];
      delete headers['content-length'];
      this.#decoder = this.#decode(createDecoder(coding));
    }
    this.#handler.head(status, headers);
    this.#answered = true;
    this.#releaseBody();
  }

  #decode(decoder: Transform): Transform {
    decoder.on('data', (chunk: Buffer) => this.#give(chunk));
    decoder.on('end', () => this.#end());
    decoder.on('error', (cause) => this.#fail('upstream_protocol', cause));
    decoder.on('drain', () => this.#connection?.resume());
    if (this.#paused) decoder.pause();
    return decoder;
  }

  answerBody(bytes: Buffer): void {
    if (this.#done) return;
    if (this.#decoder !== undefined) {
      this.#touch();
      if (!this.#decoder.write(bytes)) this.#connection?.pause();
    } else if (this.#paused) this.#held = this.#held === undefined ? bytes : Buffer.concat([this.#held, bytes]);
    else this.#give(bytes);
  }

  answerComplete(): void {
    this.#connection = undefined;
    this.#complete = true;
    if (this.#decoder !== undefined) this.#decoder.end();
    else if (!this.#paused) this.#end();
  }

  lost(how: Loss, cause: unknown): void {
    const connection = this.#connection;
    this.#connection = undefined;
    if (this.#done) return;
    if (how === 'unreachable') this.#fail('upstream_unreachable', cause);
    // Once more, and never on a connection that was used before.
    else if (!this.#again && (how === 'unwritten' || (how === 'unanswered' && this.#isRepeatable(connection))))
      this.#sendAgain(cause);
    else this.#fail('upstream_protocol', cause);
  }

  /** The server had closed the connection already, as far as one can tell; and where it had not, nothing is done twice. */
  #isRepeatable(connection: Connection | undefined): boolean {
    if (connection?.reused !== true || !isSafe(this.#request.method, this.#body)) return false;
    return this.#line.clock.monotonic() - this.#sentAt < resendMs;
  }

  #sendAgain(cause: unknown): void {
    this.#again = true;
    try {
      this.#line.pool.fresh(this.#begin);
    } catch {
      this.#fail('upstream_protocol', cause);
    }
  }

  /** What waited for the caller, and then the rest of the connection's. */
  readonly #giveHeld = (): void => {
    const held = this.#held;
    if (this.#done || this.#paused) return;
    this.#held = undefined;
    if (held !== undefined) this.#give(held);
    if (this.#isHeldBack()) return;
    if (this.#complete) this.#end();
    else this.#connection?.resume();
  };

  /** What was given may have made the handler pause or abort. */
  #isHeldBack(): boolean {
    return this.#done || this.#paused;
  }

  #give(chunk: Buffer): void {
    if (this.#done) return;
    this.#touch();
    this.#handler.data(chunk);
  }

  #end(): void {
    if (this.#done) return;
    this.#finish();
    this.#handler.end();
  }

  #fail(code: ReasonCode, cause?: unknown): void {
    if (this.#done) return;
    this.#finish();
    this.#leave();
    this.#handler.error(new RefusedError(code, { cause }));
  }

  #finish(): void {
    this.#done = true;
    this.#timer?.cancel();
    this.#held = undefined;
  }

  /** Ends the model's work, or gives the place in the queue back. */
  #leave(): void {
    const connection = this.#connection;
    this.#connection = undefined;
    this.#decoder?.destroy();
    if (connection === undefined) this.#line.pool.cancel(this.#begin);
    else connection.destroy();
  }
}

import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { AgentOptions } from 'node:https';
import type { Socket } from 'node:net';
import type { Readable, Transform } from 'node:stream';
import type { Clock, Logger, Timer } from '../base/index.ts';
import { RefusedError } from '../core/index.ts';
import type { ReasonCode } from '../core/index.ts';
import { acceptEncoding, codingOf, createDecoder } from './content-coding.ts';
import type { Upstream, UpstreamCall, UpstreamHandler, UpstreamRequest } from './exchange.ts';
import { isHopByHop } from './response-headers.ts';
import { bytesAtFree, guardPool, ready } from './upstream-pool.ts';
import type { MarkedSocket } from './upstream-pool.ts';

/**
 * Requests to the model, on node:http with a keep-alive pool.
 *
 * Guarantee: the handler gets one head, then data, then exactly one of end or error, and nothing after `abort`; an answer
 * that broke off is never an end; and what a connection says while it is idle is nobody's answer. A request is sent again once, and only where a reused connection failed before any byte
 * of an answer: the server had closed it already. TLS is always verified. Limit: where that server had begun its work all
 * the same, the work is done twice.
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
  readonly clock: Clock;
  readonly logger: Logger;
  /** Connections at once; more requests wait, within their idle time. Default 512. */
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

const defaults = { connectMs: 5_000, idleSocketMs: 4_000, maxHeaderBytes: 64 * 1024, maxHeaders: 200 };

/** @throws TypeError for a URL that is not http or https. */
export function createUpstream(options: UpstreamOptions): Upstream {
  return new NodeUpstream(options);
}

/** What a call needs of the upstream that it belongs to. */
interface Line {
  readonly clock: Clock;
  readonly maxHeaders: number;
  open(request: UpstreamRequest, fresh: boolean): ClientRequest;
}

class NodeUpstream implements Upstream, Line {
  readonly clock: Clock;
  readonly maxHeaders: number;
  readonly #secure: boolean;
  readonly #base: { readonly host: string; readonly port: string; readonly maxHeaderSize: number };
  readonly #hostHeader: string;
  readonly #prefix: string;
  readonly #agent: HttpAgent;
  /** For the one resend: never a reused socket. */
  readonly #freshAgent: HttpAgent;

  constructor(options: UpstreamOptions) {
    const url = new URL(options.url);
    if (url.protocol !== 'http:' && url.protocol !== 'https:')
      throw new TypeError('the upstream must be http or https');
    const limits = { ...defaults, ...options.limits };
    this.clock = options.clock;
    this.maxHeaders = limits.maxHeaders;
    this.#secure = url.protocol === 'https:';
    const host = url.hostname.replace(/^\[|\]$/g, '');
    this.#base = { host, port: url.port || (this.#secure ? '443' : '80'), maxHeaderSize: limits.maxHeaderBytes };
    this.#hostHeader = url.host;
    this.#prefix = url.pathname === '/' ? '' : url.pathname.replace(/\/$/, '');
    const pool: AgentOptions = {
      scheduling: 'lifo',
      maxSockets: options.maxSockets ?? 512,
      maxFreeSockets: options.maxSockets ?? 512,
      timeout: limits.idleSocketMs,
      ...(this.#secure
        ? {
            rejectUnauthorized: true,
            minVersion: 'TLSv1.2',
            ALPNProtocols: ['http/1.1'],
            ...(options.tls?.ca === undefined ? {} : { ca: options.tls.ca }),
            ...(options.tls?.serverName === undefined ? {} : { servername: options.tls.serverName }),
          }
        : {}),
    };
    const create = (keepAlive: boolean): HttpAgent =>
      guardPool(
        this.#secure ? new HttpsAgent({ ...pool, keepAlive }) : new HttpAgent({ ...pool, keepAlive }),
        this.#secure ? 'secureConnect' : 'connect',
        limits.connectMs,
        options.clock,
      );
    this.#agent = create(true);
    this.#freshAgent = create(false);
  }

  send(request: UpstreamRequest, handler: UpstreamHandler): UpstreamCall {
    const call = new Call(this, request, handler);
    call.send(false);
    return call;
  }

  open(request: UpstreamRequest, fresh: boolean): ClientRequest {
    const options = {
      ...this.#base,
      agent: fresh ? this.#freshAgent : this.#agent,
      method: request.method,
      path: this.#prefix + request.path,
      headers: this.#headerList(request),
    };
    const sent = this.#secure ? httpsRequest(options) : httpRequest(options);
    // One more than allowed shows that there were more: node drops the rest without a word.
    sent.maxHeadersCount = this.maxHeaders + 1;
    return sent;
  }

  /** A flat list is the form that node writes without another copy. */
  #headerList(request: UpstreamRequest): string[] {
    const list = ['host', this.#hostHeader, 'accept-encoding', acceptEncoding];
    const { headers, body, method } = request;
    for (const name in headers) {
      const value = headers[name];
      if (value === undefined || ourOwn(name)) continue;
      if (typeof value === 'object') for (const one of value) list.push(name, one);
      else list.push(name, String(value));
    }
    if (body !== undefined) list.push('content-length', String(body.byteLength));
    else if (method !== 'GET' && method !== 'HEAD') list.push('content-length', '0');
    return list;
  }

  close(): void {
    this.#agent.destroy();
    this.#freshAgent.destroy();
  }
}

function ourOwn(name: string): boolean {
  switch (name) {
    case 'host':
    case 'accept-encoding':
    case 'content-length':
    case 'content-encoding':
    case 'expect':
      return true;
    default:
      return isHopByHop(name);
  }
}

class Call implements UpstreamCall {
  readonly #line: Line;
  readonly #request: UpstreamRequest;
  readonly #handler: UpstreamHandler;
  #sent: ClientRequest | undefined;
  #source: Readable | undefined;
  #timer: Timer | undefined;
  #lastActivity = 0;
  #again = false;
  #paused = false;
  #done = false;

  constructor(line: Line, request: UpstreamRequest, handler: UpstreamHandler) {
    this.#line = line;
    this.#request = request;
    this.#handler = handler;
  }

  send(fresh: boolean): void {
    this.#again = fresh;
    let sent: ClientRequest;
    try {
      sent = this.#line.open(this.#request, fresh);
    } catch (cause) {
      // A path or header that node does not write. Told later, as every other error.
      queueMicrotask(() => this.#fail('internal_error', cause));
      return;
    }
    this.#sent = sent;
    sent.on('response', this.#onResponse);
    sent.on('upgrade', this.#onUpgrade);
    sent.on('error', this.#onError);
    this.#touch();
    this.#timer ??= this.#line.clock.after(this.#request.idleMs, this.#onIdle);
    sent.end(this.#request.body);
  }

  pause(): void {
    this.#paused = true;
    this.#source?.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#touch();
    this.#source?.resume();
  }

  abort(): void {
    if (this.#done) return;
    this.#finish();
    this.#sent?.destroy();
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

  readonly #onResponse = (response: IncomingMessage): void => {
    if (this.#done) {
      response.resume();
      return;
    }
    this.#touch();
    const { headers } = response;
    if (response.rawHeaders.length > this.#line.maxHeaders * 2) return this.#fail('upstream_protocol');
    const status = response.statusCode ?? 0;
    const bare = this.#request.method === 'HEAD' || status === 204 || status === 304;
    const coding = bare ? 'identity' : codingOf(headers['content-encoding']);
    if (coding === undefined) return this.#fail('upstream_protocol');
    response.on('error', this.#onBroken);
    response.on('aborted', this.#onBroken);
    let source: Readable = response;
    if (coding !== 'identity') {
      delete headers['content-encoding'];
      delete headers['content-length'];
      const decoder: Transform = createDecoder(coding);
      decoder.on('error', this.#onBroken);
      source = response.pipe(decoder);
    }
    this.#source = source;
    this.#handler.head(status, headers);
    // The handler may have aborted.
    if (this.#isDone()) return;
    source.on('data', this.#onData);
    source.on('end', this.#onEnd);
    if (this.#paused) source.pause();
  };

  #isDone(): boolean {
    return this.#done;
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#done) return;
    this.#touch();
    this.#handler.data(chunk);
  };

  readonly #onEnd = (): void => {
    if (this.#done) return;
    this.#finish();
    this.#handler.end();
  };

  readonly #onBroken = (cause?: unknown): void => this.#fail('upstream_protocol', cause);

  /** Nobody asked for one. Without a listener node breaks the connection and tells nobody. */
  readonly #onUpgrade = (_response: IncomingMessage, socket: Socket): void => {
    socket.destroy();
    this.#fail('upstream_protocol');
  };

  readonly #onError = (error: NodeJS.ErrnoException): void => {
    if (this.#done) return;
    const sent = this.#sent;
    const socket = sent?.socket as MarkedSocket | null | undefined;
    if (this.#source !== undefined || error.code?.startsWith('HPE_') === true) this.#fail('upstream_protocol', error);
    else if (this.#mayResend(sent, socket)) this.send(true);
    else this.#fail(socket?.[ready] === true ? 'upstream_protocol' : 'upstream_unreachable', error);
  };

  #mayResend(sent: ClientRequest | undefined, socket: MarkedSocket | null | undefined): boolean {
    if (this.#again || sent?.reusedSocket !== true) return false;
    return socket === null || socket === undefined || socket.bytesRead === socket[bytesAtFree];
  }

  #fail(code: ReasonCode, cause?: unknown): void {
    if (this.#done) return;
    this.#finish();
    this.#sent?.destroy();
    this.#handler.error(new RefusedError(code, { cause }));
  }

  #finish(): void {
    this.#done = true;
    this.#timer?.cancel();
  }
}

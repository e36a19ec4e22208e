import { connect as connectHttp2, constants } from 'node:http2';
import type { ClientHttp2Session, ClientHttp2Stream, OutgoingHttpHeaders } from 'node:http2';
import { connect as connectPlain } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Duplex } from 'node:stream';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { CodedError } from '../../base/index.ts';
import type { Clock, Timer } from '../../base/index.ts';

/**
 * Connections of HTTP/2 (RFC 9113) to one address, each for many streams: with prior knowledge where there is no TLS, else by ALPN.
 *
 * Guarantee: a stream is opened only on a connection that stands, that its server has not said to leave (GOAWAY) and on which fewer
 * streams are under way than either side allows; where there is none another is made, up to a bound, and behind that streams wait. What
 * a server sends in heads is bounded by nghttp2, and what it sends in bodies by the windows that we give.
 */
export interface Http2PoolOptions {
  readonly clock: Clock;
  readonly address: { readonly host: string; readonly port: number };
  /** Set: with TLS, and the server must choose h2. Asked once, for the first connection: reading authorities takes time and memory. */
  readonly tls: (() => ConnectionOptions) | undefined;
  /** With TLS: makes the connection that it goes over, where that is not straight to the address. */
  readonly tunnel?: (() => Duplex) | undefined;
  /** With TLS: its server may choose HTTP/1.1, and who waits hears `other`. Default: h2 alone is offered. */
  readonly offersHttp1?: boolean;
  readonly limits: Http2ClientLimits;
}

export interface Http2ClientLimits {
  /** TLS included. */
  readonly connectMs: number;
  /** How long a connection without streams is kept. */
  readonly idleSessionMs: number;
  /** After so long a connection takes no new streams: the certificate behind it may have ended or changed meanwhile. */
  readonly maxAgeMs: number;
  readonly maxHeaderBytes: number;
  readonly maxHeaders: number;
  readonly maxSessions: number;
  /** Streams at once on one connection, where its server allows as many. */
  readonly maxStreams: number;
  /** Bytes of one answer that its server may send before they are taken. */
  readonly windowBytes: number;
}

/** Why there is no stream: no connection (or the pool was closed), one whose server chose another protocol, or one that is none of HTTP/2. */
export type NoStream = 'unreachable' | 'other' | 'protocol';

/** Gets its stream on a connection that stands. */
export interface StreamWaiter {
  /** @param reused the connection has carried streams before. */
  opened(stream: ClientHttp2Stream, reused: boolean): void;
  failed(why: NoStream, cause: unknown): void;
  readonly headers: OutgoingHttpHeaders;
}

class Session {
  readonly session: ClientHttp2Session;
  streams = 0;
  used = false;
  /** No more streams: the server said so, or what it carried was not answered. */
  leaving = false;
  readonly begunAt: number;
  idleSince: number;

  constructor(session: ClientHttp2Session, now: number) {
    this.session = session;
    this.begunAt = now;
    this.idleSince = now;
  }
}

export class Http2Pool {
  readonly #options: Http2PoolOptions;
  readonly #sessions = new Set<Session>();
  /** Who waits, and whether for a connection that has carried nothing before. */
  readonly #queue = new Map<StreamWaiter, boolean>();
  readonly #connecting = new Set<Socket>();
  #tls: ConnectionOptions | undefined;
  #sweep: Timer | undefined;
  #closed = false;

  constructor(options: Http2PoolOptions) {
    this.#options = options;
  }

  /** @param fresh on no connection that has carried streams before. */
  take(waiter: StreamWaiter, fresh = false): void {
    if (this.#closed)
      return void queueMicrotask(() => waiter.failed('unreachable', new Error('the upstream is closed')));
    const session = this.#roomFor(fresh);
    if (session !== undefined) return this.#open(session, waiter);
    this.#queue.set(waiter, fresh);
    this.#connectMore();
  }

  /** Of a waiter that has no stream yet. */
  cancel(waiter: StreamWaiter): void {
    this.#queue.delete(waiter);
  }

  /** A stream of this connection was not answered: it takes no more, and ends with the last of those that it has. */
  suspect(stream: ClientHttp2Stream): void {
    for (const one of this.#sessions) {
      if (one.session !== stream.session) continue;
      one.leaving = true;
      if (one.streams === 0) one.session.destroy();
    }
  }

  close(): void {
    this.#closed = true;
    this.#sweep?.cancel();
    const waiting = [...this.#queue.keys()];
    this.#queue.clear();
    for (const waiter of waiting) waiter.failed('unreachable', new Error('the upstream is closed'));
    for (const socket of this.#connecting) socket.destroy();
    for (const { session, streams } of this.#sessions) {
      if (streams === 0) session.destroy();
      else session.close();
    }
  }

  /** Where no more connections may be made, one that has carried streams before does for all. */
  #roomFor(fresh: boolean): Session | undefined {
    return this.#room(fresh && !this.#isFull);
  }

  get #isFull(): boolean {
    return this.#sessions.size + this.#connecting.size >= this.#options.limits.maxSessions;
  }

  #room(fresh: boolean): Session | undefined {
    let best: Session | undefined;
    for (const one of this.#sessions) {
      const { session, leaving } = one;
      // One that has ended may not have said so yet: nothing would be sent on it.
      if (leaving || session.destroyed || session.closed) continue;
      if ((fresh && one.used) || one.streams >= this.#most(one)) continue;
      // The fullest that has room: those that are not needed grow old and go.
      if (best === undefined || one.streams > best.streams) best = one;
    }
    return best;
  }

  #most({ session }: Session): number {
    return Math.min(this.#options.limits.maxStreams, session.remoteSettings.maxConcurrentStreams ?? Infinity);
  }

  #connectMore(): void {
    const coming = this.#connecting.size * this.#options.limits.maxStreams;
    if (this.#queue.size > coming && !this.#isFull) this.#connect();
  }

  #connect(): void {
    const { address, tls, tunnel, clock, limits, offersHttp1 = false } = this.#options;
    const socket: Socket =
      tls === undefined
        ? connectPlain({ ...address, noDelay: true, keepAlive: true, keepAliveInitialDelay: 1_000 })
        : connectTls({
            ...address,
            ...(this.#tls ??= tls()),
            ...(tunnel !== undefined && { socket: tunnel() }),
            ALPNProtocols: offersHttp1 ? ['h2', 'http/1.1'] : ['h2'],
          });
    this.#connecting.add(socket);
    let over = false;
    const end = (why: NoStream, cause: unknown): void => {
      if (over) return;
      over = true;
      timer.cancel();
      this.#connecting.delete(socket);
      socket.destroy();
      this.#failWaiting(why, cause);
    };
    const timer = clock.after(limits.connectMs, () =>
      end('unreachable', new CodedError('connect_timeout', 'the connection was not made in time')),
    );
    const onError = (error: Error): void => end('unreachable', error);
    const onClose = (): void => end('unreachable', undefined);
    socket.on('error', onError);
    socket.on('close', onClose);
    socket.once(tls === undefined ? 'connect' : 'secureConnect', () => {
      if (over) return;
      if (tls !== undefined && (socket as TLSSocket).alpnProtocol !== 'h2')
        return end('other', new CodedError('no_h2', 'the server did not choose h2'));
      over = true;
      timer.cancel();
      socket.off('error', onError);
      socket.off('close', onClose);
      this.#connecting.delete(socket);
      this.#begin(socket);
    });
  }

  #begin(socket: Socket): void {
    const { clock, limits, tls } = this.#options;
    const session = connectHttp2(tls === undefined ? 'http://model' : 'https://model', {
      createConnection: () => socket,
      maxHeaderListPairs: limits.maxHeaders,
      // In MB, of one connection: the windows of all of its streams, and what waits to be sent.
      maxSessionMemory: 64,
      settings: {
        enablePush: false,
        initialWindowSize: limits.windowBytes,
        maxHeaderListSize: limits.maxHeaderBytes,
      },
    });
    const one = new Session(session, clock.monotonic());
    this.#sessions.add(one);
    session.setLocalWindowSize(limits.windowBytes * 16);
    session.on('goaway', () => (one.leaving = true));
    // Said to each of its streams, too.
    session.on('error', () => (one.leaving = true));
    session.on('frameError', () => (one.leaving = true));
    session.on('close', () => {
      one.leaving = true;
      this.#sessions.delete(one);
      this.#serve();
    });
    session.on('remoteSettings', () => this.#serve());
    this.#startSweep();
    this.#serve();
  }

  /** Opens what waits on what has room. */
  #serve(): void {
    if (this.#closed) return;
    for (const [waiter, fresh] of this.#queue) {
      const session = this.#roomFor(fresh);
      if (session === undefined && !fresh) break;
      if (session === undefined) continue;
      this.#queue.delete(waiter);
      this.#open(session, waiter);
    }
    if (this.#queue.size > 0) this.#connectMore();
  }

  #open(one: Session, waiter: StreamWaiter): void {
    const { clock } = this.#options;
    let stream: ClientHttp2Stream;
    try {
      stream = one.session.request(waiter.headers, { endStream: false });
    } catch (cause) {
      one.leaving = true;
      return void queueMicrotask(() => waiter.failed('protocol', cause));
    }
    const reused = one.used;
    one.used = true;
    one.streams++;
    stream.on('close', () => {
      one.streams--;
      one.idleSince = clock.monotonic();
      if (one.leaving && one.streams === 0) one.session.destroy();
      else this.#serve();
    });
    waiter.opened(stream, reused);
  }

  /** There is no connection to be had: all who wait for one hear it, at once, as each would by an attempt of its own. */
  #failWaiting(why: NoStream, cause: unknown): void {
    if (this.#connecting.size > 0) return;
    const hasRoom = this.#room(false) !== undefined;
    const waiting = [...this.#queue].filter(([, fresh]) => fresh || !hasRoom);
    for (const [waiter] of waiting) this.#queue.delete(waiter);
    for (const [waiter] of waiting) waiter.failed(why, cause);
    if (hasRoom) this.#serve();
  }

  #startSweep(): void {
    const { clock, limits } = this.#options;
    this.#sweep ??= clock.every(limits.idleSessionMs / 2, () => {
      const now = clock.monotonic();
      for (const one of this.#sessions) {
        if (now - one.begunAt >= limits.maxAgeMs) one.leaving = true;
        if (one.streams === 0 && (one.leaving || now - one.idleSince >= limits.idleSessionMs)) one.session.destroy();
      }
      if (this.#sessions.size > 0) return;
      this.#sweep?.cancel();
      this.#sweep = undefined;
    });
  }
}

/** How a stream ended that its server did not begin to work on (RFC 9113 section 8.7). */
export const refusedStream = constants.NGHTTP2_REFUSED_STREAM;

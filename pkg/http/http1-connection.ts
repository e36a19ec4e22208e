import type { X509Certificate } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Clock, Timer } from '../base/index.ts';
import type { ReasonCode } from '../core/index.ts';
import type { DrainLimits } from './drain.ts';

/**
 * One HTTP/1.1 connection: its requests one at a time.
 *
 * Guarantee: pipelined requests (RFC 9112 section 9.3.2) are dispatched in order, each after the answer before it has been
 * handed to the kernel whole, so that answers cannot mix; and when one is refused for its framing, nothing that follows
 * it on the connection is ever dispatched: after a disagreement about where a message ends, all that follows is suspect.
 */
export interface Current {
  /** The parser gave up while this exchange was under way. */
  connectionBroken(code: ReasonCode): void;
}

export interface Arrival {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly startedAt: number;
}

export class Http1Connection {
  readonly socket: Socket;
  readonly encrypted: boolean;
  readonly peer: string;
  readonly #dispatch: (arrival: Arrival, connection: Http1Connection) => Current | undefined;
  readonly #depth: number;
  readonly #queue: Arrival[] = [];
  #current: Current | undefined;
  #broken = false;
  #draining = false;
  #certificate: Uint8Array | undefined | null = null;

  /** @param depth most requests that may wait behind the one under way; more closes the connection. */
  constructor(options: {
    readonly socket: Socket;
    readonly depth: number;
    readonly dispatch: (arrival: Arrival, connection: Http1Connection) => Current | undefined;
  }) {
    this.socket = options.socket;
    this.encrypted = options.socket instanceof TLSSocket;
    this.peer = peerAddress(options.socket);
    this.#depth = options.depth;
    this.#dispatch = options.dispatch;
  }

  get idle(): boolean {
    return this.#current === undefined && this.#queue.length === 0;
  }

  /** Nothing more is dispatched. */
  get broken(): boolean {
    return this.#broken;
  }

  get certificate(): Uint8Array | undefined {
    if (this.#certificate === null) this.#certificate = verifiedCertificate(this.socket);
    return this.#certificate;
  }

  arrived(arrival: Arrival): void {
    if (this.#broken) return;
    if (this.idle) this.#start(arrival);
    else if (this.#queue.length < this.#depth) this.#queue.push(arrival);
    else {
      this.breakOff();
      this.socket.destroy();
    }
  }

  /** The exchange under way has closed. */
  next(): void {
    this.#current = undefined;
    // Who hung up asks for nothing more.
    if (this.socket.destroyed) this.breakOff();
    if (this.#broken) return;
    const arrival = this.#queue.shift();
    if (arrival !== undefined) this.#start(arrival);
  }

  #start(arrival: Arrival): void {
    this.#current = this.#dispatch(arrival, this);
  }

  /** No request after the one under way is looked at. */
  breakOff(): void {
    this.#broken = true;
    this.#queue.length = 0;
  }

  /** Answers a parse error. Returns false where an exchange under way will answer, or nothing can be said any more. */
  parserFailed(code: ReasonCode): boolean {
    const first = !this.#broken;
    this.breakOff();
    if (this.#draining) this.socket.destroy();
    // Each further chunk fails again: it was answered, and is only read so that the answer is not lost to a reset.
    if (!first || this.#draining) return false;
    if (this.#current === undefined) return this.socket.writable;
    this.#current.connectionBroken(code);
    return false;
  }

  /** The rest of a body is being thrown away after its answer: nothing may be written into it. */
  set draining(value: boolean) {
    this.#draining = value;
  }

  /** The peer must not take what it got for a whole answer, also where only the close ends it (HTTP/1.0). */
  reset(): void {
    // TLS says the same by ending without close_notify.
    if (this.encrypted) this.socket.destroy();
    else this.socket.resetAndDestroy();
  }
}

/** Writes a last answer, then reads and drops what still comes, within bounds, so that the answer is not lost to a reset. */
export function endGently(socket: Socket, text: string, limits: DrainLimits, clock: Clock): void {
  const before = socket.bytesRead;
  const startedAt = clock.monotonic();
  const timers: Timer[] = [];
  socket.once('close', () => timers.forEach((timer) => timer.cancel()));
  socket.end(text);
  socket.resume();
  timers.push(
    clock.every(100, () => {
      if (socket.bytesRead - before > limits.bytes || clock.monotonic() - startedAt > limits.ms) socket.destroy();
    }),
  );
}

/** Without the IPv4-in-IPv6 prefix that a dual-stack socket adds. */
export function peerAddress(socket: Socket): string {
  const address = socket.remoteAddress ?? '';
  return address.startsWith('::ffff:') ? address.slice(7) : address;
}

/** DER of the client's certificate, only where Node has verified it. */
export function verifiedCertificate(socket: unknown): Uint8Array | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  const certificate: X509Certificate | undefined = socket.getPeerX509Certificate();
  return certificate?.raw;
}

import type { Clock, Timer } from '../base/index.ts';
import { RefusedError } from '../core/index.ts';
import { closePayload, socketHead, socketOpcodes, socketRecord, socketType } from '../dialect/index.ts';
import type { SocketRecord } from '../dialect/index.ts';
import { WebSocketFault } from '../http/index.ts';
import type { Upstream, UpstreamHandler, WebSocket, WebSocketUpstream, WebSocketWatch } from '../http/index.ts';
import { mostPingBacklog } from './socket-exchange.ts';
import type { SocketEnd, SocketExchange, SocketPeer } from './socket-exchange.ts';

/**
 * The model's WebSocket: what it sends is an answer in records (pkg/dialect/framing/socket-messages.ts) that ends with its close frame; messages of the
 * caller are written to it once they are let through. A ping goes to the other side without its payload, which is nobody's to read there, and its answer
 * comes back with it.
 */
export interface SocketCallOptions {
  readonly model: WebSocketUpstream;
  readonly exchange: SocketExchange;
  readonly clock: Clock;
  /** Subprotocols that the model is offered. */
  readonly protocols: readonly string[];
}

/** A message of the caller's as the model gets it. */
export interface ModelMessage {
  readonly bytes: Buffer;
  readonly binary: boolean;
  /** Lengths of the frames in which it goes. */
  readonly frames: readonly number[];
}

/** Bytes of one message of the model's; what is kept of it is counted as any answer's. */
const largestMessage = 8 * 1024 * 1024;

export class SocketCall implements SocketPeer {
  /** To be sent to once: what opens it. */
  readonly upstream: Upstream;
  readonly #options: SocketCallOptions;
  #socket: WebSocket | undefined;
  #handler: UpstreamHandler | undefined;
  #over = false;
  /** The caller closed it. */
  #closing: SocketEnd | undefined;
  /** Payload of the model's last ping that the caller has yet to answer. */
  #pinged: Buffer | undefined;
  #room: (() => void) | undefined;
  #idle: Timer | undefined;
  #lastAt = 0;

  constructor(options: SocketCallOptions) {
    this.#options = options;
    this.upstream = {
      send: ({ path, headers, idleMs }, handler) => {
        this.#handler = handler;
        const { model, protocols } = options;
        const request = { path, headers, protocols, idleMs, maxMessageBytes: largestMessage };
        const cancel = model.open(request, {
          opened: (protocol, start) => this.#opened(protocol, start, idleMs),
          failed: (error) => this.#fail(error),
        });
        return {
          pause: () => this.#socket?.pause(),
          resume: () => this.#socket?.resume(),
          abort: () => {
            this.#finish();
            if (this.#socket === undefined) cancel();
            else this.#socket.close(1001);
          },
        };
      },
      close: () => undefined,
    };
  }

  #opened(protocol: string | undefined, start: (watch: WebSocketWatch) => WebSocket, idleMs: number): void {
    const { exchange, clock } = this.#options;
    exchange.subprotocol = protocol;
    exchange.model = this;
    this.#handler?.head(101, { 'content-type': socketType });
    const socket = start({
      begin: (first, length) => void this.#came.push(socketHead(first, length)),
      bytes: (piece) => void this.#came.push(piece),
      read: () => this.#data(),
      done: () => undefined,
      ping: (payload) => {
        this.#touch();
        this.#pinged = payload;
        exchange.ping();
      },
      pong: () => {
        this.#touch();
        exchange.pong();
      },
      close: (code, reason) => {
        this.#data();
        this.#closed({ code, reason });
      },
      fault: (error) => {
        this.#data();
        this.#fail(
          error instanceof WebSocketFault
            ? new RefusedError('upstream_protocol', { detail: 'websocket' })
            : new RefusedError('internal_error', { cause: error }),
        );
      },
      room: () => this.#proceed(),
      gone: () => this.#gone(),
    });
    this.#socket = socket;
    if (this.#over) return socket.close(1001); // its answer could not begin
    this.#touch();
    const look = (): void => {
      const quiet = clock.monotonic() - this.#lastAt;
      if (quiet >= idleMs) this.#fail(new RefusedError('upstream_timeout'));
      else this.#idle = clock.after(idleMs - quiet, look);
    };
    this.#idle = clock.after(idleMs, look);
  }

  /** Silence of both sides. */
  #touch(): void {
    this.#lastAt = this.#options.clock.monotonic();
  }

  /** Whatever frames came in one read go on in one, as the text of one read of any answer. */
  #data(): void {
    const came = this.#came;
    if (came.length === 0) return;
    this.#came = [];
    this.#touch();
    if (!this.#over) this.#handler?.data(Buffer.concat(came));
  }
  /** Of a read that is under way. */
  #came: Buffer[] = [];

  ping(): void {
    this.#touch();
    if ((this.#socket?.backlogBytes ?? 0) < mostPingBacklog) this.#socket?.ping();
  }

  pong(): void {
    this.#touch();
    const payload = this.#pinged;
    this.#pinged = undefined;
    if (payload !== undefined && (this.#socket?.backlogBytes ?? 0) < mostPingBacklog) this.#socket?.pong(payload);
  }

  /** In one write. Resolves when the model takes more, or will take nothing any more. */
  async send(messages: readonly ModelMessage[]): Promise<void> {
    this.#touch();
    const list: SocketRecord[] = [];
    for (const { bytes, binary, frames } of messages) {
      let from = 0;
      for (let at = 0; at < frames.length; at++) {
        const to = from + (frames[at] ?? 0);
        const opcode = at > 0 ? socketOpcodes.more : binary ? socketOpcodes.binary : socketOpcodes.text;
        list.push({ first: (at === frames.length - 1 ? 0x80 : 0) | opcode, payload: bytes.subarray(from, to) });
        from = to;
      }
    }
    const taken = this.#over || (this.#socket?.sendAll(list) ?? true);
    if (taken || this.#over) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#room = resolve;
    await promise;
  }

  /** The caller closed it. Its own words about why were looked at. */
  close(end: SocketEnd): void {
    if (this.#over) return;
    this.#closing = end;
    this.#socket?.close(end.code, end.reason);
  }

  #closed(end: SocketEnd): void {
    this.#socket?.close(end.code);
    this.#end(end);
  }

  #gone(): void {
    if (this.#closing !== undefined) this.#end(this.#closing);
    else this.#fail(new RefusedError('upstream_protocol', { detail: 'websocket' }));
  }

  #end({ code, reason }: SocketEnd): void {
    if (this.#over) return;
    this.#handler?.data(socketRecord(0x80 | socketOpcodes.close, closePayload(code, reason)));
    const isOver = this.#over as boolean;
    this.#finish();
    if (!isOver) this.#handler?.end();
  }

  #fail(error: RefusedError): void {
    if (this.#over) return;
    this.#finish();
    this.#socket?.destroy();
    this.#handler?.error(error);
  }

  #finish(): void {
    this.#over = true;
    this.#idle?.cancel();
    this.#proceed();
  }

  #proceed(): void {
    const room = this.#room;
    this.#room = undefined;
    room?.();
  }
}

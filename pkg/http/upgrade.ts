import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { CloseListeners, endToEnd } from './exchange-host.ts';
import type { CloseKind, ExchangeHost, LiveExchange } from './exchange-host.ts';
import { endGently } from './http1-connection.ts';
import type { Http1Connection } from './http1-connection.ts';
import { rawUpgrade } from './raw-exchange.ts';
import type { RawUpgrade } from './raw-exchange.ts';
import type { BodyBudget } from './request-body.ts';
import { acceptOf, keyOf } from './websocket/handshake.ts';
import { WebSocket } from './websocket/web-socket.ts';
import type { WebSocketWatch } from './websocket/web-socket.ts';

/** A WebSocket handshake (RFC 6455 section 4.2) that is not answered yet: refuse it, accept it, or give it to a {@link Passthrough}. */
export interface UpgradeRequest {
  /** Milliseconds on the monotonic clock when the request's head was complete. */
  readonly startedAt: number;
  readonly encrypted: boolean;
  readonly peer: string;
  readonly method: string;
  readonly target: string;
  readonly headers: IncomingHttpHeaders;
  readonly clientCertificate: Uint8Array | undefined;
  /** An answer in place of the upgrade; the connection closes after it. */
  respond(status: number, headers: OutgoingHttpHeaders, body: string): void;
  /** The key of the handshake is none, or it wants another version: nobody could accept it. @throws RefusedError malformed_http */
  check(): void;
  /** Answers 101 and speaks WebSocket from then on; after `check`. No extension is agreed on. */
  accept(options: AcceptOptions): WebSocket;
  /** Counts messages that are held, with the bodies of all. */
  readonly budget: Pick<BodyBudget, 'take' | 'give'>;
  destroy(): void;
  /** Called once, when the connection is gone. Of an accepted one `finished`: both sides had said so. */
  onClose(listener: (how: CloseKind) => void): void;
}

export interface AcceptOptions {
  /** Beside those of the handshake. */
  readonly headers: OutgoingHttpHeaders;
  /** The subprotocol, one of those offered. */
  readonly protocol: string | undefined;
  readonly maxMessageBytes: number;
  readonly watch: WebSocketWatch;
}

export class Http1Upgrade implements UpgradeRequest, RawUpgrade, LiveExchange {
  readonly startedAt: number;
  readonly encrypted: boolean;
  readonly peer: string;
  readonly method: string;
  readonly target: string;
  readonly headers: IncomingHttpHeaders;
  readonly clientCertificate: Uint8Array | undefined;
  place = -1;
  readonly #host: ExchangeHost;
  readonly #request: IncomingMessage;
  readonly #socket: Socket;
  readonly #head: Buffer;
  readonly #closing = new CloseListeners();
  #answered = false;
  #passed = false;
  #webSocket: WebSocket | undefined;

  constructor(host: ExchangeHost, connection: Http1Connection, request: IncomingMessage, head: Buffer) {
    this.#host = host;
    this.#request = request;
    this.#socket = connection.socket;
    this.#head = head;
    this.startedAt = host.clock.monotonic();
    this.encrypted = connection.encrypted;
    this.peer = connection.peer;
    this.method = request.method ?? '';
    this.target = request.url ?? '';
    this.headers = request.headers;
    this.clientCertificate = connection.certificate;
    host.live.add(this);
    // Node has taken its own listeners off the socket.
    this.#socket.on('error', () => this.#socket.destroy());
    this.#socket.on('close', (broken) => {
      host.live.delete(this);
      // Of an accepted one its WebSocket says how it ended.
      if (this.#webSocket === undefined)
        this.#closing.close(!broken && (this.#answered || this.#passed) ? 'finished' : 'aborted');
    });
  }

  get stalledSince(): number | undefined {
    return this.#webSocket?.stalledSince;
  }

  get budget(): Pick<BodyBudget, 'take' | 'give'> {
    return this.#host.budget;
  }

  check(): void {
    keyOf(this.headers);
  }

  accept({ headers, protocol, maxMessageBytes, watch }: AcceptOptions): WebSocket {
    const key = keyOf(this.headers);
    this.#passed = true;
    const said = protocol === undefined ? '' : `sec-websocket-protocol: ${protocol}\r\n`;
    this.#socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n` +
        `sec-websocket-accept: ${acceptOf(key)}\r\n${said}${lines(headers)}\r\n`,
    );
    return (this.#webSocket = new WebSocket({
      socket: this.#socket,
      head: this.#head,
      role: 'server',
      maxMessageBytes,
      clock: this.#host.clock,
      watch: {
        begin: (first, length) => watch.begin(first, length),
        bytes: (piece) => watch.bytes(piece),
        done: (first) => watch.done(first),
        ping: (payload) => watch.ping(payload),
        pong: () => watch.pong(),
        close: (code, reason) => watch.close(code, reason),
        read: () => watch.read(),
        fault: (error) => watch.fault(error),
        room: () => watch.room(),
        gone: (closed) => {
          watch.gone(closed);
          this.#closing.close(closed ? 'finished' : 'aborted');
        },
      },
    }));
  }

  respond(status: number, headers: OutgoingHttpHeaders, body: string): void {
    if (this.#answered) return;
    this.#answered = true;
    endGently(
      this.#socket,
      `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines(headers)}content-length: ${Buffer.byteLength(body)}\r\n` +
        `connection: close\r\n\r\n${body}`,
      this.#host.drain,
      this.#host.clock,
    );
  }

  destroy(): void {
    this.#socket.destroy();
  }

  onClose(listener: (how: CloseKind) => void): void {
    this.#closing.add(listener);
  }

  [rawUpgrade](): { request: IncomingMessage; socket: Socket; head: Buffer } {
    this.#passed = true;
    return { request: this.#request, socket: this.#socket, head: this.#head };
  }
}

function lines(headers: OutgoingHttpHeaders): string {
  const list = endToEnd(headers);
  let fields = '';
  for (let at = 0; at < list.length; at += 2) fields += `${list[at] ?? ''}: ${list[at + 1] ?? ''}\r\n`;
  return fields;
}

import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { CloseListeners, endToEnd } from './exchange-host.ts';
import type { CloseKind, ExchangeHost, LiveExchange } from './exchange-host.ts';
import { endGently } from './http1-connection.ts';
import type { Http1Connection } from './http1-connection.ts';
import { rawUpgrade } from './raw-exchange.ts';
import type { RawUpgrade } from './raw-exchange.ts';

/** A WebSocket handshake (RFC 6455 section 4.2) that is not answered yet: refuse it, or give it to a {@link Passthrough}. */
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
  destroy(): void;
  /** Called once, when the connection is gone. */
  onClose(listener: (how: CloseKind) => void): void;
}

export class Http1Upgrade implements UpgradeRequest, RawUpgrade, LiveExchange {
  readonly startedAt: number;
  readonly encrypted: boolean;
  readonly peer: string;
  readonly method: string;
  readonly target: string;
  readonly headers: IncomingHttpHeaders;
  readonly clientCertificate: Uint8Array | undefined;
  readonly stalledSince = undefined;
  place = -1;
  readonly #host: ExchangeHost;
  readonly #request: IncomingMessage;
  readonly #socket: Socket;
  readonly #head: Buffer;
  readonly #closing = new CloseListeners();
  #answered = false;
  #passed = false;

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
      this.#closing.close(!broken && (this.#answered || this.#passed) ? 'finished' : 'aborted');
    });
  }

  respond(status: number, headers: OutgoingHttpHeaders, body: string): void {
    if (this.#answered) return;
    this.#answered = true;
    const list = endToEnd(headers);
    let fields = '';
    for (let at = 0; at < list.length; at += 2) fields += `${list[at] ?? ''}: ${list[at + 1] ?? ''}\r\n`;
    endGently(
      this.#socket,
      `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${fields}content-length: ${Buffer.byteLength(body)}\r\n` +
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

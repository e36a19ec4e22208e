import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { CodedError } from '../../base/index.ts';
import type { Secret } from '../../base/index.ts';

/** Where a proxy stands. */
export interface ProxyAddress {
  readonly host: string;
  readonly port: number;
  /** What `Proxy-Authorization` says (RFC 9110 section 11.7.2). Absent: nothing. */
  readonly authorization?: Secret;
}

/** Longest head of a proxy's answer. */
const mostHeadBytes = 16 * 1_024;

type Done = (error?: Error | null) => void;

/**
 * A connection to `authority` through a proxy of HTTP (CONNECT, RFC 9110 section 9.3.6): what is written waits until the proxy has said
 * that it stands. TLS goes through it end to end, so that the proxy sees a name, a port and bytes.
 *
 * Whatever the proxy says but 2xx ends it, with an error `proxy_refused`, or `not_http`.
 */
export class Tunnel extends Duplex {
  readonly #socket: Socket;
  /** Until the proxy has answered. */
  #head: Buffer | undefined = Buffer.alloc(0);
  #waiting: { readonly chunk: Uint8Array; readonly done: Done } | undefined;
  #ending: Done | undefined;

  /** @param authority host and port of the server, as a URL writes them */
  constructor(proxy: ProxyAddress, authority: string) {
    super({ allowHalfOpen: true });
    const { host, port, authorization } = proxy;
    const own = authorization === undefined ? '' : `Proxy-Authorization: ${authorization.reveal()}\r\n`;
    const socket = connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: 1_000 });
    this.#socket = socket;
    socket.once('connect', () => {
      socket.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${own}\r\n`, 'latin1');
    });
    socket.on('data', (chunk: Buffer) => {
      if (this.#head !== undefined) this.#answer(Buffer.concat([this.#head, chunk]));
      else if (!this.push(chunk)) socket.pause();
    });
    socket.on('end', () => {
      if (this.#head === undefined) this.push(null);
      else this.destroy(new CodedError('proxy_refused', 'the proxy ended the connection'));
    });
    socket.on('error', (error) => this.destroy(error));
    socket.on('close', () => this.destroy());
  }

  #answer(head: Buffer): void {
    const end = head.indexOf('\r\n\r\n');
    if (end < 0) {
      if (head.length > mostHeadBytes) this.destroy(new CodedError('not_http', 'the proxy’s answer has no end'));
      else this.#head = head;
      return;
    }
    const status = /^HTTP\/1\.[01] (\d{3})(?: |\r)/.exec(head.toString('latin1', 0, 64))?.[1];
    if (status === undefined) return void this.destroy(new CodedError('not_http', 'not an answer of HTTP/1.1'));
    if (!status.startsWith('2')) return void this.destroy(new CodedError('proxy_refused', `the proxy said ${status}`));
    this.#head = undefined;
    const rest = head.subarray(end + 4);
    if (rest.length > 0) this.push(rest);
    const { chunk, done } = this.#waiting ?? {};
    this.#waiting = undefined;
    if (chunk !== undefined) this.#socket.write(chunk, done);
    if (this.#ending !== undefined) this.#socket.end(this.#ending);
  }

  override _write(chunk: Uint8Array, _encoding: string, done: Done): void {
    if (this.#head === undefined) this.#socket.write(chunk, done);
    else this.#waiting = { chunk, done };
  }

  override _final(done: Done): void {
    if (this.#head === undefined) this.#socket.end(done);
    else this.#ending = done;
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _destroy(error: Error | null, done: Done): void {
    this.#socket.destroy();
    const { done: written } = this.#waiting ?? {};
    this.#waiting = undefined;
    written?.(error ?? new Error('the connection has ended'));
    done(error);
  }
}

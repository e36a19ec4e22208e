import type { Duplex } from 'node:stream';
import type { Clock, Timer } from '../../base/index.ts';
import { FrameReader, WebSocketFault, fin, opcodes } from './frame-reader.ts';
import { closeFrame, frames } from './frame-writer.ts';
import type { Frame } from './frame-writer.ts';

/**
 * One side's WebSocket, once its handshake is done: of a caller (we are the server), or of the model (we are the client).
 *
 * Guarantee: whoever watches hears of frames in their order and, last and once, that it is gone. What the peer sends is not answered here but for a
 * broken protocol, which is closed with the RFC's code; pings are for who watches. Once a close frame was sent and one came, the connection
 * ends; where the peer does not send one, it ends after some seconds all the same.
 */
export interface WebSocketWatch {
  /** See {@link FrameTarget}. */
  begin(first: number, length: number): void;
  bytes(piece: Buffer): void;
  done(first: number): void;
  ping(payload: Buffer): void;
  pong(): void;
  close(code: number | undefined, reason: string): void;
  /** All that came in one read of the connection has been told. */
  read(): void;
  /** The peer broke the protocol, and was told so; or, where it is no {@link WebSocketFault}, whoever watches failed: the connection is cut. */
  fault(error: unknown): void;
  /** What was written has been taken. */
  room(): void;
  /** The connection is over. @param closed both sides had said so. */
  gone(closed: boolean): void;
}

export interface WebSocketOptions {
  readonly socket: Duplex;
  /** What came right behind the handshake. */
  readonly head: Buffer;
  readonly role: 'server' | 'client';
  readonly maxMessageBytes: number;
  readonly clock: Clock;
  readonly watch: WebSocketWatch;
}

/** How long a peer has to answer a close frame, and to end the connection after it. */
const closeMs = 3_000;

export class WebSocket {
  readonly #socket: Duplex;
  readonly #clock: Clock;
  readonly #watch: WebSocketWatch;
  readonly #reader: FrameReader;
  readonly #masks: boolean;
  #closeSent = false;
  #closeReceived = false;
  #broken = false;
  #timer: Timer | undefined;
  #stalledSince: number | undefined;
  bytesIn = 0;
  bytesOut = 0;

  constructor(options: WebSocketOptions) {
    const { socket, head, role, maxMessageBytes, clock, watch } = options;
    this.#socket = socket;
    this.#clock = clock;
    this.#watch = watch;
    this.#masks = role === 'client';
    this.#reader = new FrameReader(
      { masked: role === 'server', maxMessageBytes },
      {
        begin: (first, length) => watch.begin(first, length),
        bytes: (piece) => watch.bytes(piece),
        done: (first) => watch.done(first),
        ping: (payload) => watch.ping(payload),
        pong: () => watch.pong(),
        close: (code, reason) => this.#closed(code, reason),
      },
    );
    // Before anybody listens: it is heard in a turn of its own, once who made this has it.
    if (head.length > 0) socket.unshift(head);
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk: Buffer) => this.#received(chunk));
    socket.on('drain', () => {
      this.#stalledSince = undefined;
      watch.room();
    });
    // A peer that ends without a close frame is gone.
    socket.on('end', () => (this.#closeSent && this.#closeReceived ? socket.end() : socket.destroy()));
    socket.on('close', () => {
      this.#timer?.cancel();
      watch.gone(this.#closeSent && this.#closeReceived && !this.#broken);
    });
  }

  /** Milliseconds on the monotonic clock since which the peer does not take what is written. */
  get stalledSince(): number | undefined {
    return this.#stalledSince;
  }

  get closeSent(): boolean {
    return this.#closeSent;
  }

  /** What was written and has not left. */
  get backlogBytes(): number {
    return this.#socket.writableLength;
  }

  /** @param first FIN and opcode. @returns false: wait for room. */
  send(first: number, payload: Uint8Array): boolean {
    return this.sendAll([{ first, payload }]);
  }

  /** In one write. @returns false: wait for room. */
  sendAll(list: readonly Frame[]): boolean {
    if (this.#closeSent || list.length === 0) return true;
    return this.#write(frames(list, this.#masks));
  }

  /** Without a payload: whatever stood in one would be text that nobody reads. */
  ping(): void {
    this.send(fin | opcodes.ping, noBytes);
  }

  /** @param payload of the ping that it answers: the peer's own. */
  pong(payload: Uint8Array): void {
    this.send(fin | opcodes.pong, payload);
  }

  /** Nothing may be sent after it. Only the first call counts. */
  close(code: number | undefined, reason = ''): void {
    if (this.#closeSent) return;
    this.#write(closeFrame(code, reason, this.#masks));
    this.#closeSent = true;
    this.#socket.resume(); // its answer is waited for, whoever had paused it
    this.#endSoon();
  }

  /** Nothing more is told, but the frame under way: what was read behind it waits where it came from. */
  pause(): void {
    if (this.#closeSent) return;
    this.#reader.hold();
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  destroy(): void {
    this.#broken = true;
    this.#socket.destroy();
  }

  #write(bytes: Buffer): boolean {
    if (this.#socket.destroyed || this.#socket.writableEnded) return true;
    this.bytesOut += bytes.length;
    const taken = this.#socket.write(bytes);
    if (!taken) this.#stalledSince ??= this.#clock.monotonic();
    return taken;
  }

  #received(chunk: Buffer): void {
    this.bytesIn += chunk.length;
    if (this.#broken) return;
    try {
      const read = this.#reader.push(chunk);
      if (read < chunk.length) this.#putBack(chunk.subarray(read));
      this.#watch.read();
    } catch (error) {
      this.#broken = true;
      if (error instanceof WebSocketFault) this.close(error.code);
      else this.#socket.destroy();
      this.#watch.fault(error);
    }
  }

  #putBack(rest: Buffer): void {
    this.bytesIn -= rest.length;
    this.#socket.unshift(rest);
  }

  #closed(code: number | undefined, reason: string): void {
    this.#closeReceived = true;
    this.#watch.close(code, reason);
    if (this.#closeSent) this.#endSoon();
  }

  #endSoon(): void {
    if (this.#closeReceived || this.#broken) this.#socket.end();
    this.#timer ??= this.#clock.after(closeMs, () => this.#socket.destroy());
  }
}

const noBytes = new Uint8Array(0);

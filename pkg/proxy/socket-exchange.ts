import type { OutgoingHttpHeaders } from 'node:http';
import { RefusedError } from '../core/index.ts';
import { SocketRecords, readSocketRecords, recordOf, socketOpcodes } from '../dialect/index.ts';
import type { SocketRecord } from '../dialect/index.ts';
import { WebSocketFault } from '../http/index.ts';
import type { Exchange, UpgradeRequest, WebSocket, WebSocketWatch } from '../http/index.ts';

/**
 * The exchange of a caller of a WebSocket: its answer are the model's messages, as records (pkg/dialect/framing/socket-messages.ts), and the last of them closes it. A refusal
 * before it was accepted is an answer of HTTP.
 *
 * Guarantee: messages of the caller wait here until they are asked for, at most {@link mostWaiting} of them and as many bytes as one may have; beyond
 * that its connection is not read. They are counted with the bodies of all. Control frames are not messages: they go by.
 */
export interface SocketMessage {
  readonly binary: boolean;
  readonly bytes: Buffer;
  /** Lengths of the frames in which it came. */
  readonly frames: readonly number[];
}

/** How a caller closed it. */
export interface SocketEnd {
  readonly code: number | undefined;
  readonly reason: string;
}

/** The model's side, as far as control frames go by. */
export interface SocketPeer {
  ping(): void;
  pong(): void;
}

/** Where so much waits for a peer, it gets no pings: they would wait with it. */
export const mostPingBacklog = 65_536;

/** Messages of a caller that wait for their turn. */
const mostWaiting = 16;

export interface SocketLimits {
  readonly maxBytes: number;
  readonly owner: string;
}

export class SocketExchange implements Exchange {
  readonly #upgrade: UpgradeRequest;
  #socket: WebSocket | undefined;
  #limits: SocketLimits = { maxBytes: 0, owner: '' };
  readonly #waiting: SocketMessage[] = [];
  #waitingBytes = 0;
  #taken = 0;
  /** Counted of the message that was given out. */
  #given = 0;
  #parts: Buffer[] = [];
  #frames: number[] = [];
  #binary = false;
  #asked: PromiseWithResolvers<SocketMessage | undefined> | undefined;
  #end: SocketEnd | undefined;
  #fault: RefusedError | undefined;
  #over = false;
  /** What a policy that observes lets by may be cut anywhere. */
  readonly #records = new SocketRecords();
  #closing: { readonly code: number | undefined; readonly reason: string } | undefined;
  /** Payload of the caller's last ping that the model has yet to answer. */
  #pinged: Buffer | undefined;
  #drained: () => void = () => undefined;
  /** Control frames go there. */
  model: SocketPeer | undefined;
  /** That the model chose. */
  subprotocol: string | undefined;

  constructor(upgrade: UpgradeRequest) {
    this.#upgrade = upgrade;
    upgrade.onClose(() => this.#gone());
  }

  /** The handshake is none. @throws RefusedError malformed_http */
  check(): void {
    this.#upgrade.check();
  }

  /** Before it is accepted. */
  set limits(limits: SocketLimits) {
    this.#limits = limits;
  }

  /** How the caller closed it; undefined: it did not. */
  get closedBy(): SocketEnd | undefined {
    return this.#end;
  }

  /** A message of the caller's is there already. */
  get hasMessage(): boolean {
    return this.#waiting.length > 0;
  }

  /** The next message; undefined: there is none any more. One call at a time. @throws RefusedError */
  nextSocketMessage(): Promise<SocketMessage | undefined> {
    this.#giveBack(this.#given);
    this.#given = 0;
    const first = this.#waiting.shift();
    if (first !== undefined) {
      this.#waitingBytes -= first.bytes.length;
      this.#given = first.bytes.length;
      this.#readOn();
      return Promise.resolve(first);
    }
    if (this.#fault !== undefined) return Promise.reject(this.#fault);
    if (this.#over || this.#end !== undefined) return Promise.resolve(undefined);
    this.#asked = Promise.withResolvers();
    this.#readOn();
    return this.#asked.promise;
  }

  /** The model answered a ping. */
  pong(): void {
    const payload = this.#pinged;
    this.#pinged = undefined;
    if (payload !== undefined && this.backlogBytes < mostPingBacklog) this.#socket?.pong(payload);
  }

  ping(): void {
    if (this.backlogBytes < mostPingBacklog) this.#socket?.ping();
  }

  respond(status: number, headers: OutgoingHttpHeaders, body: string | Uint8Array): void {
    const bytes = typeof body === 'string' ? Buffer.from(body, 'latin1') : Buffer.from(body);
    const [first] = readSocketRecords(bytes);
    this.#upgrade.respond(status, headers, first?.payload.toString('utf8') ?? '');
  }

  start(_status: number, headers: OutgoingHttpHeaders): void {
    const { 'content-type': _type, ...rest } = headers;
    const watch: WebSocketWatch = {
      begin: (first) => this.#begin(first),
      bytes: (piece) => this.#bytes(piece),
      done: (first) => this.#done(first),
      ping: (payload) => {
        this.#pinged = payload;
        this.model?.ping();
      },
      pong: () => this.model?.pong(),
      close: (code, reason) => this.#closed({ code, reason }),
      read: () => undefined,
      fault: (error) => this.#broken(error),
      room: () => this.#drained(),
      gone: () => undefined,
    };
    this.#socket = this.#upgrade.accept({
      headers: rest,
      protocol: this.subprotocol,
      maxMessageBytes: this.#limits.maxBytes,
      watch,
    });
  }

  write(chunk: string | Uint8Array): boolean {
    const socket = this.#socket;
    if (socket === undefined) return true;
    const frames: SocketRecord[] = [];
    this.#records.push(bytesOf(chunk), (record) => {
      const one = recordOf(record);
      if ((one.first & 0x0f) === socketOpcodes.close) this.#closing = endOf(one.payload);
      else frames.push(one);
    });
    return socket.sendAll(frames);
  }

  end(chunk?: string | Uint8Array): void {
    if (chunk !== undefined) this.write(chunk);
    const { code, reason } = this.#closing ?? { code: 1011, reason: '' };
    this.#socket?.close(code, reason);
    // Nobody takes messages any more, however many still come before the connection has ended.
    this.#over = true;
    this.#drop();
    this.#settle();
  }

  destroy(): void {
    if (this.#socket === undefined) this.#upgrade.destroy();
    else this.#socket.destroy();
  }

  breakOff(): void {
    this.destroy();
  }

  onDrain(listener: () => void): void {
    this.#drained = listener;
  }

  onClose(listener: (how: 'finished' | 'aborted') => void): void {
    this.#upgrade.onClose(listener);
  }

  get startedAt(): number {
    return this.#upgrade.startedAt;
  }
  readonly protocol = 'http/1.1' as const;
  get encrypted(): boolean {
    return this.#upgrade.encrypted;
  }
  get peer(): string {
    return this.#upgrade.peer;
  }
  get method(): string {
    return this.#upgrade.method;
  }
  get target(): string {
    return this.#upgrade.target;
  }
  get headers(): Exchange['headers'] {
    return this.#upgrade.headers;
  }
  get clientCertificate(): Uint8Array | undefined {
    return this.#upgrade.clientCertificate;
  }
  get bytesIn(): number {
    return this.#socket?.bytesIn ?? 0;
  }
  get bytesOut(): number {
    return this.#socket?.bytesOut ?? 0;
  }
  get backlogBytes(): number {
    return this.#socket?.backlogBytes ?? 0;
  }
  get backlogged(): boolean {
    return this.backlogBytes > 0;
  }
  readBody: Exchange['readBody'] = () => Promise.resolve(Buffer.alloc(0));
  releaseBody: Exchange['releaseBody'] = () => undefined;

  // Messages of the caller

  #begin(first: number): void {
    if (this.#fault !== undefined || this.#over) return;
    const opcode = first & 0x0f;
    if (opcode !== socketOpcodes.more) this.#binary = opcode === socketOpcodes.binary;
    this.#frames.push(0);
  }

  #bytes(piece: Buffer): void {
    if (this.#fault !== undefined || this.#over) return;
    const { maxBytes, owner } = this.#limits;
    const noRoom = this.#upgrade.budget.take(piece.length, owner, 2 * maxBytes, 0, this.#taken);
    if (noRoom !== undefined) return this.#fail(new RefusedError(noRoom));
    this.#taken += piece.length;
    this.#parts.push(piece);
    this.#frames[this.#frames.length - 1] = (this.#frames.at(-1) ?? 0) + piece.length;
  }

  #done(first: number): void {
    if ((first & 0x80) === 0 || this.#fault !== undefined || this.#over) return;
    const [only] = this.#parts;
    const bytes = this.#parts.length === 1 && only !== undefined ? only : Buffer.concat(this.#parts);
    const message = { binary: this.#binary, bytes, frames: this.#frames };
    this.#parts = [];
    this.#frames = [];
    const asked = this.#asked;
    if (asked !== undefined) {
      this.#asked = undefined;
      this.#given = bytes.length;
      return asked.resolve(message);
    }
    this.#waiting.push(message);
    this.#waitingBytes += bytes.length;
    if (this.#isFull) this.#socket?.pause();
  }

  get #isFull(): boolean {
    return this.#waiting.length >= mostWaiting || this.#waitingBytes >= this.#limits.maxBytes;
  }

  #readOn(): void {
    if (!this.#isFull) this.#socket?.resume();
  }

  #closed(end: SocketEnd): void {
    this.#end = end;
    this.#settle();
  }

  #broken(error: unknown): void {
    if (!(error instanceof WebSocketFault)) return this.#fail(new RefusedError('internal_error', { cause: error }));
    const code = error.code === 1009 ? 'body_too_large' : error.code === 1007 ? 'invalid_encoding' : 'malformed_http';
    this.#fail(new RefusedError(code, { detail: 'websocket' }));
  }

  #fail(error: RefusedError): void {
    this.#fault ??= error;
    this.#drop();
    const asked = this.#asked;
    this.#asked = undefined;
    asked?.reject(this.#fault);
  }

  #settle(): void {
    const asked = this.#asked;
    this.#asked = undefined;
    asked?.resolve(undefined);
  }

  #gone(): void {
    this.#over = true;
    this.#drop();
    this.#giveBack(this.#taken);
    this.#settle();
  }

  /** What waits is nobody's any more. */
  #drop(): void {
    this.#waiting.length = 0;
    this.#waitingBytes = 0;
    this.#parts = [];
    this.#frames = [];
    this.#giveBack(this.#taken - this.#given);
  }

  #giveBack(bytes: number): void {
    if (bytes <= 0) return;
    const all = Math.min(bytes, this.#taken);
    this.#upgrade.budget.give(all, this.#limits.owner);
    this.#taken -= all;
  }
}

const bytesOf = (chunk: string | Uint8Array): Buffer =>
  typeof chunk === 'string' ? Buffer.from(chunk, 'latin1') : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);

/** Of a close record. */
export function endOf(payload: Buffer): SocketEnd {
  return payload.length < 2
    ? { code: undefined, reason: '' }
    : { code: payload.readUInt16BE(), reason: payload.toString('utf8', 2) };
}

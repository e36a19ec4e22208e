import { isUtf8 } from 'node:buffer';

/**
 * Frames of a WebSocket (RFC 6455 section 5) off the wire.
 *
 * Guarantee: what comes out is the same whatever the cuts between chunks. Refused is all that the RFC forbids: bits and opcodes that no
 * extension gave a meaning to, lengths that are longer than they need be, frames that are masked where they must not be or the other way round,
 * control frames in pieces or above 125 bytes, a message within a message, a close frame with a code that is never sent or a reason that is not
 * UTF-8. No extension is ever agreed on, so nothing is compressed. After a close frame nothing is read. UTF-8 of messages is for who joins them.
 */
export interface FrameTarget {
  /** A frame of a message begins. @param first its first byte: FIN and opcode (0: goes on with the message; 1: text; 2: binary) */
  begin(first: number, length: number): void;
  /** Its payload in pieces, unmasked: `length` bytes in all. */
  bytes(piece: Buffer): void;
  /** All of the frame is there. */
  done(first: number): void;
  ping(payload: Buffer): void;
  pong(payload: Buffer): void;
  /** @param code undefined: the frame had none. */
  close(code: number | undefined, reason: string): void;
}

/** The peer broke the protocol: the close code that says so. */
export class WebSocketFault extends Error {
  readonly code: 1002 | 1007 | 1009;

  constructor(code: WebSocketFault['code'], message: string) {
    super(message);
    this.name = 'WebSocketFault';
    this.code = code;
  }
}

export const fin = 0x80;
export const opcodes = { more: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** Frames of one message: more is an attack on memory, since each is kept. */
const mostFrames = 4_096;
const mostControl = 125;

export interface FrameReaderOptions {
  /** Frames of callers are masked, those of servers are not. */
  readonly masked: boolean;
  /** Bytes of one message at most. */
  readonly maxMessageBytes: number;
}

export class FrameReader {
  readonly #options: FrameReaderOptions;
  readonly #target: FrameTarget;
  /** Of the frame under way; 14 bytes are the longest. */
  readonly #head = Buffer.alloc(14);
  #headBytes = 0;
  #headDue = 2;
  readonly #mask = Buffer.alloc(4);
  #masking = 0;
  #first = 0;
  #left = 0;
  #inPayload = false;
  #control: Buffer | undefined;
  #controlBytes = 0;
  /** Of the message under way. */
  #inMessage = false;
  #messageBytes = 0;
  #frames = 0;
  #closed = false;
  #held = false;

  constructor(options: FrameReaderOptions, target: FrameTarget) {
    this.#options = options;
    this.#target = target;
  }

  /** Nothing of a frame or a message is waited for. */
  get idle(): boolean {
    return this.#headBytes === 0 && !this.#inPayload && !this.#inMessage;
  }

  /**
   * @param chunk what is masked in it is unmasked in place.
   * @returns how much of it was read: all, but for what is behind a {@link hold}.
   * @throws WebSocketFault
   */
  push(chunk: Buffer): number {
    let at = 0;
    this.#held = false;
    while (!this.#closed && !this.#held && at < chunk.length)
      at = this.#inPayload ? this.#payload(chunk, at) : this.#header(chunk, at);
    return this.#closed ? chunk.length : at;
  }

  /** Called by the target: the push under way ends. */
  hold(): void {
    this.#held = true;
  }

  #header(chunk: Buffer, from: number): number {
    const end = Math.min(chunk.length, from + this.#headDue - this.#headBytes);
    chunk.copy(this.#head, this.#headBytes, from, end);
    this.#headBytes += end - from;
    if (this.#headBytes < this.#headDue) return end;
    if (this.#headDue === 2) {
      this.#headDue += this.#lookAtStart();
      if (this.#headDue > 2) return end;
    }
    this.#begin();
    return end;
  }

  /** @returns bytes of length and mask that follow. */
  #lookAtStart(): number {
    const [first = 0, second = 0] = this.#head;
    if ((first & 0x70) !== 0) throw new WebSocketFault(1002, 'reserved bits');
    const opcode = first & 0x0f;
    const isControl = opcode >= 8;
    if (opcode > opcodes.pong || (opcode > opcodes.binary && opcode < opcodes.close))
      throw new WebSocketFault(1002, 'opcode');
    const masked = (second & 0x80) !== 0;
    if (masked !== this.#options.masked) throw new WebSocketFault(1002, masked ? 'masked' : 'not masked');
    const size = second & 0x7f;
    if (isControl && ((first & fin) === 0 || size > mostControl)) throw new WebSocketFault(1002, 'control frame');
    if (!isControl && (opcode === opcodes.more) !== this.#inMessage) throw new WebSocketFault(1002, 'continuation');
    this.#first = first;
    this.#left = size;
    return (size === 126 ? 2 : size === 127 ? 8 : 0) + (masked ? 4 : 0);
  }

  #begin(): void {
    const head = this.#head;
    let at = 2;
    if (this.#left === 126) {
      this.#left = head.readUInt16BE(2);
      at = 4;
      if (this.#left < 126) throw new WebSocketFault(1002, 'length');
    } else if (this.#left === 127) {
      const high = head.readUInt32BE(2);
      this.#left = head.readUInt32BE(6);
      at = 10;
      // More than the largest message is: no need for all 63 bits.
      if (high > 0) throw new WebSocketFault(high > 0x7fff_ffff ? 1002 : 1009, 'length');
      if (this.#left < 65_536) throw new WebSocketFault(1002, 'length');
    }
    if (this.#options.masked) head.copy(this.#mask, 0, at, at + 4);
    this.#masking = 0;
    this.#headBytes = 0;
    this.#headDue = 2;
    this.#inPayload = true;
    if ((this.#first & 0x0f) >= 8) {
      this.#control = Buffer.alloc(this.#left);
      this.#controlBytes = 0;
    } else this.#beginPart();
    if (this.#left === 0) this.#end();
  }

  #beginPart(): void {
    this.#inMessage = true;
    this.#messageBytes += this.#left;
    this.#frames += 1;
    if (this.#messageBytes > this.#options.maxMessageBytes || this.#frames > mostFrames)
      throw new WebSocketFault(1009, 'message');
    this.#target.begin(this.#first, this.#left);
  }

  #payload(chunk: Buffer, from: number): number {
    const end = Math.min(chunk.length, from + this.#left);
    const piece = chunk.subarray(from, end);
    if (this.#options.masked) this.#unmask(piece);
    this.#left -= piece.length;
    if (this.#control !== undefined) {
      piece.copy(this.#control, this.#controlBytes);
      this.#controlBytes += piece.length;
    } else this.#target.bytes(piece);
    if (this.#left === 0) this.#end();
    return end;
  }

  #unmask(piece: Buffer): void {
    const mask = this.#mask;
    let turn = this.#masking;
    for (let at = 0; at < piece.length; at++) {
      piece[at] = (piece[at] as number) ^ (mask[turn] as number);
      turn = (turn + 1) & 3;
    }
    this.#masking = turn;
  }

  #end(): void {
    this.#inPayload = false;
    const control = this.#control;
    const first = this.#first;
    if (control === undefined) {
      if ((first & fin) !== 0) {
        this.#inMessage = false;
        this.#messageBytes = 0;
        this.#frames = 0;
      }
      return this.#target.done(first);
    }
    this.#control = undefined;
    switch (first & 0x0f) {
      case opcodes.ping:
        return this.#target.ping(control);
      case opcodes.pong:
        return this.#target.pong(control);
      default:
        return this.#close(control);
    }
  }

  #close(payload: Buffer): void {
    this.#closed = true;
    if (payload.length === 0) return this.#target.close(undefined, '');
    if (payload.length === 1) throw new WebSocketFault(1002, 'close code');
    const code = payload.readUInt16BE();
    if (!isSent(code)) throw new WebSocketFault(1002, 'close code');
    const reason = payload.subarray(2);
    if (!isUtf8(reason)) throw new WebSocketFault(1007, 'close reason');
    this.#target.close(code, reason.toString('utf8'));
  }
}

/** Codes that may stand in a close frame (RFC 6455 section 7.4, and the registry of IANA). */
export const isSent = (code: number): boolean =>
  (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);

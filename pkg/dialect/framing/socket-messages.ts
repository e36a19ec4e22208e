import { isUtf8 } from 'node:buffer';
import { JsonError, parseJson } from '../../base/index.ts';
import { RefusedError } from '../../core/index.ts';
import { longestFrame } from './stream-framing.ts';
import type { FilePart, FrameSplitter, StreamFrame, StreamFraming } from './stream-framing.ts';

/**
 * What a WebSocket carries, as a stream: a record for each frame of its messages, and a last one for its close frame. So what reads streams reads
 * messages, too, and those that nothing was changed of leave in the frames in which they came. A record is the frame's first byte (FIN and
 * opcode, RFC 6455 section 5.2), four bytes of length, and its payload.
 */
export const socketPrefixBytes = 5;
export const socketOpcodes = { more: 0, text: 1, binary: 2, close: 8 } as const;
const fin = 0x80;

/** The media type by which a route knows such a stream; it never stands on a wire. */
export const socketType = 'application/x-sidegate-websocket';

export function socketHead(first: number, length: number): Buffer {
  const bytes = Buffer.alloc(socketPrefixBytes);
  bytes[0] = first;
  bytes.writeUInt32BE(length, 1);
  return bytes;
}

export function socketRecord(first: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(socketPrefixBytes + payload.length);
  bytes[0] = first;
  bytes.writeUInt32BE(payload.length, 1);
  bytes.set(payload, socketPrefixBytes);
  return bytes;
}

/** A close frame's payload. @param code undefined: none */
export function closePayload(code: number | undefined, reason: string): Buffer {
  if (code === undefined) return Buffer.alloc(0);
  const bytes = Buffer.alloc(2 + Buffer.byteLength(reason));
  bytes.writeUInt16BE(code);
  bytes.write(reason, 2, 'utf8');
  return bytes;
}

export interface SocketRecord {
  readonly first: number;
  readonly payload: Buffer;
}

/** Records of a stream that is cut anywhere. */
export class SocketRecords {
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** Of the record under way, with its prefix; 0: not known yet. */
  #due = 0;

  /** Bytes of the record that is not whole yet. */
  get pendingBytes(): number {
    return this.#bytes;
  }

  /** @param take each that this chunk completes. @param check the length of one that has begun. */
  push(chunk: Buffer, take: (record: Buffer) => void, check: (length: number) => void = () => undefined): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes < Math.max(this.#due, socketPrefixBytes)) return;
    let rest = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks, this.#bytes);
    for (;;) {
      this.#due = 0;
      if (rest.length < socketPrefixBytes) break;
      const length = rest.readUInt32BE(1);
      check(length);
      this.#due = socketPrefixBytes + length;
      if (rest.length < this.#due) break;
      take(rest.subarray(0, this.#due));
      rest = rest.subarray(this.#due);
    }
    this.#bytes = rest.length;
    this.#chunks = rest.length === 0 ? [] : [rest];
  }

  clear(): void {
    this.#chunks = [];
    this.#bytes = 0;
    this.#due = 0;
  }
}

export const recordOf = (bytes: Buffer): SocketRecord => ({
  first: bytes[0] ?? 0,
  payload: bytes.subarray(socketPrefixBytes),
});

/** Whole records. */
export function readSocketRecords(bytes: Buffer): SocketRecord[] {
  const records: SocketRecord[] = [];
  new SocketRecords().push(bytes, (record) => records.push(recordOf(record)));
  return records;
}

/** The name of the frame that says how a WebSocket was closed. */
export const closeEvent = 'close';

const textRecord = (data: string): Buffer => socketRecord(fin | socketOpcodes.text, Buffer.from(data, 'utf8'));

class MessageFrame implements StreamFrame {
  readonly event = undefined;
  readonly complete = true;
  readonly plain = true;
  readonly raw: string;
  readonly data: string;

  constructor(raw: string, data: string) {
    this.raw = raw;
    this.data = data;
  }

  withData(data: string): string {
    return data === this.data ? this.raw : textRecord(data).toString('latin1');
  }
}

class BinaryFrame implements StreamFrame {
  readonly event = undefined;
  readonly data = undefined;
  readonly complete = true;
  readonly plain = true;
  readonly raw: string;
  readonly file: FilePart;

  constructor(raw: string, bytes: number) {
    this.raw = raw;
    this.file = { type: binaryType, bytes };
  }

  withData(): string {
    return this.raw;
  }
}

/** What a binary message is to a policy. */
export const binaryType = 'application/octet-stream';

class CloseFrame implements StreamFrame {
  readonly event = closeEvent;
  readonly complete = true;
  readonly plain = true;
  readonly raw: string;
  readonly data: string;
  readonly #code: number | undefined;

  constructor(payload: Buffer) {
    this.#code = payload.length === 0 ? undefined : payload.readUInt16BE();
    this.raw = socketRecord(fin | socketOpcodes.close, payload).toString('latin1');
    this.data = JSON.stringify({ code: this.#code ?? null, reason: payload.toString('utf8', 2) });
  }

  withData(data: string): string {
    let reason = '';
    try {
      reason = parseJson(data).get('reason')?.string ?? '';
    } catch (error) {
      if (!(error instanceof JsonError)) throw error;
    }
    return socketRecord(fin | socketOpcodes.close, closePayload(this.#code, reason)).toString('latin1');
  }
}

const none: readonly StreamFrame[] = Object.freeze([]);

class SocketSplitter implements FrameSplitter {
  readonly #records = new SocketRecords();
  /** Of the message under way: its frames, and their payloads. */
  #raw = '';
  #parts: Buffer[] = [];
  #opcode = 0;
  #messageBytes = 0;
  #closed = false;

  get pendingBytes(): number {
    return this.#records.pendingBytes + this.#messageBytes;
  }

  push(chunk: Buffer): readonly StreamFrame[] {
    let frames: StreamFrame[] | undefined;
    this.#records.push(
      chunk,
      (record) => {
        const frame = this.#record(record);
        if (frame !== undefined) (frames ??= []).push(frame);
      },
      (length) => {
        if (length + this.#messageBytes > longestFrame) throw refused('frame_size');
      },
    );
    return frames ?? none;
  }

  #record(bytes: Buffer): StreamFrame | undefined {
    if (this.#closed) throw new RefusedError('upstream_protocol', { detail: 'message after the end' });
    const { first, payload } = recordOf(bytes);
    const opcode = first & 0x0f;
    if (opcode === socketOpcodes.close) {
      this.#closed = true;
      return new CloseFrame(payload);
    }
    if (opcode !== socketOpcodes.more) this.#opcode = opcode;
    if ((first & fin) !== 0 && this.#raw === '') return this.#message(bytes.toString('latin1'), payload);
    this.#raw += bytes.toString('latin1');
    this.#parts.push(payload);
    this.#messageBytes += payload.length;
    if ((first & fin) === 0) return undefined;
    const message = this.#message(this.#raw, Buffer.concat(this.#parts, this.#messageBytes));
    this.#raw = '';
    this.#parts = [];
    this.#messageBytes = 0;
    return message;
  }

  #message(raw: string, payload: Buffer): StreamFrame {
    if (this.#opcode === socketOpcodes.binary) return new BinaryFrame(raw, payload.length);
    if (!isUtf8(payload)) throw refused('utf8');
    return new MessageFrame(raw, payload.toString('utf8'));
  }

  end(): StreamFrame | undefined {
    // Without a close frame nobody can say that it is whole.
    if (!this.#closed || this.pendingBytes > 0) throw new RefusedError('upstream_protocol', { detail: 'close' });
    return undefined;
  }

  clear(): void {
    this.#records.clear();
    this.#raw = '';
    this.#parts = [];
    this.#messageBytes = 0;
  }
}

const refused = (detail: string): RefusedError => new RefusedError('response_uninspectable', { detail });

const silence: StreamFrame = {
  raw: '',
  event: undefined,
  data: undefined,
  complete: true,
  plain: true,
  withData: () => '',
};

/** Close codes of refusals (RFC 6455 section 7.4.1), by why; others are 1008 where the caller is at fault, and 1011. */
const closeCodes: Readonly<Record<string, number>> = {
  invalid_encoding: 1007,
  body_too_large: 1009,
  response_too_large: 1009,
  file_not_allowed: 1003,
  unsupported_media_type: 1003,
  overloaded: 1013,
  shutting_down: 1001,
};

/** A refusal: the dialect's own message, and the close frame behind it, whose reason is the code. */
export function refusalRecords(
  message: string,
  { code, status }: { readonly code: string; readonly status: number },
): string {
  const closing = closeCodes[code] ?? (status >= 500 ? 1011 : 1008);
  const close = socketRecord(fin | socketOpcodes.close, closePayload(closing, code));
  return Buffer.concat([textRecord(message), close]).toString('latin1');
}

export const socketMessages: StreamFraming = {
  mediaTypes: new Set([socketType]),
  contentType: socketType,
  encoding: 'latin1',
  splitter: () => new SocketSplitter(),
  // What is of our own is a refusal, and is framed already.
  frame: (data) => data,
  bare: (frame) => frame,
  silence,
  padded: (text) => text,
};

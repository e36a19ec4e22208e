import { parseJson } from '../base/index.ts';
import type { JsonNode } from '../base/index.ts';
import type { DownMessage, UpMessage } from './messages.ts';
import { WireError } from './wire-error.ts';

/**
 * Frames: four bytes of length, big endian, then as many bytes of UTF-8 JSON.
 *
 * A reader decides by the length alone whether it takes a frame, before it keeps a byte of it; what it keeps is never more
 * than one frame and one chunk.
 */
const headBytes = 4;

/** A message as bytes. One result may be written to many streams. */
export function encodeFrame(message: UpMessage | DownMessage): Buffer {
  return frameOf(Buffer.from(JSON.stringify(message)));
}

/** A frame of these parts, one behind the other. */
export function frameOf(...parts: readonly Uint8Array[]): Buffer {
  const head = Buffer.alloc(headBytes);
  head.writeUInt32BE(parts.reduce((sum, part) => sum + part.length, 0));
  return Buffer.concat([head, ...parts]);
}

export interface FrameReader {
  /**
   * Takes what came, in pieces of any size, and hands on each whole frame in order.
   *
   * @throws WireError; then the reader is of no more use. What `onFrame` throws comes through.
   */
  push(chunk: Uint8Array): void;
}

export interface FrameReaderOptions {
  /** Longest frame, bytes of JSON. */
  readonly maxBytes: number;
  /** Most values and keys in one frame; default one for each 8 bytes of `maxBytes`. */
  readonly maxNodes?: number;
  readonly onFrame: (root: JsonNode) => void;
}

export function createFrameReader(options: FrameReaderOptions): FrameReader {
  const { maxBytes, onFrame } = options;
  const limits = { maxDepth: 48, maxNodes: options.maxNodes ?? Math.ceil(maxBytes / 8) };
  return createBodyReader({ maxBytes, onBody: (body) => onFrame(parseFrame(body, limits)) });
}

const none = Buffer.alloc(0);
/** Of a frame that did not come at once. */
const leastBody = 1_024;

/** Frames whatever is in them. A body is the reader's own until `onBody` returns, and may be kept. */
export function createBodyReader(options: {
  readonly maxBytes: number;
  /** A frame of so many bytes begins, of which what `push` was given may have the rest; default: nobody asks. */
  readonly onLength?: (bytes: number) => void;
  readonly onBody: (body: Buffer) => void;
}): FrameReader {
  const { maxBytes, onLength, onBody } = options;
  const head = Buffer.alloc(headBytes);
  let headFilled = 0;
  /**
   * What came of the frame that is being read, in one piece that grows to twice as much: a list of pieces would take some hundred bytes for each,
   * and who sends them chooses how small they are.
   */
  let body = none;
  let filled = 0;
  /** Bytes of it that are still to come; undefined while its head is not read. */
  let missing: number | undefined;

  const readHead = (chunk: Buffer, at: number): number => {
    const taken = chunk.copy(head, headFilled, at, at + headBytes - headFilled);
    headFilled += taken;
    if (headFilled < headBytes) return taken;
    headFilled = 0;
    missing = head.readUInt32BE();
    if (missing === 0 || missing > maxBytes)
      throw new WireError('frame_size', 'a frame has a length that is not taken');
    onLength?.(missing);
    return taken;
  };
  const readBody = (chunk: Buffer, at: number, left: number): number => {
    const piece = chunk.subarray(at, at + left);
    missing = left - piece.length;
    if (filled === 0 && missing === 0) {
      missing = undefined;
      onBody(piece);
      return piece.length;
    }
    const need = filled + piece.length;
    if (body.length < need) {
      const before = body.subarray(0, filled);
      body = Buffer.alloc(Math.min(filled + left, Math.max(need, 2 * body.length, leastBody)));
      body.set(before);
    }
    body.set(piece, filled);
    filled = need;
    if (missing > 0) return piece.length;
    const whole = body.subarray(0, filled);
    body = none;
    filled = 0;
    missing = undefined;
    onBody(whole);
    return piece.length;
  };

  return {
    push(bytes) {
      const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      for (let at = 0; at < chunk.length;)
        at += missing === undefined ? readHead(chunk, at) : readBody(chunk, at, missing);
    },
  };
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** @throws WireError */
export function parseFrame(body: Buffer, limits: { readonly maxDepth: number; readonly maxNodes: number }): JsonNode {
  try {
    return parseJson(utf8.decode(body), limits);
  } catch (cause) {
    throw new WireError('frame_content', 'a frame is not JSON that can be read', { cause });
  }
}

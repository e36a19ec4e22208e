import type { ByteChain, JsonEdit, JsonNode } from '../../base/index.ts';

/**
 * How a stream is cut into frames, and how a frame is written. A route names the framings that its streams may have ({@link Route}); what
 * a framing has no way to say is not said: each member tells what its callers do then.
 *
 * A frame is text. Where the wire is bytes (`latin1`), `raw` has one unit for each of them, and `data` is the JSON that was read from them; or
 * there is no text of it at all ({@link FrameMessage}).
 */

/** A frame that was read from its bytes, and leaves as they came but for what is edited. */
export interface FrameMessage {
  readonly bytes: ByteChain;
  readonly root: JsonNode;
  /** @throws RefusedError response_uninspectable where an edit cannot be carried out. */
  edited(edits: readonly JsonEdit[]): ByteChain;
}

/** Something that nobody reads: sound, a picture, a file. */
export interface FilePart {
  /** Its media type, as it is declared: lower case, without parameters. */
  readonly type: string;
  /** Of one that comes in pieces: so far. */
  readonly bytes: number;
  /** What the record tells it by; absent: a piece of something longer. */
  readonly content?: () => Uint8Array;
}

/** A picture, a sound or a file within the JSON of a request. */
export interface MediaPart {
  /** What it is called and what its first bytes say, where that differs: lower case, without parameters. Policy must let each of them pass. */
  readonly types: readonly string[];
  readonly bytes: number;
  /** It is called a picture or a sound, and is a document: no policy lets it pass. Absent: that is not so. */
  readonly disguised?: true;
}

export interface StreamFrame {
  /** The frame as it came, to its end. */
  readonly raw: string;
  /** The name that stands on it; undefined where there is none. */
  readonly event: string | undefined;
  /** What is read of it: JSON, or an end marker; undefined where it says nothing. */
  readonly data: string | undefined;
  /** False where the stream ended before the frame did. */
  readonly complete: boolean;
  /** Nothing stands in it but its data: where that may leave, it may leave as it came. */
  readonly plain: boolean;
  /** It is a file, of which nothing can be read: it leaves as it came where policy lets such files pass. */
  readonly file?: FilePart;
  /** Where it is set, `raw` and `data` are empty, and `withData` is not called. */
  readonly message?: FrameMessage;
  /** The frame with other data, and all else of it as it was. */
  withData(data: string): string;
}

/**
 * Promise: the frames' `raw` texts, one after the other, are the stream, whatever the cuts between chunks; and `event` and `data` are what
 * its clients read.
 */
export interface FrameSplitter {
  /** Bytes of the frame that is not whole yet. */
  readonly pendingBytes: number;
  /**
   * Whole frames that this chunk completes.
   *
   * @throws RefusedError response_uninspectable when a frame is longer than allowed, or no frame at all.
   */
  push(chunk: Buffer): readonly StreamFrame[];
  /** The last frame, where it was not terminated. Nothing may be pushed after it. @throws RefusedError as `push` */
  end(): StreamFrame | undefined;
  /** Forgets the frame that is not whole yet. */
  clear(): void;
}

export interface StreamFraming {
  /** Of answers that are so framed: lower case, without parameters. */
  readonly mediaTypes: ReadonlySet<string>;
  /** Type of what leaves. */
  readonly contentType: string;
  /** How texts of frames become bytes. */
  readonly encoding: 'utf8' | 'latin1';
  /** All of its frames are one file, and none can say anything: what fails in mid-stream is cut off. */
  readonly isFile?: true;
  splitter(): FrameSplitter;
  /** A frame of our own. */
  frame(data: string, event?: string): string;
  /** It has no frame that tells of an error: an answer that must not go on breaks off. */
  readonly breaksOff?: true;
  /** A frame with its data and this name, and without anything else that stood in it. */
  bare(frame: StreamFrame, event: string | undefined): StreamFrame;
  /** What leaves for a frame that says nothing. */
  readonly silence: StreamFrame;
  /** A frame without a name whose data is empty says nothing. */
  readonly emptySaysNothing?: true;
  /**
   * What no client reads. Absent: who waits for people gets no sign of life and, in the end, a status of their own; receipts are not told
   * on the stream.
   */
  readonly comment?: (text: string) => string;
  /** Filled up to the next multiple of so many bytes; a framing that has no filling leaves it as it is. */
  padded(text: string, multiple: number): string;
  /** A step that says nothing, of `multiple` bytes. Absent: a tick without text sends nothing, and pauses show. */
  readonly cover?: (multiple: number) => string;
}

/** Longest frame, in UTF-16 units. */
export const longestFrame = 8 * 1024 * 1024;

/** Bytes that are missing to the next multiple. */
export const missing = (size: number, multiple: number): number =>
  multiple <= 1 ? 0 : (multiple - (size % multiple)) % multiple;

import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import type { ByteChain } from '../base/index.ts';
import type { MessageLimits } from './message-body.ts';
import type { BodyLimits } from './request-body.ts';

/**
 * One request and its answer, the same for HTTP/1.1 and HTTP/2. The listener has already refused ambiguous framing, so
 * whatever reaches a handler has one reading.
 */
export interface Exchange {
  /** Milliseconds on the monotonic clock when the request's head was complete. */
  readonly startedAt: number;
  readonly protocol: 'http/1.1' | 'h2';
  readonly encrypted: boolean;
  /** Address of the peer, without port. */
  readonly peer: string;
  readonly method: string;
  /** The request target as it came: origin form, path and query. */
  readonly target: string;
  /** Names in lower case, no HTTP/2 pseudo headers. */
  readonly headers: IncomingHttpHeaders;
  /** DER of the verified client certificate of this connection. */
  readonly clientCertificate: Uint8Array | undefined;
  /**
   * The whole body with Content-Encoding (gzip, deflate, br, zstd) undone, under both caps.
   * @throws RefusedError body_too_large, request_timeout, unsupported_encoding, invalid_encoding, overloaded, caller_share_used
   */
  readBody(limits: BodyLimits): Promise<Buffer>;
  /** As `readBody`, in the pieces in which it came, none of which is copied. Absent: HTTP/1.1. */
  readonly readPieces?: (limits: BodyLimits) => Promise<ByteChain>;
  /**
   * In place of `readBody`: the next length-prefixed message of the body, with its prefix; undefined: there is none any more. Counted until the
   * next one is asked for. Absent: HTTP/1.1. @throws RefusedError as `readBody`, and invalid_request where the body ends within one
   */
  readonly nextMessage?: (limits: MessageLimits) => Promise<Buffer | undefined>;
  /** Nobody holds the body any more: its share of the memory for all is free. Needed only before the exchange is over. */
  releaseBody(): void;
  /** Bytes of the request body that came off the wire so far. */
  readonly bytesIn: number;
  /** Whole answer at once. Hop-by-hop headers never go out. After an early refusal the body is drained (64 MiB or 5 s). */
  respond(status: number, headers: OutgoingHttpHeaders, body: string | Uint8Array): void;
  /** Begins a streamed answer. */
  start(status: number, headers: OutgoingHttpHeaders): void;
  /** False when the peer reads slower than we write: wait for `onDrain`. */
  write(chunk: string | Uint8Array): boolean;
  end(chunk?: string | Uint8Array): void;
  /** Fields to follow the body, taken when all of it is out; to be called before `start`. Absent: this protocol's are not sent. */
  readonly trailers?: (fields: () => OutgoingHttpHeaders) => void;
  /**
   * Fields to go with the head of whatever answers, in place of others of their names: taken as it leaves; to be called before. Absent: none are
   * added.
   */
  readonly withHead?: (fields: () => OutgoingHttpHeaders) => void;
  /** Breaks the connection (h1) or resets the stream (h2): the peer sees that the answer is not whole. */
  destroy(): void;
  /** As `destroy`, when what was written has left, or 5 s later where its peer does not take it. Nothing may be written after it. */
  breakOff(): void;
  onDrain(listener: () => void): void;
  /** Called once, when the peer is gone or the answer has been handed to the kernel whole. */
  onClose(listener: (how: 'finished' | 'aborted') => void): void;
  /** Bytes of answer body written so far. */
  readonly bytesOut: number;
  /** More of the answer waits here until the peer takes what was written. */
  readonly backlogged: boolean;
  /** Bytes of memory that it takes. */
  readonly backlogBytes: number;
}

/** A request to the model. */
export interface UpstreamRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: OutgoingHttpHeaders;
  readonly body: Uint8Array | ByteChain | undefined;
  /** Longest wait without a byte. */
  readonly idleMs: number;
}

/** What comes back, in order: one head, data, then end or error. Content-Encoding is undone; no callback after `abort`. */
export interface UpstreamHandler {
  head(status: number, headers: IncomingHttpHeaders): void;
  /** Once, after the head: the request's body, where there is one, is held by nobody here any more. It was sent, and will not be again. */
  bodyReleased?(): void;
  data(chunk: Buffer): void;
  /** Right before the end: fields that followed the body (HTTP/2). Names in lower case, no pseudo headers. */
  trailers?(headers: IncomingHttpHeaders): void;
  /** Of an {@link OpenCall}: a `write` that answered false may be followed by others. */
  room?(): void;
  end(): void;
  /** RefusedError upstream_unreachable, upstream_timeout, upstream_protocol; never with the peer's words in the message. */
  error(error: Error): void;
}

export interface UpstreamCall {
  pause(): void;
  resume(): void;
  /** Aborts the model's work at once. */
  abort(): void;
}

/** A call whose request goes on after its head, until `finish`. */
export interface OpenCall extends UpstreamCall {
  /** False: the model does not take it yet; wait for `room`. */
  write(chunk: Uint8Array): boolean;
  finish(): void;
}

export interface Upstream {
  send(request: UpstreamRequest, handler: UpstreamHandler): UpstreamCall;
  close(): void;
}

/** A model that is spoken to over HTTP/2: requests may go on while their answer comes, and answers have trailers. */
export interface Http2Upstream extends Upstream {
  /** What `body` holds goes first. */
  open(request: UpstreamRequest, handler: UpstreamHandler): OpenCall;
}

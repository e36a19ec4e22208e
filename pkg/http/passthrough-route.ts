import type { OutgoingHttpHeaders } from 'node:http';
import type { RefusedError } from '../core/index.ts';
import type { BodyLimits } from './request-body.ts';

/** What was decided about the request: everything else of it stays behind. */
export interface PassthroughRoute {
  /** Normalised path with query. */
  readonly path: string;
  readonly headers: OutgoingHttpHeaders;
  /** Longest silence of the model on an exchange or of both sides on a WebSocket; default 10 min. */
  readonly idleMs?: number;
  /** All of the model's headers go on, as where every policy observes; default those of the allow-list. */
  readonly everyHeader?: boolean;
  /** Of the body, as it comes off the wire; default none. Not for WebSockets. */
  readonly body?: BodyLimits;
}

/** Bytes of a joined WebSocket that came from the caller and from the model, so far. */
export interface PassthroughTraffic {
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** What becomes of it. */
export interface PassthroughWatch {
  /** The model has answered: this status goes to the caller. `traffic`: of a WebSocket. */
  begun?(status: number, traffic?: PassthroughTraffic): void;
  /**
   * The model failed, or the body met its limits: upstream_unreachable, upstream_timeout, upstream_protocol, upstream_error,
   * body_too_large, request_timeout, shutting_down. Once at most. Before `begun` the caller waits for an answer; after it the caller's
   * connection is broken by the passthrough.
   */
  failed(error: RefusedError): void;
}

import type { PodName } from './messages.ts';

/**
 * What sidecar and recorder say to each other: one TLS 1.3 connection with the sidecar's identity certificate,
 * `GET /v1/record` with `Upgrade: sidegate-record/1`, then frames both ways (record-frames.ts).
 *
 * The sidecar says `hello`, the recorder `welcome`. For each chain of the pod's spool the sidecar then says `begin`, the
 * recorder answers `position`: up to where it has the chain. From there the sidecar sends `events`, lines of the record
 * byte for byte as they were hashed, in order; the recorder answers `ack`: everything up to there is durable. Whatever was
 * sent and not acknowledged is sent again on the next connection; what the recorder has already, it knows by sequence
 * number and hash.
 */
export const recordProtocolVersion = 1;

export const recordPath = '/v1/record';
/** Value of `Upgrade` on both sides. */
export const recordProtocol = 'sidegate-record/1';

/** A point of a chain: its last sequence number and that line's hash. */
export interface ChainPoint {
  readonly sequence: number;
  readonly hash: string;
}

export interface RecordHello {
  readonly type: 'hello';
  readonly version: number;
  /** Must be the pod of the certificate. */
  readonly pod: PodName;
  /** Version of the sidecar. */
  readonly software: string;
}

/** What follows is of this chain, until the next `begin`. */
export interface RecordBegin {
  readonly type: 'begin';
  /** 32 hex digits; the chain's first line refers to it (pkg/record). */
  readonly chain: string;
}

/** Whole lines of the chain that was begun, each with its line feed, in the frame behind this header. */
export interface RecordEvents {
  readonly type: 'events';
  readonly first: number;
  readonly count: number;
}

/** The sidecar no longer has these sequence numbers, or cannot send them. They are lost, and the recorder says so for ever. */
export interface RecordSkip {
  readonly type: 'skip';
  readonly from: number;
  readonly to: number;
  /** Hash of the last of them, as the line after it says. */
  readonly hash: string;
  /** `missing`: not in the spool; `too_long`: longer than a frame; `unreadable`: what is in their place are no lines, or not as they were hashed. */
  readonly why: 'missing' | 'too_long' | 'unreadable';
}

/** In both directions, each `recordHeartbeatMs`. */
export interface RecordBeat {
  readonly type: 'beat';
}

export type RecordGoodbyeReason =
  /** The connection is old: connect again, now. */
  | 'age'
  /** The process stops: connect again after a moment. */
  | 'shutdown'
  /** A newer connection of the same pod took its place. */
  | 'replaced'
  /** What the peer said is not in the protocol. */
  | 'protocol'
  /** The peer names another pod than its certificate. */
  | 'identity'
  /** No heartbeat. */
  | 'silent'
  /** The chain that was sent is not the one that is stored: kept as evidence, nothing is overwritten. */
  | 'conflict'
  /** The store has no room, or fails. */
  | 'unavailable'
  | 'internal';

export interface RecordGoodbye {
  readonly type: 'goodbye';
  readonly reason: RecordGoodbyeReason;
}

export interface RecordWelcome {
  readonly type: 'welcome';
  readonly version: number;
  readonly heartbeatMs: number;
}

/** Answers `begin`. Sequence 0 with the chain's own start: nothing is there yet. */
export interface RecordPosition extends ChainPoint {
  readonly type: 'position';
  readonly chain: string;
}

/** All lines of the chain up to this one are on the recorder's disk. */
export interface RecordAck extends ChainPoint {
  readonly type: 'ack';
  readonly chain: string;
}

/** Sidecar to recorder. */
export type RecordUpMessage = RecordHello | RecordBegin | RecordEvents | RecordSkip | RecordBeat | RecordGoodbye;

/** Recorder to sidecar. */
export type RecordDownMessage = RecordWelcome | RecordPosition | RecordAck | RecordBeat | RecordGoodbye;

/** Largest frame that the recorder takes. A line of the record is shorter: texts are cut at 16 KiB. */
export const maxRecordBytes = 2 * 1024 * 1024;
/** Most bytes that a sidecar sends before they are acknowledged, but always one frame. */
export const recordWindowBytes = 4 * 1024 * 1024;
/** Largest frame that a sidecar takes. */
export const maxRecordDownBytes = 4 * 1024;
export const recordHeartbeatMs = 15_000;

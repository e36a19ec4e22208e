import type { Spread } from '../statistics.ts';

/** What the bench asks of its load process, and what comes back. All times are milliseconds. */

export interface Target {
  readonly port: number;
  readonly tls: boolean;
  readonly token: string | undefined;
}

/**
 * What the answers to a job must be: all 200 and of the length of the model's answer of so many bytes, or of what an exact mask leaves of it;
 * the first of them byte for byte.
 */
export interface Expected {
  readonly bytes: number;
  readonly masked: boolean;
}

/** Requests over so many connections, each as soon as the last is answered, until there were so many or the time is up. */
export interface ClosedJob {
  readonly kind: 'closed';
  readonly target: Target;
  readonly protocol: 'h1' | 'h2';
  readonly connections: number;
  readonly requests: number;
  readonly seconds: number;
  readonly body: string;
  readonly answer: Expected;
}
export interface ClosedResult {
  readonly requests: number;
  readonly seconds: number;
  readonly latency: Spread;
}

/** Unary calls of gRPC, so many at once, until there were so many or the time is up. All answers must be right. */
export interface CallsJob {
  readonly kind: 'calls';
  readonly target: Target;
  /** A kilobyte of text, or a megabyte of numbers, each way. */
  readonly what: 'text' | 'tensor';
  /** What arrives of the text is what an exact mask leaves. */
  readonly masked: boolean;
  readonly concurrency: number;
  readonly calls: number;
  readonly seconds: number;
}
export interface CallsResult {
  readonly calls: number;
  /** Of requests and answers together. */
  readonly bytes: number;
}

/** Messages of WebSockets over so many connections, until there were so many or the time is up. All of the model's must be right. */
export interface MessagesJob {
  readonly kind: 'messages';
  readonly target: Target;
  /** Each message gets one back; or an answer of Realtime's in many. */
  readonly what: 'echo' | 'answer';
  readonly connections: number;
  /** Messages of a caller that are not answered yet, of each connection. */
  readonly window: number;
  readonly messages: number;
  readonly seconds: number;
}
export interface MessagesResult {
  /** Both ways together. */
  readonly messages: number;
}

/** Requests at a fixed rate to each target, taking turns, so that all see the same machine. */
export interface PacedJob {
  readonly kind: 'paced';
  readonly targets: readonly Target[];
  readonly perSecond: number;
  readonly seconds: number;
  readonly body: string;
  /** One for each target. */
  readonly answers: readonly Expected[];
}
export interface PacedResult {
  readonly latencies: readonly Spread[];
}

/** Streams one after the other, targets taking turns. */
export interface FirstsJob {
  readonly kind: 'firsts';
  readonly targets: readonly Target[];
  readonly repeats: number;
  readonly body: string;
}
export interface FirstsResult {
  readonly frame: readonly Spread[];
  readonly text: readonly Spread[];
}

/** Streams at once; `tokens` and `expected` are what the model sends and what must arrive. */
export interface StreamsJob {
  readonly kind: 'streams';
  readonly target: Target;
  readonly count: number;
  /** Their starts are spread over this time. */
  readonly rampMs: number;
  readonly body: string;
  readonly events: number;
  readonly valueEvery: number;
  readonly masked: boolean;
  /** For each frame the index of the write whose text decides it (oracle.ts). Undefined: its own. */
  readonly decidedBy: readonly number[] | undefined;
}
export interface StreamsResult {
  /** From the model's write to the caller's read, each frame, holding included. */
  readonly latency: Spread;
  /** From the write that decided a frame to its read, each frame. */
  readonly lag: Spread;
  /** Characters that the model has written and the caller has not, when the model writes again. */
  readonly held: Spread;
  /** The most streams of which the model had written the first frame and not the last. */
  readonly atOnce: number;
  readonly exact: number;
  readonly wrong: number;
  /** What the first stream that broke off says. */
  readonly failure: string | undefined;
  readonly frames: number;
  readonly seconds: number;
}

/** So many new connections with a full handshake and one request each. */
export interface ConnectsJob {
  readonly kind: 'connects';
  readonly target: Target;
  readonly count: number;
  readonly concurrency: number;
  readonly body: string;
  readonly answer: Expected;
}
export interface ConnectsResult {
  readonly latency: Spread;
}

/** Big requests one after the other, and small ones beside them at a fixed rate. */
export interface BesideJob {
  readonly kind: 'beside';
  readonly target: Target;
  readonly bigBody: string | undefined;
  readonly bigs: number;
  readonly bigAnswer: Expected;
  readonly smallBody: string;
  readonly smallAnswer: Expected;
  readonly everyMs: number;
  /** How long where there is nothing big. */
  readonly seconds: number;
}
export interface BesideResult {
  readonly big: Spread;
  readonly small: Spread;
}

export type Job = CallsJob | ClosedJob | MessagesJob | PacedJob | FirstsJob | StreamsJob | ConnectsJob | BesideJob;

export interface Results {
  readonly calls: CallsResult;
  readonly closed: ClosedResult;
  readonly messages: MessagesResult;
  readonly paced: PacedResult;
  readonly firsts: FirstsResult;
  readonly streams: StreamsResult;
  readonly connects: ConnectsResult;
  readonly beside: BesideResult;
}

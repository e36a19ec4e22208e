import type { Spread } from '../statistics.ts';

/** What the bench asks of its load process, and what comes back. All times are milliseconds. */

export interface Target {
  readonly port: number;
  readonly tls: boolean;
  readonly token: string | undefined;
}

/** What an answer must and must not hold, looked at in the first answers of a job; all must be 200. */
export interface Check {
  readonly holds: string;
  readonly lacks: string | undefined;
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
  readonly check: Check;
}
export interface ClosedResult {
  readonly requests: number;
  readonly seconds: number;
  readonly latency: Spread;
}

/** Requests at a fixed rate to each target, taking turns, so that all see the same machine. */
export interface PacedJob {
  readonly kind: 'paced';
  readonly targets: readonly Target[];
  readonly perSecond: number;
  readonly seconds: number;
  readonly body: string;
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
  /** For each frame the index of the write whose text decided it, as `decided` of a slow run tells. Undefined: its own. */
  readonly decidedBy: readonly number[] | undefined;
}
export interface StreamsResult {
  /** From the model's write to the caller's read, each frame, holding included. */
  readonly latency: Spread;
  /** From the write that decided a frame to its read, each frame. */
  readonly lag: Spread;
  /**
   * For each frame the newest write before it was read, the earliest of all streams. Where writes are further apart than a frame is on its
   * way, this is the write that decided it.
   */
  readonly decided: readonly number[];
  /** Characters that the model has written and the caller has not, when the model writes again. */
  readonly held: Spread;
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
  readonly smallBody: string;
  readonly everyMs: number;
  /** How long where there is nothing big. */
  readonly seconds: number;
}
export interface BesideResult {
  readonly big: Spread;
  readonly small: Spread;
}

export type Job = ClosedJob | PacedJob | FirstsJob | StreamsJob | ConnectsJob | BesideJob;

export interface Results {
  readonly closed: ClosedResult;
  readonly paced: PacedResult;
  readonly firsts: FirstsResult;
  readonly streams: StreamsResult;
  readonly connects: ConnectsResult;
  readonly beside: BesideResult;
}

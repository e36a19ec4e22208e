export { decodeRuns, spelledRuns } from './decode-runs.ts';
export type { DecodedRun } from './decode-runs.ts';
export { RunDecoder, leastRun } from './run-decoder.ts';
export type { DecodedSink, RunKind } from './run-decoder.ts';

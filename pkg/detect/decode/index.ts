export { decodeRuns } from './decode-runs.ts';
export type { DecodedRun } from './decode-runs.ts';
export type { Reading } from './reading.ts';
export type { Joints } from './gaps.ts';
export { mayReadOtherwise, otherReadings, readsAcross } from './readings.ts';
export type { ReadingOptions } from './readings.ts';
export { RunDecoder, leastRun } from './run-decoder.ts';
export type { DecodedSink, RunKind } from './run-decoder.ts';

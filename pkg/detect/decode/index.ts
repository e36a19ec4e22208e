export { decodeRuns } from './decode-runs.ts';
export type { DecodedRun } from './decode-runs.ts';
export type { Reading } from './reading.ts';
export { mayReadOtherwise, otherReadings } from './readings.ts';
export type { ReadingOptions } from './readings.ts';
export { RunDecoder, leastRun } from './run-decoder.ts';
export type { DecodedSink, RunKind } from './run-decoder.ts';

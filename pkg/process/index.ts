export { readFlags, usageOf } from './flags.ts';
export type { Address, Flag, FlagReader, Flags } from './flags.ts';
export { processLog } from './log.ts';
export { endOnSignals, outliveLog, refuseSettings, runProcess } from './life.ts';
export type { Ending, Parsed } from './life.ts';
export { limitStoreFlags, readLimitStore } from './limit-store-flags.ts';
export type { LimitStoreSettings } from './limit-store-flags.ts';

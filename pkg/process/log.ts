import type { Writable } from 'node:stream';
import { createLogger } from '../base/index.ts';
import type { Clock, LogLevel, Logger } from '../base/index.ts';

export interface ProcessLogOptions {
  readonly clock: Clock;
  readonly level: LogLevel;
  /** Default standard error. */
  readonly stream?: Pick<Writable, 'write' | 'once' | 'writableLength' | 'writableNeedDrain'>;
  /** Called for each line that is dropped. */
  readonly onDropped?: () => void;
}

/** Characters that wait for a reader. */
const mostWaiting = 1_024 * 1_024;

/**
 * The log of a process: JSON lines on standard error. Nothing waits for it: where its reader stalls, 1 Mi characters wait in memory; lines
 * past that are dropped until the reader has caught up, and then a line says how many.
 */
export function processLog({ clock, level, stream = process.stderr, onDropped }: ProcessLogOptions): Logger {
  let dropped = 0;
  const write = (line: string): void => {
    // What needs no drain has room, and would not tell of any.
    if (dropped === 0 && !(stream.writableNeedDrain && stream.writableLength + line.length > mostWaiting))
      return void stream.write(`${line}\n`);
    if (dropped === 0) stream.once('drain', caughtUp);
    dropped++;
    onDropped?.();
  };
  const logger = createLogger({ clock, level, write });
  const caughtUp = (): void => {
    const lines = dropped;
    dropped = 0;
    logger.error('log lines were dropped: nobody read them', { lines });
  };
  return logger;
}

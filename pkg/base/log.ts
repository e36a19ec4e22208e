import type { Clock } from './clock.ts';
import type { Secret } from './secret.ts';

/** What a log field may hold. No objects: whatever is logged was chosen, field by field. */
export type LogValue = string | number | boolean | null | undefined | Secret | readonly string[];
export type LogFields = Readonly<Record<string, LogValue>>;
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Constant messages plus fields. Messages never carry request content, tokens or matched text. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** The same logger with fields that stand on every line. */
  with(fields: LogFields): Logger;
}

const rank: Readonly<Record<LogLevel, number>> = { debug: 10, info: 20, warn: 30, error: 40 };

export interface LogOptions {
  readonly clock: Clock;
  readonly level: LogLevel;
  /** Receives one line without its line feed. */
  readonly write: (line: string) => void;
}

/** JSON lines: `{"time":"…","level":"info","message":"…",…fields}`. */
export function createLogger(options: LogOptions, bound: LogFields = {}): Logger {
  const emit = (level: LogLevel, message: string, fields: LogFields | undefined): void => {
    if (rank[level] < rank[options.level]) return;
    const own = { time: new Date(options.clock.now()).toISOString(), level, message };
    // Twice: the first puts the three in front, the last keeps fields of the same name from replacing them.
    options.write(JSON.stringify(Object.assign({ ...own }, bound, fields, own)));
  };
  return {
    debug: (message, fields) => emit('debug', message, fields),
    info: (message, fields) => emit('info', message, fields),
    warn: (message, fields) => emit('warn', message, fields),
    error: (message, fields) => emit('error', message, fields),
    with: (fields) => createLogger(options, { ...bound, ...fields }),
  };
}

/** A logger that says nothing: for tools and tests that need none. */
export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  with: () => silentLogger,
};

import { describeError, systemClock } from '../base/index.ts';
import type { LogLevel, Logger } from '../base/index.ts';
import { processLog } from './log.ts';

/** What became of the flags of a process: settings, everything that is wrong with them together, or the question for help. */
export type Parsed<Settings> =
  { readonly settings: Settings } | { readonly faults: readonly string[] } | { readonly help: true };

/** A log that nobody reads any more must not end the process: without a listener the write error would be thrown. */
export function outliveLog(): void {
  process.stderr.on('error', () => undefined);
}

/** Tells every fault on standard error and ends the process with 2. */
export function refuseSettings(name: string, faults: readonly string[]): never {
  for (const fault of faults) process.stderr.write(`${name}: ${fault}\n`);
  process.stderr.write(`${name}: --help lists all settings\n`);
  process.exit(2);
}

/**
 * Runs a process: `--help` prints `usage` and ends it with 0, faults end it with 2, and what `run` throws is logged and ends it with 1. Its
 * log is {@link processLog}.
 */
export async function runProcess<Settings extends { readonly logLevel: LogLevel }>(
  name: string,
  usage: string,
  parsed: Parsed<Settings>,
  run: (settings: Settings, logger: Logger) => Promise<void>,
): Promise<void> {
  outliveLog();
  if ('help' in parsed) {
    process.stdout.write(usage);
    return;
  }
  if ('faults' in parsed) refuseSettings(name, parsed.faults);
  const { settings } = parsed;
  const logger = processLog({ clock: systemClock, level: settings.logLevel });
  try {
    await run(settings, logger);
  } catch (error) {
    // Before anybody was served: what the operator has to do stands in the whole message.
    logger.error('cannot start', {
      process: name,
      error: error instanceof Error ? error.message : describeError(error),
    });
    process.exit(1);
  }
}

/** The end of a process. */
export interface Ending {
  readonly stopping: boolean;
  /** Ends it, once; later calls do nothing. */
  stop(why: string, exitCode?: number): void;
}

/**
 * SIGTERM and SIGINT end the process: `end` lets go of everything, then it exits. A failure of `end` is logged, and the exit code is 1.
 * Before this is called a signal ends it at once: there is nothing to finish.
 */
export function endOnSignals(logger: Logger, end: () => Promise<void>): Ending {
  let stopping = false;
  // A moment for the log, and never a hang.
  const exit = (code: number): void => void setTimeout(() => process.exit(code), 50);
  const ending: Ending = {
    get stopping() {
      return stopping;
    },
    stop(why, exitCode = 0) {
      if (stopping) return;
      stopping = true;
      logger.info('stopping', { why });
      end().then(
        () => exit(exitCode),
        (error: unknown) => {
          logger.error('did not stop cleanly', { error: describeError(error) });
          exit(1);
        },
      );
    },
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => ending.stop(signal));
  return ending;
}

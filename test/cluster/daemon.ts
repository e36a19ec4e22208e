import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, closeSync, openSync, readFileSync } from 'node:fs';

/** A process in the background whose output goes to a file. */
export interface Daemon {
  readonly name: string;
  /** Undefined while it runs; else how it ended. */
  ended(): string | undefined;
  /** What it wrote last. */
  tail(lines?: number): string;
  /** Sends the signal, and resolves when it has ended. Default SIGKILL. */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

/**
 * With `setpriv` (util-linux) the kernel kills the process when its parent dies, however that dies: a test run that was
 * killed leaves nothing behind. Without it (macOS) `stop` is the only end.
 */
const withParent = ['/usr/bin/setpriv', '--pdeathsig', 'KILL', '--'];

function prefix(): readonly string[] {
  try {
    accessSync(withParent[0] ?? '');
    return withParent;
  } catch {
    return [];
  }
}

export function startDaemon(options: {
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
  readonly folder: string;
  readonly logFile: string;
}): Daemon {
  const { name, program, args, folder, logFile } = options;
  const log = openSync(logFile, 'a');
  const [command = program, ...rest] = [...prefix(), program, ...args];
  const child = spawn(command, rest, { cwd: folder, stdio: ['ignore', log, log] });
  closeSync(log);
  // A test that forgets to stop it must not keep the run from ending.
  child.unref();
  let failure: string | undefined;
  child.on('error', (error) => (failure = error.message));
  const ended = (): string | undefined =>
    failure ??
    (child.exitCode === null && child.signalCode === null
      ? undefined
      : `${name} ended with ${child.exitCode ?? child.signalCode ?? ''}`);
  return {
    name,
    ended,
    tail: (lines = 15) => readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-lines).join('\n'),
    async stop(signal = 'SIGKILL') {
      if (ended() !== undefined) return;
      child.ref();
      const exit = once(child, 'exit');
      child.kill(signal);
      await exit;
    },
  };
}

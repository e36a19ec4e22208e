import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** Processes of the bench: pinned to a core, measured through /proc, ended by their own id. */

/** The proxies share this core, one of them working at a time; clients, model server and this process have the other. */
export const proxyCore = 0;
export const otherCore = 1;

const ticksPerSecond = Number(spawnSync('getconf', ['CLK_TCK']).stdout.toString()) || 100;
const canPin = spawnSync('taskset', ['-c', String(proxyCore), 'true']).status === 0;
export const pinned = canPin;

export class Measured {
  readonly pid: number;
  readonly child: ChildProcess;

  constructor(child: ChildProcess) {
    if (child.pid === undefined) throw new Error('the process did not start');
    this.pid = child.pid;
    this.child = child;
  }

  /** Seconds of processor time so far, user and system, all threads: fields 14 and 15 of proc_pid_stat(5). */
  cpu(): number {
    const stat = readFileSync(`/proc/${this.pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
  }

  /** Resident memory now, in MB (10^6 bytes). */
  resident(): number {
    const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${this.pid}/status`, 'utf8'))?.[1];
    return (Number(kib) * 1024) / 1e6;
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const gone = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill('SIGTERM');
    const late = setTimeout(() => this.child.kill('SIGKILL'), 3000);
    await gone;
    clearTimeout(late);
  }
}

const running = new Set<Measured>();

export interface StartOptions {
  readonly core: number;
  readonly command: string;
  readonly args: readonly string[];
  /** Whether the process talks back over Node's IPC. */
  readonly ipc: boolean;
  /** Lines of its standard error. */
  readonly onLine?: (line: string) => void;
}

export function start({ core, command, args, ipc, onLine }: StartOptions): Measured {
  const [program, all] = canPin ? ['taskset', ['-c', String(core), command, ...args]] : [command, [...args]];
  const child = spawn(program, all, { stdio: ['ignore', 'ignore', 'pipe', ...(ipc ? (['ipc'] as const) : [])] });
  let rest = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) onLine?.(line);
  });
  const measured = new Measured(child);
  running.add(measured);
  child.once('exit', () => running.delete(measured));
  return measured;
}

/** The first message of a process that names its port. */
export function portOf({ child }: Measured): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('message', (message) => resolve((message as { port: number }).port));
    child.once('exit', (code) => reject(new Error(`a process ended with ${code} before it named its port`)));
  });
}

export async function stopAll(): Promise<void> {
  await Promise.all([...running].map((one) => one.stop()));
}

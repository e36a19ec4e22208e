import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fixedPorts } from './ports.ts';
import { until } from './wait.ts';

/** A real Valkey or Redis server on a loopback port. */
export interface ValkeyServer {
  readonly url: string;
  readonly port: number;
  stop(): Promise<void>;
  /** The same port again, empty. */
  start(): Promise<void>;
  /** Stops it from answering, without closing connections. */
  freeze(): void;
  thaw(): void;
}

export function findValkey(): string | undefined {
  return ['valkey-server', 'redis-server'].find((name) => spawnSync('sh', ['-c', `command -v ${name}`]).status === 0);
}

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });

/** @param tls its certificate and key, PEM; undefined: plain */
export async function startValkey(
  flags: readonly string[] = [],
  tls?: { readonly cert: string; readonly key: string },
): Promise<ValkeyServer> {
  const program = findValkey();
  if (program === undefined) throw new Error('install valkey-server or redis-server: limits are tested on a real one');
  const [port = 0] = await fixedPorts(1);
  let folder = '';
  let child: ChildProcess | undefined;
  const start = async (): Promise<void> => {
    folder = mkdtempSync(join(tmpdir(), 'sidegate-valkey-'));
    for (const [name, text] of Object.entries(tls ?? {})) writeFileSync(join(folder, name), text);
    const files = ['--tls-cert-file', join(folder, 'cert'), '--tls-key-file', join(folder, 'key')];
    const listens =
      tls === undefined
        ? ['--port', `${port}`]
        : ['--port', '0', '--tls-port', `${port}`, '--tls-auth-clients', 'no', ...files];
    child = spawn(
      program,
      [...listens, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder, ...flags],
      { stdio: 'ignore' },
    );
    await until(() => child?.exitCode !== null || answers(port), `${program} answers`);
    if (child.exitCode !== null) throw new Error(`${program} does not start`);
  };
  await start();
  return {
    url: tls === undefined ? `redis://127.0.0.1:${port}` : `rediss://localhost:${port}`,
    port,
    start,
    freeze: () => void child?.kill('SIGSTOP'),
    thaw: () => void child?.kill('SIGCONT'),
    async stop() {
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGCONT');
      child.kill('SIGKILL');
      await once(child, 'exit');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

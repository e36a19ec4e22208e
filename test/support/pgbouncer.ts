// A real PgBouncer of this machine's package, in front of a Postgres server, on a socket in a temporary folder.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { Secret } from '../../pkg/base/index.ts';
import type { PostgresServer } from './postgres.ts';
import { until } from './wait.ts';

export interface PgBouncer {
  readonly dsn: Secret;
  stop(): Promise<void>;
}

const program = '/usr/sbin/pgbouncer';
export const hasPgBouncer = (): boolean => existsSync(program);
export const noPgBouncer = 'the store in Postgres is tested behind a real PgBouncer: install pgbouncer';

/** @param mode In which connections of the server change hands. */
export async function startPgBouncer(server: PostgresServer, mode: 'transaction' | 'session'): Promise<PgBouncer> {
  if (!hasPgBouncer()) throw new Error(noPgBouncer);
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-pgbouncer-'));
  chmodSync(folder, 0o777);
  const port = 6432;
  const settings = join(folder, 'pgbouncer.ini');
  writeFileSync(join(folder, 'users'), '"sidegate" ""\n');
  writeFileSync(
    settings,
    `[databases]
postgres = host=${server.socket.folder} port=${server.socket.port} user=sidegate
[pgbouncer]
listen_addr =
listen_port = ${port}
unix_socket_dir = ${folder}
auth_type = any
auth_file = ${join(folder, 'users')}
pool_mode = ${mode}
default_pool_size = 8
`,
  );
  const asNobody = process.getuid?.() === 0 ? ['-u', 'nobody'] : [];
  const child = spawn(program, [...asNobody, settings], { stdio: ['ignore', 'ignore', 'pipe'] });
  let told = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (told = (told + text).slice(-4_000)));
  await until(
    async () => {
      const client = new pg.Client({ host: folder, port, user: 'sidegate', database: 'postgres' });
      client.on('error', () => undefined);
      await client.connect();
      await client.end();
      return true;
    },
    () => `pgbouncer: ${told}`,
  );
  return {
    dsn: new Secret(`postgres:///postgres?host=${folder}&user=sidegate&port=${port}`),
    async stop() {
      const closed = once(child, 'close');
      child.kill('SIGQUIT');
      if (child.exitCode === null) await closed;
      rmSync(folder, { recursive: true });
    },
  };
}

// A real Postgres server of this machine's package, on a socket in a temporary folder.
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { Secret } from '../../pkg/base/index.ts';
import { until } from './wait.ts';

export interface PostgresServer {
  readonly dsn: Secret;
  /** Where it listens. */
  readonly socket: { readonly folder: string; readonly port: number };
  /** Names a schema that nobody has yet. */
  schema(): string;
  /** As its owner, beside whoever is tested. */
  query(text: string): Promise<readonly Readonly<Record<string, unknown>>[]>;
  /** SIGKILL of the whole server: as when its machine loses power, but for what the kernel has not written. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** Ends it, and removes what it left. */
  stop(): Promise<void>;
}

/** The folder of its programs: that of the newest version which Debian's packages installed, or where PATH has it. */
export function findPostgres(): string | undefined {
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian) ? readdirSync(debian).map(Number) : [];
  const newest = versions.sort((one, other) => other - one).map((version) => join(debian, String(version), 'bin'));
  const others = (process.env['PATH'] ?? '').split(':');
  return [...newest, ...others].find((folder) => existsSync(join(folder, 'initdb')));
}

export const noPostgres = 'the store in Postgres is tested on a real one: install postgresql';

const socketArgs = ({ socket }: PostgresServer): string[] => ['-h', socket.folder, '-p', String(socket.port)];

/** Whom it runs as: it refuses root. */
function owner(): { readonly uid?: number; readonly gid?: number } {
  if (process.getuid?.() !== 0) return {};
  const of = (flag: string): number => Number(spawnSync('id', [flag, 'nobody']).stdout.toString());
  return { uid: of('-u'), gid: of('-g') };
}

/**
 * @param options.durable It waits for its disk, as one does that is not for tests.
 * @param options.standbyOf It begins as a copy of that one, and follows it.
 * @param options.tls It listens at `localhost` too, on this port, with this certificate.
 */
export async function startPostgres(
  options: {
    readonly durable?: boolean;
    readonly standbyOf?: PostgresServer;
    readonly tls?: { readonly port: number; readonly cert: string; readonly key: string };
  } = {},
): Promise<PostgresServer> {
  const { durable = false, standbyOf, tls } = options;
  const programs = findPostgres();
  if (programs === undefined) throw new Error(noPostgres);
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-pg-'));
  const data = join(folder, 'data');
  const who = owner();
  if (who.uid !== undefined && who.gid !== undefined) chownSync(folder, who.uid, who.gid);
  const [program, ...args] =
    standbyOf === undefined
      ? [
          'initdb',
          '-D',
          data,
          '-U',
          'sidegate',
          '-A',
          'trust',
          '-E',
          'UTF8',
          '--locale=C',
          '--no-sync',
          '--no-instructions',
        ]
      : ['pg_basebackup', '-D', data, '-U', 'sidegate', ...socketArgs(standbyOf), '-R', '-c', 'fast', '--no-sync'];
  const made = spawnSync(join(programs, program), args, { ...who, cwd: folder });
  if (made.status !== 0) throw new Error(`${program}: ${made.stderr.toString()}`);
  const settings = ['max_connections=60', 'shared_buffers=64MB', 'autovacuum_naptime=600'];
  if (!durable) settings.push('fsync=off', 'full_page_writes=off');
  for (const name of ['cert', 'key'] as const) {
    if (tls === undefined) continue;
    const file = join(folder, `${name}.pem`);
    writeFileSync(file, tls[name], { mode: 0o600 });
    if (who.uid !== undefined && who.gid !== undefined) chownSync(file, who.uid, who.gid);
    settings.push(`ssl_${name}_file=${file}`);
  }
  if (tls !== undefined) settings.push('ssl=on', 'listen_addresses=localhost', `port=${tls.port}`);
  else settings.push('listen_addresses=');
  let child: ChildProcess | undefined;
  const port = tls?.port ?? 5432;
  const admin = async (text: string): Promise<readonly Readonly<Record<string, unknown>>[]> => {
    const client = new pg.Client({ host: folder, port, user: 'sidegate', database: 'postgres' });
    client.on('error', () => undefined);
    await client.connect();
    try {
      return (await client.query<Record<string, unknown>>(text)).rows;
    } finally {
      await client.end();
    }
  };
  /** @returns what it said, where it did not come up */
  const tryStart = async (): Promise<string | undefined> => {
    const started = spawn(
      join(programs, 'postgres'),
      ['-D', data, '-k', folder, ...settings.flatMap((setting) => ['-c', setting])],
      { ...who, cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] },
    );
    child = started;
    let told = '';
    started.stderr.setEncoding('utf8').on('data', (text: string) => (told = (told + text).slice(-4_000)));
    await until(
      async () => started.exitCode !== null || (await admin('SELECT 1')),
      () => `postgres: ${told}`,
      60_000,
    );
    return started.exitCode === null ? undefined : told;
  };
  const start = async (): Promise<void> => {
    let told: string | undefined;
    // Processes of one that was killed hold its memory until they have noticed.
    await until(async () => (told = await tryStart()) === undefined || !told.includes('still in use'), 'postgres');
    if (told !== undefined) throw new Error(`postgres: ${told}`);
  };
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    const last = child;
    child = undefined;
    if (last?.pid === undefined || last.exitCode !== null || last.signalCode !== null) return;
    const closed = once(last, 'close');
    last.kill(signal);
    await closed;
  };
  await start();
  return {
    dsn: new Secret(`postgres:///postgres?host=${folder}&user=sidegate&port=${port}`),
    socket: { folder, port },
    schema: () => `t${randomBytes(6).toString('hex')}`,
    query: admin,
    // Its own processes notice that the first is gone, and end.
    kill: () => end('SIGKILL'),
    start,
    async stop() {
      // Immediate shutdown.
      await end('SIGQUIT');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

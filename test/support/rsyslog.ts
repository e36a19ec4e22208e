// A real receiver of syslog over TLS: rsyslog, from Debian's packages `rsyslog` and `rsyslog-gnutls`.
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fixedPorts } from './ports.ts';
import { until } from './wait.ts';

export const noRsyslog = 'the test of syslog on rsyslog: install rsyslog and rsyslog-gnutls';

export function findRsyslog(): string | undefined {
  const found = spawnSync('sh', [
    '-c',
    'PATH="$PATH:/usr/sbin" && command -v rsyslogd && ls /usr/lib/*/rsyslog/lmnsd_gtls.so',
  ]);
  return found.status === 0 ? found.stdout.toString().split('\n')[0] : undefined;
}

/** What rsyslog read of one message's header, and the message. */
export interface SyslogMessage {
  readonly priority: number;
  readonly host: string;
  readonly app: string;
  readonly id: string;
  readonly text: string;
}

export interface Rsyslog {
  readonly port: number;
  /** What it has written to its disk, in that order. */
  messages(): readonly SyslogMessage[];
  kill(): Promise<void>;
  /** Again, on the same port. */
  start(): Promise<void>;
  /** And removes what it wrote. */
  close(): Promise<void>;
}

const listens = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });

/** The listener is the one of docs/siem.md, on this port. The queue is none: what was read is written before the connection is closed. */
function listener(tls: { readonly ca: string; readonly cert: string; readonly key: string }, port: number): string {
  const page = readFileSync(join(import.meta.dirname, '../../docs/siem.md'), 'utf8');
  const [, text] = /^```\n(global\([^]*?)^```/m.exec(page) ?? [];
  if (text === undefined) throw new Error('docs/siem.md has no listener of rsyslog');
  const places = [
    ['/etc/rsyslog/ca.pem', tls.ca],
    ['/etc/rsyslog/cert.pem', tls.cert],
    ['/etc/rsyslog/key.pem', tls.key],
    ['port="6514"', `port="${port}" address="127.0.0.1"`],
  ] as const;
  return places.reduce((all, [from, to]) => {
    if (!all.includes(from)) throw new Error(`docs/siem.md has no ${from}`);
    return all.replace(from, to);
  }, text);
}

const line = /^(\d+) (\S+) (\S+) (\S+) (.*)$/s;

/** @param tls Its certificate, its key and the authority's certificate: names of files. */
export async function startRsyslog(tls: {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}): Promise<Rsyslog> {
  const program = findRsyslog();
  if (program === undefined) throw new Error(noRsyslog);
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-rsyslog-'));
  const [port = 0] = await fixedPorts(1);
  let child: ChildProcess | undefined;
  let runs = 0;
  const start = async (): Promise<void> => {
    // A file for each run: a kill may leave the last one's last line cut short.
    const out = join(folder, `out.${String(runs++).padStart(3, '0')}`);
    const config = join(folder, 'rsyslog.conf');
    writeFileSync(
      config,
      `${listener(tls, port)}global(workDirectory="${folder}")
template(name="all" type="string" string="%pri% %hostname% %app-name% %msgid% %msg%\\n")
action(type="omfile" file="${out}" template="all")
`,
    );
    const started = spawn(program, ['-n', '-f', config, '-i', join(folder, 'pid')], { stdio: 'ignore' });
    child = started;
    await until(() => started.exitCode !== null || listens(port), 'rsyslog listens');
    if (started.exitCode !== null) throw new Error('rsyslog does not start');
  };
  const kill = async (): Promise<void> => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  };
  await start();
  return {
    port,
    start,
    kill,
    messages: () =>
      readdirSync(folder)
        .filter((name) => name.startsWith('out.'))
        .sort()
        .flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n').slice(0, -1))
        .map((text) => {
          const [, priority = '', host = '', app = '', id = '', rest = ''] = line.exec(text) ?? [];
          // RFC 5424: a space stands before MSG, which rsyslog keeps.
          return { priority: Number(priority), host, app, id, text: rest.trimStart() };
        }),
    async close() {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

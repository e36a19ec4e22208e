// A recorder and the sidecars of its pods as processes of their own, to be killed; and what is found in the store when all is over.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { systemClock } from '../../pkg/base/index.ts';
import { createAuthority, createAuthorityPair, createKeyRequest, writeWorkloadId } from '../../pkg/pki/index.ts';
import { createLogVerifier } from '../../pkg/record/index.ts';
import type { LogVerdict } from '../../pkg/record/index.ts';
import { openPostgresStore, openSqliteStore } from '../../pkg/recorder/index.ts';
import type { RecordStore } from '../../pkg/recorder/index.ts';
import { bundledProcesses } from '../support/bundles.ts';
import { compileCache } from '../support/compile-cache.ts';
import { fixedPorts } from '../support/ports.ts';
import type { PostgresServer } from '../support/postgres.ts';
import { until } from '../support/wait.ts';
import { startBalancer } from './balancer.ts';

const root = resolve(import.meta.dirname, '../..');
const writer = join(root, 'test/support/record-writer.ts');

export interface Pod {
  readonly uid: string;
  readonly folder: string;
}

export interface Running {
  readonly child: ChildProcess;
  /** Everything that it said. */
  text(): string;
  kill(): Promise<void>;
}

export interface RecorderWorld {
  pod(uid: string): Promise<Pod>;
  /** Starts the recorder. @param fileBlocks Files may not grow beyond so many KiB: a disk that is full. */
  recorder(fileBlocks?: number): Running;
  /** Starts another beside it, on the same database. */
  second(): Running;
  whenUp(recorder: Running): Promise<void>;
  /** `record-writer.ts` for a pod. */
  sidecar(pod: Pod, mode: 'write' | 'pace' | 'flush', from?: number): Running;
  /** When the recorder has ended: the proof of the whole log, and the numbers that were recorded, by uid, in the log's order. */
  found(): Promise<{ readonly verdict: LogVerdict; readonly numbers: ReadonlyMap<string, number[]> }>;
  close(): Promise<void>;
}

function runningOf(program: string, args: readonly string[], all: Set<ChildProcess>): Running {
  const child = spawn(program, [...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...compileCache },
  });
  all.add(child);
  child.once('exit', () => all.delete(child));
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  return {
    child,
    text: () => text,
    async kill() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const closed = once(child, 'close');
      child.kill('SIGKILL');
      await closed;
    },
  };
}

/**
 * @param database In which the recorders keep the record; default: a file. Sidecars come to whichever of two recorders answers.
 * @param ship Receivers of the log, as the recorder's setting has them; default: none.
 */
export async function startRecorderWorld(
  database?: PostgresServer,
  ship: readonly object[] = [],
): Promise<RecorderWorld> {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-chaos-'));
  const bundle = bundledProcesses();
  const current = await createAuthorityPair(systemClock);
  const authority = createAuthority({ state: { current, since: systemClock.now() }, clock: systemClock });
  const serving = createKeyRequest();
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const files: Readonly<Record<string, string>> = {
    'tls.crt': await authority.sign({ purpose: 'server', csr: serving.csr, dnsNames: ['localhost'] }),
    'tls.key': serving.key,
    'ca.crt': authority.bundle(),
    dsn: database?.dsn.reveal() ?? '',
    'key.pem': privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    // Nobody asks here as an auditor.
    kubeconfig: JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'c', cluster: { server: 'https://127.0.0.1:9' } }],
      users: [{ name: 'u', user: { token: 'none' } }],
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
      'current-context': 'x',
    }),
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  const ports = await fixedPorts(2);
  const [first = 0, other = 0] = ports;
  const balancer = database === undefined ? undefined : await startBalancer(ports);
  const port = balancer?.port ?? first;
  const all = new Set<ChildProcess>();
  const data = join(folder, 'data');
  const argsOf = (own: number): string[] => [
    join(bundle, 'recorder.js'),
    database === undefined ? `--data=${data}` : `--database=${join(folder, 'dsn')}`,
    `--tls=${folder}`,
    `--trust=${join(folder, 'ca.crt')}`,
    `--log-key=${join(folder, 'key.pem')}`,
    `--kubeconfig=${join(folder, 'kubeconfig')}`,
    `--listen=127.0.0.1:${own}`,
    '--audit=127.0.0.1:0',
    '--admin=127.0.0.1:0',
    '--log-level=warn',
    ...(ship.length === 0 ? [] : [`--ship=${JSON.stringify(ship)}`, `--ship-secrets=${folder}`]),
  ];
  const portOf = new Map<Running, number>();
  const startOn = (own: number): Running => {
    const running = runningOf(process.execPath, argsOf(own), all);
    portOf.set(running, own);
    return running;
  };
  const openStore = async (): Promise<RecordStore> =>
    database === undefined
      ? openSqliteStore({ path: join(data, 'record.db'), clock: systemClock })
      : openPostgresStore({ dsn: database.dsn, clock: systemClock });

  return {
    async pod(uid) {
      const own = join(folder, uid);
      mkdirSync(own);
      const { key, csr } = createKeyRequest();
      const uri = writeWorkloadId('cluster.local', { namespace: 'ml', serviceAccount: 'default', uid });
      writeFileSync(join(own, 'identity.pem'), await authority.sign({ purpose: 'client', csr, uri }));
      writeFileSync(join(own, 'identity-key.pem'), key);
      writeFileSync(join(own, 'trust.pem'), authority.bundle());
      writeFileSync(join(own, 'uid'), uid);
      return { uid, folder: own };
    },
    recorder(fileBlocks) {
      if (fileBlocks === undefined) return startOn(first);
      // A write beyond the limit fails, where its signal is ignored, as one on a full disk does.
      const limited = `trap '' XFSZ; ulimit -f ${fileBlocks}; exec "$0" "$@"`;
      return runningOf('bash', ['-c', limited, process.execPath, ...argsOf(first)], all);
    },
    second: () => startOn(other),
    async whenUp(running) {
      const { child } = running;
      const answers = (): Promise<boolean> =>
        new Promise((done) => {
          const socket = connect(portOf.get(running) ?? first, '127.0.0.1', () => {
            socket.destroy();
            done(true);
          });
          socket.on('error', () => done(false));
        });
      await until(async () => child.exitCode !== null || (await answers()), 'the port of the recorder');
    },
    sidecar: (pod, mode, from = 1) =>
      runningOf(process.execPath, [writer, pod.folder, String(port), mode, String(from)], all),
    async found() {
      const store = await openStore();
      try {
        const heads = (await store.heads(0, 100_000)).map(({ text }) => text);
        const verifier = createLogVerifier({ publicKey, heads, authorities: authority.bundle() });
        const numbers = new Map<string, number[]>();
        for (let from = 0; ;) {
          const page = await store.entries(from, 1_000);
          if (page.length === 0) break;
          for (const { index, text } of page) {
            verifier.entry(index, text);
            from = index + 1;
            if (!text.includes('"type":"block"')) continue;
            const lines = Buffer.from((await store.blockLines(index)) ?? []).toString();
            verifier.lines(index, lines);
            const [, uid = ''] = /\/pod\/([^"]+)"/.exec(text) ?? [];
            const found = numbers.get(uid) ?? [];
            numbers.set(uid, found);
            for (const [, number] of lines.matchAll(/"text":"number ([0-9]+) /g)) found.push(Number(number));
          }
        }
        return { verdict: verifier.end(), numbers };
      } finally {
        await store.close();
      }
    },
    async close() {
      await Promise.all(
        [...all].map((child) => {
          const closed = once(child, 'close');
          child.kill('SIGKILL');
          return closed;
        }),
      );
      await balancer?.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Throws that are the same for the same seed. */
export function dice(seed: number): (sides: number) => number {
  let state = seed;
  return (sides) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return Math.floor((state / 0x80000000) * sides);
  };
}

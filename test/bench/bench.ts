import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../pkg/base/index.ts';
import { ensureSelfSigned } from '../../pkg/pki/index.ts';
import { startIssuer } from '../support/issuer.ts';
import type { Issuer } from '../support/issuer.ts';
import type { Job, Results, Target } from './load/jobs.ts';
import { startBare, startBareGrpc, startBareSockets, startFloor, startNginx, startSidecar } from './peers/peers.ts';
import type { Certificate, Peer, SidecarPeer } from './peers/peers.ts';
import { benchPolicy, insiders, socketRoute } from './policy.ts';
import type { PatternCounts } from './policy.ts';
import { otherCore, portOf, start, stopAll } from './process.ts';
import type { Measured } from './process.ts';
import { median } from './statistics.ts';

/** Everything up: model server, issuer, proxies, load process. */
export interface Bench {
  /** A few seconds in all: proves that the bench works, its figures mean nothing. */
  readonly short: boolean;
  readonly direct: Peer;
  readonly bare: Peer;
  /** Undefined where it is not installed. */
  readonly nginx: Peer | undefined;
  readonly sidegate: SidecarPeer;
  /** The proxies that are there, in the order of the rounds. */
  readonly proxies: readonly Peer[];
  readonly rounds: number;
  /** @param caller An insider is shown what Sidegate masks for others. Default 'other'. */
  target(peer: Peer, caller?: 'other' | 'insider'): Target;
  run<J extends Job>(job: J): Promise<Results[J['kind']]>;
  /** The same, and the processor seconds that the peer's process took for it. */
  cost<J extends Job>(peer: Peer, job: J): Promise<{ readonly result: Results[J['kind']]; readonly cpu: number }>;
  /** Node and our client with nothing between them. The caller stops it. */
  floor(): Promise<Peer>;
  /** A model that speaks gRPC, and two proxies before it. The caller stops all three. */
  rpc(): Promise<{ readonly model: Measured; readonly bare: Peer; readonly sidegate: SidecarPeer }>;
  /** A model of WebSockets, and two proxies before it. The caller stops all three. */
  sockets(): Promise<{ readonly model: Measured; readonly bare: Peer; readonly sidegate: SidecarPeer }>;
  /** A sidecar of its own, with this policy (default: the bench's). The caller stops it. */
  sidecar(name: string, policy?: string): Promise<SidecarPeer>;
  policy(patterns?: PatternCounts): string;
  /** Of every proxy. */
  readonly certificate: Certificate;
  say(line: string): void;
  close(): Promise<void>;
}

export async function setUp(short: boolean): Promise<Bench> {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-bench-'));
  const issuer: Issuer = await startIssuer();
  const tokens = {
    other: await issuer.token({ sub: 'bench', groups: ['ml-eng'], expiresIn: 3600 }),
    insider: await issuer.token({ sub: 'insider', groups: ['ml-eng', insiders], expiresIn: 3600 }),
  };
  const node = (file: string): Measured =>
    start({
      core: otherCore,
      command: process.execPath,
      args: [file],
      ipc: true,
      onLine: (line) => process.stderr.write(`${file}: ${line}\n`),
    });
  const upstream = node('test/bench/upstream.ts');
  const upstreamPort = await portOf(upstream);
  const load = node('test/bench/load/main.ts');
  await portOf(load);
  const certificate: Certificate = await ensureSelfSigned(join(folder, 'pki'), ['localhost', '127.0.0.1'], systemClock);
  // The short form has a folder of its own: tests may need dist/ at the same time.
  const dist = short ? join(folder, 'dist') : 'dist';
  const build = spawnSync(process.execPath, ['cmd/build.ts', dist], { stdio: 'inherit' });
  if (build.status !== 0) throw new Error('the processes could not be bundled');
  if (short) writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  const entry = join(dist, 'sidecar.js');
  const policy = (patterns?: PatternCounts): string => benchPolicy(issuer.url, patterns);
  const sidecar = (name: string, text = policy(), port = upstreamPort): Promise<SidecarPeer> =>
    startSidecar({ upstreamPort: port, folder, name, policy: text, certificate, entry });

  const direct: Peer = { name: 'direct', tls: false, port: upstreamPort, process: undefined };
  const bare = await startBare(upstreamPort, certificate);
  const nginx = await startNginx(upstreamPort, certificate, folder);
  const sidegate = await sidecar('sidegate');

  const nameOf = (job: Job): string => {
    const ports = 'target' in job ? [job.target.port] : job.targets.map(({ port }) => port);
    return ports
      .map((port) => [direct, bare, nginx, sidegate].find((peer) => peer?.port === port)?.name ?? port)
      .join(', ');
  };
  const run = <J extends Job>(job: J): Promise<Results[J['kind']]> =>
    new Promise((resolve, reject) => {
      load.child.once('message', (message: { result?: Results[J['kind']]; error?: string }) => {
        if (message.result !== undefined) resolve(message.result);
        else reject(new Error(`${job.kind} through ${nameOf(job)}: ${message.error ?? 'no result'}`));
      });
      load.child.send(job);
    });

  return {
    short,
    direct,
    bare,
    nginx,
    sidegate,
    proxies: nginx === undefined ? [bare, sidegate] : [bare, nginx, sidegate],
    rounds: short ? 1 : 5,
    target: (peer, caller = 'other') => ({
      port: peer.port,
      tls: peer.tls,
      token: peer.name === 'sidegate' ? tokens[caller] : undefined,
    }),
    run,
    async cost(peer, job) {
      const before = peer.process?.cpu() ?? Number.NaN;
      const result = await run(job);
      return { result, cpu: (peer.process?.cpu() ?? Number.NaN) - before };
    },
    floor: () => startFloor(upstreamPort, certificate),
    async rpc() {
      const model = node('test/bench/peers/grpc-model.ts');
      const port = await portOf(model);
      return {
        model,
        bare: await startBareGrpc(port, certificate),
        sidegate: await sidecar('sidegate-grpc', policy(), port),
      };
    },
    async sockets() {
      const model = node('test/bench/peers/socket-model.ts');
      const port = await portOf(model);
      return {
        model,
        bare: await startBareSockets(port, certificate),
        sidegate: await sidecar('sidegate-sockets', policy() + socketRoute, port),
      };
    },
    sidecar,
    policy,
    certificate,
    say: (line) => void process.stdout.write(`${line}\n`),
    async close() {
      await stopAll();
      await issuer.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A line of the results. `reached` undefined: there is no target, the figure is reported. */
export interface Row {
  readonly work: string;
  readonly measured: string;
  readonly target: string;
  readonly reached: boolean | undefined;
}

/** Rounds over the peers in turn, so that what the machine does meanwhile meets them all. Gives the median of each. */
export async function interleaved(
  rounds: number,
  peers: readonly Peer[],
  measure: (peer: Peer, round: number) => Promise<number>,
): Promise<ReadonlyMap<Peer['name'], number>> {
  const seen = new Map<Peer['name'], number[]>(peers.map((peer) => [peer.name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const peer of peers) seen.get(peer.name)?.push(await measure(peer, round));
  }
  return new Map([...seen].map(([name, values]) => [name, median(values)]));
}

export const show = (value: number, digits = 2): string => (Number.isFinite(value) ? value.toFixed(digits) : 'none');

/** The number that `show` writes: what is judged is what is printed. */
export const printed = (value: number, digits = 2): number => Number(value.toFixed(digits));

import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { portOf, proxyCore, start } from '../process.ts';
import type { Measured } from '../process.ts';

/** Something that answers like the model: the model itself, or a proxy in front of it. */
export interface Peer {
  readonly name: 'direct' | 'bare' | 'floor' | 'nginx' | 'sidegate';
  readonly tls: boolean;
  readonly port: number;
  /** Undefined for direct. */
  readonly process: Measured | undefined;
}

export interface Certificate {
  readonly certFile: string;
  readonly keyFile: string;
}

/** A proxy on Node beside ours: the package alone, or what is left of ours when it looks at nothing. */
async function startNode(
  name: 'bare' | 'floor',
  file: string,
  upstreamPort: number,
  files: Certificate,
): Promise<Peer> {
  const process_ = start({
    core: proxyCore,
    command: process.execPath,
    args: ['--no-deprecation', file, `http://127.0.0.1:${upstreamPort}`, files.certFile, files.keyFile],
    ipc: true,
    onLine: (line) => process.stderr.write(`${name}: ${line}\n`),
  });
  return { name, tls: true, port: await portOf(process_), process: process_ };
}

export const startBare = (upstreamPort: number, certificate: Certificate): Promise<Peer> =>
  startNode('bare', 'test/bench/peers/bare-http-proxy.ts', upstreamPort, certificate);

export const startBareGrpc = (upstreamPort: number, certificate: Certificate): Promise<Peer> =>
  startNode('bare', 'test/bench/peers/bare-grpc-proxy.ts', upstreamPort, certificate);

export const startBareSockets = (upstreamPort: number, certificate: Certificate): Promise<Peer> =>
  startNode('bare', 'test/bench/peers/bare-socket-proxy.ts', upstreamPort, certificate);

export const startFloor = (upstreamPort: number, certificate: Certificate): Promise<Peer> =>
  startNode('floor', 'test/bench/peers/floor.ts', upstreamPort, certificate);

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => resolve(port));
    });
  });
}

export function nginxVersion(): string | undefined {
  const run = spawnSync('nginx', ['-v']);
  return run.status === 0 ? run.stderr.toString().trim() : undefined;
}

/** Undefined where nginx is not installed: its rows are left out. */
export async function startNginx(
  upstreamPort: number,
  { certFile, keyFile }: Certificate,
  folder: string,
): Promise<Peer | undefined> {
  if (nginxVersion() === undefined) return undefined;
  const port = await freePort();
  const home = join(folder, 'nginx');
  mkdirSync(home);
  const file = join(home, 'nginx.conf');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${home}/${name};`,
  );
  writeFileSync(
    file,
    `daemon off; master_process off; worker_processes 1; pid ${home}/pid; error_log stderr error;
events { worker_connections 8192; }
http { access_log off; keepalive_timeout 120s; keepalive_requests 1000000; client_max_body_size 64m; client_body_buffer_size 4m;
  ${temporary.join(' ')}
  upstream model { server 127.0.0.1:${upstreamPort}; keepalive 2048; keepalive_requests 1000000; }
  server { listen 127.0.0.1:${port} ssl http2 backlog=4096; ssl_certificate ${certFile}; ssl_certificate_key ${keyFile}; ssl_protocols TLSv1.3;
    location / { proxy_pass http://model; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; } } }`,
  );
  const process_ = start({
    core: proxyCore,
    command: 'nginx',
    args: ['-c', file, '-p', home],
    ipc: false,
    onLine: (line) => process.stderr.write(`nginx: ${line}\n`),
  });
  await new Promise((resolve) => setTimeout(resolve, 300));
  return { name: 'nginx', tls: true, port, process: process_ };
}

export interface SidecarOptions {
  readonly upstreamPort: number;
  readonly folder: string;
  /** Its own data folder inside `folder`; kept between starts of one name. */
  readonly name: string;
  readonly policy: string;
  readonly certificate: Certificate;
  /** The program: the bundle, or the source where nothing is measured. */
  readonly entry: string;
}

export interface SidecarPeer extends Peer {
  readonly name: 'sidegate';
  readonly process: Measured;
  /** Milliseconds from the start of the process to the first 200 of /readyz. */
  readonly readyAfterMs: number;
  readonly admin: number;
}

export async function startSidecar(options: SidecarOptions): Promise<SidecarPeer> {
  const { upstreamPort, folder, name, policy, certificate, entry } = options;
  const home = join(folder, name);
  mkdirSync(home, { recursive: true });
  writeFileSync(join(home, 'policy.yaml'), policy);
  const log: string[] = [];
  const begun = performance.now();
  const process_ = start({
    core: proxyCore,
    command: process.execPath,
    args: [
      // To profile: BENCH_NODE_FLAGS='--cpu-prof --cpu-prof-dir=/tmp/prof' ONLY=throughput make bench
      ...(globalThis.process.env['BENCH_NODE_FLAGS']?.split(' ') ?? []),
      entry,
      ...['--policy', join(home, 'policy.yaml'), '--upstream', `http://127.0.0.1:${upstreamPort}`],
      ...['--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0'],
      ...['--data', join(home, 'data'), '--audit', join(home, 'audit.jsonl')],
      ...['--tls-cert', certificate.certFile, '--tls-key', certificate.keyFile],
    ],
    ipc: false,
    onLine: (line) => {
      log.push(line);
      if (/"level":"(?:warn|error)"/.test(line)) process.stderr.write(`sidecar: ${line}\n`);
    },
  });
  // Ports that were free a moment ago may be anybody's by now, so the sidecar chooses and says which.
  const portIn = (name: string): number =>
    Number(
      new RegExp(`"${name}":"127\\.0\\.0\\.1:(\\d+)"`).exec(
        log.find((line) => line.includes('sidecar is up')) ?? '',
      )?.[1],
    );
  let last = 'no answer';
  while (performance.now() - begun < 20_000 && process_.child.exitCode === null) {
    try {
      const [listen, admin] = [portIn('listen'), portIn('admin')];
      const answer = await fetch(`http://127.0.0.1:${admin}/readyz`);
      if (answer.status === 200) {
        const readyAfterMs = performance.now() - begun;
        await answer.text();
        return { name: 'sidegate', tls: true, port: listen, process: process_, readyAfterMs, admin };
      }
      last = await answer.text();
    } catch {
      // Not up yet.
    }
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await process_.stop();
  throw new Error(`the sidecar did not become ready: ${last}\n${log.slice(-10).join('\n')}`);
}

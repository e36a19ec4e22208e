// Python's clients and model servers (test/clients, test/servers): made once by test/support/python.sh, outside of the checkout.
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync, copyFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fixedPorts } from './ports.ts';
import { until } from './wait.ts';
import type { World } from './world.ts';

export const noPythonClients =
  'the tests of the Python clients: make test-clients (Python with venv, some minutes, once)';
export const noModelServers =
  'the tests on real model servers: make test-servers (Python with venv, some minutes, once)';

const folderOf = (name: string): string => resolve(import.meta.dirname, '..', name);

/** The interpreter that has them; undefined: they were not installed. */
export function findPython(name: 'clients' | 'servers'): string | undefined {
  const found = spawnSync(join(import.meta.dirname, 'python.sh'), [name, '--path'])
    .stdout.toString()
    .trim();
  return found === '' ? undefined : found;
}

/** What a program of test/clients prints, as JSON. It trusts the sidecar's authority by `SSL_CERT_FILE`, as any program does. */
export async function runPythonClient(
  python: string,
  name: string,
  world: World,
  args: readonly string[],
): Promise<Readonly<Record<string, unknown>>> {
  const bundle = join(world.folder, 'python-ca.pem');
  writeFileSync(bundle, world.ca);
  const program = spawn(python, [join(folderOf('clients'), `${name}_client.py`), ...args], {
    env: { PATH: process.env['PATH'] ?? '', HOME: world.folder, SSL_CERT_FILE: bundle, REQUESTS_CA_BUNDLE: bundle },
  });
  let [out, errors] = ['', ''];
  program.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  program.stderr.setEncoding('utf8').on('data', (text: string) => (errors = `${errors}${text}`.slice(-8_000)));
  const [code] = (await once(program, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${name}_client.py ended with ${code}: ${errors}`);
  return JSON.parse(out.trim().split('\n').at(-1) ?? '') as Readonly<Record<string, unknown>>;
}

export interface ModelProgram {
  /** `http://127.0.0.1:PORT` of its REST, and of its gRPC. */
  readonly url: string;
  readonly rpcUrl: string;
  close(): Promise<void>;
}

interface Running {
  readonly said: () => string;
  readonly ended: () => boolean;
  close(): Promise<void>;
}

/** A program in a folder of its own, which goes with it. */
function run(command: string, args: readonly string[], folder: string): Running {
  const child: ChildProcess = spawn(command, args, { cwd: folder, stdio: ['pipe', 'pipe', 'pipe'] });
  let said = '';
  for (const from of [child.stdout, child.stderr])
    from?.setEncoding('utf8').on('data', (text: string) => (said = `${said}${text}`.slice(-20_000)));
  let ended = false;
  const over = once(child, 'close').finally(() => (ended = true));
  return {
    said: () => said,
    ended: () => ended,
    async close() {
      if (!ended) child.kill('SIGKILL');
      await over;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function answers(url: string, program: Running): Promise<void> {
  const up = (): Promise<boolean> =>
    fetch(url).then(
      (answer) => answer.ok,
      () => false,
    );
  await until(async () => program.ended() || (await up()), 'the model server answers', 120_000);
  if (program.ended()) throw new Error(`the model server does not start: ${program.said()}`);
}

/** MLServer with test/servers/echo_model.py as its model `echo`. */
export async function startMlServer(python: string): Promise<ModelProgram> {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-mlserver-'));
  const [http_port = 0, grpc_port = 0, metrics_port = 0] = await fixedPorts(3);
  const model = join(folder, 'echo');
  mkdirSync(model);
  copyFileSync(join(folderOf('servers'), 'echo_model.py'), join(model, 'echo_model.py'));
  writeFileSync(
    join(folder, 'settings.json'),
    JSON.stringify({ debug: false, host: '127.0.0.1', http_port, grpc_port, metrics_port, parallel_workers: 0 }),
  );
  writeFileSync(
    join(model, 'model-settings.json'),
    JSON.stringify({ name: 'echo', implementation: 'echo_model.EchoModel' }),
  );
  const program = run(join(python, '..', 'mlserver'), ['start', folder], folder);
  const url = `http://127.0.0.1:${http_port}`;
  await answers(`${url}/v2/models/echo/ready`, program);
  return { url, rpcUrl: `http://127.0.0.1:${grpc_port}`, close: () => program.close() };
}

/** llama.cpp's server with a model of random weights: a grammar in the request makes it say what a test wants. */
export async function startLlamaServer(python: string, ...args: readonly string[]): Promise<ModelProgram> {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-llama-'));
  const program = run(python, [join(folderOf('servers'), 'llama_server.py'), folder, ...args], folder);
  const address = (): string | undefined => /^(http:\/\/127\.0\.0\.1:\d+)$/m.exec(program.said())?.[1];
  await until(() => program.ended() || address() !== undefined, 'llama.cpp listens', 120_000);
  const url = address();
  if (url === undefined) throw new Error(`llama.cpp does not start: ${program.said()}`);
  await answers(`${url}/health`, program);
  return { url, rpcUrl: url, close: () => program.close() };
}

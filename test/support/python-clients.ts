// The Python clients of test/clients: made once by test/clients/venv.sh (make test-clients), outside of the checkout.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { World } from './world.ts';

export const noPythonClients =
  'the tests of the Python clients: make test-clients (Python with venv, some minutes, once)';

const folder = resolve(import.meta.dirname, '../clients');

/** The interpreter that has them; undefined: they were not installed. */
export function findPythonClients(): string | undefined {
  const found = spawnSync(join(folder, 'venv.sh'), ['--path']).stdout.toString().trim();
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
  const program = spawn(python, [join(folder, `${name}_client.py`), ...args], {
    env: { PATH: process.env['PATH'] ?? '', HOME: world.folder, SSL_CERT_FILE: bundle, REQUESTS_CA_BUNDLE: bundle },
  });
  let [out, errors] = ['', ''];
  program.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  program.stderr.setEncoding('utf8').on('data', (text: string) => (errors = `${errors}${text}`.slice(-8_000)));
  const [code] = (await once(program, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${name}_client.py ended with ${code}: ${errors}`);
  return JSON.parse(out.trim().split('\n').at(-1) ?? '') as Readonly<Record<string, unknown>>;
}

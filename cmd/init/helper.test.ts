import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../pkg/base/index.ts';
import { ensureSelfSigned } from '../../pkg/pki/index.ts';
import { podAddresses, TestPod } from './testing/pod.ts';

// A helper in the pod, from its uid to the model: the rules of the kernel lead it to its own listener of a real sidecar, and the
// policy's `loopback` opens to it what it opens to nobody else inside.

const uids = { sidecar: 61_337, model: 1_000, helper: 2_000, other: 3_000 } as const;
const model = `require('node:http').createServer((request, response) => {
  request.resume().on('end', () => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ reached: request.url, key: request.headers.authorization ?? null }));
  });
}).listen(8000, '0.0.0.0', () => console.log('up'));`;
const call = (path: string): string => `
  const request = require('node:http').request({ host: '127.0.0.1', port: 8000, path: '${path}', method: 'POST',
    headers: { 'content-type': 'application/json' } }, (response) => {
    let text = '';
    response.on('data', (piece) => (text += piece)).on('end', () => console.log(response.statusCode + ' ' + text));
  });
  request.on('error', (error) => console.log(error.code));
  request.end('{"lora_name":"a","lora_path":"/a"}');`;

let pod: TestPod;
let folder: string;
let log = '';

const wait = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));
async function until(holds: () => boolean, what: string): Promise<void> {
  for (const end = performance.now() + 30_000; !holds();) {
    if (performance.now() > end) throw new Error(`${what} did not come: ${log}`);
    await wait(50);
  }
}
const ask = (uid: number, path: string): string => pod.runAs(uid, [process.execPath, '-e', call(path)]).stdout.trim();
const give = (name: string, text: string): void => {
  const path = join(folder, 'controller', name);
  // The sidecar may read it at any moment.
  writeFileSync(`${path}.new`, text, { mode: 0o644 });
  renameSync(`${path}.new`, path);
};
const policy = (kind: string, spec: string): string =>
  `apiVersion: sidegate.dev/v1alpha1\nkind: ${kind}\nmetadata: { name: p }\nspec: ${spec}\n`;
const load = '/v1/load_lora_adapter';

beforeAll(async () => {
  pod = await TestPod.start();
  folder = mkdtempSync(join(tmpdir(), 'sidegate-helper-'));
  chmodSync(folder, 0o755);
  for (const name of ['controller', 'state', 'spool', 'keys']) mkdirSync(join(folder, name));
  for (const name of ['state', 'spool']) chownSync(join(folder, name), uids.sidecar, uids.sidecar);
  const files = await ensureSelfSigned(join(folder, 'keys'), [podAddresses.IPv4], systemClock);
  give('key.pem', readFileSync(files.keyFile, 'utf8'));
  give('cert.pem', readFileSync(files.certFile, 'utf8'));
  give('secret-model-key', 'sk-of-the-model');
  const ports = ['--ports', '8000=17400:17430', '--helpers', `${uids.helper}@8000=17460`];
  const rules = pod.run([
    process.execPath,
    join(import.meta.dirname, 'main.ts'),
    ...ports,
    ...['--uid', String(uids.sidecar), '--gid', String(uids.sidecar), '--sidecar-tcp', '17490-17491'],
  ]);
  expect([rules.status, rules.stderr]).toEqual([0, expect.anything()]);
  const served = pod.start(uids.model, [process.execPath, '-e', model]);
  await new Promise((done) => served.stdout?.once('data', done));
  const main = join(import.meta.dirname, '../../test/support/pod-main.ts');
  const sidecar = pod.start(
    uids.sidecar,
    [
      process.execPath,
      main,
      join(folder, 'controller'),
      ...ports,
      ...['--capture', 'Redirect', '--probes', '{}', '--grace', '30'],
      ...['--controller', 'https://controller.test:8443', '--controller-name', 'controller.test'],
      ...['--token-file', join(folder, 'token')],
      ...['--state', join(folder, 'state'), '--spool', join(folder, 'spool')],
    ],
    {
      PATH: process.env['PATH'] ?? '',
      SIDEGATE_CONTROLLER_CA: readFileSync(files.caFile, 'utf8'),
      ...{ POD_NAME: 'llama-0', POD_NAMESPACE: 'ml', POD_UID: '7b1c', POD_IP: podAddresses.IPv4 },
    },
  );
  sidecar.stderr?.setEncoding('utf8').on('data', (text: string) => (log += text));
  await until(() => log.includes('sidecar is up'), 'the sidecar');
});
afterAll(async () => {
  await pod?.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe('a helper with a uid of its own', () => {
  test('may do no more than others inside, until a policy opens it', async () => {
    give('policy.yaml', policy('InferencePolicy', '{}'));
    await until(
      () => ask(uids.helper, load).includes('access_denied') || ask(uids.helper, load).startsWith('401'),
      'a policy',
    );
    for (const uid of [uids.helper, uids.other, 0]) expect(ask(uid, load)).toMatch(/^(401|403) /);
  });

  test('may do what its policy opens, with the model’s key, and nobody else inside may', async () => {
    const upstream = 'upstream: { credential: { secretRef: { name: model, key: key } } }';
    give(
      'policy.yaml',
      policy('InferencePolicy', `{ ${upstream}, loopback: [{ runAsUser: ${uids.helper}, operations: [Admin] }] }`),
    );
    await until(() => ask(uids.helper, load).startsWith('200'), 'the opening');
    // It got the key, which never leaves the sidecar again, not even in an echo.
    expect(ask(uids.helper, load)).toContain('"key":"Bearer [credential]"');
    for (const uid of [uids.other, uids.model, 0]) expect(ask(uid, load)).toMatch(/^(401|403) /);
    expect(ask(uids.helper, '/v1/chat/completions')).toMatch(/^(400|401|403) /);
  });

  test('may not do it any longer when the policy says so', async () => {
    give('policy.yaml', policy('InferencePolicy', `{ loopback: [{ runAsUser: ${uids.other}, operations: [Admin] }] }`));
    await until(() => /^(401|403) /.test(ask(uids.helper, load)), 'the end of it');
    // Another uid has no listener of its own, whatever a policy says.
    expect(ask(uids.other, load)).toMatch(/^(401|403) /);
  });
});

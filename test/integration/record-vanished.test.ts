import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { jsonValue, parseJson, silentLogger, systemClock } from '../../pkg/base/index.ts';
import { createOwnIdentity, createRecorderClient, startPodReporter } from '../../pkg/control/record/index.ts';
import type { PodReporter } from '../../pkg/control/record/index.ts';
import type { TlsMaterial } from '../../pkg/pki/index.ts';
import type { AuditHead } from '../../pkg/wire/index.ts';
import { podsPath } from '../../pkg/wire/index.ts';
import { compileCache } from '../support/compile-cache.ts';
import { startRecorder } from '../support/recorder.ts';
import type { TestRecorder } from '../support/recorder.ts';
import { until } from '../support/wait.ts';

// Pods that go before their record has come: sidecars are processes of their own, killed with what they had not sent, and their
// folder removed as the node does. The controller's half is its own code, told what heartbeats and the API server would tell it.

const writer = resolve(import.meta.dirname, '../support/record-writer.ts');
const uid = 'uid-1';
const source = `spiffe://cluster.local/ns/ml/sa/default/pod/${uid}`;
const pod = { namespace: 'ml', name: 'llama-0', uid, serviceAccount: 'default' };

let recorder: TestRecorder;
let folder: string;
let reporter: PodReporter;
let present: Set<string>;
const children: ChildProcess[] = [];

const report = (): PodReporter =>
  startPodReporter({
    client: () =>
      createRecorderClient({
        url: `https://localhost:${recorder.port()}`,
        identity: createOwnIdentity({
          authority: recorder.authority,
          trustDomain: 'cluster.local',
          namespace: 'sidegate-system',
          replica: 'sidegate-controller-1',
          clock: systemClock,
        }),
      }),
    trustDomain: 'cluster.local',
    clock: systemClock,
    logger: silentLogger,
    leading: () => true,
    exists: (one) => present.has(one.uid),
    gatherMs: 20,
    compareMs: 50,
  });

beforeEach(async () => {
  recorder = await startRecorder({ graceMs: 200 });
  folder = mkdtempSync(join(tmpdir(), 'sidegate-pod-'));
  const { cert, key } = await recorder.identity(uid);
  const files = {
    'identity.pem': cert,
    'identity-key.pem': key,
    'trust.pem': recorder.authority.bundle(),
    uid,
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  present = new Set([uid]);
  reporter = report();
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await reporter.close();
  await recorder.close();
  rmSync(folder, { recursive: true, force: true });
});

/** A sidecar that writes; each line that it says is a heartbeat. */
function sidecar(mode: 'beat' | 'stop') {
  const child = spawn(process.execPath, [writer, folder, String(recorder.port()), mode], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...compileCache },
  });
  children.push(child);
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  return {
    child,
    heads: (): AuditHead[] =>
      text
        .split('\n')
        .slice(0, -1)
        .map((line) => jsonValue(parseJson(line)) as unknown as AuditHead),
    async kill(by: 'SIGKILL' | 'SIGTERM' = 'SIGKILL') {
      const closed = once(child, 'close');
      child.kill(by);
      await closed;
      rmSync(join(folder, 'spool'), { recursive: true });
    },
  };
}
const entries = async (type: string) =>
  (await recorder.store.entries(0, 100_000))
    .map(({ text }) => jsonValue(parseJson(text)) as { readonly type: string; readonly [key: string]: unknown })
    .filter((entry) => entry.type === type);
const stored = async (chain = ''): Promise<number> => (await recorder.store.position(source, chain))?.sequence ?? 0;

/** Writes on until the recorder has some of it; then the recorder is away, and more is written and said in heartbeats. */
async function cutOff(
  by: 'SIGKILL' | 'SIGTERM' = 'SIGKILL',
): Promise<{ readonly known: AuditHead; readonly had: number }> {
  const one = sidecar('beat');
  await until(async () => (await stored(one.heads().at(-1)?.chain)) > 10, 'some of the record');
  await recorder.stop();
  const had = await stored(one.heads().at(-1)?.chain);
  const before = one.heads().length;
  await until(() => one.heads().length > before + 5 && (one.heads().at(-1)?.sequence ?? 0) > had, 'more of the record');
  await one.kill(by);
  const known = one.heads().at(-1);
  if (known === undefined) throw new Error('no heartbeat');
  return { known, had };
}

describe('a pod that vanishes', () => {
  test('with lines that were not sent: the log says which, and when it was gone', async () => {
    const { known, had } = await cutOff();
    reporter.head(pod, known);
    const before = Date.now();
    reporter.gone(pod);
    // The controller keeps it until the recorder is there.
    await recorder.start();
    await until(async () => (await entries('vanished')).length > 0, 'the entry');
    const [entry] = await entries('vanished');
    expect(entry).toMatchObject({ source, chain: known.chain, stored: had, known: known.sequence, hash: known.hash });
    expect(entry).toMatchObject({ ended: false });
    expect(Number(entry?.['gone'])).toBeGreaterThanOrEqual(before);
    expect(await entries('vanished')).toHaveLength(1);
  });

  test('having stopped in good order while the recorder was away: the log says which lines never came, and that there were no more', async () => {
    const { known, had } = await cutOff('SIGTERM');
    expect(known.ended).toBe(true);
    reporter.head(pod, known);
    reporter.gone(pod);
    await recorder.start();
    await until(async () => (await entries('vanished')).length > 0, 'the entry');
    expect(await entries('vanished')).toMatchObject([
      { chain: known.chain, stored: had, known: known.sequence, hash: known.hash, ended: true },
    ]);
  });

  test('is found when no controller was there to see it go', async () => {
    const { known } = await cutOff();
    reporter.head(pod, known);
    await recorder.start();
    await until(async () => (await recorder.store.presentSources()).includes(source), 'the pod at the recorder');
    await reporter.close();
    present.delete(uid);
    reporter = report();
    await until(async () => (await entries('vanished')).length > 0, 'the entry');
    expect(await entries('vanished')).toMatchObject([{ known: known.sequence, ended: false }]);
    expect(await recorder.store.presentSources()).toEqual([]);
  });

  test('is said once more where more becomes known of it, and survives a restart of the recorder', async () => {
    const { known, had } = await cutOff();
    await recorder.start();
    reporter.gone(pod);
    await until(async () => (await entries('vanished')).length === 1, 'the entry');
    expect(await entries('vanished')).toMatchObject([{ stored: had, known: had, ended: false }]);
    await recorder.restart();
    // Of another replica, which had the sidecar's last heartbeat.
    reporter.head(pod, known);
    await until(async () => (await entries('vanished')).length === 2, 'the second entry');
    expect((await entries('vanished'))[1]).toMatchObject({ stored: had, known: known.sequence });
  });

  test('only by what a controller said, while its sidecar has a stream: that is not kept, and said once more when it is true', async () => {
    const one = sidecar('beat');
    await until(async () => (await stored(one.heads().at(-1)?.chain)) > 10, 'some of the record');
    await recorder.store.learn({ heads: [], gone: [{ source, at: Date.now() }] }, Date.now());
    expect(await recorder.store.presentSources()).toEqual([]);
    await until(async () => (await recorder.store.presentSources()).includes(source), 'that it is not gone');
    expect(await entries('vanished')).toEqual([]);
    await one.kill();
    present.delete(uid);
    await until(async () => (await entries('vanished')).length > 0, 'the entry');
  });

  test('after its sidecar has stopped and sent all: there is nothing to say', async () => {
    const one = sidecar('stop');
    await until(() => one.child.exitCode !== null, 'its end');
    expect(one.child.exitCode).toBe(0);
    const known = one.heads().at(-1);
    expect(await stored(known?.chain)).toBe(known?.sequence);
    if (known !== undefined) reporter.head(pod, known);
    reporter.gone(pod);
    await until(async () => (await recorder.store.presentSources()).length === 0, 'that it is gone');
    await until(async () => (await recorder.store.departed(Number.MAX_SAFE_INTEGER, 10)).length === 0, 'the judgement');
    expect(await entries('vanished')).toEqual([]);
  });

  test('having told the controller of another line than it sent: kept as evidence', async () => {
    const one = sidecar('stop');
    await until(() => one.child.exitCode !== null, 'its end');
    const told = one.heads().at(-1);
    if (told === undefined) throw new Error('no heartbeat');
    reporter.head(pod, { ...told, hash: 'a'.repeat(64) });
    reporter.gone(pod);
    await until(async () => (await entries('conflict')).length > 0, 'the conflict');
    expect(await entries('conflict')).toMatchObject([{ what: 'other_head', sequence: told.sequence, source }]);
  });
});

describe('reports of pods', () => {
  const ask = (material: TlsMaterial, body: string): Promise<number> =>
    new Promise((done, failed) => {
      const sent = httpsRequest(
        {
          host: 'localhost',
          port: recorder.port(),
          path: podsPath,
          method: 'POST',
          agent: false,
          ca: recorder.authority.bundle(),
          cert: material.cert,
          key: material.key,
        },
        (response) => done(response.resume().statusCode ?? 0),
      );
      sent.on('error', failed);
      sent.end(body);
    });
  const empty = JSON.stringify({ v: 1, heads: [], gone: [{ source, at: 1 }] });

  test.each<[string, { readonly namespace?: string; readonly serviceAccount?: string }, number]>([
    ['of the controller', { namespace: 'sidegate-system', serviceAccount: 'sidegate-controller' }, 204],
    ['of another account there', { namespace: 'sidegate-system', serviceAccount: 'default' }, 401],
    ['of that account elsewhere', { namespace: 'ml', serviceAccount: 'sidegate-controller' }, 401],
    ['of a sidecar', {}, 401],
  ])('%s', async (_, id, status) => {
    const material = await recorder.identity('uid-9', id);
    expect(await ask(material, empty)).toBe(status);
  });

  test('that are none are refused', async () => {
    const id = { namespace: 'sidegate-system', serviceAccount: 'sidegate-controller' };
    const material = await recorder.identity('uid-9', id);
    for (const body of ['', '{"v":2,"heads":[],"gone":[]}', '{"v":1,"heads":[{}],"gone":[]}', '[]'])
      expect(await ask(material, body)).toBe(400);
  });
});

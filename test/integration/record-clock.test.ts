import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openPodRecord } from '../../pkg/remote/index.ts';
import { randomId, silentLogger, systemClock } from '../../pkg/base/index.ts';
import type { Clock } from '../../pkg/base/index.ts';
import { createLogVerifier } from '../../pkg/record/index.ts';
import type { LogVerdict } from '../../pkg/record/index.ts';
import { keepAuthorities, keepHeads } from '../../pkg/recorder/index.ts';
import { sessionEvents } from '../../pkg/recorder/testing/chains.ts';
import { startRecorder } from '../support/recorder.ts';
import type { TestRecorder } from '../support/recorder.ts';
import { createIngestClientRemote } from '../support/record-remote.ts';
import { pause, until } from '../support/wait.ts';

// Wall clocks that step, at the recorder and in a pod: nothing is lost or turned round, times in the log never go back, and all is proven.

const hour = 3_600_000;
const uid = 'uid-1';
const { privateKey, publicKey } = generateKeyPairSync('ed25519');

let shift: { recorder: number; pod: number };
let recorder: TestRecorder;
let folder: string;
const clockOf = (whose: 'recorder' | 'pod'): Clock => ({ ...systemClock, now: () => systemClock.now() + shift[whose] });

beforeEach(async () => {
  shift = { recorder: 0, pod: 0 };
  recorder = await startRecorder({ clock: clockOf('recorder') });
  folder = mkdtempSync(join(tmpdir(), 'sidegate-clock-'));
  mkdirSync(join(folder, 'spool'));
  const { cert, key } = await recorder.identity(uid);
  const files = { 'identity.pem': cert, 'identity-key.pem': key, 'trust.pem': recorder.authority.bundle() };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  const bundle = (): string => recorder.authority.bundle();
  const stop = await keepAuthorities({
    store: recorder.store,
    bundle,
    clock: clockOf('recorder'),
    logger: silentLogger,
  });
  await stop();
});
afterEach(async () => {
  await recorder.close();
  rmSync(folder, { recursive: true });
});

function open() {
  const record = openPodRecord({
    folder: join(folder, 'spool'),
    limit: 1 << 30,
    pod: { namespace: 'ml', name: 'llama-0', uid },
    clock: clockOf('pod'),
    logger: silentLogger,
    onEvent: () => undefined,
  });
  const sender = record.sendBy(createIngestClientRemote(folder, recorder.port()));
  return {
    record,
    write: (count: number): void => {
      for (let n = 0; n < count; n++) record.audit.append(sessionEvents({ id: randomId() }));
    },
    arrived: () => until(() => sender.pending() === 0, 'the record'),
  };
}
async function proof(): Promise<LogVerdict> {
  const heads = keepHeads({ store: recorder.store, key: privateKey, clock: clockOf('recorder'), logger: silentLogger });
  await heads.sign();
  heads.close();
  const texts = (await recorder.store.heads(0, 100)).map(({ text }) => text);
  const verifier = createLogVerifier({ publicKey, heads: texts });
  for (const { index, text } of await recorder.store.entries(0, 10_000)) {
    verifier.entry(index, text);
    const lines = await recorder.store.blockLines(index);
    if (lines !== undefined) verifier.lines(index, Buffer.from(lines).toString());
  }
  return verifier.end();
}
const sessions = async (): Promise<number> => (await recorder.store.search({ limit: 1_000 })).sessions.length;

test('two days ahead for a moment at the recorder: sidecars come in as before, once it is right, and are not let in by what was', async () => {
  const early = await recorder.identity(uid);
  shift.recorder = 48 * hour;
  await recorder.store.append([
    { entry: { type: 'read', at: clockOf('recorder').now(), who: 'ana', what: 'search', question: '{}' } },
  ]);
  shift.recorder = 0;
  for (const again of [false, true]) {
    if (again) await recorder.restart();
    const pod = open();
    pod.write(2);
    await pod.record.finish(20_000);
  }
  expect(recorder.told).not.toContain('refused certificate');
  expect(await sessions()).toBe(4);
  shift.recorder = 96 * hour;
  await expect(recorder.connect(early)).rejects.toThrow();
});

test('a certificate that has expired since the last entry of a log at rest is refused', async () => {
  const identity = await recorder.identity(uid);
  (await recorder.connect(identity)).end();
  shift.recorder = 48 * hour;
  expect(recorder.store.latest()).toBeLessThan(Date.now() + hour);
  await expect(recorder.connect(identity)).rejects.toThrow();
  expect(recorder.told).toContain('refused certificate');
});

describe('an hour back', () => {
  test('at the recorder: sidecars come in as before, and times in its log stand still until the clock is there again', async () => {
    const pod = open();
    pod.write(5);
    await pod.arrived();
    shift.recorder = -hour;
    // Its certificate is five minutes old by the clock that made it: of the future, for this one.
    await recorder.restart();
    pod.write(5);
    await pod.record.finish(20_000);
    expect(recorder.told).not.toContain('refused certificate');
    expect(await sessions()).toBe(10);
    expect(await proof()).toMatchObject({ ok: true, findings: [] });
    const times = (await recorder.store.entries(0, 100)).map(({ text }) => Number(/"at":([0-9]+)/.exec(text)?.[1]));
    expect(times).toEqual(times.toSorted((a, b) => a - b));
  });

  test('in a pod: the order is that of the numbers, and a line says by how much the clock stepped', async () => {
    const pod = open();
    pod.write(5);
    await pod.arrived();
    shift.pod = -hour;
    const stepped = async (): Promise<boolean> => {
      pod.write(1);
      await pod.arrived();
      const blocks = await Promise.all(
        (await recorder.store.entries(0, 1_000)).map(({ index }) => recorder.store.blockLines(index)),
      );
      return blocks.some((lines) =>
        Buffer.from(lines ?? [])
          .toString()
          .includes('"what":"clock_step","amount":-3'),
      );
    };
    await until(stepped, 'the line of the step');
    const before = await sessions();
    pod.write(5);
    await pod.record.finish(20_000);
    expect(await sessions()).toBe(before + 5);
    expect(await proof()).toMatchObject({ ok: true, findings: [] });
  });

  test('in a pod that signs with a certificate of later: it counts by when it was received', async () => {
    shift.pod = -hour;
    const pod = open();
    pod.write(5);
    await pause(1);
    await pod.record.finish(20_000);
    const verdict = await proof();
    expect(verdict).toMatchObject({ ok: true, findings: [] });
    expect(verdict.signedLines).toBeGreaterThanOrEqual(15);
  });
});

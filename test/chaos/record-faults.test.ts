import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../support/wait.ts';
import { startRecorderWorld } from './recorder-world.ts';
import type { Pod, RecorderWorld, Running } from './recorder-world.ts';

// What goes wrong and stays wrong for a while: a disk that is full, a recorder that is not there for an hour's worth of lines. Each counts what
// was recorded and what is found.

let world: RecorderWorld;
let pod: Pod;
beforeEach(async () => {
  world = await startRecorderWorld();
  pod = await world.pod('uid-1');
});
afterEach(() => world?.close());

const saidBy = (sidecar: Running): number[] => {
  const lines = sidecar.text().split('\n');
  return lines
    .slice(0, -1)
    .filter((line) => /^[0-9]+$/.test(line))
    .map(Number);
};
async function flush(): Promise<void> {
  const last = world.sidecar(pod, 'flush');
  await once(last.child, 'close');
  // Until the recorder listens, which was begun a moment ago, it logs that it waits.
  expect(last.text()).toMatch(/^flushed$/m);
}
async function end(recorder: Running): Promise<void> {
  recorder.child.kill('SIGTERM');
  await until(() => recorder.child.exitCode !== null, 'the end of the recorder');
}
async function expectAll(sent: readonly number[]): Promise<void> {
  const { verdict, numbers } = await world.found();
  expect(verdict).toMatchObject({ ok: true, findings: [], holes: 0, conflicts: 0 });
  const found = numbers.get(pod.uid) ?? [];
  // The last may have been written and not said.
  expect(found.slice(0, sent.length)).toEqual(sent);
  expect(found.length - sent.length).toBeLessThanOrEqual(1);
}

describe('the recorder', () => {
  test('whose disk is full acknowledges nothing that it has not, and takes all when there is room', async () => {
    const full = world.recorder(700);
    await world.whenUp(full);
    const sidecar = world.sidecar(pod, 'write');
    await until(() => full.text().includes('the store did not take what was sent'), 'a full disk', 60_000);
    const before = saidBy(sidecar).length;
    await until(() => saidBy(sidecar).length > before + 200, 'more lines');
    await full.kill();
    const recorder = world.recorder();
    await sidecar.kill();
    await flush();
    await end(recorder);
    await expectAll(saidBy(sidecar));
  }, 150_000);

  test('that is away for as many lines as a pod writes in an hour gets them all, and the spool is empty then', async () => {
    const sidecar = world.sidecar(pod, 'write');
    // Six lines a second; each number is three.
    await until(() => saidBy(sidecar).length * 3 > 21_600, 'an hour of lines', 120_000);
    await sidecar.kill();
    const spool = join(pod.folder, 'spool');
    const spooled = (): number => readdirSync(spool).filter((name) => name.startsWith('record-')).length;
    const files = spooled();
    const recorder = world.recorder();
    await flush();
    await end(recorder);
    expect(spooled()).toBeLessThanOrEqual(Math.min(files, 2));
    await expectAll(saidBy(sidecar));
  }, 240_000);
});

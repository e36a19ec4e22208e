import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { pause, until } from '../support/wait.ts';
import { dice, startRecorderWorld } from './recorder-world.ts';
import type { Pod, RecorderWorld, Running } from './recorder-world.ts';

/** How often a process is killed; `make test-chaos` asks for a thousand. */
const kills = Number(process.env['KILLS'] ?? 24);
const seed = Number(process.env['SEED'] ?? 11);

let world: RecorderWorld;
beforeAll(async () => {
  world = await startRecorderWorld();
});
afterAll(() => world?.close());

test(
  `kill -9 of recorder and sidecars, ${kills} times at random moments: all that was recorded is there, once, in order, and proven`,
  async () => {
    const throwDice = dice(seed);
    const pods: Pod[] = [await world.pod('uid-1'), await world.pod('uid-2')];
    const said = new Map<string, number[]>(pods.map(({ uid }) => [uid, []]));
    const sidecars = new Map<string, Running>();
    const start = (pod: Pod): void => {
      // A number that was written and not said may be used by nobody else.
      const from = (said.get(pod.uid)?.at(-1) ?? 0) + 1_000_000;
      sidecars.set(pod.uid, world.sidecar(pod, 'write', from));
    };
    const kill = async (pod: Pod): Promise<void> => {
      const running = sidecars.get(pod.uid);
      await running?.kill();
      const lines = (running?.text() ?? '').split('\n').filter((line) => /^[0-9]+$/.test(line));
      // The last line may be cut.
      if (running?.text().endsWith('\n') === false) lines.pop();
      // One by one: a thousand kills leave more of them than a call may have arguments.
      for (const line of lines) said.get(pod.uid)?.push(Number(line));
    };
    pods.forEach(start);
    let recorder = world.recorder();
    for (let n = 0; n < kills; n++) {
      // One in five before it is up.
      if (throwDice(5) > 0) await world.whenUp(recorder);
      await pause(throwDice(500));
      await recorder.kill();
      if (throwDice(4) === 0) {
        const pod = pods[throwDice(pods.length)];
        if (pod !== undefined) {
          await kill(pod);
          start(pod);
        }
      }
      recorder = world.recorder();
    }
    await world.whenUp(recorder);
    for (const pod of pods) {
      await kill(pod);
      const last = world.sidecar(pod, 'flush');
      await once(last.child, 'close');
      expect(last.text()).toMatch(/^flushed$/m);
    }
    recorder.child.kill('SIGTERM');
    await until(() => recorder.child.exitCode !== null, 'the end of the recorder');

    const { verdict, numbers } = await world.found();
    expect(verdict).toMatchObject({ ok: true, findings: [], holes: 0, conflicts: 0, unsigned: 0 });
    for (const { uid } of pods) {
      const [sent, found] = [said.get(uid) ?? [], numbers.get(uid) ?? []];
      expect(sent.length).toBeGreaterThan(kills);
      // In order, and so none twice.
      expect(found.filter((one, at) => at > 0 && one <= (found[at - 1] ?? 0))).toEqual([]);
      const there = new Set(found);
      expect(sent.filter((one) => !there.has(one))).toEqual([]);
      // One more for each kill of a sidecar may be there, of which it could not tell any more.
      expect(found.length - sent.length).toBeLessThanOrEqual(kills + 1);
    }
  },
  300_000 + kills * 12_000,
);

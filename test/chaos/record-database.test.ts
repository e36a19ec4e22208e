import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { startPostgres } from '../support/postgres.ts';
import type { PostgresServer } from '../support/postgres.ts';
import { pause, until } from '../support/wait.ts';
import { dice, startRecorderWorld } from './recorder-world.ts';
import type { RecorderWorld, Running } from './recorder-world.ts';

// Two recorders on one database that waits for its disk, as one does that is not for tests.

/** How often something is killed or stopped; `make test-chaos` asks for more. */
const faults = Math.ceil(Number(process.env['KILLS'] ?? 24) / 4);
const seed = Number(process.env['SEED'] ?? 11);

let database: PostgresServer;
let world: RecorderWorld;
beforeAll(async () => {
  database = await startPostgres({ durable: true });
  world = await startRecorderWorld(database);
});
afterAll(async () => {
  await world?.close();
  await database?.stop();
});

test(
  `kill -9 of the database and of two recorders, and recorders that stand still, ${faults} times at random moments: all that was recorded is there, once, in order, and proven`,
  async () => {
    const throwDice = dice(seed);
    const pods = [await world.pod('uid-1'), await world.pod('uid-2')];
    const sidecars = pods.map((pod) => world.sidecar(pod, 'write'));
    const starts = [() => world.recorder(), () => world.second()] as const;
    const recorders: Running[] = starts.map((start) => start());
    await Promise.all(recorders.map(world.whenUp));
    const happened = { database: 0, recorder: 0, stall: 0 };
    for (let n = 0; n < faults; n++) {
      await pause(throwDice(600));
      // In turns, and of that which recorder and for how long by chance.
      const which = throwDice(2);
      const running = recorders[which];
      const start = starts[which];
      if (running === undefined || start === undefined) throw new Error('two recorders');
      if (n % 3 === 0) {
        happened.database++;
        await database.kill();
        await pause(throwDice(300));
        await database.start();
        // One that was starting has ended.
        for (const [at, one] of recorders.entries())
          if (one.child.exitCode !== null) recorders[at] = (starts[at] ?? start)();
      } else if (n % 3 === 1) {
        happened.recorder++;
        await running.kill();
        recorders[which] = start();
      } else {
        // Longer than the server lets it hold a turn, sometimes.
        happened.stall++;
        running.child.kill('SIGSTOP');
        await pause(throwDice(6_500));
        running.child.kill('SIGCONT');
      }
    }
    await Promise.all(recorders.map(world.whenUp));
    const said = new Map<string, number[]>();
    for (const [at, pod] of pods.entries()) {
      const sidecar = sidecars[at];
      await sidecar?.kill();
      const lines = (sidecar?.text() ?? '').split('\n').slice(0, -1);
      said.set(pod.uid, lines.filter((line) => /^[0-9]+$/.test(line)).map(Number));
    }
    const last = pods.map((pod) => world.sidecar(pod, 'flush'));
    await Promise.all(last.map(({ child }) => once(child, 'close')));
    for (const one of last) expect(one.text()).toMatch(/^flushed$/m);
    for (const { child } of recorders) child.kill('SIGTERM');
    for (const { child } of recorders) await until(() => child.exitCode !== null, 'the end of a recorder');

    expect(Math.min(...Object.values(happened))).toBeGreaterThan(0);
    const { verdict, numbers } = await world.found();
    expect(verdict).toMatchObject({ ok: true, findings: [], holes: 0, conflicts: 0, unsigned: 0 });
    for (const { uid } of pods) {
      const [sent, found] = [said.get(uid) ?? [], numbers.get(uid) ?? []];
      expect(sent.length).toBeGreaterThan(100);
      // In order, and so none twice; the last may have been written and not said.
      expect(found.slice(0, sent.length)).toEqual(sent);
      expect(found.length - sent.length).toBeLessThanOrEqual(1);
    }
  },
  120_000 + faults * 20_000,
);

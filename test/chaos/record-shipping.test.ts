import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { startPostgres } from '../support/postgres.ts';
import type { PostgresServer } from '../support/postgres.ts';
import { pause, until } from '../support/wait.ts';
import { dice, startRecorderWorld } from './recorder-world.ts';
import type { Pod, RecorderWorld, Running } from './recorder-world.ts';

// Two recorders on one database ship to one receiver, and are killed, as their database is, between a batch and its cursor.

/** How often something is killed; `make test-chaos` asks for more. */
const faults = Math.ceil(Number(process.env['KILLS'] ?? 24) / 6);
const seed = Number(process.env['SEED'] ?? 11);
const throwDice = dice(seed);

interface Taken {
  readonly id: string;
  readonly entry: number;
  readonly uid: string;
  /** Which of its sidecar's sessions. */
  readonly number: number;
}

/** Every batch that came, whether or not its sender heard of it. */
const batches: (readonly Taken[])[] = [];
const receiver = createServer((request, response) => {
  void text(request).then(async (body) => {
    const events = body
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>)
      .filter((event) => event['event.action'] === 'session');
    batches.push(
      events.map((event) => ({
        id: String(event['event.id']),
        entry: Number(event['event.sequence']),
        uid: String(event['orchestrator.resource.id']),
        number: Number(String(event['user.name']).slice(1)),
      })),
    );
    await pause(20);
    response.writeHead(200).end();
  });
});

let database: PostgresServer;
let world: RecorderWorld;
beforeAll(async () => {
  receiver.listen(0, '127.0.0.1');
  await once(receiver, 'listening');
  database = await startPostgres({ durable: true });
  world = await startRecorderWorld(database, `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`);
});
afterAll(async () => {
  await world?.close();
  await database?.stop();
  receiver.closeAllConnections();
  receiver.close();
});

test(
  `kill -9 of the database and of both recorders while they ship, ${faults} times: the receiver has every session, in order, and again only what a fault cut off`,
  async () => {
    const pods = [await world.pod('uid-1'), await world.pod('uid-2')];
    const sidecars = pods.map((pod) => world.sidecar(pod, 'write'));
    const starts = [() => world.recorder(), () => world.second()] as const;
    let recorders: Running[] = starts.map((start) => start());
    for (let n = 0; n < faults; n++) {
      const before = batches.length;
      await until(() => batches.length > before, 'a batch', 120_000);
      // Before it is acknowledged, or while its cursor is moved, or in the next one.
      await pause(throwDice(60));
      if (n % 2 === 0) {
        await database.kill();
        await pause(throwDice(300));
        await database.start();
      } else {
        await Promise.all(recorders.map((one) => one.kill()));
        // As when the time of who had the turn is over.
        await database.query(`UPDATE sidegate.ship SET until = now() - interval '1 second'`);
        recorders = starts.map((start) => start());
      }
    }
    await Promise.all(recorders.map(world.whenUp));
    await Promise.all(sidecars.map((one) => one.kill()));
    // It waits for a minute; what was recorded while nothing was taken in may need more.
    const flushed = async (pod: Pod): Promise<boolean> => {
      const last = world.sidecar(pod, 'flush');
      await once(last.child, 'close');
      return /^flushed$/m.test(last.text());
    };
    await Promise.all(pods.map((pod) => until(() => flushed(pod), 'all is taken in', 240_000)));
    const said = new Map(
      pods.map(({ uid }, at) => {
        const lines = (sidecars[at]?.text() ?? '').split('\n').slice(0, -1);
        return [uid, lines.filter((line) => /^[0-9]+$/.test(line)).map(Number)];
      }),
    );
    const taken = (uid: string): Set<number> =>
      new Set(batches.flat().flatMap((one) => (one.uid === uid ? [one.number] : [])));
    await until(
      () => pods.every(({ uid }) => taken(uid).has(said.get(uid)?.at(-1) ?? 0)),
      'the receiver has the last session of each pod',
      120_000,
    );
    for (const { child } of recorders) child.kill('SIGTERM');
    for (const { child } of recorders) await until(() => child.exitCode !== null, 'the end of a recorder');

    const { verdict, numbers } = await world.found();
    expect(verdict).toMatchObject({ ok: true, findings: [], holes: 0, conflicts: 0, unsigned: 0 });
    const seen = new Map<string, Taken>();
    let again = 0;
    let entry = 0;
    for (const batch of batches) {
      if (batch[0] !== undefined && seen.has(batch[0].id)) again++;
      for (const one of batch) {
        const known = seen.get(one.id);
        if (known === undefined) {
          expect(one.entry).toBeGreaterThanOrEqual(entry);
          entry = one.entry;
          seen.set(one.id, one);
        } else expect(one).toEqual(known);
      }
    }
    // A batch comes again where its cursor was not moved, once for each fault.
    expect(again).toBeLessThanOrEqual(faults);
    for (const { uid } of pods) {
      const sessions = [...seen.values()].filter((one) => one.uid === uid).map(({ number }) => number);
      expect(sessions.length).toBeGreaterThan(50);
      // None lost, and by its id none double.
      expect(sessions).toEqual(numbers.get(uid)?.slice(0, sessions.length));
      expect(sessions.length).toBeGreaterThanOrEqual(said.get(uid)?.length ?? 0);
    }
  },
  600_000 + faults * 30_000,
);

import { afterEach, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { startPostgres } from '../support/postgres.ts';
import { pause, until } from '../support/wait.ts';
import { dice, startRecorderWorld } from './recorder-world.ts';
import type { RecorderWorld, Running } from './recorder-world.ts';

/** How often a recorder is killed while it ships; `make test-chaos` asks for more. */
const kills = Math.ceil(Number(process.env['KILLS'] ?? 24) / 12);
const seed = Number(process.env['SEED'] ?? 11);

const closing: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

interface Shipped {
  readonly id: string;
  readonly entry: number;
}

/** A SIEM that takes what comes, and now and then says that it is busy. */
async function receiver(
  throwDice: (sides: number) => number,
): Promise<{ readonly url: string; readonly got: Shipped[] }> {
  const got: Shipped[] = [];
  const server: Server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
    request.on('error', () => undefined);
    request.on('end', () => {
      if (throwDice(6) === 0) return void response.writeHead(503).end();
      for (const line of body.split('\n').filter((one) => one !== '')) {
        const event = JSON.parse(line) as Readonly<Record<string, unknown>>;
        if (event['event.action'] === 'session')
          got.push({ id: String(event['event.id']), entry: Number(event['event.sequence']) });
      }
      response.writeHead(200).end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, got };
}

/** Whole lines of what a sidecar said: the ids of what it recorded. */
const idsOf = (running: Running): string[] =>
  running
    .text()
    .split('\n')
    .slice(0, -1)
    .filter((line) => /^[0-9a-f]{32}$/.test(line));

test.each([['a file', false] as const, ['Postgres', true] as const])(
  `kill -9 of recorders that ship from %s, ${kills} times while sidecars write: each session arrives, in the order of the log`,
  async (_, shared) => {
    const throwDice = dice(seed);
    const { url, got } = await receiver(throwDice);
    const database = shared ? await startPostgres() : undefined;
    if (database !== undefined) closing.push(() => database.stop());
    const world: RecorderWorld = await startRecorderWorld(database, [{ name: 'siem', type: 'Webhook', url }]);
    closing.push(() => world.close());
    const pods = [await world.pod('uid-1'), await world.pod('uid-2')];
    const sidecars = pods.map((pod) => world.sidecar(pod, 'pace'));
    const start = [() => world.recorder(), ...(shared ? [() => world.second()] : [])];
    const recorders = start.map((one) => one());
    for (let n = 0; n < kills; n++) {
      const which = throwDice(recorders.length);
      const running = recorders[which];
      const begin = start[which];
      if (running === undefined || begin === undefined) throw new Error('no recorder');
      await world.whenUp(running);
      // While it has something to ship.
      const before = got.length;
      if (throwDice(2) === 0) await until(() => got.length > before, 'something is shipped', 60_000);
      await pause(throwDice(700));
      await running.kill();
      recorders[which] = begin();
    }
    for (const running of recorders) await world.whenUp(running);
    const said: string[][] = [];
    for (const [at, pod] of pods.entries()) {
      await sidecars[at]?.kill();
      said.push(sidecars[at] === undefined ? [] : idsOf(sidecars[at]));
      const last = world.sidecar(pod, 'flush');
      await once(last.child, 'close');
      expect(last.text()).toMatch(/^flushed$/m);
    }
    const lacks = (): number => {
      const there = new Set(got.map(({ id }) => id));
      return said.flat().filter((id) => !there.has(id)).length;
    };
    await until(
      () => lacks() === 0,
      () => `${lacks()} of ${said.flat().length} sessions have not arrived`,
      90_000,
    );
    for (const running of recorders) {
      running.child.kill('SIGTERM');
      await until(() => running.child.exitCode !== null, 'the end of the recorder');
    }
    const { verdict } = await world.found();
    expect(verdict).toMatchObject({ ok: true, holes: 0, conflicts: 0 });

    expect(said.every((one) => one.length > kills)).toBe(true);
    // What came twice counts where it came first.
    const seen = new Set<string>();
    const inOrder = got.filter(({ id }) => !seen.has(id) && seen.add(id));
    expect(inOrder.filter(({ entry }, at) => entry < (inOrder[at - 1]?.entry ?? 0))).toEqual([]);
    for (const own of said) {
      const mine = new Set(own);
      expect(inOrder.map(({ id }) => id).filter((id) => mine.has(id))).toEqual(own);
    }
  },
  300_000 + kills * 30_000,
);

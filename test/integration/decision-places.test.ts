import { once } from 'node:events';
import { Agent, request } from 'node:https';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { silentLogger, systemClock } from '../../pkg/base/index.ts';
import { createDecisionServer } from '../../pkg/control/decisions/index.ts';
import { createClusterAuthority } from '../cluster/certificates.ts';
import { until } from '../support/wait.ts';

// Places at the port at which people decide and get tokens: 256, of one network 64.

let server: Awaited<ReturnType<typeof createDecisionServer>>;
let sockets: Socket[];
/** Answers of `/v1/slow` are given when this is resolved. */
let answered: PromiseWithResolvers<void>;
let slow: number;
beforeEach(async () => {
  sockets = [];
  answered = Promise.withResolvers();
  slow = 0;
  server = await createDecisionServer({
    ...{ host: '127.0.0.1', port: 0, clock: systemClock, logger: silentLogger },
    material: await (await createClusterAuthority('ca')).issue('decisions.test'),
    decider: { prove: async () => 'unauthenticated' },
    more: [
      {
        ownLimit: true,
        async routes({ url }) {
          if (url !== '/v1/slow' && url !== '/v1/fast') return undefined;
          if (url === '/v1/slow') {
            slow++;
            await answered.promise;
          }
          return { status: 200, body: {}, result: 'viewed' };
        },
      },
    ],
  });
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await server.close();
});

/** The status, or the word for what went wrong. */
const ask = (localAddress: string, path = '/v1/fast'): Promise<number | string> =>
  new Promise((resolve) => {
    const options = { host: '127.0.0.1', port: server.port, localAddress, path, agent: false };
    const asked = request({ ...options, rejectUnauthorized: false }, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    });
    asked.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    asked.end();
  });
/** Asks by connections that stay, and do not send the body they announce. */
const keep = async (localAddress: string, count: number, path: string, body: number): Promise<void> => {
  const agent = new Agent({ keepAlive: true, maxSockets: count, rejectUnauthorized: false });
  const headers = { 'content-length': body };
  const answers = Array.from({ length: count }, () => {
    const asked = request({ host: '127.0.0.1', port: server.port, localAddress, path, agent, method: 'POST', headers });
    asked.on('error', () => undefined);
    asked.on('socket', (socket) => sockets.push(socket));
    const answer = new Promise<void>((resolve) => asked.on('response', (got) => got.resume().on('end', resolve)));
    if (body === 0) asked.end();
    else asked.flushHeaders();
    return answer;
  });
  if (path === '/v1/fast') await Promise.all(answers);
};
const silent = async (localAddress: string, count: number): Promise<Socket[]> => {
  const made = Array.from({ length: count }, () => connect({ host: '127.0.0.1', port: server.port, localAddress }));
  for (const socket of made) socket.on('error', () => undefined);
  sockets.push(...made);
  await Promise.all(made.map((socket) => once(socket, 'connect')));
  return made;
};
const ended = (these: readonly Socket[]): number[] => these.flatMap(({ closed }, at) => (closed ? [at] : []));

test('silent connections, of however many addresses, shut nobody out', async () => {
  const few = await silent('127.0.2.1', 10);
  const many = [];
  for (const last of [1, 2, 3, 4]) many.push(await silent(`127.0.1.${last}`, 64));
  for (let times = 0; times < 3; times++) expect(await ask('127.0.0.9')).toBe(200);
  // Who has fewest of them loses none.
  expect(ended(few)).toEqual([]);
  expect(ended(many.flat()).length).toBeGreaterThanOrEqual(10);
});

test('nor others of their own network: the one that has been silent for longest makes room', async () => {
  const mine = await silent('127.0.1.1', 64);
  expect(await ask('127.0.1.1')).toBe(200);
  await until(() => ended(mine).length === 1, 'it is ended');
  expect(ended(mine)).toEqual([0]);
});

test('nor does what was answered and stays open, or announces a body that never comes', async () => {
  await keep('127.0.1.1', 64, '/v1/fast', 0);
  expect(await ask('127.0.1.1')).toBe(200);
  await keep('127.0.1.2', 64, '/v1/slow', 5);
  await until(() => slow === 64, 'all have asked');
  expect(await ask('127.0.1.2')).toBe(200);
});

test('what waits for its answer keeps its place, and beyond the share of its network there is none', async () => {
  const waiting = Array.from({ length: 64 }, () => ask('127.0.1.1', '/v1/slow'));
  await until(() => slow === 64, 'all have asked');
  expect(await ask('127.0.1.1')).not.toBe(200);
  for (const last of [2, 3, 4]) await silent(`127.0.1.${last}`, 64);
  expect(await ask('127.0.0.9')).toBe(200);
  answered.resolve();
  expect(await Promise.all(waiting)).toEqual(waiting.map(() => 200));
});

import { afterEach, expect, test } from '@jest/globals';
import { Agent, createServer, request } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { until } from '../../../test/support/wait.ts';
import { givePlaces, mostConnections, mostPipelined, mostUnproven } from './connection-places.ts';

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0).reverse()) close();
});

/** Whoever asks for `/known` has proven who they are; `/wait` is answered when the test says so. */
async function start() {
  const waiting: ServerResponse[] = [];
  const clock = fakeClock();
  const server = createServer((asked: IncomingMessage, response) => {
    if (asked.socket.destroyed) return;
    if (asked.url === '/known') places.prove(asked);
    if (asked.url === '/wait') waiting.push(response);
    else response.end(asked.url === '/long' ? 'x'.repeat(20_000_000) : 'answered');
  });
  // Hundreds of connections take their time: none of those that are kept is to end by itself meanwhile.
  Object.assign(server, { keepAliveTimeout: 600_000, headersTimeout: 0, requestTimeout: 0 });
  const places = givePlaces(server, clock);
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const connections = (): Promise<number> =>
    new Promise((resolve) => server.getConnections((_error, count) => resolve(count)));
  return {
    waiting,
    connections,
    clock,
    /** A connection that sends something, and reads nothing. */
    async deaf(text: string, localAddress = '127.0.0.1'): Promise<Socket> {
      const socket = connect({ host: '127.0.0.1', port, localAddress })
        .on('error', () => undefined)
        .pause();
      closing.push(() => socket.destroy());
      await new Promise((connected) => socket.once('connect', connected));
      socket.write(text);
      return socket;
    },
    /** Connections that send half a header, from an address of this machine. */
    async silent(count: number, localAddress = '127.0.0.1'): Promise<Socket[]> {
      const made: Socket[] = [];
      for (let n = 0; n < count; n++) {
        const socket = connect({ host: '127.0.0.1', port, localAddress }).on('error', () => undefined);
        closing.push(() => socket.destroy());
        await new Promise((connected) => socket.once('connect', connected));
        socket.write('GET / HTTP/1.1\r\nhost: r\r\nx: ');
        made.push(socket);
      }
      return made;
    },
    ask(path: string, agent: Agent, localAddress = '127.0.0.1'): Promise<string> {
      return new Promise((resolve, reject) => {
        request({ host: '127.0.0.1', port, path, agent, localAddress }, (response) => {
          const { localPort } = response.socket;
          response.resume().on('end', () => resolve(`${response.statusCode} ${localPort}`));
        })
          .on('error', reject)
          .end();
      });
    },
  };
}
const kept = (): Agent => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  closing.push(() => agent.destroy());
  return agent;
};
const closedOf = (sockets: readonly Socket[]): number => sockets.filter(({ closed }) => closed).length;

test('connections of one address that have proven nothing are bounded: the oldest makes room for one more', async () => {
  const { silent, ask, connections } = await start();
  const sockets = await silent(mostUnproven + 9);
  await until(() => closedOf(sockets) === 9, 'those that made room');
  expect(sockets.slice(0, 9).every(({ closed }) => closed)).toBe(true);
  expect(await ask('/', kept())).toMatch('200');
  await until(async () => (await connections()) === mostUnproven, 'the bound');
});

test('who has proven who they are keeps the connection, and who waits for an answer gets it', async () => {
  const { silent, ask, waiting } = await start();
  const [known, patient] = [kept(), kept()];
  const first = await ask('/known', known);
  const answer = ask('/wait', patient);
  await until(() => waiting.length === 1, 'the question');
  const sockets = await silent(2 * mostUnproven);
  await until(() => closedOf(sockets) === mostUnproven + 1, 'those that made room');
  expect(await ask('/', known)).toBe(first);
  waiting[0]?.end();
  expect(await answer).toMatch('200');
});

test('all are bounded: who comes from elsewhere takes the place of one of the address that has most', async () => {
  const { silent, ask, connections } = await start();
  const known = kept();
  const first = await ask('/known', known, '127.0.0.3');
  const sockets: Socket[] = [];
  for (let n = 0; n < mostConnections / mostUnproven + 2; n++)
    sockets.push(...(await silent(mostUnproven, `127.0.1.${n + 1}`)));
  await until(async () => (await connections()) <= mostConnections, 'the bound');
  expect(await ask('/', kept(), '127.0.0.2')).toMatch('200');
  expect(await ask('/', known, '127.0.0.3')).toBe(first);
  // Two of the places are those of who asked.
  await until(() => sockets.length - closedOf(sockets) === mostConnections - 2, 'those that made room');
});

const head = (path: string): string => `GET ${path} HTTP/1.1\r\nhost: r\r\n\r\n`;

test('a connection that asks on and on before it was answered is closed, with what it asked', async () => {
  const { deaf, waiting, connections } = await start();
  await deaf(head('/wait').repeat(mostPipelined));
  await until(() => waiting.length === mostPipelined, 'all that may wait');
  await deaf(head('/wait').repeat(500));
  await until(async () => (await connections()) === 1, 'the end of it');
  expect(waiting).toHaveLength(2 * mostPipelined);
});

test('who does not take an answer loses the connection after a minute, and before where others come', async () => {
  const { deaf, clock, connections, silent } = await start();
  await deaf(head('/long'));
  await until(() => clock.pending === 1, 'the answer');
  clock.advance(59_999);
  expect(await connections()).toBe(1);
  clock.advance(1);
  await until(async () => (await connections()) === 0, 'the end of it');
  expect(clock.pending).toBe(0);
  for (let n = 0; n < mostUnproven; n++) await deaf(head('/long'));
  await until(() => clock.pending === mostUnproven, 'the answers');
  const [one] = await silent(1);
  await until(() => clock.pending === mostUnproven - 1, 'one that made room');
  expect(one?.closed).toBe(false);
});

import { afterEach, describe, expect, test } from '@jest/globals';
import { createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { silentLogger, systemClock } from '../../pkg/base/index.ts';
import { dialOwnPort, pathFaults } from './own-ports.ts';

const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await new Promise((done) => server.close(done));
});

async function listen(onPeer: (peer: string) => void = () => undefined): Promise<number> {
  const server = createServer((socket) => {
    onPeer(`${socket.remoteAddress ?? ''} ${socket.remotePort ?? 0}`);
    socket.on('error', () => undefined).resume();
  });
  servers.push(server);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return (server.address() as AddressInfo).port;
}

const clock = systemClock;
const nobody = { clock, arrivedFrom: () => false };

describe("the sidecar's own way to a port", () => {
  test('nothing listens', async () => {
    expect(await dialOwnPort({ host: '127.0.0.1', port: 1, ...nobody })).toBe('refused');
  });

  test('somebody listens', async () => {
    expect(await dialOwnPort({ host: '127.0.0.1', port: await listen(), ...nobody })).toBe('somebody');
  });

  test('it leads back', async () => {
    const arrived = new Set<string>();
    const port = await listen((peer) => arrived.add(peer));
    const arrivedFrom = (peer: string): boolean => arrived.delete(peer);
    expect(await dialOwnPort({ host: '127.0.0.1', port, clock, arrivedFrom })).toBe('ours');
  });

  test('leads nowhere', async () => {
    expect(await dialOwnPort({ host: 'no-such-host.invalid', port: 9, ...nobody })).toBe('nobody');
  });

  test('faults are named once, and a model that does not listen yet is none', async () => {
    const port = await listen();
    const look = (ports: readonly number[], arrived: boolean): Promise<readonly string[]> =>
      pathFaults({ ports, hosts: ['127.0.0.1', '127.0.0.1'], clock, arrivedFrom: () => arrived, logger: silentLogger });
    expect(await look([1, port], false)).toEqual([]);
    expect(await look([1, port], true)).toEqual(['redirect_loop']);
  });
});

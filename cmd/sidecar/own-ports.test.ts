import { afterEach, describe, expect, test } from '@jest/globals';
import { createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { silentLogger, systemClock } from '../../pkg/base/index.ts';
import { dialOwnPort, findModels, pathFaults, podAddresses, watchExposure } from './own-ports.ts';
import { pause, until } from '../../test/support/wait.ts';

const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await new Promise((done) => server.close(done));
});

async function listen(onPeer: (peer: string) => void = () => undefined, host = '127.0.0.1', at = 0): Promise<number> {
  const server = createServer((socket) => {
    onPeer(`${socket.remoteAddress ?? ''} ${socket.remotePort ?? 0}`);
    socket.on('error', () => undefined).resume();
  });
  servers.push(server);
  await new Promise<void>((done) => server.listen(at, host, done));
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

describe('where the model listens', () => {
  test("is loopback until it was found, then the pod's address where it listens on that alone; and it is not asked again", async () => {
    let asked = 0;
    const port = await listen(() => asked++, '127.0.0.1');
    const only = await listen(() => asked++, '127.0.0.7');
    const search = findModels({ ports: [port, only, 1], hosts: ['127.0.0.1', '127.0.0.7'], ...nobody });
    try {
      expect(search.hostOf(only)).toBe('127.0.0.1');
      await until(() => search.hostOf(only) === '127.0.0.7');
      expect(search.hostOf(port)).toBe('127.0.0.1');
      expect(search.hostOf(1)).toBe('127.0.0.1');
      await pause(1_200);
      expect(asked).toBe(2);
    } finally {
      search.close();
    }
  });
});

describe('a port that is open past the sidecar', () => {
  test('is seen on any address, and before each was tried nothing is said', async () => {
    const port = await listen(undefined, '127.0.0.8');
    const watch = watchExposure({ ports: [1, port], hosts: ['127.0.0.7', '127.0.0.8'], clock, logger: silentLogger });
    try {
      expect(watch.exposed()).toBeUndefined();
      await until(() => watch.exposed() !== undefined);
      expect(watch.exposed()).toEqual([port]);
    } finally {
      watch.close();
    }
  });

  test('addresses of the pod are those that others can dial', () => {
    const addresses = podAddresses('10.1.2.3');
    expect(addresses[0]).toBe('10.1.2.3');
    expect(addresses).not.toContain('127.0.0.1');
    expect(addresses.filter((one) => one.startsWith('fe80:'))).toEqual([]);
  });
});

import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { afterEach, expect, test } from '@jest/globals';
import type { IngestLimits } from '../../pkg/recorder/index.ts';
import { startRecorder } from '../support/recorder.ts';
import type { TestRecorder } from '../support/recorder.ts';
import { until } from '../support/wait.ts';

// Many pods may come from one address: a node that masquerades, a gateway between clusters. Who they are is what counts, once they have shown it.

let recorder: TestRecorder;
const open: (Duplex | Socket)[] = [];
afterEach(async () => {
  for (const socket of open.splice(0)) socket.destroy();
  await recorder.close();
});
const start = async (limits: Partial<IngestLimits>): Promise<void> => {
  recorder = await startRecorder({ limits });
};
const stream = async (uid: string): Promise<void> => {
  open.push(await recorder.connect(await recorder.identity(uid)));
};

test('any number of sidecars of one address is let in', async () => {
  await start({ perAddress: 2 });
  for (let n = 0; n < 12; n++) await stream(`uid-${n}`);
  expect(recorder.told).toEqual([]);
});

/** A connection that says nothing. */
async function silent(localAddress: string): Promise<Socket> {
  const socket = connect({ port: recorder.port(), host: '127.0.0.1', localAddress });
  socket.on('error', () => undefined);
  open.push(socket);
  await once(socket, 'connect');
  return socket;
}

test('nothing is kept of a connection that is closed, whoever it was', async () => {
  await start({});
  for (let n = 0; n < 5; n++) await stream(`uid-${n}`);
  for (let n = 0; n < 20; n++) await silent('127.0.0.1');
  await until(
    () => recorder.connections() === 25,
    () => `all: ${recorder.connections()}`,
  );
  for (const socket of open.splice(0)) socket.destroy();
  await until(
    () => recorder.connections() === 0,
    () => `none: ${recorder.connections()}`,
  );
});

test('connections of one address that show nothing are few: the oldest makes room for one more', async () => {
  await start({ perAddress: 2 });
  const [one, two] = [await silent('127.0.0.1'), await silent('127.0.0.1')];
  const gone = once(one, 'close');
  const three = await silent('127.0.0.1');
  await gone;
  const next = once(two, 'close');
  await stream('uid-1');
  await next;
  expect(three.closed).toBe(false);
  expect(recorder.told.filter((told) => told === 'refused overloaded')).toHaveLength(2);
});

test('nor do connections that have no certificate and say nothing behind their handshake keep a sidecar of their address out', async () => {
  await start({ perAddress: 3, handshakes: 2 });
  const sockets: Socket[] = [];
  for (let n = 0; n < 3; n++) {
    const socket = connectTls({ port: recorder.port(), host: '127.0.0.1', rejectUnauthorized: false });
    socket.on('error', () => undefined);
    open.push(socket);
    sockets.push(socket);
    await once(socket, 'secureConnect');
    // The server's side of the handshake.
    await once(socket, 'session');
  }
  const [oldest] = sockets;
  const gone = oldest?.closed === true ? undefined : once(sockets[0] as Socket, 'close');
  await stream('uid-1');
  await gone;
  expect(sockets.map(({ closed }) => closed)).toEqual([true, false, false]);
  expect(recorder.told).toEqual(['refused overloaded']);
});

test('silent connections of many addresses keep no sidecar out', async () => {
  await start({ handshakes: 8, perAddress: 4 });
  const sockets: Socket[] = [];
  for (let round = 0; round < 3; round++) {
    for (let n = 0; n < 12; n++) sockets.push(await silent(`127.0.1.${1 + (n % 3)}`));
    await stream(`uid-${round}`);
  }
  await until(() => sockets.filter(({ closed }) => !closed).length <= 8, 'the bound');
});

test('one sidecar has few streams, whatever address it comes from', async () => {
  await start({ perSource: 2 });
  await stream('uid-1');
  await stream('uid-1');
  await expect(stream('uid-1')).rejects.toThrow('not ready');
  expect(recorder.told).toEqual(['refused overloaded']);
  await stream('uid-2');
});

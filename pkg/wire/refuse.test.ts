import { afterEach, expect, test } from '@jest/globals';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { until } from '../../test/support/wait.ts';
import { refuseSocket } from './refuse.ts';

let server: Server;
let peer: Socket;
afterEach(() => {
  peer.destroy();
  server.close();
});

/** A refused connection, and what its peer has read. */
async function refused(clock: ReturnType<typeof fakeClock>) {
  const sockets: Socket[] = [];
  server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    refuseSocket(socket, 'HTTP/1.1 401 Unauthorized\r\n\r\n', clock);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const read: Buffer[] = [];
  peer = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true });
  peer.on('data', (chunk: Buffer) => read.push(chunk));
  peer.on('error', () => undefined);
  await until(() => sockets.length === 1 && Buffer.concat(read).includes('401'), 'the refusal');
  return sockets[0] as Socket;
}

test('a peer that keeps its half open is cut off after a second', async () => {
  const clock = fakeClock();
  const socket = await refused(clock);
  expect(socket.destroyed).toBe(false);
  clock.advance(999);
  expect(socket.destroyed).toBe(false);
  clock.advance(1);
  expect(socket.destroyed).toBe(true);
});

test('a peer that closes leaves nothing behind', async () => {
  const clock = fakeClock();
  const socket = await refused(clock);
  peer.end('what it had to say');
  await until(() => socket.destroyed, 'the end of the socket');
  expect(clock.pending).toBe(0);
});

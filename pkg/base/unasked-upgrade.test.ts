import { expect, test } from '@jest/globals';
import { request } from 'node:http';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { onUnaskedUpgrade } from './unasked-upgrade.ts';

test('a call that is answered 101 ends', async () => {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () =>
      socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n'),
    );
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;
  const ended = await new Promise<string>((resolve) => {
    const call = request({ host: '127.0.0.1', port, agent: false, timeout: 3_000 }, () => resolve('answered'));
    call.on('timeout', () => call.destroy(new Error('late')));
    call.on('error', (error) => resolve(error.message));
    onUnaskedUpgrade(call, () => resolve('refused'));
    call.end();
  });
  expect(ended).toBe('refused');
  // Its connection is closed: no server waits for it.
  await new Promise((closed) => void server.close(closed));
});

import { expect, test } from '@jest/globals';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { createKubeClient } from './client.ts';

test('whoever answers 101 in the place of the API server is waited for no longer', async () => {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () =>
      socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n'),
    );
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const client = createKubeClient({
    access: {
      server: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`),
      read: async () => ({
        ...{ ca: undefined, cert: undefined, key: undefined },
        ...{ authorization: undefined, serverName: undefined, insecure: false },
      }),
    },
  });
  await expect(client.request({ method: 'GET', path: '/version', timeoutMs: 500 })).rejects.toMatchObject({
    code: 'bad_answer',
  });
  client.close();
  await new Promise((closed) => void server.close(closed));
});

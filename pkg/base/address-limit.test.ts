import { expect, test } from '@jest/globals';
import { EventEmitter } from 'node:events';
import type { Server } from 'node:net';
import { limitByAddress } from './index.ts';

test('of one address so many connections are open at once, whatever others have', () => {
  const server = new EventEmitter();
  limitByAddress(server as Server, 2);
  const open = (remoteAddress: string | undefined) => {
    const socket = Object.assign(new EventEmitter(), {
      remoteAddress,
      destroyed: false,
      destroy() {
        socket.destroyed = true;
        socket.emit('close');
      },
    });
    server.emit('connection', socket);
    return socket;
  };
  const [first, second, third] = ['10.0.0.1', '::ffff:10.0.0.1', '10.0.0.1'].map(open);
  expect([first?.destroyed, second?.destroyed, third?.destroyed]).toEqual([false, false, true]);
  expect(['10.0.0.2', 'fd00::2'].map((one) => open(one).destroyed)).toEqual([false, false]);
  first?.destroy();
  expect(['10.0.0.1', '10.0.0.1'].map((one) => open(one).destroyed)).toEqual([false, true]);
});

import { PassThrough } from 'node:stream';
import { expect, test } from '@jest/globals';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { WebSocketFault } from './frame-reader.ts';
import { frame } from './frame-writer.ts';
import { WebSocket } from './web-socket.ts';

/** A caller's WebSocket, what its watch was told, and what was written to the caller. */
function opened(begin: () => void): {
  readonly socket: PassThrough;
  readonly faults: unknown[];
  readonly ends: boolean[];
} {
  const socket = new PassThrough();
  const faults: unknown[] = [];
  const ends: boolean[] = [];
  const nothing = (): void => undefined;
  new WebSocket({
    ...{ socket, head: Buffer.alloc(0), role: 'server', maxMessageBytes: 1_000, clock: fakeClock() },
    watch: {
      ...{
        begin,
        bytes: nothing,
        done: nothing,
        ping: nothing,
        pong: nothing,
        close: nothing,
        read: nothing,
        room: nothing,
      },
      fault: (error) => faults.push(error),
      gone: (closed) => ends.push(closed),
    },
  });
  return { socket, faults, ends };
}
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a fault of whoever watches cuts the connection and is told, and ends no process', async () => {
  const fault = new TypeError('a fault of ours');
  const { socket, faults, ends } = opened(() => {
    throw fault;
  });
  socket.write(frame(0x81, Buffer.from('{}'), true));
  await turn();
  await turn();
  expect(faults).toEqual([fault]);
  expect(ends).toEqual([false]);
  expect(socket.destroyed).toBe(true);
});

test('a fault of the peer is told with the code that it was closed with', async () => {
  const { socket, faults } = opened(() => undefined);
  socket.write(frame(0x81, Buffer.from('{}'), false));
  await turn();
  expect(faults).toEqual([expect.objectContaining({ code: 1002 })]);
  expect(faults[0]).toBeInstanceOf(WebSocketFault);
});

test('who is paused hears nothing more, however much came in one read, and all of it in order once they go on', async () => {
  const socket = new PassThrough();
  const heard: string[] = [];
  const nothing = (): void => undefined;
  const webSocket = new WebSocket({
    ...{ socket, head: Buffer.alloc(0), role: 'server', maxMessageBytes: 1_000, clock: fakeClock() },
    watch: {
      ...{ begin: nothing, ping: nothing, pong: nothing, close: nothing, read: nothing, room: nothing, gone: nothing },
      bytes: (piece) => heard.push(piece.toString()),
      done: () => {
        if (heard.length % 16 === 0) webSocket.pause();
      },
      fault: (error) => heard.push(String(error)),
    },
  });
  const all = Array.from({ length: 40 }, (_, at) => `message ${at}`);
  const sent = Buffer.concat(all.map((one) => frame(0x81, Buffer.from(one), true)));
  socket.write(sent);
  for (const many of [16, 32, 40]) {
    await turn();
    await turn();
    expect(heard).toEqual(all.slice(0, many));
    webSocket.resume();
  }
  expect(webSocket.bytesIn).toBe(sent.length);
});

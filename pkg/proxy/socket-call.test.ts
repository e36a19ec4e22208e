import { expect, test } from '@jest/globals';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { readSocketRecords } from '../dialect/index.ts';
import type { SocketRecord } from '../dialect/index.ts';
import type { WebSocket, WebSocketUpstream, WebSocketWatch } from '../http/index.ts';
import { SocketCall } from './socket-call.ts';
import type { SocketExchange } from './socket-exchange.ts';

/** A model's WebSocket that is open: what is written to it, and what its reads become. */
function opened() {
  const writes: (readonly SocketRecord[])[] = [];
  const heard: string[][] = [];
  let watch: WebSocketWatch | undefined;
  const socket = {
    sendAll: (frames: readonly SocketRecord[]) => (writes.push(frames), true),
    destroy: () => undefined,
  };
  const model: WebSocketUpstream = {
    open: (_request, opening) => {
      opening.opened(undefined, (one) => {
        watch = one;
        return socket as unknown as WebSocket;
      });
      return () => undefined;
    },
  };
  const exchange = {} as SocketExchange;
  const call = new SocketCall({ model, exchange, clock: fakeClock(), protocols: [] });
  call.upstream.send(
    { method: 'GET', path: '/', headers: {}, body: undefined, idleMs: 1_000 },
    {
      head: () => undefined,
      bodyReleased: () => undefined,
      data: (chunk) => heard.push(readSocketRecords(chunk).map(({ payload }) => payload.toString('utf8'))),
      end: () => undefined,
      error: () => undefined,
    },
  );
  if (watch === undefined) throw new Error('not opened');
  return { call, watch, writes, heard };
}

const say = (watch: WebSocketWatch, text: string): void => {
  watch.begin(0x81, text.length);
  watch.bytes(Buffer.from(text));
  watch.done(0x81);
};

test('frames that came in one read are read as one, and before whatever ends them', () => {
  const { watch, heard } = opened();
  say(watch, 'one');
  say(watch, 'two');
  expect(heard).toEqual([]);
  watch.read();
  expect(heard).toEqual([['one', 'two']]);
  say(watch, 'three');
  watch.fault(new Error('a fault'));
  expect(heard).toEqual([['one', 'two'], ['three']]);
});

test('messages of a caller that go on together leave in one write, in the frames in which they came', async () => {
  const { call, writes } = opened();
  await call.send([
    { bytes: Buffer.from('one'), binary: false, frames: [1, 2] },
    { bytes: Buffer.from('two'), binary: true, frames: [3] },
  ]);
  expect(writes.map((list) => list.map(({ first, payload }) => [first, payload.toString('utf8')]))).toEqual([
    [
      [0x01, 'o'],
      [0x80, 'ne'],
      [0x82, 'two'],
    ],
  ]);
});

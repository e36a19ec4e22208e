import { expect, test } from '@jest/globals';
import { socketRecord } from '../dialect/index.ts';
import type { SocketRecord } from '../dialect/index.ts';
import type { UpgradeRequest, WebSocketWatch } from '../http/index.ts';
import { SocketExchange } from './socket-exchange.ts';

/** A caller that goes on sending whatever happens, and what is counted of it. */
function caller(sent: (frames: readonly SocketRecord[]) => void = () => undefined): {
  readonly exchange: SocketExchange;
  readonly watch: WebSocketWatch;
  readonly taken: () => number;
} {
  let watch: WebSocketWatch | undefined;
  let taken = 0;
  const nothing = (): void => undefined;
  const upgrade = {
    onClose: nothing,
    accept: (how: { readonly watch: WebSocketWatch }) => {
      watch = how.watch;
      return {
        close: nothing,
        pause: nothing,
        resume: nothing,
        send: () => true,
        sendAll: (frames: readonly SocketRecord[]) => (sent(frames), true),
      };
    },
    budget: { take: (bytes: number) => void (taken += bytes), give: (bytes: number) => void (taken -= bytes) },
  };
  const exchange = new SocketExchange(upgrade as unknown as UpgradeRequest);
  exchange.limits = { maxBytes: 1_000, owner: 'o' };
  exchange.start(101, {});
  if (watch === undefined) throw new Error('not accepted');
  return { exchange, watch, taken: () => taken };
}

function send(watch: WebSocketWatch, text: string): void {
  watch.begin(0x81, Buffer.byteLength(text));
  if (text !== '') watch.bytes(Buffer.from(text));
  watch.done(0x81);
}

test('of a caller that was closed nothing is kept, neither what waited nor what still comes', async () => {
  const { exchange, watch, taken } = caller();
  send(watch, 'first');
  expect(taken()).toBe(5);
  exchange.end();
  expect(taken()).toBe(0);
  for (let at = 0; at < 100; at++) send(watch, at % 2 === 0 ? '' : 'more');
  expect(taken()).toBe(0);
  await expect(exchange.nextSocketMessage()).resolves.toBeUndefined();
});

test('what leaves of one read of the model leaves in one write', () => {
  const writes: (readonly SocketRecord[])[] = [];
  const { exchange } = caller((frames) => writes.push(frames));
  const texts = ['one', 'two', 'three'].map((text) => ({ first: 0x81, payload: Buffer.from(text) }));
  exchange.write(Buffer.concat(texts.map(({ first, payload }) => socketRecord(first, payload))).toString('latin1'));
  expect(writes).toEqual([texts]);
});

test('a message waits for whoever asks', async () => {
  const { exchange, watch } = caller();
  send(watch, 'first');
  const message = await exchange.nextSocketMessage();
  expect(message?.bytes.toString()).toBe('first');
});

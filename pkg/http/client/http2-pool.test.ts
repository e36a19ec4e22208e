import { createServer } from 'node:http2';
import type { ClientHttp2Stream, Http2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import type { FakeClock } from '../../../test/support/fake-clock.ts';
import { Http2Pool } from './http2-pool.ts';
import type { Http2ClientLimits } from './http2-pool.ts';

let server: Http2Server;
let pool: Http2Pool;
let clock: FakeClock;
const ends: (() => void)[] = [];

beforeEach(async () => {
  server = createServer();
  server.on('session', (session) => ends.push(() => session.destroy()));
  server.on('stream', (stream) => stream.on('error', () => undefined));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  clock = fakeClock();
});
afterEach(() => {
  pool.close();
  for (const end of ends.splice(0)) end();
  server.close();
});

const hour = 3_600_000;
function makePool(limits: Partial<Http2ClientLimits> = {}): void {
  pool = new Http2Pool({
    clock,
    address: { host: '127.0.0.1', port: (server.address() as AddressInfo).port },
    tls: undefined,
    limits: {
      ...{ connectMs: 5_000, idleSessionMs: 60_000, maxAgeMs: hour, maxHeaderBytes: 65_536, maxHeaders: 200 },
      ...{ maxSessions: 64, maxStreams: 100, windowBytes: 65_536 },
      ...limits,
    },
  });
}

interface Taken {
  readonly stream: ClientHttp2Stream;
  readonly reused: boolean;
}

const take = (fresh = false): Promise<Taken> =>
  new Promise((resolve, reject) => {
    pool.take(
      {
        headers: { ':path': '/', ':method': 'POST' },
        opened(stream, reused) {
          stream.on('error', () => undefined);
          resolve({ stream, reused });
        },
        failed: (why) => reject(new Error(why)),
      },
      fresh,
    );
  });

test.each(['destroy', 'close'] as const)(
  'a connection that has just ended (%s) is no fault: there is another',
  async (end) => {
    makePool();
    const first = await take();
    first.stream.session?.[end]();
    const second = await take();
    expect(second.reused).toBe(false);
    expect(second.stream.session).not.toBe(first.stream.session);
    first.stream.destroy();
  },
);

test('headers that cannot be sent fail, however many connections there are', async () => {
  makePool();
  await take();
  const failed = new Promise((resolve) => {
    pool.take({ headers: { 'a b': 'c' }, opened: () => resolve('opened'), failed: resolve });
  });
  await expect(failed).resolves.toBe('protocol');
});

test('who waits for a connection that has carried nothing gets no other', async () => {
  makePool({ maxStreams: 1 });
  const first = await take();
  const second = take(true);
  first.stream.destroy();
  await expect(second).resolves.toMatchObject({ reused: false });
});

test('where no more connections may be made, another does', async () => {
  makePool({ maxStreams: 1, maxSessions: 1 });
  const first = await take();
  const second = take(true);
  first.stream.destroy();
  await expect(second).resolves.toMatchObject({ reused: true });
});

test('a connection takes no new streams after an hour, however much it is used', async () => {
  makePool();
  const first = await take();
  clock.advance(hour - 60_000);
  await expect(take()).resolves.toMatchObject({ reused: true });
  clock.advance(90_000);
  const last = await take();
  expect(last.reused).toBe(false);
  expect(first.stream.destroyed).toBe(false);
});

import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { createClient } from '@redis/client';
import { silentLogger, systemClock } from '../../pkg/base/index.ts';
import type { LimitStore, SharedBucket, SharedGrant } from '../../pkg/core/index.ts';
import { createLimitStore } from '../../pkg/valkey/index.ts';
import { answerChat } from '../support/scripted-model.ts';
import type { ValkeyServer } from '../support/valkey.ts';
import { startValkey } from '../support/valkey.ts';
import { basePolicy, startWorld } from '../support/world.ts';
import { pause, until } from '../support/wait.ts';

// The server that counts for all pods, spoilt, demoted, deaf and slow.

const ends: (() => unknown)[] = [];
let valkey: ValkeyServer;
beforeAll(async () => {
  valkey = await startValkey();
});
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});
afterAll(() => valkey.stop());

function storeOf(url: string, timeoutMs = 10_000): LimitStore {
  const store = createLimitStore({ url, clock: systemClock, logger: silentLogger, timeoutMs });
  ends.push(() => store.close());
  return store;
}

/** Asks until there is an answer, as a sidecar does once a second. */
async function answer(store: LimitStore, bucket: SharedBucket, everyMs = 20, tries = 200): Promise<SharedGrant> {
  for (let at = 0; at < tries; at++) {
    const grant = await store.take(bucket, 1, 1).catch(() => undefined);
    if (grant !== undefined) return grant;
    await pause(everyMs);
  }
  throw new Error('no answer');
}

const adminOf = async (url: string): Promise<(...args: string[]) => Promise<unknown>> => {
  const client = createClient({ url });
  client.on('error', () => undefined);
  await client.connect();
  ends.push(() => client.destroy());
  return (...args) => client.sendCommand(args);
};

describe('what stands in a bucket', () => {
  test.each<[string, (key: string) => string[]]>([
    ['a text', (key) => ['SET', key, 'x']],
    ['a list', (key) => ['LPUSH', key, 'x']],
    ['words', (key) => ['HSET', key, 'l', 'many', 't', 'never']],
    ['nan', (key) => ['HSET', key, 'l', 'nan', 't', 'nan']],
    ['inf', (key) => ['HSET', key, 'l', 'inf', 't', '0']],
    ['more than it holds', (key) => ['HSET', key, 'l', '1000000000', 't', '1']],
    ['a debt for ever', (key) => ['HSET', key, 'l', '-1e300', 't', '1']],
    ['half of one', (key) => ['HSET', key, 'l', '5']],
    ['a time past all clocks', (key) => ['HSET', key, 'l', '5', 't', '9e17']],
  ])('%s: it grants no more than it may, mends itself, and stays no longer than needed', async (name, command) => {
    const admin = await adminOf(valkey.url);
    const store = storeOf(valkey.url);
    const bucket = { key: `spoilt-${process.pid}-${name}`, capacity: 60 };
    await answer(store, { key: 'ready', capacity: 1 });
    await admin('DEL', `sidegate:limit:${bucket.key}`);
    const began = performance.now();
    await admin(...command(`sidegate:limit:${bucket.key}`));
    const first = await store.take(bucket, 1, 60);
    // One a second comes back.
    expect(first.granted).toBeLessThanOrEqual(6 + (performance.now() - began) / 1_000);
    await pause(1_100);
    expect((await store.take(bucket, 1, 60)).granted).toBeGreaterThanOrEqual(1);
    const left = Number(await admin('PTTL', `sidegate:limit:${bucket.key}`));
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThanOrEqual(62_000);
  });

  test('debts that add up are paid off within an hour', async () => {
    const store = storeOf(valkey.url);
    const bucket = { key: `debt-${process.pid}`, capacity: 10 };
    await answer(store, { key: 'ready', capacity: 1 });
    for (let turn = 0; turn < 3; turn++) await store.settle(bucket, -Number.MAX_SAFE_INTEGER);
    const { granted, waitMs } = await store.take(bucket, 1, 1);
    expect(granted).toBe(0);
    expect(waitMs).toBeLessThanOrEqual(61 * 60_000);
  });
});

describe('a server that fails over', () => {
  test('one that was demoted is left: behind its name is another by then', async () => {
    const next = await startValkey();
    ends.push(() => next.stop());
    const front = await relay(valkey.port);
    const store = storeOf(front.url, 250);
    await answer(store, { key: 'f', capacity: 100 });
    const admin = await adminOf(valkey.url);
    await admin('REPLICAOF', '127.0.0.1', `${next.port}`);
    ends.push(() => admin('REPLICAOF', 'NO', 'ONE'));
    front.to = next.port;
    // The old connection still stands, and refuses to write.
    const began = performance.now();
    await answer(store, { key: 'f', capacity: 100 }, 100, 100);
    expect(performance.now() - began).toBeLessThan(20_000);
  });

  test('one that went away without a word is left after some seconds, and the connection with it', async () => {
    const front = await relay(valkey.port);
    const store = storeOf(front.url, 100);
    await answer(store, { key: 'g', capacity: 100 });
    front.swallow();
    const began = performance.now();
    await answer(store, { key: 'g', capacity: 100 }, 300, 60);
    const took = performance.now() - began;
    expect(took).toBeGreaterThan(3_000);
    expect(took).toBeLessThan(30_000);
    await until(() => front.open() === 1, 'the old connection is closed');
  });
});

test('closing does not wait for a server that does not answer', async () => {
  const own = await startValkey();
  ends.push(() => own.stop());
  const store = storeOf(own.url);
  await answer(store, { key: 'c', capacity: 1 });
  own.freeze();
  const asked = store.take({ key: 'c', capacity: 100 }, 1, 1).catch(() => 'refused');
  // It stays deaf: whoever waits for it waits for ever.
  await store.close();
  expect(await asked).toBe('refused');
});

/** A relay whose target can be changed for new connections, and that can stop passing bytes of old ones on without closing them. */
async function relay(port: number): Promise<{ url: string; to: number; swallow(): void; open(): number }> {
  const pairs = new Set<{ client: Socket; target: Socket }>();
  const state = { to: port };
  const server = createServer((client) => {
    const target = connect(state.to, '127.0.0.1');
    const pair = { client, target };
    pairs.add(pair);
    client.pipe(target).on('error', () => client.destroy());
    target.pipe(client).on('error', () => target.destroy());
    client.on('close', () => {
      pairs.delete(pair);
      target.destroy();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  ends.push(() => {
    server.close();
    for (const { client, target } of pairs) {
      client.destroy();
      target.destroy();
    }
  });
  return Object.assign(state, {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    open: () => pairs.size,
    swallow() {
      for (const { client, target } of pairs) {
        client.unpipe(target);
        target.unpipe(client);
        client.resume();
        target.resume();
      }
    },
  });
}

test('a caller who leaves while the count is asked holds no place, and the model hears nothing', async () => {
  let release: () => void = () => undefined;
  let asked = 0;
  let delayed = true;
  const store: LimitStore = {
    async take(_bucket, _least, most) {
      asked++;
      if (delayed) await new Promise<void>((resolve) => (release = resolve));
      // Near its limit: each request asks.
      return { granted: most, remaining: 0, waitMs: 0 };
    },
    settle: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
  const world = await startWorld({
    policy: (issuer) =>
      basePolicy(issuer).replace(
        'operations: [Chat',
        'limits: { requestsPerMinute: 60, concurrentRequests: 1, scope: Policy }\n    operations: [Chat',
      ),
    limitStore: store,
  });
  ends.push(() => world.close());
  world.model.script = answerChat('hi');
  const ask = { model: 'llama-3-8b', messages: [{ role: 'user', content: 'hello' }] };
  const path = '/v1/chat/completions';
  for (let turn = 0; turn < 3; turn++) {
    const leaving = new AbortController();
    const before = asked;
    const left = world.post(path, ask, { signal: leaving.signal }).catch(() => 'left');
    await until(() => asked > before);
    leaving.abort();
    await left;
    await until(
      async () => (await world.metrics()).includes(`sidegate_aborted_total{by="caller"} ${turn + 1}\n`),
      'the sidecar knows that the caller left',
    );
    release();
    await pause(50);
    delayed = false;
    expect((await world.post(path, ask)).status).toBe(200);
    expect(world.model.seen).toHaveLength(turn + 1);
    delayed = true;
  }
  const ended = (await world.record()).filter((one) => one['type'] === 'end');
  expect(ended.map((one) => one['outcome']).toSorted()).toEqual([
    ...Array.from({ length: 3 }, () => 'aborted'),
    ...Array.from({ length: 3 }, () => 'completed'),
  ]);
});

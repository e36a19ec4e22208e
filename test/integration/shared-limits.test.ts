import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { Secret, silentLogger, systemClock } from '../../pkg/base/index.ts';
import type { LimitStore } from '../../pkg/core/index.ts';
import { createLimitStore } from '../../pkg/valkey/index.ts';
import { createClusterAuthority } from '../cluster/certificates.ts';
import { answerChat } from '../support/scripted-model.ts';
import type { ValkeyServer } from '../support/valkey.ts';
import { startValkey } from '../support/valkey.ts';
import type { World } from '../support/world.ts';
import { basePolicy, startWorld } from '../support/world.ts';
import { pause, until } from '../support/wait.ts';

// Limits of scope Policy over the real sidecars and a real server.

const path = '/v1/chat/completions';
const ask = { model: 'llama-3-8b', messages: [{ role: 'user', content: 'hello' }], max_tokens: 10 };

let valkey: ValkeyServer;
beforeAll(async () => {
  valkey = await startValkey();
});
afterAll(() => valkey.stop());

const stores: LimitStore[] = [];
const worlds: World[] = [];
afterEach(async () => {
  for (const one of worlds.splice(0)) await one.close();
  for (const one of stores.splice(0)) await one.close();
});

async function connected(options: Partial<Parameters<typeof createLimitStore>[0]> = {}): Promise<LimitStore> {
  const store = createLimitStore({
    url: valkey.url,
    clock: systemClock,
    logger: silentLogger,
    timeoutMs: 10_000,
    ...options,
  });
  stores.push(store);
  for (let tries = 0; tries < 100; tries++) {
    try {
      await store.settle({ key: 'ready', capacity: 1 }, 0);
      return store;
    } catch {
      await pause(20);
    }
  }
  throw new Error('not connected');
}

test('the server is known by TLS alone: by its name and its authority, before it is told the password', async () => {
  const [trusted, other] = await Promise.all(['own', 'other'].map((name) => createClusterAuthority(name)));
  const password = new Secret('the-password');
  for (const url of ['redis://valkey.cache.svc:6379', 'redis://10.0.0.1:6379', 'http://localhost:1'])
    expect(() => createLimitStore({ url, password, clock: systemClock, logger: silentLogger })).toThrow('rediss://');
  const server = await startValkey(['--requirepass', 'the-password'], await trusted!.issue('store', [], ['localhost']));
  try {
    const reached = await connected({ url: server.url, password, ca: trusted!.cert });
    expect(await reached.take({ key: 'tls', capacity: 5 }, 1, 1)).toMatchObject({ granted: 1 });
    const said: string[] = [];
    const logger = { ...silentLogger, warn: (_message: string, fields?: object) => said.push(JSON.stringify(fields)) };
    const refuse = async (url: string, ca: string): Promise<void> => {
      said.length = 0;
      const store = createLimitStore({ url, password, ca, clock: systemClock, logger });
      stores.push(store);
      await until(() => said.length > 0);
      await expect(store.take({ key: 'tls', capacity: 5 }, 1, 1)).rejects.toThrow('not connected');
    };
    await refuse(server.url, other!.cert);
    expect(said[0]).toMatch(/certificate|issuer/i);
    await refuse(server.url.replace('localhost', '127.0.0.1'), trusted!.cert);
    expect(said[0]).toMatch(/altnames/i);
  } finally {
    await server.stop();
  }
});

const policy =
  (limits: string) =>
  (issuer: string): string =>
    basePolicy(issuer).replace('operations: [Chat', `limits: { ${limits} }\n    operations: [Chat`);
async function pod(limits: string, store: LimitStore | undefined, namespace: string): Promise<World> {
  const world = await startWorld({
    policy: policy(limits),
    namespace,
    ...(store === undefined ? {} : { limitStore: store }),
  });
  world.model.script = answerChat('hi');
  worlds.push(world);
  return world;
}

describe('the store', () => {
  test('grants what there is, says when more comes, takes back, and charges beyond', async () => {
    const store = await connected();
    const bucket = { key: `a${process.pid}`, capacity: 60 };
    const began = performance.now();
    /** One a second comes back; the server's clock counts thousandths. */
    const passedMs = (): number => performance.now() - began + 10;
    expect(await store.take(bucket, 1, 50)).toMatchObject({ granted: 50, waitMs: 0 });
    const no = await store.take(bucket, 20, 20);
    expect(no.granted).toBe(0);
    expect(no.waitMs).toBeGreaterThanOrEqual(10_000 - passedMs());
    expect(no.waitMs).toBeLessThanOrEqual(10_000);
    const { granted } = await store.take(bucket, 1, 30);
    expect(granted).toBeGreaterThanOrEqual(10);
    expect(granted).toBeLessThanOrEqual(10 + passedMs() / 1_000);
    await store.settle(bucket, 30);
    await store.settle(bucket, -100);
    const { waitMs } = await store.take(bucket, 1, 1);
    expect(waitMs).toBeGreaterThan(70_000 - passedMs());
    expect(waitMs).toBeLessThanOrEqual(71_000);
  });

  test('many clients at once never take more than there is', async () => {
    const all = await Promise.all([connected(), connected(), connected()]);
    const bucket = { key: `b${process.pid}`, capacity: 100 };
    const began = performance.now();
    const grants = await Promise.all(
      Array.from({ length: 300 }, (_, at) => all[at % 3]?.take(bucket, 1, 3) ?? Promise.reject(new Error('none'))),
    );
    const sum = grants.reduce((total, one) => total + one.granted, 0);
    expect(sum).toBeGreaterThanOrEqual(100);
    expect(sum).toBeLessThanOrEqual(102 + ((performance.now() - began) / 60_000) * 100);
  });

  test('a server that lost the script, and all data, goes on', async () => {
    const store = await connected();
    await valkey.stop();
    await expect(store.take({ key: 'x', capacity: 1 }, 1, 1)).rejects.toThrow();
    await valkey.start();
    let grant;
    for (let tries = 0; grant === undefined && tries < 200; tries++) {
      grant = await store.take({ key: 'x', capacity: 5 }, 1, 1).catch(() => undefined);
      await pause(50);
    }
    expect(grant?.granted).toBe(1);
  });

  test('one that does not answer is given up after the timeout', async () => {
    const store = await connected({ timeoutMs: 100 });
    valkey.freeze();
    // It stays frozen: whoever waits for it waits for ever.
    try {
      await expect(store.take({ key: 'x', capacity: 1 }, 1, 1)).rejects.toThrow('in time');
    } finally {
      valkey.thaw();
    }
  });

  test('a password is used, a wrong one is told without its text', async () => {
    const guarded = await startValkey(['--requirepass', 'right-password']);
    try {
      const good = await connected({ url: guarded.url, password: new Secret('right-password') });
      expect((await good.take({ key: 'p', capacity: 1 }, 1, 1)).granted).toBe(1);
      const lines: string[] = [];
      const logger = {
        ...silentLogger,
        warn: (message: string, more?: unknown) => void lines.push(message + JSON.stringify(more)),
      };
      const bad = createLimitStore({
        url: guarded.url,
        password: new Secret('wrong-password'),
        clock: systemClock,
        logger,
      });
      stores.push(bad);
      await until(() => /WRONGPASS|NOAUTH|invalid/.test(lines.join('\n')));
      await expect(bad.take({ key: 'p', capacity: 1 }, 1, 1)).rejects.toThrow();
      expect(lines.join('\n')).not.toContain('wrong-password');
    } finally {
      await guarded.stop();
    }
  });
});

describe('two sidecars of one policy', () => {
  test('share requestsPerMinute', async () => {
    const one = await pod('requestsPerMinute: 6, scope: Policy', await connected(), 'shared');
    const other = await pod('requestsPerMinute: 6, scope: Policy', await connected(), 'shared');
    // Each world has an issuer of its own; the same caller means the same issuer.
    const token = await one.token();
    await other.setPolicy(policy('requestsPerMinute: 6, scope: Policy')(one.issuer.url));
    const statuses: number[] = [];
    const began = performance.now();
    for (let turn = 0; turn < 5; turn++)
      for (const world of [one, other]) statuses.push((await world.post(path, ask, { token })).status);
    const passed = statuses.filter((status) => status === 200).length;
    expect(statuses.slice(0, 6)).toEqual([200, 200, 200, 200, 200, 200]);
    // One comes back in ten seconds.
    expect(passed).toBeLessThanOrEqual(6 + Math.floor((performance.now() - began) / 10_000));
    expect(statuses.filter((status) => status === 429).length).toBe(10 - passed);
    expect(one.model.seen.length + other.model.seen.length).toBe(passed);
  });

  test('share tokensPerMinute, settled by what was used', async () => {
    const limits = 'tokensPerMinute: 100, maxOutputTokens: 40, scope: Policy';
    const one = await pod(limits, await connected(), 'tokens');
    const other = await pod(limits, await connected(), 'tokens');
    const token = await one.token();
    await other.setPolicy(policy(limits)(one.issuer.url));
    const statuses: number[] = [];
    for (let turn = 0; turn < 10; turn++)
      for (const world of [one, other])
        statuses.push((await world.post(path, { ...ask, max_tokens: 40 }, { token })).status);
    const passed = statuses.filter((status) => status === 200).length;
    expect(passed).toBeGreaterThan(1);
    expect(passed).toBeLessThan(20);
    // Each gives back what it did not use, and time gives more: now and then one passes.
    expect(statuses.slice(-5)).toContain(429);
  });
});

describe('when the store cannot be asked', () => {
  test('the default refuses, counts, and the model sees nothing', async () => {
    const world = await pod('requestsPerMinute: 60, scope: Policy', undefined, 'down');
    const answer = await world.post(path, ask);
    expect(answer.status).toBe(503);
    expect(answer.text).toContain('limits_unavailable');
    expect(world.model.seen).toEqual([]);
  });

  test('PerPod goes on, and receipt, record and metric say so', async () => {
    const world = await pod('requestsPerMinute: 2, scope: Policy, failureMode: PerPod', undefined, 'open');
    const answer = await world.post(path, ask);
    expect(answer.status).toBe(200);
    expect(answer.headers['sidegate-receipt']).toMatch(/limits/);
    expect((await world.post(path, ask)).status).toBe(200);
    expect((await world.post(path, ask)).status).toBe(429);
    world.sidecar.flushRecord();
    expect(JSON.stringify(await world.record())).toContain('"limits"');
    expect(await world.metrics()).toMatch(/sidegate_failed_open_total [1-9]/);
  });

  test('a server that dies under load: refused from then on, and served again when it is back', async () => {
    const store = await connected({ timeoutMs: 2_000 });
    const world = await pod('requestsPerMinute: 60, scope: Policy', store, `dies${process.pid}`);
    expect((await world.post(path, ask)).status).toBe(200);
    await valkey.stop();
    const statuses: number[] = [];
    for (let turn = 0; turn < 10; turn++) statuses.push((await world.post(path, ask)).status);
    // What the pod had taken before may still be used.
    expect(statuses.slice(-5)).toEqual([503, 503, 503, 503, 503]);
    expect(await world.metrics()).toMatch(/sidegate_limit_store_failures_total [1-9]/);
    await valkey.start();
    let status = 0;
    for (let tries = 0; status !== 200 && tries < 100; tries++) {
      status = (await world.post(path, ask)).status;
      await pause(100);
    }
    expect(status).toBe(200);
  });
});

test('limits of a policy in Observe mode are counted and recorded, and refuse nobody', async () => {
  const world = await startWorld({
    policy: (issuer) => policy('requestsPerMinute: 1')(issuer).replace('mode: Enforce', 'mode: Observe'),
  });
  worlds.push(world);
  world.model.script = answerChat('hi');
  expect((await world.post(path, ask)).status).toBe(200);
  expect((await world.post(path, ask)).status).toBe(200);
  world.sidecar.flushRecord();
  const ends = (await world.record()).filter((one) => one['type'] === 'end');
  expect(JSON.stringify(ends[0]?.['observed'] ?? [])).not.toContain('limited');
  expect(JSON.stringify(ends[1]?.['observed'])).toMatch(/limited.*rate_limited/);
});

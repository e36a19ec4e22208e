import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Secret, silentLogger, systemClock } from '../../pkg/base/index.ts';
import {
  createCache,
  createEventRecorder,
  createKubeClient,
  createLease,
  inClusterAccess,
  kubeconfigAccess,
  resources,
} from '../../pkg/kube/index.ts';
import type { Cache, CacheFault, CacheTimings, ClusterAccess, KubeClient, KubeObject } from '../../pkg/kube/index.ts';
import { startApiServer } from '../cluster/api-server.ts';
import type { ApiServer } from '../cluster/api-server.ts';
import { createClusterAuthority } from '../cluster/certificates.ts';
import { startFaultProxy } from './fault-proxy.ts';
import type { FaultProxy } from './fault-proxy.ts';
import { stopwatch, until } from '../support/wait.ts';

interface ConfigMap extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}

let server: ApiServer;
let direct: KubeClient;
beforeAll(async () => {
  server = await startApiServer();
  await server.namespace('ml');
  direct = createKubeClient({ access: await kubeconfigAccess(server.kubeconfig) });
}, 120_000);
afterAll(async () => {
  direct?.close();
  await server?.stop();
});

const bearer = (url: URL | string, read: () => string | undefined, ca?: string): ClusterAccess => ({
  server: new URL(url),
  read: async () => {
    const token = read();
    return {
      ca,
      cert: undefined,
      key: undefined,
      authorization: token === undefined ? undefined : new Secret(`Bearer ${token}`),
      serverName: undefined,
      insecure: false,
    };
  },
});
const configMap = (name: string, data: Record<string, string> = {}) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { namespace: 'ml', name, labels: { test: 'kube' } },
  data,
});
const write = (name: string, value: string): Promise<unknown> =>
  direct.patch(
    resources.configMaps,
    { namespace: 'ml', name },
    { type: 'apply', fieldManager: 'test', body: configMap(name, { value }) },
  );
async function token(): Promise<string> {
  const answer = await direct.create<{ status: { token: string } }>(
    resources.serviceAccounts,
    { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 600 } },
    { namespace: 'ml', name: 'default', subresource: 'token' },
  );
  return answer.status.token;
}

describe('the client', () => {
  test('makes, reads, replaces, patches and deletes; refusals carry status, reason and the server’s words', async () => {
    const ref = { namespace: 'ml', name: 'one' };
    const made = await direct.create<ConfigMap>(resources.configMaps, configMap('one', { a: '1' }), {
      namespace: 'ml',
    });
    await expect(direct.create(resources.configMaps, configMap('one'), { namespace: 'ml' })).rejects.toMatchObject({
      code: 'refused',
      status: 409,
      reason: 'AlreadyExists',
      message: 'configmaps "one" already exists',
    });
    const replaced = await direct.replace<ConfigMap>(resources.configMaps, { ...made, data: { a: '2' } });
    expect(replaced.data).toEqual({ a: '2' });
    await expect(direct.replace<ConfigMap>(resources.configMaps, made)).rejects.toMatchObject({
      status: 409,
      reason: 'Conflict',
    });
    await direct.patch(resources.configMaps, ref, { type: 'merge', body: { data: { b: '3' } } });
    await direct.patch(resources.configMaps, ref, { type: 'json', body: [{ op: 'remove', path: '/data/a' }] });
    expect((await direct.get<ConfigMap>(resources.configMaps, ref)).data).toEqual({ b: '3' });
    await expect(direct.delete(resources.configMaps, ref, { uid: 'another' })).rejects.toMatchObject({ status: 409 });
    await direct.delete(resources.configMaps, ref, { uid: made.metadata.uid ?? '' });
    await direct.delete(resources.configMaps, ref);
    expect(await direct.find(resources.configMaps, ref)).toBeUndefined();
    await expect(direct.get(resources.configMaps, ref)).rejects.toMatchObject({ status: 404, reason: 'NotFound' });
  });

  test('subresources: tokens, reviews of tokens and of access', async () => {
    const review = await direct.create<{ status: { authenticated: boolean; user: { username: string } } }>(
      resources.tokenReviews,
      { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token: await token() } },
    );
    expect(review.status).toMatchObject({
      authenticated: true,
      user: { username: 'system:serviceaccount:ml:default' },
    });
    const access = await direct.create<{ status: { allowed: boolean } }>(resources.subjectAccessReviews, {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      spec: { user: 'nobody', resourceAttributes: { namespace: 'ml', verb: 'get', resource: 'secrets' } },
    });
    expect(access.status.allowed).toBe(false);
  });

  test('a token that has expired is read again, and the call succeeds', async () => {
    const good = await token();
    const statuses: number[] = [];
    const reads = ['bad', good];
    let at = 0;
    const client = createKubeClient({
      access: bearer(server.url, () => reads[Math.min(at++, 1)], server.ca),
      onCall: ({ status }) => statuses.push(status),
    });
    const review = await client.create<{ status: { allowed?: boolean } }>(resources.selfSubjectAccessReviews, {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SelfSubjectAccessReview',
      spec: { resourceAttributes: { verb: 'get', resource: 'pods' } },
    });
    expect([review.status.allowed, at, statuses]).toEqual([false, 2, [201]]);
    client.close();
    const hopeless = createKubeClient({ access: bearer(server.url, () => 'bad', server.ca) });
    await expect(hopeless.list(resources.pods)).rejects.toMatchObject({ status: 401 });
    hopeless.close();
  });

  test('in a pod: host, port, authority and token as the kubelet gives them', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sidegate-kube-'));
    writeFileSync(join(folder, 'ca.crt'), server.ca);
    writeFileSync(join(folder, 'token'), `${await token()}\n`);
    const { hostname, port } = new URL(server.url);
    const client = createKubeClient({ access: inClusterAccess({ host: hostname, port, folder }) });
    await expect(client.list(resources.pods, { namespace: 'ml' })).rejects.toMatchObject({
      status: 403,
      message: expect.stringContaining('system:serviceaccount:ml:default'),
    });
    client.close();
    // Another authority: the server is a stranger, and gets no token.
    writeFileSync(join(folder, 'ca.crt'), (await createClusterAuthority('another')).cert);
    const stranger = createKubeClient({ access: inClusterAccess({ host: hostname, port, folder }) });
    await expect(stranger.list(resources.pods)).rejects.toMatchObject({ code: 'unreachable' });
    stranger.close();
    rmSync(folder, { recursive: true });
  });

  test('events are made as the API wants them', async () => {
    const dropped: string[] = [];
    const events = createEventRecorder({
      client: direct,
      clock: systemClock,
      controller: 'sidegate.dev/controller',
      instance: 'a',
      onDropped: (why) => dropped.push(why),
    });
    const note = { type: 'Warning', reason: 'SidecarMissing', action: 'Check', note: 'has no sidecar' } as const;
    events.record({ apiVersion: 'v1', kind: 'Pod', metadata: { namespace: 'ml', name: 'p', uid: 'u' } }, note);
    events.record({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'ml', uid: 'u' } }, note);
    await events.close();
    expect(dropped).toEqual([]);
    const made = await direct.list<KubeObject & { reason: string }>(resources.events);
    expect(
      made
        .filter((one) => one.reason === 'SidecarMissing')
        .map((one) => one.metadata.namespace)
        .sort(),
    ).toEqual(['default', 'ml']);
  });
});

/** A character of it is six in JSON as the API server writes it. */
const large = '<'.repeat(1_000_000);

test('large objects come in smaller pages, and of an object its metadata alone, where that is asked for', async () => {
  const names = ['large-0', 'large-1'];
  const labels = { test: 'large' };
  for (const name of names)
    await direct.create(
      resources.configMaps,
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, labels }, data: { value: large } },
      { namespace: 'ml' },
    );
  const selection = { namespace: 'ml', labelSelector: 'test=large' };
  await expect(direct.page(resources.configMaps, selection, { limit: 250 })).rejects.toMatchObject({
    code: 'too_large',
  });
  const found = await direct.list<ConfigMap>(resources.configMaps, selection);
  expect(found.map(({ metadata, data }) => [metadata.name, data?.['value'] === large])).toEqual(
    names.map((name) => [name, true]),
  );
  const asked = { limit: 1, metadataOnly: true };
  const { items, continueToken } = await direct.page<ConfigMap>(resources.configMaps, selection, asked);
  expect(items.map(({ metadata, data }) => [metadata.namespace, metadata.name, metadata.labels, data])).toEqual(
    names.slice(0, 1).map((name) => ['ml', name, labels, undefined]),
  );
  expect(continueToken).toBeDefined();
  for (const name of names) await direct.delete(resources.configMaps, { namespace: 'ml', name });
});

describe('a cache behind a door that breaks', () => {
  let proxy: FaultProxy;
  let client: KubeClient;
  let cache: Cache<string>;
  let faults: CacheFault[];
  let missed: number;
  const seen: string[] = [];

  const start = async (timings: Partial<CacheTimings> = {}): Promise<void> => {
    client = createKubeClient({ access: bearer(proxy.url, () => undefined) });
    cache = createCache<string>({
      client,
      resource: resources.configMaps,
      namespace: 'ml',
      labelSelector: 'test=kube',
      clock: systemClock,
      logger: silentLogger,
      transform: (raw) => (raw as ConfigMap).data?.['value'] ?? '',
      indices: { value: (value) => [value] },
      timings: { firstBackoffMs: 20, mostBackoffMs: 200, ...timings },
      onFault: (fault) => faults.push(fault),
      onMissed: (count) => (missed += count),
    });
    cache.subscribe(({ key, after }) => seen.push(`${key}=${after ?? ''}`));
    await cache.whenSynced();
    await until(() => proxy.open === 1, 'the watch is open');
  };
  /** The cache hears of a change made now. */
  const hears = async (name: string): Promise<void> => {
    const value = String(performance.now());
    await write(name, value);
    await until(
      () => cache.get(`ml/${name}`) === value,
      () => `the cache hears of ${name} (${faults.join()})`,
    );
    expect(cache.by('value', value)).toEqual([value]);
  };
  beforeEach(async () => {
    proxy = await startFaultProxy(server);
    faults = [];
    missed = 0;
    seen.length = 0;
  });
  afterEach(async () => {
    await cache?.stop();
    client?.close();
    await proxy.stop();
  });

  /** A second on an idle machine. The next list, which would tell as well, is minutes away. */
  const promptMs = 15_000;
  test('lists in pages, hears of changes and removals at once', async () => {
    for (let at = 0; at < 7; at++) await write(`page-${at}`, `v${at}`);
    await start({ pageLimit: 3 });
    expect(proxy.calls.filter((call) => call.includes('limit=3')).length).toBeGreaterThanOrEqual(3);
    expect(cache.size).toBeGreaterThanOrEqual(7);
    const change = stopwatch();
    await hears('page-3');
    expect(change.stop()).toBeLessThan(promptMs);
    const removal = stopwatch();
    await direct.delete(resources.configMaps, { namespace: 'ml', name: 'page-3' });
    await until(() => cache.get('ml/page-3') === undefined, 'it is gone');
    expect(removal.stop()).toBeLessThan(promptMs);
    expect(seen.at(-1)).toBe('ml/page-3=');
    expect(faults).toEqual([]);
  });

  test('resets', async () => {
    await start();
    for (let at = 0; at < 3; at++) {
      proxy.resetAll();
      await hears('reset');
    }
    expect(faults.length).toBeGreaterThanOrEqual(3);
    expect(proxy.calls.filter((call) => call.includes('limit=')).length).toBe(1);
  });

  test.each([500, 503, 403])('status %d, more than once', async (status) => {
    await start();
    let left = 4;
    proxy.fault = () => (left-- > 0 ? { kind: 'status', status } : undefined);
    proxy.resetAll();
    await hears('status');
    expect(faults.filter((fault) => fault === 'refused')).toHaveLength(4);
  });

  test('429: waits as long as it is asked to', async () => {
    await start();
    let left = 1;
    proxy.fault = () => (left-- > 0 ? { kind: 'status', status: 429, retryAfter: 1 } : undefined);
    const begun = performance.now();
    proxy.resetAll();
    await hears('busy');
    expect(performance.now() - begun).toBeGreaterThan(950);
  });

  test('410: lists anew, and changes that happened meanwhile are told once', async () => {
    await write('gone', 'x');
    await start();
    let left = 1;
    proxy.fault = ({ path }) =>
      path.includes('watch=true') && left-- > 0 ? { kind: 'status', status: 410 } : undefined;
    proxy.resetAll();
    await direct.delete(resources.configMaps, { namespace: 'ml', name: 'gone' });
    await until(() => cache.get('ml/gone') === undefined, 'it is gone');
    await hears('after');
    expect(faults).toContain('expired');
    expect(seen.filter((one) => one === 'ml/gone=')).toHaveLength(1);
    expect(missed).toBe(0);
  });

  test.each([
    [
      'that its version is too old',
      '{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}',
      'expired',
    ],
    ['another error', '{"type":"ERROR","object":{"kind":"Status","code":500,"reason":"InternalError"}}', 'refused'],
    ['what is no event', '{"type":"ADDED"', 'bad_answer'],
  ])('a watch that says %s: it goes on, and nothing is lost', async (_what, line, fault) => {
    await write('lost', 'x');
    await start();
    let left = 1;
    proxy.fault = ({ path }) =>
      path.includes('watch=true') && left-- > 0 ? { kind: 'lines', lines: [line] } : undefined;
    proxy.resetAll();
    await direct.delete(resources.configMaps, { namespace: 'ml', name: 'lost' });
    await until(() => cache.get('ml/lost') === undefined, 'it is gone');
    await hears('after');
    expect(faults).toContain(fault);
  });

  test('silence: a watch that says nothing is given up, and nothing is lost', async () => {
    await start({ silenceMs: 400, watchMs: 25_000 });
    proxy.freezeAll();
    await hears('silent');
    expect(faults).toContain('silent');
    let left = 1;
    proxy.fault = () => (left-- > 0 ? { kind: 'silence' } : undefined);
    proxy.resetAll();
    await hears('silent');
    expect(left).toBeLessThan(1);
  });

  test('the server’s own end of a watch is no fault, and a bookmark has carried the version on', async () => {
    await start({ watchMs: 3_000 });
    const before = cache.resourceVersion();
    await write('moves-on', 'x');
    await until(() => proxy.calls.filter((call) => call.includes('watch=true')).length >= 2, 'a second watch');
    await hears('second');
    expect(faults).toEqual([]);
    expect(Number(cache.resourceVersion())).toBeGreaterThan(Number(before));
    expect(cache.ageMs()).toBeLessThan(20_000);
  });

  test('everything is listed again from time to time; what the watch did not tell of is counted', async () => {
    await start({ watchMs: 1_000, relistMs: 500 });
    await until(() => proxy.calls.filter((call) => call.includes('limit=')).length >= 3, 'lists');
    await hears('again');
    expect([faults, missed]).toEqual([[], 0]);
  });

  test('a subscriber that throws hurts nobody', async () => {
    await start();
    cache.subscribe(() => {
      throw new Error('mine');
    });
    await hears('thrown');
    await hears('thrown');
    expect(faults.length).toBeGreaterThanOrEqual(2);
    expect(new Set(faults)).toEqual(new Set(['handler']));
  });

  test('the API server killed and back: nothing is lost', async () => {
    await start();
    await server.halt();
    await new Promise((resolve) => setTimeout(resolve, 300));
    await server.resume();
    await hears('back');
  }, 120_000);

  test('stopped, it asks for nothing more', async () => {
    await start();
    await cache.stop();
    const calls = proxy.calls.length;
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect([proxy.calls.length, proxy.open]).toEqual([calls, 0]);
  });
});

test('two electors: one leads; killed, the other takes over; given up, at once', async () => {
  const proxies = await Promise.all([startFaultProxy(server), startFaultProxy(server)]);
  const told: string[] = [];
  const make = (at: number, identity: string) =>
    createLease({
      client: createKubeClient({ access: bearer(proxies[at]!.url, () => undefined), timeoutMs: 3_000 }),
      namespace: 'ml',
      name: 'sidegate-controller',
      identity,
      clock: systemClock,
      logger: silentLogger,
      leaseMs: 6_000,
      renewMs: 4_500,
      retryMs: 200,
      onLeading: () => told.push(`${identity} leads`),
      onLost: () => told.push(`${identity} lost`),
    });
  const first = make(0, 'a');
  await until(() => first.leading(), 'a leads');
  const second = make(1, 'b');
  await new Promise((resolve) => setTimeout(resolve, 7_000));
  expect([first.leading(), second.leading()]).toEqual([true, false]);
  proxies[0]!.fault = () => ({ kind: 'silence' });
  let both = false;
  await until(() => {
    both ||= first.leading() && second.leading();
    return second.leading();
  }, 'b leads');
  expect([both, told]).toEqual([false, ['a leads', 'a lost', 'b leads']]);
  proxies[0]!.fault = () => undefined;
  const third = make(0, 'c');
  await new Promise((resolve) => setTimeout(resolve, 500));
  await second.close();
  // Not by the end of its time.
  const watch = stopwatch();
  await until(() => third.leading(), 'c leads');
  expect(watch.stop()).toBeLessThan(5_500);
  await Promise.all([first.close(), third.close()]);
  await Promise.all(proxies.map((proxy) => proxy.stop()));
}, 120_000);

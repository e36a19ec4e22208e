import { afterEach, describe, expect, test } from '@jest/globals';
import { connect } from 'node:tls';
import { silentLogger, systemClock } from '../base/index.ts';
import type { Clock } from '../base/index.ts';
import { KubeError } from '../kube/index.ts';
import type { KubeClient } from '../kube/index.ts';
import { afterStep, createAuthorityPair, writeAuthority } from '../pki/index.ts';
import { reachPatch } from './client-config.ts';
import { createHandler, createPathKeys, createServingCertificate, createWebhookServer } from './index.ts';
import type { Decide, PathKeys, ServingCertificate, ServingMaterial } from './index.ts';
import { testHooks } from './testing/hooks.ts';
import { pause, until } from '../../test/support/wait.ts';

type Data = Readonly<Record<string, string>>;
const hour = 3_600_000;
const open: ServingCertificate[] = [];
afterEach(() => open.splice(0).forEach((one) => one.close()));

const encode = (data: Data): Data =>
  Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')]));

/** One Secret and three configurations, as the API server keeps them; a replica is given a client of it. */
function cluster() {
  const state = {
    secret: undefined as { version: number; data: Data } | undefined,
    bundles: ['', '', ''],
    paths: ['', '', ''],
    broken: false,
    patches: 0,
    creates: 0,
    log: [] as string[],
  };
  const conflict = () => new KubeError('refused', 'conflict', { status: 409, reason: 'Conflict' });
  const index = (kind: string, name: string): number =>
    kind === 'MutatingWebhookConfiguration' ? 0 : name === 'sidegate' ? 1 : 2;
  const client = {
    find: () =>
      Promise.resolve(
        state.secret && {
          metadata: { name: 'x', resourceVersion: `${state.secret.version}` },
          data: state.secret.data,
        },
      ),
    create(_: unknown, body: { data: Data }) {
      if (state.secret !== undefined) return Promise.reject(conflict());
      state.creates++;
      state.secret = { version: 1, data: body.data };
      return Promise.resolve({});
    },
    replace(_: unknown, body: { metadata: { resourceVersion: string }; data: Data }) {
      if (body.metadata.resourceVersion !== `${state.secret?.version}`) return Promise.reject(conflict());
      state.secret = { version: (state.secret?.version ?? 0) + 1, data: body.data };
      return Promise.resolve({});
    },
    get({ kind }: { kind: string }, { name }: { name: string }) {
      if (state.broken)
        return Promise.reject(new KubeError('refused', 'no such configuration', { status: 404, reason: 'NotFound' }));
      return Promise.resolve({
        metadata: { name },
        webhooks: [
          {
            name: 'pods.sidegate.dev',
            clientConfig: {
              caBundle: state.bundles[index(kind, name)],
              service: { path: state.paths[index(kind, name)] },
            },
          },
        ],
      });
    },
    patch(
      { kind }: { kind: string },
      { name }: { name: string },
      { body }: { body: { path: string; value: string }[] },
    ) {
      state.patches++;
      for (const { path, value } of body) {
        if (path.endsWith('/caBundle')) state.bundles[index(kind, name)] = value;
        if (path.endsWith('/service/path')) state.paths[index(kind, name)] = value;
      }
      return Promise.resolve({});
    },
  } as unknown as KubeClient;
  return { state, client };
}

function fakeClock(): Clock & { advance(ms: number): void } {
  let offset = 0;
  const timers: { at: number; run: () => void; gone: boolean }[] = [];
  const now = () => systemClock.now() + offset;
  return {
    now,
    monotonic: () => systemClock.monotonic() + offset,
    after(ms, run) {
      const timer = { at: offset + ms, run, gone: false };
      timers.push(timer);
      return { cancel: () => void (timer.gone = true) };
    },
    every: () => ({ cancel: () => undefined }),
    advance(ms) {
      offset += ms;
      for (const timer of timers.filter((one) => !one.gone && one.at <= offset)) {
        timer.gone = true;
        timer.run();
      }
    },
  };
}

/** @param now its day changes the keys; default: the same noon for ever */
const keysBy = (clock: Clock, now = () => 12 * hour): PathKeys =>
  createPathKeys({ monotonic: () => clock.monotonic(), now });

function start(client: KubeClient, clock: Clock, keys = keysBy(clock)): ServingCertificate {
  const one = createServingCertificate({
    client,
    namespace: 'sidegate-system',
    dnsNames: ['sidegate-webhook.sidegate-system.svc', 'localhost'],
    keys,
    clock,
    logger: silentLogger,
  });
  open.push(one);
  return one;
}

const good = (one: ServingCertificate) => () => one.problems().length === 0;

describe('the serving certificate', () => {
  test('is there when its authority is in every configuration, and not before', async () => {
    const { state, client } = cluster();
    const one = start(client, fakeClock());
    expect(one.problems()).toEqual(['no_certificate', 'ca_bundle_not_written']);
    await until(good(one));
    expect(new Set(state.bundles).size).toBe(1);
    expect(one.current()?.cert).toContain('BEGIN CERTIFICATE');
  });

  test('of two replicas is of one authority, whoever was first', async () => {
    const { state, client } = cluster();
    const clock = fakeClock();
    const both = [start(client, clock), start(client, clock)];
    await until(() => {
      clock.advance(1_000);
      return both.every((one) => good(one)());
    });
    expect(state.creates).toBe(1);
    expect(new Set(state.bundles).size).toBe(1);
  });

  test('is not served while a configuration cannot be written, and is as soon as it can', async () => {
    const { state, client } = cluster();
    state.broken = true;
    const clock = fakeClock();
    const one = start(client, clock);
    await until(() => one.current() !== undefined);
    expect(one.problems()).toEqual(['ca_bundle_not_written']);
    state.broken = false;
    await until(() => {
      clock.advance(15_000);
      return good(one)();
    });
  });

  test('is asked by paths that all replicas open, before and after the authority has changed', async () => {
    const { state, client } = cluster();
    const clock = fakeClock();
    const keys = [keysBy(clock), keysBy(clock)];
    const both = keys.map((one) => start(client, clock, one));
    const opened = () => keys.map((one) => state.paths.map((path) => one.open(path)));
    const all = ['/validate/pods', '/validate/pods', '/validate/pods'];
    await until(() => {
      clock.advance(1_000);
      return both.every((one) => good(one)());
    });
    const [first] = state.paths;
    expect(opened()).toEqual([all, all]);
    const published = state.bundles[0];
    let shut = false;
    const steps: readonly (readonly [number, () => boolean])[] = [
      [245 * 24 * hour, () => state.bundles[0] !== published],
      [49 * hour, () => state.paths.every((path) => path !== first)],
    ];
    for (const [wait, done] of steps) {
      clock.advance(wait);
      await until(() => {
        clock.advance(10_000);
        shut ||= opened().flat().includes(undefined);
        return done() && both.every((one) => good(one)());
      }, `${done}`);
      // Whoever did not take the step has looked since.
      clock.advance(60_000);
      await pause(50);
    }
    expect([shut, opened()]).toEqual([false, [all, all]]);
  });

  test('is asked by another path each day, while the one before still counts', async () => {
    const { state, client } = cluster();
    const clock = fakeClock();
    let now = 12 * hour;
    const keys = keysBy(clock, () => now);
    await until(good(start(client, clock, keys)));
    clock.advance(60_000);
    const [first = ''] = state.paths;
    now += 24 * hour;
    await until(() => {
      clock.advance(60_000);
      return state.paths.every((path) => path !== first);
    }, 'another path in each configuration');
    expect([first, ...state.paths].map((path) => keys.open(path))).toEqual(Array(4).fill('/validate/pods'));
    expect(state.patches).toBe(6);
  });

  test('is written once: a look that finds all in order writes nothing', async () => {
    const { state, client } = cluster();
    const clock = fakeClock();
    const one = start(client, clock);
    await until(good(one));
    for (let at = 0; at < 5; at++) {
      clock.advance(60_000);
      await pause(10);
    }
    expect(state.patches).toBe(3);
    state.bundles[2] = 'x';
    await until(() => {
      clock.advance(60_000);
      return state.patches === 4;
    });
  });

  test('is looked at soon when somebody asks by another key, and not for each that does', async () => {
    const { state, client } = cluster();
    const clock = fakeClock();
    let time = 0;
    const advance = (ms: number): void => {
      time += ms;
      clock.advance(ms);
    };
    const one = start(client, { ...clock, monotonic: () => time });
    await until(good(one));
    const [first = ''] = state.paths;
    for (let round = 0; round < 2; round++) {
      state.paths[1] = `/${'a'.repeat(64)}/mutate`;
      const { patches } = state;
      for (let at = 0; at < 9; at++) one.lookSoon();
      advance(4_000);
      await pause(20);
      expect(state.patches).toBe(patches);
      advance(1_000);
      await until(() => {
        advance(0);
        return state.paths[1] === first;
      }, 'the path as it is due');
    }
    expect(state.patches).toBe(5);
  });

  test('is issued anew at two thirds of its life', async () => {
    const { client } = cluster();
    const clock = fakeClock();
    const one = start(client, clock);
    await until(good(one));
    const first = one.current()?.cert;
    clock.advance(15 * hour);
    await pause(50);
    expect(one.current()?.cert).toBe(first);
    await until(() => {
      clock.advance(hour);
      return one.current()?.cert !== first;
    });
  });

  test('moves to a new authority only when that was published', async () => {
    const { state, client } = cluster();
    const clock = fakeClock();
    const one = start(client, clock);
    await until(good(one));
    const authorities = (): number =>
      Buffer.from(state.bundles[0] ?? '', 'base64')
        .toString()
        .split('BEGIN').length - 1;
    const issuers: (readonly [string, number])[] = [];
    one.subscribe(({ cert }: ServingMaterial) => issuers.push([cert, authorities()]));
    const first = state.bundles[0];
    // Two thirds of a year, then the times of the steps.
    const steps: readonly (readonly [number, () => boolean])[] = [
      [245 * 24 * hour, () => authorities() === 2],
      [49 * hour, () => issuers.some(([, inBundle]) => inBundle === 2)],
      [26 * hour, () => authorities() === 1],
    ];
    for (const [wait, done] of steps) {
      clock.advance(wait);
      await until(() => {
        clock.advance(10_000);
        return done() && good(one)();
      }, `${done}`);
    }
    expect(state.bundles[0]).not.toBe(first);
    // Of the new authority while both were in the configurations.
    expect(issuers.some(([, inBundle]) => inBundle === 2)).toBe(true);
  });

  test('is not made of an authority that cannot be read, and that is not replaced', async () => {
    const { state, client } = cluster();
    const data = encode({ 'ca.crt': 'none', 'ca.key': 'none', since: new Date().toISOString() });
    state.secret = { version: 7, data };
    const clock = fakeClock();
    const one = start(client, clock);
    await pause(50);
    expect(one.current()).toBeUndefined();
    expect(state.secret).toEqual({ version: 7, data });
    const pair = await createAuthorityPair(clock);
    state.secret = { version: 8, data: encode(writeAuthority(afterStep(undefined, 'create', clock.now(), pair))) };
    await until(() => {
      clock.advance(15_000);
      return good(one)();
    });
  });
});

test('a patch names what it expects where it writes', () => {
  const webhooks = [
    { name: 'a', clientConfig: { caBundle: 'eA==' } },
    { name: 'b', clientConfig: {} },
    { name: 'inject.sidegate.dev', clientConfig: { caBundle: 'eA==', service: {} } },
    { name: 'connect.sidegate.dev', clientConfig: { caBundle: 'eA==', url: 'https://localhost:1/' } },
    { name: 'pods.sidegate.dev', clientConfig: { caBundle: 'eA==', service: { path: '/k/validate/pods' } } },
  ];
  const configuration = { metadata: { name: 'x' }, webhooks };
  const bundle = [
    { op: 'test', path: '/webhooks/1/name', value: 'b' },
    { op: 'add', path: '/webhooks/1/clientConfig/caBundle', value: 'eA==' },
  ];
  const paths = [
    { op: 'test', path: '/webhooks/2/name', value: 'inject.sidegate.dev' },
    { op: 'add', path: '/webhooks/2/clientConfig/service/path', value: '/k/mutate' },
    { op: 'test', path: '/webhooks/3/name', value: 'connect.sidegate.dev' },
    { op: 'add', path: '/webhooks/3/clientConfig/url', value: 'https://localhost:1/k/connect' },
  ];
  const patch = (text: string | undefined, key: string | undefined) =>
    reachPatch(configuration, { bundle: text, keys: { due: () => key } });
  expect(patch('x', undefined)).toEqual(bundle);
  expect(patch(undefined, 'k')).toEqual(paths);
  expect(patch('x', 'k')).toEqual([...bundle, ...paths]);
});

describe('the server', () => {
  async function serve() {
    const { state, client } = cluster();
    const one = start(client, systemClock);
    await until(good(one));
    const decide: Decide = () => Promise.resolve({ allowed: true });
    const handler = createHandler({
      open: (path) => path,
      hooks: {
        mutate: decide,
        pods: decide,
        policies: decide,
        decisions: decide,
        connect: decide,
        'break-glass': decide,
      },
      clock: systemClock,
      logger: silentLogger,
      metrics: testHooks().metrics,
    });
    const material = one.current() as ServingMaterial;
    const server = await createWebhookServer({
      host: '127.0.0.1',
      port: 0,
      material,
      handler,
      clock: systemClock,
      logger: silentLogger,
    });
    const ca = Buffer.from(state.bundles[0] ?? '', 'base64').toString();
    return { server, ca, material, client };
  }
  const body = JSON.stringify({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: { uid: 'u', operation: 'CREATE', resource: { resource: 'pods' } },
  });
  const text = `POST /mutate HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

  function dial(port: number, ca: string, more: object = {}) {
    const socket = connect({ host: '127.0.0.1', port, ca, servername: 'localhost', ...more });
    let received = '';
    socket.on('data', (chunk: Buffer) => (received += chunk.toString()));
    socket.on('error', () => undefined);
    const closed = new Promise<void>((resolve) => void socket.once('close', () => resolve()));
    return { socket, closed, received: () => received };
  }

  test('speaks TLS 1.3 with a name that the authority signed, and nothing older', async () => {
    const { server, ca } = await serve();
    const peer = dial(server.port, ca);
    await new Promise<void>((resolve) => peer.socket.once('secureConnect', () => resolve()));
    expect([peer.socket.authorized, peer.socket.getProtocol()]).toEqual([true, 'TLSv1.3']);
    peer.socket.destroy();
    const old = dial(server.port, ca, { maxVersion: 'TLSv1.2' });
    await old.closed;
    expect(old.socket.getProtocol()).toBeNull();
    await server.stop(0);
  });

  test('keeps a connection for as long as the API server uses one again', async () => {
    const { server, ca } = await serve();
    const peer = dial(server.port, ca);
    peer.socket.write(text);
    await until(() => peer.received().includes('"allowed":true'));
    // Node's own default, 5 s, would meet a request that is on its way.
    expect(peer.received().toLowerCase()).toContain('keep-alive: timeout=90');
    expect(peer.socket.destroyed).toBe(false);
    peer.socket.destroy();
    await server.stop(0);
  });

  test('answers on open connections after SIGTERM, asks to connect anew, then ends', async () => {
    const { server, ca } = await serve();
    const peer = dial(server.port, ca);
    await new Promise<void>((resolve) => peer.socket.once('secureConnect', () => resolve()));
    const stopping = server.stop(200);
    peer.socket.write(text);
    await until(() => peer.received().includes('"allowed":true'));
    expect(peer.received().toLowerCase()).toContain('connection: close');
    const another = dial(server.port, ca);
    another.socket.write(text);
    await until(() => another.received().includes('"allowed":true'));
    const idle = dial(server.port, ca);
    await stopping;
    await Promise.all([peer.closed, another.closed, idle.closed]);
    const late = dial(server.port, ca);
    await late.closed;
    expect(late.received()).toBe('');
  });
});

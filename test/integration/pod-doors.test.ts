import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect as connectHttp2, constants } from 'node:http2';
import type { ClientHttp2Session } from 'node:http2';
import { request as httpRequest } from 'node:http';
import type { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger, systemClock } from '../../pkg/base/index.ts';
import type { AuditEvent, PolicySource, Snapshot } from '../../pkg/core/index.ts';
import { compileSnapshot, certainties, finders, operations, reasons } from '../../pkg/core/index.ts';
import { parsePolicies } from '../../pkg/crd/index.ts';
import { checkPattern } from '../../pkg/detect/index.ts';
import { createIdentityVerifier } from '../../pkg/identity/index.ts';
import { noApprovals } from '../../pkg/local/index.ts';
import { ensureSelfSigned } from '../../pkg/pki/index.ts';
import { createDataPlane, createPortTargets } from '../../pkg/proxy/index.ts';
import type { DataPlane, Entrance } from '../../pkg/proxy/index.ts';
import { createMetrics } from '../../pkg/telemetry/index.ts';
import type { Issuer } from '../support/issuer.ts';
import { startIssuer } from '../support/issuer.ts';
import type { ScriptedModel } from '../support/scripted-model.ts';
import { chunk, startScriptedModel } from '../support/scripted-model.ts';
import { basePolicy } from '../support/world.ts';
import { pause, until } from '../support/wait.ts';

// Several listeners before one pipeline: what comes over the network, and what comes from inside the pod.

let issuer: Issuer;
let model: ScriptedModel;
let token: string;
let ca: string;
let material: { cert: string; key: string };
let port: number;
const closing: (() => Promise<void>)[] = [];

beforeAll(async () => {
  issuer = await startIssuer();
  model = await startScriptedModel();
  port = Number(new URL(model.url).port);
  token = await issuer.token({ sub: 'ana', groups: ['ml-eng'] });
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-doors-'));
  const files = await ensureSelfSigned(folder, ['127.0.0.1'], systemClock);
  material = { cert: readFileSync(files.certFile, 'utf8'), key: readFileSync(files.keyFile, 'utf8') };
  ca = readFileSync(files.caFile, 'utf8');
  rmSync(folder, { recursive: true });
});
afterAll(async () => {
  await issuer.close();
  await model.close();
});
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
  model.seen.length = 0;
});

const compile = (yaml: string, revision: number): Snapshot => {
  if (yaml === '') return compileSnapshot([], { revision });
  const { policies, faults } = parsePolicies(yaml, 'policy.yaml', {
    checkPattern: (pattern, maxLength) => checkPattern(pattern, maxLength)?.message,
  });
  expect(faults).toEqual([]);
  return compileSnapshot(policies, { revision });
};

interface Source extends PolicySource {
  set(yaml: string): void;
}

function memorySource(): Source {
  let current: Snapshot | undefined;
  const listeners = new Set<(snapshot: Snapshot) => void>();
  return {
    current: () => current,
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    problem: () => undefined,
    ageMs: () => 0,
    close: () => Promise.resolve(),
    set(yaml) {
      current = compile(yaml, (current?.revision ?? 0) + 1);
      for (const listener of listeners) listener(current);
    },
  };
}

interface Doors {
  readonly plane: DataPlane;
  readonly source: Source;
  readonly record: AuditEvent[];
  readonly outer: number;
  readonly loopback: number;
  readonly helper: number;
  setTls(on: boolean): void;
}

async function openDoors(policy?: string, more: { readonly certificate?: boolean } = {}): Promise<Doors> {
  const source = memorySource();
  if (policy !== undefined) source.set(policy);
  const record: AuditEvent[] = [];
  const tlsListeners = new Set<() => void>();
  let tls = more.certificate ?? true;
  const credentials = { read: () => undefined, close: () => undefined };
  const clock = systemClock;
  const plane = createDataPlane({
    policy: source,
    verifiers: createIdentityVerifier({ clock, logger: silentLogger, onCache: () => undefined }),
    credentials,
    approvals: noApprovals,
    audit: { append: (events) => void record.push(...events), close: () => Promise.resolve() },
    tls: {
      current: () => (tls ? material : undefined),
      subscribe(listener) {
        tlsListeners.add(listener);
        return () => tlsListeners.delete(listener);
      },
    },
    clientCa: undefined,
    metrics: createMetrics({
      clock,
      operations,
      codes: Object.keys(reasons),
      dialects: ['openai', 'generic'],
      finders,
      certainties,
      processMetrics: false,
    }),
    clock,
    logger: silentLogger,
    hashKey: Buffer.alloc(32, 7),
  });
  const targets = createPortTargets({ port, authorities: () => undefined, clock, logger: silentLogger });
  closing.push(async () => {
    await plane.drain(200);
    targets.close();
  });
  const open = async (entrance: Entrance): Promise<number> =>
    (await plane.open({ host: '127.0.0.1', port: 0, entrance, model: targets })).port;
  return {
    plane,
    source,
    record,
    outer: await open({ kind: 'outer' }),
    loopback: await open({ kind: 'loopback' }),
    helper: await open({ kind: 'helper', uid: 2_000 }),
    setTls(on) {
      tls = on;
      for (const listener of tlsListeners) listener();
    },
  };
}

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly connection: string | undefined;
}

interface Ask {
  readonly path: string;
  readonly method?: string;
  readonly tls?: boolean;
  readonly bearer?: string;
  readonly body?: string;
  readonly agent?: HttpAgent;
}

function ask(to: number, { path, method = 'GET', tls = false, bearer, body, agent }: Ask): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const send = tls ? httpsRequest : httpRequest;
    const request = send(
      {
        host: '127.0.0.1',
        port: to,
        path,
        method,
        ca,
        agent: agent ?? false,
        headers: {
          ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (piece: string) => (text += piece));
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, text, connection: response.headers.connection }),
        );
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}

const chat = { path: '/v1/chat/completions', method: 'POST', body: '{"model":"llama-3-8b","messages":[]}' };
const list = JSON.stringify({
  object: 'list',
  data: [
    { id: 'llama-3-8b', object: 'model' },
    { id: 'secret-70b', object: 'model' },
  ],
});
const withList = (): void => {
  model.script = (response, { path }) => {
    response.setHeader('content-type', 'application/json');
    response.end(path.endsWith('/v1/models') ? list : '{"status":"ok"}');
  };
};

describe('the listener inside the pod', () => {
  test.each(['loopback', 'helper'] as const)(
    '%s: health and the list of models need nobody, nothing else',
    async (door) => {
      withList();
      const doors = await openDoors(basePolicy(issuer.url));
      const to = doors[door];
      expect(await ask(to, { path: '/health' })).toMatchObject({ status: 200 });
      expect(JSON.parse((await ask(to, { path: '/v1/models' })).text)).toEqual(JSON.parse(list));
      for (const one of [chat, { path: '/metrics' }, { path: '/reset', method: 'POST' }, { path: '/admin/x' }])
        expect(await ask(to, one)).toMatchObject({ status: 401 });
      for (const path of ['/health/../v1/chat/completions', '/health%2f..%2fv1/chat', '//health'])
        expect((await ask(to, { path, method: 'POST', body: chat.body })).status).toBeGreaterThanOrEqual(400);
      expect(model.seen.map((one) => one.path)).toEqual(['/health', '/v1/models']);
    },
  );

  test('takes plain HTTP and TLS alike, also where the policy requires a client certificate outside', async () => {
    withList();
    const { loopback, outer } = await openDoors(basePolicy(issuer.url, '  tls: { inbound: Mutual }'));
    expect(await ask(loopback, { path: '/health' })).toMatchObject({ status: 200 });
    expect(await ask(loopback, { path: '/health', tls: true })).toMatchObject({ status: 200 });
    expect(await ask(outer, { path: '/health' })).toMatchObject({ status: 426 });
    expect(await ask(outer, { path: '/health', tls: true })).toMatchObject({ status: 401 });
  });

  test('opens nothing outside', async () => {
    withList();
    const { outer } = await openDoors(basePolicy(issuer.url));
    expect(await ask(outer, { path: '/health', tls: true })).toMatchObject({ status: 401 });
    expect(await ask(outer, { path: '/v1/models', tls: true })).toMatchObject({ status: 401 });
    expect(model.seen).toEqual([]);
  });

  test('decides for who is proven as outside, and not for who shows a bad token', async () => {
    model.script = (response) => {
      response.setHeader('content-type', 'application/json');
      response.end('{"choices":[]}');
    };
    const { loopback } = await openDoors(basePolicy(issuer.url));
    const asAna = { ...chat, body: chat.body.replace('[]', '[{"role":"user","content":"hi"}]'), bearer: token };
    expect((await ask(loopback, asAna)).status).not.toBe(401);
    expect(model.seen).toHaveLength(1);
    expect(await ask(loopback, { path: '/health', bearer: 'not.a.token' })).toMatchObject({ status: 401 });
  });

  test('holds to a rule that denies, for the list and for what stands in it', async () => {
    withList();
    const { loopback } = await openDoors(
      basePolicy(
        issuer.url,
        `
  - { name: no-health, effect: Deny, subjects: [{ anyone: true }], operations: [Health] }
  - { name: no-secret, effect: Deny, subjects: [{ anyone: true }], models: ["secret-*"] }`,
      ),
    );
    expect(await ask(loopback, { path: '/health' })).toMatchObject({ status: 401 });
    const listed = JSON.parse((await ask(loopback, { path: '/v1/models' })).text) as { data: { id: string }[] };
    expect(listed.data.map(({ id }) => id)).toEqual(['llama-3-8b']);
  });

  test('answers health before there is a policy, and while none selects the pod', async () => {
    withList();
    const doors = await openDoors();
    expect(await ask(doors.loopback, { path: '/health' })).toMatchObject({ status: 200 });
    expect(await ask(doors.loopback, chat)).toMatchObject({ status: 401 });
    expect(await ask(doors.outer, { path: '/health', tls: true })).toMatchObject({ status: 403 });
    doors.source.set('');
    expect(await ask(doors.loopback, { path: '/health' })).toMatchObject({ status: 200 });
    expect(await ask(doors.outer, { ...chat, tls: true, bearer: token })).toMatchObject({
      status: 403,
      text: expect.stringContaining('no_policy'),
    });
    expect(model.seen.map((one) => one.path)).toEqual(['/health', '/health']);
  });

  test('is recorded like any other, with the name of what opened it', async () => {
    withList();
    const { loopback, record, plane } = await openDoors(basePolicy(issuer.url));
    await ask(loopback, { path: '/health' });
    await ask(loopback, chat);
    plane.flushRecord();
    const text = JSON.stringify(record);
    expect(text).toContain('sidegate/loopback');
    expect(text).toContain('token_missing');
  });
});

describe('a helper that the policy opens something to', () => {
  const load = { path: '/v1/load_lora_adapter', method: 'POST', body: '{"lora_name":"a","lora_path":"/a"}' };
  const opens = (rules: string): string => basePolicy(issuer.url, `  loopback: ${rules}`);
  const ok = (): void => {
    model.script = (response) => void response.setHeader('content-type', 'application/json').end('{"ok":true}');
  };

  test('does it without a token; others inside, and callers from outside, do not', async () => {
    ok();
    const { plane, outer, loopback, helper, source, record } = await openDoors(basePolicy(issuer.url));
    expect((await ask(helper, load)).status).toBe(401);
    source.set(opens('[{ runAsUser: 2000, operations: [Admin] }]'));
    expect((await ask(helper, load)).status).toBe(200);
    expect(model.seen.map((one) => one.path)).toEqual([load.path]);
    expect((await ask(loopback, load)).status).toBe(401);
    expect((await ask(outer, { ...load, tls: true })).status).toBe(401);
    // Only what is named.
    expect((await ask(helper, chat)).status).toBe(401);
    plane.flushRecord();
    expect(JSON.stringify(record)).toContain('test/loopback');
  });

  test('not for another uid, and not where a rule denies it to everybody', async () => {
    ok();
    const { helper, source } = await openDoors(opens('[{ runAsUser: 2001, operations: [Admin] }]'));
    expect((await ask(helper, load)).status).toBe(401);
    const denied = '  - { name: never, effect: Deny, subjects: [{ anyone: true }], operations: [Admin] }';
    source.set(basePolicy(issuer.url, `${denied}\n  loopback: [{ runAsUser: 2000, operations: [Admin] }]`));
    expect(source.current()?.loopback).toHaveLength(1);
    expect([401, 403]).toContain((await ask(helper, load)).status);
    expect(model.seen).toEqual([]);
  });
});

describe('the port that a listener stands for', () => {
  const withPorts = (ports: string): string => basePolicy(issuer.url, `  upstream: { ports: ${ports} }`);
  const health = { path: '/v1/models', tls: true };

  test('is refused where the policy names others, whoever asks and from where', async () => {
    withList();
    const { outer, loopback, source } = await openDoors(withPorts('[{ containerPort: 1 }]'));
    const refused = { status: 403, text: expect.stringContaining('port_not_named') };
    expect(await ask(outer, { ...health, bearer: token })).toMatchObject(refused);
    expect(await ask(loopback, { path: '/health' })).toMatchObject(refused);
    source.set(withPorts(`[{ containerPort: ${port}, protocol: HTTP1 }]`));
    expect(await ask(outer, { ...health, bearer: token })).toMatchObject({ status: 200 });
  });

  test('is spoken to over HTTP/2 where the policy says so: a model that speaks HTTP/1.1 alone is not understood', async () => {
    withList();
    const { outer } = await openDoors(withPorts(`[{ containerPort: ${port}, protocol: H2C }]`));
    expect(await ask(outer, { ...health, bearer: token })).toMatchObject({
      status: 502,
      text: expect.stringContaining('upstream_protocol'),
    });
    expect(model.seen).toEqual([]);
  });

  test('TLS to the model is verified: a server that speaks plain is not reached', async () => {
    withList();
    const { outer } = await openDoors(withPorts(`[{ containerPort: ${port}, protocol: TLS, serverName: llama }]`));
    expect((await ask(outer, { ...health, bearer: token })).status).toBe(502);
    expect(model.seen).toEqual([]);
  });

  test('leads to the hosted endpoint instead, under its path, and only for callers whom access really allows', async () => {
    withList();
    const hosted = `  upstream: { hosted: { url: "${model.url}/base/" } }`;
    const { outer, loopback } = await openDoors(basePolicy(issuer.url, hosted));
    expect(await ask(outer, { ...health, bearer: token })).toMatchObject({ status: 200 });
    expect(model.seen.map((one) => one.path)).toEqual(['/base/v1/models']);
    // The endpoint is somebody's account: who is inside the pod reaches it no more than outside.
    expect(await ask(loopback, { path: '/v1/models' })).toMatchObject({ status: 403 });
    expect(model.seen).toHaveLength(1);
  });
});

describe('a listener without a certificate', () => {
  test('fails handshakes, serves inside, and serves outside as soon as there is one', async () => {
    withList();
    const { outer, loopback, setTls } = await openDoors(basePolicy(issuer.url), { certificate: false });
    await expect(ask(outer, { path: '/v1/models', tls: true, bearer: token })).rejects.toThrow();
    expect(await ask(outer, { path: '/v1/models' })).toMatchObject({ status: 426 });
    expect(await ask(loopback, { path: '/health' })).toMatchObject({ status: 200 });
    setTls(true);
    expect(await ask(outer, { path: '/v1/models', tls: true, bearer: token })).toMatchObject({ status: 200 });
  });
});

describe('leaving', () => {
  test('every request is answered, and each answer ends its connection, until it is over', async () => {
    withList();
    const { outer, plane } = await openDoors(basePolicy(issuer.url));
    const agent = new HttpsAgent({ keepAlive: true, ca });
    const once = (): Promise<Answer> => ask(outer, { path: '/v1/models', tls: true, bearer: token, agent });
    try {
      expect(await once()).toMatchObject({ status: 200, connection: 'keep-alive' });
      plane.leave(true);
      for (let times = 0; times < 3; times++) expect(await once()).toMatchObject({ status: 200, connection: 'close' });
      plane.leave(false);
      expect(await once()).toMatchObject({ status: 200, connection: 'keep-alive' });
    } finally {
      agent.destroy();
    }
  });

  test('a connection is not ended by an answer that had begun before, since that could not say so', async () => {
    const { outer, plane } = await openDoors(basePolicy(issuer.url));
    const agent = new HttpsAgent({ keepAlive: true, ca, maxSockets: 1 });
    let finish = (): void => undefined;
    model.script = (response) => {
      response.setHeader('content-type', 'text/event-stream');
      response.write(chunk({ content: 'first' }));
      finish = () => response.end(`${chunk({}, 'stop')}data: [DONE]\n\n`);
    };
    const body = '{"model":"llama-3-8b","stream":true,"messages":[{"role":"user","content":"hi"}]}';
    try {
      const begun = ask(outer, { ...chat, body, tls: true, bearer: token, agent });
      await until(() => model.seen.length > 0);
      await pause(50);
      plane.leave(true);
      finish();
      expect(await begun).toMatchObject({ status: 200, connection: 'keep-alive' });
      await pause(100);
      const [socket] = Object.values(agent.freeSockets).flatMap((all) => all ?? []);
      expect(socket?.destroyed).toBe(false);
      withList();
      expect(await ask(outer, { path: '/v1/models', tls: true, bearer: token, agent })).toMatchObject({
        status: 200,
        connection: 'close',
      });
    } finally {
      agent.destroy();
    }
  });

  test('a session of HTTP/2 is told first, still served, and then ended; a new one is served', async () => {
    withList();
    const { outer, plane } = await openDoors(basePolicy(issuer.url));
    const open = (): ClientHttp2Session => connectHttp2(`https://127.0.0.1:${outer}`, { ca });
    const get = (session: ClientHttp2Session): Promise<number> =>
      new Promise((resolve, reject) => {
        const stream = session.request({ ':path': '/v1/models', authorization: `Bearer ${token}` });
        stream.on('response', (headers) => resolve(Number(headers[constants.HTTP2_HEADER_STATUS])));
        stream.on('error', reject).resume().end();
      });
    const session = open();
    expect(await get(session)).toBe(200);
    const told = new Promise<number>((resolve) => session.once('goaway', (_code, last) => resolve(last)));
    const ended = new Promise((resolve) => session.once('close', resolve));
    plane.leave(true);
    // All that it has sent and will send until the second is over is taken.
    expect(await told).toBe(2 ** 31 - 1);
    const later = open();
    expect(await get(later)).toBe(200);
    await ended;
    later.close();
  });

  test('counts what is not over', async () => {
    let answer = (): void => undefined;
    model.script = (response) => {
      answer = () => response.end('{}');
    };
    const { loopback, plane } = await openDoors(basePolicy(issuer.url));
    const asked = ask(loopback, { path: '/health' });
    await until(() => model.seen.length > 0);
    expect(plane.inFlight).toBe(1);
    answer();
    await asked;
    await until(() => plane.inFlight === 0);
    expect(plane.live).toBe(0);
  });

  test('is not the network: whoever asks inside keeps no pod from ending', async () => {
    withList();
    const { loopback, helper, outer, plane } = await openDoors(basePolicy(issuer.url));
    await ask(loopback, { path: '/health' });
    await ask(helper, { path: '/health' });
    expect(plane.lastArrival).toBeUndefined();
    const before = systemClock.monotonic();
    await ask(outer, { path: '/health', tls: true });
    expect(plane.lastArrival).toBeGreaterThanOrEqual(before);
  });
});

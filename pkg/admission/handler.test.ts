import { afterEach, describe, expect, test } from '@jest/globals';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { silentLogger, systemClock } from '../base/index.ts';
import type { Clock } from '../base/index.ts';
import { createHandler } from './index.ts';
import type { Decide, HandlerOptions } from './index.ts';
import { testHooks } from './testing/hooks.ts';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { until } from '../../test/support/wait.ts';

const servers: Server[] = [];
afterEach(() => servers.splice(0).forEach((server) => server.close().closeAllConnections()));

async function start(mutate: Decide, more: Partial<HandlerOptions> = {}) {
  const { metrics, render } = testHooks();
  const other: Decide = () => Promise.resolve({ allowed: false, message: 'other' });
  const handler = createHandler({
    open: (path) => (path.startsWith('/key/') ? path.slice(4) : undefined),
    hooks: { mutate, pods: other, policies: other, decisions: other, connect: other, 'break-glass': other },
    clock: systemClock,
    logger: silentLogger,
    metrics,
    ...more,
  });
  const server = createServer(handler);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const post = async (body: string | Uint8Array<ArrayBuffer>, path = '/key/mutate', method = 'POST') => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { method, ...(method === 'POST' ? { body } : {}) });
    const text = await response.text();
    return {
      status: response.status,
      headers: response.headers,
      text,
      body: text.startsWith('{') ? (JSON.parse(text) as Answer) : undefined,
    };
  };
  return { port, post, render, handler };
}

interface Answer {
  readonly response: {
    readonly uid: string;
    readonly allowed: boolean;
    readonly patch?: string;
    readonly patchType?: string;
    readonly status?: { readonly code: number; readonly message: string };
    readonly warnings?: readonly string[];
  };
}

const review = (request: Record<string, unknown> = {}, more = {}): string =>
  JSON.stringify({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: 'u-7',
      operation: 'CREATE',
      resource: { group: '', version: 'v1', resource: 'pods' },
      namespace: 'ml',
      userInfo: { username: 'ana', groups: ['a'] },
      object: {},
      ...request,
    },
    ...more,
  });

const yes: Decide = () => Promise.resolve({ allowed: true });

describe('an answer', () => {
  test('carries the uid, and the patch in base64', async () => {
    const patch = [{ op: 'add', path: '/a', value: 'ü' }];
    const { post } = await start(() => Promise.resolve({ allowed: true, patch, warnings: ['w'.repeat(1000)] }));
    const { status, body } = await post(review());
    expect(status).toBe(200);
    expect(body?.response).toMatchObject({ uid: 'u-7', allowed: true, patchType: 'JSONPatch' });
    expect(JSON.parse(Buffer.from(body?.response.patch ?? '', 'base64').toString())).toEqual(patch);
    expect(body?.response.warnings?.[0]).toHaveLength(400);
    expect(body?.response.status).toBeUndefined();
  });

  test('has no patch where there is nothing to change, nor in a refusal', async () => {
    const { post } = await start(() => Promise.resolve({ allowed: true, patch: [] }));
    expect((await post(review())).body?.response).toEqual({ uid: 'u-7', allowed: true });
    const refusing = await start(() => Promise.resolve({ allowed: false, message: 'no', patch: [{}] }));
    expect((await refusing.post(review())).body?.response).toEqual({
      uid: 'u-7',
      allowed: false,
      status: { code: 403, reason: 'Forbidden', message: 'no' },
    });
  });

  test('is a refusal when the decision throws, and says nothing of why', async () => {
    const { post, render } = await start(() => Promise.reject(new Error('secret detail')));
    const { status, body, text } = await post(review());
    expect(status).toBe(200);
    expect(body?.response).toMatchObject({ uid: 'u-7', allowed: false });
    expect(text).not.toContain('secret detail');
    expect(await render()).toContain('sidegate_admission_failures_total{kind="error"} 1');
  });

  test.each([['/key/mutate'], ['/key/mutate?timeout=30s']])(
    'is a refusal when the decision takes too long: %s',
    async (path) => {
      const { post, render } = await start(() => new Promise(() => undefined), { deadlineMs: 50 });
      expect((await post(review(), path)).body?.response).toMatchObject({ allowed: false, status: { code: 504 } });
      expect(await render()).toContain('sidegate_admission_failures_total{kind="deadline"} 1');
    },
  );

  test('comes before the API server stops waiting', async () => {
    const waits: number[] = [];
    const clock: Clock = {
      ...systemClock,
      after(ms, run) {
        waits.push(ms);
        return systemClock.after(1, run);
      },
    };
    const { post } = await start(() => new Promise(() => undefined), { deadlineMs: 60_000, clock });
    expect((await post(review(), '/key/mutate?timeout=1s')).body?.response.allowed).toBe(false);
    expect((await post(review(), '/key/mutate?timeout=10s')).body?.response.allowed).toBe(false);
    expect(waits).toEqual([750, 9_750]);
  });

  test('asks to connect anew while the process ends', async () => {
    const { post, handler } = await start(yes);
    expect((await post(review())).headers.get('connection')).not.toBe('close');
    handler.end();
    const { body, headers } = await post(review());
    expect(body?.response.allowed).toBe(true);
    expect(headers.get('connection')).toBe('close');
  });
});

describe('what is no review is refused', () => {
  test.each<[string, string, number]>([
    ['nothing', '', 400],
    ['no JSON', '{', 400],
    ['a list', '[]', 400],
    ['no request', '{}', 400],
    ['no uid', review({ uid: '' }), 400],
    ['a uid that is no text', review({ uid: 7 }), 400],
    ['another version', review({}, { apiVersion: 'admission.k8s.io/v1beta1' }), 200],
    ['another operation', review({ operation: 'EAT' }), 200],
    ['no resource', review({ resource: 'pods' }), 200],
    ['a key twice', '{"request":{"uid":"a","uid":"b"}}', 400],
    ['nesting', `{"request":${'['.repeat(10_000)}${']'.repeat(10_000)}}`, 400],
  ])('%s', async (_, body, status) => {
    const { post, render } = await start(yes);
    const answer = await post(body);
    expect(answer.status).toBe(status);
    if (status === 200) expect(answer.body?.response).toMatchObject({ uid: 'u-7', allowed: false });
    expect(await render()).toContain('sidegate_admission_failures_total{kind="malformed"} 1');
  });

  test('a pod of very many values, which no pod has, in words that its author is told', async () => {
    const annotations = Object.fromEntries(Array.from({ length: 30_000 }, (_, at) => [`a${at}`, '']));
    const object = { metadata: { annotations } };
    const text = `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1",${review({ object }).replace(/^.*?(?="request")/, '')}`;
    const { post } = await start(yes);
    const { body } = await post(text);
    expect(body?.response).toMatchObject({ uid: 'u-7', allowed: false });
    expect(JSON.stringify(body)).toContain('[malformed] the review has more than 50000 values; fix: ');
    // Of policies it may be as many.
    expect((await post(text, '/key/validate/policies')).body?.response).toMatchObject({ status: { message: 'other' } });
  });

  test('bytes that are no UTF-8', async () => {
    const { post } = await start(yes);
    expect((await post(Uint8Array.of(0x7b, 0xff, 0x7d))).status).toBe(400);
  });

  test('more than the limit, declared or not', async () => {
    const { post, port, render } = await start(yes, { maxBody: 1_000 });
    expect((await post('x'.repeat(1_001))).status).toBe(413);
    const status = await new Promise<string>((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.write('POST /key/mutate HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
        for (let at = 0; at < 4; at++) socket.write(`200\r\n${'x'.repeat(512)}\r\n`);
      });
      socket.on('data', (chunk) => resolve(chunk.toString().split(' ')[1] ?? ''));
      socket.on('error', reject);
    });
    expect(status).toBe('413');
    expect(await render()).toContain('sidegate_admission_failures_total{kind="too_large"} 2');
  });

  test('more than all may have together, until others have their answer', async () => {
    const waiting = Promise.withResolvers<{ allowed: boolean }>();
    let asked = 0;
    const decide: Decide = () => (asked++ === 0 ? waiting.promise : yes(undefined as never));
    const large = review({ object: { text: 'x'.repeat(1_000) } });
    const { post, render, port } = await start(decide, { maxHeld: 2 * large.length - 1 });
    const first = post(large);
    await until(() => asked === 1);
    expect((await post(large)).status).toBe(503);
    expect(await render()).toContain('sidegate_admission_failures_total{kind="overloaded"} 1');
    expect((await post(review())).status).toBe(200);
    waiting.resolve({ allowed: true });
    expect((await first).status).toBe(200);
    // One that never ends, and whose sender goes.
    const slow = connect(port, '127.0.0.1', () =>
      slow.write(`POST /key/mutate HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n${large}`),
    );
    await until(async () => (await post(large)).status === 503);
    slow.destroy();
    await until(async () => (await post(large)).status === 200);
  });

  test.each<[string, number, Partial<HandlerOptions>, string]>([
    ['of unknown length', 413, { maxBody: 4_000_000 }, 'Transfer-Encoding: chunked'],
    ['of known length', 413, { maxBody: 4_000_000 }, 'Content-Length: 6291456'],
    ['of which others leave too little', 503, { maxHeld: 1_000 }, 'Content-Length: 6291456'],
  ])('while its body is on its way, and the peer reads why: a body %s', async (_, status, limits, framing) => {
    const { port } = await start(yes, limits);
    const errors: unknown[] = [];
    const socket = connect(port, '127.0.0.1');
    let answer = '';
    socket.on('data', (chunk) => (answer += chunk.toString())).on('error', (error) => errors.push(error));
    const closed = new Promise((resolve) => socket.on('close', resolve));
    const send = (size: number): void => {
      const part = 'x'.repeat(size);
      socket.write(framing.startsWith('T') ? `${size.toString(16)}\r\n${part}\r\n` : part);
    };
    socket.write(`POST /key/mutate HTTP/1.1\r\nHost: a\r\n${framing}\r\n\r\n`);
    send(5_242_880);
    await until(() => answer.endsWith('\n') && !answer.endsWith('\r\n\r\n'));
    // It goes on to send what it began, as clients do.
    send(1_048_576);
    if (framing.startsWith('T')) socket.write('0\r\n\r\n');
    await closed;
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} .*connection: close`, 'is'));
    expect(errors).toEqual([]);
    expect(answer.match(/HTTP/g)).toHaveLength(1);
  });

  test('and whose body never ends is closed all the same', async () => {
    const clock = fakeClock();
    const { port } = await start(yes, { maxBody: 1_000, clock });
    const refused = async () => {
      let answer = '';
      let closed = false;
      const socket = connect(port, '127.0.0.1');
      socket.on('data', (chunk) => (answer += chunk.toString()));
      socket.on('error', () => undefined).on('close', () => (closed = true));
      socket.write(`POST /key/mutate HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n${'x'.repeat(1_500)}`);
      await until(() => answer.includes(' 413 '));
      return { socket, closed: () => closed };
    };
    const silent = await refused();
    expect(silent.closed()).toBe(false);
    clock.advance(2_000);
    await until(silent.closed);
    const much = await refused();
    much.socket.write('x'.repeat(1_000_000));
    await until(much.closed);
  });

  test.each([
    ['/', 'POST', 404],
    ['/key/', 'POST', 404],
    ['/key/mutate/', 'POST', 404],
    ['/key/mutate', 'GET', 405],
    ['/mutate', 'POST', 404],
    ['/mutate', 'GET', 404],
  ])('%s by %s', async (path, method, status) => {
    expect((await (await start(yes)).post(review(), path, method)).status).toBe(status);
  });

  test('a path without the key is counted by what it lacks', async () => {
    let others = 0;
    const { post, render } = await start(yes, { onOtherKey: () => void others++ });
    const key = 'a'.repeat(64);
    for (const path of ['/mutate', '/', `/${key}`, `/${key}/mutate`, '/key/nothing']) await post(review(), path);
    const metrics = await render();
    for (const [why, count] of Object.entries({ no_key: 3, other_key: 1, no_page: 1 }))
      expect(metrics).toContain(`sidegate_webhook_strangers_total{path="${why}"} ${count}\n`);
    expect(metrics).not.toContain('sidegate_admission_failures_total{kind="malformed"} 1');
    expect(others).toBe(1);
  });

  test('a peer that hangs up in the middle', async () => {
    const { port, post } = await start(yes);
    await new Promise<void>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.write('POST /key/mutate HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{', () => socket.destroy());
      });
      socket.on('close', () => resolve());
    });
    expect((await post(review())).status).toBe(200);
  });
});

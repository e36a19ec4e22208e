import { afterEach, describe, expect, test } from '@jest/globals';
import { connect } from 'node:net';
import { silentLogger } from '../base/index.ts';
import { createAdminServer } from './admin-server.ts';
import type { AdminServer, AdminServerOptions } from './admin-server.ts';
import { until } from '../../test/support/wait.ts';

const open: AdminServer[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.close()));
});

async function start(options: Partial<AdminServerOptions> = {}): Promise<AdminServer> {
  const server = await createAdminServer({
    host: '127.0.0.1',
    port: 0,
    logger: silentLogger,
    metrics: { contentType: 'text/plain; version=0.0.4', render: () => Promise.resolve('a_total 1\n') },
    ready: () => ({ ready: true, reasons: [] }),
    ...options,
  });
  open.push(server);
  return server;
}

/** Raw bytes in, everything that comes back until the peer closes. */
function raw(server: AdminServer, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(server.port, server.host, () => socket.write(bytes));
    let text = '';
    socket.on('data', (chunk) => (text += chunk.toString('latin1')));
    socket.on('error', reject);
    socket.on('close', () => resolve(text));
  });
}

const ask = (method: string, path: string, more = ''): string =>
  `${method} ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${more}\r\n`;
const status = (answer: string): number => Number(answer.split(' ')[1]);

describe('the admin server', () => {
  test('says that it lives, whatever else is wrong', async () => {
    const server = await start({ ready: () => ({ ready: false, reasons: ['no_policy_yet'] }) });
    const answer = await raw(server, ask('GET', '/healthz'));
    expect(status(answer)).toBe(200);
    expect(answer).toContain('\r\n\r\nok\n');
  });

  test('says what must hold before others start, apart from readiness', async () => {
    let started = false;
    const server = await start({
      startup: () => ({ ready: started, reasons: started ? [] : ['redirect_loop'] }),
      ready: () => ({ ready: false, reasons: ['no_certificate'] }),
    });
    const before = await raw(server, ask('GET', '/startupz'));
    expect(status(before)).toBe(503);
    expect(before).toContain('{"ready":false,"reasons":["redirect_loop"]}');
    started = true;
    expect(status(await raw(server, ask('GET', '/startupz')))).toBe(200);
    expect(status(await raw(await start(), ask('GET', '/startupz')))).toBe(404);
  });

  test('says that it does not live when the process says so', async () => {
    expect(status(await raw(await start({ live: () => false }), ask('GET', '/healthz')))).toBe(503);
  });

  test('names the reasons while it is not ready, and none when it is', async () => {
    let ready = false;
    const server = await start({ ready: () => ({ ready, reasons: ready ? [] : ['no_policy_yet', 'no_certificate'] }) });
    const before = await raw(server, ask('GET', '/readyz'));
    expect(status(before)).toBe(503);
    expect(before).toContain('{"ready":false,"reasons":["no_policy_yet","no_certificate"]}');
    ready = true;
    const after = await raw(server, ask('GET', '/readyz?verbose=1'));
    expect(status(after)).toBe(200);
    expect(after).toContain('{"ready":true,"reasons":[]}');
  });

  test('serves the metrics in their own content type', async () => {
    const answer = await raw(await start(), ask('GET', '/metrics'));
    expect(answer).toContain('content-type: text/plain; version=0.0.4');
    expect(answer).toContain('\r\n\r\na_total 1\n');
  });

  test('answers a drain when nothing is in flight any more', async () => {
    let done = (): void => undefined;
    const drained = new Promise<void>((resolve) => (done = resolve));
    const server = await start({ drain: () => drained });
    let answered = false;
    const answer = raw(server, ask('GET', '/drain')).then((text) => {
      answered = true;
      return text;
    });
    await raw(server, ask('GET', '/healthz'));
    expect(answered).toBe(false);
    done();
    expect(status(await answer)).toBe(200);
  });

  test('has no drain unless it was given one', async () => {
    expect(status(await raw(await start(), ask('GET', '/drain')))).toBe(404);
  });

  test.each<[string, string, number]>([
    ['another method', ask('POST', '/healthz'), 405],
    ['HEAD', ask('HEAD', '/metrics'), 405],
    ['another path', ask('GET', '/'), 404],
    ['a path that only looks alike', ask('GET', '/healthz/../metrics'), 404],
    ['an encoded path', ask('GET', '/health%7a'), 404],
    ['an absolute target', ask('GET', 'http://x/healthz'), 404],
    ['a body', `${ask('GET', '/healthz', 'Content-Length: 3\r\n')}abc`, 400],
    ['a chunked body', `${ask('GET', '/healthz', 'Transfer-Encoding: chunked\r\n')}0\r\n\r\n`, 400],
    ['no Host', 'GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n', 400],
    ['what is not HTTP', '\x16\x03\x01\x02\x00\x01\r\n\r\n', 400],
    ['headers over 8 KiB', ask('GET', '/healthz', `X-Long: ${'x'.repeat(9000)}\r\n`), 400],
  ])('refuses %s', async (_, bytes, expected) => {
    const answer = await raw(await start(), bytes);
    expect(status(answer)).toBe(expected);
    expect(answer).not.toContain('ok\n');
  });

  test('leaves places for others, however many connections one neighbour opens', async () => {
    const server = await start();
    const hogs = Array.from({ length: 30 }, () => connect(server.port, server.host).on('error', () => undefined));
    await until(() => hogs.filter((one) => one.closed).length === 22);
    const other = connect({ port: server.port, host: server.host, localAddress: '127.0.0.2' });
    let text = '';
    other.on('data', (chunk) => (text += chunk.toString('latin1')));
    other.write(ask('GET', '/healthz'));
    await until(() => other.closed);
    expect(status(text)).toBe(200);
    for (const one of hogs) one.destroy();
  });

  test('closes on a protocol upgrade', async () => {
    expect(await raw(await start(), ask('GET', '/healthz', 'Upgrade: websocket\r\n').replace('close', 'Upgrade'))).toBe(
      '',
    );
  });

  test('answers with fixed words when a page fails', async () => {
    const server = await start({
      metrics: { contentType: 'text/plain', render: () => Promise.reject(new Error('token abc in a message')) },
    });
    const answer = await raw(server, ask('GET', '/metrics'));
    expect(status(answer)).toBe(500);
    expect(answer).not.toContain('abc');
  });

  test('cuts a peer that sends its head too slowly', async () => {
    const server = await start();
    const begun = performance.now();
    const answer = await raw(server, 'GET /healthz HTTP/1.1\r\nHost: x\r\n');
    expect(answer === '' || status(answer) === 400 || status(answer) === 408).toBe(true);
    // Node's own default is a minute.
    expect(performance.now() - begun).toBeLessThan(40_000);
  });

  test('fails to start on a port that is taken', async () => {
    const server = await start();
    await expect(start({ port: server.port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });

  test('ends open connections when it closes', async () => {
    let asked = false;
    const server = await start({
      drain: () => {
        asked = true;
        return new Promise(() => undefined);
      },
    });
    const waiting = raw(server, ask('GET', '/drain')).catch(() => 'reset');
    await until(() => asked);
    await server.close();
    expect(await waiting).not.toContain('200');
  });
});

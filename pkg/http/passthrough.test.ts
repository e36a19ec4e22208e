import { createServer } from 'node:http';
import type { IncomingMessage, Server } from 'node:http';
import { connect as connectH2 } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { silentLogger, systemClock } from '../base/index.ts';
import { ensureSelfSigned } from '../pki/index.ts';
import { createListener } from './listener.ts';
import type { Listener } from './listener.ts';
import { createPassthrough } from './passthrough.ts';
import type { Passthrough } from './passthrough.ts';
import { pause, until } from '../../test/support/wait.ts';

let ca: string;
let model: Server;
let listener: Listener;
let passthrough: Passthrough;
const requests: IncomingMessage[] = [];
const failures: string[] = [];
let routeLimits: { idleMs?: number } = {};
const warnings: string[] = [];
const modelSockets = new Set<Socket>();
const onWarning = (warning: Error): void => void warnings.push(warning.name);

beforeAll(async () => {
  process.on('warning', onWarning);
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-pass-'));
  const files = await ensureSelfSigned(folder, ['127.0.0.1'], systemClock);
  const material = { cert: readFileSync(files.certFile, 'utf8'), key: readFileSync(files.keyFile, 'utf8') };
  ca = readFileSync(files.caFile, 'utf8');
  rmSync(folder, { recursive: true });
  model = createServer((request, response) => {
    requests.push(request);
    if (request.url === '/gone') return void request.socket.destroy();
    if (request.url === '/cut') {
      response.write('part');
      setTimeout(() => response.destroy(), 20);
      return;
    }
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      response.writeHead(200, { 'set-cookie': 'a=b', server: 'x', 'content-type': 'a/b', connection: 'close' });
      response.write('got ');
      response.end(Buffer.concat(chunks));
    });
  });
  model.on('upgrade', (request: IncomingMessage, socket: Socket) => {
    requests.push(request);
    socket.on('error', () => undefined);
    if (request.url === '/refused') {
      socket.end(
        'HTTP/1.1 403 Forbidden\r\nset-cookie: a=b\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
      );
      return;
    }
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSet-Cookie: a=b\r\nSec-WebSocket-Accept: x\r\n\r\n',
    );
    socket.on('data', (chunk: Buffer) => socket.write(`echo ${chunk.toString()}`));
  });
  model.on('connection', (socket: Socket) => {
    modelSockets.add(socket);
    socket.on('close', () => modelSockets.delete(socket));
  });
  await new Promise<void>((resolve) => model.listen(0, '127.0.0.1', resolve));
  passthrough = createPassthrough({
    target: `http://127.0.0.1:${(model.address() as AddressInfo).port}`,
    logger: silentLogger,
  });
  const headers = { authorization: 'Bearer of-the-model', 'content-type': 'text/plain' };
  listener = await createListener({
    host: '127.0.0.1',
    port: 0,
    tls: { current: () => material, subscribe: () => () => undefined },
    inbound: () => 'Required',
    minVersion: 'TLSv1.3',
    clock: systemClock,
    logger: silentLogger,
    refusalBody: (code) => code,
    onRefused: () => undefined,
    onExchange: (exchange) =>
      passthrough.web(
        exchange,
        { path: exchange.target, headers, ...routeLimits },
        {
          failed(error) {
            failures.push(error.code);
            exchange.respond(502, {}, error.code);
          },
        },
      ),
    onUpgrade: (upgrade) => {
      if (upgrade.target === '/denied')
        return upgrade.respond(403, { 'content-type': 'text/plain', connection: 'x' }, 'denied');
      passthrough.ws(
        upgrade,
        { path: upgrade.target, headers, ...routeLimits },
        {
          failed(error) {
            failures.push(error.code);
            upgrade.respond(502, {}, error.code);
          },
        },
      );
    },
  });
});
beforeEach(() => {
  requests.length = failures.length = 0;
});
afterAll(async () => {
  process.off('warning', onWarning);
  await listener.close(100);
  passthrough.close();
  for (const socket of modelSockets) socket.destroy();
  model.close();
});

function post(
  path: string,
  body: string,
): Promise<{ status: number; headers: Record<string, unknown>; text: string; cut: boolean }> {
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      {
        port: listener.port,
        host: '127.0.0.1',
        ca,
        path,
        method: 'POST',
        headers: { authorization: 'Bearer of-the-caller', cookie: 'a' },
      },
      (response) => {
        let text = '';
        const end = (cut: boolean) => () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text, cut });
        response.on('data', (chunk: Buffer) => (text += chunk.toString()));
        response.on('end', end(false));
        response.on('error', end(true));
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}

test('a body goes by as it is, with the decided headers and none of the caller’s', async () => {
  const answer = await post('/v1/x?a=%7Cb|c', 'hello');
  expect(answer).toMatchObject({ status: 200, text: 'got hello' });
  expect(requests[0]).toMatchObject({ url: '/v1/x?a=%7Cb|c', method: 'POST' });
  expect(requests[0]!.headers).toMatchObject({ authorization: 'Bearer of-the-model' });
  expect(requests[0]!.headers.cookie).toBeUndefined();
  expect(answer.headers['set-cookie']).toBeUndefined();
  expect(answer.headers['server']).toBeUndefined();
  expect(answer.headers['content-type']).toBe('a/b');
});

test('over HTTP/2 as well', async () => {
  const session = connectH2(`https://127.0.0.1:${listener.port}`, { ca });
  const stream = session.request({ ':method': 'POST', ':path': '/h2' });
  stream.end('two');
  let text = '';
  for await (const chunk of stream) text += String(chunk);
  expect(text).toBe('got two');
  session.close();
});

test('a model that breaks off before it answers has been reached', async () => {
  expect(await post('/gone', 'x')).toMatchObject({ status: 502, text: 'upstream_protocol' });
  expect(failures).toEqual(['upstream_protocol']);
});

test('an answer that breaks off is cut for the caller too', async () => {
  expect(await post('/cut', '')).toMatchObject({ text: 'part', cut: true });
  expect(failures).toEqual(['upstream_protocol']);
});

function handshake(path: string): Promise<{ socket: TLSSocket; text: () => string }> {
  return new Promise((resolve) => {
    const socket = connectTls({ port: listener.port, host: '127.0.0.1', ca }, () => {
      let text = '';
      socket.on('error', () => undefined);
      socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
      socket.write(
        `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n` +
          'Sec-WebSocket-Version: 13\r\nCookie: a\r\nAuthorization: Bearer of-the-caller\r\n\r\n',
      );
      resolve({ socket, text: () => text });
    });
  });
}

test('a WebSocket is joined, with the decided headers one way and only the handshake’s the other', async () => {
  const { socket, text } = await handshake('/ws?x=1');
  await until(() => text().endsWith('\r\n\r\n'));
  expect(text()).toMatch(/^HTTP\/1\.1 101 Switching Protocols\r\n/);
  expect(text()).toContain('sec-websocket-accept: x');
  expect(text()).not.toMatch(/cookie/i);
  expect(requests[0]!.url).toBe('/ws?x=1');
  expect(requests[0]!.headers).toMatchObject({
    authorization: 'Bearer of-the-model',
    upgrade: 'websocket',
    'sec-websocket-key': 'k',
  });
  expect(requests[0]!.headers.cookie).toBeUndefined();
  socket.write('frame');
  await until(() => text().endsWith('echo frame'));
  socket.destroy();
});

test('a handshake that the handler refuses never reaches the model', async () => {
  const { socket, text } = await handshake('/denied');
  await until(() => socket.destroyed || socket.readableEnded);
  expect(text()).toMatch(/^HTTP\/1\.1 403 Forbidden\r\n/);
  expect(text()).toMatch(/connection: close\r\n\r\ndenied$/);
  expect(requests).toEqual([]);
});

test('an answer of the model that is no handshake is not copied', async () => {
  const { socket, text } = await handshake('/refused');
  await until(() => text().includes('upstream_error'));
  expect(text()).toMatch(/^HTTP\/1\.1 502 /);
  expect(text()).not.toMatch(/cookie|abc/);
  socket.destroy();
});

/** Passthroughs of their own, which have not loaded anything yet, on the listener that stands. */
async function fresh(run: (other: Passthrough) => Promise<void>, idleMs?: number): Promise<void> {
  const standing = passthrough;
  passthrough = createPassthrough({
    target: `http://127.0.0.1:${(model.address() as AddressInfo).port}`,
    logger: silentLogger,
  });
  routeLimits = idleMs === undefined ? {} : { idleMs };
  try {
    await run(passthrough);
  } finally {
    passthrough.close();
    passthrough = standing;
    routeLimits = {};
  }
}

test('the first ones, who come while the library is loaded, are all served', () =>
  fresh(async () => {
    const [one, two, { socket, text }] = await Promise.all([post('/1', 'a'), post('/2', 'b'), handshake('/ws')]);
    expect([one.text, two.text]).toEqual(['got a', 'got b']);
    await until(() => text().endsWith('\r\n\r\n'));
    socket.write('frame');
    await until(() => text().endsWith('echo frame'));
    socket.destroy();
  }));

test('who leaves before the library is there never reaches the model', () =>
  fresh(async (other) => {
    const closing: (() => void)[] = [];
    const exchange = {
      method: 'GET',
      target: '/left',
      headers: {},
      onClose: (run: (how: string) => void) => closing.push(() => run('aborted')),
    };
    const told: string[] = [];
    other.web(exchange as never, { path: '/left', headers: {} }, { failed: (error) => told.push(error.code) });
    for (const run of closing) run();
    await post('/stayed', 'x');
    expect(requests.map((request) => request.url)).toEqual(['/stayed']);
    expect(told).toEqual([]);
  }));

test('who comes while it closes is told so, and the model is not called', () =>
  fresh(async (other) => {
    const answer = post('/late', 'x');
    other.close();
    expect(await answer).toMatchObject({ status: 502, text: 'shutting_down' });
    expect(requests).toEqual([]);
    expect(failures).toEqual(['shutting_down']);
  }));

test('a WebSocket on which both sides are silent for too long is closed, and one that is used is not', () =>
  fresh(async () => {
    const { socket, text } = await handshake('/ws');
    await until(() => text().endsWith('\r\n\r\n'));
    for (let n = 0; n < 6; n++) {
      await pause(400);
      socket.write(`${n}`);
      await until(() => text().endsWith(`echo ${n}`));
    }
    const from = performance.now();
    await until(() => socket.destroyed || socket.readableEnded);
    expect(performance.now() - from).toBeGreaterThan(1_000);
    socket.destroy();
  }, 2_000));

test('no deprecation warning is printed', () => {
  expect(warnings).toEqual([]);
});

test('a model that is away is told once', async () => {
  for (const socket of modelSockets) socket.destroy();
  await new Promise((resolve) => model.close(resolve));
  expect(await post('/', 'x')).toMatchObject({ status: 502, text: 'upstream_unreachable' });
  const { socket, text } = await handshake('/ws');
  await until(() => text().includes('upstream_unreachable'));
  expect(failures).toEqual(['upstream_unreachable', 'upstream_unreachable']);
  socket.destroy();
});

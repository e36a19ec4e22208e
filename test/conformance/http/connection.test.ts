import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect as connectPlain } from 'node:net';
import type { Socket } from 'node:net';
import { request as httpsRequest, Agent } from 'node:https';
import { connect as connectH2 } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { constants as zlibConstants, gzipSync, brotliCompressSync, deflateSync, zstdCompressSync } from 'node:zlib';
import { afterEach, describe, expect, test } from '@jest/globals';
import { systemClock } from '../../../pkg/base/index.ts';
import { BodyBudget } from '../../../pkg/http/index.ts';
import type { Exchange, ListenerOptions } from '../../../pkg/http/index.ts';
import { ensureSelfSigned } from '../../../pkg/pki/index.ts';
import { clientIdentity } from './client-identity.ts';
import type { ClientIdentity } from './client-identity.ts';
import { pause, until } from '../../support/wait.ts';
import { startWireTap } from '../../support/wire-tap.ts';
import { echo, serve, speak } from './harness.ts';
import type { Served } from './harness.ts';

let open: Served[] = [];
afterEach(async () => {
  await Promise.all(open.map((one) => one.stop()));
  open = [];
});

async function start(options: Parameters<typeof serve>[0] = {}): Promise<Served> {
  const served = await serve(options);
  open.push(served);
  return served;
}

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
const postOf = (path: string, body: string, extra = ''): string =>
  `POST ${path} HTTP/1.1\r\nHost: a\r\n${extra}Content-Length: ${Buffer.byteLength(body, 'latin1')}\r\n\r\n${body}`;

describe('the port without TLS', () => {
  test.each([
    ['a GET', get('/v1')],
    ['a POST with a body', postOf('/v1', 'secret')],
    ['one letter', 'G'],
  ])('answers %s with 426 that says TLS is mandatory', async (_name, text) => {
    const served = await start();
    const spoken = await speak(served, text, { plain: true });
    expect(spoken.text).toMatch(/^HTTP\/1\.1 426 Upgrade Required\r\n/);
    expect(spoken.text).toContain('upgrade: TLS/1.2, HTTP/1.1\r\n');
    expect(spoken.text).toContain('connection: Upgrade, close\r\n');
    expect(spoken.text).toContain('{"error":{"code":"tls_required"}}');
    expect(spoken.closed).toBe(true);
    expect(served.refused).toEqual(['tls_required']);
    expect(served.exchanges).toEqual([]);
  });

  test.each([
    ['zeros', '\x00\x00'],
    ['an SSLv2 hello', '\x80\x2e\x01'],
    ['a PROXY v2 header', '\r\n\r\n\x00\r\nQUIT\n'],
  ])('closes and counts what is neither: %s', async (_name, text) => {
    const served = await start();
    const spoken = await speak(served, text, { plain: true });
    expect(spoken).toEqual({ text: '', statuses: [], closed: true });
    expect(served.refused).toEqual(['malformed_http']);
  });

  test('closes a connection that says nothing', async () => {
    const served = await start({ limits: { firstByteMs: 100 } });
    const spoken = await speak(served, [], { plain: true });
    expect(spoken.closed).toBe(true);
    expect(served.refused).toEqual(['request_timeout']);
  });

  test('closes a handshake that never ends', async () => {
    const served = await start({ limits: { headersTimeoutMs: 150 } });
    const spoken = await speak(served, '\x16\x03\x01', { plain: true });
    expect(spoken.closed).toBe(true);
    expect(served.exchanges).toEqual([]);
  });

  test('closes a broken handshake', async () => {
    const served = await start();
    const spoken = await speak(served, `\x16\x03\x01\x00\x10${'a'.repeat(16)}`, { plain: true });
    expect(spoken.closed).toBe(true);
    await until(() => served.refused.length === 1);
  });

  test('serves plain HTTP/1.1 where the policy says Optional, and stops when it says so no more', async () => {
    const served = await start();
    served.inbound = 'Optional';
    const spoken = await speak(served, [postOf('/v1', 'abc'), 100, get('/two')], { plain: true, answers: 2 });
    expect(spoken.statuses).toEqual([200, 200]);
    expect(served.exchanges.map((one) => one.encrypted)).toEqual([false, false]);
    const socket = connectPlain(served.port, '127.0.0.1');
    let text = '';
    socket.on('data', (chunk) => (text += chunk.toString()));
    socket.write(get('/three'));
    await until(() => text.includes('200 OK'));
    served.inbound = 'Required';
    socket.write(get('/four'));
    await until(() => text.includes('426'));
    expect(served.seen).toEqual(['POST /v1 abc', 'GET /two', 'GET /three']);
  });

  test('times out a slow head on plain HTTP too', async () => {
    const served = await start({ limits: { headersTimeoutMs: 1_000 } });
    served.inbound = 'Optional';
    const drip = ['GET / HTTP/1.1\r\n', ...new Array(200).fill(['X: y\r\n', 50]).flat()] as (string | number)[];
    const spoken = await speak(served, drip, { plain: true });
    expect(spoken.statuses).toEqual([408]);
    expect(spoken.closed).toBe(true);
    expect(served.exchanges).toEqual([]);
  });
});

describe('slow clients', () => {
  test('a head that drips is cut off with 408 (slowloris)', async () => {
    const served = await start({ limits: { headersTimeoutMs: 1_000 } });
    const drip = ['GET / HTTP/1.1\r\n', ...new Array(200).fill(['X: y\r\n', 50]).flat()] as (string | number)[];
    const spoken = await speak(served, drip);
    expect(spoken.statuses).toEqual([408]);
    expect(spoken.closed).toBe(true);
    expect(served.exchanges).toEqual([]);
  });

  test('so is the head of a later request on the connection', async () => {
    const served = await start({ limits: { headersTimeoutMs: 1_000 } });
    const spoken = await speak(served, [get('/one'), 50, 'GET /two HTTP/1.1\r\nHos']);
    expect(spoken.statuses).toEqual([200, 408]);
    expect(served.seen).toEqual(['GET /one']);
  });

  test('a body that drips is cut off with 408', async () => {
    const seen: string[] = [];
    const served = await start({ limits: { drain: { ms: 200 } }, handle: echo(seen, { timeoutMs: 700 }) });
    const drip = [postOf('/v1', '').replace('Length: 0', 'Length: 1000'), ...new Array(200).fill(['a', 50]).flat()];
    const spoken = await speak(served, drip as (string | number)[]);
    expect(spoken.statuses).toEqual([408]);
    expect(spoken.closed).toBe(true);
    expect(seen).toEqual([]);
  });

  test('a body that nobody reads is cut off by the whole request’s limit', async () => {
    const served = await start({
      limits: { headersTimeoutMs: 1_000, requestTimeoutMs: 1_000 },
      handle: () => undefined,
    });
    const text = postOf('/v1', '').replace('Length: 0', 'Length: 1000');
    const socket = connectTls({ port: served.port, host: '127.0.0.1', ca: served.ca });
    socket.on('error', () => undefined);
    socket.write(text);
    await until(() => served.exchanges.length === 1);
    await pause(1_200);
    await expect(served.exchanges[0]!.readBody({ maxBytes: 9_999, timeoutMs: 60_000 })).rejects.toMatchObject({
      code: 'request_timeout',
    });
    socket.destroy();
  });

  test('an idle connection is closed', async () => {
    const served = await start({ limits: { idleMs: 700 } });
    const spoken = await speak(served, get('/one'));
    expect(spoken.statuses).toEqual([200]);
    expect(spoken.closed).toBe(true);
  });

  test('a peer that does not take its answer is cut off', async () => {
    const how: string[] = [];
    const served = await start({
      limits: { stallMs: 200 },
      handle: (exchange) => {
        exchange.onClose((kind) => how.push(kind));
        exchange.respond(200, {}, Buffer.alloc(32 * 1024 * 1024));
      },
    });
    const socket = connectTls({ port: served.port, host: '127.0.0.1', ca: served.ca });
    socket.on('error', () => undefined);
    socket.pause();
    socket.write(get('/'));
    await until(() => how.length === 1);
    expect(how).toEqual(['aborted']);
    socket.destroy();
  });

  test('connections past the cap are dropped', async () => {
    const served = await start({ limits: { maxConnections: 1 } });
    const first = connectTls({ port: served.port, host: '127.0.0.1', ca: served.ca });
    await new Promise((resolve) => first.once('secureConnect', resolve));
    expect(served.listener.connections()).toBe(1);
    const spoken = await speak(served, get('/'));
    expect(spoken).toMatchObject({ text: '', closed: true });
    expect(served.refused).toEqual(['overloaded']);
    first.destroy();
  });
});

describe('pipelining', () => {
  /** Answers after a time that the path names, so that a later request would overtake. */
  const slowly = (seen: string[]) => (exchange: Exchange) => {
    seen.push(`begin ${exchange.target}`);
    setTimeout(
      () => {
        seen.push(`end ${exchange.target}`);
        exchange.respond(200, {}, `answer to ${exchange.target}`);
      },
      Number(exchange.target.split('/')[2] ?? 0),
    );
  };

  test('requests are handled one at a time, in order', async () => {
    const seen: string[] = [];
    const served = await start({ handle: slowly(seen) });
    const spoken = await speak(served, get('/a/80') + get('/b/5') + get('/c/0'), { answers: 3 });
    expect(seen).toEqual(['begin /a/80', 'end /a/80', 'begin /b/5', 'end /b/5', 'begin /c/0', 'end /c/0']);
    expect([...spoken.text.matchAll(/answer to (\S+?)(?=HTTP|$)/g)].map((one) => one[1])).toEqual([
      '/a/80',
      '/b/5',
      '/c/0',
    ]);
  });

  test('bodies do not mix', async () => {
    const served = await start();
    const texts = Array.from({ length: 10 }, (_, at) => postOf(`/${at}`, `${at}`.repeat(5000)));
    await speak(served, texts.join(''), { answers: 10 });
    expect(served.seen).toEqual(Array.from({ length: 10 }, (_, at) => `POST /${at} ${`${at}`.repeat(5000)}`));
  });

  test('nothing behind a refused request is looked at', async () => {
    const served = await start();
    const bad = 'POST /bad HTTP/1.1\r\nHost: a\r\nHost: b\r\nContent-Length: 0\r\n\r\n';
    const spoken = await speak(served, get('/one') + bad + get('/two'));
    expect(spoken.statuses).toEqual([200, 400]);
    expect(spoken.closed).toBe(true);
    expect(served.seen).toEqual(['GET /one']);
  });

  test('garbage behind a request ends the connection after its answer', async () => {
    const seen: string[] = [];
    const served = await start({ handle: slowly(seen) });
    const spoken = await speak(served, `${get('/a/50')}\x01garbage\r\n\r\n${get('/two')}`);
    expect(spoken.statuses).toEqual([200]);
    expect(spoken.text).toContain('answer to /a/50');
    expect(spoken.closed).toBe(true);
    expect(seen).toEqual(['begin /a/50', 'end /a/50']);
  });

  test('garbage behind a request does not cut a stream', async () => {
    const served = await start({
      handle: (exchange) => {
        exchange.start(200, {});
        exchange.write('one ');
        setTimeout(() => exchange.end('two'), 60);
      },
    });
    const spoken = await speak(served, `${get('/')}\x01garbage\r\n\r\n`);
    expect(spoken.text).toContain('one ');
    expect(spoken.text).toContain('two');
    expect(spoken.text.match(/HTTP\/1.1/g)).toHaveLength(1);
    expect(spoken.closed).toBe(true);
  });

  test('more than the depth allows closes the connection', async () => {
    const served = await start({ limits: { pipelineDepth: 2 }, handle: () => undefined });
    const spoken = await speak(served, get('/') + get('/') + get('/') + get('/'));
    expect(spoken).toMatchObject({ text: '', closed: true });
    expect(served.exchanges).toHaveLength(1);
  });
});

describe('Expect: 100-continue', () => {
  const head = (length: number): string =>
    `POST /v1 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: ${length}\r\n\r\n`;

  test('is answered when the handler reads the body', async () => {
    let read: () => void = () => undefined;
    const seen: string[] = [];
    const served = await start({ handle: (exchange) => (read = () => echo(seen)(exchange)) });
    const socket = connectTls({ port: served.port, host: '127.0.0.1', ca: served.ca });
    let text = '';
    socket.on('data', (chunk) => (text += chunk.toString()));
    socket.write(head(3));
    await until(() => served.exchanges.length === 1);
    await pause(50);
    expect(text).toBe('');
    read();
    await until(() => text.startsWith('HTTP/1.1 100 Continue\r\n\r\n'));
    socket.write('abc');
    await until(() => text.endsWith('abc'));
    expect(seen).toEqual(['POST /v1 abc']);
    socket.destroy();
  });

  test('is not answered where the handler refuses first, and the connection closes: the body may or may not follow', async () => {
    const served = await start({
      handle: (exchange) => exchange.respond(401, {}, 'no'),
      limits: { drain: { ms: 100 } },
    });
    const spoken = await speak(served, [head(get('/smuggled').length), 50, get('/smuggled')]);
    expect(spoken.text).not.toContain('100 Continue');
    expect(spoken.statuses).toEqual([401]);
    expect(spoken.closed).toBe(true);
    expect(served.exchanges).toHaveLength(1);
  });

  test('is not answered for a body longer than allowed', async () => {
    const served = await start({ limits: { drain: { ms: 100 } } });
    const spoken = await speak(served, head(2_000_000));
    expect(spoken.statuses).toEqual([413]);
    expect(spoken.closed).toBe(true);
  });
});

describe('bodies', () => {
  const text = 'hello '.repeat(1000);
  const encoded: readonly (readonly [string, Buffer])[] = [
    ['gzip', gzipSync(text)],
    ['x-gzip', gzipSync(text)],
    ['deflate', deflateSync(text)],
    ['br', brotliCompressSync(text)],
    ['zstd', zstdCompressSync(text)],
    ['identity', Buffer.from(text)],
  ];

  test.each(encoded)('%s is undone', async (coding, body) => {
    const served = await start();
    await speak(served, postOf('/', body.toString('latin1'), `Content-Encoding: ${coding}\r\n`), { answers: 1 });
    expect(served.seen).toEqual([`POST / ${text}`.trimEnd()]);
  });

  const bomb = Buffer.alloc(16 * 1024 * 1024);
  const fast = { params: { [zlibConstants.BROTLI_PARAM_QUALITY]: 1 } };
  const refusals: readonly (readonly [string, string, Buffer, number, string])[] = [
    ['a gzip bomb', 'gzip', gzipSync(bomb), 413, 'body_too_large'],
    ['a brotli bomb', 'br', brotliCompressSync(bomb, fast), 413, 'body_too_large'],
    ['a zstd bomb', 'zstd', zstdCompressSync(bomb), 413, 'body_too_large'],
    ['stacked codings', 'gzip, gzip', gzipSync(gzipSync(text)), 415, 'unsupported_encoding'],
    ['an unknown coding', 'compress', Buffer.from('abc'), 415, 'unsupported_encoding'],
    ['what is not gzip', 'gzip', Buffer.from('abc'), 400, 'invalid_encoding'],
    ['cut gzip', 'gzip', gzipSync(text).subarray(0, 20), 400, 'invalid_encoding'],
    ['bytes after gzip', 'gzip', Buffer.concat([gzipSync(text), Buffer.from('garbage')]), 400, 'invalid_encoding'],
    [
      'bytes after zlib',
      'deflate',
      Buffer.concat([deflateSync(text), Buffer.from('garbage')]),
      400,
      'invalid_encoding',
    ],
    [
      'bytes after brotli',
      'br',
      Buffer.concat([brotliCompressSync(text), Buffer.from('garbage')]),
      400,
      'invalid_encoding',
    ],
    [
      'bytes after zstd',
      'zstd',
      Buffer.concat([zstdCompressSync(text), Buffer.from('garbage')]),
      400,
      'invalid_encoding',
    ],
  ];
  test.each(refusals)('%s is refused', async (_name, coding, body, status, code) => {
    const served = await start();
    const spoken = await speak(served, postOf('/', body.toString('latin1'), `Content-Encoding: ${coding}\r\n`), {
      answers: 1,
    });
    expect(spoken.statuses).toEqual([status]);
    expect(spoken.text).toContain(code);
    expect(served.seen).toEqual([]);
  });

  test('two Content-Encoding headers are refused', async () => {
    const served = await start();
    const spoken = await speak(served, postOf('/', 'abc', 'Content-Encoding: gzip\r\nContent-Encoding: identity\r\n'));
    expect(spoken.statuses).toEqual([400]);
    expect(served.exchanges).toEqual([]);
  });

  test('too long by announcement: 413, and the connection lives when the body is drained', async () => {
    const served = await start();
    const spoken = await speak(served, [postOf('/', 'a'.repeat(1_500_000)), get('/next')], { answers: 2 });
    expect(spoken.statuses).toEqual([413, 200]);
    expect(served.seen).toEqual(['GET /next']);
  });

  test('too long by its chunks: 413', async () => {
    const served = await start();
    const chunk = `10000\r\n${'a'.repeat(65536)}\r\n`;
    const parts = [
      'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n',
      ...new Array<string>(20).fill(chunk),
      '0\r\n\r\n',
    ];
    const spoken = await speak(served, parts, { answers: 1 });
    expect(spoken.statuses).toEqual([413]);
    expect(served.seen).toEqual([]);
  });

  test('an early refusal of a large upload reaches a client that writes first and reads after', async () => {
    const served = await start({ handle: (exchange) => exchange.respond(401, {}, 'no') });
    const parts = [
      `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${20 * 1024 * 1024}\r\n\r\n`,
      ...new Array<string>(20).fill('a'.repeat(1024 * 1024)),
    ];
    const spoken = await speak(served, [...parts, get('/next')], { answers: 2 });
    expect(spoken.statuses).toEqual([401, 401]);
  });

  test('no more than the drain’s limit is read', async () => {
    const served = await start({
      handle: (exchange) => exchange.respond(401, {}, 'no'),
      limits: { drain: { bytes: 1024 * 1024 } },
    });
    const parts = [
      `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${20 * 1024 * 1024}\r\n\r\n`,
      ...new Array<string>(20).fill('a'.repeat(1024 * 1024)),
    ];
    const spoken = await speak(served, parts);
    expect(spoken.closed).toBe(true);
  });

  test('a refusal while the body still comes says nothing into the next answer when the rest is malformed', async () => {
    const served = await start({ handle: (exchange) => exchange.respond(401, {}, 'no') });
    const spoken = await speak(served, [
      'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n',
      60,
      'zz\r\n',
    ]);
    expect(spoken.statuses).toEqual([401]);
    expect(spoken.closed).toBe(true);
  });

  test('bodies past the process’s budget are refused with 503, and what was taken is given back', async () => {
    const budget = new BodyBudget(100_000);
    const waiting: Exchange[] = [];
    const served = await start({
      budget,
      handle: (exchange) => {
        exchange.readBody({ maxBytes: 1_000_000, timeoutMs: 20_000 }).then(
          () => waiting.push(exchange),
          (error: { code: string }) => exchange.respond(503, {}, error.code),
        );
      },
    });
    const first = speak(served, postOf('/', 'a'.repeat(80_000)), { answers: 1 });
    await until(() => waiting.length === 1);
    expect(budget.used).toBe(80_000);
    const second = await speak(served, postOf('/', 'a'.repeat(30_000)), { answers: 1 });
    expect(second.text).toContain('overloaded');
    waiting[0]!.respond(200, {}, 'ok');
    await first;
    await until(() => budget.used === 0);
  });

  test('a body of a peer that has gone is not waited for', async () => {
    const served = await start({ handle: () => undefined });
    const socket = connectTls({ port: served.port, host: '127.0.0.1', ca: served.ca });
    socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n\r\nabc');
    await until(() => served.exchanges.length === 1);
    const gone = new Promise((resolve) => served.exchanges[0]!.onClose(resolve));
    socket.destroy();
    await gone;
    await expect(served.exchanges[0]!.readBody({ maxBytes: 99_999, timeoutMs: 60_000 })).rejects.toMatchObject({
      code: 'malformed_http',
    });
  });

  test('a peer that goes away in the middle rejects the body and gives its bytes back', async () => {
    const budget = new BodyBudget(100_000);
    const codes: string[] = [];
    const served = await start({
      budget,
      handle: (exchange) =>
        void exchange
          .readBody({ maxBytes: 1_000_000, timeoutMs: 20_000 })
          .catch((error: { code: string }) => codes.push(error.code)),
    });
    const socket = connectTls({ port: served.port, host: '127.0.0.1', ca: served.ca });
    socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n\r\nabc');
    await until(() => budget.used === 3);
    socket.destroy();
    await until(() => codes.length === 1);
    await until(() => budget.used === 0);
  });
});

describe('answers', () => {
  test('hop-by-hop headers and lengths of the handler’s never go out', async () => {
    const headers = {
      'Transfer-Encoding': 'chunked',
      connection: 'x-a',
      'keep-alive': 'a',
      'content-length': '99',
      te: 'a',
      trailer: 'x',
      upgrade: 'x',
      'proxy-authenticate': 'x',
      'x-b': ['1', '2'],
    };
    const served = await start({ handle: (exchange) => exchange.respond(200, headers, 'ok') });
    const { text } = await speak(served, get('/'), { answers: 1 });
    expect(text).not.toMatch(/transfer-encoding|x-a|\nte:|trailer|upgrade|proxy|99/i);
    expect(text).toContain('content-length: 2\r\n');
    expect(text).toContain('x-b: 1\r\nx-b: 2\r\n');
  });

  test.each([
    ['HEAD', 200, 'content-length: 5'],
    ['GET', 204, ''],
    ['GET', 304, ''],
  ])('%s with %i has no body', async (method, status, expected) => {
    const served = await start({ handle: (exchange) => exchange.respond(status, {}, 'hello') });
    const { text } = await speak(served, `${method} / HTTP/1.1\r\nHost: a\r\n\r\n`, { answers: 1 });
    expect(text).not.toContain('hello');
    expect(text).toContain(expected);
    if (status !== 200) expect(text).not.toContain('content-length');
  });

  test('a destroyed answer is seen as cut, over TLS and over plain HTTP/1.0', async () => {
    const served = await start({
      handle: (exchange) => {
        exchange.start(200, {});
        exchange.write('part');
      },
    });
    const errors: (string | undefined)[] = [];
    /** What came of an answer that is destroyed once its part has come. */
    const cut = async (socket: Socket, request: string): Promise<string> => {
      let text = '';
      socket.on('error', (error: NodeJS.ErrnoException) => errors.push(error.code));
      socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
      socket.write(request);
      await until(() => text.includes('part'));
      served.exchanges.at(-1)?.destroy();
      await until(() => socket.destroyed);
      return text;
    };
    const tls = connectTls({ port: served.port, host: '127.0.0.1', ca: served.ca });
    expect(await cut(tls, get('/'))).not.toContain('0\r\n\r\n');
    errors.splice(0);
    served.inbound = 'Optional';
    await cut(connectPlain(served.port, '127.0.0.1'), 'GET / HTTP/1.0\r\n\r\n');
    expect(errors).toEqual(['ECONNRESET']);
  });

  test.each([
    ['what is written in the same turn', '/both', 1],
    ['nothing, where that comes later', '/later', 2],
  ])('the head of a stream leaves in one TLS record with %s', async (_what, target, records) => {
    const served = await start({
      handle: (exchange) => {
        exchange.start(200, {});
        if (exchange.target === '/both') exchange.write('one');
        // Not before the head has been seen.
        else void until(() => text.includes('\r\n\r\n')).then(() => exchange.write('one'));
      },
    });
    const tap = await startWireTap(served.port, () => performance.now());
    let text = '';
    // In TLS 1.2 nothing of the handshake looks like application data.
    const socket = connectTls({ port: tap.port, host: '127.0.0.1', ca: served.ca, maxVersion: 'TLSv1.2' });
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
    socket.on('error', () => undefined);
    socket.write(get(target));
    await until(() => text.endsWith('one\r\n'));
    socket.destroy();
    await tap.close();
    expect(tap.records.filter(({ from }) => from === 'server')).toHaveLength(records);
  });

  test.each(['whole', 'in parts'])(
    'bytes of headers that are not ASCII stay as they are, of an answer %s',
    async (how) => {
      const headers = { 'x-name': 'caf\xe9 \xc3\xa9' };
      const served = await start({
        handle(exchange) {
          if (how === 'whole') return exchange.respond(200, headers, 'd\xe9j\xe0');
          exchange.start(200, headers);
          exchange.write('d\xe9j\xe0');
          exchange.end();
        },
      });
      const socket = connectTls({ port: served.port, host: '127.0.0.1', ca: served.ca });
      let text = '';
      socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
      socket.on('error', () => undefined);
      socket.write(get('/'));
      await until(() => text.includes('j\xc3\xa0'));
      socket.destroy();
      expect(text).toContain('x-name: caf\xe9 \xc3\xa9\r\n');
      expect(text).toContain('d\xc3\xa9j\xc3\xa0');
    },
  );

  test('write says when the peer is slower, and onDrain when it caught up', async () => {
    let drained = 0;
    let all = 0;
    const served = await start({
      handle: (exchange) => {
        exchange.start(200, {});
        const chunk = Buffer.alloc(256 * 1024);
        const more = (): void => {
          while (all < 16 * 1024 * 1024) {
            all += chunk.length;
            if (!exchange.write(chunk)) return;
          }
          exchange.end();
        };
        exchange.onDrain(() => {
          drained++;
          more();
        });
        more();
      },
    });
    const bytes = await new Promise<number>((resolve) => {
      httpsRequest({ port: served.port, host: '127.0.0.1', ca: served.ca }, (response) => {
        let size = 0;
        response.on('data', (chunk: Buffer) => (size += chunk.length));
        response.on('end', () => resolve(size));
      }).end();
    });
    expect(bytes).toBe(16 * 1024 * 1024);
    expect(drained).toBeGreaterThan(0);
  });

  test('a caller that hangs up is told to the handler at once', async () => {
    const how: string[] = [];
    const served = await start({ handle: (exchange) => exchange.onClose((kind) => how.push(kind)) });
    const socket = connectTls({ port: served.port, host: '127.0.0.1', ca: served.ca });
    socket.write(get('/'));
    await until(() => served.exchanges.length === 1);
    socket.destroy();
    await until(() => how.length === 1);
    expect(how).toEqual(['aborted']);
  });

  test('a handler that throws costs its own connection only', async () => {
    const served = await start({
      handle: (exchange) => {
        if (exchange.target === '/bad') throw new Error('bug');
        exchange.respond(200, {}, 'ok');
      },
    });
    expect(await speak(served, get('/bad'))).toMatchObject({ text: '', closed: true });
    expect((await speak(served, get('/good'), { answers: 1 })).statuses).toEqual([200]);
  });
});

describe('client certificates', () => {
  const good = clientIdentity();
  const bad = clientIdentity();
  const ask = async (served: Served, identity?: ClientIdentity): Promise<readonly number[]> => {
    const tls = identity === undefined ? {} : { cert: identity.cert, key: identity.key };
    return (await speak(served, get('/'), { answers: 1, tls })).statuses;
  };

  test('a good one is given to the handler, a bad one and none never count', async () => {
    const served = await start({ clientCa: good.ca });
    expect(await ask(served, good)).toEqual([200]);
    expect(await ask(served, bad)).toEqual([200]);
    expect(await ask(served)).toEqual([200]);
    const [first, second, third] = served.exchanges;
    expect(new X509Certificate(first!.clientCertificate!).subject).toBe('CN=client');
    expect(second!.clientCertificate).toBeUndefined();
    expect(third!.clientCertificate).toBeUndefined();
  });

  test('Mutual lets the good one pass and refuses a bad one and none', async () => {
    const served = await start({ clientCa: good.ca });
    served.inbound = 'Mutual';
    expect(await ask(served, bad)).toEqual([401]);
    expect(await ask(served)).toEqual([401]);
    expect(served.exchanges).toEqual([]);
    expect(served.refused).toEqual(['certificate_required', 'certificate_required']);
    expect(await ask(served, good)).toEqual([200]);
  });

  test('over HTTP/2 as well', async () => {
    const served = await start({ clientCa: good.ca });
    served.inbound = 'Mutual';
    const status = async (identity: ClientIdentity): Promise<unknown> => {
      const session = connectH2(`https://127.0.0.1:${served.port}`, {
        ca: served.ca,
        cert: identity.cert,
        key: identity.key,
      });
      const request = session.request({ ':path': '/' });
      const head = await new Promise<Record<string, unknown>>((resolve) => request.once('response', resolve));
      session.destroy();
      return head[':status'];
    };
    expect(await status(bad)).toBe(401);
    expect(served.exchanges).toEqual([]);
    expect(await status(good)).toBe(200);
    expect(served.exchanges[0]!.clientCertificate).toBeDefined();
  });

  test('none is asked for without an authority, and then Mutual refuses everybody', async () => {
    const served = await start();
    served.inbound = 'Mutual';
    expect(await ask(served, good)).toEqual([401]);
  });

  test('authorities can be set and changed while it runs', async () => {
    const served = await start();
    served.inbound = 'Mutual';
    served.listener.setTls({ clientCa: good.ca });
    expect(await ask(served, good)).toEqual([200]);
    served.listener.setTls({ clientCa: bad.ca });
    expect(await ask(served, good)).toEqual([401]);
    expect(await ask(served, bad)).toEqual([200]);
    served.listener.setTls({ clientCa: undefined });
    expect(await ask(served, bad)).toEqual([401]);
  });
});

describe('TLS', () => {
  test('versions below the least are refused in the handshake, and the least can be raised while it runs', async () => {
    const served = await start();
    const versions = async (maxVersion: 'TLSv1.2' | 'TLSv1.3'): Promise<number[]> => [
      ...(await speak(served, get('/'), { answers: 1, tls: { maxVersion } })).statuses,
    ];
    expect(await versions('TLSv1.2')).toEqual([200]);
    served.listener.setTls({ minVersion: 'TLSv1.3' });
    expect(await versions('TLSv1.2')).toEqual([]);
    expect(await versions('TLSv1.3')).toEqual([200]);
  });

  test('a certificate swap drops no connection and no stream, and new connections get the new one', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sidegate-swap-'));
    const load = async (name: string): Promise<{ cert: string; key: string; ca: string }> => {
      const files = await ensureSelfSigned(join(folder, name), ['localhost', '127.0.0.1'], systemClock);
      return {
        cert: readFileSync(files.certFile, 'utf8'),
        key: readFileSync(files.keyFile, 'utf8'),
        ca: readFileSync(files.caFile, 'utf8'),
      };
    };
    const before = await load('before');
    const after = await load('after');
    rmSync(folder, { recursive: true });
    let current = before;
    const listeners: (() => void)[] = [];
    const tls: ListenerOptions['tls'] = {
      current: () => current,
      subscribe: (listener) => (listeners.push(listener), () => undefined),
    };
    const streams: Exchange[] = [];
    const served = await start({
      tls,
      handle: (exchange) => {
        if (exchange.target !== '/stream') return exchange.respond(200, {}, 'ok');
        exchange.start(200, {});
        exchange.write('before ');
        streams.push(exchange);
      },
    });
    const collect = (ca: string, path: string, agent: Agent): Promise<string> =>
      new Promise((resolve, reject) => {
        httpsRequest({ port: served.port, host: '127.0.0.1', ca, path, agent }, (response) => {
          let text = '';
          response.on('data', (chunk: Buffer) => (text += chunk.toString()));
          response.on('end', () => resolve(text));
          response.on('error', reject);
        })
          .on('error', reject)
          .end();
      });
    const keep = new Agent({ keepAlive: true, maxSockets: 1 });
    const fresh = new Agent({ keepAlive: false });
    const session = connectH2(`https://127.0.0.1:${served.port}`, { ca: before.ca });
    expect(await collect(before.ca, '/', keep)).toBe('ok');
    const live = collect(before.ca, '/stream', fresh);
    const h2 = session.request({ ':path': '/stream' });
    let h2Text = '';
    h2.on('data', (chunk: Buffer) => (h2Text += chunk.toString()));
    await until(() => streams.length === 2 && h2Text !== '');

    current = after;
    for (const listener of listeners) listener();

    await expect(collect(before.ca, '/', fresh)).rejects.toThrow();
    expect(await collect(after.ca, '/', fresh)).toBe('ok');
    expect(await collect(before.ca, '/', keep)).toBe('ok'); // the connection that stood
    for (const stream of streams) stream.end('after');
    expect(await live).toBe('before after');
    await until(() => h2Text === 'before after');
    keep.destroy();
    session.close();
  });

  test('a certificate that cannot be used is not taken', async () => {
    let listener: () => void = () => undefined;
    let calls = 0;
    const folder = mkdtempSync(join(tmpdir(), 'sidegate-bad-'));
    const files = await ensureSelfSigned(folder, ['127.0.0.1'], systemClock);
    const pair = { cert: readFileSync(files.certFile, 'utf8'), key: readFileSync(files.keyFile, 'utf8') };
    const ca = readFileSync(files.caFile, 'utf8');
    rmSync(folder, { recursive: true });
    const broken = await start({
      tls: {
        current: () => (calls++ === 0 ? pair : { cert: 'nonsense', key: 'nonsense' }),
        subscribe: (given) => {
          listener = given;
          return () => undefined;
        },
      },
    });
    listener();
    const spoken = await speak(broken, get('/'), { answers: 1, tls: { ca } });
    expect(spoken.statuses).toEqual([200]);
  });
});

describe('closing', () => {
  test('waits for exchanges under way, says Connection: close, and takes nothing new', async () => {
    let finish: () => void = () => undefined;
    const served = await start({ handle: (exchange) => (finish = () => exchange.respond(200, {}, 'late')) });
    const first = speak(served, get('/'));
    await until(() => served.exchanges.length === 1);
    const session = connectH2(`https://127.0.0.1:${served.port}`, { ca: served.ca });
    await new Promise((resolve) => session.once('connect', resolve));
    const goaway = new Promise((resolve) => session.once('close', resolve));
    let closed = false;
    const end = served.listener.close(2000).then(() => (closed = true));
    await pause(100);
    expect(closed).toBe(false);
    await expect(speak(served, get('/'))).resolves.toMatchObject({ text: '' });
    finish();
    const spoken = await first;
    expect(spoken.text).toContain('late');
    expect(spoken.text).toContain('connection: close');
    await goaway;
    await end;
    open = open.filter((one) => one !== served);
  });

  test('closes idle connections at once, and streams that outlive the grace', async () => {
    const how: string[] = [];
    const served = await start({
      handle: (exchange) => {
        exchange.onClose((kind) => how.push(kind));
        exchange.start(200, {});
        exchange.write('endless');
      },
    });
    const idle = connectTls({ port: served.port, host: '127.0.0.1', ca: served.ca });
    await new Promise((resolve) => idle.once('secureConnect', resolve));
    const silent = connectPlain(served.port, '127.0.0.1');
    const stream = speak(served, get('/'));
    await until(() => served.exchanges.length === 1);
    await served.listener.close(200);
    open = open.filter((one) => one !== served);
    expect(how).toEqual(['aborted']);
    expect((await stream).closed).toBe(true);
    await until(() => silent.destroyed || silent.readableEnded);
    idle.destroy();
    silent.destroy();
  });
});

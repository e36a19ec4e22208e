import { createServer as createHttp } from 'node:http';
import type { RequestListener } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { createServer as createNet } from 'node:net';
import type { Socket } from 'node:net';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliCompressSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { afterEach, describe, expect, test } from '@jest/globals';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { createPeers } from '../../test/support/peers.ts';
import { pause, until } from '../../test/support/wait.ts';
import { systemClock } from '../base/index.ts';
import { RefusedError } from '../core/index.ts';
import { ensureSelfSigned } from '../pki/index.ts';
import type { Upstream, UpstreamCall, UpstreamRequest } from './exchange.ts';
import type { UpstreamOptions } from './upstream.ts';

const peers = createPeers();
const { listen, raw } = peers;
const upstreamTo = peers.upstream;
afterEach(() => peers.end());

const model = (listener: RequestListener): Promise<number> => listen(createHttp(listener));

interface Result {
  readonly calls: string[];
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly body: string;
  readonly code: string | undefined;
  readonly error: Error | undefined;
}

const ask: UpstreamRequest = { method: 'POST', path: '/v1', headers: {}, body: Buffer.from('{}'), idleMs: 2000 };

function send(
  upstream: Upstream,
  request: Partial<UpstreamRequest> = {},
  use?: (call: UpstreamCall, event: string) => void,
): Promise<Result> {
  return new Promise((resolve) => {
    const result = {
      calls: [] as string[],
      status: 0,
      headers: {} as Record<string, unknown>,
      body: '',
      code: undefined as string | undefined,
      error: undefined as Error | undefined,
    };
    const call = upstream.send(
      { ...ask, ...request },
      {
        head(status, headers) {
          result.calls.push('head');
          result.status = status;
          result.headers = headers;
          use?.(call, 'head');
        },
        data(chunk) {
          result.calls.push('data');
          result.body += chunk.toString();
          use?.(call, 'data');
        },
        end() {
          result.calls.push('end');
          resolve(result);
        },
        error(error) {
          result.calls.push('error');
          result.error = error;
          result.code = error instanceof RefusedError ? error.code : 'other';
          resolve(result);
        },
      },
    );
    use?.(call, 'sent');
  });
}

describe('the body of a request', () => {
  /** A server that says so much of an answer at once, and reads the request when it is told to. */
  async function early(said: string): Promise<{ readonly port: number; readonly read: () => void }> {
    const sockets: Socket[] = [];
    const port = await listen(
      createNet({ pauseOnConnect: true }, (socket) => {
        sockets.push(socket);
        socket.write(said);
      }),
    );
    return { port, read: () => sockets.forEach((socket) => socket.resume()) };
  }
  const begun = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab';

  function told(upstream: Upstream, body: Buffer | undefined): string[] {
    const calls: string[] = [];
    upstream.send(
      { ...ask, body },
      {
        head: () => calls.push('head'),
        bodyReleased: () => calls.push('released'),
        data: (chunk) => calls.push(chunk.toString()),
        end: () => calls.push('end'),
        error: () => calls.push('error'),
      },
    );
    return calls;
  }

  test('is released when an answer has begun', async () => {
    const { port } = await early(begun);
    const calls = told(upstreamTo(port), Buffer.from('{}'));
    await until(() => calls.includes('ab'));
    expect(calls).toEqual(['head', 'released', 'ab']);
  });

  test('is released when all of it has left, where the answer began before', async () => {
    const { port, read } = await early(begun);
    const calls = told(upstreamTo(port), Buffer.alloc(16 * 1024 * 1024));
    await until(() => calls.includes('ab'));
    expect(calls).toEqual(['head', 'ab']);
    read();
    await until(() => calls.length > 2);
    expect(calls).toEqual(['head', 'ab', 'released']);
  });

  test('is not spoken of where there is none, nor before an answer', async () => {
    const { port } = await early(begun);
    const none = told(upstreamTo(port), undefined);
    await until(() => none.includes('ab'));
    expect(none).toEqual(['head', 'ab']);
    const { port: silent } = await early('HTTP/1.1 200 OK\r\n');
    const calls = told(upstreamTo(silent), Buffer.from('{}'));
    const other = told(upstreamTo(port), undefined);
    await until(() => other.includes('ab'));
    expect(calls).toEqual([]);
  });
});

describe('requests', () => {
  test('go out with a length of our own, without hop-by-hop headers, and ask for codings that we undo', async () => {
    let seen: string[] = [];
    const port = await model((request, response) => {
      seen = request.rawHeaders;
      request.resume().on('end', () => response.end('ok'));
    });
    const headers = {
      'content-type': 'application/json',
      'Content-Length': '99',
      host: 'evil',
      connection: 'x',
      te: 'trailers',
      expect: '100-continue',
      'x-list': ['1', '2'],
    };
    const lower = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
    const result = await send(upstreamTo(port), { headers: lower });
    expect(result).toMatchObject({ status: 200, body: 'ok', calls: ['head', 'data', 'end'] });
    expect(seen).toEqual([
      'host',
      `127.0.0.1:${port}`,
      'accept-encoding',
      expect.stringContaining('identity;q=1'),
      'content-type',
      'application/json',
      'x-list',
      '1',
      'x-list',
      '2',
      'content-length',
      '2',
      'Connection',
      'keep-alive',
    ]);
  });

  test('reuse the connection that was used last', async () => {
    let connections = 0;
    const server = createHttp((_request, response) => response.end('ok'));
    server.on('connection', () => connections++);
    const upstream = upstreamTo(await listen(server));
    for (let at = 0; at < 5; at++) await send(upstream);
    expect(connections).toBe(1);
  });

  test('leave an idle connection after a time', async () => {
    let closed = 0;
    const server = createHttp((_request, response) => response.end('ok'));
    server.on('connection', (socket) => socket.on('close', () => closed++));
    const clock = fakeClock();
    const upstream = upstreamTo(await listen(server), { clock, limits: { idleSocketMs: 50 } });
    await send(upstream);
    clock.advance(49);
    await pause(50);
    expect(closed).toBe(0);
    clock.advance(50);
    await until(() => closed === 1);
  });

  test('a path of the URL stands before each request’s', async () => {
    let url = '';
    const port = await model((request, response) => {
      url = request.url ?? '';
      response.end();
    });
    await send(upstreamTo(port, { url: `http://127.0.0.1:${port}/base/` }), { path: '/v1?x=1' });
    expect(url).toBe('/base/v1?x=1');
  });

  test('a header that cannot be written is an error, not an exception', async () => {
    const port = await model((_request, response) => response.end());
    expect(await send(upstreamTo(port), { headers: { 'x-a': 'a\r\nb: c' } })).toMatchObject({
      code: 'internal_error',
      calls: ['error'],
    });
    expect(await send(upstreamTo(port), { path: '/a b' })).toMatchObject({ code: 'internal_error', calls: ['error'] });
  });
});

describe('Content-Encoding of answers', () => {
  const text = 'hello '.repeat(5000);
  test.each([
    ['gzip', gzipSync(text)],
    ['br', brotliCompressSync(text)],
    ['zstd', zstdCompressSync(text)],
    ['identity', Buffer.from(text)],
  ])('%s is undone', async (coding, body) => {
    const port = await model((_request, response) =>
      response.writeHead(200, { 'content-encoding': coding, 'content-length': body.length }).end(body),
    );
    const result = await send(upstreamTo(port));
    expect(result.body).toBe(text);
    if (coding !== 'identity') {
      expect(result.headers['content-encoding']).toBeUndefined();
      expect(result.headers['content-length']).toBeUndefined();
    }
  });

  test('each piece of a coded stream is given when it comes', async () => {
    const { createGzip, constants } = await import('node:zlib');
    const gzip = createGzip();
    const port = await model((_request, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' });
      gzip.pipe(response);
      gzip.write('one');
      gzip.flush(constants.Z_SYNC_FLUSH);
    });
    // The model says nothing more until the first piece was given.
    const result = await send(upstreamTo(port), {}, (_call, event) => event === 'data' && gzip.end('two'));
    expect(result.body).toBe('onetwo');
  });

  test.each([
    ['an unknown coding', { 'content-encoding': 'snappy' }, Buffer.from('x'), ['error']],
    ['stacked codings', { 'content-encoding': 'gzip, gzip' }, gzipSync(gzipSync('x')), ['error']],
    ['what is not gzip', { 'content-encoding': 'gzip' }, Buffer.from('plain text'), ['head', 'error']],
    ['cut gzip', { 'content-encoding': 'gzip' }, gzipSync(Buffer.from('hello')).subarray(0, 10), ['head', 'error']],
    [
      'bytes after gzip',
      { 'content-encoding': 'gzip' },
      Buffer.concat([gzipSync(''), Buffer.from('smuggled')]),
      ['head', 'error'],
    ],
  ])('%s is an error', async (_name, headers, body, calls) => {
    const port = await model((_request, response) => response.writeHead(200, headers).end(body));
    expect(await send(upstreamTo(port))).toMatchObject({ code: 'upstream_protocol', calls, body: '' });
  });

  test('an answer without a body may name a coding', async () => {
    const port = await model((_request, response) => response.writeHead(204, { 'content-encoding': 'gzip' }).end());
    expect(await send(upstreamTo(port))).toMatchObject({ status: 204, calls: ['head', 'end'] });
  });
});

describe('the one resend', () => {
  const whole = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

  const get = { method: 'GET', body: undefined };

  test('happens with a safe method where a reused connection ends before any byte of an answer', async () => {
    const seen: string[] = [];
    const server = await raw(({ socket, path, connection }) => {
      seen.push(`${connection} ${path}`);
      if (connection === 0 && seen.length === 2) socket.destroy();
      else socket.write(whole);
    });
    const upstream = upstreamTo(server.port);
    await send(upstream);
    expect(await send(upstream, get)).toMatchObject({ status: 200, body: 'ok', calls: ['head', 'data', 'end'] });
    expect(seen).toEqual(['0 /v1', '0 /v1', '1 /v1']);
  });

  test.each([
    ['a POST', {}],
    ['a POST without a body', { body: undefined }],
    ['a PUT', { method: 'PUT' }],
    ['a DELETE', { method: 'DELETE', body: undefined }],
    ['a GET with a body', { method: 'GET' }],
    ['a POST with a long body', { body: Buffer.alloc(100_000) }],
  ])('does not happen with what its server may have carried out: %s', async (_name, request) => {
    const server = await raw(({ socket, before }) => {
      if (before === 0) socket.write(whole);
      else socket.destroy();
    });
    const upstream = upstreamTo(server.port);
    await send(upstream);
    expect(await send(upstream, request)).toMatchObject({ code: 'upstream_protocol', calls: ['error'] });
    expect(server.seen).toEqual(['0 /v1', '0 /v1']);
  });

  test.each([
    ['a short POST', {}],
    ['a long POST', { body: Buffer.alloc(100_000) }],
  ])(
    'happens with any method where the connection had ended before a byte of it was written: %s',
    async (_name, request) => {
      const server = await raw(({ socket }) => socket.write(whole));
      const upstream = upstreamTo(server.port);
      await send(upstream);
      await pause(10);
      // Told to nobody before the next write: all of this is one turn of the event loop.
      server.sockets[0]!.resetAndDestroy();
      expect(await send(upstream, request)).toMatchObject({ status: 200, body: 'ok', calls: ['head', 'data', 'end'] });
      expect(server.seen).toEqual(['0 /v1', '1 /v1']);
    },
  );

  test('is not needed where the end was seen before', async () => {
    const server = await raw(({ socket }) => socket.write(whole));
    const upstream = upstreamTo(server.port);
    await send(upstream);
    server.sockets[0]!.end();
    await until(() => server.sockets[0]!.destroyed);
    expect(await send(upstream)).toMatchObject({ status: 200, body: 'ok' });
    expect(server.seen).toEqual(['0 /v1', '1 /v1']);
  });

  test('happens once', async () => {
    let requests = 0;
    const server = await raw(({ socket }) => {
      requests++;
      if (requests === 1) socket.write(whole);
      else socket.destroy();
    });
    const upstream = upstreamTo(server.port);
    await send(upstream);
    expect(await send(upstream, get)).toMatchObject({ code: 'upstream_protocol', calls: ['error'] });
    expect(requests).toBe(3);
  });

  test('does not happen on a new connection', async () => {
    let requests = 0;
    const server = await raw(({ socket }) => {
      requests++;
      socket.destroy();
    });
    expect(await send(upstreamTo(server.port), get)).toMatchObject({ code: 'upstream_protocol' });
    expect(requests).toBe(1);
  });

  test.each([
    ['a byte of an answer', 'H'],
    ['an interim answer', 'HTTP/1.1 102 Processing\r\n\r\n'],
    ['half of a head', 'HTTP/1.1 200 OK\r\nContent-Le'],
    ['a head', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n'],
  ])('does not happen after %s', async (_name, text) => {
    let requests = 0;
    const server = await raw(({ socket }) => {
      requests++;
      if (requests === 1) socket.write(whole);
      else socket.end(text);
    });
    const upstream = upstreamTo(server.port);
    await send(upstream);
    expect(await send(upstream, get)).toMatchObject({ code: 'upstream_protocol' });
    expect(requests).toBe(2);
  });
});

describe('answers that are not whole or not HTTP', () => {
  test.each([
    ['cut in its body', 'HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nabc', ['head', 'data', 'error']],
    ['cut in a chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc', ['head', 'data', 'error']],
    [
      'cut before the last chunk',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n',
      ['head', 'data', 'error'],
    ],
    ['with a bad chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n', ['head', 'error']],
    ['with two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab', ['error']],
    [
      'with a length and chunks',
      'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      ['error'],
    ],
    ['no HTTP', 'SSH-2.0-OpenSSH\r\n\r\n', ['error']],
    [
      'an upgrade that nobody asked for',
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n',
      ['error'],
    ],
    ['a head past the limit', `HTTP/1.1 200 OK\r\nX: ${'a'.repeat(70_000)}\r\n\r\n`, ['error']],
    ['more headers than allowed', `HTTP/1.1 200 OK\r\n${'X: y\r\n'.repeat(300)}\r\n`, ['error']],
  ])('%s is an error', async (_name, text, calls) => {
    const server = await raw(({ socket }) => socket.end(text));
    expect(await send(upstreamTo(server.port))).toMatchObject({ code: 'upstream_protocol', calls });
  });

  test('what follows an answer is never the next request’s answer', async () => {
    const server = await raw(({ socket }) =>
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil'),
    );
    const upstream = upstreamTo(server.port);
    for (let at = 0; at < 4; at++) {
      const result = await send(upstream);
      expect(result.body).not.toContain('evil');
      await pause(10);
    }
  });

  test('nor is what an idle connection says by itself', async () => {
    const server = await raw(({ socket, connection }) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      if (connection === 0) setTimeout(() => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil'), 20);
    });
    const upstream = upstreamTo(server.port);
    await send(upstream);
    await until(() => server.sockets[0]!.destroyed);
    expect((await send(upstream)).body).toBe('ok');
  });

  test('interim answers are skipped', async () => {
    const server = await raw(({ socket }) =>
      socket.write(
        'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
      ),
    );
    expect(await send(upstreamTo(server.port))).toMatchObject({
      status: 200,
      body: 'ok',
      calls: ['head', 'data', 'end'],
    });
  });

  test('errors never hold the peer’s words', async () => {
    const server = await raw(({ socket }) => socket.end('secret words\r\n\r\n'));
    const result = await send(upstreamTo(server.port));
    expect(result.error!.message).not.toContain('secret');
  });
});

describe('time', () => {
  test('a port where nobody listens is unreachable', async () => {
    const port = await model(() => undefined);
    peers.end();
    expect(await send(upstreamTo(port))).toMatchObject({ code: 'upstream_unreachable', calls: ['error'] });
  });

  test('a connection that does not come about in time is unreachable', async () => {
    // TLS to a server that never says hello: the connect time-out covers the handshake.
    let accepted = false;
    const port = await listen(createNet(() => (accepted = true)));
    const clock = fakeClock();
    const upstream = upstreamTo(port, { clock, url: `https://127.0.0.1:${port}`, limits: { connectMs: 100 } });
    const result = send(upstream);
    await until(() => accepted);
    clock.advance(100);
    expect(await result).toMatchObject({ code: 'upstream_unreachable', calls: ['error'] });
  });

  test('silence before the head, and in the middle, is a time-out; each byte begins it anew', async () => {
    let more: () => void = () => undefined;
    let asked = 0;
    const port = await model((request, response) => {
      asked++;
      if (request.url === '/silent') return;
      more = () => response.write('b');
      response.write('a');
    });
    const clock = fakeClock();
    const upstream = upstreamTo(port, { clock });
    const silent = send(upstream, { path: '/silent', idleMs: 100 });
    await until(() => asked === 1);
    clock.advance(100);
    expect(await silent).toMatchObject({ code: 'upstream_timeout', calls: ['error'] });

    let pieces = 0;
    let over = false;
    const slow = send(upstream, { path: '/', idleMs: 150 }, (_call, event) => event === 'data' && pieces++);
    void slow.then(() => (over = true));
    for (let at = 1; at <= 5; at++) {
      await until(() => pieces === at);
      clock.advance(149);
      if (at < 5) more();
    }
    await pause(50);
    expect(over).toBe(false);
    clock.advance(1);
    expect(await slow).toMatchObject({ code: 'upstream_timeout', body: 'abbbb' });
  });

  test('while the caller does not read, silence is not the model’s', async () => {
    const port = await model((_request, response) => response.end('x'.repeat(10)));
    const clock = fakeClock();
    const result = await send(upstreamTo(port, { clock }), { idleMs: 80 }, (call, event) => {
      if (event !== 'head') return;
      call.pause();
      clock.advance(300);
      call.resume();
    });
    expect(result).toMatchObject({ status: 200, body: 'x'.repeat(10) });
  });
});

describe('pause, resume and abort', () => {
  test('pause stops the model, resume goes on where it was', async () => {
    const size = 32 * 1024 * 1024;
    let written = 0;
    const port = await model((_request, response) => {
      const chunk = Buffer.alloc(64 * 1024, 'a');
      const more = (): void => {
        while (written < size) {
          written += chunk.length;
          if (!response.write(chunk)) return;
        }
        response.end();
      };
      response.on('drain', more);
      more();
    });
    let atPause = 0;
    let bytes = 0;
    await new Promise<void>((resolve) => {
      const call = upstreamTo(port).send(ask, {
        head() {
          call.pause();
          setTimeout(() => {
            atPause = written;
            call.resume();
          }, 200);
        },
        data: (chunk) => (bytes += chunk.length),
        end: () => resolve(),
        error: () => resolve(),
      });
    });
    expect(atPause).toBeLessThan(size);
    expect(bytes).toBe(size);
  });

  test.each(['sent', 'head', 'data'])(
    'abort at once after %s ends the connection, and nothing more is told',
    async (when) => {
      let closed = false;
      let asked: () => void = () => undefined;
      const port = await model((_request, response) => {
        response.on('close', () => (closed = true));
        asked();
        if (when !== 'sent') response.write('a');
      });
      const events: string[] = [];
      const upstream = upstreamTo(port);
      const call = upstream.send(ask, {
        head() {
          events.push('head');
          if (when === 'head') call.abort();
        },
        data() {
          events.push('data');
          if (when === 'data') call.abort();
        },
        end: () => events.push('end'),
        error: () => events.push('error'),
      });
      if (when === 'sent') asked = () => call.abort();
      await until(() => closed);
      call.abort();
      expect(events).toEqual(when === 'sent' ? [] : when === 'head' ? ['head'] : ['head', 'data']);
    },
  );
});

describe('TLS', () => {
  test('is verified: by the authority given, for the name given, and never skipped', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sidegate-up-'));
    const files = await ensureSelfSigned(folder, ['model.example'], systemClock);
    const ca = readFileSync(files.caFile, 'utf8');
    const server = createHttps(
      { cert: readFileSync(files.certFile), key: readFileSync(files.keyFile) },
      (_request, response) => response.end('ok'),
    );
    rmSync(folder, { recursive: true });
    const port = await listen(server);
    const to = (tls: UpstreamOptions['tls']): Upstream =>
      upstreamTo(port, { url: `https://127.0.0.1:${port}`, ...(tls === undefined ? {} : { tls }) });
    expect(await send(to({ ca, serverName: 'model.example' }))).toMatchObject({ status: 200, body: 'ok' });
    expect(await send(to({ ca }))).toMatchObject({ code: 'upstream_unreachable' });
    expect(await send(to({ serverName: 'model.example' }))).toMatchObject({ code: 'upstream_unreachable' });
    expect(await send(to(undefined))).toMatchObject({ code: 'upstream_unreachable' });
  });
});

import { createServer as createHttp } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { readFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { afterEach, describe, expect, test } from '@jest/globals';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { ask, createPeers, ok } from '../../../test/support/peers.ts';
import { pause, until } from '../../../test/support/wait.ts';
import { systemClock } from '../../base/index.ts';
import { ensureSelfSigned } from '../../pki/index.ts';
import type { UpstreamCall } from '../exchange.ts';

/** What the pool and its connections promise that no single answer shows; the rest is in upstream.test.ts. */

const peers = createPeers();
const { raw, listen } = peers;
const to = peers.upstream;
afterEach(() => peers.end());

describe('the pool', () => {
  test('opens no more connections than allowed; who waits gets the next one, in order', async () => {
    const server = await raw();
    const upstream = to(server.port, { maxSockets: 2 });
    const asked = ['/a', '/b', '/c', '/d'].map((path) => ask(upstream, path));
    await until(() => server.seen.length === 2);
    await pause(30);
    expect(server.seen.toSorted()).toEqual(['0 /a', '1 /b']);
    server.sockets[1]!.write(ok('b'));
    expect(await asked[1]!.done).toBe('end 200 b');
    await until(() => server.seen.length === 3);
    expect(server.seen[2]).toBe('1 /c');
    // One that breaks gives its place to a new one.
    server.sockets[0]!.destroy();
    expect(await asked[0]!.done).toBe('upstream_protocol');
    await until(() => server.seen.length === 4);
    expect(server.seen[3]).toBe('2 /d');
    server.sockets[2]!.write(ok('d'));
    server.sockets[1]!.write(ok('c'));
    expect(await Promise.all([asked[2]!.done, asked[3]!.done])).toEqual(['end 200 c', 'end 200 d']);
  });

  test('who leaves the queue or waits too long in it never reaches the model', async () => {
    const server = await raw();
    const clock = fakeClock();
    const upstream = to(server.port, { maxSockets: 1, clock });
    const first = ask(upstream, '/first');
    const left = ask(upstream, '/left');
    const late = ask(upstream, '/late', { idleMs: 60 });
    left.call.abort();
    await until(() => server.seen.length === 1);
    clock.advance(60);
    expect(await late.done).toBe('upstream_timeout');
    server.sockets[0]!.write(ok(''));
    expect(await first.done).toBe('end 200');
    const last = ask(upstream, '/last');
    await until(() => server.seen.length === 2);
    expect(server.seen).toEqual(['0 /first', '0 /last']);
    server.sockets[0]!.write(ok(''));
    await last.done;
    expect([left.received(), left.after()]).toEqual([0, 0]);
  });

  test.each([
    ['says that it closes', ok('', 'Connection: close\r\n')],
    ['speaks HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n'],
    ['keeps connections for a second', ok('', 'Keep-Alive: timeout=1\r\n')],
    ['sends a blank line behind its answer', `${ok('')}\r\n`],
  ])('uses a connection once where the server %s', async (_name, answer) => {
    const server = await raw(({ socket }) => socket.write(answer));
    const upstream = to(server.port);
    expect(await ask(upstream, '/a').done).toBe('end 200');
    expect(await ask(upstream, '/b').done).toBe('end 200');
    expect(server.seen).toEqual(['0 /a', '1 /b']);
  });

  test('uses a connection again where the server keeps it for long', async () => {
    const server = await raw(({ socket }) => socket.write(ok('', 'Keep-Alive: timeout=30, max=100\r\n')));
    const upstream = to(server.port);
    await ask(upstream, '/a').done;
    await ask(upstream, '/b').done;
    expect(server.seen).toEqual(['0 /a', '0 /b']);
  });

  test('leaves each idle connection at its time, and forgets those that their server ended', async () => {
    const server = await raw(({ before }) => {
      if (before === 2) for (const socket of server.sockets) socket.write(ok(''));
    });
    const clock = fakeClock();
    const upstream = to(server.port, { limits: { idleSocketMs: 80 }, clock });
    await Promise.all(['/a', '/b', '/c'].map((path) => ask(upstream, path).done));
    server.sockets[0]!.end();
    await until(() => server.sockets[0]!.destroyed);
    clock.advance(79);
    await pause(30);
    expect(server.open()).toBe(2);
    clock.advance(80);
    await until(() => server.open() === 0);
    const again = ask(upstream, '/d');
    await until(() => server.seen.length === 4);
    expect(server.seen[3]).toBe('3 /d');
    server.sockets[3]!.write(ok('d'));
    expect(await again.done).toBe('end 200 d');
  });

  test('tells those under way when it is closed, and takes nobody afterwards', async () => {
    const server = await raw();
    const upstream = to(server.port, { maxSockets: 1 });
    const first = ask(upstream, '/a');
    await until(() => server.seen.length === 1);
    upstream.close();
    expect(await first.done).toBe('upstream_protocol');
    expect(await ask(upstream, '/b').done).toBe('internal_error');
    expect(server.seen).toEqual(['0 /a']);
  });
});

describe('a request', () => {
  test('leaves in one piece, head and body, when it is short; long ones arrive whole', async () => {
    const pieces: string[] = [];
    const short = await listen(
      createServer((socket) => {
        socket.on('data', (chunk) => {
          pieces.push(chunk.toString('latin1'));
          socket.write(ok(''));
        });
      }),
    );
    await ask(to(short), '/x', { body: Buffer.from('body') }).done;
    expect(pieces).toHaveLength(1);
    expect(pieces[0]).toMatch(
      /^POST \/x HTTP\/1\.1\r\n[^]*\r\ncontent-length: 4\r\nConnection: keep-alive\r\n\r\nbody$/,
    );

    const size = 5 * 1024 * 1024 + 3;
    let got = 0;
    const port = await listen(
      createHttp((request, response) => {
        request.on('data', (chunk: Buffer) => (got += chunk.length)).on('end', () => response.end('k'));
      }),
    );
    expect(await ask(to(port), '/y', { body: Buffer.alloc(size, 'z') }).done).toBe('end 200 k');
    expect(got).toBe(size);
  });

  test('that was answered before it was out is told so, and its connection is not used again', async () => {
    let connections = 0;
    const port = await listen(
      createServer((socket) => {
        connections++;
        // It reads the head and no more.
        socket.once('data', () => {
          socket.pause();
          socket.write('HTTP/1.1 413 Large\r\nContent-Length: 1\r\n\r\nx');
        });
      }),
    );
    const upstream = to(port);
    expect(await ask(upstream, '/a', { body: Buffer.alloc(32 * 1024 * 1024) }).done).toBe('end 413 x');
    expect(await ask(upstream, '/b', { body: Buffer.alloc(32 * 1024 * 1024) }).done).toBe('end 413 x');
    expect(connections).toBe(2);
  });

  test('is not sent again where the server closed after a byte, nor where it was a connection’s first', async () => {
    const server = await raw(({ socket, before }) => {
      if (before === 0) socket.write(ok(''));
      else socket.end(before === 1 ? 'H' : '');
    });
    const upstream = to(server.port);
    const get = { method: 'GET', body: undefined };
    await ask(upstream, '/a').done;
    expect(await ask(upstream, '/b', get).done).toBe('upstream_protocol');
    expect(await ask(upstream, '/c', get).done).toBe('upstream_protocol');
    expect(server.seen).toEqual(['0 /a', '0 /b', '1 /c']);
  });
});

describe('an answer', () => {
  test('that only the end of the connection ends is whole at a clean end, and broken at a reset', async () => {
    const server = await raw(({ socket }) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\nab');
    });
    const upstream = to(server.port);
    const [first, second] = [ask(upstream, '/a'), ask(upstream, '/b')];
    await until(() => first.received() === 2 && second.received() === 2);
    // Either may have come first, on either connection.
    const of = (path: string): Socket => {
      const [connection] = server.seen.find((one) => one.endsWith(path))?.split(' ') ?? [];
      return server.sockets[Number(connection)]!;
    };
    of('/a').end('cd');
    of('/b').resetAndDestroy();
    expect(await first.done).toBe('end 200 abcd');
    expect(await second.done).toBe('upstream_protocol');
  });

  test('whose last bytes came while the caller did not read waits for them to be read', async () => {
    const server = await raw(({ socket }) => socket.write(ok('abc')));
    const events: string[] = [];
    const upstream = to(server.port);
    const done = new Promise<void>((resolve) => {
      const call: UpstreamCall = upstream.send(
        { method: 'GET', path: '/', headers: {}, body: undefined, idleMs: 2_000 },
        {
          head() {
            events.push('head');
            call.pause();
            setTimeout(() => {
              events.push('resumed');
              call.resume();
            }, 50);
          },
          data: (chunk) => events.push(chunk.toString()),
          end() {
            events.push('end');
            resolve();
          },
          error: () => resolve(),
        },
      );
    });
    await done;
    expect(events).toEqual(['head', 'resumed', 'abc', 'end']);
    // The connection was free meanwhile, and it works.
    expect(await ask(upstream, '/').done).toBe('end 200 abc');
    expect(server.sockets).toHaveLength(1);
  });

  test('that is paused again while it is given stays so', async () => {
    const server = await raw(({ socket }) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab');
      setTimeout(() => socket.write('cd'), 20);
    });
    const events: string[] = [];
    await new Promise<void>((resolve) => {
      const call: UpstreamCall = to(server.port).send(
        { method: 'GET', path: '/', headers: {}, body: undefined, idleMs: 2_000 },
        {
          head: () => pauseAWhile(),
          data(chunk) {
            events.push(chunk.toString());
            pauseAWhile();
          },
          end: () => resolve(),
          error: () => resolve(),
        },
      );
      const pauseAWhile = (): void => {
        call.pause();
        setTimeout(() => call.resume(), 40);
      };
    });
    expect(events.join('')).toBe('abcd');
  });
});

test('TLS sessions are resumed, and a certificate is asked for all the same', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-up-'));
  const files = await ensureSelfSigned(folder, ['127.0.0.1'], systemClock);
  const [ca, cert, key] = [files.caFile, files.certFile, files.keyFile].map((file) => readFileSync(file, 'utf8'));
  rmSync(folder, { recursive: true });
  const resumed: boolean[] = [];
  const server = createHttps({ cert, key }, (request, response) => {
    resumed.push((request.socket as TLSSocket).isSessionReused());
    response.setHeader('connection', 'close').end('ok');
  });
  const port = await listen(server);
  const trusting = to(port, { url: `https://127.0.0.1:${port}`, tls: { ca: ca! } });
  for (let at = 0; at < 3; at++) expect(await ask(trusting, '/').done).toBe('end 200 ok');
  expect(resumed).toEqual([false, true, true]);
  const other = to(port, { url: `https://127.0.0.1:${port}` });
  for (let at = 0; at < 2; at++) expect(await ask(other, '/').done).toBe('upstream_unreachable');
  expect(resumed).toHaveLength(3);
});

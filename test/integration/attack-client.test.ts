import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { createServer as createHttps } from 'node:https';
import type { TLSSocket } from 'node:tls';
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, test } from '@jest/globals';
import { systemClock } from '../../pkg/base/index.ts';
import type { Upstream, UpstreamRequest } from '../../pkg/http/index.ts';
import { ensureSelfSigned } from '../../pkg/pki/index.ts';
import { fakeClock } from '../support/fake-clock.ts';
import { ask, createPeers, ok } from '../support/peers.ts';
import type { Told } from '../support/peers.ts';
import { pause, until } from '../support/wait.ts';
import { basePolicy, startWorld } from '../support/world.ts';

// The model server as an enemy of the client that speaks to it, and of the next caller on the same connection.

const ends: (() => void | Promise<void>)[] = [];
const peers = createPeers();
const hostile = peers.raw;
const to = peers.upstream;
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
  peers.end();
});

const evil = ok('another caller’s'.replace('’', "'"));

describe('what stands behind an answer is nobody’s', () => {
  test.each<[string, string, string]>([
    ['HEAD with a length', 'HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 57\r\n\r\n'],
    ['HEAD in chunks', 'HEAD', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'],
    ['HEAD without a length', 'HEAD', 'HTTP/1.1 200 OK\r\n\r\n'],
    ['204 with a length', 'POST', 'HTTP/1.1 204 No Content\r\nContent-Length: 57\r\n\r\n'],
    ['204 in chunks', 'POST', 'HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n'],
    ['304 with a length', 'GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 57\r\n\r\n'],
  ])('%s: its body comes when the next caller has asked', async (_name, method, head) => {
    const server = await hostile(({ socket, path }) => {
      if (path === '/a') return void socket.write(head);
      // The body of the answer before, on the connection where it belongs; and this one's own.
      server.sockets[0]!.write(evil);
      setTimeout(() => socket.write(ok('own')), 20);
    });
    const upstream = to(server.port);
    expect(await ask(upstream, '/a', { method, body: undefined }).done).toMatch(/^end (?:200|204|304)$/);
    expect(await ask(upstream, '/b').done).toBe('end 200 own');
  });

  test('204 and 304 that announce nothing leave the connection in use', async () => {
    const server = await hostile(({ socket, before }) => {
      socket.write(before === 0 ? 'HTTP/1.1 204 No Content\r\n\r\n' : 'HTTP/1.1 304 Not Modified\r\n\r\n');
    });
    const upstream = to(server.port);
    for (const path of ['/a', '/b', '/c']) await ask(upstream, path).done;
    expect(server.seen).toEqual(['0 /a', '0 /b', '0 /c']);
  });

  test.each<[string, string]>([
    ['another answer', evil],
    ['the beginning of one', evil.slice(0, 1)],
    ['a letter', 'x'],
    ['NUL', '\0'],
  ])('%s in the same piece: the answer is refused, and the next request goes elsewhere', async (_name, second) => {
    const firsts: readonly [string, string][] = [
      ['POST', ok('one')],
      ['POST', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n'],
      ['POST', ok('one', 'Connection: close\r\n')],
      ['POST', 'HTTP/1.1 204 No Content\r\n\r\n'],
      ['HEAD', ok('').replace('0', '9')],
    ];
    for (const [method, first] of firsts) {
      const server = await hostile(({ socket, before }) => socket.write(before === 0 ? first + second : ok('own')));
      const upstream = to(server.port);
      expect(await ask(upstream, '/a', { method, body: undefined }).done).toBe('upstream_protocol');
      expect(await ask(upstream, '/b').done).toBe('end 200 own');
      expect(server.seen).toEqual(['0 /a', '1 /b']);
    }
  });

  test('an answer to a caller who left goes to nobody', async () => {
    const server = await hostile(({ socket, path }) => {
      if (path === '/gone') setTimeout(() => socket.write(evil), 40);
      else socket.write(ok('own'));
    });
    const upstream = to(server.port, { maxSockets: 1 });
    const gone = ask(upstream, '/gone');
    await until(() => server.seen.length === 1);
    gone.call.abort();
    expect(await ask(upstream, '/b').done).toBe('end 200 own');
    await pause(60);
    expect(gone.received()).toBe(0);
    expect(await ask(upstream, '/c').done).toBe('end 200 own');
  });

  test('hundreds of callers who come, pause and go over few connections: each gets its own bytes or none', async () => {
    let seed = 7;
    const random = (below: number): number => (seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648) % below;
    const server = await hostile(({ socket, path }) => {
      const body = `<${path}>`.repeat(1 + random(400));
      const chunks = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
      const text = random(2) === 0 ? ok(body) : `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`;
      const how = random(8);
      if (how === 0) socket.resetAndDestroy();
      else if (how === 1) socket.end(text.slice(0, random(text.length)));
      else if (how === 2) socket.write(text + evil);
      else if (how === 3) socket.end(text);
      else {
        const at = random(text.length);
        socket.write(text.slice(0, at));
        setTimeout(() => socket.write(text.slice(at)), random(4));
      }
    });
    const upstream = to(server.port, { maxSockets: 6 });
    const asked: { readonly path: string; readonly told: Told }[] = [];
    const all = Array.from({ length: 400 }, async (_, number) => {
      await pause(random(300));
      const path = `/r${number}`;
      const told = ask(upstream, path);
      asked.push({ path, told });
      const how = random(6);
      if (how === 0) {
        await pause(random(6));
        told.call.abort();
        return;
      }
      if (how === 1) {
        told.call.pause();
        await pause(random(6));
        told.call.resume();
      }
      const end = await told.done;
      if (end.startsWith('end')) expect(end.replaceAll(`<${path}>`, '').trimEnd()).toBe('end 200');
      else expect(end).toMatch(/^upstream_protocol$/);
    });
    await Promise.all(all);
    await until(() => server.open() <= 6);
    for (const { told } of asked) expect(told.after()).toBe(0);
  });
});

describe('an answer that is cut', () => {
  const whole = [
    ok('abc', 'X: y\r\n'),
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;e\r\nabc\r\n0\r\nT: u\r\n\r\n',
    `HTTP/1.1 103 x\r\nLink: a\r\n\r\n${ok('')}`,
  ];
  test.each(['end', 'reset'])('after each of its bytes by %s: an error, once, and never an end', async (how) => {
    for (const text of whole) {
      for (let at = 0; at < text.length; at++) {
        const server = await hostile(({ socket }) => {
          socket.write(text.slice(0, at));
          if (how === 'end') socket.end();
          else setImmediate(() => socket.resetAndDestroy());
        });
        const told = ask(to(server.port), '/a');
        expect({ at, end: await told.done }).toEqual({ at, end: 'upstream_protocol' });
        expect(server.seen).toHaveLength(1);
      }
    }
  });
});

describe('a status that is none', () => {
  test.each([600, 999, 700])('%i is refused', async (status) => {
    const server = await hostile(({ socket }) => socket.write(`HTTP/1.1 ${status} x\r\nContent-Length: 0\r\n\r\n`));
    expect(await ask(to(server.port), '/a').done).toBe('upstream_protocol');
  });

  test.each(['text/event-stream', 'application/json', 'text/plain'])(
    'over HTTP/2 the caller is told, and the sidecar lives (%s)',
    async (type) => {
      const server = await hostile(({ socket }) => {
        const body = type === 'application/json' ? '{"id":"x"}' : 'data: {}\n\n';
        socket.write(
          `HTTP/1.1 999 x\r\nContent-Type: ${type}\r\nRetry-After: \xe9\t x\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
          'latin1',
        );
      });
      const world = await startWorld({ policy: basePolicy, modelUrl: `http://127.0.0.1:${server.port}` });
      ends.push(() => world.close());
      const token = await world.token();
      const session = connectHttp2(world.url, { ca: world.ca });
      const post = (): Promise<unknown> =>
        new Promise((resolve) => {
          const stream = session.request({
            ':method': 'POST',
            ':path': '/v1/chat/completions',
            'content-type': 'application/json',
            authorization: `Bearer ${token}`,
          });
          stream.on('response', (headers) => resolve(headers[':status']));
          stream.on('error', () => resolve('reset'));
          stream.resume();
          stream.end(JSON.stringify({ model: 'llama-3-8b', messages: [{ role: 'user', content: 'hello' }] }));
        });
      for (let turn = 0; turn < 2; turn++) expect(await post()).toBe(502);
      session.destroy();
    },
  );
});

test('a status that is none, to a caller whose answer nobody reads: told as well', async () => {
  const server = await hostile(({ socket }) => socket.write('HTTP/1.1 999 x\r\nContent-Length: 1\r\n\r\nx'));
  const world = await startWorld({
    policy: (issuer) => basePolicy(issuer).replace('operations: [Chat', 'operations: [Other, Chat'),
    modelUrl: `http://127.0.0.1:${server.port}`,
  });
  ends.push(() => world.close());
  const token = await world.token();
  const session = connectHttp2(world.url, { ca: world.ca });
  for (let turn = 0; turn < 2; turn++) {
    const status = await new Promise((resolve) => {
      const stream = session.request({
        ':method': 'POST',
        ':path': '/upload',
        'content-type': 'application/octet-stream',
        authorization: `Bearer ${token}`,
      });
      stream.on('response', (headers) => resolve(headers[':status']));
      stream.on('error', () => resolve('reset'));
      stream.resume();
      stream.end('bytes');
    });
    expect(status).toBe(502);
  }
  expect((await world.record()).filter((one) => one['type'] === 'end').map((one) => one['code'])).not.toContain(null);
  session.destroy();
});

describe('values of headers that HTTP/2 may not like', () => {
  test.each(['text/event-stream', 'application/json'])(
    'pass or are dropped, and the sidecar lives (%s)',
    async (type) => {
      const server = await hostile(({ socket }) => {
        const body = type === 'application/json' ? '{"object":"list","data":[]}' : 'data: [DONE]\n\n';
        const odd = [
          'Retry-After: \xe9\t x',
          'X-Request-Id:',
          'OpenAI-Version: \xff\xfe',
          'Content-Language: a',
          'Content-Language: b',
        ];
        socket.write(
          `HTTP/1.1 404 x\r\nContent-Type: ${type}\r\n${odd.join('\r\n')}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
          'latin1',
        );
      });
      const world = await startWorld({ policy: basePolicy, modelUrl: `http://127.0.0.1:${server.port}` });
      ends.push(() => world.close());
      const token = await world.token();
      const session = connectHttp2(world.url, { ca: world.ca });
      const status = await new Promise((resolve) => {
        const stream = session.request({
          ':method': 'POST',
          ':path': '/v1/chat/completions',
          'content-type': 'application/json',
          authorization: `Bearer ${token}`,
        });
        stream.on('response', (headers) => resolve(headers[':status']));
        stream.on('error', () => resolve('reset'));
        stream.resume();
        stream.end(JSON.stringify({ model: 'llama-3-8b', messages: [{ role: 'user', content: 'hello' }] }));
      });
      expect(typeof status).toBe('number');
      session.destroy();
    },
  );
});

/** Of such a request nothing is done at its server. */
const safe = { method: 'GET', body: undefined };

describe('a request is not done twice', () => {
  test('where the server worked for long before it broke: only the race with its closing is resent', async () => {
    const clock = fakeClock();
    const server = await hostile(({ socket, before }) => {
      if (before === 0) return void socket.write(ok('one'));
      clock.advance(1_300);
      socket.resetAndDestroy();
    });
    const upstream = to(server.port, { clock });
    expect(await ask(upstream, '/a').done).toBe('end 200 one');
    expect(await ask(upstream, '/b').done).toBe('upstream_protocol');
    expect(server.seen).toEqual(['0 /a', '0 /b']);
  });

  test('where the server had closed: it is resent once, however often it breaks', async () => {
    const server = await hostile(({ socket, before }) => {
      if (before === 0) socket.write(ok('one'));
      else socket.destroy();
    });
    const upstream = to(server.port);
    await ask(upstream, '/a').done;
    expect(await ask(upstream, '/b', safe).done).toBe('upstream_protocol');
    expect(server.seen).toEqual(['0 /a', '0 /b', '1 /b']);
  });

  test('where the server had closed, and what was asked may have been done', async () => {
    const server = await hostile(({ socket, before }) => {
      if (before === 0) socket.write(ok('one'));
      else socket.destroy();
    });
    const upstream = to(server.port);
    await ask(upstream, '/a').done;
    expect(await ask(upstream, '/b').done).toBe('upstream_protocol');
    expect(server.seen).toEqual(['0 /a', '0 /b']);
  });
});

describe('the pool', () => {
  test('stays within its bound when the server drops connections in use while others wait', async () => {
    let most = 0;
    const server = await hostile(({ socket, before }) => {
      most = Math.max(most, server.open());
      if (before < 4) socket.write(ok(''));
      // Round after round each connection that is used again is dropped.
      else if (server.seen.filter((one) => one.startsWith(`${server.sockets.indexOf(socket)} `)).length > 1)
        socket.destroy();
      else setTimeout(() => socket.write(ok('')), 5);
    });
    const upstream = to(server.port, { maxSockets: 4 });
    await Promise.all(Array.from({ length: 4 }, (_, at) => ask(upstream, `/warm${at}`, safe).done));
    const all = Array.from({ length: 200 }, (_, at) => ask(upstream, `/w${at}`, safe).done);
    for (const one of all) expect(await one).toBe('end 200');
    // One resend at a time may go past it.
    expect(most).toBeLessThanOrEqual(8);
  });

  test('tells who waits for a connection when it is closed', async () => {
    const server = await hostile(() => undefined);
    const upstream = to(server.port, { maxSockets: 1 });
    const first = ask(upstream, '/a');
    const waiting = ask(upstream, '/b');
    await until(() => server.seen.length === 1);
    upstream.close();
    expect(await first.done).toBe('upstream_protocol');
    expect(await waiting.done).toBe('upstream_unreachable');
  });

  test('keeps no timer, socket or listener of calls that are over', async () => {
    const clock = fakeClock();
    const server = await hostile(({ socket, path }) => {
      if (path === '/reset') socket.resetAndDestroy();
      else if (path === '/bad') socket.write('HTTP/1.1 200 OK\r\nX : y\r\n\r\n');
      else if (path !== '/never') socket.write(ok('x'));
    });
    const upstream = to(server.port, { clock, maxSockets: 3 });
    for (let turn = 0; turn < 10; turn++) {
      const never = ask(upstream, '/never');
      const told = ['/a', '/reset', '/bad', '/b', '/c\r\nx: y'].map((path) => ask(upstream, path));
      await Promise.all(told.map((one) => one.done));
      never.call.abort();
    }
    await until(() => server.open() <= 3);
    // The sweep of idle connections alone.
    expect(clock.pending).toBeLessThanOrEqual(1);
    clock.advance(10_000);
    await until(() => server.open() === 0);
    expect(clock.pending).toBe(0);
  });
});

describe('a caller that does not read', () => {
  const megabyte = Buffer.alloc(1024 * 1024, 'z');
  /** As much as the kernel takes. */
  const flood = (head: string, piece: Buffer, sent: { bytes: number }) => (socket: Socket) => {
    socket.write(head);
    const more = (): void => {
      for (let at = 0; at < 64 && !socket.destroyed; at++) {
        sent.bytes += piece.length;
        if (!socket.write(piece)) return;
      }
      setImmediate(more);
    };
    socket.on('drain', more);
    more();
  };

  const untilItStalls = (sent: { bytes: number }): Promise<void> =>
    until(async () => {
      const before = sent.bytes;
      await pause(300);
      return before > 0 && sent.bytes === before;
    }, 'that the flood stops');

  test.each<[string, string, Buffer]>([
    ['plain', 'HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n', megabyte],
    ['gzip', 'HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n', gzipSync(megabyte)],
    [
      'chunks of a byte',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
      Buffer.from('1\r\nz\r\n'.repeat(100_000)),
    ],
  ])('from before the answer on takes no memory (%s)', async (_name, head, piece) => {
    const sent = { bytes: 0 };
    const server = await hostile(({ socket }) => flood(head, piece, sent)(socket));
    const upstream = to(server.port);
    const told = ask(upstream, '/a');
    told.call.pause();
    await untilItStalls(sent);
    expect(sent.bytes).toBeLessThan(64 * megabyte.length);
    expect(told.received()).toBe(0);
    told.call.abort();
  });

  test('and waits in the queue gets nothing when its turn comes', async () => {
    const sent = { bytes: 0 };
    const server = await hostile(({ socket, path }) => {
      if (path === '/a') setTimeout(() => socket.write(ok('a')), 30);
      else flood('HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n', megabyte, sent)(socket);
    });
    const upstream = to(server.port, { maxSockets: 1 });
    const first = ask(upstream, '/a');
    const waiting = ask(upstream, '/b');
    waiting.call.pause();
    await first.done;
    await untilItStalls(sent);
    expect(waiting.received()).toBe(0);
    expect(sent.bytes).toBeLessThan(64 * megabyte.length);
    waiting.call.resume();
    await until(() => waiting.received() > 0);
    waiting.call.abort();
  });
});

test('a head that comes byte by byte for ever ends at the time of the request', async () => {
  const server = await hostile(({ socket }) => {
    socket.write('HTTP/1.1 200 OK\r\nX: ');
    const timer = setInterval(() => socket.write('a'), 10);
    socket.on('close', () => clearInterval(timer));
  });
  const clock = fakeClock();
  const told = ask(to(server.port, { clock }), '/a', { idleMs: 200 });
  let over = false;
  void told.done.then(() => (over = true));
  await until(() => server.seen.length === 1);
  clock.advance(199);
  await pause(50);
  expect(over).toBe(false);
  clock.advance(1);
  expect(await told.done).toBe('upstream_timeout');
  await until(() => server.open() === 0);
});

describe('a request’s own head', () => {
  test.each<[string, Partial<UpstreamRequest>]>([
    ['CRLF in a value', { headers: { 'x-a': 'b\r\nx-evil: 1' } }],
    ['LF in a value', { headers: { 'x-a': 'b\nx-evil: 1' } }],
    ['NUL in a value', { headers: { 'x-a': 'b\0' } }],
    ['CRLF in one of several values', { headers: { 'x-a': ['b', 'c\r\nx-evil: 1'] } }],
    ['a letter past latin1', { headers: { 'x-a': 'b\u010d\u010a' } }],
    ['CRLF in a name', { headers: { 'x-a: b\r\nx-evil': '1' } }],
    ['a space in a path', { path: '/a HTTP/1.1\r\nx: y' }],
    ['CRLF in a path', { path: '/a\r\nx-evil:1' }],
    ['a letter past latin1 in a path', { path: '/\u010d\u010ax' }],
    ['a method of two words', { method: 'GET /evil HTTP/1.1\r\n\r\nPOST' }],
  ])('%s never leaves', async (_name, more) => {
    const server = await hostile(({ socket }) => socket.write(ok('x')));
    const upstream = to(server.port);
    expect(await ask(upstream, '/a', more).done).toBe('internal_error');
    expect(await ask(upstream, '/after').done).toBe('end 200 x');
    expect(server.seen).toEqual(['0 /after']);
  });

  test('framing and Host are ours, however their names are spelt', async () => {
    const heads: string[] = [];
    const port = await peers.listen(
      createServer((socket) => {
        socket.on('data', (chunk) => {
          heads.push(chunk.toString('latin1'));
          socket.write(ok(''));
        });
      }),
    );
    const headers = {
      'Transfer-Encoding': 'chunked',
      'Content-Length': '0',
      'CONTENT-LENGTH': '7',
      Host: 'evil',
      Connection: 'close',
      Expect: '100-continue',
      'X-Own': 'stays',
    };
    const upstream = to(port);
    for (let turn = 0; turn < 2; turn++) await ask(upstream, '/a', { headers }).done;
    for (const head of heads) {
      expect(head).toContain('X-Own: stays\r\n');
      expect(head.match(/^(?:transfer-encoding|content-length|host|connection|expect):.*$/gim)).toEqual([
        `host: 127.0.0.1:${port}`,
        'content-length: 2',
        'Connection: keep-alive',
      ]);
    }
  });
});

describe('TLS to the model', () => {
  async function secure(
    names: readonly string[],
    now?: number,
    maxVersion: 'TLSv1.2' | 'TLSv1.3' = 'TLSv1.2',
    onRequest?: (socket: TLSSocket) => void,
  ): Promise<{ port: number; ca: string; seen: string[] }> {
    const folder = mkdtempSync(join(tmpdir(), 'sidegate-attack-'));
    const clock = now === undefined ? systemClock : fakeClock({ now });
    const files = await ensureSelfSigned(folder, names, clock);
    const [ca, cert, key] = [files.caFile, files.certFile, files.keyFile].map((file) => readFileSync(file, 'utf8'));
    rmSync(folder, { recursive: true });
    const seen: string[] = [];
    const server = createHttps({ cert, key, maxVersion, sessionTimeout: 86_400 }, (request, response) => {
      seen.push(request.url ?? '');
      onRequest?.(request.socket as TLSSocket);
      response.setHeader('connection', 'close').end('ok');
    });
    return { port: await peers.listen(server), ca: ca!, seen };
  }
  const refusedTwice = async (upstream: Upstream): Promise<void> => {
    // The second would resume what the first began.
    for (let turn = 0; turn < 2; turn++) expect(await ask(upstream, '/').done).toBe('upstream_unreachable');
  };

  test('a certificate for another name is refused, also by a session that was begun', async () => {
    const { port, ca, seen } = await secure(['elsewhere.example']);
    await refusedTwice(to(port, { url: `https://127.0.0.1:${port}`, tls: { ca } }));
    await refusedTwice(to(port, { url: `https://127.0.0.1:${port}`, tls: { ca, serverName: 'example' } }));
    expect(seen).toEqual([]);
    const named = to(port, { url: `https://127.0.0.1:${port}`, tls: { ca, serverName: 'elsewhere.example' } });
    expect(await ask(named, '/').done).toBe('end 200 ok');
  });

  test('a caller that does not read while the connection is made gets its answer afterwards', async () => {
    const { port, ca } = await secure(['127.0.0.1']);
    const told = ask(to(port, { url: `https://127.0.0.1:${port}`, tls: { ca } }), '/');
    told.call.pause();
    await pause(200);
    expect(told.received()).toBe(0);
    told.call.resume();
    expect(await told.done).toBe('end 200 ok');
  });

  test.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'a session is not resumed for ever: after an hour a certificate is asked for (%s)',
    async (maxVersion) => {
      const resumed: boolean[] = [];
      const { port, ca } = await secure(['127.0.0.1'], undefined, maxVersion, (socket) =>
        resumed.push(socket.isSessionReused()),
      );
      const clock = fakeClock();
      const upstream = to(port, { url: `https://127.0.0.1:${port}`, tls: { ca }, clock });
      // Each resumed connection brings a new ticket: without a bound the chain has no end.
      for (const minutes of [0, 25, 25, 25, 25]) {
        clock.advance(minutes * 60_000);
        expect(await ask(upstream, '/').done).toBe('end 200 ok');
      }
      expect(resumed).toEqual([false, true, true, false, true]);
    },
  );

  test('a certificate whose time is over is refused', async () => {
    const { port, ca, seen } = await secure(['127.0.0.1'], Date.UTC(2001, 0, 1));
    await refusedTwice(to(port, { url: `https://127.0.0.1:${port}`, tls: { ca } }));
    expect(seen).toEqual([]);
  });

  test('authorities that are none trust nobody, rather than the public ones', async () => {
    const { port, seen } = await secure(['127.0.0.1']);
    for (const ca of ['', ' ', 'no certificate']) {
      let upstream: Upstream | undefined;
      try {
        upstream = to(port, { url: `https://127.0.0.1:${port}`, tls: { ca } });
      } catch {
        continue;
      }
      await refusedTwice(upstream);
    }
    expect(seen).toEqual([]);
  });
});

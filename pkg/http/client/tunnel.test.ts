import { createServer as createHttps } from 'node:https';
import { createSecureServer } from 'node:http2';
import type { ServerHttp2Stream } from 'node:http2';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { createPeers } from '../../../test/support/peers.ts';
import { Secret, systemClock } from '../../base/index.ts';
import { RefusedError } from '../../core/index.ts';
import { ensureSelfSigned } from '../../pki/index.ts';
import type { Upstream } from '../exchange.ts';
import { createHttp2Upstream } from '../http2-upstream.ts';
import { frame } from '../websocket/frame-writer.ts';
import { acceptOf } from '../websocket/handshake.ts';
import { createWebSocketUpstream } from '../websocket/upstream.ts';
import type { ProxyAddress } from './tunnel.ts';

const peers = createPeers();
const { listen } = peers;
const closing: (() => void)[] = [];
afterEach(() => {
  peers.end();
  closing.splice(0).forEach((close) => close());
});

let folder: string;
let material: { readonly cert: string; readonly key: string };
let ca: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sidegate-tunnel-'));
  const { certFile, keyFile, caFile } = await ensureSelfSigned(folder, ['models.test', '127.0.0.1'], systemClock);
  material = { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') };
  ca = readFileSync(caFile, 'utf8');
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Result {
  readonly status: number;
  readonly body: string;
  readonly code: string | undefined;
}

const send = (upstream: Upstream, body: Uint8Array | undefined): Promise<Result> =>
  new Promise((resolve) => {
    let [status, text] = [0, ''];
    upstream.send(
      { method: 'POST', path: '/v1', headers: {}, body, idleMs: 3_000 },
      {
        head: (code) => (status = code),
        data: (chunk) => (text += chunk.toString()),
        end: () => resolve({ status, body: text, code: undefined }),
        error: (error) => resolve({ status, body: text, code: error instanceof RefusedError ? error.code : 'other' }),
      },
    );
  });

/** A proxy that leads everything to this port; `say` is what it answers, in these pieces. */
async function proxyTo(port: number, say: readonly string[] = ['HTTP/1.1 200 Connection established\r\n\r\n']) {
  const seen: string[] = [];
  const at = await listen(
    createServer((client: Socket) => {
      let head = '';
      const read = (chunk: Buffer): void => {
        head += chunk.toString('latin1');
        if (!head.endsWith('\r\n\r\n')) return;
        client.off('data', read);
        client.pause();
        seen.push(head);
        const server = connect(port, '127.0.0.1');
        for (const one of [client, server]) one.on('error', () => undefined);
        client.on('close', () => server.destroy());
        server.on('close', () => client.destroy());
        const answer = async (): Promise<void> => {
          for (const piece of say) {
            client.write(piece, 'latin1');
            await new Promise((resolve) => setTimeout(resolve, 5));
          }
          client.pipe(server);
          server.pipe(client);
        };
        void answer();
      };
      client.on('data', read);
    }),
  );
  return { seen, address: { host: '127.0.0.1', port: at } };
}

const echo = (): Promise<number> =>
  listen(
    createHttps(material, (request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => response.end(Buffer.concat(parts)));
    }),
  );
const through = (proxy: ProxyAddress, url = 'https://models.test:8443'): Upstream =>
  peers.upstream(proxy.port, { url, proxy, tls: { ca }, clock: systemClock });

describe('through a proxy', () => {
  test('requests go, one after the other over one connection, and the proxy is told host and port alone', async () => {
    const { seen, address } = await proxyTo(await echo());
    const upstream = through(address);
    for (const body of ['one', 'two'])
      expect(await send(upstream, Buffer.from(body))).toEqual({ status: 200, body, code: undefined });
    expect(seen).toEqual(['CONNECT models.test:8443 HTTP/1.1\r\nHost: models.test:8443\r\n\r\n']);
  });

  test('a long body comes back as it went', async () => {
    const { address } = await proxyTo(await echo());
    const body = Buffer.alloc(3_000_000, 'abcdefghij');
    const answer = await send(through(address), body);
    expect(answer.body === body.toString()).toBe(true);
  });

  test.each([
    ['at each byte', [...'HTTP/1.0 200 OK\r\nVia: x\r\n\r\n']],
    ['with another 2xx', ['HTTP/1.1 204 \r\n\r\n']],
  ])('the proxy may answer %s', async (_what, say) => {
    const { address } = await proxyTo(await echo(), say);
    expect(await send(through(address), Buffer.from('x'))).toMatchObject({ status: 200, body: 'x' });
  });

  test.each([
    ['407', ['HTTP/1.1 407 Proxy Authentication Required\r\n\r\n']],
    ['a redirect', ['HTTP/1.1 302 Found\r\nLocation: https://evil.test\r\n\r\n']],
    ['no HTTP', ['SSH-2.0-x\r\n\r\n']],
    ['a head without end', ['HTTP/1.1 200 OK\r\n', `x: ${'y'.repeat(20_000)}\r\n`]],
    ['what TLS is not', ['HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n']],
  ])('one that says %s is no way to the model', async (_what, say) => {
    const { address } = await proxyTo(await echo(), say);
    expect(await send(through(address), Buffer.from('x'))).toMatchObject({ status: 0, code: 'upstream_unreachable' });
  });

  test('the server is who its certificate says, whatever the proxy leads to', async () => {
    const { address } = await proxyTo(await echo());
    for (const url of ['https://other.test', 'https://10.0.0.1'])
      expect(await send(through(address, url), undefined)).toMatchObject({ code: 'upstream_unreachable' });
    expect(await send(through(address, 'https://127.0.0.1'), undefined)).toMatchObject({ status: 200 });
  });

  test('what is not https goes straight', async () => {
    const { seen, address } = await proxyTo(1);
    expect(await send(through(address, 'http://127.0.0.1:1'), undefined)).toMatchObject({
      code: 'upstream_unreachable',
    });
    expect(seen).toEqual([]);
  });

  test('the proxy is told who we are, and the server is not', async () => {
    const heads: string[] = [];
    const port = await listen(
      createHttps(material, (request, response) => {
        heads.push(JSON.stringify(request.rawHeaders));
        response.end();
      }),
    );
    const { seen, address } = await proxyTo(port);
    const authorization = new Secret('Basic bWU6d29yZA==');
    expect(await send(through({ ...address, authorization }), undefined)).toMatchObject({ status: 200 });
    expect(seen).toEqual([
      'CONNECT models.test:8443 HTTP/1.1\r\nHost: models.test:8443\r\nProxy-Authorization: Basic bWU6d29yZA==\r\n\r\n',
    ]);
    expect(heads).toHaveLength(1);
    expect(heads[0]).not.toMatch(/proxy|bWU6/i);
  });

  test('WebSockets go the same way', async () => {
    const server = createHttps(material);
    server.on('upgrade', (request, socket) => {
      socket.on('error', () => undefined);
      const accept = acceptOf(String(request.headers['sec-websocket-key']));
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`,
      );
      socket.write(frame(0x81, Buffer.from(`you are at ${String(request.headers.host)}`), false));
    });
    const { seen, address } = await proxyTo(await listen(server));
    const upstream = createWebSocketUpstream({
      ...{ url: 'https://models.test', proxy: address, tls: { ca }, clock: systemClock },
    });
    const request = { path: '/ws', headers: {}, protocols: [], idleMs: 3_000, maxMessageBytes: 1_000 };
    const nothing = (): void => undefined;
    const heard = await new Promise<string>((resolve, reject) => {
      upstream.open(request, {
        opened: (_protocol, start) => {
          const socket = start({
            ...{ begin: nothing, done: nothing, ping: nothing, pong: nothing, close: nothing, read: nothing },
            ...{ fault: nothing, room: nothing, gone: nothing },
            bytes: (piece) => resolve(piece.toString()),
          });
          closing.push(() => socket.destroy());
        },
        failed: reject,
      });
    });
    expect(heard).toBe('you are at models.test');
    expect(seen).toEqual(['CONNECT models.test:443 HTTP/1.1\r\nHost: models.test:443\r\n\r\n']);
  });

  test('a WebSocket that the proxy does not lead on fails', async () => {
    const { address } = await proxyTo(1, ['HTTP/1.1 407 Proxy Authentication Required\r\n\r\n']);
    const upstream = createWebSocketUpstream({
      ...{ url: 'https://models.test', proxy: address, tls: { ca }, clock: systemClock },
    });
    const request = { path: '/ws', headers: {}, protocols: [], idleMs: 3_000, maxMessageBytes: 1_000 };
    const failed = await new Promise<RefusedError>((resolve, reject) => {
      upstream.open(request, { opened: () => reject(new Error('opened')), failed: resolve });
    });
    expect(failed.code).toBe('upstream_unreachable');
  });

  test('HTTP/2 goes the same way', async () => {
    const server = createSecureServer(material);
    server.on('stream', (stream: ServerHttp2Stream) => {
      stream.respond({ ':status': 200 });
      stream.pipe(stream);
    });
    const { seen, address } = await proxyTo(await listen(server));
    const upstream = createHttp2Upstream({
      url: 'https://models.test',
      proxy: address,
      tls: { ca },
      clock: systemClock,
    });
    closing.push(() => upstream.close());
    expect(await send(upstream, Buffer.from('x'))).toEqual({ status: 200, body: 'x', code: undefined });
    expect(seen).toEqual(['CONNECT models.test:443 HTTP/1.1\r\nHost: models.test:443\r\n\r\n']);
  });
});

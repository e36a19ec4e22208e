import { connect as connectH2 } from 'node:http2';
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { until } from '../support/wait.ts';
import type { World } from '../support/world.ts';
import { basePolicy, startWorld } from '../support/world.ts';

// What the model reads on its wire: every request that a caller sends is one request there, whatever its method and framing. The model
// is a socket, read as RFC 9112 section 6.3 says: chunked, else Content-Length, else no body.

interface Read {
  readonly line: string;
  readonly body: string;
}

let world: World;
let model: Server;
let token: string;
const sockets = new Set<Socket>();
const reads: Read[] = [];

beforeAll(async () => {
  model = createServer((socket) => {
    sockets.add(socket);
    let bytes = '';
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    socket.on('data', (piece: Buffer) => {
      bytes += piece.toString('latin1');
      for (let next = takeRequest(bytes); next !== undefined; next = takeRequest(bytes)) {
        bytes = next.rest;
        reads.push(next.read);
        const body = next.read.line.startsWith('HEAD ') ? '' : '{}';
        socket.write(
          `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
        );
      }
    });
  });
  await new Promise<void>((resolve) => model.listen(0, '127.0.0.1', resolve));
  world = await startWorld({
    modelUrl: `http://127.0.0.1:${(model.address() as AddressInfo).port}`,
    policy: (issuer) => basePolicy(issuer).replace('ListModels]', 'ListModels, Other]'),
  });
  token = await world.token();
});
beforeEach(() => {
  reads.length = 0;
});
afterAll(async () => {
  await world.close();
  for (const socket of sockets) socket.destroy();
  model.close();
});

/** The first request of these bytes, once it is whole. */
function takeRequest(bytes: string): { readonly read: Read; readonly rest: string } | undefined {
  const head = bytes.indexOf('\r\n\r\n');
  if (head < 0) return undefined;
  const line = bytes.slice(0, bytes.indexOf('\r\n'));
  const fields = bytes.slice(0, head + 2).toLowerCase();
  let at = head + 4;
  if (!/\r\ntransfer-encoding: *chunked\r\n/.test(fields)) {
    const length = Number(/\r\ncontent-length: *(\d+)\r\n/.exec(fields)?.[1] ?? 0);
    if (bytes.length < at + length) return undefined;
    return { read: { line, body: bytes.slice(at, at + length) }, rest: bytes.slice(at + length) };
  }
  for (let body = ''; ;) {
    const end = bytes.indexOf('\r\n', at);
    if (end < 0) return undefined;
    const size = Number.parseInt(bytes.slice(at, end), 16);
    if (bytes.length < end + 4 + size) return undefined;
    body += bytes.slice(end + 2, end + 2 + size);
    at = end + 4 + size;
    if (size === 0) return { read: { line, body }, rest: bytes.slice(at) };
  }
}

const smuggled = 'POST /v1/load_lora_adapter HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n';
const framings = {
  'in chunks': `Transfer-Encoding: chunked\r\n\r\n${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`,
  'with a length': `Content-Length: ${smuggled.length}\r\n\r\n${smuggled}`,
  'empty in chunks': 'Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'of length 0': 'Content-Length: 0\r\n\r\n',
  'without a body': '\r\n',
};
type Framing = keyof typeof framings;
const bodyOf = (framing: Framing): string => (framings[framing].includes(smuggled) ? smuggled : '');
const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND'];
const hasNoBody = (method: string): boolean => method === 'GET' || method === 'HEAD';
const isRefused = (method: string, framing: Framing): boolean =>
  method === 'TRACE' || method === 'PROPFIND' || (hasNoBody(method) && !/0$|without/.test(framing));

/** Bytes over TLS, answered whole: the connection ends with it. */
function raw(bytes: string): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connectTls({ host: '127.0.0.1', port: world.port, ca: world.ca }, () =>
      socket.write(bytes, 'latin1'),
    );
    socket.on('data', (piece: Buffer) => (text += piece.toString('latin1')));
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(text));
  });
}

const headOf = (method: string, path: string, more = ''): string =>
  `${method} ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer ${token}\r\n${more}`;

describe('a request of HTTP/1.1 is one request to the model', () => {
  test.each(methods)('%s, uninspected, framed in every way', async (method) => {
    for (const framing of Object.keys(framings) as Framing[]) {
      reads.length = 0;
      const answer = await raw(headOf(method, '/custom', 'Content-Type: a/b\r\n') + framings[framing]);
      const refused = isRefused(method, framing);
      expect([framing, answer.split(' ')[1]]).toEqual([framing, refused ? expect.stringMatching(/^4/) : '200']);
      expect([framing, ...reads]).toEqual([
        framing,
        ...(refused ? [] : [{ line: `${method} /custom HTTP/1.1`, body: bodyOf(framing) }]),
      ]);
    }
  });

  test.each(['POST', 'DELETE', 'OPTIONS'])('%s, inspected', async (method) => {
    const json = JSON.stringify({ a: smuggled });
    for (const framed of [
      `Content-Length: ${json.length}\r\n\r\n${json}`,
      `Transfer-Encoding: chunked\r\n\r\n${json.length.toString(16)}\r\n${json}\r\n0\r\n\r\n`,
    ]) {
      reads.length = 0;
      const answer = await raw(headOf(method, '/custom', 'Content-Type: application/json\r\n') + framed);
      expect(answer).toMatch(/^HTTP\/1\.1 200 /);
      expect(reads).toEqual([{ line: `${method} /custom HTTP/1.1`, body: json }]);
    }
  });

  test.each(['in chunks', 'with a length'] as const)('a WebSocket handshake with a body %s', async (framing) => {
    const handshake =
      `GET /custom HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n` +
      `Sec-WebSocket-Version: 13\r\nAuthorization: Bearer ${token}\r\n`;
    expect(await raw(handshake + framings[framing])).toMatch(/^HTTP\/1\.1 400 /);
    expect(reads).toEqual([]);
  });

  test('what stands behind a handshake that the model declines stays behind', async () => {
    const handshake =
      `GET /custom HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n` +
      `Sec-WebSocket-Version: 13\r\nAuthorization: Bearer ${token}\r\n\r\n`;
    expect(await raw(handshake + smuggled)).toMatch(/^HTTP\/1\.1 502 /);
    expect(reads).toEqual([{ line: 'GET /custom HTTP/1.1', body: '' }]);
  });
});

describe('a request of HTTP/2 is one request to the model', () => {
  test.each(methods)('%s, uninspected, with and without a length', async (method) => {
    const session = connectH2(world.url, { ca: world.ca });
    try {
      for (const [length, body] of [
        [undefined, smuggled],
        [smuggled.length, smuggled],
        [undefined, ''],
        [undefined, undefined],
      ] as const) {
        reads.length = 0;
        const stream = session.request(
          {
            ':method': method,
            ':path': '/custom',
            authorization: `Bearer ${token}`,
            'content-type': 'a/b',
            ...(length === undefined ? {} : { 'content-length': length }),
          },
          { endStream: body === undefined },
        );
        let status: number | undefined;
        let closed = false;
        stream.on('response', (headers) => (status = headers[':status']));
        stream.on('error', () => undefined);
        stream.on('close', () => (closed = true));
        stream.resume();
        if (body !== undefined) stream.end(body);
        await until(() => closed, `${method}: answered`);
        const refused = isRefused(method, body === undefined ? 'without a body' : 'in chunks');
        if (refused) expect(status ?? 400).toBeGreaterThanOrEqual(400);
        else expect(status).toBe(200);
        expect(reads).toEqual(refused ? [] : [{ line: `${method} /custom HTTP/1.1`, body: body ?? '' }]);
      }
    } finally {
      session.close();
    }
  });

  test('a body longer than its length never reaches the model as another request', async () => {
    const session = connectH2(world.url, { ca: world.ca });
    const stream = session.request({
      ':method': 'DELETE',
      ':path': '/custom',
      authorization: `Bearer ${token}`,
      'content-length': 1,
    });
    let closed = false;
    stream.on('error', () => undefined);
    stream.on('close', () => (closed = true));
    stream.end(smuggled);
    await until(() => closed, 'the stream is over');
    session.close();
    expect(reads.filter(({ line }) => !line.startsWith('DELETE /custom '))).toEqual([]);
  });
});

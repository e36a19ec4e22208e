import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createSecureServer } from 'node:http2';
import type { Http2SecureServer, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import { createServer as createHttps } from 'node:https';
import type { Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { until } from '../../test/support/wait.ts';
import { silentLogger, systemClock } from '../base/index.ts';
import { RefusedError } from '../core/index.ts';
import { ensureSelfSigned } from '../pki/index.ts';
import type { Upstream, UpstreamCall } from './exchange.ts';
import { createHttp2Upstream } from './http2-upstream.ts';
import { createNegotiatedUpstream } from './negotiated-upstream.ts';
import { createUpstream } from './upstream.ts';

// Requests to endpoints of which nobody knows what they speak, with real servers of TLS.

let folder: string;
let material: { readonly cert: string; readonly key: string };
let ca: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sidegate-negotiated-'));
  const { certFile, keyFile, caFile } = await ensureSelfSigned(folder, ['127.0.0.1'], systemClock);
  material = { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') };
  ca = readFileSync(caFile, 'utf8');
});
afterAll(() => rmSync(folder, { recursive: true }));
const ends: (() => void)[] = [];
afterEach(() => ends.splice(0).forEach((end) => end()));

interface Endpoint {
  readonly port: number;
  /** What was chosen on each connection that stood. */
  readonly chosen: string[];
  /** Connections that came, whatever became of them. */
  readonly connections: () => number;
  readonly seen: { readonly version: string; readonly body: string; readonly host: string | undefined }[];
}

async function listen(
  server: Server | Http2SecureServer,
  endpoint: Pick<Endpoint, 'chosen' | 'seen'>,
): Promise<Endpoint> {
  let connections = 0;
  server.on('connection', () => connections++);
  const sockets = new Set<Socket>();
  server.on('secureConnection', (socket: Socket & { readonly alpnProtocol?: string | false }) => {
    endpoint.chosen.push(String(socket.alpnProtocol));
    sockets.add(socket);
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ends.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { ...endpoint, connections: () => connections, port: (server.address() as AddressInfo).port };
}

function speaksHttp2(answer?: (stream: ServerHttp2Stream) => void, options: object = {}): Promise<Endpoint> {
  const seen: Endpoint['seen'] = [];
  const server = createSecureServer({ ...material, ...options });
  server.on('session', (session: ServerHttp2Session) => session.on('error', () => undefined));
  server.on('stream', (opened, headers) => {
    const stream = opened as ServerHttp2Stream;
    stream.on('error', () => undefined);
    let body = '';
    stream.on('data', (chunk: Buffer) => (body += chunk.toString()));
    stream.on('end', () => {
      seen.push({ version: '2', body, host: headers[':authority'] });
      if (answer !== undefined) return answer(stream);
      stream.respond({ ':status': 200, 'content-type': 'text/plain' });
      stream.end(`you said ${body}`);
    });
  });
  return listen(server, { chosen: [], seen });
}

function speaksHttp1(options: object = {}): Promise<Endpoint> {
  const seen: Endpoint['seen'] = [];
  const server = createHttps({ ...material, ...options }, (request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      seen.push({ version: request.httpVersion, body, host: request.headers.host });
      response.end(`you said ${body}`);
    });
  });
  return listen(server, { chosen: [], seen });
}

function upstreamTo({ port }: Pick<Endpoint, 'port'>, options: object = {}): Upstream {
  const common = { url: `https://127.0.0.1:${port}`, tls: { ca }, clock: systemClock, ...options };
  const http2 = createHttp2Upstream({ ...common, offersHttp1: true });
  const http1 = createUpstream({ ...common, logger: silentLogger });
  const upstream = createNegotiatedUpstream({ http2, http1, clock: common.clock });
  ends.push(() => {
    upstream.close();
    http2.close();
  });
  return upstream;
}

interface Answered {
  readonly calls: string[];
  readonly status: number;
  readonly body: string;
  readonly headers: Record<string, unknown>;
  readonly code: string | undefined;
}

function ask(upstream: Upstream, body: string | undefined, started: (call: UpstreamCall) => void = () => undefined) {
  return new Promise<Answered>((resolve) => {
    const calls: string[] = [];
    let [status, text, headers]: [number, string, Record<string, unknown>] = [0, '', {}];
    const done = (code?: string): void => resolve({ calls, status, body: text, headers, code });
    const call = upstream.send(
      {
        ...{ method: body === undefined ? 'GET' : 'POST', path: '/v1/chat', idleMs: 20_000 },
        headers: { 'content-type': 'application/json' },
        body: body === undefined ? undefined : Buffer.from(body),
      },
      {
        head: (code, fields) => {
          calls.push('head');
          [status, headers] = [code, fields];
        },
        bodyReleased: () => calls.push('released'),
        data: (chunk) => (text += chunk.toString()),
        end: () => {
          calls.push('end');
          done();
        },
        error: (error) => {
          calls.push('error');
          done(error instanceof RefusedError ? error.code : String(error));
        },
      },
    );
    started(call);
  });
}

test('many requests at once go over one connection of HTTP/2 where the server chooses it', async () => {
  for (const options of [{}, { allowHTTP1: true }]) {
    const endpoint = await speaksHttp2(undefined, options);
    const upstream = upstreamTo(endpoint);
    const answers = await Promise.all(Array.from({ length: 30 }, (_, at) => ask(upstream, `number ${at}`)));
    expect(answers.map(({ body }) => body)).toEqual(answers.map((_, at) => `you said number ${at}`));
    expect(answers[0]?.calls.toSorted()).toEqual(['end', 'head', 'released']);
    expect(endpoint.chosen).toEqual(['h2']);
    expect(new Set(endpoint.seen.map(({ version, host }) => `${version} ${host ?? ''}`))).toEqual(
      new Set([`2 127.0.0.1:${endpoint.port}`]),
    );
    expect((await ask(upstream, undefined)).status).toBe(200);
    expect(endpoint.chosen).toHaveLength(1);
  }
});

test.each([
  ['speaks HTTP/1.1 alone', {}],
  ['knows nothing of ALPN', { ALPNProtocols: [] }],
])('a server that %s gets each request once, over connections that are kept', async (_what, options) => {
  const endpoint = await speaksHttp1(options);
  const clock = fakeClock();
  const upstream = upstreamTo(endpoint, { clock });
  for (const body of ['one', 'two', 'three'])
    expect(await ask(upstream, body)).toMatchObject({ status: 200, body: `you said ${body}`, code: undefined });
  expect(endpoint.seen.map(({ version, body }) => [version, body])).toEqual([
    ['1.1', 'one'],
    ['1.1', 'two'],
    ['1.1', 'three'],
  ]);
  // One to ask, and one that is kept.
  expect(endpoint.connections()).toBe(2);
  // It is asked again some minutes later.
  clock.advance(600_000);
  expect(await ask(upstream, 'four')).toMatchObject({ status: 200, body: 'you said four' });
  await until(() => endpoint.connections() > 2, 'the question');
});

test('requests that wait while the server is asked all go, each once', async () => {
  const endpoint = await speaksHttp1();
  const upstream = upstreamTo(endpoint);
  const answers = await Promise.all(Array.from({ length: 20 }, (_, at) => ask(upstream, `number ${at}`)));
  expect(answers.map(({ body, code }) => [body, code])).toEqual(
    answers.map((_, at) => [`you said number ${at}`, undefined]),
  );
  expect(endpoint.seen).toHaveLength(20);
});

test('one that is aborted, or not read, while the server is asked stays so', async () => {
  const endpoint = await speaksHttp1();
  const upstream = upstreamTo(endpoint);
  let held: UpstreamCall | undefined;
  const aborted = ask(upstream, 'never', (call) => call.abort());
  const paused = ask(upstream, 'later', (call) => {
    held = call;
    call.pause();
  });
  await until(() => endpoint.seen.length === 1, 'the one that is not aborted');
  let isDone = false;
  void paused.then(() => (isDone = true));
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(isDone).toBe(false);
  held?.resume();
  expect(await paused).toMatchObject({ status: 200, body: 'you said later' });
  expect(endpoint.seen.map(({ body }) => body)).toEqual(['later']);
  void aborted;
});

test('an answer that is coded unasked is read, and one that is coded in a way that nobody knows is refused', async () => {
  const text = 'a long answer '.repeat(10_000);
  const coded = (coding: string) => (stream: ServerHttp2Stream) => {
    stream.respond({ ':status': 200, 'content-encoding': coding });
    stream.end(gzipSync(text));
  };
  const answer = await ask(upstreamTo(await speaksHttp2(coded('gzip'))), 'x');
  expect(answer).toMatchObject({ status: 200, code: undefined });
  expect(answer.body === text).toBe(true);
  expect(answer.headers['content-encoding']).toBeUndefined();
  for (const coding of ['rot13', 'gzip, gzip', 'br'])
    expect(await ask(upstreamTo(await speaksHttp2(coded(coding))), 'x')).toMatchObject({ code: 'upstream_protocol' });
});

test('a server that breaks off, is not there or is somebody else is told once, and nothing goes over HTTP/1.1', async () => {
  const broken = await speaksHttp2((stream) => stream.session?.destroy());
  const answer = await ask(upstreamTo(broken), 'x');
  expect(answer).toMatchObject({ code: 'upstream_protocol', calls: ['error'] });
  expect(broken.seen).toHaveLength(1);
  expect(await ask(upstreamTo({ port: 1 }), 'x')).toMatchObject({ code: 'upstream_unreachable', calls: ['error'] });
  const other = await speaksHttp1();
  const untrusting = upstreamTo(other, { tls: {} });
  expect(await ask(untrusting, 'x')).toMatchObject({ code: 'upstream_unreachable', calls: ['error'] });
  expect(other.seen).toEqual([]);
});

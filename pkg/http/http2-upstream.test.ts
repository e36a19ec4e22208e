import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { constants, createSecureServer, createServer } from 'node:http2';
import type { Http2Server, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import { createServer as createHttp1 } from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { until } from '../../test/support/wait.ts';
import { systemClock } from '../base/index.ts';
import { RefusedError } from '../core/index.ts';
import { ensureSelfSigned } from '../pki/index.ts';
import type { Http2Upstream, UpstreamCall, UpstreamRequest } from './exchange.ts';
import { createHttp2Upstream } from './http2-upstream.ts';
import type { Http2UpstreamOptions } from './http2-upstream.ts';

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

type OnStream = (stream: ServerHttp2Stream, headers: Record<string, unknown>) => void;

interface Model {
  readonly port: number;
  readonly sessions: ServerHttp2Session[];
}

async function serve(server: Http2Server, onStream: OnStream): Promise<Model> {
  const sessions: ServerHttp2Session[] = [];
  server.on('session', (session) => sessions.push(session));
  server.on('stream', (stream, headers) => {
    stream.on('error', () => undefined);
    onStream(stream as ServerHttp2Stream, headers);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ends.push(() => {
    server.close();
    for (const session of sessions) session.destroy();
  });
  return { port: (server.address() as AddressInfo).port, sessions };
}

const model = (onStream: OnStream, settings = {}): Promise<Model> => serve(createServer({ settings }), onStream);

function upstreamTo(port: number, options: Partial<Http2UpstreamOptions> = {}): Http2Upstream {
  const upstream = createHttp2Upstream({ url: `http://127.0.0.1:${port}`, clock: systemClock, ...options });
  ends.push(() => upstream.close());
  return upstream;
}

const ask: UpstreamRequest = { method: 'POST', path: '/s/M', headers: {}, body: Buffer.from('{}'), idleMs: 20_000 };

interface Result {
  readonly calls: string[];
  readonly status: number;
  readonly body: Buffer;
  readonly trailers: Record<string, unknown>;
  readonly code: string | undefined;
}

function send(
  upstream: Http2Upstream,
  request: Partial<UpstreamRequest> = {},
  use?: (call: UpstreamCall, event: string) => void,
): Promise<Result> {
  return new Promise((resolve) => {
    const result = { calls: [] as string[], status: 0, trailers: {}, code: undefined as string | undefined };
    const chunks: Buffer[] = [];
    const done = (event: string): void => {
      result.calls.push(event);
      resolve({ ...result, body: Buffer.concat(chunks) });
    };
    const call = upstream.send(
      { ...ask, ...request },
      {
        head(status) {
          result.calls.push('head');
          result.status = status;
          use?.(call, 'head');
        },
        bodyReleased: () => void result.calls.push('released'),
        data(chunk) {
          chunks.push(chunk);
          if (result.calls.at(-1) !== 'data') result.calls.push('data');
          use?.(call, 'data');
        },
        trailers: (trailers) => void (result.trailers = trailers),
        end: () => done('end'),
        error(error) {
          result.code = error instanceof RefusedError ? error.code : 'other';
          done('error');
        },
      },
    );
  });
}

/** An answer as gRPC servers give it: head, body, trailers. */
function answer(stream: ServerHttp2Stream, body: string | Buffer, trailers: Record<string, string>): void {
  stream.respond({ ':status': 200 }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers(trailers));
  stream.end(body);
}

test('h2c with prior knowledge: head, body and trailers both ways, over one connection', async () => {
  const seen: Record<string, unknown>[] = [];
  const { port, sessions } = await model((stream, headers) => {
    seen.push(headers);
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => answer(stream, Buffer.concat(chunks), { 'grpc-status': '0' }));
  });
  const upstream = upstreamTo(port);
  const headers = { te: 'trailers', connection: 'close', host: 'elsewhere', 'content-type': 'application/grpc' };
  const first = await send(upstream, { headers, body: Buffer.from('hello') });
  expect(first).toMatchObject({ status: 200, body: Buffer.from('hello'), trailers: { 'grpc-status': '0' } });
  expect(first.calls.filter((one) => one !== 'released')).toEqual(['head', 'data', 'end']);
  expect(first.calls).toContain('released');
  expect(seen[0]).toMatchObject({
    ':method': 'POST',
    ':path': '/s/M',
    ':scheme': 'http',
    ':authority': `127.0.0.1:${port}`,
    te: 'trailers',
    'content-length': '5',
  });
  expect(seen[0]).not.toHaveProperty('host');
  await Promise.all([send(upstream), send(upstream)]);
  expect(sessions).toHaveLength(1);
});

test('TLS: the server is verified and must choose h2', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'h2-'));
  ends.push(() => rmSync(folder, { recursive: true }));
  const { certFile, keyFile, caFile } = await ensureSelfSigned(folder, ['localhost'], systemClock);
  const material = { cert: readFileSync(certFile), key: readFileSync(keyFile) };
  const ca = readFileSync(caFile, 'utf8');
  const good = await serve(createSecureServer(material), (stream) => answer(stream, 'x', {}));
  const h1only = createHttps(material);
  await new Promise<void>((resolve) => h1only.listen(0, '127.0.0.1', resolve));
  ends.push(() => h1only.close());
  const at = (port: number, tls: Http2UpstreamOptions['tls']): Promise<Result> =>
    send(upstreamTo(port, { url: `https://127.0.0.1:${port}`, ...(tls && { tls }) }));
  expect(await at(good.port, { ca, serverName: 'localhost' })).toMatchObject({ status: 200 });
  expect(await at(good.port, { ca, serverName: 'other' })).toMatchObject({ code: 'upstream_unreachable' });
  expect(await at(good.port, undefined)).toMatchObject({ code: 'upstream_unreachable' });
  const { port } = h1only.address() as AddressInfo;
  expect((await at(port, { ca, serverName: 'localhost' })).code).toMatch(/upstream_(protocol|unreachable)/);
});

test('who is not there, or speaks HTTP/1.1 only, is an error and no answer', async () => {
  const gone = await model(() => undefined);
  for (const end of ends.splice(0)) end();
  expect(await send(upstreamTo(gone.port))).toMatchObject({ calls: ['error'], code: 'upstream_unreachable' });
  const http1 = createHttp1((_request, response) => response.end('hello'));
  await new Promise<void>((resolve) => http1.listen(0, '127.0.0.1', resolve));
  ends.push(() => http1.close());
  const { port } = http1.address() as AddressInfo;
  expect(await send(upstreamTo(port))).toMatchObject({ calls: ['error'], code: 'upstream_protocol' });
});

test('a reset in mid-answer is never an end', async () => {
  const { port } = await model((stream) => {
    stream.respond({ ':status': 200 });
    stream.write('half', () => stream.destroy(new Error('the model breaks off')));
  });
  expect(await send(upstreamTo(port))).toMatchObject({ code: 'upstream_protocol' });
});

test('abort resets the stream, and nothing is called after it', async () => {
  let code: number | undefined;
  const { port } = await model((stream) => {
    stream.on('close', () => (code = stream.rstCode));
    stream.respond({ ':status': 200 });
    stream.write('first');
  });
  const after: string[] = [];
  void send(upstreamTo(port), {}, (call, event) => {
    if (code !== undefined) after.push(event);
    if (event === 'data') call.abort();
  });
  await until(() => code !== undefined, 'the model hears of it');
  expect(code).toBe(constants.NGHTTP2_CANCEL);
  expect(after).toEqual([]);
});

test('a stream that the server refused is sent again once, whole; one that it worked on is not', async () => {
  const bodies: string[] = [];
  const { port } = await model((stream) => {
    let body = '';
    stream.on('data', (chunk: Buffer) => (body += chunk.toString()));
    stream.on('end', () => {
      bodies.push(body);
      if (bodies.length === 1) stream.close(constants.NGHTTP2_REFUSED_STREAM);
      else if (bodies.length === 2) answer(stream, 'ok', {});
      else stream.close(constants.NGHTTP2_REFUSED_STREAM);
    });
  });
  const upstream = upstreamTo(port);
  expect(await send(upstream)).toMatchObject({ status: 200, body: Buffer.from('ok') });
  expect(bodies).toEqual(['{}', '{}']);
  expect(await send(upstream)).toMatchObject({ code: 'upstream_protocol' });
  expect(bodies).toHaveLength(4);

  const worked = await model((stream) => stream.close(constants.NGHTTP2_INTERNAL_ERROR));
  expect(await send(upstreamTo(worked.port))).toMatchObject({ code: 'upstream_protocol' });

  // Nor on a connection that had been used: it goes on, so its server had the request.
  let came = 0;
  const used = await model((stream) => {
    if (++came === 1) answer(stream, 'ok', {});
    else stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  });
  const again = upstreamTo(used.port);
  expect(await send(again)).toMatchObject({ status: 200 });
  expect(await send(again)).toMatchObject({ code: 'upstream_protocol' });
  expect(came).toBe(2);

  // But what is safe, where a connection that had been used broke off.
  came = 0;
  const broken = await model((stream) => {
    if (++came === 2) stream.session?.destroy();
    else answer(stream, 'ok', {});
  });
  const get = { method: 'GET', body: undefined };
  const third = upstreamTo(broken.port);
  expect(await send(third)).toMatchObject({ status: 200 });
  expect(await send(third, get)).toMatchObject({ status: 200, body: Buffer.from('ok') });
  expect(came).toBe(3);

  // A call of gRPC may have been carried out.
  came = 0;
  const fourth = upstreamTo(broken.port);
  expect(await send(fourth)).toMatchObject({ status: 200 });
  expect(await send(fourth)).toMatchObject({ code: 'upstream_protocol' });
  expect(came).toBe(2);
});

test('GOAWAY: what is under way ends well, what comes next goes over another connection', async () => {
  const streams: ServerHttp2Stream[] = [];
  const { port, sessions } = await model((stream) => void streams.push(stream));
  const upstream = upstreamTo(port);
  const first = send(upstream);
  await until(() => streams.length === 1, 'the first is there');
  sessions[0]?.goaway(constants.NGHTTP2_NO_ERROR, 1);
  await until(async () => {
    void send(upstream);
    await new Promise((resolve) => setTimeout(resolve, 20));
    return sessions.length === 2;
  }, 'another connection');
  const [one] = streams;
  if (one !== undefined) answer(one, 'late', {});
  expect(await first).toMatchObject({ status: 200, body: Buffer.from('late') });
});

test('no more streams than the server allows; the others go over more connections', async () => {
  const streams: ServerHttp2Stream[] = [];
  const { port, sessions } = await model((stream) => void streams.push(stream), { maxConcurrentStreams: 2 });
  const upstream = upstreamTo(port);
  const first = send(upstream);
  await until(() => streams.length === 1, 'the first is there');
  const rest = [send(upstream), send(upstream), send(upstream)];
  await until(() => streams.length === 4, 'all are there');
  expect(sessions).toHaveLength(2);
  for (const stream of streams) answer(stream, 'x', {});
  for (const one of await Promise.all([first, ...rest])) expect(one.status).toBe(200);
});

test('back-pressure: while its caller does not read, the model sends no more than a window', async () => {
  const windowBytes = 65_536;
  const total = 4 * 1_024 * 1_024;
  let stream: ServerHttp2Stream | undefined;
  const { port } = await model((one) => {
    stream = one;
    one.respond({ ':status': 200 });
    one.end(Buffer.alloc(total));
  });
  let received = 0;
  let call: UpstreamCall | undefined;
  const done = new Promise<void>((resolve, reject) => {
    call = upstreamTo(port, { limits: { windowBytes } }).send(ask, {
      head: () => call?.pause(),
      data: (chunk) => void (received += chunk.length),
      end: resolve,
      error: reject,
    });
  });
  await until(() => stream !== undefined, 'it answers');
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(received).toBeLessThanOrEqual(2 * windowBytes);
  expect(stream?.closed).toBe(false);
  call?.resume();
  await done;
  expect(received).toBe(total);
});

test('an open call: pieces go as they are written, room is told, and the answer may come before the end', async () => {
  const pieces: string[] = [];
  let whole = false;
  const { port } = await model((stream) => {
    stream.respond({ ':status': 200 }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.on('data', (chunk: Buffer) => {
      pieces.push(chunk.toString());
      stream.write(`got ${pieces.length} `);
    });
    stream.on('end', () => {
      whole = true;
      stream.end();
    });
  });
  let heard = '';
  let rooms = 0;
  const result = await new Promise<string>((resolve, reject) => {
    const call = upstreamTo(port).open(
      { ...ask, body: undefined },
      {
        head: () => undefined,
        room: () => rooms++,
        data(chunk) {
          heard += chunk.toString();
          if (heard === 'got 1 ') call.write(Buffer.from('second'));
          if (heard === 'got 1 got 2 ') call.finish();
        },
        trailers: (trailers) => (heard += JSON.stringify(trailers)),
        end: () => resolve(heard),
        error: reject,
      },
    );
    expect(call.write(Buffer.from('first'))).toBe(false); // there is no connection yet
  });
  expect(pieces).toEqual(['first', 'second']);
  expect(whole).toBe(true);
  expect(rooms).toBeGreaterThanOrEqual(1);
  expect(result).toBe('got 1 got 2 {"grpc-status":"0"}');
});

test('silence ends it after idleMs, and its connection carries nothing more', async () => {
  const { port, sessions } = await model(() => undefined);
  const upstream = upstreamTo(port);
  expect(await send(upstream, { idleMs: 30 })).toMatchObject({ calls: ['error'], code: 'upstream_timeout' });
  await send(upstream, { idleMs: 30 });
  await until(() => sessions.length === 2, 'another connection');
});

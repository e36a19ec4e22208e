import { connect as connectH2, constants } from 'node:http2';
import type { ClientHttp2Session, OutgoingHttpHeaders } from 'node:http2';
import type { Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Exchange } from '../../../pkg/http/index.ts';
import { fakeClock } from '../../support/fake-clock.ts';
import { pause, until } from '../../support/wait.ts';
import { echo, serve } from './harness.ts';
import type { Served } from './harness.ts';
import {
  continuation,
  data,
  endHeaders,
  endStream,
  frame,
  goaway,
  headersFrame,
  hpack,
  ping,
  rawConnection as connectRaw,
  request,
  reset,
  settings,
  wires,
} from './http2-frames.ts';
import type { RawConnection, Wire } from './http2-frames.ts';

const windowUpdate = 8;

let open: Served[] = [];
let wire: Wire = 'TLS';
const over = (chosen: Wire): void => beforeEach(() => void (wire = chosen));
const connections: (Socket | ClientHttp2Session)[] = [];
afterEach(async () => {
  for (const connection of connections.splice(0)) connection.destroy();
  await Promise.all(open.map((one) => one.stop()));
  open = [];
});

async function start(options: Parameters<typeof serve>[0] = {}): Promise<Served> {
  const served = await serve(options);
  if (wire === 'h2c') served.inbound = 'Optional';
  open.push(served);
  return served;
}

/** One that is closed after its test. */
async function rawConnection(served: Served): Promise<RawConnection> {
  const connection = await connectRaw(served, wire);
  connections.push(connection.socket);
  return connection;
}

const without = (name: string): (readonly [string, string])[] => request.filter(([one]) => one !== name);
const replaced = (name: string, value: string): (readonly [string, string])[] => [
  ...without(name),
  [name, value] as const,
];

type Fields = readonly (readonly [string, string])[];

/** nghttp2 or the listener refuses; either way the handler sees nothing. */
const refusedHeads: readonly (readonly [name: string, source: string, fields: Fields])[] = [
  ['no method', 'RFC 9113 8.3.1', without(':method')],
  ['no scheme', 'RFC 9113 8.3.1', without(':scheme')],
  ['no path', 'RFC 9113 8.3.1', without(':path')],
  ['an empty path', 'RFC 9113 8.3.1', replaced(':path', '')],
  ['no authority and no host', 'RFC 9113 8.3.1', without(':authority')],
  ['two paths', 'RFC 9113 8.3', [...request, [':path', '/b']]],
  ['two methods', 'PortSwigger H2 desync', [...request, [':method', 'GET']]],
  ['an unknown pseudo header', 'RFC 9113 8.3', [...request, [':foo', 'x']]],
  ['a response pseudo header', 'RFC 9113 8.3', [...request, [':status', '200']]],
  ['a pseudo header after others', 'RFC 9113 8.3', [['x', 'y'], ...request]],
  ['an upper-case name', 'RFC 9113 8.2.1', [...request, ['X-Upper', 'x']]],
  ['connection', 'RFC 9113 8.2.2', [...request, ['connection', 'close']]],
  ['keep-alive', 'RFC 9113 8.2.2', [...request, ['keep-alive', '1']]],
  ['proxy-connection', 'RFC 9113 8.2.2', [...request, ['proxy-connection', 'x']]],
  ['upgrade', 'RFC 9113 8.2.2', [...request, ['upgrade', 'h2c']]],
  ['transfer-encoding', 'PortSwigger H2.TE', [...request, ['transfer-encoding', 'chunked']]],
  ['te other than trailers', 'RFC 9113 8.2.2', [...request, ['te', 'gzip']]],
  ['CR LF in the path', 'PortSwigger H2 request splitting', replaced(':path', '/ HTTP/1.1\r\nHost: b\r\n\r\nGET /x')],
  ['a space in the path', 'PortSwigger H2 request line injection', replaced(':path', '/ HTTP/1.1')],
  ['CR LF in the method', 'PortSwigger H2 request line injection', replaced(':method', 'GET / HTTP/1.1\r\nHost: b')],
  ['NUL in the path', 'RFC 9113 8.2.1', replaced(':path', '/\0')],
  ['LF in the path', 'RFC 9113 8.2.1', replaced(':path', '/\nx')],
  ['LF in the method', 'RFC 9113 8.2.1', replaced(':method', 'POST\n')],
  ['NUL in the authority', 'RFC 9113 8.2.1', replaced(':authority', 'a\0')],
  ['CR LF in the authority', 'PortSwigger H2 header injection', replaced(':authority', 'a\r\nx: y')],
  ['LF in the scheme', 'RFC 9113 8.2.1', replaced(':scheme', 'https\n')],
  ['another scheme', 'PortSwigger H2 scheme injection', replaced(':scheme', 'ftp')],
  ['a scheme with a path', 'PortSwigger H2 scheme injection', replaced(':scheme', 'https://b/x?')],
  ['absolute form', 'RFC 9113 8.3.1', replaced(':path', 'https://b/')],
  ['asterisk form', 'RFC 9113 8.3.1', replaced(':path', '*')],
  ['user information in the authority', 'RFC 9113 8.3.1', replaced(':authority', 'x@a')],
  ['a host that is not the authority', 'RFC 9113 8.3.1; PortSwigger host header attacks', [...request, ['host', 'b']]],
  ['two hosts', 'PortSwigger host header attacks', [...request, ['host', 'a'], ['host', 'a']]],
  [
    'CONNECT',
    'RFC 9113 8.5',
    [
      [':method', 'CONNECT'],
      [':authority', 'a:80'],
    ],
  ],
  ['extended CONNECT', 'RFC 8441', [...replaced(':method', 'CONNECT').slice(0, 4), [':protocol', 'websocket']]],
  ['two Content-Lengths', 'PortSwigger H2.CL', [...request, ['content-length', '0'], ['content-length', '0']]],
  ['a plus sign in Content-Length', 'PortSwigger H2.CL', [...request, ['content-length', '+0']]],
  ['two Authorizations', 'RFC 9110 5.3', [...request, ['authorization', 'a'], ['authorization', 'b']]],
  ['an unknown Expect', 'RFC 9110 10.1.1', [...request, ['expect', 'x']]],
  ['an unknown method', 'RFC 9110 9', replaced(':method', 'PROPFIND')],
  ['more headers than allowed', 'RFC 9113 10.5.1', [...request, ...new Array(120).fill(['x', 'y'])]],
  ['headers past the size', 'RFC 9113 10.5.1', [...request, ['x', 'a'.repeat(40_000)]]],
];

/** nghttp2 takes these fields off and lets the rest pass: what matters is that no part of them arrives anywhere. */
const droppedFields: readonly (readonly [name: string, source: string, fields: Fields])[] = [
  ['CR LF in a value', 'PortSwigger H2 header injection', [...request, ['x', 'a\r\nTransfer-Encoding: chunked']]],
  ['LF in a value', 'PortSwigger H2 header injection', [...request, ['x', 'a\nb']]],
  ['NUL in a value', 'RFC 9113 8.2.1', [...request, ['x', 'a\0b']]],
  ['CR in a value', 'RFC 9113 8.2.1', [...request, ['x', 'a\rb']]],
  ['LF at the end of a value', 'RFC 9113 8.2.1', [...request, ['x', 'a\n']]],
  ['LF in a credential', 'RFC 9113 8.2.1', [...request, ['authorization', 'Bearer a\nb']]],
  ['NUL after a credential', 'RFC 9113 8.2.1', [...request, ['authorization', 'Bearer a\0']]],
  ['CR LF in a content type', 'PortSwigger H2 header injection', [...request, ['content-type', 'text/a\r\nx: y']]],
  ['LF in a name', 'RFC 9113 8.2.1', [...request, ['x\ny', 'z']]],
  ['NUL in a name', 'RFC 9113 8.2.1', [...request, ['x\0y', 'z']]],
  ['a colon in a name', 'PortSwigger H2 header injection', [...request, ['x: y', 'z']]],
  ['CR LF in a name', 'PortSwigger H2 header injection', [...request, ['x\r\ny', 'z']]],
  ['a space in a name', 'RFC 9113 8.2.1', [...request, ['x y', 'z']]],
  ['a space before a value', 'RFC 9113 8.2.1', [...request, ['x', ' y']]],
];

/** `:status 200` is entry 8 of HPACK's static table (RFC 7541 appendix A). */
const ok = 0x88;

describe.each(wires)('HTTP/2 framing, over %s', (chosen) => {
  over(chosen);

  test.each(droppedFields)('drops a field with %s (%s)', async (_name, _source, fields) => {
    const served = await start();
    const { socket, frames } = await rawConnection(served);
    socket.write(frame(headersFrame, endStream | endHeaders, 1, hpack(fields)));
    await until(() => frames.some((one) => one.type === headersFrame));
    expect(served.seen).toEqual(['POST /v1']);
    expect(served.exchanges.map((one) => one.headers)).toEqual([{ host: 'a' }]);
  });

  test.each(refusedHeads)('refuses %s (%s)', async (_name, _source, fields) => {
    const served = await start();
    const { socket, frames, closed } = await rawConnection(served);
    const block = hpack(fields);
    const parts = [
      frame(headersFrame, block.length > 16_000 ? endStream : endStream | endHeaders, 1, block.subarray(0, 16_000)),
    ];
    for (let at = 16_000; at < block.length; at += 16_000) {
      parts.push(frame(continuation, at + 16_000 >= block.length ? endHeaders : 0, 1, block.subarray(at, at + 16_000)));
    }
    socket.write(Buffer.concat(parts));
    await until(() => closed() || frames.some((one) => (one.stream === 1 && one.type !== 8) || one.type === goaway));
    const answer = frames.find((one) => one.type === headersFrame);
    expect(answer?.body[0]).not.toBe(ok);
    await pause(20);
    expect(served.exchanges).toEqual([]);
  });

  const bodies: readonly (readonly [name: string, source: string, fields: Fields, frames: readonly Buffer[]])[] = [
    [
      'more than Content-Length',
      'RFC 9113 8.1.1',
      [...request, ['content-length', '1']],
      [frame(data, endStream, 1, Buffer.from('abc'))],
    ],
    [
      'less than Content-Length',
      'RFC 9113 8.1.1',
      [...request, ['content-length', '9']],
      [frame(data, endStream, 1, Buffer.from('abc'))],
    ],
    [
      'a pseudo header in a trailer',
      'RFC 9113 8.1',
      request,
      [frame(data, 0, 1, Buffer.from('abc')), frame(headersFrame, endStream | endHeaders, 1, hpack([[':path', '/x']]))],
    ],
    [
      'a connection header in a trailer',
      'RFC 9113 8.2.2',
      request,
      [
        frame(data, 0, 1, Buffer.from('abc')),
        frame(headersFrame, endStream | endHeaders, 1, hpack([['connection', 'x']])),
      ],
    ],
    ['padding longer than the frame', 'RFC 9113 6.1', request, [frame(data, endStream | 8, 1, Buffer.of(9, 1))]],
  ];
  test.each(bodies)('refuses a body with %s (%s)', async (_name, _source, fields, parts) => {
    const served = await start();
    const { socket, frames, closed } = await rawConnection(served);
    socket.write(Buffer.concat([frame(headersFrame, endHeaders, 1, hpack(fields)), ...parts]));
    await until(() => closed() || frames.some((one) => one.type === reset || one.type === goaway));
    expect(served.seen).toEqual([]);
  });

  test('a GET with a body is refused', async () => {
    const served = await start();
    const { socket, frames } = await rawConnection(served);
    socket.write(
      Buffer.concat([
        frame(headersFrame, endHeaders, 1, hpack(replaced(':method', 'GET'))),
        frame(data, endStream, 1, Buffer.from('abc')),
      ]),
    );
    await until(() => frames.some((one) => one.type === headersFrame));
    expect(served.refused).toEqual(['ambiguous_framing']);
    expect(served.exchanges).toEqual([]);
  });

  test('a trailer is dropped', async () => {
    const served = await start();
    const { socket, frames } = await rawConnection(served);
    socket.write(
      Buffer.concat([
        frame(headersFrame, endHeaders, 1, hpack(request)),
        frame(data, 0, 1, Buffer.from('abc')),
        frame(headersFrame, endStream | endHeaders, 1, hpack([['x-evil', '1']])),
      ]),
    );
    await until(() => frames.some((one) => one.type === data));
    expect(served.seen).toEqual(['POST /v1 abc']);
    expect(served.exchanges[0]!.headers['x-evil']).toBeUndefined();
  });
});

describe.each(wires)('HTTP/2 floods over %s', (chosen) => {
  over(chosen);

  const opened = hpack(request);

  test('rapid reset ends the connection (CVE-2023-44487)', async () => {
    const served = await start({ limits: { maxResets: 50 }, handle: () => undefined });
    const { socket, closed } = await rawConnection(served);
    for (let at = 0; at < 400 && !closed(); at++) {
      const id = 1 + at * 2;
      socket.write(
        Buffer.concat([
          frame(headersFrame, endStream | endHeaders, id, opened),
          frame(reset, 0, id, Buffer.from([0, 0, 0, 8])),
        ]),
      );
      if (at % 10 === 0) await pause(2);
    }
    await until(closed);
    expect(served.exchanges.length).toBeLessThan(120);
    await until(() => served.listener.connections() === 0);
  });

  test('resets that we are made to send count as well (CVE-2025-8671)', async () => {
    const served = await start({ limits: { maxResets: 20 }, handle: () => undefined });
    const { socket, closed } = await rawConnection(served);
    for (let at = 0; at < 200 && !closed(); at++) {
      const id = 1 + at * 2;
      // A window update of zero makes the server reset the stream.
      socket.write(Buffer.concat([frame(headersFrame, endHeaders, id, opened), frame(8, 0, id, Buffer.alloc(4))]));
      await pause(1);
    }
    await until(closed);
    expect(served.exchanges.length).toBeLessThan(100);
  });

  test('header frames without end are cut (CVE-2024-28182)', async () => {
    const served = await start();
    const { socket, closed } = await rawConnection(served);
    socket.write(frame(headersFrame, endStream, 1, opened));
    for (let at = 0; at < 200 && !closed(); at++) {
      socket.write(frame(continuation, 0, 1, hpack([['x', 'y']])));
      if (at % 10 === 0) await pause(1);
    }
    await until(closed);
    expect(served.exchanges).toEqual([]);
  });

  test('pings are capped (CVE-2019-9512)', async () => {
    const served = await start({ limits: { maxPings: 20 } });
    const { socket, frames, closed } = await rawConnection(served);
    for (let at = 0; at < 60 && !closed(); at++) socket.write(frame(ping, 0, 0, Buffer.alloc(8)));
    await until(closed);
    const end = frames.find((one) => one.type === goaway);
    // Node may close before it has said why, which RFC 9113 section 5.4.1 allows.
    if (end !== undefined) expect(end.body.readUInt32BE(4)).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    expect(served.refused).toEqual(['malformed_http']);
  });

  test('settings are capped (CVE-2019-9515)', async () => {
    const served = await start({ limits: { maxSettings: 10 } });
    const { socket, closed } = await rawConnection(served);
    for (let at = 0; at < 60 && !closed(); at++) {
      socket.write(frame(settings, 0, 0, Buffer.from([0, 4, 0, 1, 0, at])));
      if (at % 5 === 0) await pause(2);
    }
    await until(closed);
    expect(served.refused).toEqual(['malformed_http']);
  });

  test('streams past the cap are refused', async () => {
    const served = await start({ limits: { maxStreams: 3 }, handle: () => undefined });
    const { socket, frames, closed } = await rawConnection(served);
    await until(() => frames.some((one) => one.type === settings));
    await pause(20);
    socket.write(frame(settings, 1, 0)); // the cap binds from our acknowledgement on
    for (let at = 0; at < 6; at++) socket.write(frame(headersFrame, endStream | endHeaders, 1 + at * 2, opened));
    // Once acknowledged, going past it is an error of the connection.
    await until(() => closed() || frames.filter((one) => one.type === reset).length === 3);
    expect(served.exchanges.length).toBeLessThanOrEqual(3);
  });

  test('of a body that nobody reads its window comes and no byte more, whatever the connection has room for', async () => {
    const served = await start({ handle: () => undefined, limits: { maxStreams: 2 } });
    const { socket, frames, closed } = await rawConnection(served);
    const forConnection = frames.filter.bind(frames, ({ type, stream }) => type === windowUpdate && stream === 0);
    await until(() => forConnection().length > 0);
    expect(forConnection()[0]!.body.readUInt32BE()).toBe((2 - 1) * 65_535);
    const window = [16_384, 16_384, 16_384, 16_383].map((size) => Buffer.alloc(size));
    for (const id of [1, 3]) {
      socket.write(frame(headersFrame, endHeaders, id, opened));
      for (const piece of window) socket.write(frame(data, 0, id, piece));
    }
    socket.write(frame(ping, 0, 0, Buffer.alloc(8)));
    await until(() => frames.some(({ type }) => type === ping));
    // The connection's window is given back unread, that of a stream is not.
    await until(() => forConnection().length > 1);
    expect(frames.filter(({ type, stream }) => type === reset || (type === windowUpdate && stream > 0))).toEqual([]);
    socket.write(frame(data, 0, 3, Buffer.alloc(1)));
    await until(() => closed() || frames.some(({ type, stream }) => type === reset && stream === 3));
    const last = frames.find(({ type }) => type === reset || type === goaway);
    if (last !== undefined)
      expect(last.body.readUInt32BE(last.type === goaway ? 4 : 0)).toBe(constants.NGHTTP2_FLOW_CONTROL_ERROR);
    expect(served.exchanges).toHaveLength(2);
  });

  test('an idle connection is closed, pings or not', async () => {
    const clock = fakeClock();
    const served = await start({ clock, limits: { idleMs: 10_000, headersTimeoutMs: 10_000 } });
    const { socket, frames, closed } = await rawConnection(served);
    await until(() => frames.some((one) => one.type === settings));
    await until(() => {
      if (!closed()) socket.write(frame(ping, 0, 0, Buffer.alloc(8)));
      clock.advance(1_000);
      return closed();
    }, 'it is closed');
  });

  test('a peer that opens no window for its answer is cut off', async () => {
    const how: string[] = [];
    const served = await start({
      limits: { stallMs: 150 },
      handle: (exchange) => {
        exchange.onClose((kind) => how.push(kind));
        exchange.respond(200, {}, Buffer.alloc(1024 * 1024));
      },
    });
    const { socket } = await rawConnection(served);
    socket.write(frame(headersFrame, endStream | endHeaders, 1, opened));
    await until(() => how.length === 1);
    expect(how).toEqual(['aborted']);
  });

  test('a body that drips is cut off with 408', async () => {
    const seen: string[] = [];
    const served = await start({ limits: { drain: { ms: 100 } }, handle: echo(seen, { timeoutMs: 700 }) });
    const { socket, frames } = await rawConnection(served);
    socket.write(frame(headersFrame, endHeaders, 1, hpack([...request, ['content-length', '1000']])));
    socket.write(frame(data, 0, 1, Buffer.from('a')));
    await until(() => frames.some((one) => one.type === headersFrame) && frames.some((one) => one.type === reset));
    expect(seen).toEqual([]);
  });
});

describe.each(wires)('HTTP/2 exchanges over %s', (chosen) => {
  over(chosen);

  test('a cut answer never looks whole: no END_STREAM goes out before the reset', async () => {
    const served = await start({
      handle: (exchange) => {
        exchange.start(200, {});
        exchange.write('part');
        if (exchange.target === '/destroyed') setTimeout(() => exchange.destroy(), 20);
      },
    });
    const { socket, frames, closed } = await rawConnection(served);
    socket.write(frame(headersFrame, endStream | endHeaders, 1, hpack(replaced(':path', '/destroyed'))));
    await until(() => frames.some((one) => one.type === reset));
    socket.write(frame(headersFrame, endStream | endHeaders, 3, hpack(replaced(':path', '/closed'))));
    await until(() => frames.some((one) => one.stream === 3 && one.type === data));
    await served.listener.close(50);
    open = [];
    await until(closed);
    expect(frames.filter((one) => one.type === data && (one.flags & endStream) !== 0)).toEqual([]);
  });

  const ask = (
    session: ClientHttp2Session,
    headers: OutgoingHttpHeaders,
    body?: string | Buffer,
  ): Promise<{ status: number; headers: Record<string, unknown>; text: string }> =>
    new Promise((resolve, reject) => {
      const stream = session.request(headers);
      let head: Record<string, unknown> = {};
      let text = '';
      stream.on('response', (given) => (head = given));
      stream.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
      stream.on('end', () => resolve({ status: Number(head[':status']), headers: head, text }));
      stream.on('error', reject);
      stream.end(body);
    });
  const connected = (served: Served): ClientHttp2Session => {
    const session = connectH2(`${wire === 'h2c' ? 'http' : 'https'}://127.0.0.1:${served.port}`, { ca: served.ca });
    session.on('error', () => undefined);
    connections.push(session);
    return session;
  };

  test('bodies are read, decoded and answered, many at once on one connection', async () => {
    const served = await start();
    const session = connected(served);
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, at) =>
        ask(session, { ':method': 'POST', ':path': `/${at}`, 'content-encoding': 'gzip' }, gzipSync(`body ${at}`)),
      ),
    );
    expect(answers.map((one) => one.text)).toEqual(Array.from({ length: 20 }, (_, at) => `body ${at}`));
    expect(served.exchanges[0]).toMatchObject({
      ...{ protocol: 'h2', encrypted: chosen === 'TLS', peer: '127.0.0.1', method: 'POST' },
    });
    expect(served.exchanges[0]!.headers.host).toBe(`127.0.0.1:${served.port}`);
    expect(Object.keys(served.exchanges[0]!.headers).filter((name) => name.startsWith(':'))).toEqual([]);
    session.close();
  });

  test('connection headers of the handler’s never go out: they would throw outside of it', async () => {
    const served = await start({
      handle: (exchange) =>
        exchange.respond(
          200,
          { 'Transfer-Encoding': 'chunked', connection: 'close', upgrade: 'x', 'x-a': ['1', '2'] },
          'ok',
        ),
    });
    const session = connected(served);
    const answer = await ask(session, { ':path': '/' });
    expect(answer).toMatchObject({ status: 200, text: 'ok' });
    expect(answer.headers).toMatchObject({ 'content-length': '2', 'x-a': '1, 2' });
    session.close();
  });

  test('an early refusal drains the upload, so that the client reads it', async () => {
    const how: string[] = [];
    const served = await start({
      handle: (exchange) => {
        exchange.onClose((kind) => how.push(kind));
        exchange.respond(401, {}, 'no');
      },
    });
    const session = connected(served);
    const answer = await ask(session, { ':method': 'POST', ':path': '/' }, Buffer.alloc(4 * 1024 * 1024));
    expect(answer).toMatchObject({ status: 401, text: 'no' });
    expect(how).toEqual(['finished']);
    session.close();
  });

  test.each([
    ['HEAD', 200],
    ['GET', 204],
    ['GET', 304],
  ])('%s with %i has no body', async (method, status) => {
    const how: string[] = [];
    const served = await start({
      handle: (exchange) => {
        exchange.onClose((kind) => how.push(kind));
        exchange.respond(status, {}, 'hello');
      },
    });
    const session = connected(served);
    const stream = session.request({ ':method': method, ':path': '/' });
    const head = await new Promise<Record<string, unknown>>((resolve) => stream.once('response', resolve));
    stream.resume();
    expect(head[':status']).toBe(status);
    expect(head['content-length']).toBe(status === 200 ? '5' : undefined);
    await until(() => how.length === 1);
    expect(how).toEqual(['finished']);
    session.close();
  });

  test('streams, with back pressure', async () => {
    let drained = 0;
    const served = await start({
      handle: (exchange) => {
        exchange.start(200, { 'content-type': 'text/event-stream' });
        let sent = 0;
        const more = (): void => {
          while (sent++ < 64) if (!exchange.write(Buffer.alloc(64 * 1024))) return;
          exchange.end('end');
        };
        exchange.onDrain(() => {
          drained++;
          more();
        });
        more();
      },
    });
    const session = connected(served);
    const answer = await ask(session, { ':path': '/' });
    expect(answer.text.length).toBe(64 * 64 * 1024 + 3);
    expect(drained).toBeGreaterThan(0);
    expect(served.exchanges[0]!.bytesOut).toBe(64 * 64 * 1024 + 3);
    session.close();
  });

  test('a client that resets is told to the handler; a destroyed answer resets the client', async () => {
    const how: string[] = [];
    const exchanges: Exchange[] = [];
    const served = await start({
      handle: (exchange) => {
        exchanges.push(exchange);
        exchange.onClose((kind) => how.push(kind));
        exchange.start(200, {});
        exchange.write('part');
      },
    });
    const session = connected(served);
    const first = session.request({ ':path': '/' });
    first.on('error', () => undefined);
    await until(() => exchanges.length === 1);
    first.close(constants.NGHTTP2_CANCEL);
    await until(() => how.length === 1);
    const second = session.request({ ':path': '/' });
    const code = new Promise((resolve) =>
      second.on('error', () => undefined).on('close', () => resolve(second.rstCode)),
    );
    second.resume();
    await until(() => exchanges.length === 2);
    exchanges[1]!.destroy();
    expect(await code).toBe(constants.NGHTTP2_INTERNAL_ERROR);
    expect(how).toEqual(['aborted', 'aborted']);
    exchanges[1]!.write('into nothing');
    exchanges[1]!.end();
    session.close();
  });

  test('100 Continue goes out when the body is read', async () => {
    const served = await start();
    const session = connected(served);
    const stream = session.request(
      { ':method': 'POST', ':path': '/', expect: '100-continue', 'content-length': 3 },
      { endStream: false },
    );
    await new Promise((resolve) => stream.once('continue', resolve));
    stream.end('abc');
    await until(() => served.seen.length === 1);
    session.close();
  });
});

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect as connectH2, constants } from 'node:http2';
import { connect as connectTcp } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { until } from '../../test/support/wait.ts';
import { silentLogger, systemClock } from '../base/index.ts';
import { ensureSelfSigned } from '../pki/index.ts';
import type { Exchange } from './exchange.ts';
import { createListener } from './listener.ts';
import type { Listener } from './listener.ts';

// An answer that has to be cut, of whose bytes the kernel has taken no more than its peer read.

const clock = fakeClock();
let ca: string;
let listener: Listener;
let exchange: Exchange | undefined;
let closed: string | undefined;
let sent = '';

beforeAll(async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-break-'));
  const files = await ensureSelfSigned(folder, ['127.0.0.1'], systemClock);
  const material = { cert: readFileSync(files.certFile, 'utf8'), key: readFileSync(files.keyFile, 'utf8') };
  ca = readFileSync(files.caFile, 'utf8');
  rmSync(folder, { recursive: true });
  listener = await createListener({
    host: '127.0.0.1',
    port: 0,
    tls: { current: () => material, subscribe: () => () => undefined },
    inbound: () => 'Optional',
    minVersion: 'TLSv1.3',
    clock,
    logger: silentLogger,
    refusalBody: (code) => code,
    onRefused: () => undefined,
    onExchange: (one) => {
      exchange = one;
      one.onClose((how) => (closed = how));
      one.start(200, { 'content-type': 'text/plain' });
    },
  });
});
afterAll(() => listener.close(0));
beforeEach(() => {
  exchange = undefined;
  closed = undefined;
  sent = '';
});

/** Writes numbered lines until nobody takes any more, and more beyond. */
async function fill(): Promise<void> {
  await until(() => exchange !== undefined, 'the exchange');
  let taken = true;
  exchange?.onDrain(() => (taken = true));
  for (let quiet = 0; quiet < 10;) {
    if (!taken) {
      quiet++;
      await new Promise((resolve) => setImmediate(resolve));
      continue;
    }
    quiet = 0;
    const piece = `${sent.length} `.repeat(8_000);
    sent += piece;
    taken = exchange?.write(piece) ?? false;
  }
  // Longer than one write.
  const rest = 'the rest '.repeat(20_000);
  sent += rest;
  exchange?.write(rest);
}

/** The body of chunks, and whether its end was among them. */
function chunked(answer: string): readonly [body: string, whole: boolean] {
  let at = answer.indexOf('\r\n\r\n') + 4;
  let body = '';
  for (;;) {
    const line = answer.indexOf('\r\n', at);
    if (line < 0) return [body, false];
    const size = parseInt(answer.slice(at, line), 16);
    if (size === 0) return [body, true];
    body += answer.slice(line + 2, line + 2 + size);
    at = line + 2 + size + 2;
  }
}

/** Asks, and reads nothing. */
async function ask(version: string, plain: boolean): Promise<Socket> {
  const at = { host: '127.0.0.1', port: listener.port };
  const socket = plain ? connectTcp(at) : connectTls({ ...at, ca });
  socket.on('error', () => undefined);
  socket.write(`GET / HTTP/${version}\r\nHost: a\r\n\r\n`);
  await fill();
  return socket;
}

/** Whatever is left, to the end of the connection. */
async function read(socket: Socket): Promise<string> {
  let got = '';
  socket.setEncoding('latin1').on('data', (piece: string) => (got += piece));
  await until(() => socket.closed, 'the end of the connection');
  return got;
}

const wires = [
  ['TLS', false],
  ['TCP', true],
] as const;

test.each(wires)('over HTTP/1.1 on %s all that was written arrives, and no end', async (_name, plain) => {
  const socket = await ask('1.1', plain);
  exchange?.breakOff();
  const [body, whole] = chunked(await read(socket));
  expect([body === sent, whole]).toEqual([true, false]);
  await until(() => closed === 'aborted');
});

test('over HTTP/1.0 all that was written leaves before the end that says that it is not whole', async () => {
  const socket = await ask('1.0', false);
  exchange?.breakOff();
  const got = await read(socket);
  expect(got.slice(got.indexOf('\r\n\r\n') + 4) === sent).toBe(true);
  expect(closed).toBe('aborted');
});

test('over HTTP/2 all that was written arrives before the reset', async () => {
  const session = connectH2(`https://127.0.0.1:${listener.port}`, { ca });
  const stream = session.request({ ':path': '/' });
  const errors: unknown[] = [];
  stream.on('error', (error) => errors.push(error));
  await fill();
  exchange?.breakOff();
  let got = '';
  stream.setEncoding('latin1').on('data', (piece: string) => (got += piece));
  await until(() => stream.closed && errors.length > 0, 'the reset');
  expect([got === sent, stream.rstCode]).toEqual([true, constants.NGHTTP2_INTERNAL_ERROR]);
  expect(closed).toBe('aborted');
  session.close();
});

test.each(['h1', 'h2'])('who reads nothing is cut 5 s later (%s)', async (protocol) => {
  const session = protocol === 'h2' ? connectH2(`https://127.0.0.1:${listener.port}`, { ca }) : undefined;
  session
    ?.on('error', () => undefined)
    .request({ ':path': '/' })
    .on('error', () => undefined);
  if (session !== undefined) await fill();
  const socket = session === undefined ? await ask('1.1', false) : undefined;
  exchange?.breakOff();
  clock.advance(4_999);
  await new Promise((resolve) => setImmediate(resolve));
  expect(closed).toBeUndefined();
  clock.advance(1);
  await until(() => closed === 'aborted');
  socket?.destroy();
  session?.destroy();
});

test('of what has left already nothing is waited for', async () => {
  const socket = connectTls({ host: '127.0.0.1', port: listener.port, ca });
  socket.on('error', () => undefined);
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await until(() => exchange !== undefined);
  exchange?.write('part');
  exchange?.breakOff();
  const [body, whole] = chunked(await read(socket));
  expect([body, whole]).toEqual(['part', false]);
});

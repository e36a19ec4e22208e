import { connect as connectH2, constants } from 'node:http2';
import type { ClientHttp2Session } from 'node:http2';
import { connect as connectPlain } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterEach, describe, expect, test } from '@jest/globals';
import type { ConnectionProtocol } from '../../../pkg/http/listener.ts';
import { pause, until } from '../../support/wait.ts';
import { serve, speak } from './harness.ts';
import type { Served } from './harness.ts';
import {
  data,
  endHeaders,
  endStream,
  frame,
  goaway,
  headersFrame,
  hpack,
  preface,
  rawConnection,
  request,
  settings,
} from './http2-frames.ts';

// HTTP/2 without TLS, by prior knowledge (RFC 9113 section 3.3), and what a connection speaks, which its first bytes tell. That all else is as over TLS
// is in http2.test.ts and http2-strict.test.ts, which run over both.

let open: Served[] = [];
const connections: (Socket | ClientHttp2Session)[] = [];
afterEach(async () => {
  for (const connection of connections.splice(0)) connection.destroy();
  await Promise.all(open.map((one) => one.stop()));
  open = [];
});

async function start(inbound: Served['inbound'], options: Parameters<typeof serve>[0] = {}): Promise<Served> {
  const served = await serve(options);
  served.inbound = inbound;
  open.push(served);
  return served;
}

interface Told {
  readonly session: ClientHttp2Session;
  /** Code and debug data of each GOAWAY. */
  readonly ends: (readonly [code: number, text: string])[];
}
function session(served: Served): Told {
  const ends: (readonly [number, string])[] = [];
  const opened = connectH2(`http://127.0.0.1:${served.port}`);
  opened.on('error', () => undefined);
  opened.on('goaway', (code, _last, text) => ends.push([code, String(text ?? '')]));
  connections.push(opened);
  return { session: opened, ends };
}

function ask(on: ClientHttp2Session, path: string, body = ''): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const stream = on.request({ ':method': 'POST', ':path': path });
    let [status, text] = [0, ''];
    stream.setEncoding('utf8').on('data', (piece: string) => (text += piece));
    stream.on('response', (head) => (status = head[':status'] ?? 0));
    stream.on('end', () => resolve({ status, text }));
    stream.on('error', reject);
    stream.end(body);
  });
}

const whole = (id: number): Buffer => frame(headersFrame, endHeaders | endStream, id, hpack(request));
const opening = Buffer.concat([preface, frame(settings, 0, 0)]);
const get = (path: string, more = ''): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n${more}\r\n`;
const tlsRequired = '{"error":{"code":"tls_required"}}';

describe('HTTP/2 without TLS', () => {
  test('is served where the policy says Optional, and ends when it says so no more', async () => {
    const served = await start('Optional');
    const { session: on, ends } = session(served);
    const answers = await Promise.all(Array.from({ length: 20 }, (_, at) => ask(on, `/${at}`, `body ${at}`)));
    expect(answers.map(({ text }) => text)).toEqual(Array.from({ length: 20 }, (_, at) => `body ${at}`));
    expect(served.exchanges[0]).toMatchObject({ protocol: 'h2', encrypted: false, peer: '127.0.0.1' });
    expect(served.exchanges[0]?.clientCertificate).toBeUndefined();
    served.inbound = 'Required';
    expect(await ask(on, '/late')).toEqual({ status: 426, text: tlsRequired });
    await until(() => on.destroyed && served.listener.connections() === 0, 'the connection ends');
    expect(ends[0]).toEqual([constants.NGHTTP2_INADEQUATE_SECURITY, 'tls_required']);
    expect([served.refused, served.exchanges.length]).toEqual([['tls_required'], 20]);
  });

  test.each(['Required', 'Mutual'] as const)('where the policy says %s each request is told so', async (inbound) => {
    const served = await start(inbound);
    const { session: on, ends } = session(served);
    const answers = await Promise.all([ask(on, '/a', 'secret'), ask(on, '/b'), ask(on, '/c')]);
    expect(answers).toEqual(new Array(3).fill({ status: 426, text: tlsRequired }));
    await until(() => served.listener.connections() === 0, 'the connection ends');
    expect(ends[0]).toEqual([constants.NGHTTP2_INADEQUATE_SECURITY, 'tls_required']);
    // The connection, once, as one of HTTP/1.1 is.
    expect(served.refused).toEqual(['tls_required']);
    expect(served.exchanges).toEqual([]);
    // What is refused at its beginning stays so.
    const early = session(served);
    await new Promise((resolve) => early.session.once('remoteSettings', resolve));
    served.inbound = 'Optional';
    expect((await ask(early.session, '/')).status).toBe(426);
  });

  test('one that is refused and asks nothing is ended within the time of a head', async () => {
    const served = await start('Required', { limits: { headersTimeoutMs: 200 } });
    const quiet = await rawConnection(served, 'h2c');
    connections.push(quiet.socket);
    await until(quiet.closed, 'it is ended');
    expect(served.refused).toEqual(['tls_required']);
    await until(() => served.listener.connections() === 0);
  });

  test.each([
    ['http', true],
    ['https', true],
    ['ftp', false],
  ])('a request with the scheme %s, as a proxy in front may say it', async (scheme, good) => {
    const served = await start('Optional');
    const fields = request.map(([name, value]) => [name, name === ':scheme' ? scheme : value] as const);
    const { socket, frames } = await rawConnection(served, 'h2c');
    connections.push(socket);
    socket.write(frame(headersFrame, endHeaders | endStream, 1, hpack(fields)));
    await until(() => frames.some(({ type, stream }) => type === headersFrame && stream === 1));
    expect([served.seen, served.refused]).toEqual(good ? [['POST /v1'], []] : [[], ['malformed_http']]);
  });

  test('over TLS the scheme is https', async () => {
    const served = await start('Optional');
    const fields = request.map(([name, value]) => [name, name === ':scheme' ? 'http' : value] as const);
    const { socket, frames } = await rawConnection(served, 'TLS');
    connections.push(socket);
    socket.write(frame(headersFrame, endHeaders | endStream, 1, hpack(fields)));
    await until(() => frames.some(({ type, stream }) => type === headersFrame && stream === 1));
    expect([served.seen, served.refused]).toEqual([[], ['malformed_http']]);
  });

  test('closing tells of it, serves what is under way, and takes nothing new', async () => {
    const served = await start('Optional', {
      handle: (exchange) => {
        exchange.start(200, {});
        exchange.write('first ');
        setTimeout(() => exchange.end('last'), 100);
      },
    });
    const [busy, idle] = [session(served), session(served)];
    await new Promise((resolve) => idle.session.once('remoteSettings', resolve));
    const answer = ask(busy.session, '/');
    await until(() => served.exchanges.length === 1);
    const closed = served.listener.close(10_000);
    await until(() => idle.session.destroyed && busy.ends.length > 0, 'both are told');
    expect((await answer).text).toBe('first last');
    await closed;
    await until(() => served.listener.connections() === 0);
  });

  test('peers are asked to leave as over TLS', async () => {
    const served = await start('Optional');
    const { session: on, ends } = session(served);
    await ask(on, '/');
    served.listener.leave(true);
    await until(() => ends.length > 0);
    expect(ends[0]?.[0]).toBe(constants.NGHTTP2_NO_ERROR);
    await until(() => served.listener.connections() === 0, 'it leaves');
  });
});

describe('what a connection speaks', () => {
  /** Writes the parts, so that each is a packet of its own. */
  async function drip(socket: Socket, parts: readonly (Buffer | string)[], ms: number): Promise<void> {
    socket.setNoDelay(true);
    socket.on('error', () => undefined);
    for (const part of parts) {
      if (socket.destroyed) return;
      socket.write(part);
      await pause(ms);
    }
  }
  const cut = (bytes: Buffer, at: number): readonly Buffer[] => [bytes.subarray(0, at), bytes.subarray(at)];
  const bytewise = (bytes: Buffer): readonly Buffer[] => Array.from(bytes, (byte) => Buffer.of(byte));

  test('is told by the preface, wherever it is cut', async () => {
    const served = await start('Optional');
    const all = Buffer.concat([opening, whole(1)]);
    const cuts = Array.from({ length: opening.length + 5 }, (_, at) => cut(all, at + 1));
    await Promise.all(
      [...cuts, bytewise(all), [all]].map(async (parts) => {
        const { socket, frames } = await rawConnection(served, 'h2c', Buffer.alloc(0));
        connections.push(socket);
        await drip(socket, parts, 10);
        await until(() => frames.some(({ type, stream }) => type === data || (type === headersFrame && stream === 1)));
      }),
    );
    expect(served.exchanges.map(({ protocol }) => protocol)).toEqual(new Array(cuts.length + 2).fill('h2'));
    expect(served.refused).toEqual([]);
  });

  test('more than a socket takes at once behind it is read', async () => {
    const served = await start('Optional');
    const unknown = frame(0x16, 0, 0, Buffer.alloc(16_384));
    const all = Buffer.concat([opening, ...new Array<Buffer>(16).fill(unknown), whole(1)]);
    const { frames, socket } = await rawConnection(served, 'h2c', all);
    connections.push(socket);
    await until(() => frames.some(({ type, stream }) => type === headersFrame && stream === 1));
    expect(served.seen).toEqual(['POST /v1']);
  });

  test('what ends the session within its first packet ends it, and nothing else', async () => {
    const served = await start('Optional');
    const bad = Buffer.concat([preface, frame(data, 0, 0, Buffer.from('a')), whole(1)]);
    for (const first of [bad, Buffer.concat([preface, whole(1)]), Buffer.concat([opening, bad])]) {
      const { closed, socket } = await rawConnection(served, 'h2c', first);
      connections.push(socket);
      await until(closed, 'it ends');
    }
    expect(served.exchanges).toEqual([]);
    expect((await speak(served, get('/'), { plain: true, answers: 1 })).statuses).toEqual([200]);
  });

  test.each(['Optional', 'Required'] as const)(
    'another preface is none, whichever byte differs (%s)',
    async (inbound) => {
      const served = await start(inbound, { limits: { headersTimeoutMs: 1_000 } });
      const spoken = await Promise.all(
        Array.from(preface, async (byte, at) => {
          const wrong = Buffer.concat([opening, whole(1)]);
          // Still no record of TLS.
          wrong[at] = byte ^ 0x08;
          const answer = await speak(served, wrong.toString('latin1'), { plain: true });
          return [at, answer.closed, answer.statuses.every((status) => status >= 400), answer.text.includes('\0')];
        }),
      );
      expect(spoken).toEqual(Array.from(preface, (_, at) => [at, true, true, false]));
      expect([served.exchanges, served.refused.length]).toEqual([[], preface.length]);
    },
  );

  test.each([
    ['Optional', 408, 'request_timeout'],
    ['Required', 426, 'tls_required'],
  ] as const)('a preface that does not come is waited for as long as a head (%s)', async (inbound, status, code) => {
    const served = await start(inbound, { limits: { headersTimeoutMs: 300 } });
    const [silent, slow] = await Promise.all([
      speak(served, 'PRI * HTTP/2', { plain: true }),
      // From the first byte on, not from the last one.
      speak(
        served,
        [...preface.subarray(0, 23)].flatMap((byte) => [String.fromCharCode(byte), 100]),
        { plain: true },
      ),
    ]);
    expect([silent.statuses, slow.statuses]).toEqual([[status], [status]]);
    expect([silent.closed, slow.closed]).toEqual([true, true]);
    expect(slow.text).toContain(code);
    expect([served.refused, served.exchanges]).toEqual([[code, code], []]);
    await until(() => served.listener.connections() === 0);
  });

  test('who goes away within it leaves nothing behind', async () => {
    const served = await start('Optional');
    await Promise.all(
      Array.from({ length: preface.length }, async (_, at) => {
        const socket = connectPlain(served.port, '127.0.0.1');
        await drip(socket, [preface.subarray(0, at)], 5);
        socket.destroy();
      }),
    );
    await until(() => served.listener.connections() === 0);
    expect([served.exchanges, served.refused]).toEqual([[], []]);
  });

  test('methods that begin like the preface are HTTP/1.1', async () => {
    const served = await start('Optional');
    const statuses = await Promise.all(
      ['POST', 'PUT', 'PATCH', 'PROPFIND', 'PRI'].flatMap((method) =>
        [1, 2, 3].map(async (at) => {
          const text = `${method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx`;
          const parts = [text.slice(0, at), 10, text.slice(at)];
          return (await speak(served, parts, { plain: true, answers: 1 })).statuses[0];
        }),
      ),
    );
    expect(statuses).toEqual([...new Array(9).fill(200), ...new Array(3).fill(405), ...new Array(3).fill(400)]);
  });

  test('all of it at once on one port, each told from the others and counted', async () => {
    const [came, gone]: ConnectionProtocol[][] = [[], []];
    const served = await start('Optional', {
      onConnection: (protocol) => came!.push(protocol),
      onConnectionClosed: (protocol) => gone!.push(protocol),
    });
    const secure = connectH2(`https://127.0.0.1:${served.port}`, { ca: served.ca });
    connections.push(secure);
    const { session: plain } = session(served);
    const ask1 = (path: string, isPlain: boolean): Promise<unknown> =>
      speak(served, get(path), { plain: isPlain, answers: 1 });
    await Promise.all([ask(secure, '/1'), ask(plain, '/2'), ask1('/3', false), ask1('/4', true)]);
    const how = served.exchanges.map(({ target, protocol, encrypted }) => `${target} ${protocol} ${encrypted}`);
    expect(how.sort()).toEqual(['/1 h2 true', '/2 h2 false', '/3 http/1.1 true', '/4 http/1.1 false']);
    secure.close();
    plain.close();
    await until(() => gone!.length === 4);
    expect(came!.sort()).toEqual(['h2', 'h2c', 'http/1.1', 'plain']);
    expect(gone!.sort()).toEqual(came);
  });
});

describe('HTTP/2 where HTTP/1.1 was agreed on', () => {
  const upgrade = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n';
  const frames = Buffer.concat([opening, whole(1), whole(3)]).toString('latin1');

  test.each([
    ['plain', true],
    ['over TLS', false],
  ])('`Upgrade: h2c` is not followed, %s: one request, one answer, and nothing behind it is read', async (_, plain) => {
    // Node keeps an error behind an upgrade that was not followed to itself: the time of a head ends that connection.
    const served = await start('Optional', { limits: { headersTimeoutMs: 1_000 } });
    for (const [at, fields] of [upgrade, 'Connection: Upgrade\r\nUpgrade: h2c\r\n', 'Upgrade: h2c\r\n'].entries()) {
      const asked = [get(`/${at}`, fields), 100, frames];
      const { text, statuses, closed } = await speak(served, asked, { plain });
      expect([statuses[0], statuses.length, closed]).toEqual([200, 2, true]);
      expect([400, 408]).toContain(statuses[1]);
      expect(text).not.toContain('101');
    }
    expect(served.seen).toEqual(['GET /0', 'GET /1', 'GET /2']);
    expect(served.refused).toHaveLength(3);
  });

  test('a client that asks for it with each request, as Java’s does, goes on in HTTP/1.1 on its connection', async () => {
    const served = await start('Optional');
    const asked = [get('/1', upgrade), 50, get('/2', upgrade), 50, get('/3')];
    expect((await speak(served, asked, { plain: true, answers: 3 })).statuses).toEqual([200, 200, 200]);
    expect(served.seen).toEqual(['GET /1', 'GET /2', 'GET /3']);
  });

  test.each([
    ['without ALPN', {}],
    ['with HTTP/1.1 agreed on', { ALPNProtocols: ['http/1.1'] }],
  ])('the preface over TLS %s is no request', async (_, tls) => {
    const served = await start('Optional');
    const { statuses, closed } = await speak(served, frames, { tls });
    expect([statuses, closed]).toEqual([[400], true]);
    expect(served.exchanges).toEqual([]);
  });

  test('HTTP/1.1 where HTTP/2 was agreed on is no request either', async () => {
    const served = await start('Optional');
    const socket = connectTls({ port: served.port, host: '127.0.0.1', ca: served.ca, ALPNProtocols: ['h2'] });
    connections.push(socket);
    let closed = false;
    socket.on('error', () => undefined);
    socket.on('close', () => (closed = true));
    socket.resume();
    socket.write(get('/'));
    await until(() => closed);
    expect(served.exchanges).toEqual([]);
  });

  test('a session that has begun is told of what is no frame', async () => {
    const served = await start('Optional');
    const { socket, frames: came, closed } = await rawConnection(served, 'h2c');
    connections.push(socket);
    socket.write(get('/'));
    await until(closed);
    expect(came.filter(({ type }) => type === headersFrame)).toEqual([]);
    expect(came.findLast(({ type }) => type === goaway)?.type ?? goaway).toBe(goaway);
    expect(served.exchanges).toEqual([]);
  });
});

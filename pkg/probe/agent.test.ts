import { afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, request } from 'node:http';
import type { IncomingMessage, OutgoingHttpHeaders, RequestListener } from 'node:http';
import { createServer as createHttp2 } from 'node:http2';
import type { Http2Server, ServerHttp2Stream } from 'node:http2';
import { createServer as createHttps } from 'node:https';
import { connect, createServer as createTcp } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger, systemClock } from '../base/index.ts';
import type { Clock } from '../base/index.ts';
import { ensureSelfSigned } from '../pki/index.ts';
import { startProbeAgent } from './agent.ts';
import { createDrain } from './drain.ts';
import { readProbeTargets } from './target.ts';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { until } from '../../test/support/wait.ts';

const closing: (() => Promise<void>)[] = [];
let material: { cert: string; key: string };

beforeAll(async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-probe-'));
  const files = await ensureSelfSigned(folder, ['somebody.else'], systemClock);
  material = { cert: readFileSync(files.certFile, 'utf8'), key: readFileSync(files.keyFile, 'utf8') };
  rmSync(folder, { recursive: true });
});
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function listen(server: Server | Http2Server, host = '127.0.0.1'): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  closing.push(
    () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        if ('closeAllConnections' in server) (server as { closeAllConnections(): void }).closeAllConnections();
      }),
  );
  return (server.address() as AddressInfo).port;
}

interface Agent {
  readonly port: number;
  get(path: string, headers?: OutgoingHttpHeaders, method?: string): Promise<{ status: number; text: string }>;
  inFlight: number;
  readonly leaving: boolean[];
}

async function startAgent(
  targets: Record<string, unknown>,
  hosts: readonly string[] = ['127.0.0.1'],
  clock: Clock = systemClock,
): Promise<Agent> {
  const state = { inFlight: 0, leaving: [] as boolean[] };
  const drain = createDrain({
    graceMs: 5_200,
    inFlight: () => state.inFlight,
    lastArrival: () => undefined,
    leave: (on) => void state.leaving.push(on),
    clock: systemClock,
  });
  const agent = await startProbeAgent({
    host: '127.0.0.1',
    port: 0,
    targets: readProbeTargets(JSON.stringify(targets)),
    hosts,
    drain,
    clock,
    logger: silentLogger,
  });
  closing.push(async () => {
    drain.close();
    await agent.close();
  });
  return Object.assign(state, {
    port: agent.port,
    get: (path: string, headers: OutgoingHttpHeaders = {}, method = 'GET') =>
      new Promise<{ status: number; text: string }>((resolve, reject) => {
        const sent = request(
          { host: '127.0.0.1', port: agent.port, path, headers, method, agent: false },
          (response) => {
            let text = '';
            response.setEncoding('utf8').on('data', (piece: string) => (text += piece));
            response.on('end', () => resolve({ status: response.statusCode ?? 0, text: text.trim() }));
          },
        );
        sent.on('error', reject);
        sent.end();
      }),
  });
}

const live = '/probe/model/liveness';
/** Longer than any answer takes that comes. */
const longSeconds = 20;
const httpTarget = (
  port: number,
  more: Record<string, unknown> = {},
  timeoutSeconds = longSeconds,
): Record<string, unknown> => ({
  [live]: { timeoutSeconds, httpGet: { port, path: '/health?x=1', scheme: 'HTTP', ...more } },
});

describe('an HTTP probe', () => {
  const serve = async (listener: RequestListener): Promise<number> => listen(createServer(listener));

  test('asks exactly what was declared, and tells nothing of the answer but its status', async () => {
    const seen: IncomingMessage[] = [];
    const port = await serve((asked, response) => {
      seen.push(asked);
      response.end('a secret of the model');
    });
    const headers = [
      { name: 'X-Custom', value: 'yes' },
      { name: 'Host', value: 'llama.ml.svc' },
    ];
    const agent = await startAgent(httpTarget(port, { headers }));
    expect(await agent.get(live, { 'x-from-outside': '1' })).toEqual({ status: 200, text: 'healthy: 200' });
    expect(seen).toHaveLength(1);
    expect(seen[0]).toMatchObject({ method: 'GET', url: '/health?x=1' });
    expect(seen[0]?.headers).toMatchObject({ host: 'llama.ml.svc', 'x-custom': 'yes', accept: '*/*' });
    expect(seen[0]?.headers['user-agent']).toMatch(/^kube-probe\//);
    expect(seen[0]?.headers).not.toHaveProperty('x-from-outside');
  });

  test.each([
    [204, 200],
    [304, 200],
    [404, 503],
    [500, 503],
    [503, 503],
  ])('a container that says %i has the answer %i', async (said, expected) => {
    const port = await serve((_asked, response) => response.writeHead(said).end());
    expect((await (await startAgent(httpTarget(port))).get(live)).status).toBe(expected);
  });

  test('follows redirects on the same port, and not for ever; elsewhere it asks nobody', async () => {
    const seen: string[] = [];
    const port = await serve((asked, response) => {
      seen.push(asked.url ?? '');
      if (asked.url === '/health?x=1') response.writeHead(302, { location: '/bad' }).end();
      else response.writeHead(asked.url === '/bad' ? 500 : 302, { location: '/loop' }).end();
    });
    expect(await (await startAgent(httpTarget(port))).get(live)).toMatchObject({ status: 503 });
    expect(await (await startAgent(httpTarget(port, { path: '/loop' }))).get(live)).toEqual({
      status: 503,
      text: 'unhealthy: redirects',
    });
    const away = await serve((_asked, response) =>
      response.writeHead(302, { location: `http://127.0.0.1:${port}/away` }).end(),
    );
    seen.length = 0;
    expect(await (await startAgent(httpTarget(away))).get(live)).toMatchObject({ status: 200 });
    expect(seen).toEqual([]);
  });

  test('an answer without end does not hold it', async () => {
    const port = await serve((_asked, response) => {
      const more = setInterval(() => response.write('x'.repeat(10_000)), 1);
      response.on('close', () => clearInterval(more)).on('error', () => undefined);
    });
    expect((await (await startAgent(httpTarget(port))).get(live)).status).toBe(200);
  });

  test('fails at its own timeout, and where nothing listens', async () => {
    const port = await serve(() => undefined);
    expect(await (await startAgent(httpTarget(port, {}, 0.2))).get(live)).toEqual({
      status: 503,
      text: 'unreachable: timeout',
    });
    expect(await (await startAgent(httpTarget(1))).get(live)).toEqual({
      status: 503,
      text: 'unreachable: ECONNREFUSED',
    });
  });

  test('does not look at the certificate', async () => {
    const port = await listen(createHttps(material, (_asked, response) => response.end('ok')));
    expect((await (await startAgent(httpTarget(port, { scheme: 'HTTPS' }))).get(live)).status).toBe(200);
  });

  test('tries the next address where nothing listens on the first, and only then', async () => {
    const port = await listen(
      createServer((_asked, response) => response.writeHead(500).end()),
      '127.0.0.2',
    );
    const agent = await startAgent(httpTarget(port), ['127.0.0.1', '127.0.0.2']);
    expect(await agent.get(live)).toEqual({ status: 503, text: 'unhealthy: 500' });
  });

  test('a header that cannot be sent fails the probe', async () => {
    const port = await serve((_asked, response) => response.end());
    const agent = await startAgent(httpTarget(port, { headers: [{ name: 'a b', value: 'x\r\nInjected: 1' }] }));
    expect((await agent.get(live)).status).toBe(503);
  });
});

describe('other probes', () => {
  test('TCP: a connection is enough, and it is closed', async () => {
    let closed = (): void => undefined;
    const over = new Promise<void>((resolve) => (closed = resolve));
    const port = await listen(
      createTcp(
        (socket) =>
          void socket
            .on('error', () => undefined)
            .on('close', () => closed())
            .resume(),
      ),
    );
    const target = (to: number) => ({ [live]: { timeoutSeconds: longSeconds, tcpSocket: { port: to } } });
    expect((await (await startAgent(target(port))).get(live)).status).toBe(200);
    await over;
    expect((await (await startAgent(target(1))).get(live)).status).toBe(503);
  });

  const frame = (...message: number[]): Buffer => Buffer.from([0, 0, 0, 0, message.length, ...message]);
  const health = async (say: (stream: ServerHttp2Stream, body: Buffer, path: string) => void): Promise<number> => {
    const server = createHttp2();
    server.on('session', (session) => closing.push(() => Promise.resolve(session.destroy())));
    server.on('stream', (stream, headers) => {
      const chunks: Buffer[] = [];
      stream.on('error', () => undefined);
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => say(stream as ServerHttp2Stream, Buffer.concat(chunks), String(headers[':path'])));
    });
    return listen(server);
  };
  const answer =
    (body: Buffer, status = '0') =>
    (stream: ServerHttp2Stream): void => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': status }));
      stream.end(body);
    };
  const grpcTarget = (port: number, service = '', timeoutSeconds = longSeconds): Record<string, unknown> => ({
    [live]: { timeoutSeconds, grpc: { port, service } },
  });

  test.each([
    ['serving', frame(8, 1), '0', 'healthy: serving'],
    ['not serving', frame(8, 2), '0', 'unhealthy: not serving'],
    ['unknown', frame(), '0', 'unhealthy: not serving'],
    ['cut', Buffer.from([0, 0, 0, 0, 9, 8, 1]), '0', 'unhealthy: not serving'],
    ['compressed', Buffer.from([1, 0, 0, 0, 2, 8, 1]), '0', 'unhealthy: not serving'],
    ['no such service', Buffer.alloc(0), '5', 'unhealthy: grpc-5'],
    ['no health checks', Buffer.alloc(0), '12', 'unhealthy: grpc-12'],
  ])('gRPC: %s', async (_name, body, status, text) => {
    const agent = await startAgent(grpcTarget(await health(answer(body, status))));
    expect(await agent.get(live)).toEqual({ status: text.startsWith('healthy') ? 200 : 503, text });
  });

  test('gRPC: names the service, however long its name', async () => {
    const name = 'inference.'.repeat(40);
    let seen: { body: Buffer; path: string } | undefined;
    const port = await health((stream, body, path) => {
      seen = { body, path };
      answer(frame(8, 1))(stream);
    });
    expect((await (await startAgent(grpcTarget(port, name))).get(live)).status).toBe(200);
    expect(seen?.path).toBe('/grpc.health.v1.Health/Check');
    // 400 bytes: field 1, length as two bytes of seven bits.
    expect(seen?.body).toEqual(Buffer.concat([Buffer.from([0, 0, 0, 1, 0x93, 0x0a, 0x90, 0x03]), Buffer.from(name)]));
  });

  test('gRPC: a server that speaks another protocol, says nothing or goes away has failed', async () => {
    const plain = await listen(createServer((_asked, response) => response.end('hello')));
    const silent = await listen(createTcp((socket) => void socket.on('error', () => undefined).resume()));
    const gone = await listen(createTcp((socket) => void socket.on('error', () => undefined).destroy()));
    const bare = await health((stream) => {
      stream.respond({ ':status': 200 });
      stream.end(frame(8, 1));
    });
    for (const port of [plain, silent, gone, bare, 1])
      expect(await (await startAgent(grpcTarget(port, '', 1))).get(live)).toMatchObject({
        status: 503,
        text: expect.stringMatching(/^unreachable/),
      });
  });
});

describe('hooks', () => {
  const key = 'kEy-_0123456789abcdefg';
  const path = `/probe/model/pre-stop/${key}`;
  const hook = (port: number): Record<string, unknown> => ({
    [path]: { timeoutSeconds: longSeconds, httpGet: { port, path: '/stop', scheme: 'HTTP' } },
  });

  test('any answer of the container is one; none is none', async () => {
    const port = await listen(createServer((_asked, response) => response.writeHead(500).end()));
    expect(await (await startAgent(hook(port))).get(path)).toEqual({ status: 200, text: 'unhealthy: 500' });
    await expect((await startAgent(hook(1))).get(path)).rejects.toThrow();
  });

  test('are called by nobody who has not the key: there is no such page', async () => {
    let called = 0;
    const port = await listen(
      createServer((_asked, response) => {
        called++;
        response.end();
      }),
    );
    const agent = await startAgent(hook(port));
    const there = '/probe/model/pre-stop';
    const guesses = [
      ...[there, `${there}/`, `${there}/x`, `${there}/${'A'.repeat(22)}`, `${there}/${key.slice(0, -1)}`],
      ...[`${there}/${key.slice(0, -1)}h`, `${there}/${key}0`, `${there}/${key}/`, `${there}/${key}?x`],
      ...[
        `${there}/${key.toUpperCase()}`,
        `${there}/drawn-at-admission`,
        `${there}//${key}`,
        `/probe//pre-stop/${key}`,
      ],
      ...[`/probe/model/post-start/${key}`, `/probe/other/pre-stop/${key}`, `/probe/model/liveness/${key}`],
    ];
    for (const guess of guesses)
      expect([guess, await agent.get(guess)]).toEqual([guess, { status: 404, text: 'no such page' }]);
    expect(called).toBe(0);
    expect((await agent.get(path)).status).toBe(200);
    expect(called).toBe(1);
  });
});

describe('the port', () => {
  test('serves nothing but what was declared, and GET', async () => {
    const port = await listen(createServer((_asked, response) => response.end()));
    const agent = await startAgent(httpTarget(port));
    for (const path of [
      '/',
      '/probe',
      '/probe/model',
      '/probe/model/readiness',
      `${live}/`,
      `${live}?x`,
      '/drain/',
      '/drain?now',
      '/metrics',
      '/health',
      '//drain',
      '/probe/model/../model/liveness',
    ])
      expect((await agent.get(path)).status).toBe(404);
    expect((await agent.get(live, {}, 'POST')).status).toBe(400); // node adds a length
    expect((await agent.get(live, {}, 'DELETE')).status).toBe(405);
    expect((await agent.get('/drain', {}, 'HEAD')).status).toBe(405);
    expect((await agent.get(live, { 'content-length': '1' }).catch(() => ({ status: 400 }))).status).toBe(400);
    expect(agent.leaving).toEqual([]);
  });

  test('a flood of questions asks the container one', async () => {
    let asked = 0;
    const port = await listen(
      createServer((_asked, response) => {
        asked++;
        response.end();
      }),
    );
    const clock = fakeClock();
    const agent = await startAgent(httpTarget(port), ['127.0.0.1'], clock);
    const answers = await Promise.all(Array.from({ length: 20 }, () => agent.get(live)));
    expect(answers.every(({ status }) => status === 200)).toBe(true);
    clock.advance(249);
    expect((await agent.get(live)).status).toBe(200);
    expect(asked).toBe(1);
    clock.advance(1);
    expect((await agent.get(live)).status).toBe(200);
    expect(asked).toBe(2);
  });

  test('one address cannot keep others out: it holds few connections', async () => {
    const agent = await startAgent({});
    const sockets = Array.from({ length: 40 }, () => connect(agent.port, '127.0.0.1').on('error', () => undefined));
    const closed = sockets.map((socket) => new Promise<boolean>((resolve) => socket.on('close', () => resolve(true))));
    await Promise.all(closed.slice(32));
    const other = await new Promise<number>((resolve, reject) => {
      request(
        { host: '127.0.0.1', localAddress: '127.0.0.3', port: agent.port, path: '/x', agent: false },
        (response) => resolve(response.resume().statusCode ?? 0),
      )
        .on('error', reject)
        .end();
    });
    expect(other).toBe(404);
    for (const socket of sockets) socket.destroy();
    await Promise.all(closed);
  });

  test('/drain answers when nothing is in flight, and while it waits everything else is served', async () => {
    const agent = await startAgent({});
    agent.inFlight = 1;
    const drained = agent.get('/drain');
    await until(() => agent.leaving.length > 0);
    expect((await agent.get('/other')).status).toBe(404);
    expect((await drained).text).toMatch(/^(?:idle|deadline)$/);
    expect(agent.leaving).toEqual([true]);
  });
});

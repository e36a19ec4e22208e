import { createServer, request as httpRequest } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';
import { connect as connectH2, createServer as createHttp2Server } from 'node:http2';
import type { ClientHttp2Session, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import { connect as connectPlain } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { ClientDuplexStream } from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { asking, grpcCaller, metadataOf, startGrpcModel, status } from '../support/grpc-model.ts';
import type { GrpcModel, Message } from '../support/grpc-model.ts';
import { chatAnswer } from '../support/scripted-model.ts';
import { startSocketModel } from '../support/socket-model.ts';
import type { SocketModel } from '../support/socket-model.ts';
import { pause, until } from '../support/wait.ts';
import type { World } from '../support/world.ts';
import { basePolicy, startWorld } from '../support/world.ts';

// What HTTP has beside requests and answers, through the whole sidecar, over every protocol that a caller may speak: by policy, and never twice. Interim
// answers and trailers of the model's, and who gives up, are in interim-answers.test.ts, cancellation.test.ts and h2c.test.ts.

const wires = ['HTTP/1.1', 'HTTP/1.1 without TLS', 'HTTP/2', 'HTTP/2 without TLS'] as const;
type Wire = (typeof wires)[number];
const isPlain = (wire: Wire): boolean => wire.endsWith('without TLS');

const body = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'hi' }] });
const chat = '/v1/chat/completions';
const live = '/inference.GRPCInferenceService/ServerLive';
const policy = (issuer: string, more = ''): string =>
  basePolicy(
    issuer,
    `  - { name: probes, effect: Allow, subjects: [{ anyone: true }], operations: [Health] }\n${more}  tls: { inbound: Optional }\n`,
  ).replace('ListModels]', 'ListModels, Other]');

interface Seen {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  body: string;
}

/** Answers chats, and `/early` before it has read anything. */
const seen: Seen[] = [];
const server = createServer((request, response) => {
  const one: Seen = { method: request.method ?? '', path: request.url ?? '', headers: request.headers, body: '' };
  seen.push(one);
  request.on('data', (piece: Buffer) => (one.body += piece.toString()));
  response.setHeader('content-type', 'application/json');
  if (one.path === '/early') response.end('{"said":"early"}');
  else request.on('end', () => response.end(chatAnswer('hello')));
});
let world: World;
let rpc: GrpcModel;
let bearer: string;
const sessions: ClientHttp2Session[] = [];
const sockets: Socket[] = [];
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  rpc = await startGrpcModel();
  const modelUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  world = await startWorld({ policy: (issuer) => policy(issuer), modelUrl, rpcUrl: rpc.url });
  bearer = `Bearer ${await world.token()}`;
});
afterEach(() => {
  for (const session of sessions.splice(0)) session.destroy();
  for (const socket of sockets.splice(0)) socket.destroy();
  seen.length = 0;
  rpc.seen.length = 0;
});
afterAll(async () => {
  await world.close();
  rpc.close();
  server.closeAllConnections();
  server.close();
});

/** A request whose body is still to come. */
interface Going {
  readonly status: () => number | undefined;
  readonly headers: () => Readonly<Record<string, unknown>>;
  readonly trailers: () => Readonly<Record<string, unknown>>;
  readonly text: () => string;
  /** Statuses of interim answers. */
  readonly interim: readonly number[];
  readonly ended: () => boolean;
  send(piece: string | Buffer): void;
  finish(): void;
}

interface Asked {
  readonly headers?: Readonly<Record<string, string>>;
  /** False: the head says that no body follows. */
  readonly hasBody?: boolean;
  readonly late?: Readonly<Record<string, string>>;
  readonly to?: World;
}

function open(
  wire: Wire,
  method: string,
  path: string,
  { headers = {}, hasBody = true, late, to = world }: Asked,
): Going {
  const told = {
    ...{ status: undefined as number | undefined, text: '', ended: false },
    ...{ headers: {} as Record<string, unknown>, trailers: {} as Record<string, unknown> },
  };
  const interim: number[] = [];
  const going = (write: { write(piece: string | Buffer): unknown; end(): unknown }): Going => ({
    ...{ status: () => told.status, headers: () => told.headers, trailers: () => told.trailers, interim },
    ...{ text: () => told.text, ended: () => told.ended },
    send: (piece) => void write.write(piece),
    finish: () => void write.end(),
  });
  const url = `${isPlain(wire) ? 'http' : 'https'}://127.0.0.1:${to.port}`;
  if (wire.startsWith('HTTP/2')) {
    const session = connectH2(url, { ca: to.ca });
    session.on('error', () => undefined);
    sessions.push(session);
    const stream = session.request(
      { ':method': method, ':path': path, ...headers },
      { endStream: !hasBody, waitForTrailers: late !== undefined },
    );
    if (late !== undefined) stream.on('wantTrailers', () => stream.sendTrailers(late));
    stream.on('headers', (head) => interim.push(head[':status'] ?? 0));
    stream.on('response', (head) => Object.assign(told, { status: head[':status'], headers: head }));
    stream.on('trailers', (fields) => (told.trailers = fields));
    stream.on('data', (piece: Buffer) => (told.text += piece.toString('latin1')));
    stream.on('error', () => undefined);
    stream.on('end', () => (told.ended = true));
    return going(stream);
  }
  const sent = (isPlain(wire) ? httpRequest : httpsRequest)(
    `${url}${path}`,
    { method, headers, agent: false, ca: to.ca },
    (response) => {
      Object.assign(told, { status: response.statusCode, headers: response.headers });
      response.on('data', (piece: Buffer) => (told.text += piece.toString('latin1')));
      response.on('error', () => undefined);
      response.on('end', () => (told.ended = response.complete));
    },
  );
  sent.on('information', ({ statusCode }) => interim.push(statusCode));
  sent.on('error', () => undefined);
  sent.on('socket', (socket) => sockets.push(socket));
  if (hasBody) sent.flushHeaders();
  else sent.end();
  return going(sent);
}

const whole = (going: Going): Promise<void> =>
  until(going.ended, () => `the end; so far ${going.status()} ${going.text()}`);
const json = { 'content-type': 'application/json' };

describe.each(wires)('over %s', (wire) => {
  const length = String(body.length);

  test('`Expect: 100-continue` is answered by the sidecar once the caller may send, and the model hears of one request', async () => {
    const headers = { ...json, authorization: bearer, expect: '100-continue', 'content-length': length };
    const going = open(wire, 'POST', chat, { headers });
    await until(() => going.interim.length > 0, 'it may send');
    expect([going.interim, going.status(), seen]).toEqual([[100], undefined, []]);
    going.send(body);
    going.finish();
    await whole(going);
    expect([going.status(), going.interim]).toEqual([200, [100]]);
    expect(going.text()).toContain('"content":"hello"');
    expect(seen).toMatchObject([{ method: 'POST', path: chat, body }]);
    expect(seen[0]?.headers).not.toHaveProperty('expect');
  });

  test('that of nobody is refused before the body comes, and nothing is asked for', async () => {
    const headers = { ...json, authorization: 'Bearer none', expect: '100-continue', 'content-length': length };
    const going = open(wire, 'POST', chat, { headers });
    await whole(going);
    expect([going.status(), going.interim, seen]).toEqual([401, [], []]);
    expect(going.text()).toContain('token_invalid');
  });

  test('a refusal does not wait for the rest of the body', async () => {
    const going = open(wire, 'POST', chat, { headers: { ...json, authorization: 'Bearer none' } });
    going.send(body.slice(0, 20));
    await whole(going);
    expect([going.status(), seen]).toEqual([401, []]);
  });

  test('an answer that comes before its request is whole reaches the caller', async () => {
    const headers = { 'content-type': 'a/b', authorization: bearer };
    const going = open(wire, 'POST', '/early', { headers });
    going.send('a beginning');
    await until(
      () => going.text() !== '',
      () => `the answer; so far ${going.status()}`,
    );
    expect([going.status(), going.text()]).toEqual([200, '{"said":"early"}']);
    going.finish();
    await whole(going);
    expect(seen).toMatchObject([{ method: 'POST', path: '/early' }]);
  });

  test('HEAD, OPTIONS and preflights that the policy does not open are refused, and the model sees nothing', async () => {
    const preflight = { origin: 'https://app.test', 'access-control-request-method': 'POST' };
    const nobody = open(wire, 'OPTIONS', chat, { headers: preflight, hasBody: false });
    const known = open(wire, 'OPTIONS', chat, { headers: { ...preflight, authorization: bearer }, hasBody: false });
    const stranger = `Bearer ${await world.token({ sub: 'bob', groups: ['others'] })}`;
    const head = open(wire, 'HEAD', chat, { headers: { authorization: stranger }, hasBody: false });
    for (const going of [nobody, known, head]) await whole(going);
    expect([nobody.status(), head.status()]).toEqual([401, 403]);
    expect(head.text()).toBe('');
    for (const { headers } of [nobody, known]) expect(headers()).not.toHaveProperty('access-control-allow-origin');
    expect(seen.filter(({ method }) => method !== 'OPTIONS')).toEqual([]);
  });

  test('HEAD that it opens has no body, and what stands behind it is served', async () => {
    const going = open(wire, 'HEAD', '/custom', { headers: { authorization: bearer }, hasBody: false });
    await whole(going);
    expect([going.status(), going.text()]).toEqual([200, '']);
    expect(seen).toMatchObject([{ method: 'HEAD', path: '/custom', body: '' }]);
  });
});

describe.each(['HTTP/2', 'HTTP/2 without TLS'] as const)('gRPC over %s', (wire) => {
  const rpcHeaders = { 'content-type': 'application/grpc', te: 'trailers' };
  /** One message without fields. */
  const empty = Buffer.alloc(5);
  const codeOf = (going: Going): unknown => going.trailers()['grpc-status'] ?? going.headers()['grpc-status'];

  test('`Expect: 100-continue` is answered once the caller may send', async () => {
    const going = open(wire, 'POST', live, { headers: { ...rpcHeaders, expect: '100-continue' } });
    await until(() => going.interim.length > 0, 'it may send');
    expect(rpc.seen).toEqual([]);
    going.send(empty);
    going.finish();
    await whole(going);
    expect([codeOf(going), going.interim, rpc.seen.length]).toEqual(['0', [100], 1]);
    expect(rpc.seen[0]?.metadata.getMap()).not.toHaveProperty('expect');
  });

  test('a refusal does not wait for the message, nor ask for it', async () => {
    const path = '/inference.GRPCInferenceService/ModelInfer';
    for (const more of [{}, { expect: '100-continue' }] as Record<string, string>[]) {
      const going = open(wire, 'POST', path, { headers: { ...rpcHeaders, ...more } });
      await whole(going);
      expect([going.status(), codeOf(going), going.interim]).toEqual([200, String(status.UNAUTHENTICATED), []]);
    }
    expect(rpc.seen).toEqual([]);
  });

  test.each(['HEAD', 'GET', 'OPTIONS'])('%s is no call', async (method) => {
    const going = open(wire, method, live, { headers: { ...rpcHeaders, authorization: bearer }, hasBody: false });
    await whole(going);
    expect([going.status(), codeOf(going)]).not.toEqual([200, '0']);
    expect(rpc.seen).toEqual([]);
  });

  test('trailers of a call do not reach the model', async () => {
    const late = { 'x-late': 'said late', 'grpc-timeout': '1n' };
    const going = open(wire, 'POST', live, { headers: rpcHeaders, late });
    going.send(empty);
    going.finish();
    await whole(going);
    expect([codeOf(going), rpc.seen.length]).toEqual(['0', 1]);
    expect(rpc.seen[0]?.metadata.getMap()).not.toHaveProperty('x-late');
  });

  test('a call that the model ends while its caller still sends ends for the caller, by its status', async () => {
    rpc.stream = (call) =>
      void call.once('data', () => call.emit('error', { code: status.RESOURCE_EXHAUSTED, details: 'enough' }));
    const caller = grpcCaller(world.port, world.ca, bearer, { plain: isPlain(wire) });
    const call = caller.client['ModelStreamInfer']?.(metadataOf(bearer.slice(7))) as ClientDuplexStream<
      Message,
      Message
    >;
    const over = new Promise<{ code: number }>((resolve) => call.on('error', (error) => resolve(error as never)));
    call.on('data', () => undefined);
    call.write(asking('hello'));
    expect(await over).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
    caller.close();
  });

  test('interim answers of the model are nobody’s', async () => {
    const peers = new Set<ServerHttp2Session>();
    const early = createHttp2Server();
    early.on('session', (session) => peers.add(session));
    early.on('stream', (opened) => {
      const stream = opened as ServerHttp2Stream;
      stream.on('error', () => undefined);
      stream.resume().on('end', () => {
        for (const code of [102, 103]) stream.additionalHeaders({ ':status': code, 'x-early': 'said early' });
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
        stream.end(empty);
      });
    });
    await new Promise<void>((resolve) => early.listen(0, '127.0.0.1', resolve));
    const rpcUrl = `http://127.0.0.1:${(early.address() as AddressInfo).port}`;
    const other = await startWorld({ policy: (issuer) => policy(issuer), rpcUrl });
    try {
      const going = open(wire, 'POST', live, { headers: rpcHeaders, to: other });
      going.send(empty);
      going.finish();
      await whole(going);
      expect([going.status(), codeOf(going), going.interim]).toEqual([200, '0', []]);
      expect(going.headers()).not.toHaveProperty('x-early');
      // As many as a server likes are no answer.
      const sayOn = async (stream: ServerHttp2Stream): Promise<void> => {
        stream.on('error', () => undefined);
        for (let said = 0; said < 1_000 && !stream.destroyed; said++) {
          stream.additionalHeaders({ ':status': 102 });
          if (said % 10 === 9) await pause(1);
        }
      };
      early.removeAllListeners('stream').on('stream', (opened) => void sayOn(opened as ServerHttp2Stream));
      const endless = open(wire, 'POST', live, { headers: rpcHeaders, to: other });
      endless.send(empty);
      endless.finish();
      await whole(endless);
      expect(codeOf(endless)).toBe(String(status.INTERNAL));
    } finally {
      await other.close();
      for (const peer of peers) peer.destroy();
      early.close();
    }
  });
});

describe.each(['TLS', 'plain'] as const)('a WebSocket over %s', (wire) => {
  const guard =
    '  guards:\n  - { name: no-secrets, direction: Request, match: { detectors: [Secrets] }, action: Block }\n';
  let model: SocketModel;
  let to: World;
  beforeAll(async () => {
    model = await startSocketModel();
    to = await startWorld({ policy: (issuer) => policy(issuer, guard), modelUrl: model.url });
  });
  afterAll(async () => {
    await to.close();
    await model.close();
  });
  afterEach(() => model.forget());

  interface Line {
    readonly socket: Socket;
    readonly text: () => string;
    readonly closed: () => boolean;
  }
  const key = 'dGhlIHNhbXBsZSBub25jZQ==';
  const noBytes: Buffer = Buffer.alloc(0);
  /** @param behind bytes in the same packet. */
  async function handshake(more = '', { method = 'GET', token = true, behind = noBytes, at = to } = {}): Promise<Line> {
    const place = { port: at.port, host: '127.0.0.1' };
    const socket = wire === 'plain' ? connectPlain(place) : connectTls({ ...place, ca: at.ca });
    sockets.push(socket);
    let [text, closed] = ['', false];
    socket.on('data', (piece: Buffer) => (text += piece.toString('latin1')));
    socket.on('error', () => undefined);
    socket.on('close', () => (closed = true));
    const head =
      `${method} /ws/chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n` +
      `Sec-WebSocket-Key: ${key}\r\n${token ? `Authorization: Bearer ${await at.token()}\r\n` : ''}${more}\r\n`;
    socket.write(Buffer.concat([Buffer.from(head), behind]));
    return { socket, text: () => text, closed: () => closed };
  }
  const answered = (line: Line): Promise<void> =>
    until(
      () => line.text().includes('\r\n\r\n'),
      () => `an answer; so far ${line.text()}`,
    );
  /** A text of the caller's, masked with zeros (RFC 6455 section 5.3). */
  const textFrame = (text: string): Buffer =>
    Buffer.concat([Buffer.of(0x81, 0x80 | text.length, 0, 0, 0, 0), Buffer.from(text)]);

  test('`Expect: 100-continue` of a handshake is answered by 101 alone, and does not reach the model', async () => {
    const line = await handshake('Expect: 100-continue\r\n');
    await answered(line);
    expect(line.text()).toMatch(/^HTTP\/1\.1 101 /);
    line.socket.write(textFrame('{"a":"hello"}'));
    await until(() => model.messages.length === 1, 'the message');
    expect(model.handshakes[0]?.headers).not.toHaveProperty('expect');
  });

  test.each(['HEAD', 'OPTIONS', 'POST'])(
    '%s is no handshake: a request like any other, without the upgrade',
    async (method) => {
      const line = await handshake('', { method, at: world });
      await answered(line);
      expect(line.text()).toMatch(/^HTTP\/1\.1 200 /);
      expect(seen).toMatchObject([{ method, path: '/ws/chat' }]);
      for (const name of ['upgrade', 'sec-websocket-key']) expect(seen[0]?.headers).not.toHaveProperty(name);
    },
  );

  test('a refusal is read although frames stand right behind the handshake, and none of them goes on', async () => {
    const behind = Buffer.concat(new Array<Buffer>(100).fill(textFrame('{"a":"hello"}')));
    const line = await handshake('', { token: false, behind });
    await until(line.closed, 'it is closed');
    expect(line.text()).toMatch(/^HTTP\/1\.1 401 /);
    expect(line.text()).toContain('token_missing');
    expect([model.handshakes, model.messages]).toEqual([[], []]);
  });

  test('who gives up is heard of on the other side, in both directions', async () => {
    const gone = await handshake('', { behind: textFrame('{"a":"hello"}') });
    await until(() => model.messages.length === 1, 'it is under way');
    gone.socket.destroy();
    await until(() => model.closes.length === 1, 'the model hears of it');
    await until(() => to.sidecar.live === 0, 'nothing of it is left');
    model.onMessage = (_text, socket) => socket.terminate();
    const left = await handshake('', { behind: textFrame('{"a":"hello"}') });
    await until(left.closed, 'the caller hears of it');
    await until(() => to.sidecar.live === 0, 'nothing of it is left');
  });
});

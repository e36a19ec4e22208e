import { createServer } from 'node:http';
import { constants, connect, createServer as createHttp2Server } from 'node:http2';
import type { ClientHttp2Session, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { createHttp2Upstream } from '../../pkg/http/index.ts';
import { chatAnswer, chunk } from '../support/scripted-model.ts';
import { pause, until } from '../support/wait.ts';
import type { World } from '../support/world.ts';
import { basePolicy, joinContent, startWorld } from '../support/world.ts';

// What HTTP has beside an answer and its body, through a whole sidecar: interim answers, trailers, and who gives up. Each protocol of the caller's with
// each of the model's.

const protocols = ['HTTP/1.1', 'HTTP/2'] as const;
/** Of callers: `h2c` is HTTP/2 without TLS. */
const callers = [...protocols, 'h2c'] as const;
type Protocol = (typeof callers)[number];
type Fields = Readonly<Record<string, string>>;

/** A request at the model, and the answer to it. */
interface Asked {
  readonly body: string;
  readonly trailers: Fields;
  /** Whoever asked gave up. */
  readonly left: () => boolean;
  interim(status: 100 | 102 | 103): void;
  head(type: string): void;
  write(text: string): void;
  end(trailers?: Fields): void;
  breakOff(): void;
}

interface Model {
  readonly url: string;
  answer: (asked: Asked) => unknown;
  readonly asked: Asked[];
  close(): void;
}

const early = { link: '</a>; rel=preload', 'x-early': 'said early' };

function startHttp1(): Promise<Model> {
  const server = createServer((request, response) => {
    let body = '';
    let left = false;
    request.setEncoding('utf8').on('data', (piece: string) => (body += piece));
    response.on('close', () => (left = !response.writableFinished));
    request.on('end', () =>
      begin(model, {
        ...{ body, trailers: request.trailers as Fields, left: () => left },
        interim(status) {
          if (status === 100) response.writeContinue();
          else if (status === 102) response.writeProcessing();
          else response.writeEarlyHints(early);
        },
        head: (type) => void response.writeHead(200, { 'content-type': type, trailer: 'x-late' }),
        write: (text) => void response.write(text),
        end(trailers = {}) {
          response.addTrailers(trailers);
          response.end();
        },
        breakOff: () => void response.destroy(),
      }),
    );
  });
  const model: Model = { ...empty(), close: () => void (server.close(), server.closeAllConnections()) };
  return listening(server, model);
}

function startHttp2(): Promise<Model> {
  const server = createHttp2Server();
  const sessions = new Set<ServerHttp2Session>();
  server.on('session', (session) => void sessions.add(session));
  server.on('stream', (stream: ServerHttp2Stream) => {
    let body = '';
    let left = false;
    let late: Fields = {};
    let came: Fields = {};
    stream.setEncoding('utf8').on('data', (piece: string) => (body += piece));
    stream.on('error', () => undefined);
    stream.on('aborted', () => (left = true));
    stream.on('trailers', (fields) => (came = fields as Fields));
    stream.on('end', () =>
      begin(model, {
        ...{ body, trailers: came, left: () => left },
        interim: (status) => stream.additionalHeaders({ ':status': status, ...(status === 103 && early) }),
        head(type) {
          stream.respond({ ':status': 200, 'content-type': type }, { waitForTrailers: true });
          stream.on('wantTrailers', () => stream.sendTrailers(late));
        },
        write: (text) => void stream.write(text),
        end(trailers = {}) {
          late = trailers;
          stream.end();
        },
        breakOff: () => stream.close(constants.NGHTTP2_INTERNAL_ERROR),
      }),
    );
  });
  const close = (): void => {
    for (const session of sessions) session.destroy();
    server.close();
  };
  const model: Model = { ...empty(), close };
  return listening(server, model);
}

const empty = (): Omit<Model, 'close'> => ({ url: '', answer: () => undefined, asked: [] });
function begin(model: Model, asked: Asked): void {
  model.asked.push(asked);
  model.answer(asked);
}
function listening(
  server: { listen(port: number, host: string, done: () => void): unknown; address(): unknown },
  model: Model,
): Promise<Model> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () =>
      resolve(Object.assign(model, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })),
    );
  });
}

/** A request under way. */
interface Going {
  readonly text: () => string;
  readonly status: () => number | undefined;
  readonly headers: () => Readonly<Record<string, unknown>>;
  readonly trailers: () => Readonly<Record<string, unknown>>;
  /** Statuses of interim answers. */
  readonly interim: readonly number[];
  /** Undefined while it goes on; whether it ended whole. */
  readonly ended: () => 'whole' | 'broken' | undefined;
  leave(): void;
}

const sessions: ClientHttp2Session[] = [];
afterEach(() => {
  for (const session of sessions.splice(0)) session.destroy();
});

const path = '/v1/chat/completions';
const ask = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'hi' }] });
const askStream = ask.replace('{', '{"stream":true,');

/** @param late trailers of the request. */
async function call(world: World, protocol: Protocol, body: string, late?: Fields): Promise<Going> {
  const headers = { authorization: `Bearer ${await world.token()}`, 'content-type': 'application/json' };
  const told = {
    ...{ text: '', status: undefined as number | undefined, ended: undefined as ReturnType<Going['ended']> },
    ...{ headers: {} as Record<string, unknown>, trailers: {} as Record<string, unknown> },
  };
  const interim: number[] = [];
  const going = (leave: () => void): Going => ({
    ...{ text: () => told.text, status: () => told.status, ended: () => told.ended, interim, leave },
    ...{ headers: () => told.headers, trailers: () => told.trailers },
  });
  if (protocol !== 'HTTP/1.1') {
    const session = connect(protocol === 'h2c' ? world.url.replace('https', 'http') : world.url, { ca: world.ca });
    session.on('error', () => undefined);
    sessions.push(session);
    const stream = session.request(
      { ':method': 'POST', ':path': path, ...headers },
      { waitForTrailers: late !== undefined },
    );
    if (late !== undefined) stream.on('wantTrailers', () => stream.sendTrailers(late));
    stream.setEncoding('utf8').on('data', (piece: string) => (told.text += piece));
    stream.on('headers', (head) => interim.push(head[':status'] ?? 0));
    stream.on('response', (head) => Object.assign(told, { status: head[':status'], headers: head }));
    stream.on('trailers', (fields) => (told.trailers = fields));
    stream.on('error', () => (told.ended ??= 'broken'));
    stream.on('end', () => (told.ended ??= stream.rstCode === 0 ? 'whole' : 'broken'));
    stream.on('close', () => (told.ended ??= 'broken'));
    stream.end(body);
    return going(() => stream.close(constants.NGHTTP2_CANCEL));
  }
  const sent = { ...headers, ...(late !== undefined && { trailer: Object.keys(late).join(', ') }) };
  const request = httpsRequest(`${world.url}${path}`, { method: 'POST', ca: world.ca, headers: sent }, (response) => {
    Object.assign(told, { status: response.statusCode, headers: response.headers });
    response.setEncoding('utf8').on('data', (piece: string) => (told.text += piece));
    response.on('error', () => (told.ended ??= 'broken'));
    response.on('end', () => {
      told.trailers = response.trailers;
      told.ended ??= response.complete ? 'whole' : 'broken';
    });
  });
  request.on('information', ({ statusCode }) => interim.push(statusCode));
  request.on('error', () => (told.ended ??= 'broken'));
  request.write(body);
  if (late !== undefined) request.addTrailers(late);
  request.end();
  return going(() => request.destroy());
}

const whole = async (going: Going): Promise<void> => {
  await until(
    () => going.ended() !== undefined,
    () => `the end; so far ${going.status()} ${going.text()}`,
  );
  expect(going.ended()).toBe('whole');
};

describe.each(protocols)('a model that speaks %s', (spoken) => {
  let model: Model;
  let world: World;
  beforeAll(async () => {
    model = await (spoken === 'HTTP/2' ? startHttp2() : startHttp1());
    world = await startWorld({
      policy: (issuer) => basePolicy(issuer, '  tls: { inbound: Optional }\n'),
      modelUrl: model.url,
      ...(spoken === 'HTTP/2' && { upstream: createHttp2Upstream }),
    });
  });
  afterAll(async () => {
    await world.close();
    model.close();
  });
  afterEach(() => void (model.asked.length = 0));

  const sayWhole = (asked: Asked, trailers?: Fields): void => {
    asked.head('application/json');
    asked.write(chatAnswer('hello'));
    asked.end(trailers);
  };
  const sayStream = (asked: Asked, trailers?: Fields): void => {
    asked.head('text/event-stream');
    for (const content of ['Hel', 'lo']) asked.write(chunk({ content }));
    asked.write(chunk({}, 'stop'));
    asked.write('data: [DONE]\n\n');
    asked.end(trailers);
  };
  const ended = async (): Promise<Record<string, unknown> | undefined> => (await world.record()).at(-1);

  describe.each(callers)('and a caller of %s', (protocol) => {
    test('interim answers are nobody’s: the caller gets one head, whole or as a stream', async () => {
      for (const [body, say] of [
        [ask, sayWhole],
        [askStream, sayStream],
      ] as const) {
        model.answer = async (asked) => {
          for (const status of [100, 102, 103, 103] as const) asked.interim(status);
          await pause(20);
          asked.interim(102);
          say(asked);
        };
        const going = await call(world, protocol, body);
        await whole(going);
        expect([going.status(), going.interim]).toEqual([200, []]);
        expect(going.headers()).not.toHaveProperty('link');
        expect(going.headers()).not.toHaveProperty('x-early');
        expect(body === ask ? going.text() : joinContent(going.text())).toBe(
          body === ask ? chatAnswer('hello') : 'Hello',
        );
        expect(await ended()).toMatchObject({ type: 'end', outcome: 'completed', status: 200 });
      }
    });

    test('trailers of an answer end with the sidecar: nobody could look at them before the answer has left', async () => {
      for (const [body, say] of [
        [ask, sayWhole],
        [askStream, sayStream],
      ] as const) {
        model.answer = (asked) => say(asked, { 'x-late': 'said late', 'grpc-status': '13' });
        const going = await call(world, protocol, body);
        await whole(going);
        expect([going.status(), going.trailers()]).toEqual([200, {}]);
        expect(going.headers()).not.toHaveProperty('trailer');
        expect(going.text()).not.toContain('late');
        expect(await ended()).toMatchObject({ outcome: 'completed' });
      }
    });

    test('trailers of a request do not reach it', async () => {
      model.answer = (asked) => sayWhole(asked);
      const going = await call(world, protocol, ask, { 'x-late': 'said late', authorization: 'Bearer other' });
      await whole(going);
      expect([going.status(), model.asked]).toMatchObject([200, [{ body: ask, trailers: {} }]]);
    });

    test('interim answers without end are no answer', async () => {
      let said = 0;
      model.answer = async (asked) => {
        for (; said < 1_000 && !asked.left(); said++) {
          asked.interim(102);
          if (said % 10 === 9) await pause(1);
        }
      };
      const going = await call(world, protocol, ask);
      await whole(going);
      expect([going.status(), JSON.parse(going.text())]).toMatchObject([502, { error: { code: 'upstream_protocol' } }]);
      await until(() => model.asked.at(-1)?.left() === true, 'the model hears of it');
      expect(said).toBeLessThan(1_000);
    });

    test.each([
      ['before an answer', ask, (asked: Asked): void => asked.interim(102), ''],
      [
        'in a stream',
        askStream,
        (asked: Asked): void => {
          asked.interim(103);
          asked.head('text/event-stream');
          asked.write(chunk({ content: 'Well. ' }));
        },
        'Well',
      ],
    ])('%s who gives up is heard of on the other side', async (_when, body, say, begun) => {
      model.answer = say;
      const going = await call(world, protocol, body);
      await until(() => model.asked.length === 1 && going.text().includes(begun), 'it is under way');
      expect(model.asked[0]?.left()).toBe(false);
      going.leave();
      await until(() => model.asked[0]?.left() === true, 'the model hears of it');
      await until(() => world.sidecar.live === 0, 'nothing of it is left');
      expect(await ended()).toMatchObject({ type: 'end', outcome: 'aborted' });
      expect(model.asked).toHaveLength(1);
      model.asked.length = 0;
      const other = await call(world, protocol, body);
      await until(() => model.asked.length === 1 && other.text().includes(begun), 'it is under way');
      for (const asked of model.asked) asked.breakOff();
      await until(() => {
        // What the server may not have begun is sent once more.
        for (const asked of model.asked) asked.breakOff();
        return other.ended() !== undefined;
      }, 'the caller hears of it');
      if (begun === '') expect([other.status(), other.ended()]).toEqual([502, 'whole']);
      else if (other.ended() === 'whole') expect(other.text()).toMatch(/"code":"upstream_/);
      expect(other.text()).not.toContain('[DONE]');
      expect((await ended())?.['outcome']).not.toBe('completed');
    });
  });
});

import type { ClientHttp2Session } from 'node:http2';
import { connect } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import type { ServerResponse } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { asking, grpcCaller, metadataOf, saying, startGrpcModel, status } from '../support/grpc-model.ts';
import type { Caller, GrpcModel, Message } from '../support/grpc-model.ts';
import type { Script } from '../support/scripted-model.ts';
import { chunk } from '../support/scripted-model.ts';
import { pause, until } from '../support/wait.ts';
import type { World } from '../support/world.ts';
import { basePolicy, startWorld } from '../support/world.ts';

// Whoever gives up, the other side hears of it: each protocol of the caller's with each form of an answer, in both directions, by what the model's
// server saw. WebSockets' are in realtime.test.ts and upgrade.test.ts, those of what goes by unread in passthrough.test.ts.

const protocols = ['http/1.1', 'h2', 'h2c'] as const;
type Protocol = (typeof protocols)[number];

/** A request under way. */
interface Going {
  /** What came of the answer so far. */
  readonly text: () => string;
  readonly status: () => number | undefined;
  /** Undefined while it goes on; whether it ended whole. */
  readonly ended: () => 'whole' | 'broken' | undefined;
  leave(): void;
}

let world: World;
let rpc: GrpcModel;
let caller: Caller;
const sessions: ClientHttp2Session[] = [];
beforeAll(async () => {
  rpc = await startGrpcModel();
  const label = '  classification:\n  - { label: card, detectors: [CreditCard], visibleTo: [], otherwise: Mask }\n';
  world = await startWorld({
    rpcUrl: rpc.url,
    policy: (issuer) => basePolicy(issuer, `${label}  tls: { inbound: Optional }\n`),
  });
  caller = grpcCaller(world.port, world.ca, await world.token());
});
afterEach(() => {
  for (const session of sessions.splice(0)) session.destroy();
});
afterAll(async () => {
  caller.close();
  await world.close();
  rpc.close();
});

/** @param whole false: the body's end never comes. */
async function ask(protocol: Protocol, path: string, body: string, whole = true): Promise<Going> {
  const token = await world.token();
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  let [text, answered, ended]: [string, number | undefined, 'whole' | 'broken' | undefined] = [
    '',
    undefined,
    undefined,
  ];
  const going = (leave: () => void): Going => ({ text: () => text, status: () => answered, ended: () => ended, leave });
  if (protocol !== 'http/1.1') {
    const session = connect(protocol === 'h2c' ? world.url.replace('https', 'http') : world.url, { ca: world.ca });
    session.on('error', () => undefined);
    sessions.push(session);
    const stream = session.request({ ':method': 'POST', ':path': path, ...headers });
    stream.setEncoding('utf8').on('data', (piece: string) => (text += piece));
    stream.on('response', (head) => (answered = head[':status']));
    stream.on('error', () => (ended ??= 'broken'));
    stream.on('end', () => (ended ??= stream.rstCode === 0 ? 'whole' : 'broken'));
    stream.on('close', () => (ended ??= 'broken'));
    stream.write(body);
    if (whole) stream.end();
    return going(() => stream.close(8));
  }
  const request = httpsRequest(`${world.url}${path}`, { method: 'POST', ca: world.ca, headers }, (response) => {
    answered = response.statusCode;
    response.setEncoding('utf8').on('data', (piece: string) => (text += piece));
    response.on('error', () => (ended ??= 'broken'));
    response.on('end', () => (ended ??= response.complete ? 'whole' : 'broken'));
  });
  request.on('error', () => (ended ??= 'broken'));
  request.write(body);
  if (whole) request.end();
  return going(() => request.destroy());
}

const chat = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'hi' }] });
const head =
  (type: string, first: string): Script =>
  (response: ServerResponse) => {
    response.writeHead(200, { 'content-type': type });
    response.write(first);
  };
const line = `${JSON.stringify({ model: 'm', message: { role: 'assistant', content: 'Well. ' }, done: false })}\n`;
/** Forms of an answer: how it begins, and how far it has come when somebody gives up. */
const forms: readonly (readonly [name: string, path: string, body: string, begin: Script, begun: string])[] = [
  ['an answer that nobody has begun', '/v1/chat/completions', chat, () => undefined, ''],
  ['half of a whole answer', '/v1/chat/completions', chat, head('application/json', '{"choices":[{"index":0,'), ''],
  [
    ...(['a stream of events', '/v1/chat/completions', chat.replace('{', '{"stream":true,')] as const),
    ...([head('text/event-stream', chunk({ role: 'assistant', content: 'Well. ' })), 'Well'] as const),
  ],
  ['a stream of lines', '/api/chat', chat, head('application/x-ndjson', line), 'Well'],
];
const cells = protocols.flatMap((protocol) => forms.map((form) => [protocol, ...form] as const));

/** Requests at the model, newest last; its connection to the sidecar by its answer. */
let answers: ServerResponse[] = [];
function script(begin: Script): void {
  answers = [];
  world.model.script = (response, request) => {
    answers.push(response);
    return begin(response, request);
  };
}

describe('a caller who gives up', () => {
  test.each(cells)('%s, %s: the model’s work ends', async (protocol, _name, path, body, begin, begun) => {
    script(begin);
    const going = await ask(protocol, path, body);
    await until(() => answers.length === 1 && going.text().includes(begun), 'it is under way');
    const seen = world.model.seen.at(-1);
    expect(seen?.aborted).toBe(false);
    going.leave();
    await until(() => seen?.aborted === true, 'the model’s server hears of it');
    await until(() => world.sidecar.live === 0, 'nothing of it is left');
    expect((await world.record()).at(-1)).toMatchObject({ type: 'end', outcome: 'aborted' });
    // It was asked once, and by nobody else.
    expect(answers).toHaveLength(1);
  });

  test.each(protocols)('%s, before the request is whole: the model hears nothing', async (protocol) => {
    script(() => undefined);
    const before = world.model.seen.length;
    const going = await ask(protocol, '/v1/chat/completions', chat.slice(0, 20), false);
    await pause(100);
    expect(going.ended()).toBeUndefined();
    going.leave();
    await pause(100);
    expect([world.model.seen.length, world.sidecar.live]).toEqual([before, 0]);
  });

  test('gRPC, unary and as a stream: the model is told', async () => {
    const before = rpc.cancelled;
    rpc.infer = () => undefined;
    const asked = rpc.seen.length;
    const result = await caller.call('ModelInfer', asking('hello'), {
      onCall: (call) => void until(() => rpc.seen.length === asked + 1, 'it is there').then(() => call.cancel()),
    });
    expect(result.code).toBe(status.CANCELLED);
    await until(() => rpc.cancelled === before + 1, 'the model is told');
    rpc.stream = (call) => void call.on('data', () => call.write({ infer_response: saying('Well. ') }));
    const call = caller.client['ModelStreamInfer']?.(metadataOf(await world.token())) as StreamCall;
    call.on('error', () => undefined);
    const came = new Promise((resolve) => call.once('data', resolve));
    call.write(asking('hello'));
    // The answer's text may wait for more of it, the call does not.
    await Promise.race([came, until(() => world.sidecar.live > 0, 'it is under way')]);
    call.cancel();
    await until(() => rpc.cancelled === before + 2, 'the model is told');
  });
});

interface StreamCall {
  on(event: string, listener: (value: never) => void): void;
  once(event: string, listener: (value: unknown) => void): void;
  write(message: Message): void;
  cancel(): void;
}

describe('a model that breaks off', () => {
  test.each(cells)('%s, %s: the caller never takes it for whole', async (protocol, _name, path, body, begin, begun) => {
    script(begin);
    const going = await ask(protocol, path, body);
    await until(() => answers.length >= 1 && going.text().includes(begun), 'it is under way');
    const breakOff = (): void => {
      for (const answer of answers) answer.destroy();
    };
    breakOff();
    await until(() => {
      // A request that the server may not have begun is sent once more.
      breakOff();
      return going.ended() !== undefined;
    }, 'the caller hears of it');
    if (begun === '') expect([going.status(), going.ended()]).toEqual([502, 'whole']);
    // In a stream that has a way to say so it is said, else the answer is broken.
    else if (going.ended() === 'whole') expect(going.text()).toMatch(/"code":"upstream_/);
    expect(going.text()).not.toContain('[DONE]');
    const end = (await world.record()).at(-1);
    expect(end).toMatchObject({ type: 'end' });
    expect(end?.['outcome']).not.toBe('completed');
  });

  test('gRPC: a status that is not OK', async () => {
    // The server with it: this test is the last.
    rpc.infer = () => rpc.close();
    const result = await caller.call('ModelInfer', asking('hello'));
    expect(result.code).not.toBe(status.OK);
    expect(result.answer).toBeUndefined();
  });
});

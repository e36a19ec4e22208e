import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import OpenAI from 'openai';
import { OpenAIRealtimeWS } from 'openai/realtime/ws';
import { createRevocationList } from '../support/revocation-list.ts';
import type { RevocationList } from '../support/revocation-list.ts';
import { callSocket, startSocketModel } from '../support/socket-model.ts';
import type { SocketCaller, SocketModel } from '../support/socket-model.ts';
import { pause, until } from '../support/wait.ts';
import type { World } from '../support/world.ts';
import { basePolicy, startWorld } from '../support/world.ts';

// OpenAI's Realtime API: each message of a WebSocket is looked at in both directions.

const policy = (issuer: string, files = '    files: { types: ["audio/*"], maxBytes: 4Ki }\n', more = ''): string =>
  basePolicy(
    issuer,
    `${files}  guards:
  - { name: no-secrets, direction: Request, match: { detectors: [Secrets] }, action: Block }
  - { name: hide-mail, direction: Request, match: { detectors: [Email] }, action: Mask }
  classification:
  - { label: card, detectors: [CreditCard], visibleTo: [{ group: finance }], otherwise: Mask }
  - { label: poison, patterns: ["toxic[0-9]"], otherwise: Block }
${more}`,
  );
const secret = 'ghp_aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0dF3hJ6';
const path = '/v1/realtime?model=gpt-realtime';

let world: World;
let model: SocketModel;
let revocations: RevocationList;
let bearer: string;
beforeAll(async () => {
  model = await startSocketModel();
  revocations = createRevocationList();
  world = await startWorld({ policy: (issuer) => policy(issuer), modelUrl: model.url, revocations });
  bearer = await world.token();
});
afterAll(async () => {
  await world.close();
  await model.close();
});
beforeEach(() => model.forget());

const json = (texts: readonly string[]): Record<string, unknown>[] =>
  texts.map((text) => JSON.parse(text) as Record<string, unknown>);

async function open(token: string = bearer): Promise<SocketCaller> {
  const caller = callSocket(world, path, token);
  await caller.ready;
  return caller;
}

const ended = (caller: SocketCaller): Promise<void> =>
  until(
    () => caller.end !== undefined,
    () => `the end; heard ${JSON.stringify(caller.heard)}`,
  );

const delta = (text: string, item = 'i1'): object => ({
  type: 'response.output_audio_transcript.delta',
  ...{ event_id: 'e', response_id: 'r1', item_id: item, output_index: 0, content_index: 0, delta: text },
});
const done = (status = 'completed', usage?: object): object => ({
  type: 'response.done',
  event_id: 'e',
  response: { id: 'r1', object: 'realtime.response', status, output: [], ...(usage !== undefined && { usage }) },
});
const heardText = (caller: SocketCaller): string =>
  json(caller.heard)
    .map((event) => (typeof event['delta'] === 'string' ? event['delta'] : ''))
    .join('');

describe("OpenAI's own client", () => {
  test('speaks to the model, and both are looked at', async () => {
    model.onSocket = (socket) => {
      socket.send(JSON.stringify({ type: 'session.created', event_id: 'e0', session: { type: 'realtime', id: 's1' } }));
    };
    model.onMessage = (text, socket) => {
      const event = JSON.parse(text) as { type: string };
      if (event.type !== 'response.create') return;
      for (const piece of ['the card 4111 11', '11 1111 1111 is', ' it']) socket.send(JSON.stringify(delta(piece)));
      socket.send(JSON.stringify(done()));
    };
    const client = new OpenAI({ apiKey: bearer, baseURL: `https://localhost:${world.port}/v1` });
    const realtime = new OpenAIRealtimeWS({ model: 'gpt-realtime', options: { ca: world.ca } as never }, client);
    const events: Record<string, unknown>[] = [];
    realtime.on('event', (event) => events.push(event as unknown as Record<string, unknown>));
    const errors: unknown[] = [];
    realtime.on('error', (error) => errors.push(error));
    await until(() => events.length > 0, 'the session');
    realtime.send({ type: 'session.update', session: { type: 'realtime', instructions: 'mail ana@example.com' } });
    realtime.send({
      type: 'conversation.item.create',
      item: { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'hello' }] },
    });
    realtime.send({ type: 'response.create' });
    await until(() => events.some((event) => event['type'] === 'response.done'), 'the answer');
    realtime.close();
    await until(() => model.closes.length > 0, 'the end');
    expect(errors).toEqual([]);
    expect(model.handshakes[0]?.path).toBe(path);
    expect(model.handshakes[0]?.headers['authorization']).toBeUndefined();
    expect(model.handshakes[0]?.headers['sec-websocket-extensions']).toBeUndefined();
    expect(model.messages[0]).not.toContain('ana@example.com');
    expect(model.messages[1]).toBe(
      JSON.stringify({
        type: 'conversation.item.create',
        item: { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'hello' }] },
      }),
    );
    const joined = events.map((event) => (typeof event['delta'] === 'string' ? event['delta'] : '')).join('');
    expect(joined).not.toContain('4111');
    expect(joined).toMatch(/^the card .* is it$/);
    const record = await world.record();
    const start = record.findLast((event) => event['type'] === 'start');
    expect(start).toMatchObject({ dialect: 'openai-realtime', operation: 'Chat', model: 'gpt-realtime' });
    expect(JSON.stringify(record)).not.toMatch(/4111 1111|ana@example/);
    expect(JSON.stringify(record)).toContain('hello');
    expect(record.findLast((event) => event['type'] === 'end')).toMatchObject({ outcome: 'completed', status: 101 });
  });
});

test("OpenAI's own client has what is said written down, by a model that its caller may use", async () => {
  const own = (models: string): string =>
    policy(world.issuer.url).replace('operations: [Chat', `models: [${models}]\n    operations: [Chat`);
  model.onSocket = (socket) => {
    socket.send(JSON.stringify({ type: 'session.created', event_id: 'e0', session: { type: 'transcription' } }));
  };
  const heard = 'conversation.item.input_audio_transcription';
  model.onMessage = (text, socket) => {
    if (!text.includes('input_audio_buffer.commit')) return;
    const its = { item_id: 'u1', content_index: 0 };
    for (const piece of ['the card 4111 11', '11 1111 1111 is it'])
      socket.send(JSON.stringify({ type: `${heard}.delta`, event_id: 'e', ...its, delta: piece }));
    const transcript = 'the card 4111 1111 1111 1111 is it';
    socket.send(JSON.stringify({ type: `${heard}.completed`, event_id: 'e', ...its, transcript }));
  };
  const client = new OpenAI({ apiKey: bearer, baseURL: `https://localhost:${world.port}/v1` });
  const realtime = new OpenAIRealtimeWS({ intent: 'transcription', options: { ca: world.ca } as never }, client);
  const events: Record<string, unknown>[] = [];
  const errors: unknown[] = [];
  realtime.on('event', (event) => events.push(event as unknown as Record<string, unknown>));
  realtime.on('error', (error) => errors.push(error));
  await until(() => events.length > 0, 'the session');
  realtime.send({
    type: 'session.update',
    session: { type: 'transcription', audio: { input: { transcription: { model: 'gpt-4o-transcribe' } } } },
  });
  realtime.send({ type: 'input_audio_buffer.append', audio: Buffer.alloc(90, 0x9c).toString('base64') });
  realtime.send({ type: 'input_audio_buffer.commit' });
  await until(() => events.some((event) => event['type'] === `${heard}.completed`), 'the transcript');
  realtime.close();
  await until(() => model.closes.length > 0, 'the end');
  expect(errors).toEqual([]);
  expect(model.handshakes[0]?.path).toBe('/v1/realtime?intent=transcription');
  expect(JSON.stringify(events)).not.toMatch(/4111|1111/);
  model.forget();
  // Which model it will be nobody knows at the handshake: a rule for some opens none.
  await world.setPolicy(own('"gpt-*"'));
  const caller = callSocket(world, '/v1/realtime?intent=transcription', bearer);
  await until(() => caller.refused !== undefined, 'the refusal');
  expect(caller.refused?.status).toBe(403);
  expect(model.handshakes).toEqual([]);
  await world.setPolicy(policy(world.issuer.url));
});

describe('a handshake', () => {
  test.each([
    ['another intent', undefined, '/v1/realtime?intent=answers', 400, 'invalid_request'],
    ['a model beside an intent', undefined, '/v1/realtime?intent=transcription&model=a', 400, 'invalid_request'],
    ['nobody', null, path, 401, 'token_missing'],
    ['a model that is not named', undefined, '/v1/realtime', 400, 'invalid_request'],
    ["somebody's call", undefined, '/v1/realtime?call_id=c1', 400, 'invalid_request'],
    ['two models', undefined, '/v1/realtime?model=a&model=b', 400, 'invalid_request'],
    ['a secret in its headers', undefined, path, 403, 'guard_blocked'],
  ])('of %s is refused, and the model sees nothing', async (what, token, target, status, code) => {
    const headers = what.startsWith('a secret') ? { baggage: `k=${secret}` } : {};
    const caller = callSocket(world, target, token === null ? null : bearer, { headers });
    await caller.ready;
    await until(() => caller.refused !== undefined, 'the refusal');
    expect(caller.refused?.status).toBe(status);
    expect((JSON.parse(caller.refused?.body ?? '') as { error: { code: string } }).error.code).toBe(code);
    expect(model.handshakes).toEqual([]);
  });

  test('offers the model known subprotocols alone, and no compression', async () => {
    const caller = callSocket(world, path, bearer, {
      protocols: ['realtime', 'openai-insecure-api-key.abc', 'openai-beta.realtime-v1'],
    });
    await caller.ready;
    expect(model.handshakes[0]?.headers).toMatchObject({
      'sec-websocket-protocol': 'realtime, openai-beta.realtime-v1',
    });
    expect(model.handshakes[0]?.headers['sec-websocket-extensions']).toBeUndefined();
    expect(caller.socket.protocol).toBe('realtime');
    expect(caller.headers['sec-websocket-extensions']).toBeUndefined();
    caller.socket.close();
    await ended(caller);
  });
});

describe('a message of the caller', () => {
  test.each([
    ['a secret', { type: 'response.create', response: { instructions: secret } }, 'guard_blocked', 1008],
    ['an unknown type', { type: 'response.steal' }, 'invalid_request', 1008],
    ['another model', { type: 'session.update', session: { model: 'gpt-4' } }, 'invalid_request', 1008],
    ['a prompt by its name', { type: 'response.create', response: { prompt: { id: 'p' } } }, 'invalid_request', 1008],
    [
      'a server of tools',
      { type: 'session.update', session: { tools: [{ type: 'mcp', server_label: 'x', server_url: 'https://x' }] } },
      'invalid_request',
      1008,
    ],
    [
      'a place among those before it',
      {
        ...{ type: 'conversation.item.create', previous_item_id: 'root' },
        item: { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'a' }] },
      },
      'invalid_request',
      1008,
    ],
    [
      'sound that is too long',
      { type: 'input_audio_buffer.append', audio: 'AAAA'.repeat(1_400) },
      'file_not_allowed',
      1003,
    ],
  ])('with %s ends the connection, and the model does not get it', async (_what, event, code, closing) => {
    const caller = await open();
    caller.socket.send(JSON.stringify({ type: 'input_audio_buffer.clear' }));
    caller.socket.send(JSON.stringify(event));
    caller.socket.send(JSON.stringify({ type: 'input_audio_buffer.clear' }));
    await ended(caller);
    expect(caller.end).toEqual({ code: closing, reason: code });
    expect(json(caller.heard).at(-1)).toMatchObject({ type: 'error', error: { code } });
    expect(json(model.messages).map((one) => one['type'])).toEqual(['input_audio_buffer.clear']);
    await until(() => model.closes.length > 0, "the model's end");
    const record = await world.record();
    expect(record.findLast((one) => one['type'] === 'end')).toMatchObject({ code, outcome: 'ended' });
  });

  test.each([
    ['is no JSON', 'no json', 'invalid_json', 1008],
    ['has a name twice', '{"type":"response.cancel","type":"response.create"}', 'invalid_json', 1008],
    ['is binary', Buffer.from('{"type":"response.cancel"}'), 'file_not_allowed', 1003],
  ])('that %s ends it', async (_what, message, code, closing) => {
    const caller = await open();
    caller.socket.send(message);
    await ended(caller);
    expect(caller.end).toEqual({ code: closing, reason: code });
    expect(model.messages).toEqual([]);
  });

  test('goes on in the frames in which it came, and sound as it is', async () => {
    const caller = await open();
    const audio = { type: 'input_audio_buffer.append', audio: Buffer.alloc(900, 0x9c).toString('base64') };
    caller.socket.send('{"type":"conversation.item.create", "item":{"type":"message","role":"user",', { fin: false });
    caller.socket.send('"content":[{"type":"input_text","text":"h\\u0069 '.slice(0, 20), { fin: false });
    caller.socket.send('"content":[{"type":"input_text","text":"h\\u0069 '.slice(20), { fin: false });
    caller.socket.send('é"}]}}');
    caller.socket.send(JSON.stringify(audio));
    await until(() => model.messages.length === 2, 'both');
    expect(model.messages[0]).toBe(
      '{"type":"conversation.item.create", "item":{"type":"message","role":"user","content":[{"type":"input_text","text":"h\\u0069 é"}]}}',
    );
    expect(json(model.messages)[1]).toEqual(audio);
    caller.socket.close();
    await ended(caller);
  });
});

describe('an item that is taken out', () => {
  const item = (id: string, text: string): object => ({
    type: 'conversation.item.create',
    item: { id, type: 'message', role: 'user', content: [{ type: 'input_text', text }] },
  });
  const remove = (item_id: string): object => ({ type: 'conversation.item.delete', item_id });
  const between = [item('a', 'it is ana.lopez@'), item('f', 'plain words '.repeat(400)), item('b', 'example.com')];

  test.each([
    ['between two pieces of an address', [...between, remove('f')], 'guard_blocked'],
    ['by a name that nobody said', [...between, remove('g')], 'invalid_request'],
  ])('%s ends the connection, and the model does not get it', async (_what, events, code) => {
    const caller = await open();
    for (const event of events) caller.socket.send(JSON.stringify(event));
    await ended(caller);
    expect(caller.end).toEqual({ code: 1008, reason: code });
    expect(model.messages).toHaveLength(3);
  });

  test('goes on where nothing comes together, and so does one of the model', async () => {
    model.onMessage = (_text, socket) =>
      socket.send(JSON.stringify({ type: 'response.output_item.added', response_id: 'r1', item: { id: 'm1' } }));
    const caller = await open();
    for (const event of [item('a', 'good'), item('f', 'plain words'), item('b', 'day'), remove('f')])
      caller.socket.send(JSON.stringify(event));
    await until(() => caller.heard.length > 0, 'an item of the model');
    model.onMessage = () => undefined;
    caller.socket.send(JSON.stringify(remove('m1')));
    await until(() => model.messages.length === 5, 'all');
    expect(json(model.messages).at(-1)).toEqual(remove('m1'));
    caller.socket.close();
    await ended(caller);
  });
});

describe('what the model says', () => {
  const say = async (events: readonly object[], token?: string): Promise<SocketCaller> => {
    model.onSocket = (socket) => events.forEach((event) => socket.send(JSON.stringify(event)));
    return open(token);
  };

  test('is masked over its pieces, and where it is said again', async () => {
    const caller = await say([
      delta('4111 1111 '),
      delta('1111 '),
      delta('1111'),
      {
        ...{ type: 'response.output_audio_transcript.done', event_id: 'e', response_id: 'r1', item_id: 'i1' },
        ...{ output_index: 0, content_index: 0, transcript: '4111 1111 1111 1111' },
      },
      done(),
    ]);
    await until(() => json(caller.heard).some((event) => event['type'] === 'response.done'), 'the end of the answer');
    expect(caller.heard.join('')).not.toMatch(/4111|1111/);
    const again = json(caller.heard).flatMap((event) =>
      typeof event['transcript'] === 'string' ? [event['transcript']] : [],
    );
    expect(again.join('')).toBe(heardText(caller));
    caller.socket.close();
    await ended(caller);
  });

  test('leaves byte for byte where nothing of it is hidden, sound too', async () => {
    const sound = {
      ...{ type: 'response.output_audio.delta', event_id: 'e', response_id: 'r1', item_id: 'i1', output_index: 0 },
      ...{ content_index: 0, delta: Buffer.alloc(1_200, 0x9c).toString('base64') },
    };
    const events = [delta('good '), sound, delta('day.'), done()];
    const caller = await say(events);
    await until(() => caller.heard.length === events.length, 'all');
    expect(caller.heard).toEqual(events.map((event) => JSON.stringify(event)));
    caller.socket.close();
    await ended(caller);
    const record = await world.record();
    expect(record.findLast((one) => one['type'] === 'end')).toMatchObject({
      rules: expect.arrayContaining([expect.objectContaining({ rule: 'sidegate/uninspected', act: 'flagged' })]),
    });
  });

  test.each([
    ['what a rule blocks', [delta('this is tox'), delta('ic7'), done()], 'response_blocked', 1008],
    ['an event that nobody knows', [{ type: 'response.whatever', text: 'x' }], 'response_uninspectable', 1011],
    ['a text after its answer was done', [delta('a'), done(), delta('b')], 'upstream_protocol', 1011],
  ])('ends the connection with %s', async (_what, events, code, closing) => {
    const caller = await say(events);
    await ended(caller);
    expect(caller.end).toEqual({ code: closing, reason: code });
    expect(caller.heard.join('')).not.toContain('toxic7');
    await until(() => model.closes.length > 0, "the model's end");
  });

  test('may be closed by it: code and reason stay, and the reason is a text', async () => {
    model.onSocket = (socket) => socket.close(4_123, 'card 4111 1111 1111 1111 used');
    const caller = await open();
    await ended(caller);
    expect(caller.end?.code).toBe(4_123);
    expect(caller.end?.reason).toMatch(/^card .* used$/);
    expect(caller.end?.reason).not.toContain('4111');
  });

  test('is not whole where its connection breaks', async () => {
    model.onSocket = (socket) => socket.terminate();
    const caller = await open();
    await ended(caller);
    expect(caller.end).toEqual({ code: 1011, reason: 'upstream_protocol' });
  });
});

test('a close of the caller reaches the model with its code, and its reason is masked', async () => {
  const caller = await open();
  caller.socket.close(4_000, 'ask ana@example.com about it');
  await until(() => model.closes.length > 0, 'the close');
  expect(model.closes[0]?.code).toBe(4_000);
  expect(model.closes[0]?.reason).not.toContain('ana@example.com');
  expect(model.closes[0]?.reason).toContain('about it');
  await ended(caller);
  expect(caller.end?.code).toBe(4_000);
});

test('pings go to the other side without their payload, and come back with it', async () => {
  const pings: string[] = [];
  model.onSocket = (socket) => {
    socket.on('ping', (data) => pings.push(data.toString()));
    socket.on('pong', (data) => pings.push(`pong ${data.toString()}`));
    socket.ping('of the model');
  };
  const caller = await open();
  const pongs: string[] = [];
  caller.socket.on('pong', (data) => pongs.push(data.toString()));
  caller.socket.ping(secret);
  await until(
    () => pongs.length > 0 && pings.length > 1,
    () => JSON.stringify({ pings, pongs }),
  );
  expect(pongs).toEqual([secret]);
  expect(pings.toSorted()).toEqual(['', 'pong of the model']);
  caller.socket.close();
  await ended(caller);
});

describe('it ends', () => {
  const restore = async (): Promise<void> => world.setPolicy(policy(world.issuer.url));

  test('where policy no longer allows it', async () => {
    const caller = await open();
    await world.setPolicy(policy(world.issuer.url).replace('Chat, ', ''));
    await ended(caller);
    expect(caller.end).toEqual({ code: 1008, reason: 'policy_changed' });
    await until(() => model.closes.length > 0, "the model's end");
    await restore();
  });

  test('where files that passed no longer do', async () => {
    const caller = await open();
    await world.setPolicy(policy(world.issuer.url, '    files: { types: ["audio/*"], maxBytes: 2Ki }\n'));
    await ended(caller);
    expect(caller.end).toEqual({ code: 1008, reason: 'policy_changed' });
    await restore();
  });

  test('with the first message after an edit, whatever it was', async () => {
    const caller = await open();
    await world.setPolicy(policy(world.issuer.url).replace('toxic[0-9]', 'toxic[0-8]'));
    caller.socket.send('{"type":"response.cancel"}');
    await ended(caller);
    expect(caller.end).toEqual({ code: 1008, reason: 'policy_changed' });
    expect(model.messages).toEqual([]);
    await restore();
  });

  test('where its token is revoked', async () => {
    const caller = await open(await world.token({ sub: 'eve' }));
    revocations.set({ issuer: world.issuer.url, subject: 'eve', until: Date.now() + 60_000 });
    await ended(caller);
    expect(caller.end).toEqual({ code: 1008, reason: 'token_revoked' });
  });

  test('where its caller goes: the model hears of it at once', async () => {
    const caller = await open();
    caller.socket.terminate();
    await until(() => model.closes.length > 0, "the model's end");
    const record = await world.record();
    expect(record.findLast((one) => one['type'] === 'end')).toMatchObject({ outcome: 'aborted' });
  });
});

test('sound passes only where a rule says so, in both directions', async () => {
  await world.setPolicy(policy(world.issuer.url, ''));
  const asking = await open();
  asking.socket.send(
    JSON.stringify({ type: 'input_audio_buffer.append', audio: Buffer.alloc(90, 0x9c).toString('base64') }),
  );
  await ended(asking);
  expect(asking.end).toEqual({ code: 1003, reason: 'file_not_allowed' });
  model.onSocket = (socket) => {
    const event = {
      type: 'response.output_audio.delta',
      item_id: 'i',
      response_id: 'r',
      delta: Buffer.alloc(90, 0x9c).toString('base64'),
    };
    socket.send(JSON.stringify(event));
  };
  const hearing = await open();
  await ended(hearing);
  expect(hearing.end).toEqual({ code: 1011, reason: 'response_uninspectable' });
  await world.setPolicy(policy(world.issuer.url));
});

describe('limits', () => {
  const limited = (limits: string): Promise<void> =>
    world.setPolicy(policy(world.issuer.url, `    files: { types: ["audio/*"] }\n    limits: { ${limits} }\n`));

  test('each message counts as a request, and a run of sound as one', async () => {
    await limited('requestsPerMinute: 3');
    const caller = await open(); // one
    const sound = JSON.stringify({
      type: 'input_audio_buffer.append',
      audio: Buffer.alloc(90, 0x9c).toString('base64'),
    });
    for (let at = 0; at < 5; at++) caller.socket.send(sound); // two
    caller.socket.send('{"type":"response.cancel"}'); // three
    await until(() => model.messages.length === 6, 'all of them');
    caller.socket.send('{"type":"response.cancel"}');
    await ended(caller);
    expect(caller.end).toEqual({ code: 1008, reason: 'rate_limited' });
    expect(model.messages).toHaveLength(6);
  });

  test('what the model says was used is charged before the next message', async () => {
    await limited('tokensPerMinute: 5000');
    model.onMessage = (_text, socket) =>
      socket.send(JSON.stringify(done('completed', { input_tokens: 4_000, output_tokens: 900 })));
    const caller = await open(await world.token({ sub: 'tom' }));
    caller.socket.send('{"type":"response.create"}');
    await until(() => caller.heard.length === 1, 'the answer');
    caller.socket.send('{"type":"response.create"}');
    await ended(caller);
    expect(caller.end).toEqual({ code: 1008, reason: 'token_limited' });
    const record = await world.record();
    expect(record.findLast((one) => one['type'] === 'end')).toMatchObject({ tokens: { input: 4_000, output: 900 } });
  });

  test('of output are set in a session and in an answer; sound waits until the server says so of its session', async () => {
    await limited('maxOutputTokens: 100');
    const token = await world.token({ sub: 'kim' });
    const caller = await open(token);
    caller.socket.send('{"type":"response.create"}');
    caller.socket.send('{"type":"session.update","session":{"type":"realtime","max_output_tokens":"inf"}}');
    caller.socket.send('{"type":"response.create","response":{"max_output_tokens":50}}');
    caller.socket.send('{"type":"response.create","response":{}}');
    await until(() => model.messages.length === 4, 'all');
    const sound = JSON.stringify({
      type: 'input_audio_buffer.append',
      audio: Buffer.alloc(90, 0x9c).toString('base64'),
    });
    model.onMessage = (_text, socket) =>
      socket.send('{"type":"session.updated","session":{"type":"realtime","max_output_tokens":100}}');
    caller.socket.send('{"type":"session.update","session":{"type":"realtime"}}');
    await until(() => caller.heard.length === 1, 'what the server took');
    model.onMessage = () => undefined;
    caller.socket.send(sound);
    await until(() => model.messages.length === 6, 'the sound');
    expect(model.messages.slice(0, 4)).toEqual([
      '{"response":{"max_output_tokens":100},"type":"response.create"}',
      '{"type":"session.update","session":{"type":"realtime","max_output_tokens":100}}',
      '{"type":"response.create","response":{"max_output_tokens":50}}',
      '{"type":"response.create","response":{"max_output_tokens":100}}',
    ]);
    caller.socket.send('{"type":"response.create","response":{"max_output_tokens":101}}');
    await ended(caller);
    expect(caller.end).toEqual({ code: 1008, reason: 'max_tokens_exceeded' });
    const other = await open(token);
    // The server has not said that it took it.
    other.socket.send('{"type":"session.update","session":{"type":"realtime"}}');
    other.socket.send(sound);
    await ended(other);
    expect(other.end).toEqual({ code: 1008, reason: 'invalid_request' });
    await world.setPolicy(policy(world.issuer.url));
  });
});

test('a model that writes down what is said must be allowed, too', async () => {
  await world.setPolicy(
    policy(world.issuer.url).replace('operations: [Chat', 'models: ["gpt-*"]\n    operations: [Chat'),
  );
  const update = (name: string): string =>
    JSON.stringify({ type: 'session.update', session: { audio: { input: { transcription: { model: name } } } } });
  const caller = await open();
  caller.socket.send(update('gpt-4o-transcribe'));
  await until(() => model.messages.length === 1, 'the first');
  caller.socket.send(update('whisper-1'));
  await ended(caller);
  expect(caller.end).toEqual({ code: 1008, reason: 'access_denied' });
  await world.setPolicy(policy(world.issuer.url));
});

test('nor may it be one that a hosted endpoint calls otherwise', async () => {
  const upstream = '  upstream: { hosted: { url: "https://models.test", models: [{ name: heard, as: large-2 }] } }\n';
  await world.setPolicy(policy(world.issuer.url, undefined, upstream));
  const caller = await open();
  const session = { audio: { input: { transcription: { model: 'heard' } } } };
  caller.socket.send(JSON.stringify({ type: 'session.update', session }));
  await ended(caller);
  expect(caller.end).toMatchObject({ reason: 'upstream_unsupported' });
  expect(model.messages).toEqual([]);
  await world.setPolicy(policy(world.issuer.url));
});

test('a policy that observes lets all of it by as it comes, and records it', async () => {
  await world.setPolicy(policy(world.issuer.url, '').replace('mode: Enforce', 'mode: Observe'));
  model.onMessage = (text, socket, isBinary) => {
    if (isBinary) socket.send(Buffer.from([1, 2, 3]));
    else socket.send(`said ${text} 4111 1111 1111 1111`);
  };
  const caller = await open();
  expect(caller.refused).toBeUndefined();
  caller.socket.send(`no json ${secret}`);
  await until(() => caller.heard.length === 1, 'the answer');
  caller.socket.send(Buffer.from([9, 8]));
  await until(() => caller.heard.length === 2, 'both');
  expect(caller.heard[0]).toBe(`said no json ${secret} 4111 1111 1111 1111`);
  expect(model.messages[0]).toBe(`no json ${secret}`);
  // Another model than the handshake's.
  const other = JSON.stringify({ type: 'session.update', session: { type: 'realtime', model: 'gpt-other' } });
  caller.socket.send(other);
  await until(() => model.messages.length === 3, 'the third');
  expect(model.messages[2]).toBe(other);
  caller.socket.close(4_000, 'bye');
  await ended(caller);
  expect(caller.end?.code).toBe(4_000);
  await until(
    () => world.recordSoFar().some((one) => one['type'] === 'end' && JSON.stringify(one).includes('invalid_request')),
    'the end on record, with what enforcing would have refused',
  );
  await pause(0);
  await world.setPolicy(policy(world.issuer.url));
});

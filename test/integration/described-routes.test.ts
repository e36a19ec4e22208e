import { request } from 'node:https';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { callSocket, startSocketModel } from '../support/socket-model.ts';
import type { SocketModel } from '../support/socket-model.ts';
import { pause, until } from '../support/wait.ts';
import type { World } from '../support/world.ts';
import { basePolicy, startWorld } from '../support/world.ts';

// Routes of a framework that Sidegate does not know and a policy describes.

const policy = (issuer: string): string =>
  basePolicy(
    issuer,
    `
  - { name: narrow, effect: Allow, subjects: [{ group: narrow }], operations: [Completions], models: [small] }
  guards:
  - { name: no-secrets, direction: Request, match: { detectors: [Secrets] }, action: Block }
  - { name: hide-mail, direction: Request, match: { detectors: [Email] }, action: Mask }
  classification:
  - { label: card, detectors: [CreditCard], otherwise: Mask }
  - { label: poison, patterns: ["toxic[0-9]"], otherwise: Block }
  routes:
  - path: /v1/stories
    operation: Completions
    model: $.model
    request: { texts: [$.prompt], values: [$.user], others: Refused }
    response: { texts: [$.piece], values: [$.id] }
  - path: /v1/plain
    operation: Completions
    request: { format: Text }
    response: { format: Text }
  - path: /ws/talk
    webSocket: true
    operation: Chat
    request: { texts: [$.say] }
    response: { texts: [$.say], messages: Separate }
`,
  );
const secret = `ghp_${'aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0dF3hJ6'}`;
const text = 'pay 4111 1111 1111 1111, and go on with it then';
const masked = 'pay [card], and go on with it then';

let world: World;
let token: string;
beforeAll(async () => {
  world = await startWorld({ policy });
  token = await world.token();
});
afterAll(() => world.close());
beforeEach(() => {
  world.model.seen.length = 0;
});

/** Each piece a write of its own. */
const stream = (type: string, pieces: readonly string[]): void => {
  world.model.script = async (response) => {
    response.setHeader('content-type', type);
    for (const piece of pieces) {
      response.write(piece);
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    response.end();
  };
};
const plain = { headers: { 'content-type': 'text/plain; charset=utf-8' } };

describe('JSON', () => {
  test('goes under its operation and the model that it names, and its strings are guarded', async () => {
    world.model.script = (response) => {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ id: 'x', piece: text, more: [text] }));
    };
    const answer = await world.post('/v1/stories', { model: 'small', prompt: 'to ana@example.com', user: 'u' });
    expect([answer.status, JSON.parse(answer.text)]).toEqual([200, { id: 'x', piece: masked, more: [masked] }]);
    expect(world.model.seen[0]?.body).not.toContain('ana@');
    expect((await world.record()).find((one) => one['type'] === 'start')).toMatchObject({
      operation: 'Completions',
      model: 'small',
      dialect: 'generic',
      path: '/v1/stories',
    });
    const narrow = await world.token({ sub: 'nina', groups: ['narrow'] });
    const status = async (body: object): Promise<number> =>
      (await world.post('/v1/stories', body, { token: narrow })).status;
    expect(await status({ model: 'small', prompt: 'a' })).toBe(200);
    expect(await status({ model: 'large', prompt: 'a' })).toBe(403);
    expect(await status({ prompt: 'a' })).toBe(400);
  });

  test.each<[string, object, string]>([
    ['a secret in a text', { prompt: secret }, 'guard_blocked'],
    ['a secret in a value', { prompt: 'a', user: secret }, 'guard_blocked'],
    ['a secret for a name', { prompt: 'a', [secret]: 1 }, 'guard_blocked'],
    ['a string that is not listed', { prompt: 'a', note: 'b' }, 'invalid_request'],
  ])('%s goes nowhere', async (_what, body, code) => {
    const { text: said } = await world.post('/v1/stories', { model: 'small', ...body });
    expect(said).toContain(code);
    expect(world.model.seen).toEqual([]);
  });

  test('a body that comes in while the policy is edited is read by what it says then', async () => {
    const body = JSON.stringify({ model: 'small', prompt: 'a', user: 'u' });
    const answer = new Promise<number>((resolve, reject) => {
      const call = request(
        {
          port: world.port,
          ca: world.ca,
          path: '/v1/stories',
          method: 'POST',
          headers: {
            'content-type': 'application/json',
            'content-length': body.length,
            authorization: `Bearer ${token}`,
          },
        },
        (response) => {
          response.resume();
          response.on('end', () => resolve(response.statusCode ?? 0));
        },
      );
      call.on('error', reject);
      call.write(body.slice(0, 20));
      // By then it has been recognised under the old one.
      pause(200)
        .then(() => world.setPolicy(policy(world.issuer.url).replace('values: [$.user], others', 'others')))
        .then(() => call.end(body.slice(20)), reject);
    });
    expect(await answer).toBe(400);
    expect(world.model.seen).toEqual([]);
    await world.setPolicy(policy(world.issuer.url));
  });

  test('a body that is none is refused, however it calls itself', async () => {
    const body = { ...plain, body: 'hello' };
    expect((await world.call('POST', '/v1/stories', body)).status).toBe(415);
    expect((await world.post('/v1/stories', 'hello')).status).toBe(400);
    expect(world.model.seen).toEqual([]);
  });

  test.each([
    ['text/event-stream', (piece: string) => `data: ${JSON.stringify({ id: '7', piece })}\n\n`],
    ['application/x-ndjson', (piece: string) => `${JSON.stringify({ id: '7', piece })}\n`],
  ])('a value that is split over a stream of %s is masked as if it came in one, at every cut', async (type, make) => {
    for (let cut = 4; cut < 26; cut += 1) {
      stream(type, [text.slice(0, cut), text.slice(cut, cut + 3), text.slice(cut + 3)].map(make));
      const answer = await world.post('/v1/stories', { model: 'small', prompt: 'a' });
      const joined = [...answer.text.matchAll(/\{.*\}/g)].map(([one]) => (JSON.parse(one) as { piece: string }).piece);
      expect([cut, joined.join('')]).toEqual([cut, masked]);
    }
  });
});

describe('plain text', () => {
  test('is one text, both ways', async () => {
    stream('text/plain', [text]);
    const answer = await world.call('POST', '/v1/plain', { ...plain, body: 'write "to" ana@example.com\n' });
    expect([answer.status, answer.text]).toEqual([200, masked]);
    expect(world.model.seen[0]?.body).toMatch(/^write "to" [^@]*\n$/);
    const untouched = 'a "quoted" line\r\nand\tmore \u00e9 \u{1f600}';
    await world.call('POST', '/v1/plain', { ...plain, body: untouched });
    expect(world.model.seen[1]?.body).toBe(untouched);
    expect(JSON.stringify(await world.record())).toContain('write ');
    expect((await world.call('POST', '/v1/plain', { ...plain, body: secret })).text).toContain('guard_blocked');
    expect((await world.post('/v1/plain', { a: 1 })).status).toBe(415);
  });

  test('a value that is split over its chunks is masked as if it came in one, at every cut', async () => {
    for (let cut = 4; cut < 26; cut += 1) {
      stream('text/plain; charset=utf-8', [text.slice(0, cut), text.slice(cut, cut + 3), text.slice(cut + 3)]);
      expect([cut, (await world.call('POST', '/v1/plain', { ...plain, body: 'a' })).text]).toEqual([cut, masked]);
    }
  });

  test('chunks leave as they come: the first is there before the last is written', async () => {
    let go: (() => void) | undefined;
    world.model.script = async (response) => {
      response.setHeader('content-type', 'text/plain');
      response.write('the first words are here, ');
      await new Promise<void>((resolve) => (go = resolve));
      response.end('and the last.');
    };
    const heard: string[] = [];
    const answer = world.call('POST', '/v1/plain', { ...plain, body: 'a', onChunk: (piece) => heard.push(piece) });
    await until(() => heard.join('').includes('the first'), 'the first words');
    go?.();
    expect((await answer).text).toBe('the first words are here, and the last.');
  });

  test('what must not go on breaks off, so that nobody takes it for whole', async () => {
    stream('text/plain', ['this is fine, quite fine, and this is toxic', '7 and not.', ' The end.']);
    const answer = await world.call('POST', '/v1/plain', { ...plain, body: 'a' });
    expect(answer.broken).toBe(true);
    expect(answer.text).not.toContain('toxic7');
    expect((await world.record()).at(-1)).toMatchObject({ type: 'end', outcome: 'ended' });
  });

  test('an answer of another type is read as that, or not at all', async () => {
    world.model.script = (response) => {
      response.statusCode = 500;
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ error: text }));
    };
    expect((await world.call('POST', '/v1/plain', { ...plain, body: 'a' })).text).toBe(
      JSON.stringify({ error: masked }),
    );
    stream('text/html', ['<p>hello</p>']);
    expect((await world.call('POST', '/v1/plain', { ...plain, body: 'a' })).text).toContain('response_uninspectable');
  });

  test('text in other letters than UTF-8 is refused', async () => {
    stream('text/plain; charset=utf-16le', [text]);
    const answer = await world.call('POST', '/v1/plain', { ...plain, body: 'a' });
    expect(answer.text).toContain('response_uninspectable');
    expect(answer.text).not.toContain('4111');
  });

  test('is nothing of a route that is not described', async () => {
    stream('text/plain', ['hello']);
    expect((await world.call('POST', '/v1/other', { ...plain, body: 'a' })).status).toBe(403);
    expect(world.model.seen).toEqual([]);
  });
});

describe('a WebSocket', () => {
  let sockets: World;
  let model: SocketModel;
  beforeAll(async () => {
    model = await startSocketModel();
    sockets = await startWorld({ policy, modelUrl: model.url });
  });
  afterAll(async () => {
    await sockets.close();
    await model.close();
  });

  test('is read message by message under its operation, and a message whose texts are its own leaves at once', async () => {
    model.onMessage = (said, socket) =>
      socket.send(JSON.stringify({ say: `${(JSON.parse(said) as { say: string }).say} 4111 1111 1111 1111` }));
    const caller = callSocket(sockets, '/ws/talk', await sockets.token());
    await caller.ready;
    caller.socket.send(JSON.stringify({ say: 'mail ana@example.com, card' }));
    await until(() => caller.heard.length === 1, 'the first answer');
    caller.socket.send(JSON.stringify({ say: 'next' }));
    await until(() => caller.heard.length === 2, 'the second answer');
    expect(model.messages[0]).not.toContain('ana@');
    expect(caller.heard.map((one) => (JSON.parse(one) as { say: string }).say)).toEqual([
      expect.stringMatching(/card \[card\]$/),
      'next [card]',
    ]);
    caller.socket.send(JSON.stringify({ say: secret }));
    await until(() => caller.end !== undefined, 'the end');
    expect(caller.end).toEqual({ code: 1008, reason: 'guard_blocked' });
    const record = await sockets.record();
    expect(record.find((one) => one['type'] === 'start')).toMatchObject({
      operation: 'Chat',
      dialect: 'generic-websocket',
    });
  });

  test('ends with a message that nobody can read where a rule limits what the model writes', async () => {
    const talkers =
      '  - { name: talkers, effect: Allow, subjects: [{ group: talkers }], operations: [Chat],' +
      ' files: { types: [application/octet-stream] }';
    const asks = async (limits: string) => {
      await sockets.setPolicy(policy(sockets.issuer.url).replace('  guards:', `${talkers}${limits} }\n  guards:`));
      const caller = callSocket(sockets, '/ws/talk', await sockets.token({ groups: ['talkers'] }));
      await caller.ready;
      caller.socket.send(Buffer.from([0, 0xfe, 7]));
      return caller;
    };
    model.forget();
    model.onMessage = (_text, socket) => socket.send(JSON.stringify({ say: 'heard' }));
    const free = await asks('');
    await until(() => free.heard.length === 1, 'the answer');
    free.socket.close();
    const limited = await asks(', limits: { maxOutputTokens: 5 }');
    await until(() => limited.end !== undefined, 'the end');
    expect(limited.end?.reason).toBe('max_tokens_exceeded');
    expect(model.messages).toHaveLength(1);
    await sockets.setPolicy(policy(sockets.issuer.url));
  });

  test('of which no policy says anything stays Other', async () => {
    const caller = callSocket(sockets, '/ws/other', await sockets.token());
    await caller.ready;
    expect(caller.refused?.status).toBe(403);
    expect((await sockets.record()).at(-1)).toMatchObject({ code: 'access_denied' });
  });
});

import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { createApprovalDesk } from '../support/approval-desk.ts';
import type { ApprovalDesk } from '../support/approval-desk.ts';
import { callSocket, startSocketModel } from '../support/socket-model.ts';
import type { SocketCaller, SocketModel } from '../support/socket-model.ts';
import { pause, until } from '../support/wait.ts';
import type { World } from '../support/world.ts';
import { basePolicy, startWorld } from '../support/world.ts';

// WebSockets of which no dialect knows anything: their messages are JSON, and each is looked at.

const policy = (issuer: string, more = '', files = ''): string =>
  basePolicy(
    issuer,
    `${files}  guards:
  - { name: no-secrets, direction: Request, match: { detectors: [Secrets] }, action: Block }
  - { name: hide-mail, direction: Request, match: { detectors: [Email] }, action: Mask }
  - { name: project, direction: Request, match: { words: [falcon] }, action: RequireApproval }
  classification:
  - { label: card, detectors: [CreditCard], visibleTo: [{ group: finance }], otherwise: Mask }
  approvals: { approvers: [{ kubernetesGroup: leads }], timeout: 60s }
${more}`,
  ).replace('ListModels]', 'ListModels, Other]');
const secret = 'ghp_aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0dF3hJ6';

let world: World;
let model: SocketModel;
let desk: ApprovalDesk;
let bearer: string;
beforeAll(async () => {
  model = await startSocketModel();
  desk = createApprovalDesk();
  world = await startWorld({ policy: (issuer) => policy(issuer), modelUrl: model.url, approvals: desk.gate });
  bearer = await world.token();
});
afterAll(async () => {
  await world.close();
  await model.close();
});
afterEach(() => model.forget());

async function open(): Promise<SocketCaller> {
  const caller = callSocket(world, '/ws/chat', bearer);
  await caller.ready;
  return caller;
}
const ended = (caller: SocketCaller): Promise<void> =>
  until(
    () => caller.end !== undefined,
    () => `the end; heard ${JSON.stringify(caller.heard)}`,
  );

test('texts are masked both ways, in their place, over the pieces in which the model sends them', async () => {
  model.onMessage = (_text, socket) => {
    for (const piece of ['card 4111 1111', ' 1111 1111', ' it is'])
      socket.send(JSON.stringify({ delta: { text: piece } }));
    socket.close(1000, 'done');
  };
  const caller = await open();
  caller.socket.send('{ "ask": "mail ana@example.com now", "n": 1.50 }');
  await ended(caller);
  expect(caller.end).toEqual({ code: 1000, reason: 'done' });
  expect(model.messages[0]).not.toContain('ana@example.com');
  expect(model.messages[0]).toMatch(/^\{ "ask": "mail .* now", "n": 1\.50 \}$/);
  const joined = caller.heard.map((text) => (JSON.parse(text) as { delta: { text: string } }).delta.text).join('');
  expect(joined).toMatch(/^card \[card\]/);
  expect(joined).not.toMatch(/4111|1111/);
  expect(caller.end).toEqual({ code: 1000, reason: 'done' });
  const record = await world.record();
  expect(record.findLast((one) => one['type'] === 'start')).toMatchObject({
    dialect: 'generic-websocket',
    operation: 'Other',
  });
  expect(JSON.stringify(record)).not.toMatch(/ana@example|4111 1111/);
});

test('who waits for an answer before they ask on gets it, and a value that is cut by silence does not pass', async () => {
  model.onMessage = (text, socket) => socket.send(text.replace('ask', 'answer'));
  const caller = await open();
  for (const part of ['it is 4111 11', '11 1111 1111 and nothing else. ', 'good day']) {
    const before = caller.heard.length;
    caller.socket.send(JSON.stringify({ ask: part }));
    await until(() => caller.heard.length > before, 'the answer, with nothing behind it');
  }
  const joined = caller.heard.map((text) => (JSON.parse(text) as { answer: string }).answer).join('');
  expect(joined).toBe('it is 4111 11[card] and nothing else. good day');
  caller.socket.close();
  await ended(caller);
  const said = (await world.record()).filter(({ type }) => type === 'segment').map((one) => one['text']);
  expect(said.join('')).not.toContain('1111 1111');
  expect(said).toContain('[card] and nothing else. ');
});

test.each([
  ['a secret', JSON.stringify({ deep: [{ er: secret }] }), 'guard_blocked', 1008],
  ['a secret for a name', JSON.stringify({ [secret]: 1 }), 'guard_blocked', 1008],
  ['no JSON', 'hello', 'invalid_json', 1008],
  ['bytes', Buffer.from('{}'), 'file_not_allowed', 1003],
])('%s ends the connection, and the model does not get it', async (_what, message, code, closing) => {
  const caller = await open();
  caller.socket.send(message);
  await ended(caller);
  expect(caller.end).toEqual({ code: closing, reason: code });
  expect(JSON.parse(caller.heard.at(-1) ?? '')).toMatchObject({ error: { code } });
  expect(model.messages).toEqual([]);
});

test.each([2, 3, 7])(
  'a value that is cut over messages, %i characters each, does not reach the model',
  async (size) => {
    const caller = await open();
    const pieces = secret.match(new RegExp(`.{1,${size}}`, 'g')) ?? [];
    for (const piece of pieces) caller.socket.send(JSON.stringify({ kind: 'more', ask: piece }));
    await ended(caller);
    expect(caller.end).toEqual({ code: 1008, reason: 'guard_blocked' });
    await until(() => model.closes.some(({ code }) => code === 1001), 'the end at the model');
    const had = model.messages.map((one) => (JSON.parse(one) as { ask: string }).ask).join('');
    expect(secret.startsWith(had)).toBe(true);
    expect(had.length).toBeLessThan(secret.length);
  },
);

test('what a caller says as they close it goes on from what they said', async () => {
  const caller = await open();
  caller.socket.send(JSON.stringify({ ask: secret.slice(0, 10) }));
  await until(() => model.messages.length === 1, 'the message');
  caller.socket.close(4000, secret.slice(10));
  await until(() => model.closes.length > 0, 'the end at the model');
  expect(model.closes.at(-1)?.code).not.toBe(4000);
});

test('messages before one that is refused go on, those behind it do not, and all of them are on record', async () => {
  const caller = await open();
  const good = Array.from({ length: 40 }, (_, at) => JSON.stringify({ ask: `number ${at}, please` }));
  for (const one of good) caller.socket.send(one);
  caller.socket.send(JSON.stringify({ ask: secret }));
  caller.socket.send(JSON.stringify({ ask: 'and this' }));
  await ended(caller);
  expect(caller.end).toEqual({ code: 1008, reason: 'guard_blocked' });
  // Of this connection: that of the test before may end late.
  await until(() => model.closes.some(({ code }) => code === 1001), 'the end at the model');
  expect(model.messages).toEqual(good);
  const record = JSON.stringify((await world.record()).filter(({ type }) => type === 'texts'));
  for (let at = 0; at < 40; at++) expect(record).toContain(`number ${at}, please`);
  expect(record).not.toContain('and this');
});

test('what the model says that is no JSON, or bytes, ends it', async () => {
  for (const said of ['hello', Buffer.from('{}')]) {
    model.onSocket = (socket) => socket.send(said);
    const caller = await open();
    await ended(caller);
    expect(caller.end).toEqual({ code: 1011, reason: 'response_uninspectable' });
    expect(caller.heard).toHaveLength(1);
  }
});

test('bytes pass as they are where a rule says so', async () => {
  await world.setPolicy(
    policy(world.issuer.url, '', '    files: { types: [application/octet-stream], maxBytes: 8 }\n'),
  );
  model.onMessage = (_text, socket) => socket.send(Buffer.from([1, 2, 0xff]), { binary: true });
  const caller = await open();
  const kinds: boolean[] = [];
  caller.socket.on('message', (_data, isBinary) => kinds.push(isBinary));
  caller.socket.send(Buffer.from([0, 0xfe, 7]));
  await until(() => caller.heard.length === 1, 'the answer');
  expect(kinds).toEqual([true]);
  expect(model.messages).toEqual(['\0\u00fe\u0007']);
  caller.socket.send(Buffer.alloc(9));
  await ended(caller);
  expect(caller.end).toEqual({ code: 1003, reason: 'file_not_allowed' });
  await world.setPolicy(policy(world.issuer.url));
});

test('a message waits for people, those behind it with it, and pings go by meanwhile', async () => {
  const caller = await open();
  caller.socket.send('{"a":"about falcon"}');
  caller.socket.send('{"b":"after it"}');
  await until(() => desk.asks.length === 1, 'the question');
  const pongs: string[] = [];
  caller.socket.on('pong', (data) => pongs.push(data.toString()));
  caller.socket.ping('still here');
  await until(() => pongs.length === 1, 'the pong');
  expect(model.messages).toEqual([]);
  desk.decide('Approve', 0);
  await until(() => model.messages.length === 2, 'both');
  expect(model.messages).toEqual(['{"a":"about falcon"}', '{"b":"after it"}']);
  caller.socket.close();
  await ended(caller);
});

test('the same message again is a question of its own, and not the first one asking again', async () => {
  const asked = desk.asks.length;
  const caller = await open();
  for (const count of [1, 2]) {
    caller.socket.send('{"a":"about falcon once more"}');
    await until(() => desk.asks.length === asked + count, 'the question');
    desk.decide('Approve');
    await until(() => model.messages.length === count, 'the message');
  }
  const [first = '', second] = desk.asks.slice(asked).map(({ session }) => session);
  expect(second).toBe(`${first}-2`);
  caller.socket.close();
  await ended(caller);
});

describe('limits of answers are kept', () => {
  test.each([
    ['maxBytes: 4Ki', 'response_too_large'],
    ['maxDuration: 1s', 'response_timeout'],
  ])('%s', async (limit, code) => {
    await world.setPolicy(policy(world.issuer.url, `  responseLimits: [{ subjects: [{ anyone: true }], ${limit} }]\n`));
    model.onMessage = (_text, socket) => {
      for (let at = 0; at < 10; at++) socket.send(JSON.stringify({ pad: 'x'.repeat(1_000) }));
    };
    const caller = await open();
    if (code === 'response_too_large') caller.socket.send('{}');
    await ended(caller);
    expect(caller.end?.reason).toBe(code);
    await world.setPolicy(policy(world.issuer.url));
  });
});

test('a message is as long as a body may be', async () => {
  await world.setPolicy(policy(world.issuer.url, '  requestLimits: { maxBodyBytes: 1Ki }\n'));
  const caller = await open();
  caller.socket.send(JSON.stringify({ a: 'x'.repeat(1_100) }));
  await ended(caller);
  expect(caller.end?.code).toBe(1009);
  expect(model.messages).toEqual([]);
  await world.setPolicy(policy(world.issuer.url));
});

test('a model that does not take what is sent stops its caller, and nothing of it is lost', async () => {
  const held: (() => void)[] = [];
  model.onSocket = (socket) => {
    const inner = socket as unknown as { pause(): void; resume(): void };
    inner.pause();
    held.push(() => inner.resume());
  };
  const caller = await open();
  const numbers = Array.from({ length: 15_000 }, () => 0.5);
  const count = 250;
  for (let at = 0; at < count; at++) caller.socket.send(JSON.stringify({ at, numbers }));
  await pause(500);
  const buffered = (caller.socket as unknown as { readonly bufferedAmount: number }).bufferedAmount;
  expect(buffered).toBeGreaterThan(numbers.length * 4 * 20);
  held.forEach((goOn) => goOn());
  await until(() => model.messages.length === count, 'all of them');
  expect(model.messages.map((one) => (JSON.parse(one) as { at: number }).at)).toEqual(
    Array.from({ length: count }, (_, at) => at),
  );
  caller.socket.close();
  await ended(caller);
});

test('a server that compresses, or answers with another key, is not spoken to', async () => {
  const compressing = await startSocketModel({ perMessageDeflate: true });
  const other = await startWorld({ policy: (issuer) => policy(issuer), modelUrl: compressing.url });
  const caller = callSocket(other, '/ws/chat', await other.token());
  await caller.ready;
  expect(compressing.handshakes[0]?.headers['sec-websocket-extensions']).toBeUndefined();
  expect(caller.refused).toBeUndefined();
  caller.socket.close();
  await ended(caller);
  await other.close();
  await compressing.close();
});

test('a query that names a model which a hosted endpoint calls otherwise is refused, whether its messages are read or not', async () => {
  const upstream = '  upstream: { hosted: { url: "https://models.test", models: [{ name: support, as: large-2 }] } }\n';
  const policies = [
    policy(world.issuer.url, upstream),
    basePolicy(world.issuer.url, upstream).replace('ListModels]', 'ListModels, Other]'),
  ];
  for (const one of policies) {
    await world.setPolicy(one);
    for (const path of ['/ws/chat?model=support', '/ws/chat?a=1;deployment=supp%6Frt', '/v1/realtime?model=support']) {
      const caller = callSocket(world, path, bearer);
      await until(() => caller.refused !== undefined, 'the refusal');
      expect(JSON.parse(caller.refused?.body ?? '')).toMatchObject({ error: { code: 'upstream_unsupported' } });
    }
    expect(model.handshakes).toEqual([]);
    const other = callSocket(world, '/ws/chat?model=other&user=support', bearer);
    await other.ready;
    expect(model.handshakes.map((shake) => shake.path)).toEqual(['/ws/chat?model=other&user=support']);
    other.socket.close();
    await ended(other);
    model.forget();
  }
  await world.setPolicy(policy(world.issuer.url));
});

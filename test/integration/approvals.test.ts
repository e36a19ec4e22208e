import { afterEach, describe, expect, test } from '@jest/globals';
import OpenAI from 'openai';
import { createApprovalDesk } from '../support/approval-desk.ts';
import type { ApprovalDesk } from '../support/approval-desk.ts';
import { answerChat, chatAnswer, streamChat } from '../support/scripted-model.ts';
import { trustingFetch } from '../support/trusting-fetch.ts';
import { pause, until } from '../support/wait.ts';
import { basePolicy, joinContent, startWorld, withoutChance } from '../support/world.ts';
import type { Answer, World } from '../support/world.ts';

// Requests and answers that wait for people: nothing of them goes on without an approval that was spent for exactly them.

let world: World;
let desk: ApprovalDesk;
afterEach(() => world.close());

const guard = `
  guards:
  - { name: project, direction: Request, match: { words: [falcon] }, action: RequireApproval }
  - { name: never, direction: Request, match: { words: [forbidden] }, action: Block }
  approvals: { approvers: [{ kubernetesGroup: leads }], timeout: TIMEOUT }
`;
const policy =
  (timeout = '60s', more = guard) =>
  (issuer: string): string =>
    basePolicy(issuer, more.replace('TIMEOUT', timeout));

async function start(options: { readonly timeout?: string; readonly more?: string } = {}): Promise<void> {
  desk = createApprovalDesk();
  world = await startWorld({ policy: policy(options.timeout, options.more), approvals: desk.gate });
  world.model.script = answerChat('fine');
}

const chat = (content: string, more: Record<string, unknown> = {}): Record<string, unknown> => ({
  model: 'llama-3-8b',
  messages: [{ role: 'user', content }],
  ...more,
});
const risky = chat('what is falcon');
const ask = (body: Record<string, unknown> = risky, options: Parameters<World['post']>[2] = {}): Promise<Answer> =>
  world.post('/v1/chat/completions', body, options);
const waits = (count = 1): Promise<void> => until(() => desk.cases.length === count);
const phases = (): unknown[] =>
  world
    .recordSoFar()
    .filter((event) => event['type'] === 'approval')
    .map((event) => event['phase']);
const codeOf = (answer: Answer): unknown => (JSON.parse(answer.text) as { error: { code: string } }).error.code;

describe('a request that a guard holds', () => {
  test('waits, and goes on byte for byte when it was approved; all of it is in the record', async () => {
    await start();
    const answer = ask();
    await waits();
    await pause(50);
    expect(world.model.seen).toEqual([]);
    expect(await world.metrics()).toMatch(/^sidegate_approvals_waiting 1$/m);
    desk.decide('Approve');
    const { status, text, headers } = await answer;
    expect(await world.metrics()).toMatch(/^sidegate_approvals_waiting 0$/m);
    expect([status, text]).toEqual([200, chatAnswer('fine')]);
    expect(headers['sidegate-receipt']).toContain('test/project=held,test/project=approved');
    expect(world.model.seen.map((one) => one.body)).toEqual([JSON.stringify(risky)]);
    expect(desk.cases[0]).toMatchObject({ phase: 'Used', waiters: 0 });
    await until(() => world.recordSoFar().at(-1)?.['type'] === 'end');
    expect((await world.record()).map((event) => event['type'])).toEqual([
      'process',
      'start',
      'approval',
      'approval',
      'approval',
      'segment',
      'end',
    ]);
    expect(phases()).toEqual(['Pending', 'Approved', 'Used']);
    expect((await world.record()).find((event) => event['phase'] === 'Approved')).toMatchObject({
      name: 'approval-1',
      rules: ['test/project'],
      decisions: [{ by: 'user:lead', decision: 'Approve' }],
    });
  });

  test('is not carried out a second time where the model breaks off after it has read it', async () => {
    await start();
    // A connection that was used before.
    expect((await ask(chat('hi'))).status).toBe(200);
    world.model.script = (response) => void setTimeout(() => response.socket?.destroy(), 50);
    const answer = ask();
    await waits();
    desk.decide('Approve');
    const { status, text } = await answer;
    expect([status, (JSON.parse(text) as { error: { code: string } }).error.code]).toEqual([502, 'upstream_protocol']);
    await pause(100);
    expect(world.model.seen.filter((one) => one.body === JSON.stringify(risky))).toHaveLength(1);
    expect(phases()).toEqual(['Pending', 'Approved', 'Used']);
  });

  test('is bound to caller, body, model and policy, and says what it is about, masked', async () => {
    await start({ more: `${guard}\n  classification:\n  - { label: secret, detectors: [Email], otherwise: Mask }\n` });
    const answer = ask(chat('falcon for ana@example.com'));
    await waits();
    const asked = desk.cases[0]!.ask;
    expect(asked).toMatchObject({
      direction: 'Request',
      rules: ['test/project'],
      requester: { issuer: world.issuer.url, subject: 'ana', provider: 'ml/test/corp' },
      operation: 'Chat',
      model: 'llama-3-8b',
      digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
      snapshot: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect(asked.excerpt).toBe('messages[0].content: falcon for [secret]\n');
    desk.decide('Approve');
    expect((await answer).status).toBe(200);
  });

  test.each([
    ['Deny', 403, 'approval_denied'],
    ['Expire', 403, 'approval_expired'],
  ] as const)('%s: the model saw nothing, and no client tries again', async (decision, status, code) => {
    await start();
    const answer = ask();
    await waits();
    desk.decide(decision);
    const refused = await answer;
    expect([refused.status, codeOf(refused), refused.headers['x-should-retry']]).toEqual([status, code, 'false']);
    expect(world.model.seen).toEqual([]);
    expect(desk.cases[0]?.waiters).toBe(0);
  });

  test('nobody decides in time: denied by the sidecar’s own clock', async () => {
    await start({ timeout: '1s' });
    const refused = await ask();
    expect([refused.status, codeOf(refused)]).toEqual([403, 'approval_expired']);
    expect(world.model.seen).toEqual([]);
    desk.decide('Approve'); // too late
    await pause(50);
    expect(world.model.seen).toEqual([]);
  });

  test('a blocked request is not held at all', async () => {
    await start();
    const refused = await ask(chat('falcon and forbidden'));
    expect([refused.status, codeOf(refused)]).toEqual([403, 'guard_blocked']);
    expect(desk.cases).toEqual([]);
  });

  test('whoever proved nothing, and a policy without approvers, has nobody to ask', async () => {
    await start({ more: guard.replace(/approvals:.*/, '') });
    expect(codeOf(await ask())).toBe('approval_unavailable');
    expect(desk.asks).toEqual([]);
    expect(world.model.seen).toEqual([]);
  });

  test('an identical one joins; one approval lets one through', async () => {
    await start();
    const [first, second] = [ask(), ask()];
    await until(() => desk.asks.length === 2);
    expect(desk.cases).toHaveLength(1);
    desk.decide('Approve');
    const answers = await Promise.all([first, second]);
    expect(answers.map((one) => one.status).sort()).toEqual([200, 403]);
    expect(codeOf(answers.find((one) => one.status === 403)!)).toBe('approval_used');
    expect(world.model.seen).toHaveLength(1);
  });

  test.each([
    ['one byte of the body', () => ask(chat('what is falcon?'))],
    ['the model', () => ask({ ...risky, model: 'llama-3-9b' })],
    ['white space', () => world.post('/v1/chat/completions', JSON.stringify(risky, undefined, 1))],
    ['the query', () => world.post('/v1/chat/completions?api-version=1', risky)],
    ['the caller', async () => ask(risky, { token: await world.token({ sub: 'bob' }) })],
  ])('%s changed: asked anew', async (_, other) => {
    await start();
    const first = ask();
    await waits();
    const second = other();
    await waits(2);
    desk.decide('Approve', 0);
    expect((await first).status).toBe(200);
    expect(world.model.seen).toHaveLength(1);
    desk.decide('Deny', 1);
    expect(codeOf(await second)).toBe('approval_denied');
  });

  test('the caller hangs up: nobody waits for it any more, and an approval afterwards moves nothing', async () => {
    await start();
    const gone = new AbortController();
    const answer = ask(risky, { signal: gone.signal }).catch(() => 'gone');
    await waits();
    gone.abort();
    expect(await answer).toBe('gone');
    await until(() => desk.cases[0]?.waiters === 0);
    desk.decide('Approve');
    await pause(50);
    expect(world.model.seen).toEqual([]);
    await until(() => world.recordSoFar().at(-1)?.['outcome'] === 'aborted');
  });

  test('the policy changes meanwhile, in whatever: asked anew', async () => {
    await start();
    const answer = ask();
    await waits();
    await world.setPolicy(policy('61s')(world.issuer.url));
    const refused = await answer;
    expect([refused.status, codeOf(refused)]).toEqual([403, 'policy_changed']);
    expect(desk.cases[0]?.waiters).toBe(0);
    desk.decide('Approve');
    expect(world.model.seen).toEqual([]);
  });

  test('another’s hanging up cancelled it: asked again, and no more than a few times', async () => {
    await start();
    const answer = ask();
    await waits();
    desk.decide('Cancel');
    await waits(2);
    desk.decide('Approve');
    expect((await answer).status).toBe(200);
    const second = ask(chat('falcon again'));
    for (const count of [3, 4, 5]) {
      await waits(count);
      desk.decide('Cancel');
    }
    expect(codeOf(await second)).toBe('approval_unavailable');
  });

  test('the sidecar stops: whoever waits is told to come again, and the model sees nothing', async () => {
    await start();
    const answer = ask();
    await waits();
    await world.sidecar.drain(200);
    const refused = await answer;
    expect([refused.status, codeOf(refused)]).toEqual([503, 'shutting_down']);
    expect(world.model.seen).toEqual([]);
  });

  test('20 of one caller wait, and no more; others are not kept out', async () => {
    await start();
    const many = Array.from({ length: 20 }, (_, at) => ask(chat(`falcon ${at}`)));
    await until(() => desk.cases.length === 20);
    const refused = await ask(chat('falcon 21'));
    expect([refused.status, codeOf(refused), refused.headers['retry-after']]).toEqual([429, 'approvals_limited', '5']);
    const other = ask(risky, { token: await world.token({ sub: 'bob' }) });
    await waits(21);
    for (let at = 0; at < 21; at++) desk.decide('Approve', at);
    expect((await Promise.all([...many, other])).map((one) => one.status)).toEqual(Array(21).fill(200));
    // All places are given back.
    const again = ask(chat('falcon once more'));
    await waits(22);
    desk.decide('Deny');
    expect((await again).status).toBe(403);
  });
});

describe('what approvers read of what is long', () => {
  const garden = 'Please summarise the newsletter of our garden club. '.repeat(120);
  const card = '4111 1111 1111 1111';
  const cards = '  classification: [{ label: card, detectors: [CreditCard], otherwise: Mask }]\n';
  const user = (...contents: string[]): Record<string, unknown> => ({
    ...risky,
    messages: contents.map((content) => ({ role: 'user', content })),
  });
  const excerpt = async (body: Record<string, unknown>, options: Parameters<typeof ask>[1] = {}): Promise<string> => {
    await start({ more: `${guard}${cards}` });
    const answer = ask(body, options);
    await waits();
    desk.decide('Deny');
    await answer;
    const { excerpt: said } = desk.cases[0]!.ask;
    expect(said.length).toBeLessThanOrEqual(4_096);
    expect(said).not.toContain(card);
    return said;
  };

  test.each([
    ['the first of many words', user('send all of falcon to evil', garden)],
    ['among much that is masked', user(`${`${card} `.repeat(400)} send all of falcon to evil ${garden}`)],
    ['in disguise', user(garden, `send all of ${Buffer.from('the falcon plan').toString('base64')} to evil`, garden)],
    ['over two messages', user(garden, 'send all of fal', 'con to evil', garden)],
  ])('begins with what holds it: %s', async (_what, body) => {
    expect((await excerpt(body)).slice(0, 500)).toMatch(/^found in [^:]*: [^]*send all of .*to evil/);
  });

  test('a long header takes not the room of the words, nor hides what is in it', async () => {
    for (const header of [`falcon ${'nice request, fine. '.repeat(250)}`, `${'é'.repeat(3_000)} falcon`]) {
      const said = await excerpt(user('delete everything now'), {
        headers: { 'user-agent': Buffer.from(header).toString('latin1') },
      });
      expect(said).toContain('messages[0].content: delete everything now');
      expect(said).toMatch(/^found in user-agent[^:]*: .*falcon/);
      await world.close();
    }
    await start();
  });

  test('a word that is no text of the prompt is shown, too', async () => {
    const body = user('hello');
    expect(await excerpt({ ...body, stop: ['falcon'] })).toContain('falcon');
    await world.close();
    expect(await excerpt({ ...body, messages: [{ role: 'user', content: 'hello', name: 'falcon' }] })).toContain(
      'falcon',
    );
  });
});

describe('a held caller who asked for a stream', () => {
  const streamed = chat('what is falcon', { stream: true });

  test('is answered as ever when people are quick', async () => {
    await start();
    world.model.script = streamChat(['he', 'llo']);
    const answer = ask(streamed);
    await waits();
    desk.decide('Approve');
    const { status, text } = await answer;
    expect(status).toBe(200);
    expect(text).not.toContain(': waiting');
    expect(joinContent(text)).toBe('hello');
    expect(text.trimEnd().endsWith('data: [DONE]')).toBe(true);
  });

  test('gets a plain status within the silence', async () => {
    await start();
    const answer = ask(streamed);
    await waits();
    desk.decide('Deny');
    expect((await answer).status).toBe(403);
  });

  test('after five seconds the stream begins with comments; then the answer, or an event with the same code', async () => {
    await start();
    world.model.script = streamChat(['he', 'llo']);
    let heard = '';
    const [good, bad, odd] = [
      ask(streamed, { onChunk: (text) => (heard += text) }),
      ask(chat('falcon, no', { stream: true })),
      ask(chat('falcon, odd', { stream: true })),
    ];
    await waits(3);
    const order = desk.cases.map((one) => one.ask.excerpt);
    await until(() => heard.includes(': waiting for approval'));
    expect(world.model.seen).toEqual([]);
    desk.decide(
      'Approve',
      order.findIndex((text) => text.includes('what is')),
    );
    const approved = await good;
    expect([approved.status, joinContent(approved.text)]).toEqual([200, 'hello']);
    expect(approved.headers['content-type']).toContain('text/event-stream');
    expect(approved.headers['sidegate-receipt']).toContain('generation=');
    await pause(500);
    desk.decide(
      'Deny',
      order.findIndex((text) => text.includes(', no')),
    );
    const denied = await bad;
    expect(denied.status).toBe(200);
    expect(denied.text).toContain('"code":"approval_denied"');
    expect(denied.text).not.toContain('[DONE]');
    // The model refuses in plain JSON: the caller hears it as an event.
    world.model.script = (response) => {
      response.statusCode = 400;
      response.setHeader('content-type', 'application/json');
      response.end('{"error":{"message":"too\\nlong","type":"invalid_request_error","param":null,"code":null}}');
    };
    desk.decide(
      'Approve',
      order.findIndex((text) => text.includes(', odd')),
    );
    const refused = await odd;
    expect(refused.status).toBe(200);
    expect(refused.text.split('\n\n').at(-2)).toBe(
      'data: {"error":{"message":"too\\nlong","type":"invalid_request_error","param":null,"code":null}}',
    );
  });
});

describe('Prefer: respond-async', () => {
  test('a 202 with a place to ask, and the same request passes once it is approved', async () => {
    await start();
    const options = { headers: { prefer: 'respond-async' } };
    const first = await ask(risky, options);
    expect(first.status).toBe(202);
    expect(codeOf(first)).toBe('approval_pending');
    const place = String(first.headers['location']);
    expect([place, first.headers['retry-after'], first.headers['preference-applied']]).toEqual([
      '/.sidegate/approvals/approval-1',
      '5',
      'respond-async',
    ]);
    expect(desk.cases[0]).toMatchObject({ waiters: 0, kept: true });
    expect((await world.call('GET', place)).status).toBe(202);
    // Nobody else may know.
    const other = await world.call('GET', place, { token: await world.token({ sub: 'bob' }) });
    expect([other.status, codeOf(other)]).toEqual([404, 'approval_unknown']);
    expect((await world.call('GET', place, { token: null })).status).toBe(401);
    expect((await ask(risky, options)).status).toBe(202); // sent again: the same
    expect(desk.cases).toHaveLength(1);
    desk.decide('Approve');
    const told = await world.call('GET', place);
    expect([told.status, JSON.parse(told.text)]).toEqual([
      200,
      { id: 'approval-1', status: 'approved', expires_in: 60 },
    ]);
    expect(world.model.seen).toEqual([]);
    const answer = await ask(risky, options);
    expect([answer.status, answer.text]).toEqual([200, chatAnswer('fine')]);
    expect(world.model.seen).toHaveLength(1);
    expect(codeOf(await world.call('GET', place))).toBe('approval_used');
  });
});

describe('what a guard finds by detectors', () => {
  const secret = 'ghp_aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0dF3hJ6';
  const card = '4111 1111 1111 1111';
  const more = `
  guards: [{ name: risky, direction: Request, match: { detectors: [Secrets, CreditCard] }, action: RequireApproval }]
  approvals: { approvers: [{ kubernetesGroup: leads }], timeout: TIMEOUT }
`;

  test('is told to no approver and is in no record, in a text or in the model’s name', async () => {
    await start({ more });
    const answer = ask(chat(`my key is ${secret}, my card ${card}`, { model: card }));
    await waits();
    const [one] = desk.asks;
    expect(one?.excerpt).toContain('my key is [risky], my card [risky]');
    expect(one?.model).toBe('[risky]');
    expect(withoutChance(JSON.stringify(desk.asks))).not.toMatch(/ghp_|4111/);
    desk.decide('Deny');
    expect((await answer).status).toBe(403);
    await until(() => world.recordSoFar().at(-1)?.['type'] === 'end');
    expect(withoutChance(JSON.stringify(await world.record()))).not.toMatch(/ghp_|4111/);
  });

  test.each<[string, Record<string, unknown>]>([
    [
      'two messages',
      {
        messages: [
          { role: 'user', content: 'my card is 4111 1111' },
          { role: 'user', content: '1111 1111 thanks' },
        ],
      },
    ],
    [
      'two parts of one',
      {
        messages: [
          {
            role: 'user',
            content: [
              { type: 'text', text: 'my card is 4111 1111 ' },
              { type: 'text', text: '1111 1111 thanks' },
            ],
          },
        ],
      },
    ],
  ])('is told to nobody by halves, of %s', async (_what, body) => {
    await start({ more });
    const answer = ask({ model: 'llama-3-8b', ...body });
    await waits();
    const excerpt = desk.asks[0]?.excerpt ?? '';
    expect(excerpt).toMatch(/texts that are read as one: my card is \[risky\] +thanks|my card is \[risky\] thanks/);
    expect(excerpt).not.toMatch(/4111|1111/);
    desk.decide('Approve');
    expect((await answer).status).toBe(200);
    // The model gets what was asked.
    expect(world.model.seen[0]?.body).toContain('1111 1111 thanks');
    await until(() => world.recordSoFar().at(-1)?.['type'] === 'end');
    expect(JSON.stringify(await world.record())).not.toMatch(/4111 1111|1111 1111/);
  });

  test('another model whose name reads the same is another question', async () => {
    await start({ more });
    const answers = [card, '4012 8888 8888 1881'].map((model) => ask(chat('the same', { model })));
    await waits(2);
    expect(new Set(desk.asks.map(({ model }) => model))).toEqual(new Set(['[risky]']));
    desk.decide('Deny', 0);
    desk.decide('Deny', 1);
    await Promise.all(answers);
  });
});

test.each([
  ['openai-beta', true],
  ['anthropic-beta', true],
  ['openai-organization', true],
  ['openai-project', true],
  ['idempotency-key', false],
  ['x-request-id', false],
  ['user-agent', false],
])('the same request with another %s is another question: %p', async (name, another) => {
  await start();
  const headers = (value: string): object => ({ headers: { prefer: 'respond-async', [name]: value } });
  await ask(risky, headers('one'));
  await ask(risky, headers('two'));
  expect(desk.cases).toHaveLength(another ? 2 : 1);
});

describe('a request that is held for its size', () => {
  const more = `
  guards: [{ name: long, direction: Request, match: { minBytes: 2Ki }, action: RequireApproval }]
  approvals: { approvers: [{ kubernetesGroup: leads }], timeout: 60s }
`;

  test('waits, with an excerpt of what it says, and passes when somebody approves; a shorter one does not', async () => {
    await start({ more });
    expect((await ask(chat('short'))).status).toBe(200);
    const answer = ask(chat(`summarise this: ${'word '.repeat(500)}`));
    await waits();
    expect(world.model.seen).toHaveLength(1);
    expect(desk.cases[0]?.ask).toMatchObject({ rules: ['test/long'], excerpt: expect.stringContaining('summarise') });
    desk.decide('Approve');
    expect((await answer).status).toBe(200);
    expect(world.model.seen).toHaveLength(2);
  });
});

describe('a request that a classification holds', () => {
  const more = `
  classification:
  - { label: confidential, detectors: [Email], words: [falcon], fields: ["**.ssn"], visibleTo: [{ group: security }], otherwise: Mask, inRequests: RequireApproval }
  - { label: card, detectors: [CreditCard], otherwise: Mask }
  approvals: { approvers: [{ kubernetesGroup: leads }], timeout: 60s }
`;
  const labelled = chat('write to ana@example.com');

  test('waits by the name of its label, and goes on byte for byte when it was approved', async () => {
    await start({ more });
    const answer = ask(labelled);
    await waits();
    expect(desk.cases[0]?.ask).toMatchObject({ direction: 'Request', rules: ['test/confidential'] });
    expect(desk.cases[0]?.ask.excerpt).toBe('messages[0].content: write to [confidential]\n');
    await pause(50);
    expect(world.model.seen).toEqual([]);
    desk.decide('Approve');
    const { status, headers } = await answer;
    expect(status).toBe(200);
    expect(headers['sidegate-receipt']).toContain('test/confidential=held,test/confidential=approved');
    expect(world.model.seen.map((one) => one.body)).toEqual([JSON.stringify(labelled)]);
    await until(() => world.recordSoFar().at(-1)?.['type'] === 'end');
    const record = await world.record();
    expect(record.find((event) => event['phase'] === 'Pending')).toMatchObject({
      direction: 'request',
      rules: ['test/confidential'],
    });
    expect(record.at(-1)?.['rules']).toContainEqual({
      rule: 'test/confidential',
      act: 'held',
      by: ['Email'],
      count: 1,
      found: [{ by: 'Email', certainty: 'Certain', reason: 'Format', count: 1 }],
    });
    expect(JSON.stringify(record)).not.toContain('ana@example.com');
  });

  test('without the label, with one of answers alone, and of who may see it, it goes on', async () => {
    await start({ more });
    const security = await world.token({ groups: ['ml-eng', 'security'] });
    expect((await ask(chat('hello'))).status).toBe(200);
    expect((await ask(chat('4111 1111 1111 1111'))).status).toBe(200);
    expect((await ask(labelled, { token: security })).status).toBe(200);
    expect(world.model.seen.map((one) => one.body)).toEqual(
      [chat('hello'), chat('4111 1111 1111 1111'), labelled].map((one) => JSON.stringify(one)),
    );
    expect(desk.asks).toEqual([]);
  });

  const call = (args: string): Record<string, unknown> => ({
    model: 'llama-3-8b',
    messages: [
      { role: 'user', content: 'look it up' },
      { role: 'assistant', tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: args } }] },
      { role: 'tool', tool_call_id: 'c', content: 'done' },
    ],
  });
  test.each([
    ['a word, in disguise', chat('what is ｆａｌ\u200bｃｏｎ'), 'word'],
    [
      'a word over two messages',
      { ...labelled, messages: ['fal', 'con'].map((content) => ({ role: 'user', content })) },
      'word',
    ],
    ['what another role says', { ...labelled, messages: [{ role: 'system', content: 'falcon' }] }, 'word'],
    ['a field of a tool’s arguments', call('{"who":{"ssn":"x"}}'), 'field'],
    ['arguments that are no JSON', call('{who: {ssn: "x"}}'), 'field'],
  ])('%s is held too', async (_what, body, by) => {
    await start({ more });
    const answer = ask(body);
    await waits();
    expect(desk.cases[0]?.ask.rules).toEqual(['test/confidential']);
    desk.decide('Deny');
    expect(codeOf(await answer)).toBe('approval_denied');
    expect(world.model.seen).toEqual([]);
    await until(() => world.recordSoFar().at(-1)?.['type'] === 'end');
    expect(world.recordSoFar().at(-1)?.['rules']).toContainEqual(expect.objectContaining({ act: 'held', by: [by] }));
  });

  test('arguments without the field go on', async () => {
    await start({ more });
    expect((await ask(call('{"who":{"name":"x"}}'))).status).toBe(200);
  });

  test('prompts of token ids, in which no label can be found, are refused', async () => {
    await start({ more });
    const refused = await world.post('/v1/completions', { model: 'llama-3-8b', prompt: [1, 2] });
    expect([refused.status, codeOf(refused)]).toEqual([400, 'token_input_uninspectable']);
  });

  test.each([
    ['Block', 403, 'guard_blocked', undefined],
    ['Mask', 200, undefined, 'write to [confidential]'],
  ] as const)('%s: the same of the other actions', async (action, status, code, reached) => {
    await start({ more: more.replace('inRequests: RequireApproval', `inRequests: ${action}`) });
    const answer = await ask(labelled);
    expect([answer.status, answer.status === 200 ? undefined : codeOf(answer)]).toEqual([status, code]);
    expect(world.model.seen.map((one) => one.body)).toEqual(
      reached === undefined ? [] : [JSON.stringify(chat(reached))],
    );
    expect(desk.asks).toEqual([]);
  });

  test('of a policy that observes it is recorded, and nothing waits', async () => {
    await start({ more });
    const held = policy('60s', more)(world.issuer.url);
    await world.setPolicy(held.replace('mode: Enforce', 'mode: Observe'));
    expect((await ask(labelled)).status).toBe(200);
    await until(() => world.recordSoFar().at(-1)?.['type'] === 'end');
    expect(world.recordSoFar().at(-1)?.['observed']).toContainEqual(
      expect.objectContaining({ rule: 'test/confidential', act: 'held' }),
    );
    expect(desk.asks).toEqual([]);
  });
});

describe('an answer that a classification holds', () => {
  const more = `
  classification:
  - { label: secret, detectors: [Email], visibleTo: [{ group: security }], otherwise: RequireApproval }
  - { label: card, detectors: [CreditCard], otherwise: Mask }
  approvals: { approvers: [{ kubernetesGroup: leads }], timeout: 60s }
`;
  const text = 'write to ana@example.com with 4111 1111 1111 1111';
  const plain = chat('hello');

  test.each([false, true])(
    'stream %s: waits whole, leaves as it is when approved, other masks kept',
    async (stream) => {
      await start({ more });
      world.model.script = stream ? streamChat(text.split(/(?<=[^a-z])/)) : answerChat(text);
      let heard = '';
      const answer = ask({ ...plain, stream }, { onChunk: (piece) => (heard += piece) });
      await waits();
      expect(desk.cases[0]?.ask).toMatchObject({ direction: 'Response', rules: ['test/secret'] });
      expect(desk.cases[0]?.ask.excerpt).toBe('write to [secret] with [card]');
      await pause(50);
      expect(heard).toBe('');
      desk.decide('Approve');
      const { status, text: got } = await answer;
      expect(status).toBe(200);
      const said = stream
        ? joinContent(got)
        : (JSON.parse(got) as { choices: { message: { content: string } }[] }).choices[0]?.message.content;
      expect(said).toBe('write to ana@example.com with [card]');
      expect(JSON.stringify(await world.record())).not.toContain('ana@example.com');
    },
  );

  test.each([false, true])('stream %s: denied, nothing of it leaves', async (stream) => {
    await start({ more });
    world.model.script = stream ? streamChat([text]) : answerChat(text);
    const answer = ask({ ...plain, stream });
    await waits();
    desk.decide('Deny');
    const refused = await answer;
    expect([refused.status, codeOf(refused)]).toEqual([403, 'approval_denied']);
    expect(refused.text).not.toContain('write to');
  });

  test('its excerpt is cut to a text, also within an emoji', async () => {
    await start({ more });
    const long = `${'a'.repeat(4_095)}\u{1f600} ana@example.com`;
    world.model.script = answerChat(long);
    const answer = ask(plain);
    await waits();
    const { excerpt } = desk.cases[0]!.ask;
    expect([excerpt.length <= 4_096, excerpt.isWellFormed()]).toEqual([true, true]);
    expect(excerpt).toMatch(/^found in choices\[0\][^:]*: …a+\u{1f600} \[secret\]\nof 4106 characters:\na+/u);
    desk.decide('Deny');
    expect((await answer).status).toBe(403);
  });

  test('its excerpt has no digests of keys, which could be tried', async () => {
    await start({ more });
    world.model.script = answerChat('Our garden club meets on Sunday. '.repeat(200), {
      'ana smith': { 'the plan': 'lay off 400 people; write to ana@example.com' },
    });
    const answer = ask(plain);
    await waits();
    const { excerpt } = desk.cases[0]!.ask;
    desk.decide('Deny');
    expect((await answer).text).toContain('approval_denied');
    expect(excerpt).toMatch(/^found in choices\[0\]\.\{\d\}\.\{\d\}: lay off 400 people; write to \[secret\]/);
    expect(excerpt).toMatch(/\{\d\} "ana smith"/);
    expect(excerpt).not.toMatch(/\{?[0-9a-f]{16}\}?/);
  });

  test.each([false, true])('stream %s: its excerpt begins with what holds it, wherever that stands', async (stream) => {
    await start({ more });
    const garden = 'Our garden club meets on Sunday. '.repeat(150);
    const long = `${'4111 1111 1111 1111 '.repeat(200)}${garden}lay off 400 people; write to ana@example.com. ${garden}`;
    world.model.script = stream ? streamChat(long.match(/[^]{1,40}/g) ?? []) : answerChat(long);
    const answer = ask({ ...plain, stream });
    await waits();
    const { excerpt } = desk.cases[0]!.ask;
    desk.decide('Deny');
    expect((await answer).text).toContain('approval_denied');
    expect(excerpt.slice(0, 500)).toMatch(/^found in choices\[0\][^:]*: .*lay off 400 people; write to \[secret\]/);
    expect(excerpt.length).toBeLessThanOrEqual(4_096);
    expect(excerpt).not.toMatch(/ana@|4111/);
  });

  test('nothing found, or a caller who may see it: nobody is asked', async () => {
    await start({ more });
    world.model.script = streamChat(['all ', 'well']);
    const clean = await ask({ ...plain, stream: true });
    expect([clean.status, joinContent(clean.text)]).toEqual([200, 'all well']);
    world.model.script = answerChat(text);
    const seen = await ask(plain, { token: await world.token({ groups: ['ml-eng', 'security'] }) });
    expect(seen.text).toContain('ana@example.com');
    expect(desk.cases).toEqual([]);
  });

  test('without approvers it is stopped, as before', async () => {
    await start({ more: more.replace(/approvals:.*/, '') });
    world.model.script = answerChat(text);
    const refused = await ask(plain);
    expect([refused.status, codeOf(refused)]).toEqual([403, 'approval_unavailable']);
  });

  test('the caller hangs up while it waits, and the policy changes: it is gone', async () => {
    await start({ more });
    world.model.script = answerChat(text);
    const gone = new AbortController();
    const left = ask(plain, { signal: gone.signal }).catch(() => 'gone');
    await waits();
    gone.abort();
    await left;
    await until(() => desk.cases[0]?.waiters === 0);
    const answer = ask(plain);
    await until(() => desk.asks.length === 2);
    await world.setPolicy(policy('61s', more.replace('60s', '61s'))(world.issuer.url));
    expect(codeOf(await answer)).toBe('policy_changed');
    await until(async () => /^sidegate_requests_live 0$/m.test(await world.metrics()), 'no request is live');
  });
});

describe('the official client', () => {
  test('tries again after its own timeout and makes no second approval; a denial ends its tries', async () => {
    await start();
    const client = new OpenAI({
      baseURL: `${world.url}/v1`,
      apiKey: await world.token(),
      timeout: 1_500,
      maxRetries: 10,
      fetch: trustingFetch(world.ca),
    });
    const body = { model: 'llama-3-8b', messages: [{ role: 'user' as const, content: 'what is falcon' }] };
    const answer = client.chat.completions.create(body);
    await until(() => desk.asks.length >= 3);
    expect(desk.cases).toHaveLength(1);
    desk.decide('Approve');
    expect((await answer).choices[0]?.message.content).toBe('fine');
    expect(world.model.seen).toHaveLength(1);

    const before = desk.asks.length;
    const denied = client.chat.completions.create(body, { timeout: 60_000 });
    await until(() => desk.cases.length === 2);
    desk.decide('Deny');
    await expect(denied).rejects.toMatchObject({ status: 403, code: 'approval_denied' });
    expect(desk.asks.length).toBe(before + 1);
  });
});

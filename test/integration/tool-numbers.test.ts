import type { ServerResponse } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { World } from '../support/world.ts';
import { basePolicy, startWorld } from '../support/world.ts';

// What a model calls a tool with may be JSON and no text of JSON: a number there is looked at as its digits are, on each API.

const policy =
  (otherwise: string) =>
  (issuer: string): string =>
    basePolicy(
      issuer,
      `  classification:
  - { label: confidential, detectors: [CreditCard], visibleTo: [], otherwise: ${otherwise} }
  - { label: named, fields: ["**.pins[*]", "$.customer.account_number", "**.ssn"], visibleTo: [{ group: compliance }], otherwise: ${otherwise} }
`,
    );
let world: World;
beforeAll(async () => {
  world = await startWorld({ policy: policy('Mask') });
});
afterAll(() => world.close());

type Script = (answer: ServerResponse) => void;
const answers =
  (body: object): Script =>
  (answer) => {
    answer.setHeader('content-type', 'application/json');
    answer.end(JSON.stringify(body));
  };
const streams =
  (parts: readonly string[], type = 'text/event-stream'): Script =>
  (answer) => {
    answer.setHeader('content-type', type);
    for (const part of parts) answer.write(part);
    answer.end();
  };
const event = (type: string, body: object): string => `event: ${type}\ndata: ${JSON.stringify({ type, ...body })}\n\n`;
const data = (body: object): string => `data: ${JSON.stringify(body)}\n\n`;

const card = 4111111111111111;
const hi = [{ role: 'user', content: 'hi' }];
const chat = { model: 'm', messages: hi };
const calls = (args: unknown): object => ({
  tool_calls: [{ index: 0, id: 'c', type: 'function', function: { name: 'pay', arguments: args } }],
});
const choice = (more: object): object => ({ index: 0, finish_reason: 'tool_calls', ...more });
const completion = { id: 'c', object: 'chat.completion', created: 1, model: 'm' };
const claude = (content: object[], stop_reason: string | null = 'tool_use'): object => ({
  ...{ id: 'msg_1', type: 'message', role: 'assistant', model: 'm', content, stop_reason, stop_sequence: null },
  usage: { input_tokens: 1, output_tokens: 2 },
});
const toolUse = (input: object): object => ({ type: 'tool_use', id: 't', name: 'pay', input });
const ollama = (done: boolean, args?: object): object => ({
  ...{ model: 'm', created_at: 'x', done, ...(done && { done_reason: 'stop' }) },
  message: {
    ...{ role: 'assistant', content: '' },
    ...(args && { tool_calls: [{ function: { name: 'pay', arguments: args } }] }),
  },
});
const gemini = (args: object): object => ({
  candidates: [
    { content: { role: 'model', parts: [{ functionCall: { name: 'pay', args } }] }, finishReason: 'STOP', index: 0 },
  ],
});
const converse = (input: object): object => ({
  output: { message: { role: 'assistant', content: [{ toolUse: { toolUseId: 't', name: 'pay', input } }] } },
  ...{ stopReason: 'tool_use', usage: { inputTokens: 1, outputTokens: 1, totalTokens: 2 } },
});
const responses = (args: object): object => ({
  ...{ id: 'r', object: 'response', created_at: 1, model: 'm', status: 'completed', error: null, tools: [] },
  output: [{ type: 'function_call', id: 'f', call_id: 'c', name: 'pay', arguments: args, status: 'completed' }],
});
const cohere = (args: object): object => ({
  ...{ id: 'c', finish_reason: 'TOOL_CALL' },
  message: {
    role: 'assistant',
    tool_calls: [{ id: 't', type: 'function', function: { name: 'pay', arguments: args } }],
  },
});

const firstCalls = (parameters: object): object => ({ tool_calls: [{ name: 'pay', parameters }] });
const firstCohere = (args: object): object => ({
  ...{ response_id: 'r', generation_id: 'g', text: '', finish_reason: 'COMPLETE' },
  ...firstCalls(args),
});

const contents = { contents: [{ role: 'user', parts: [{ text: 'hi' }] }] };
const apis: [string, string, object, (args: object) => Script][] = [
  [
    'Chat',
    '/v1/chat/completions',
    chat,
    (args) =>
      answers({ ...completion, choices: [choice({ message: { role: 'assistant', content: null, ...calls(args) } })] }),
  ],
  [
    'Chat, streamed',
    '/v1/chat/completions',
    { ...chat, stream: true },
    (args) => streams([data({ ...completion, choices: [choice({ delta: calls(args) })] }), 'data: [DONE]\n\n']),
  ],
  ['Responses', '/v1/responses', { model: 'm', input: 'hi' }, (args) => answers(responses(args))],
  ['Anthropic', '/v1/messages', { ...chat, max_tokens: 9 }, (args) => answers(claude([toolUse(args)]))],
  [
    'Anthropic, whole in content_block_start',
    '/v1/messages',
    { ...chat, max_tokens: 9, stream: true },
    (args) =>
      streams([
        event('message_start', { message: claude([], null) }),
        event('content_block_start', { index: 0, content_block: toolUse(args) }),
        event('content_block_stop', { index: 0 }),
        event('message_delta', {
          delta: { stop_reason: 'tool_use', stop_sequence: null },
          usage: { output_tokens: 5 },
        }),
        event('message_stop', {}),
      ]),
  ],
  ['Ollama', '/api/chat', { ...chat, stream: false }, (args) => answers(ollama(true, args))],
  [
    'Ollama, lines',
    '/api/chat',
    chat,
    (args) =>
      streams(
        [ollama(false, args), ollama(true)].map((one) => `${JSON.stringify(one)}\n`),
        'application/x-ndjson',
      ),
  ],
  ['Gemini', '/v1beta/models/m:generateContent', contents, (args) => answers(gemini(args))],
  [
    'Gemini, streamed',
    '/v1beta/models/m:streamGenerateContent?alt=sse',
    contents,
    (args) => streams([data(gemini(args))]),
  ],
  [
    'Bedrock',
    '/model/m/converse',
    { messages: [{ role: 'user', content: [{ text: 'hi' }] }] },
    (args) => answers(converse(args)),
  ],
  ['Cohere', '/v2/chat', chat, (args) => answers(cohere(args))],
  ["Cohere's first chat", '/v1/chat', { model: 'm', message: 'hi' }, (args) => answers(firstCohere(args))],
  [
    "Cohere's first chat, streamed",
    '/v1/chat',
    { model: 'm', message: 'hi', stream: true },
    (args) => {
      const response = firstCohere(args);
      const events = [
        { is_finished: false, event_type: 'tool-calls-generation', ...firstCalls(args) },
        { is_finished: true, event_type: 'stream-end', finish_reason: 'COMPLETE', response },
      ];
      return streams(
        events.map((one) => `${JSON.stringify(one)}\n`),
        'application/stream+json',
      );
    },
  ],
  [
    "Cohere's at Bedrock",
    '/model/cohere.command-r-v1:0/invoke',
    { message: 'hi' },
    (args) => answers(firstCohere(args)),
  ],
];

describe.each(apis)('%s', (_name, path, body, script) => {
  test.each([
    ['a number', { card }],
    ['one in a list', { cards: [7, card] }],
    ['one deep in it', { to: [{ pay: { card } }] }],
  ])('%s is a text of its mask', async (_what, args) => {
    world.model.script = script(args);
    const { status, text } = await world.post(path, body);
    expect(status).toBe(200);
    expect(text).not.toContain(String(card));
    expect(text).toContain('"[confidential]"');
  });

  test('numbers that are no ids of tokens here, whatever they are called, leave as they came', async () => {
    const args = { token: 42, bytes: [1, 2], tokens: [3], ids: [1, 2, 3, 4, 5, 6, 7, 8] };
    world.model.script = script(args);
    expect((await world.post(path, body)).text).toContain(JSON.stringify(args));
  });

  test('numbers of a list that a field rule names are each its mask', async () => {
    world.model.script = script({ pins: [1234, 5678], of: [4321] });
    expect((await world.post(path, body)).text).toContain('{"pins":["[named]","[named]"],"of":[4321]}');
  });

  test('fields by their path from the arguments, and at any depth, neither leave nor are recorded', async () => {
    world.model.script = script({
      customer: { account_number: 'DE-77-1' },
      to: [{ ssn: { 'hidden key': 'secret words' } }],
    });
    const { text } = await world.post(path, body);
    const all = text + JSON.stringify(await world.record());
    for (const hidden of ['DE-77-1', 'secret words', 'hidden key']) expect(all).not.toContain(hidden);
    expect(text).toContain('{"customer":{"account_number":"[named]"},"to":[{"ssn":"[named]"}]}');
  });

  test('who may see them gets them, and the record does not', async () => {
    const args = { customer: { account_number: 'DE-78-2' }, to: [{ ssn: { 'seen key': 'seen words' } }] };
    world.model.script = script(args);
    const { text } = await world.post(path, body, {
      token: await world.token({ sub: 'olga', groups: ['ml-eng', 'compliance'] }),
    });
    expect(text).toContain(JSON.stringify(args));
    const record = JSON.stringify(await world.record());
    for (const hidden of ['DE-78-2', 'seen words', 'seen key']) expect(record).not.toContain(hidden);
  });

  test('another number leaves as it came', async () => {
    world.model.script = script({ at: 1700000000, id: 12345678 });
    expect((await world.post(path, body)).text).toContain('{"at":1700000000,"id":12345678}');
  });
});

test('where it must not leave, it is refused', async () => {
  await world.setPolicy(policy('Block')(world.issuer.url));
  world.model.script = answers(claude([toolUse({ card })]));
  const { status, text } = await world.post('/v1/messages', { ...chat, max_tokens: 9 });
  expect(status).toBe(403);
  expect(text).not.toContain(String(card));
});

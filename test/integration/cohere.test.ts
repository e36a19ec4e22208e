import type { ServerResponse } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Cohere, CohereClient, CohereClientV2 } from 'cohere-ai';
import { trustingFetch } from '../support/trusting-fetch.ts';
import type { World } from '../support/world.ts';
import { basePolicy, startWorld, withoutChance } from '../support/world.ts';

// Cohere's own client, unchanged but for the base URL and who it trusts, through the whole sidecar.

const card = '4111 1111 1111 1111';
const text = `Pay ${card} or write to ana.maria@example.com today.`;
const masked = 'Pay [confidential] or write to [confidential] today.';
const model = 'command-a-03-2025';
const messages: Cohere.ChatMessages = [{ role: 'user', content: 'hello' }];
const usage = { tokens: { input_tokens: 3, output_tokens: 4 } };

let world: World;
let client: CohereClientV2;
let first: CohereClient;
beforeAll(async () => {
  world = await startWorld({
    policy: (issuer) =>
      basePolicy(
        issuer,
        `    limits: { maxOutputTokens: 64 }
  - { name: closed, effect: Deny, subjects: [{ group: ml-eng }], models: [secret] }
  classification:
  - { label: confidential, detectors: [CreditCard, Email], visibleTo: [], otherwise: Mask }
  guards:
  - { name: project, direction: Request, match: { words: [falcon] }, action: Block }
`,
      ),
  });
  const options = {
    environment: world.url,
    token: await world.token(),
    maxRetries: 0,
    fetch: trustingFetch(world.ca),
  };
  client = new CohereClientV2(options);
  first = new CohereClient(options);
});
afterAll(() => world.close());

const pieces = (whole: string, size: number): string[] =>
  Array.from({ length: Math.ceil(whole.length / size) }, (_, at) => whole.slice(at * size, (at + 1) * size));
const event = (body: { readonly type: string; readonly [field: string]: unknown }): string =>
  `event: ${body.type}\ndata: ${JSON.stringify(body)}\n\n`;
const streams =
  (...parts: string[]) =>
  (response: ServerResponse): void => {
    response.setHeader('content-type', 'text/event-stream');
    for (const part of parts) response.write(part);
    response.end();
  };
const answers =
  (body: unknown, status = 200) =>
  (response: ServerResponse): void => {
    response.statusCode = status;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(body));
  };
const said = (piece: string): string =>
  event({ type: 'content-delta', index: 0, delta: { message: { content: { text: piece } } } });
const begun = [
  event({ type: 'message-start', id: 'i', delta: { message: { role: 'assistant', content: [], tool_calls: [] } } }),
  event({ type: 'content-start', index: 0, delta: { message: { content: { type: 'text', text: '' } } } }),
];
const ended = [
  event({ type: 'content-end', index: 0 }),
  event({ type: 'message-end', delta: { finish_reason: 'COMPLETE', usage } }),
  'data: [DONE]\n\n',
];

describe('a chat', () => {
  test('is masked, limited and recorded', async () => {
    const call = { id: 't', type: 'function', function: { name: 'pay', arguments: JSON.stringify({ card }) } };
    world.model.script = answers({
      ...{ id: 'i', finish_reason: 'COMPLETE', usage },
      message: { role: 'assistant', content: [{ type: 'text', text }], tool_calls: [call] },
    });
    const answer = await client.chat({ model, messages });
    expect(answer.message.content).toEqual([{ type: 'text', text: masked }]);
    expect(answer.message.toolCalls?.[0]?.function?.arguments).toBe('{"card":"[confidential]"}');
    expect(JSON.parse(world.model.seen.at(-1)?.body ?? '')).toMatchObject({ max_tokens: 64 });
    const record = await world.record();
    expect(withoutChance(JSON.stringify(record))).not.toContain('4111');
    expect(record.find((one) => one['dialect'] === 'cohere')).toMatchObject({ operation: 'Chat', model });
  });

  test.each([1, 3, 500])('is masked in events of %i characters', async (size) => {
    const call = (piece: string): string =>
      event({
        type: 'tool-call-delta',
        index: 0,
        delta: { message: { tool_calls: { function: { arguments: piece } } } },
      });
    const start = { message: { tool_calls: { id: 't', type: 'function', function: { name: 'pay', arguments: '' } } } };
    world.model.script = streams(
      ...begun,
      ...pieces(text, size).map(said),
      event({ type: 'tool-call-start', index: 0, delta: start }),
      ...pieces(JSON.stringify({ card }), size).map(call),
      event({ type: 'tool-call-end', index: 0 }),
      ...ended,
    );
    let joined = '';
    let called = '';
    const kinds = new Set<string>();
    for await (const one of await client.chatStream({ model, messages })) {
      kinds.add(one.type);
      if (one.type === 'content-delta') joined += one.delta?.message?.content?.text ?? '';
      if (one.type === 'tool-call-delta') called += one.delta?.message?.toolCalls?.function?.arguments ?? '';
    }
    expect(joined).toBe(masked);
    expect(JSON.parse(called)).toEqual({ card: '[confidential]' });
    expect([...kinds]).toContain('message-end');
  });

  test('that is refused is an error of the client', async () => {
    const ask: Cohere.ChatMessages = [{ role: 'user', content: 'project falcon' }];
    const refused: unknown = await client.chat({ model, messages: ask }).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(Cohere.ForbiddenError);
    expect(refused).toMatchObject({ statusCode: 403, body: { code: 'guard_blocked' } });
    await expect(client.chat({ model: 'secret', messages })).rejects.toMatchObject({ statusCode: 403 });
  });

  test.each([
    [
      'that the model breaks off',
      event({ type: 'message-end', delta: { finish_reason: 'ERROR', error: 'lost' } }),
      'lost',
    ],
    ['that cannot be read', 'data: no JSON\n\n', 'The answer has a shape that cannot be inspected.'],
  ])('%s ends with an event that says so', async (_, rest, message) => {
    world.model.script = streams(...begun, said('Well. '), rest);
    let last: Cohere.V2ChatStreamResponse | undefined;
    for await (const one of await client.chatStream({ model, messages })) last = one;
    expect(last).toMatchObject({ type: 'message-end', delta: { finishReason: 'ERROR', error: message } });
  });
});

describe('the first chat', () => {
  const line = (event_type: string, more: object): string =>
    `${JSON.stringify({ is_finished: event_type === 'stream-end', event_type, ...more })}\n`;
  const lines =
    (...parts: string[]) =>
    (response: ServerResponse): void => {
      response.setHeader('content-type', 'application/stream+json');
      for (const part of parts) response.write(part);
      response.end();
    };
  const meta = { api_version: { version: '1' }, tokens: { input_tokens: 3, output_tokens: 4 } };

  test('is masked, limited and recorded', async () => {
    world.model.script = answers({
      ...{ response_id: 'i', generation_id: 'g', text, finish_reason: 'COMPLETE', meta },
      tool_calls: [{ name: 'pay', parameters: { card } }],
      chat_history: [{ role: 'CHATBOT', message: text }],
    });
    const answer = await first.chat({ model, message: 'hello', preamble: 'be kind' });
    expect(answer.text).toBe(masked);
    expect(answer.toolCalls?.[0]?.parameters).toEqual({ card: '[confidential]' });
    expect(answer.chatHistory?.[0]).toMatchObject({ message: masked });
    expect(JSON.parse(world.model.seen.at(-1)?.body ?? '')).toMatchObject({ max_tokens: 64 });
    expect(withoutChance(JSON.stringify(await world.record()))).not.toContain('4111');
  });

  test.each([1, 3, 500])('is masked in lines of %i characters, and where it is told whole', async (size) => {
    world.model.script = lines(
      line('stream-start', { generation_id: 'g' }),
      ...pieces(text, size).map((piece) => line('text-generation', { text: piece })),
      line('stream-end', { finish_reason: 'COMPLETE', response: { text, meta } }),
    );
    let joined = '';
    let last: Cohere.StreamedChatResponse | undefined;
    for await (const one of await first.chatStream({ model, message: 'hello' })) {
      if (one.eventType === 'text-generation') joined += one.text;
      last = one;
    }
    expect(joined).toBe(masked);
    expect(last).toMatchObject({ eventType: 'stream-end', finishReason: 'COMPLETE', response: { text: masked } });
    expect((await world.record()).at(-1)).toMatchObject({ tokens: { input: 3, output: 4 } });
  });

  test('that is refused is an error of the client; in mid-stream, its last event', async () => {
    await expect(first.chat({ model, message: 'project falcon' })).rejects.toMatchObject({
      ...{ statusCode: 403, body: { code: 'guard_blocked' } },
    });
    world.model.script = lines(line('text-generation', { text: 'Well. ' }), 'no JSON\n');
    let last: Cohere.StreamedChatResponse | undefined;
    for await (const one of await first.chatStream({ model, message: 'hello' })) last = one;
    expect(last).toMatchObject({ eventType: 'stream-end', finishReason: 'ERROR' });
  });
});

test('texts are embedded and ranked', async () => {
  world.model.script = answers({
    ...{ id: 'i', response_type: 'embeddings_by_type', embeddings: { float: [[0.25, 0.5]] }, texts: ['hello'] },
    meta: { billed_units: { input_tokens: 1 } },
  });
  const embedded = await client.embed({
    ...{ model: 'embed-v4.0', inputType: 'search_document', texts: ['hello'], embeddingTypes: ['float'] },
  });
  expect(embedded.embeddings.float).toEqual([[0.25, 0.5]]);
  world.model.script = answers({
    id: 'i',
    results: [{ index: 1, relevance_score: 0.9 }],
    meta: { billed_units: { search_units: 1 } },
  });
  const ranked = await client.rerank({ model: 'rerank-v3.5', query: 'q', documents: ['a', 'b'], topN: 1 });
  expect(ranked.results).toEqual([{ index: 1, relevanceScore: 0.9 }]);
  await expect(
    client.rerank({ model: 'rerank-v3.5', query: 'project falcon', documents: ['a'] }),
  ).rejects.toMatchObject({ statusCode: 403 });
});

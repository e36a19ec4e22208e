import type { ServerResponse } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import OpenAI from 'openai';
import { trustingFetch } from '../support/trusting-fetch.ts';
import type { World } from '../support/world.ts';
import { basePolicy, startWorld, withoutChance } from '../support/world.ts';

// OpenAI's own client, unchanged but for the base URL and who it trusts, asks for Responses through the whole sidecar.

const card = '4111 1111 1111 1111';
const text = `Pay ${card} or write to ana.maria@example.com today.`;
const masked = 'Pay [confidential] or write to [confidential] today.';

let world: World;
let client: OpenAI;
beforeAll(async () => {
  world = await startWorld({
    policy: (issuer) =>
      basePolicy(
        issuer,
        `    limits: { maxOutputTokens: 64 }
  classification:
  - { label: confidential, detectors: [CreditCard, Email], visibleTo: [], otherwise: Mask }
  guards:
  - { name: project, direction: Request, match: { words: [falcon] }, action: Block }
`,
      ),
  });
  client = new OpenAI({
    baseURL: `${world.url}/v1`,
    apiKey: await world.token(),
    maxRetries: 0,
    fetch: trustingFetch(world.ca),
  });
});
afterAll(() => world.close());

const message = (content: string, status = 'completed'): object => ({
  ...{ id: 'msg_1', type: 'message', role: 'assistant', status },
  content: [{ type: 'output_text', text: content, annotations: [] }],
});
const call = (args: string): object => ({
  ...{ id: 'fc_1', type: 'function_call', name: 'pay', call_id: 'call_1', arguments: args, status: 'completed' },
});
const response = (more: object): object => ({
  ...{ id: 'resp_1', object: 'response', created_at: 1, model: 'm', status: 'completed', error: null, output: [] },
  ...{ tools: [], usage: { input_tokens: 3, output_tokens: 4, total_tokens: 7 }, ...more },
});
const event = (type: string, body: object): string => `event: ${type}\ndata: ${JSON.stringify({ type, ...body })}\n\n`;
const pieces = (whole: string, size: number): string[] =>
  Array.from({ length: Math.ceil(whole.length / size) }, (_, at) => whole.slice(at * size, (at + 1) * size));

function messageEvents(whole: string, size: number, output_index = 0): string[] {
  const at = { output_index, item_id: 'msg_1', content_index: 0 };
  const part = { type: 'output_text', text: '', annotations: [] };
  return [
    event('response.output_item.added', {
      output_index,
      item: { id: 'msg_1', type: 'message', role: 'assistant', status: 'in_progress', content: [] },
    }),
    event('response.content_part.added', { ...at, part }),
    ...pieces(whole, size).map((delta) => event('response.output_text.delta', { ...at, delta, logprobs: [] })),
    event('response.output_text.done', { ...at, text: whole, logprobs: [] }),
    event('response.content_part.done', { ...at, part: { ...part, text: whole } }),
    event('response.output_item.done', { output_index, item: message(whole) }),
  ];
}
function callEvents(args: string, size: number, output_index: number): string[] {
  const at = { output_index, item_id: 'fc_1' };
  return [
    event('response.output_item.added', { output_index, item: { ...call(''), status: 'in_progress' } }),
    ...pieces(args, size).map((delta) => event('response.function_call_arguments.delta', { ...at, delta })),
    event('response.function_call_arguments.done', { ...at, arguments: args, name: 'pay' }),
    event('response.output_item.done', { output_index, item: call(args) }),
  ];
}
const streams =
  (...parts: string[]) =>
  (answer: ServerResponse): void => {
    answer.setHeader('content-type', 'text/event-stream');
    for (const part of parts) answer.write(part);
    answer.end();
  };
const answers =
  (body: object) =>
  (answer: ServerResponse): void => {
    answer.setHeader('content-type', 'application/json');
    answer.end(JSON.stringify(body));
  };
const ask = { model: 'm', input: 'hello' };

describe('a Response', () => {
  test('is masked, limited and recorded', async () => {
    world.model.script = answers(response({ output: [message(text), call(JSON.stringify({ card }))] }));
    const answer = await client.responses.create(ask);
    expect(answer.output_text).toBe(masked);
    expect(answer.output[1]).toMatchObject({ arguments: '{"card":"[confidential]"}' });
    expect(JSON.parse(world.model.seen.at(-1)?.body ?? '')).toMatchObject({ max_output_tokens: 64 });
    const record = await world.record();
    expect(withoutChance(JSON.stringify(record))).not.toContain('4111');
    expect(record.find((one) => one['dialect'] === 'openai-responses')).toMatchObject({
      operation: 'Chat',
      model: 'm',
    });
  });

  test.each([1, 3, 500])('is masked in a stream of pieces of %i characters, wherever it is said', async (size) => {
    const args = JSON.stringify({ card, note: 'ok' });
    world.model.script = streams(
      event('response.created', { response: response({ status: 'in_progress' }) }),
      ...messageEvents(text, size),
      ...callEvents(args, size, 1),
      event('response.completed', { response: response({ output: [message(text), call(args)] }) }),
    );
    const stream = client.responses.stream(ask);
    const told: string[] = [];
    stream.on('response.output_text.done', (one) => told.push(one.text));
    const final = await stream.finalResponse();
    expect(final.output_text).toBe(masked);
    expect(final.output[1]).toMatchObject({ arguments: '{"card":"[confidential]","note":"ok"}' });
    expect(told).toEqual([masked]);
  });

  test('of which half a card is sent when the limit of tokens ends it shows nothing of the card, in no event', async () => {
    const half = 'Pay 4111 1111 1111 111';
    world.model.script = streams(
      ...messageEvents(half, 2),
      event('response.incomplete', {
        response: response({
          ...{ status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } },
          output: [message(half, 'incomplete')],
        }),
      }),
    );
    const answer = await world.post('/v1/responses', { ...ask, stream: true });
    expect(withoutChance(answer.text)).not.toContain('4111');
    // `*.done`, the part, the item and the Response; a delta has two letters.
    expect(answer.text.match(/Pay /g)).toHaveLength(4);
  });

  test('that nobody can read is an error of the client', async () => {
    world.model.script = streams(...messageEvents('Well.', 2).slice(0, 4), event('response.news', { delta: 'x' }));
    const stream = await client.responses.create({ ...ask, stream: true });
    await expect(
      (async () => {
        for await (const one of stream) expect(one.type).toMatch(/^response\./);
      })(),
    ).rejects.toMatchObject({ code: 'response_uninspectable' });
  });
});

describe('a request', () => {
  test('is read in every item, tool and instruction', async () => {
    const seen = world.model.seen.length;
    const secret = 'project falcon';
    const tool = { type: 'function' as const, name: 'f', description: secret, parameters: {}, strict: false };
    for (const more of [
      { input: secret },
      { instructions: secret },
      { input: [{ role: 'user' as const, content: [{ type: 'input_text' as const, text: secret }] }] },
      { input: [{ type: 'function_call_output' as const, call_id: 'c', output: secret }] },
      { tools: [tool] },
      { text: { format: { type: 'json_schema' as const, name: 'f', schema: { description: secret } } } },
    ])
      await expect(client.responses.create({ ...ask, ...more })).rejects.toMatchObject({ status: 403 });
    expect(world.model.seen).toHaveLength(seen);
  });

  test.each([
    ['previous_response_id', { previous_response_id: 'resp_0' }],
    ['conversation', { conversation: 'conv_1' }],
    ['prompt', { prompt: { id: 'pmpt_1' } }],
    ['background', { background: true }],
    ['input[0].id', { input: [{ type: 'item_reference', id: 'msg_1' }] }],
    ['input[0].id', { input: [{ id: 'msg_1' }] }],
    [
      'input[0].content[0].file_id',
      { input: [{ role: 'user', content: [{ type: 'input_file', file_id: 'file_1' }] }] },
    ],
    ['tools[0].type', { tools: [{ type: 'mcp', server_label: 'x', server_url: 'https://x.example' }] }],
    ['tools[0].type', { tools: [{ type: 'file_search', vector_store_ids: ['vs_1'] }] }],
    ['tools[0].container', { tools: [{ type: 'code_interpreter', container: 'cntr_1' }] }],
    ['tools[0].model', { tools: [{ type: 'image_generation', model: 'other' }] }],
    ['max_tokens', { max_tokens: 9 }],
    ['input', { input: [] }],
    ['query', {}, '?model=other'],
  ])('that names what nobody has seen, or another model, is refused: %s', async (param, more, query = '') => {
    const seen = world.model.seen.length;
    const answer = await world.post(`/v1/responses${query}`, { ...ask, ...more });
    expect([answer.status, (JSON.parse(answer.text) as { error: { param: string } }).error.param]).toEqual([
      400,
      param,
    ]);
    expect(world.model.seen).toHaveLength(seen);
  });

  test('for what is kept on the server is not open to who may chat', async () => {
    await expect(client.responses.retrieve('resp_1')).rejects.toMatchObject({ status: 403 });
    await expect(client.responses.delete('resp_1')).rejects.toMatchObject({ status: 403 });
    await expect(client.batches.list()).rejects.toMatchObject({ status: 403 });
    await expect(client.files.list()).rejects.toMatchObject({ status: 403 });
  });
});

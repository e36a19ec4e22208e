import type { ServerResponse } from 'node:http';
import Anthropic from '@anthropic-ai/sdk';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { trustingFetch } from '../support/trusting-fetch.ts';
import type { World } from '../support/world.ts';
import { basePolicy, startWorld, withoutChance } from '../support/world.ts';

// Anthropic's own client, unchanged but for the base URL and who it trusts, through the whole sidecar.

const card = '4111 1111 1111 1111';
const text = `Pay ${card} or write to ana.maria@example.com today.`;
const masked = 'Pay [confidential] or write to [confidential] today.';
const hello = { model: 'claude', max_tokens: 64, messages: [{ role: 'user' as const, content: 'hello' }] };

const message = (more: object = {}): object => ({
  id: 'msg_1',
  type: 'message',
  role: 'assistant',
  model: 'claude',
  content: [{ type: 'text', text }],
  stop_reason: 'end_turn',
  stop_sequence: null,
  usage: { input_tokens: 10, output_tokens: 20 },
  ...more,
});
const event = (body: { readonly type: string }): string => `event: ${body.type}\ndata: ${JSON.stringify(body)}\n\n`;
const start = (index: number, block: object): string =>
  event({ type: 'content_block_start', index, content_block: block } as { type: string });
const delta = (index: number, piece: object): string =>
  event({ type: 'content_block_delta', index, delta: piece } as { type: string });
const stop = (index: number): string => event({ type: 'content_block_stop', index } as { type: string });
const pieces = (whole: string, size: number): string[] =>
  Array.from({ length: Math.ceil(whole.length / size) }, (_, at) => whole.slice(at * size, (at + 1) * size));
const begin = event({ type: 'message_start', message: message({ content: [], stop_reason: null }) } as {
  type: string;
});
const end = (reason: string): string =>
  event({
    type: 'message_delta',
    delta: { stop_reason: reason, stop_sequence: null },
    usage: { output_tokens: 33 },
  } as {
    type: string;
  }) + event({ type: 'message_stop' });
const textBlock = (index: number, whole: string, size: number): string =>
  start(index, { type: 'text', text: '' }) +
  pieces(whole, size)
    .map((piece) => delta(index, { type: 'text_delta', text: piece }))
    .join('') +
  stop(index);

let world: World;
let client: Anthropic;
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
  client = new Anthropic({
    baseURL: world.url,
    apiKey: await world.token(),
    maxRetries: 0,
    fetch: trustingFetch(world.ca),
  });
});
afterAll(() => world.close());

const streams =
  (...parts: string[]) =>
  (response: ServerResponse): void => {
    response.setHeader('content-type', 'text/event-stream');
    for (const part of parts) response.write(part);
    response.end();
  };
const answers =
  (body: object, status = 200) =>
  (response: ServerResponse): void => {
    response.statusCode = status;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(body));
  };

describe('a message', () => {
  test('is masked', async () => {
    world.model.script = answers(message());
    const answer = await client.messages.create({ ...hello, stop_sequences: ['END'] });
    expect(answer.content).toEqual([{ type: 'text', text: masked }]);
    const seen = world.model.seen.at(-1);
    expect(JSON.parse(seen?.body ?? '')).toMatchObject({ max_tokens: 64 });
    expect(seen?.headers).not.toHaveProperty('x-api-key');
    expect(seen?.headers['anthropic-version']).toMatch(/^20\d\d-/);
    const record = await world.record();
    expect(withoutChance(JSON.stringify(record))).not.toContain('4111');
    expect(record.find((one) => one['type'] === 'start' || one['dialect'] === 'anthropic')).toMatchObject({
      dialect: 'anthropic',
      operation: 'Chat',
    });
  });

  test.each([1, 3, 7, 500])('is masked in a stream of pieces of %i characters', async (size) => {
    world.model.script = streams(begin, event({ type: 'ping' }), textBlock(0, text, size), end('end_turn'));
    const stream = client.messages.stream(hello);
    const final = await stream.finalMessage();
    expect(final.content).toMatchObject([{ type: 'text', text: masked }]);
    expect(final).toMatchObject({ stop_reason: 'end_turn', usage: { output_tokens: 33 } });
  });

  test('that names a card in several blocks is masked in each, arguments stay JSON', async () => {
    const tool = start(2, { type: 'tool_use', id: 'tu_1', name: 'pay', input: {} });
    const input = JSON.stringify({ card, note: 'ok' });
    world.model.script = streams(
      begin,
      start(0, { type: 'thinking', thinking: '', signature: '' }),
      ...pieces(text, 4).map((piece) => delta(0, { type: 'thinking_delta', thinking: piece })),
      delta(0, { type: 'signature_delta', signature: 'c2ln' }),
      stop(0),
      textBlock(1, text, 5),
      tool,
      ...pieces(input, 3).map((piece) => delta(2, { type: 'input_json_delta', partial_json: piece })),
      stop(2),
      end('tool_use'),
    );
    const final = await client.messages.stream(hello).finalMessage();
    expect(final.content).toMatchObject([
      { type: 'thinking', thinking: masked },
      { type: 'text', text: masked },
      { type: 'tool_use', name: 'pay', input: { card: '[confidential]', note: 'ok' } },
    ]);
  });

  test('that leaves as it came where nothing is masked, whatever marker comes behind it', async () => {
    const whole = begin + textBlock(0, 'All is well.', 4) + end('end_turn') + 'data: [DONE]\n\n';
    world.model.script = streams(whole);
    const answer = await world.post('/v1/messages', { ...hello, stream: true });
    expect(answer.text).toBe(whole);
  });

  test('of which half a card is sent when the limit of tokens ends it shows nothing of the card', async () => {
    world.model.script = streams(begin, textBlock(0, 'Pay 4111 1111 1111 111', 2), end('max_tokens'));
    const final = await client.messages.stream(hello).finalMessage();
    expect(JSON.stringify(final.content)).not.toContain('4111');
  });

  test('text behind the end of its block is refused', async () => {
    world.model.script = streams(
      begin,
      textBlock(0, 'a', 1),
      textBlock(1, 'b', 1),
      delta(0, { type: 'text_delta', text: card }),
      end('end_turn'),
    );
    const answer = await world.post('/v1/messages', { ...hello, stream: true });
    expect(answer.text).toContain('"code":"upstream_protocol"');
    expect(answer.text).toContain('event: error\n');
    expect(answer.text).not.toContain('message_stop');
  });

  test('of the model’s error is told as such', async () => {
    world.model.script = streams(
      begin,
      event({ type: 'error', error: { type: 'overloaded_error', message: `write to ana.maria@example.com` } } as {
        type: string;
      }),
    );
    await expect(client.messages.stream(hello).finalMessage()).rejects.toThrow(/write to \[confidential\]/);
  });
});

describe('a refusal', () => {
  test('is the client’s own class of error, with code and rule', async () => {
    const asked = world.model.seen.length;
    const refused = client.messages.create({ ...hello, system: 'on project Falcon' });
    await expect(refused).rejects.toBeInstanceOf(Anthropic.PermissionDeniedError);
    await expect(refused).rejects.toMatchObject({
      status: 403,
      error: { type: 'error', error: { type: 'permission_error', code: 'guard_blocked' } },
    });
    expect(world.model.seen).toHaveLength(asked);
  });

  test('of more tokens than a rule allows names the rule', async () => {
    const refused = client.messages.create({ ...hello, max_tokens: 65 });
    await expect(refused).rejects.toBeInstanceOf(Anthropic.BadRequestError);
    await expect(refused).rejects.toMatchObject({
      error: { error: { code: 'max_tokens_exceeded', rule: 'test/engineers' } },
    });
  });

  test('of nobody asks for a credential', async () => {
    const nobody = new Anthropic({
      baseURL: world.url,
      apiKey: 'sk-ant-x',
      maxRetries: 0,
      fetch: trustingFetch(world.ca),
    });
    await expect(nobody.messages.create(hello)).rejects.toBeInstanceOf(Anthropic.AuthenticationError);
  });
});

test('tokens are counted of what may be asked', async () => {
  world.model.script = answers({ input_tokens: 12 });
  const { max_tokens: _, ...asked } = hello;
  expect(await client.messages.countTokens(asked)).toEqual({ input_tokens: 12 });
  expect(JSON.parse(world.model.seen.at(-1)?.body ?? '')).not.toHaveProperty('max_tokens');
});

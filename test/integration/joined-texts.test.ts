import type { ServerResponse } from 'node:http';
import Anthropic from '@anthropic-ai/sdk';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import OpenAI from 'openai';
import { trustingFetch } from '../support/trusting-fetch.ts';
import type { World } from '../support/world.ts';
import { basePolicy, startWorld } from '../support/world.ts';

// Texts that clients join over the parts of a message, through the whole sidecar: a value that is cut between two is masked.

let world: World;
let openai: OpenAI;
let anthropic: Anthropic;
beforeAll(async () => {
  world = await startWorld({
    policy: (issuer) =>
      basePolicy(
        issuer,
        `  classification:
  - { label: confidential, detectors: [CreditCard], visibleTo: [], otherwise: Mask }
`,
      ),
  });
  const fetch = trustingFetch(world.ca);
  openai = new OpenAI({ baseURL: `${world.url}/v1`, apiKey: await world.token(), maxRetries: 0, fetch });
  anthropic = new Anthropic({ baseURL: world.url, apiKey: await world.token(), maxRetries: 0, fetch });
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
  (parts: readonly string[]): Script =>
  (answer) => {
    answer.setHeader('content-type', 'text/event-stream');
    for (const part of parts) answer.write(part);
    answer.end();
  };
const event = (type: string, body: object): string => `event: ${type}\ndata: ${JSON.stringify({ type, ...body })}\n\n`;

const hi = [{ role: 'user' as const, content: 'hi' }];
const pieces = ['Card 4111 1111 ', '1111 1111.'] as const;
const masked = 'Card [confidential].';

const textPart = (text: string): object => ({ type: 'output_text', text, annotations: [] });
const message = (id: string, ...texts: string[]): { readonly id: string; readonly content: object[] } => ({
  ...{ id, type: 'message', role: 'assistant', status: 'completed', content: texts.map(textPart) },
});
const response = (output: object[]): object => ({
  ...{
    id: 'resp_1',
    object: 'response',
    created_at: 1,
    model: 'm',
    status: 'completed',
    error: null,
    output,
    tools: [],
  },
  usage: { input_tokens: 3, output_tokens: 4, total_tokens: 7 },
});

describe('the output_text of a Response', () => {
  const search = { id: 'ws_1', type: 'web_search_call', status: 'completed', action: { type: 'search', query: 'x' } };

  test.each([
    ['of two parts', [message('msg_1', ...pieces)]],
    ['of two messages', [message('msg_1', pieces[0]), search, message('msg_2', pieces[1])]],
  ])('%s', async (_name, output) => {
    world.model.script = answers(response(output));
    expect((await openai.responses.create({ model: 'm', input: 'hi' })).output_text).toBe(masked);
  });

  test('of two messages of a stream: what is joined from pieces, and what is told whole', async () => {
    const items = [message('msg_1', pieces[0]), search, message('msg_2', pieces[1])];
    world.model.script = streams([
      event('response.created', { response: { ...response([]), status: 'in_progress' } }),
      ...items.flatMap((item, output_index) => {
        const done = event('response.output_item.done', { output_index, item });
        if (!('content' in item)) return [event('response.output_item.added', { output_index, item }), done];
        const at = { output_index, item_id: item.id, content_index: 0 };
        const text = pieces[output_index === 0 ? 0 : 1];
        return [
          event('response.output_item.added', { output_index, item: { ...item, status: 'in_progress', content: [] } }),
          event('response.content_part.added', { ...at, part: textPart('') }),
          event('response.output_text.delta', { ...at, delta: text }),
          event('response.output_text.done', { ...at, text }),
          event('response.content_part.done', { ...at, part: item.content[0] }),
          done,
        ];
      }),
      event('response.completed', { response: response(items) }),
    ]);
    let joined = '';
    const stream = openai.responses.stream({ model: 'm', input: 'hi' });
    stream.on('response.output_text.delta', ({ delta }) => (joined += delta));
    expect((await stream.finalResponse()).output_text).toBe(masked);
    expect(joined).toBe(masked);
  });
});

describe('the text of a message of Anthropic’s', () => {
  const claude = (content: object[], stop_reason: string | null = 'end_turn'): object => ({
    ...{ id: 'msg_1', type: 'message', role: 'assistant', model: 'm', content, stop_reason, stop_sequence: null },
    usage: { input_tokens: 1, output_tokens: 2 },
  });

  test('of two blocks', async () => {
    world.model.script = answers(claude(pieces.map((text) => ({ type: 'text', text }))));
    const { content } = await anthropic.messages.create({ model: 'm', max_tokens: 9, messages: hi });
    expect(content.map((block) => (block.type === 'text' ? block.text : '')).join('')).toBe(masked);
  });

  test('of two blocks of a stream', async () => {
    world.model.script = streams([
      event('message_start', { message: claude([], null) }),
      ...pieces.flatMap((text, index) => [
        event('content_block_start', { index, content_block: { type: 'text', text: '' } }),
        event('content_block_delta', { index, delta: { type: 'text_delta', text } }),
        event('content_block_stop', { index }),
      ]),
      event('message_delta', { delta: { stop_reason: 'end_turn', stop_sequence: null }, usage: { output_tokens: 5 } }),
      event('message_stop', {}),
    ]);
    // It joins with spaces.
    expect(await anthropic.messages.stream({ model: 'm', max_tokens: 9, messages: hi }).finalText()).toBe(
      'Card [confidential] .',
    );
  });
});

test.each([
  [
    'Chat, as Mistral answers',
    '/v1/chat/completions',
    { model: 'm', messages: hi },
    {
      ...{ id: 'c', object: 'chat.completion', created: 1, model: 'm' },
      choices: [
        {
          ...{ index: 0, finish_reason: 'stop' },
          message: { role: 'assistant', content: pieces.map((text) => ({ type: 'text', text })) },
        },
      ],
    },
  ],
  [
    'Cohere',
    '/v2/chat',
    { model: 'm', messages: hi },
    {
      ...{ id: 'c', finish_reason: 'COMPLETE' },
      message: { role: 'assistant', content: pieces.map((text) => ({ type: 'text', text })) },
    },
  ],
  [
    'Bedrock, with citations',
    '/model/m/converse',
    { messages: [{ role: 'user', content: [{ text: 'hi' }] }] },
    {
      output: {
        message: {
          role: 'assistant',
          content: [{ text: pieces[0] }, { citationsContent: { content: [{ text: pieces[1] }], citations: [] } }],
        },
      },
      ...{ stopReason: 'end_turn', usage: { inputTokens: 1, outputTokens: 1, totalTokens: 2 } },
    },
  ],
])('parts of a whole answer: %s', async (_name, path, body, answer) => {
  world.model.script = answers(answer);
  const { status, text } = await world.post(path, body);
  expect(status).toBe(200);
  expect(text).toContain('[confidential]');
  expect(text).not.toContain('1111');
});

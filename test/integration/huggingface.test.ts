import type { ServerResponse } from 'node:http';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { InferenceClient } from '@huggingface/inference';
import { trustingFetch } from '../support/trusting-fetch.ts';
import { streamChat } from '../support/scripted-model.ts';
import type { World } from '../support/world.ts';
import { basePolicy, startWorld } from '../support/world.ts';

// Hugging Face's own client, unchanged but for the base URL and who it trusts, through the whole sidecar: to OpenAI's routes as TGI has them, to TGI's own, and to
// that of text-embeddings-inference, which the policy describes.

const text = 'Pay 4111 1111 1111 1111 or write to ana.maria@example.com today.';
const masked = 'Pay [confidential] or write to [confidential] today.';
const messages = [{ role: 'user', content: 'hello' }];

let world: World;
let client: InferenceClient;
let at: (path: string) => InferenceClient;
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
  routes:
  - { path: /embed, operation: Embeddings, request: { texts: [$.inputs] }, response: { texts: [$.error] } }
`,
      ),
  });
  const token = await world.token();
  at = (path) => new InferenceClient(token, { endpointUrl: world.url + path, fetch: trustingFetch(world.ca) });
  client = at('');
});
afterAll(() => world.close());

const answers =
  (body: object) =>
  (response: ServerResponse): void => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(body));
  };
const streams =
  (...events: object[]) =>
  (response: ServerResponse): void => {
    response.setHeader('content-type', 'text/event-stream');
    for (const event of events) response.write(`data:${JSON.stringify(event)}\n\n`);
    response.end();
  };
const pieces = text.match(/.{1,3}/gs) ?? [];
const sent = (): unknown => JSON.parse(world.model.seen.at(-1)?.body ?? '');

test('a chat is masked and limited', async () => {
  world.model.script = answers({
    ...{ id: 'c', object: 'chat.completion', created: 1, model: 'm' },
    choices: [{ index: 0, message: { role: 'assistant', content: text }, finish_reason: 'stop' }],
  });
  const answer = await client.chatCompletion({ model: 'm', messages });
  expect(answer.choices[0]?.message.content).toBe(masked);
  expect(world.model.seen.at(-1)?.path).toBe('/v1/chat/completions');
  expect(sent()).toEqual({ model: 'm', messages, max_tokens: 64 });
});

test('a chat in a stream is masked over its pieces', async () => {
  world.model.script = streamChat(pieces);
  let said = '';
  for await (const one of client.chatCompletionStream({ model: 'm', messages }))
    said += one.choices[0]?.delta.content ?? '';
  expect(said).toBe(masked);
});

test('generated text is masked and limited', async () => {
  world.model.script = answers({
    ...{ id: 'c', object: 'text_completion', created: 1, model: 'm' },
    choices: [{ index: 0, text, finish_reason: 'stop', logprobs: null }],
  });
  const answer = await client.textGeneration({ model: 'm', inputs: 'hello', parameters: { max_new_tokens: 20 } });
  expect(answer.generated_text).toBe(masked);
  expect(sent()).toEqual({ model: 'm', prompt: 'hello', max_tokens: 20 });
});

test('what TGI itself generates is masked and limited, whole and in a stream', async () => {
  world.model.script = answers({ generated_text: text });
  expect(await at('/generate').request({ inputs: 'hello' })).toEqual({ generated_text: masked });
  expect(sent()).toEqual({ inputs: 'hello', parameters: { max_new_tokens: 64 } });

  const tokens = pieces.map((piece, id) => ({ index: id, token: { id, text: piece, logprob: -1, special: false } }));
  world.model.script = streams(...tokens.map((one) => ({ ...one, generated_text: null, details: null })), {
    ...{ index: 99, token: { id: 2, text: '</s>', logprob: -1, special: true }, generated_text: text },
    details: { finish_reason: 'eos_token', generated_tokens: 9, input_length: 3, seed: null },
  });
  const said: string[] = [];
  let whole: string | null = null;
  for await (const one of at('/generate_stream').streamingRequest<{
    readonly token: { readonly text: string; readonly special: boolean };
    readonly generated_text: string | null;
  }>({ inputs: 'hello' })) {
    if (!one.token.special) said.push(one.token.text);
    whole = one.generated_text;
  }
  expect(said.join('')).toBe(masked);
  expect(whole).toBe(masked);
});

test('features of a text come back number by number', async () => {
  const features = [[0.25, -0.5, 1e-3]];
  world.model.script = answers(features);
  expect(await at('/embed').featureExtraction({ inputs: 'hello' })).toEqual(features);
  expect(sent()).toEqual({ inputs: 'hello' });
});

test.each<[string, () => Promise<unknown>]>([
  ['a chat', () => client.chatCompletion({ model: 'm', messages: [{ role: 'user', content: 'about falcon' }] })],
  ['a text', () => client.textGeneration({ model: 'm', inputs: 'about falcon' })],
  ['a text of TGI', () => at('/generate').request({ inputs: 'about falcon' })],
  ['features', () => at('/embed').featureExtraction({ inputs: 'about falcon' })],
])('is told that a guard refused: %s', async (_what, ask) => {
  const before = world.model.seen.length;
  await expect(ask()).rejects.toMatchObject({ httpResponse: { status: 403 } });
  expect(world.model.seen).toHaveLength(before);
});

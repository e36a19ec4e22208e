import type { ServerResponse } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Ollama } from 'ollama';
import { trustingFetch } from '../support/trusting-fetch.ts';
import type { World } from '../support/world.ts';
import { basePolicy, startWorld, withoutChance } from '../support/world.ts';

// Ollama's own client, unchanged but for the base URL and who it trusts, through the whole sidecar.

const card = '4111 1111 1111 1111';
const text = `Pay ${card} or write to ana.maria@example.com today.`;
const masked = 'Pay [confidential] or write to [confidential] today.';
const messages = [{ role: 'user', content: 'hello' }];
const ended = { done: true, done_reason: 'stop', prompt_eval_count: 3, eval_count: 4 };

let world: World;
let client: Ollama;
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
  client = new Ollama({
    host: world.url,
    headers: { authorization: `Bearer ${await world.token()}` },
    fetch: trustingFetch(world.ca),
  });
});
afterAll(() => world.close());

const line = (body: object): string => `${JSON.stringify({ model: 'llama3', created_at: 't', ...body })}\n`;
const pieces = (whole: string, size: number): string[] =>
  Array.from({ length: Math.ceil(whole.length / size) }, (_, at) => whole.slice(at * size, (at + 1) * size));
const streams =
  (...parts: string[]) =>
  (response: ServerResponse): void => {
    response.setHeader('content-type', 'application/x-ndjson');
    for (const part of parts) response.write(part);
    response.end();
  };
const answers =
  (body: object, status = 200) =>
  (response: ServerResponse): void => {
    response.statusCode = status;
    response.setHeader('content-type', 'application/json; charset=utf-8');
    response.end(JSON.stringify(body));
  };

describe('a chat', () => {
  test('is masked, limited and recorded', async () => {
    world.model.script = answers({ model: 'llama3', message: { role: 'assistant', content: text }, ...ended });
    const answer = await client.chat({ model: 'llama3', messages });
    expect(answer.message.content).toBe(masked);
    expect(JSON.parse(world.model.seen.at(-1)?.body ?? '')).toMatchObject({ options: { num_predict: 64 } });
    const record = await world.record();
    expect(withoutChance(JSON.stringify(record))).not.toContain('4111');
    expect(record.find((one) => one['dialect'] === 'ollama')).toMatchObject({ operation: 'Chat', model: 'llama3' });
  });

  test.each([1, 3, 500])('is masked in lines of %i characters', async (size) => {
    world.model.script = streams(
      ...pieces(text, size).map((content) => line({ message: { role: 'assistant', content }, done: false })),
      line({
        message: { role: 'assistant', content: '', tool_calls: [{ function: { name: 'pay', arguments: { card } } }] },
        done: false,
      }),
      line({ message: { role: 'assistant', content: '' }, ...ended }),
    );
    let content = '';
    const calls: unknown[] = [];
    for await (const part of await client.chat({ model: 'llama3', messages, stream: true })) {
      content += part.message.content;
      calls.push(...(part.message.tool_calls ?? []));
    }
    expect(content).toBe(masked);
    expect(calls).toEqual([{ function: { name: 'pay', arguments: { card: '[confidential]' } } }]);
  });

  test('that is refused is an error of the client', async () => {
    await expect(
      client.chat({ model: 'llama3', messages: [{ role: 'user', content: 'project falcon' }] }),
    ).rejects.toMatchObject({ name: 'ResponseError', status_code: 403 });
  });

  test('that the model breaks off, or that cannot be read, is an error of the client, whatever came before', async () => {
    const begun = line({ message: { role: 'assistant', content: 'Well. ' }, done: false });
    for (const rest of ['{"error":"out of memory"}\n', 'no JSON\n']) {
      world.model.script = streams(begun, rest);
      const stream = await client.chat({ model: 'llama3', messages, stream: true });
      await expect(
        (async () => {
          for await (const part of stream) expect(part.done).toBe(false);
        })(),
      ).rejects.toThrow(rest.includes('memory') ? 'out of memory' : 'cannot be inspected');
    }
  });

  test('whose stream is of a kind that its route does not have is refused at its first byte', async () => {
    world.model.script = (response) => {
      response.setHeader('content-type', 'text/event-stream');
      response.write('data: {}\n\n'); // and never ends
    };
    const answer = await world.post('/api/chat', { model: 'llama3', messages });
    expect([answer.status, JSON.parse(answer.text)]).toEqual([
      502,
      expect.objectContaining({ code: 'response_uninspectable', error: expect.stringContaining('inspected') }),
    ]);
  });
});

test('a completion, embeddings and lists go through', async () => {
  world.model.script = streams(line({ response: `${text} `, done: false }), line({ response: 'Bye.', ...ended }));
  let response = '';
  for await (const part of await client.generate({ model: 'llama3', prompt: 'hi', stream: true }))
    response += part.response;
  expect(response).toBe(`${masked} Bye.`);
  world.model.script = answers({ model: 'llama3', embeddings: [[0.25, 0.5]] });
  expect((await client.embed({ model: 'llama3', input: 'hi' })).embeddings).toEqual([[0.25, 0.5]]);
  world.model.script = answers({ models: [{ name: 'llama3:latest' }, { name: 'secret:7b' }] });
  expect((await client.list()).models.map(({ name }) => name)).toContain('llama3:latest');
});

test('a model is the same by all of its names, on OpenAI’s routes of the server, too', async () => {
  const seen = world.model.seen.length;
  for (const model of [
    'secret',
    'Secret',
    'secret:latest',
    'library/secret',
    'registry.ollama.ai/library/SECRET:latest',
  ]) {
    for (const path of ['/v1/chat/completions', '/v1/messages'])
      expect([model, path, (await world.post(path, { model, messages, max_tokens: 5 })).status]).toEqual([
        model,
        path,
        403,
      ]);
    expect([model, (await world.post('/api/chat', { model, messages })).status]).toEqual([model, 403]);
  }
  expect(world.model.seen).toHaveLength(seen);
  const kept = { model: 'llama3', messages, keep_alive: 0 };
  for (const path of ['/api/chat', '/v1/chat/completions']) expect((await world.post(path, kept)).status).toBe(400);
});

test('what changes the server is not open to who may chat', async () => {
  const seen = world.model.seen.length;
  await expect(client.pull({ model: 'llama3' })).rejects.toMatchObject({ status_code: 403 });
  await expect(client.delete({ model: 'llama3' })).rejects.toMatchObject({ status_code: 403 });
  // No prompt: the model would be unloaded for everybody.
  await expect(client.generate({ model: 'llama3', prompt: '', keep_alive: 0 })).rejects.toMatchObject({
    status_code: 400,
  });
  expect(world.model.seen).toHaveLength(seen);
});

import type { ServerResponse } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ApiError, GoogleGenAI } from '@google/genai';
import { trustingFetch } from '../support/trusting-fetch.ts';
import type { World } from '../support/world.ts';
import { basePolicy, startWorld, withoutChance } from '../support/world.ts';

// Google's own client, unchanged but for the base URL and who it trusts, through the whole sidecar.

const card = '4111 1111 1111 1111';
const text = `Pay ${card} or write to ana.maria@example.com today.`;
const masked = 'Pay [confidential] or write to [confidential] today.';
const model = 'gemini-2.5-pro';
const usageMetadata = { promptTokenCount: 3, candidatesTokenCount: 4, totalTokenCount: 7 };

let world: World;
let client: GoogleGenAI;
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
  client = new GoogleGenAI({
    apiKey: await world.token(),
    httpOptions: { baseUrl: world.url, fetch: trustingFetch(world.ca) },
  });
});
afterAll(() => world.close());

const pieces = (whole: string, size: number): string[] =>
  Array.from({ length: Math.ceil(whole.length / size) }, (_, at) => whole.slice(at * size, (at + 1) * size));
const said = (parts: readonly object[], more: object = {}): object => ({
  candidates: [{ content: { role: 'model', parts }, ...more }],
  usageMetadata,
});
const answers =
  (body: unknown, status = 200) =>
  (response: ServerResponse): void => {
    response.statusCode = status;
    response.setHeader('content-type', 'application/json; charset=UTF-8');
    response.end(JSON.stringify(body));
  };
const streams =
  (...parts: string[]) =>
  (response: ServerResponse): void => {
    response.setHeader('content-type', 'text/event-stream');
    for (const part of parts) response.write(part);
    response.end();
  };
const event = (body: object): string => `data: ${JSON.stringify(body)}\r\n\r\n`;
const sentBody = (): unknown => JSON.parse(world.model.seen.at(-1)?.body ?? '');

describe('a generation', () => {
  test('is masked over its parts, limited and recorded', async () => {
    const call = { functionCall: { name: 'pay', args: { card } } };
    world.model.script = answers(
      said([{ text: 'Hm. ', thought: true }, { text: text.slice(0, 9) }, call, { text: text.slice(9) }], {
        finishReason: 'STOP',
      }),
    );
    const answer = await client.models.generateContent({
      model,
      contents: 'hello',
      config: { systemInstruction: 'be kind', tools: [{ functionDeclarations: [{ name: 'pay' }] }] },
    });
    // As the client joins it, which warns of parts that are no text.
    const parts = answer.candidates?.[0]?.content?.parts ?? [];
    expect(parts.map((part) => (part.thought === true ? '' : (part.text ?? ''))).join('')).toBe(masked);
    expect(answer.functionCalls?.[0]?.args).toEqual({ card: '[confidential]' });
    expect(sentBody()).toMatchObject({ generationConfig: { maxOutputTokens: 64 } });
    expect(world.model.seen.at(-1)?.path).toBe(`/v1/models/${model}:generateContent`);
    expect(world.model.seen.at(-1)?.headers['x-goog-api-key']).toBeUndefined();
    const record = await world.record();
    expect(withoutChance(JSON.stringify(record))).not.toContain('4111');
    expect(record.find((one) => one['dialect'] === 'gemini')).toMatchObject({ operation: 'Chat', model });
  });

  test.each([1, 3, 500])('is masked in chunks of %i characters', async (size) => {
    world.model.script = streams(
      event(said([{ text: 'Hm. ', thought: true }])),
      ...pieces(text, size).map((piece) => event(said([{ text: piece }]))),
      event(said([{ functionCall: { name: 'pay', args: { card } } }], { finishReason: 'STOP' })),
    );
    let joined = '';
    const calls: unknown[] = [];
    for await (const chunk of await client.models.generateContentStream({ model, contents: 'hello' })) {
      for (const part of chunk.candidates?.[0]?.content?.parts ?? [])
        if (part.thought !== true) joined += part.text ?? '';
      calls.push(...(chunk.functionCalls ?? []));
    }
    expect(joined).toBe(masked);
    expect(calls).toMatchObject([{ name: 'pay', args: { card: '[confidential]' } }]);
    expect(world.model.seen.at(-1)?.path).toBe(`/v1/models/${model}:streamGenerateContent?alt=sse`);
  });

  test('as a list of chunks is one text', async () => {
    world.model.script = answers([
      ...pieces(text, 3).map((piece) => said([{ text: piece }])),
      said([], { finishReason: 'STOP' }),
    ]);
    const answer = await world.post(`/v1beta/models/${model}:streamGenerateContent`, {
      contents: [{ parts: [{ text: 'hello' }] }],
    });
    const chunks = JSON.parse(answer.text) as { candidates: { content: { parts: { text?: string }[] } }[] }[];
    const joined = chunks.flatMap(
      ({ candidates }) => candidates[0]?.content.parts.map((part) => part.text ?? '') ?? [],
    );
    expect(joined.join('')).toBe(masked);
  });

  test('that is refused is an error of the client', async () => {
    const refused: unknown = await client.models
      .generateContent({ model, contents: 'project falcon' })
      .catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(ApiError);
    expect(refused).toMatchObject({ status: 403, message: expect.stringContaining('"reason":"guard_blocked"') });
    await expect(client.models.generateContent({ model: 'secret', contents: 'hello' })).rejects.toMatchObject({
      status: 403,
    });
  });

  test.each([
    ['that the model breaks off', `{\n  "error": { "code": 500, "message": "lost ana@example.com" }\n}`],
    ['that cannot be read', 'data: no JSON\n\n'],
    [
      'that goes on after its end',
      event(said([{ text: 'x' }], { finishReason: 'STOP' })) + event(said([{ text: 'y' }])),
    ],
  ])('%s is an error of the client, whatever came before', async (_, rest) => {
    world.model.script = streams(event(said([{ text: 'Well. ' }])), rest);
    const read = async (): Promise<string> => {
      let joined = '';
      for await (const chunk of await client.models.generateContentStream({ model, contents: 'hello' }))
        joined += chunk.text ?? '';
      return joined;
    };
    await expect(read()).rejects.toThrow(/got status|Incomplete JSON segment/);
  });

  test('has its media and its grounding go through', async () => {
    const data = Buffer.from([
      ...Buffer.from('89504e470d0a1a0a00', 'hex'),
      ...Array.from({ length: 6_000 }, (_, at) => (at * 7 + (at >> 3)) % 251),
    ]).toString('base64');
    const groundingMetadata = {
      webSearchQueries: ['weather'],
      groundingChunks: [{ web: { uri: 'https://example.org/', title: 'Weather' } }],
      groundingSupports: [{ segment: { endIndex: 4, text: 'Rain' }, groundingChunkIndices: [0] }],
    };
    const body = said([{ text: 'Rain' }, { inlineData: { mimeType: 'image/png', data } }], {
      finishReason: 'STOP',
      groundingMetadata,
    });
    world.model.script = answers(body);
    const answer = await client.models.generateContent({
      model,
      contents: [{ role: 'user', parts: [{ text: 'look' }, { inlineData: { mimeType: 'image/png', data } }] }],
      config: { tools: [{ googleSearch: {} }] },
    });
    expect(answer.candidates).toEqual((body as { candidates: unknown }).candidates);
    expect(sentBody()).toMatchObject({ contents: [{ parts: [{}, { inlineData: { data } }] }] });
  });
});

test('tokens are counted, texts embedded, models listed', async () => {
  world.model.script = answers({ totalTokens: 7 });
  expect((await client.models.countTokens({ model, contents: 'hello' })).totalTokens).toBe(7);
  world.model.script = answers({ embeddings: [{ values: [0.25, 0.5] }] });
  const embedded = await client.models.embedContent({ model: 'gemini-embedding-001', contents: 'hello' });
  expect(embedded.embeddings?.[0]?.values).toEqual([0.25, 0.5]);
  expect(world.model.seen.at(-1)?.path).toContain(':batchEmbedContents');
  world.model.script = answers({ models: [{ name: `models/${model}` }, { name: 'models/secret' }] });
  const names: unknown[] = [];
  for await (const one of await client.models.list()) names.push(one.name);
  expect(names).toEqual([`models/${model}`]);
  const list = await world.call('GET', '/v1beta/models?pageSize=5');
  expect(JSON.parse(list.text)).toEqual({ models: [{ name: `models/${model}` }] });
});

test('a key in the query is no credential, and refused', async () => {
  const seen = world.model.seen.length;
  const body = { contents: [{ parts: [{ text: 'hello' }] }] };
  const answer = await world.post(`/v1beta/models/${model}:generateContent?key=AIza`, body);
  expect([answer.status, answer.text.includes('AIza')]).toEqual([400, false]);
  expect(world.model.seen).toHaveLength(seen);
  for (const target of ['/v1beta/models?key=AIza', `/v1beta/models/${model}?key=AIza`, '/v1/models?reload=1'])
    expect([target, (await world.call('GET', target)).status]).toEqual([target, 400]);
  expect(world.model.seen).toHaveLength(seen);
});

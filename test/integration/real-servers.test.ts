import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { asking, grpcCaller, said } from '../support/grpc-model.ts';
import type { Caller, Message } from '../support/grpc-model.ts';
import { findPython, startLlamaServer, startMlServer } from '../support/python-environments.ts';
import type { ModelProgram } from '../support/python-environments.ts';
import { trustingFetch } from '../support/trusting-fetch.ts';
import type { World } from '../support/world.ts';
import { basePolicy, startWorld } from '../support/world.ts';

// Before servers that others have written: what a stand-in of ours cannot show.

const text = 'Pay 4111 1111 1111 1111 or write to ana.maria@example.com today.';
const masked = 'Pay [confidential] or write to [confidential] today.';
/** It makes a model of random weights say the text. */
const grammar = `root ::= "${text}"`;
/** Python, and a server, start beside other tests. */
const patience = 240_000;

const policy = (issuer: string): string =>
  basePolicy(
    issuer,
    `  classification:
  - { label: confidential, detectors: [CreditCard, Email], visibleTo: [{ group: finance }], otherwise: Mask }
  guards:
  - { name: project, direction: Request, match: { words: [falcon] }, action: Block }
`,
  );

type Body = Readonly<Record<string, unknown>>;
const events = (source: string): Body[] =>
  [...source.matchAll(/^data: (\{.*\})$/gm)].map(([, data]) => JSON.parse(data ?? '') as Body);
const joined = (source: string, read: (event: Body) => unknown): string =>
  events(source)
    .map((event) => read(event) ?? '')
    .join('');
const codeOf = (answer: string): unknown => {
  const body = JSON.parse(answer) as { readonly code?: string; readonly error?: { readonly code?: string } };
  return body.code ?? body.error?.code;
};

const servers = [findPython('servers')].filter((one) => one !== undefined);

test('what they are made of has one version each', () => {
  // A server that is there was installed from test/servers/requirements.txt, whose digest names its folder.
  for (const python of servers) expect(python).toMatch(/\/servers-[0-9a-f]{12}\/bin\/python$/);
});

const llama = (python: string): void => {
  let server: ModelProgram;
  let world: World;
  beforeAll(async () => {
    server = await startLlamaServer(python);
    world = await startWorld({ policy, modelUrl: server.url });
  }, patience);
  afterAll(async () => {
    await world.close();
    await server.close();
  });
  const finance = (): Promise<string> => world.token({ groups: ['ml-eng', 'finance'] });

  test('completes, masked where the caller may not see it', async () => {
    const body = { prompt: 'hello', n_predict: 80, grammar };
    const answer = await world.post('/completion', body);
    expect([answer.status, JSON.parse(answer.text)]).toMatchObject([200, { content: masked, tokens: [] }]);
    // The request's own grammar comes back in the settings: it says the same card.
    expect(answer.text).not.toContain('4111');
    const seen = await world.post('/completion', body, { token: await finance() });
    expect(JSON.parse(seen.text)).toMatchObject({ content: text });
  });

  test('streams a token a letter, masked as a whole text is', async () => {
    const body = { prompt: 'hello', n_predict: 80, grammar, stream: true };
    const answer = await world.post('/completion', body);
    expect([answer.status, answer.broken]).toEqual([200, false]);
    expect(joined(answer.text, ({ content }) => content)).toBe(masked);
    expect(answer.text).not.toContain('4111');
    expect(events(answer.text).at(-1)).toMatchObject({ stop: true });
    const seen = await world.post('/completion', body, { token: await finance() });
    expect(joined(seen.text, ({ content }) => content)).toBe(text);
  });

  test('chats by OpenAI’s client, whole and as a stream, with log-probabilities too', async () => {
    const client = new OpenAI({
      baseURL: `${world.url}/v1`,
      apiKey: await world.token(),
      maxRetries: 0,
      fetch: trustingFetch(world.ca),
    });
    const asked = {
      model: 'tiny',
      max_tokens: 80,
      messages: [{ role: 'user' as const, content: 'hi' }],
      ...{ grammar },
    };
    const whole = await client.chat.completions.create(asked);
    expect(whole.choices[0]?.message.content).toBe(masked);
    const spelled = await client.chat.completions.create({ ...asked, logprobs: true, top_logprobs: 2 });
    expect(spelled.choices[0]?.message.content).toBe(masked);
    const tokens = (spelled.choices[0]?.logprobs?.content ?? []).map(({ token }) => token);
    expect(tokens.join('')).not.toMatch(/4111|maria/);
    let streamed = '';
    for await (const chunk of await client.chat.completions.create({ ...asked, stream: true }))
      streamed += chunk.choices[0]?.delta.content ?? '';
    expect(streamed).toBe(masked);
    const refused = client.chat.completions.create({ ...asked, messages: [{ role: 'user', content: 'falcon' }] });
    await expect(refused).rejects.toMatchObject({ status: 403, code: 'guard_blocked' });
  });

  test('completes and lists by OpenAI’s routes; tokens are hidden, and ids refused', async () => {
    const answer = await world.post('/v1/completions', { model: 'tiny', prompt: 'hello', max_tokens: 80, grammar });
    expect(JSON.parse(answer.text)).toMatchObject({ choices: [{ text: masked }] });
    const models = JSON.parse((await world.call('GET', '/v1/models')).text) as { readonly data: readonly object[] };
    expect(models.data).toHaveLength(1);
    expect(JSON.parse((await world.post('/tokenize', { content: 'hello' })).text)).toEqual({ tokens: [] });
    expect(codeOf((await world.post('/detokenize', { tokens: [104, 105] })).text)).toBe('token_input_uninspectable');
    for (const path of ['/slots', '/props', '/lora-adapters'])
      expect([path, (await world.call('GET', path)).status]).toEqual([path, 403]);
    expect((await world.call('GET', '/metrics')).status).toBe(403);
  });
};

const embeddings = (python: string): void => {
  let server: ModelProgram;
  let world: World;
  beforeAll(async () => {
    server = await startLlamaServer(python, 'embeddings');
    world = await startWorld({ policy, modelUrl: server.url });
  }, patience);
  afterAll(async () => {
    await world.close();
    await server.close();
  });

  test('gives the very numbers that it gives without a sidecar', async () => {
    for (const [path, body] of [
      ['/v1/embeddings', { model: 'tiny', input: 'hello' }],
      ['/embedding', { content: 'hello' }],
    ] as const) {
      const direct = await fetch(`${server.url}${path}`, { method: 'POST', body: JSON.stringify(body) });
      const answer = await world.post(path, body);
      expect([path, answer.status, answer.text]).toEqual([path, 200, await direct.text()]);
    }
    expect(codeOf((await world.post('/v1/embeddings', { model: 'tiny', input: 'falcon' })).text)).toBe('guard_blocked');
  });
};

const mlServer = (python: string): void => {
  let server: ModelProgram;
  let world: World;
  let caller: Caller;
  beforeAll(async () => {
    server = await startMlServer(python);
    world = await startWorld({ policy, modelUrl: server.url, rpcUrl: server.rpcUrl });
    caller = grpcCaller(world.port, world.ca, await world.token());
  }, patience);
  afterAll(async () => {
    caller.close();
    await world.close();
    await server.close();
  });
  const inputs = (prompt: string): object[] => [
    { name: 'text', shape: [1, 1], datatype: 'BYTES', data: [prompt] },
    { name: 'x', shape: [3], datatype: 'FP64', data: [1.5, -2, 0.25] },
  ];

  test('infers by REST: texts masked, numbers as they are', async () => {
    const answer = await world.post('/v2/models/echo/infer', { inputs: inputs(text) });
    expect([answer.status, JSON.parse(answer.text)]).toMatchObject([
      200,
      {
        model_name: 'echo',
        outputs: [
          { name: 'text', data: [masked] },
          { name: 'doubled', data: [3, -4, 0.5] },
        ],
      },
    ]);
    expect(codeOf((await world.post('/v2/models/echo/infer', { inputs: inputs('falcon') })).text)).toBe(
      'guard_blocked',
    );
  });

  test('errors that repeat what was asked are masked', async () => {
    const answer = await world.post('/v2/models/echo/infer', { inputs: [{ name: text, shape: 'none', data: [] }] });
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.text).not.toContain('4111');
  });

  test('is asked by its own name, and managed by nobody', async () => {
    expect(JSON.parse((await world.call('GET', '/v2/models/echo')).text)).toMatchObject({ name: 'echo' });
    expect((await world.call('GET', '/v2/models/echo/ready')).status).toBe(200);
    expect((await world.post('/v2/repository/models/echo/unload', {})).status).toBe(403);
    expect((await world.post('/v2/models/none/infer', { inputs: inputs('hello') })).status).toBe(404);
  });

  test('streams by REST', async () => {
    const answer = await world.post('/v2/models/echo/generate_stream', { inputs: inputs(text).slice(0, 1) });
    const all = events(answer.text) as unknown as {
      readonly outputs: readonly { readonly data: readonly string[] }[];
    }[];
    expect(all.length).toBeGreaterThan(5);
    // What its clients need to read a tensor stands in each event.
    expect(all).toEqual(
      all.map(() =>
        expect.objectContaining({
          model_name: 'echo',
          outputs: [expect.objectContaining({ name: 'text', datatype: 'BYTES', parameters: { content_type: 'str' } })],
        }),
      ),
    );
    expect(all.map(({ outputs }) => outputs[0]?.data[0]).join('')).toBe(masked);
  });

  test('infers by gRPC', async () => {
    const answered = await caller.call('ModelInfer', asking(text, { model_name: 'echo' }));
    expect([answered.details, said(answered.answer ?? {})]).toEqual(['', [masked]]);
    const refused = await caller.call('ModelInfer', asking('falcon', { model_name: 'echo' }));
    expect(refused.code).toBe(7);
    expect((await caller.call('ModelReady', { name: 'echo' } as Message)).answer).toMatchObject({ ready: true });
    expect((await caller.call('RepositoryModelUnload', { model_name: 'echo' } as Message)).code).toBe(7);
  });
};

for (const python of servers) {
  describe('llama.cpp’s server', () => llama(python));
  describe('llama.cpp’s server of embeddings', () => embeddings(python));
  describe('MLServer', () => mlServer(python));
}

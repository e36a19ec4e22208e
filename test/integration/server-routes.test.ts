import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { World } from '../support/world.ts';
import { basePolicy, startWorld } from '../support/world.ts';

// The model servers' own routes through the whole sidecar: TGI, SGLang, vLLM, llama.cpp, KServe and Triton, by stand-ins whose answers have the
// shapes of the real ones.

const card = '4111 1111 1111 1111';
const text = `Pay ${card} or write to ana.maria@example.com today.`;
const masked = 'Pay [confidential] or write to [confidential] today.';

let world: World;
beforeAll(async () => {
  world = await startWorld({
    policy: (issuer) =>
      basePolicy(
        issuer,
        // Of KServe's models nobody knows how their output is limited: they are let by with a rule of their own.
        `    limits: { maxOutputTokens: 64 }
  - { name: tensors, effect: Allow, subjects: [{ group: ml-eng }], operations: [Completions], models: [m] }
  classification:
  - { label: confidential, detectors: [CreditCard, Email], visibleTo: [], otherwise: Mask }
  guards:
  - { name: project, direction: Request, match: { words: [falcon] }, action: Block }
`,
      ),
  });
});
afterAll(() => world.close());

const answers =
  (body: unknown, status = 200) =>
  (response: ServerResponse): void => {
    response.statusCode = status;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(body));
  };
const streams =
  (...events: unknown[]) =>
  (response: ServerResponse): void => {
    response.setHeader('content-type', 'text/event-stream');
    for (const event of events)
      response.write(`data: ${typeof event === 'string' ? event : JSON.stringify(event)}\n\n`);
    response.end();
  };
const pieces = (whole: string, size: number): string[] =>
  Array.from({ length: Math.ceil(whole.length / size) }, (_, at) => whole.slice(at * size, (at + 1) * size));

type Body = Readonly<Record<string, unknown>>;
const parsed = (source: string): Body => JSON.parse(source) as Body;
const events = (source: string): Body[] =>
  [...source.matchAll(/^data: (\{.*\})$/gm)].map(([, data]) => parsed(data ?? ''));
const sent = (): Body => parsed(world.model.seen.at(-1)?.body ?? '');

async function post(path: string, body: unknown): Promise<Body> {
  const answer = await world.post(path, body);
  expect([path, answer.status, answer.text]).toEqual([path, 200, expect.any(String)]);
  return parsed(answer.text);
}

/** The library, where Python has it: no test installs it. */
const importable = (library: string): string[] =>
  spawnSync('python3', ['-c', `import ${library}`]).status === 0 ? [library] : [];

/** What a program of these lines prints; it trusts the sidecar. */
async function python(lines: readonly string[], args: readonly string[]): Promise<string> {
  const bundle = join(world.folder, 'python-ca.pem');
  writeFileSync(bundle, world.ca);
  const env = { ...process.env, REQUESTS_CA_BUNDLE: bundle };
  const program = spawn('python3', ['-c', lines.join('\n'), ...args], { env });
  let out = '';
  for (const stream of [program.stdout, program.stderr])
    stream.on('data', (chunk: Buffer) => (out += chunk.toString('utf8')));
  await once(program, 'close');
  return out;
}

const token = (piece: string): object => ({ id: 7, text: piece, logprob: -0.5, special: false });

describe('TGI', () => {
  test('answers whole, without what spells the answer again', async () => {
    const details = { finish_reason: 'eos_token', generated_tokens: 3, seed: null, prefill: [], tokens: [token(card)] };
    world.model.script = answers({ generated_text: text, details });
    expect(await post('/generate', { inputs: 'hi', parameters: { details: true } })).toEqual({
      generated_text: masked,
      details: { ...details, tokens: [] },
    });
    expect(sent()).toEqual({ inputs: 'hi', parameters: { max_new_tokens: 64, details: true } });
    world.model.script = answers([{ generated_text: text }]);
    expect(await post('/', { inputs: 'hi' })).toEqual([{ generated_text: masked }]);
  });

  test.each([1, 3, 500])('streams in tokens of %i characters', async (size) => {
    const parts = pieces(text, size);
    const details = { finish_reason: 'eos_token', generated_tokens: parts.length, seed: null, input_length: 1 };
    world.model.script = streams(
      ...parts.map((part, index) => ({ index, token: token(part), generated_text: null, details: null })),
      { index: parts.length, token: { ...token('</s>'), special: true }, generated_text: text, details },
    );
    const answer = await world.post('/generate_stream', { inputs: 'hi' });
    const all = events(answer.text);
    const joined = all
      .map(({ token: one }) => one as { text: string; special: boolean })
      .filter(({ special }) => !special);
    expect(joined.map((one) => one.text).join('')).toBe(masked);
    expect(all.at(-1)).toMatchObject({ generated_text: masked, details });
  });

  for (const library of importable('text_generation')) {
    test(`is read by its own client, which makes errors of refusals (${library})`, async () => {
      const details = { finish_reason: 'eos_token', generated_tokens: 3, seed: null };
      world.model.script = (response) => {
        const asked = sent();
        if (asked['stream'] !== true)
          return answers([{ generated_text: text, details: { ...details, prefill: [], tokens: [token(card)] } }])(
            response,
          );
        return streams(
          ...pieces(text, 3).map((part, index) => ({ index, token: token(part), generated_text: null, details: null })),
          { index: 99, token: token(''), generated_text: text, details },
        )(response);
      };
      const lines = [
        `import sys, ${library}`,
        'port, token = sys.argv[1:]',
        `client = ${library}.Client('https://localhost:' + port, headers={'authorization': 'Bearer ' + token})`,
        "print(client.generate('hi').generated_text)",
        "parts = list(client.generate_stream('hi'))",
        "print(''.join(part.token.text for part in parts))",
        'print(parts[-1].generated_text)',
        'try:',
        "  client.generate('project falcon')",
        'except Exception as error:',
        '  print(type(error).__name__)',
      ];
      expect(await python(lines, [String(world.port), await world.token()])).toBe(
        `${masked}\n${masked}\n${masked}\nValidationError\n`,
      );
    });
  }

  test('refuses in its own shape', async () => {
    const answer = await world.post('/generate', { inputs: 'project falcon' });
    expect([answer.status, parsed(answer.text)]).toMatchObject([
      403,
      { error: expect.any(String), error_type: 'validation', code: 'guard_blocked' },
    ]);
    world.model.script = streams({ index: 0, token: token('Well. ') }, 'no JSON');
    const broken = await world.post('/generate_stream', { inputs: 'hi' });
    expect(events(broken.text).at(-1)).toMatchObject({ error_type: 'generation', code: 'response_uninspectable' });
  });
});

test('SGLang streams all of its text so far in each event, masked as far as it goes', async () => {
  const said = pieces(text, 5).map((_, at) => text.slice(0, (at + 1) * 5));
  const meta = { id: 'x', prompt_tokens: 3, completion_tokens: 4 };
  world.model.script = streams(
    ...said.map((one, at) => ({
      text: one,
      output_ids: [5],
      meta_info: { ...meta, finish_reason: at + 1 < said.length ? null : { type: 'stop', matched: 2 } },
    })),
    '[DONE]',
  );
  const answer = await world.post('/generate', { text: 'hello', stream: true });
  const left = events(answer.text);
  expect(sent()).toMatchObject({ stream: true, sampling_params: { max_new_tokens: 64 } });
  expect(left.at(-1)).toMatchObject({ text: masked, output_ids: [] });
  for (const { text: one } of left) expect(masked.startsWith(one as string)).toBe(true);
  expect(answer.text.endsWith('data: [DONE]\n\n')).toBe(true);
  // One that says what is new alone cannot be read so.
  world.model.script = streams({ text: 'Pay 4111 ' }, { text: '1111' }, '[DONE]');
  const broken = await world.post('/generate', { text: 'hello', stream: true });
  expect(broken.text).toContain('response_uninspectable');
  expect(broken.text).not.toContain('[DONE]');
});

test('SGLang answers whole, and its ids are hidden', async () => {
  const meta_info = { id: 'i', finish_reason: { type: 'stop', matched: 2 }, prompt_tokens: 3, completion_tokens: 4 };
  world.model.script = answers({ text, output_ids: [5, 6], meta_info });
  expect(await post('/generate', { text: 'hi' })).toEqual({ text: masked, output_ids: [], meta_info });
  expect(sent()).toEqual({ text: 'hi', sampling_params: { max_new_tokens: 64 } });
});

describe('llama.cpp', () => {
  const settings = { n_predict: 64, samplers: ['top_k'], stop: [] };
  const last = {
    stop: true,
    stop_type: 'eos',
    tokens_predicted: 3,
    tokens_evaluated: 2,
    generation_settings: settings,
  };

  test('answers whole', async () => {
    world.model.script = answers({ index: 0, content: text, tokens: [7], ...last });
    for (const path of ['/completion', '/completions'])
      expect(await post(path, { prompt: 'hi', model: 'llama3' })).toMatchObject({ content: masked, tokens: [] });
    expect((await post('/infill', { input_prefix: 'a', input_suffix: 'b' }))['content']).toBe(masked);
    expect(sent()).toEqual({ n_predict: 64, input_prefix: 'a', input_suffix: 'b' });
  });

  test.each([1, 4])('streams in pieces of %i characters', async (size) => {
    world.model.script = streams(
      ...pieces(text, size).map((content) => ({ index: 0, content, tokens: [7], stop: false })),
      { index: 0, content: '', tokens: [], ...last },
    );
    const answer = await world.post('/completion', { prompt: 'hi', stream: true });
    expect(
      events(answer.text)
        .map(({ content }) => content)
        .join(''),
    ).toBe(masked);
  });

  test('gives embeddings, and refuses in its own shape', async () => {
    world.model.script = answers([{ index: 0, embedding: [[0.5, 1]] }]);
    expect(await post('/embedding', { content: 'hi' })).toEqual([{ index: 0, embedding: [[0.5, 1]] }]);
    const answer = await world.post('/completion', { prompt: 'project falcon' });
    expect([answer.status, parsed(answer.text)]).toMatchObject([403, { error: { code: 'guard_blocked' } }]);
  });
});

describe('texts that are read and not continued', () => {
  test('are ranked, scored and made of tokens again', async () => {
    const results = [{ index: 0, document: { text }, relevance_score: 0.9 }];
    world.model.script = answers({ id: 'r', model: 'm', results });
    expect(await post('/v1/rerank', { model: 'm', query: 'q', documents: ['a'] })).toEqual({
      ...{ id: 'r', model: 'm' },
      results: [{ index: 0, document: { text: masked }, relevance_score: 0.9 }],
    });
    world.model.script = answers({ data: [{ index: 0, object: 'score', score: 0.5 }] });
    expect(await post('/score', { text_1: 'a', text_2: 'b' })).toEqual({
      data: [{ index: 0, object: 'score', score: 0.5 }],
    });
    world.model.script = answers({ count: 2, max_model_len: 9, tokens: [5, 6], token_strs: null });
    expect(await post('/tokenize', { prompt: 'hi' })).toMatchObject({ count: 2, tokens: [] });
  });

  test('are guarded, and tokens that nobody can read are refused', async () => {
    const seen = world.model.seen.length;
    const ranked = await world.post('/rerank', { query: 'q', documents: ['project falcon'] });
    const tokens = await world.post('/detokenize', { tokens: [5] });
    expect([ranked, tokens].map(({ status, text: body }) => [status, (parsed(body)['error'] as Body)['code']])).toEqual(
      [
        [403, 'guard_blocked'],
        [400, 'token_input_uninspectable'],
      ],
    );
    for (const path of ['/v1/load_lora_adapter', '/update_weights_from_disk', '/flush_cache', '/sleep'])
      expect((await world.post(path, {})).status).toBe(403);
    expect(world.model.seen).toHaveLength(seen);
  });
});

describe('KServe and Triton', () => {
  const tensor = (data: unknown): object => ({ name: 'x', shape: [1], datatype: 'BYTES', data });

  test('predict, infer and generate', async () => {
    world.model.script = answers({ predictions: [text, { score: 0.5 }] });
    expect(await post('/v1/models/m:predict', { instances: ['hi'] })).toEqual({
      predictions: [masked, { score: 0.5 }],
    });
    world.model.script = answers({ model_name: 'm', outputs: [tensor([text])] });
    expect(await post('/v2/models/m/infer', { inputs: [tensor(['hi'])] })).toEqual({
      model_name: 'm',
      outputs: [tensor([masked])],
    });
    world.model.script = answers({ model_name: 'm', model_version: '1', text_output: text });
    expect((await post('/v2/models/m/generate', { text_input: 'hi' }))['text_output']).toBe(masked);
    expect(await world.record()).toContainEqual(
      expect.objectContaining({ dialect: 'kserve', operation: 'Completions', model: 'm' }),
    );
  });

  test.each([1, 4])('generate a stream in pieces of %i characters', async (size) => {
    world.model.script = streams(
      ...pieces(text, size).map((text_output) => ({ model_name: 'm', model_version: '1', text_output })),
    );
    const answer = await world.post('/v2/models/m/generate_stream', { text_input: 'hi' });
    expect(
      events(answer.text)
        .map((one) => one['text_output'])
        .join(''),
    ).toBe(masked);
  });

  /** Texts of a tensor, each behind its length, and three numbers of another. */
  const packed = (...texts: string[]): Buffer =>
    Buffer.concat(
      texts.flatMap((one) => {
        const length = Buffer.alloc(4);
        length.writeUInt32LE(Buffer.byteLength(one));
        return [length, Buffer.from(one)];
      }),
    );
  const numbers = Buffer.from(new Float32Array([1.5, -2, 0.25]).buffer);
  function binary(list: string, ...texts: string[]): { readonly body: Buffer; readonly length: string } {
    const bytes = packed(...texts);
    const of = (name: string, datatype: string, size: number, dimension: number): object => ({
      ...{ name, datatype, shape: [dimension] },
      parameters: { binary_data_size: size },
    });
    const tensors = [of('text', 'BYTES', bytes.length, texts.length), of('score', 'FP32', numbers.length, 3)];
    const head = Buffer.from(JSON.stringify({ model_name: 'm', model_version: '1', [list]: tensors }));
    return { body: Buffer.concat([head, bytes, numbers]), length: String(head.length) };
  }
  const answersBinary =
    ({ body, length }: ReturnType<typeof binary>) =>
    (response: ServerResponse): void => {
      response.setHeader('content-type', 'application/octet-stream');
      response.setHeader(jsonLength, length);
      response.end(body);
    };
  const jsonLength = 'inference-header-content-length';
  const typed = (length: string): Record<string, string> => ({
    'content-type': 'application/octet-stream',
    [jsonLength]: length,
  });

  test('infer with tensors behind the JSON: texts are masked, lengths repaired, numbers as they were', async () => {
    world.model.script = answersBinary(binary('outputs', text, 'well'));
    const { body, length } = binary('inputs', 'hi');
    const answer = await world.call('POST', '/v2/models/m/infer', { body, headers: typed(length) });
    const expected = binary('outputs', masked, 'well');
    expect([answer.status, answer.headers[jsonLength], answer.headers['content-type']]).toEqual([
      ...[200, expected.length, 'application/octet-stream'],
    ]);
    expect(answer.text).toBe(expected.body.toString('utf8'));
    const seen = world.model.seen.at(-1);
    expect([seen?.body, seen?.headers[jsonLength]]).toEqual([body.toString('utf8'), length]);
    const blocked = binary('inputs', 'hi', 'project falcon');
    const refused = await world.call('POST', '/v2/models/m/infer', {
      body: blocked.body,
      headers: typed(blocked.length),
    });
    expect([refused.status, parsed(refused.text)]).toMatchObject([403, { code: 'guard_blocked' }]);
    // What the model says of its lengths is not believed.
    world.model.script = answersBinary({ ...binary('outputs', text), length: '5' });
    const broken = await world.call('POST', '/v2/models/m/infer', { body, headers: typed(length) });
    expect([broken.status, parsed(broken.text)]).toMatchObject([502, { code: 'response_uninspectable' }]);
  });

  for (const library of importable('tritonclient.http')) {
    test(`infer by the real client (${library})`, async () => {
      world.model.script = answersBinary(binary('outputs', text));
      const lines = [
        `import os, sys, numpy, ${library} as triton`,
        'port, token = sys.argv[1:]',
        "client = triton.InferenceServerClient('localhost:' + port, ssl=True, ssl_options={'ca_certs': os.environ['REQUESTS_CA_BUNDLE']})",
        "asked = triton.InferInput('text', [1], 'BYTES')",
        "asked.set_data_from_numpy(numpy.array([b'hi'], dtype=object))",
        "wanted = [triton.InferRequestedOutput('text'), triton.InferRequestedOutput('score')]",
        "result = client.infer('m', [asked], outputs=wanted, headers={'authorization': 'Bearer ' + token})",
        "print(result.as_numpy('text')[0].decode(), result.as_numpy('score').tolist())",
      ];
      const out = await python(lines, [String(world.port), await world.token()]);
      expect(out).toBe(`${masked} [1.5, -2.0, 0.25]\n`);
    });
  }

  test('refuse in their own shape', async () => {
    const seen = world.model.seen.length;
    const answer = await world.post('/v2/models/m/infer', { inputs: [tensor(['project falcon'])] });
    expect([answer.status, parsed(answer.text)]).toMatchObject([
      403,
      { error: expect.any(String), code: 'guard_blocked' },
    ]);
    expect((await world.post('/v2/repository/models/m/unload', {})).status).toBe(403);
    expect(world.model.seen).toHaveLength(seen);
  });

  test('where no tensors follow, what says so is refused', async () => {
    const body = { model: 'llama3', messages: [{ role: 'user', content: 'hi' }] };
    const asked = await world.post('/v1/chat/completions', body, { headers: { [jsonLength]: '5' } });
    expect(asked.status).toBe(415);
    world.model.script = answersBinary({ body: Buffer.from('{"choices":[]}'), length: '14' });
    const answer = await world.post('/v1/chat/completions', body);
    expect([answer.status, parsed(answer.text)]).toMatchObject([502, { error: { code: 'response_uninspectable' } }]);
  });
});

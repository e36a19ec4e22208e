import { describe, expect, it, test } from '@jest/globals';
import { applyEdits, parseJson } from '../base/index.ts';
import { RefusedError } from '../core/index.ts';
import type { RequestView } from './index.ts';
import { recognise, recogniseSocket } from './index.ts';

/** The promise of every dialect that limits output: whatever a caller writes where a limit stands, what leaves says one limit, once, and no more than the rule's. */

const most = 5;

const messages = [{ role: 'user', content: 'a' }];
interface Limited {
  readonly path: string;
  readonly body: object;
  /** Where the limit may stand: names, and the objects around them. */
  readonly places: readonly (readonly [object: string | undefined, name: string])[];
}
const dialects: readonly Limited[] = [
  {
    path: '/v1/chat/completions',
    body: { model: 'm', messages },
    places: [
      [undefined, 'max_tokens'],
      [undefined, 'max_completion_tokens'],
    ],
  },
  { path: '/v1/completions', body: { model: 'm', prompt: 'a' }, places: [[undefined, 'max_tokens']] },
  { path: '/v1/responses', body: { model: 'm', input: 'a' }, places: [[undefined, 'max_output_tokens']] },
  { path: '/v1/messages', body: { model: 'm', messages }, places: [[undefined, 'max_tokens']] },
  { path: '/api/chat', body: { model: 'm', messages }, places: [['options', 'num_predict']] },
  { path: '/api/generate', body: { model: 'm', prompt: 'a' }, places: [['options', 'num_predict']] },
  { path: '/generate', body: { inputs: 'a' }, places: [['parameters', 'max_new_tokens']] },
  { path: '/generate', body: { text: 'a' }, places: [['sampling_params', 'max_new_tokens']] },
  { path: '/', body: { inputs: 'a' }, places: [['parameters', 'max_new_tokens']] },
  {
    path: '/completion',
    body: { prompt: 'a' },
    places: [
      [undefined, 'n_predict'],
      [undefined, 'max_tokens'],
    ],
  },
  { path: '/v2/chat', body: { model: 'm', messages }, places: [[undefined, 'max_tokens']] },
  {
    path: '/model/m/converse',
    body: { messages: [{ role: 'user', content: [{ text: 'a' }] }] },
    places: [['inferenceConfig', 'maxTokens']],
  },
  {
    path: '/model/m/invoke',
    body: { anthropic_version: 'bedrock-2023-05-31', messages },
    places: [[undefined, 'max_tokens']],
  },
  {
    path: '/v1beta/models/m:generateContent',
    body: { contents: [{ parts: [{ text: 'a' }] }] },
    places: [
      ['generationConfig', 'maxOutputTokens'],
      ['generationConfig', 'max_output_tokens'],
      ['generation_config', 'maxOutputTokens'],
      ['generation_config', 'max_output_tokens'],
    ],
  },
  {
    path: 'realtime',
    body: { type: 'response.create' },
    places: [
      ['response', 'max_output_tokens'],
      ['response', 'max_response_output_tokens'],
    ],
  },
  {
    path: 'realtime',
    body: { type: 'session.update', session: {} },
    places: [
      ['session', 'max_output_tokens'],
      ['session', 'max_response_output_tokens'],
    ],
  },
];

function read(path: string, source: string): RequestView {
  const route = path === 'realtime' ? recogniseSocket('/v1/realtime') : recognise('POST', path);
  return route.dialect.request(route, parseJson(source));
}

/** What leaves; undefined: nothing does. */
function leaving(path: string, body: object): string | undefined {
  const source = JSON.stringify(body);
  try {
    return applyEdits(source, read(path, source).limitOutput(most));
  } catch (error) {
    if (error instanceof RefusedError) return undefined;
    throw error;
  }
}

const written: readonly unknown[] = [undefined, null, 1, most, most + 1, 100_000, 0, -1, 'inf', '9', 1.5, [], {}];

const cases = dialects.flatMap(({ path, body, places }) => [
  ...places.flatMap(([object, name]) =>
    written.map((value): [string, object] => [
      path,
      object === undefined ? { ...body, [name]: value } : { ...body, [object]: { [name]: value } },
    ]),
  ),
  ...places.flatMap(([object]) =>
    object === undefined
      ? []
      : [null, [], {}, 'x'].map((value): [string, object] => [path, { ...body, [object]: value }]),
  ),
]);

describe('a limit of the output', () => {
  test.each(cases)('at %s is written once into %j, or that is refused', (path, body) => {
    const text = leaving(path, body);
    if (text === undefined) return;
    // A key that comes twice is no JSON here.
    expect(() => parseJson(text)).not.toThrow();
    const again = read(path, text).maxOutputTokens;
    expect(again).toBeGreaterThanOrEqual(0);
    expect(again).toBeLessThanOrEqual(most);
  });

  it('is written where nothing is', () => {
    for (const { path, body } of dialects) expect(leaving(path, body)).toContain(String(most));
  });
});

describe('a limit that a dialect does not know', () => {
  const words = [
    ...[
      'max_tokens',
      'maxTokens',
      'max_new_tokens',
      'maxNewTokens',
      'max-new-tokens',
      'max_output_tokens',
      'max_completion_tokens',
    ],
    ...['max_tokens_to_sample', 'max_token_count', 'max_length', 'max_gen_len', 'num_predict', 'n_predict'],
    ...['num_return_sequences', 'num_beams', 'best_of', 'num_generations', 'candidate_count', 'candidateCount'],
    'auto_max_new_tokens',
  ];
  const around = (name: string, value: unknown): object => ({ new_field: [{ deep: { [name]: value } }] });

  test.each(dialects.flatMap(({ path, body }) => words.map((name): [string, object, string] => [path, body, name])))(
    'at %s, in %j, is refused by %s',
    (path, body, name) => {
      const source = (value: unknown): string => JSON.stringify({ ...body, ...around(name, value) });
      expect(() => read(path, source(9))).toThrow(expect.objectContaining({ code: 'invalid_request' }));
      expect(() => read(path, source('9'))).toThrow(expect.objectContaining({ code: 'invalid_request' }));
      expect(() => read(path, source(null))).not.toThrow();
    },
  );

  test.each([
    ['/v1/chat/completions', { model: 'm', messages, parameters: { max_new_tokens: 9 } }, 'max_new_tokens'],
    ['/v1/chat/completions', { model: 'm', messages, options: { num_predict: 9 } }, 'num_predict'],
    ['/v1/completions', { model: 'm', prompt: 'a', sampling_params: { max_new_tokens: 9 } }, 'max_new_tokens'],
    ['/v1/chat/completions', { model: 'm', messages, maxNewTokens: 9 }, 'max_new_tokens'],
    ['/v1/chat/completions', { model: 'm', messages, max_tokens: 5, auto_max_new_tokens: true }, 'auto_max_new_tokens'],
    ['/v1/completions', { model: 'm', prompt: 'a', auto_max_new_tokens: true }, 'auto_max_new_tokens'],
    ['/v1/messages', { model: 'm', messages, auto_max_new_tokens: true }, 'auto_max_new_tokens'],
    ['/v1/responses', { model: 'm', input: 'a', auto_max_new_tokens: true }, 'auto_max_new_tokens'],
    ['/v1/chat/completions', { model: 'm', messages, candidate_count: 9 }, 'candidate_count'],
    ['/v1/chat/completions', { model: 'm', messages, candidateCount: 9 }, 'candidate_count'],
    ['/v1/chat/completions', { model: 'm', messages, num_generations: 9 }, 'num_generations'],
    ['/v1/messages', { model: 'm', messages, num_generations: 9 }, 'num_generations'],
    ['/generate', { inputs: 'a', parameters: { num_return_sequences: 9 } }, 'parameters.num_return_sequences'],
    ['/generate', { text: 'a', sampling_params: { candidate_count: 9 } }, 'sampling_params.candidate_count'],
    ['/v1/messages', { model: 'm', messages, max_tokens_to_sample: 9 }, 'max_tokens_to_sample'],
    ['/v2/chat', { model: 'm', messages, maxTokens: 9 }, 'maxTokens'],
  ])('to %s of %j is refused for %s', (path, body, detail) => {
    expect(() => read(path, JSON.stringify(body))).toThrow(
      expect.objectContaining({ code: 'invalid_request', detail }),
    );
  });

  test.each([
    ['/v1/chat/completions', { model: 'm', messages, metadata: { max_tokens: '9' }, documents: [{ max_length: 9 }] }],
    ['/v1/chat/completions', { model: 'm', messages, response_format: { json_schema: { schema: { maxLength: 9 } } } }],
    ['/v1/chat/completions', { model: 'm', messages, new_tool: { schema: { maxTokens: 9 }, maxLength: 9 } }],
    ['/v1/chat/completions', { model: 'm', messages, auto_max_new_tokens: false, candidate_count: null }],
    ['/v1/embeddings', { model: 'm', input: 'a', max_length: 9, processor: { max_tokens: 9 } }],
    ['/rerank', { query: 'a', documents: ['b'], max_tokens: 9 }],
    ['/v2/models/m/generate', { text_input: 'a', max_tokens: 9, parameters: { max_new_tokens: 9 } }],
    ['/v1/models/m:predict', { instances: ['a'], parameters: { max_new_tokens: 9 } }],
  ])('to %s passes in %j, where it limits none', (path, body) => {
    expect(() => read(path, JSON.stringify(body))).not.toThrow();
  });
});

/** Fields by which a server that shares the path takes its prompt, limit or model: whoever reads for one of them must not let the other's in. */
describe('a body that two servers could take', () => {
  const tgi = { inputs: 'a', parameters: { max_new_tokens: 1 } };
  const sglang = { text: 'a', sampling_params: { max_new_tokens: 1 } };
  test.each([
    ...['text', 'input_ids', 'input_embeds', 'prompt_embeds', 'image_data', 'video_data', 'audio_data'].map(
      (name): [object, string] => [{ ...tgi, [name]: 'b' }, name],
    ),
    [{ ...tgi, sampling_params: { max_new_tokens: 100_000 } }, 'sampling_params'],
    [{ ...tgi, sampling_params: {} }, 'sampling_params'],
    [{ ...tgi, inputs: '', ...sglang }, 'text'],
    [{ ...tgi, lora_id: 'x' }, 'lora_id'],
    [{ ...sglang, parameters: {} }, 'parameters'],
    [{ ...sglang, parameters: { max_new_tokens: 100_000 } }, 'parameters'],
  ] satisfies [object, string][])('%j is refused for %s', (body, detail) => {
    expect(() => read('/generate', JSON.stringify(body))).toThrow(
      expect.objectContaining({ code: 'invalid_request', detail }),
    );
  });
});

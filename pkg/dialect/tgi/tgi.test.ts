import { describe, expect, it, test } from '@jest/globals';
import { recognise } from '../index.ts';
import { answer, frame, lanes, limited, refusing, removed, request, unreadable } from '../testing/reading.ts';

const refused = (detail: string): unknown => expect.objectContaining(refusing(detail));
const unread = (detail: string): unknown => expect.objectContaining(unreadable(detail));

describe("a request of TGI's", () => {
  it('is read in every text', () => {
    const view = request('/generate', {
      inputs: 'Once',
      parameters: { stop: ['END'], grammar: { type: 'json', value: { description: 'd' } }, other: 'o' },
      x: 'y',
    });
    expect(lanes(view)).toEqual([
      'inputs=Once',
      'parameters.stop[0]=END',
      'parameters.grammar.value.description=d',
      'parameters.{}=o',
      '{}=y',
    ]);
    expect(view).toMatchObject({ model: undefined, generates: true, stream: false, count: 1, tokenInput: false });
  });

  test.each([
    ['/generate', undefined, false],
    ['/generate', true, false],
    ['/generate_stream', undefined, true],
    ['/generate_stream', false, true],
    ['/', undefined, false],
    ['/', true, true],
  ])('at %s that says stream: %j streams: %j', (path, stream, streams) => {
    expect(request(path, { inputs: 'a', stream }).stream).toBe(streams);
  });

  test.each([
    [{}, undefined, { max_new_tokens: 9 }],
    [{ parameters: null }, undefined, { max_new_tokens: 9 }],
    [{ parameters: { seed: 1 } }, undefined, { max_new_tokens: 9, seed: 1 }],
    [{ parameters: { max_new_tokens: null } }, undefined, { max_new_tokens: 9 }],
    [{ parameters: { max_new_tokens: 8 } }, 8, { max_new_tokens: 8 }],
    [{ parameters: { max_new_tokens: 10 } }, 10, { max_new_tokens: 9 }],
  ])('%j has the limit %j', (body, limit, parameters) => {
    const whole = { inputs: 'a', ...body };
    expect(request('/generate', whole)).toMatchObject({ maxOutputTokens: limit, outputBound: limit });
    expect(limited('/generate', whole, 9)).toMatchObject({ parameters });
  });

  it('asks for the best of several answers', () => {
    expect(request('/generate', { inputs: 'a', parameters: { best_of: 3 } }).count).toBe(3);
  });

  test.each([
    [{}, false],
    [{ parameters: { stop: [] } }, false],
    [{ parameters: { stop: ['a'] } }, true],
    [{ parameters: { grammar: { type: 'regex', value: 'a' } } }, true],
    [{ parameters: { unheard_of: 1 } }, true],
    [{ unheard_of: 1 }, true],
  ])('%j may end where its caller chose: %j', (body, stops) => {
    expect(request('/generate', { inputs: 'a', ...body }).stops).toBe(stops);
  });

  test.each([
    [{}, 'inputs'],
    [{ prompt: 'a' }, 'prompt'],
    [{ inputs: ['a'] }, 'inputs'],
    [{ inputs: 'a', model: 'b' }, 'model'],
    [{ inputs: 'a', parameters: { adapter_id: 'other' } }, 'parameters.adapter_id'],
    [{ inputs: 'a', parameters: { max_tokens: 9 } }, 'parameters.max_tokens'],
    [{ inputs: 'a', parameters: { max_new_tokens: 1.5 } }, 'parameters.max_new_tokens'],
    [{ inputs: 'a', parameters: { best_of: 1_000 } }, 'best_of'],
    [{ inputs: 'a', parameters: { Max_New_Tokens: 9 } }, 'parameters.max_new_tokens'],
    [{ inputs: 'a', parameters: { callback_url: 'http://x' } }, 'parameters.url'],
    [{ inputs: 'a', text: 'b' }, 'text'],
  ])('%j is refused for %s', (body, detail) => {
    expect(() => request('/generate', body)).toThrow(refused(detail));
  });

  it('with a query is refused', () => {
    expect(() => request('/generate', { inputs: 'a' }, 'x=1')).toThrow(refused('query'));
  });
});

describe("a request of SGLang's", () => {
  it.each([
    [{ n: 1, logit_bias: {} }, false],
    [{ logit_bias: { 2: 20 } }, true],
    [{ stop_token_ids: [2] }, true],
  ])('with %j may end where its caller chose: %j', (sampling, stops) => {
    expect(request('/generate', { text: 'a', sampling_params: sampling }).stops).toBe(stops);
  });

  it('is read in every text', () => {
    const view = request('/generate', {
      text: ['a', 'b'],
      sampling_params: { n: 2, stop: 'END', json_schema: '{"title":"t"}', regex: 'r' },
    });
    expect(lanes(view)).toEqual([
      'text[0]=a',
      'text[1]=b',
      'sampling_params.stop=END',
      'sampling_params.json_schema={"title":"t"}',
      'sampling_params.regex=r',
    ]);
    expect(view).toMatchObject({ count: 4, stops: true });
  });

  it('streams where it says so, and its events are read as its own', () => {
    expect(request('/generate', { text: 'a', stream: true })).toMatchObject({
      stream: true,
      answers: { operation: 'Completions', streams: [{ mediaTypes: expect.anything() }] },
    });
    expect(request('/generate', { text: 'a', stream: false })).not.toHaveProperty('answers');
    expect(request('/generate', { inputs: 'a', stream: true }).stream).toBe(false);
  });

  it('of token ids cannot be read', () => {
    expect(request('/generate', { input_ids: [5] })).toMatchObject({ tokenInput: true, count: 1 });
    expect(request('/generate', { input_ids: [[5], [6]] })).toMatchObject({ tokenInput: true, count: 2 });
    expect(request('/generate', { input_embeds: [[0.5]] }).tokenInput).toBe(true);
  });

  it('is limited where its own servers look', () => {
    expect(limited('/generate', { text: 'a' }, 9)).toEqual({ text: 'a', sampling_params: { max_new_tokens: 9 } });
  });

  test.each([
    [{ text: 'a', input_ids: [5] }, 'text'],
    [{ input_ids: ['a'] }, 'input_ids'],
    [{ text: 'a', lora_path: 'b' }, 'lora_path'],
    [{ text: 'a', lora_id: 'b' }, 'lora_id'],
    [{ text: 'a', session_params: { id: 's' } }, 'session_params'],
    [{ text: 'a', sampling_params: [{ n: 2 }] }, 'sampling_params'],
    [{ text: 'a', custom_logit_processor: 'code' }, 'custom_logit_processor'],
  ])('%j is refused for %s', (body, detail) => {
    expect(() => request('/generate', body)).toThrow(refused(detail));
  });

  it("is none at TGI's own routes", () => {
    for (const path of ['/generate_stream', '/']) expect(() => request(path, { text: 'a' })).toThrow(refused('text'));
  });
});

const token = (text: string, special = false): object => ({ id: 5, text, logprob: -0.5, special });

describe('an answer', () => {
  const details = {
    finish_reason: 'eos_token',
    generated_tokens: 2,
    seed: null,
    prefill: [{ id: 1, text: 'On', logprob: null }],
    tokens: [token('a'), token('b')],
    top_tokens: [[token('c')], []],
    best_of_sequences: [
      { generated_text: 'xy', finish_reason: 'length', generated_tokens: 2, prefill: [], tokens: [token('x')] },
    ],
  };

  it('is read in its texts, and hides what spells them again', () => {
    const body = { generated_text: 'ab', details };
    const view = answer('/generate', body);
    expect(lanes(view)).toEqual(['generated_text=ab', 'details.best_of_sequences[0].generated_text=xy']);
    expect(removed(body, view)).toEqual([
      JSON.stringify(details.prefill),
      JSON.stringify(details.tokens),
      JSON.stringify(details.top_tokens),
      JSON.stringify([token('x')]),
    ]);
    expect(view.ends).toEqual([
      { prefix: 'details.best_of_sequences[0].', end: 'cut' },
      { prefix: '', end: 'complete' },
    ]);
    expect(view.usage).toBeUndefined();
  });

  it('counts what its server counted', () => {
    const one = { ...details, best_of_sequences: null };
    expect(answer('/generate', { generated_text: 'ab', details: one }).usage).toEqual({ input: 1, output: 2 });
    expect(answer('/generate', { generated_text: 'ab', details: { ...one, prefill: [] } }).usage).toBeUndefined();
  });

  it('is a list at `/`', () => {
    const view = answer('/', [{ generated_text: 'ab' }]);
    expect(lanes(view)).toEqual(['[0].generated_text=ab']);
    expect(view.ends).toEqual([{ prefix: '[0].', end: 'cut' }]);
  });

  it('that is an error is read', () => {
    const view = answer('/generate', { error: 'No such thing', error_type: 'validation' }, 422);
    expect(lanes(view)).toEqual(['error=No such thing']);
  });

  test.each([
    ['/generate', {}, 'generated_text'],
    ['/generate', { generated_text: 7 }, 'generated_text'],
    ['/generate', 'text', 'generated_text'],
    ['/', [{ generated_text: 'a' }, {}], 'generated_text'],
    ['/', [7], 'body'],
  ])('of %s that is %j is refused', (path, body, detail) => {
    expect(() => answer(path, body)).toThrow(unread(body === 'text' ? 'body' : detail));
  });

  it("of SGLang's is read, and hides its ids", () => {
    const meta_info = {
      id: 'i',
      finish_reason: { type: 'stop', matched: 2 },
      prompt_tokens: 3,
      completion_tokens: 4,
      output_token_logprobs: [[-0.5, 9, 'a']],
    };
    const body = { text: 'a', output_ids: [9], meta_info };
    const view = answer('/generate', body);
    expect(lanes(view)).toEqual(['text=a']);
    expect(removed(body, view)).toEqual(['[9]', '[[-0.5,9,"a"]]']);
    expect([view.ends, view.usage]).toEqual([[{ prefix: '', end: 'complete' }], { input: 3, output: 4 }]);
    const stopped = { ...meta_info, finish_reason: { type: 'stop', matched: 'END' } };
    expect(
      answer('/generate', [
        { text: 'a', meta_info },
        { text: 'b', meta_info: stopped },
      ]),
    ).toMatchObject({
      ends: [
        { prefix: '[0].', end: 'complete' },
        { prefix: '[1].', end: 'cut' },
      ],
      usage: { input: 6, output: 8 },
    });
    expect(() => answer('/generate', { meta_info })).toThrow(unread('text'));
  });
});

describe('an event', () => {
  it('is a piece of the text, and its id is hidden', () => {
    const body = { index: 1, token: token('a'), generated_text: null, details: null };
    const view = frame('/generate_stream', body);
    expect(lanes(view)).toEqual(['token.text=a']);
    expect(removed(body, view)).toEqual(['5']);
    expect(view).toMatchObject({ kind: 'data', ends: [] });
    expect(view.lanes[0]?.whole).toBeUndefined();
  });

  it('of a token that clients leave out is a text of its own', () => {
    const view = frame('/', { token: token('</s>', true) });
    expect(view.lanes).toMatchObject([{ id: 'special_token.text', whole: 'complete' }]);
  });

  test.each([
    ['eos_token', 'complete'],
    ['length', 'cut'],
    ['stop_sequence', 'cut'],
    ['a reason yet unknown', 'cut'],
  ])('that is the last for %s says the whole, which is %s', (finish_reason, end) => {
    const details = { finish_reason, generated_tokens: 2, seed: null, input_length: 3 };
    const view = frame('/generate_stream', { index: 2, token: token('b'), generated_text: 'ab', details });
    expect(view.lanes).toMatchObject([{ id: 'token.text' }, { id: 'generated_text', whole: end }]);
    expect([view.ends, view.usage]).toEqual([[{ prefix: '', end }], { input: 3, output: 2 }]);
  });

  it('of an error is one', () => {
    expect(frame('/generate_stream', { error: 'out of memory', error_type: 'generation' })).toMatchObject({
      kind: 'error',
      ends: [],
    });
  });

  it('without a token is refused', () => {
    expect(() => frame('/generate_stream', { generated_text: 'a' })).toThrow(unread('token'));
    expect(() => frame('/generate_stream', [])).toThrow(unread('body'));
    expect(() => frame('/generate', { token: token('a') })).toThrow(unread('stream'));
  });
});

test('the page of the server is hidden with its model', () => {
  const view = answer('/info', { model_id: 'secret', max_input_tokens: 5 }, 200, 'GET');
  expect(view.models.map(({ id }) => id)).toEqual(['secret']);
  expect(() => answer('/info', {}, 200, 'GET')).toThrow(unread('model_id'));
});

test.each([
  [403, 'access_denied', 'validation'],
  [429, 'rate_limited', 'overloaded'],
  [400, 'invalid_request', 'validation'],
  [502, 'response_uninspectable', 'generation'],
] as const)('a refusal with %i has the words that clients know', (status, code, type) => {
  const { dialect } = recognise('POST', '/generate');
  const text = { status, code, message: 'No.', rule: undefined, requestId: 'r', detail: 'd' };
  expect(JSON.parse(dialect.refusal(text))).toEqual({
    ...{ error: 'No.', error_type: type, code, rule: null, param: 'd', request_id: 'r' },
  });
});

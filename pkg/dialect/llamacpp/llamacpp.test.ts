import { describe, expect, it, test } from '@jest/globals';
import { recognise, sse } from '../index.ts';
import { answer, frame, lanes, limited, refusing, removed, request, unreadable } from '../testing/reading.ts';

const refused = (detail: string): unknown => expect.objectContaining(refusing(detail));
const unread = (detail: string): unknown => expect.objectContaining(unreadable(detail));

describe('a request', () => {
  it('is read in every text', () => {
    const view = request('/completion', {
      prompt: ['a', { prompt_string: 'b', multimodal_data: ['c'] }],
      stop: ['END'],
      samplers: ['top_k'],
      dry_sequence_breakers: [';'],
      json_schema: { title: 't' },
      x: 'y',
    });
    expect(lanes(view)).toEqual([
      ...['prompt[0]=a', 'prompt[1].prompt_string=b', 'prompt[1].multimodal_data[0]=c', 'stop[0]=END'],
      ...['dry_sequence_breakers[0]=;', 'json_schema.title=t', '{}=y'],
    ]);
    expect(view).toMatchObject({ model: undefined, generates: true, stream: false, count: 2, stops: true });
    const infill = { input_prefix: 'p', input_suffix: 's', input_extra: [{ filename: 'f', text: 't' }], prompt: 'm' };
    expect(lanes(request('/infill', infill))).toEqual([
      ...['input_prefix=p', 'input_suffix=s', 'input_extra[0].filename=f', 'input_extra[0].text=t', 'prompt=m'],
    ]);
    expect(lanes(request('/embedding', { content: ['a', 'b'] }))).toEqual(['content[0]=a', 'content[1]=b']);
  });

  test.each([
    ['a', false, 1],
    [['a', 'b'], false, 2],
    [[5], true, 1],
    [[5, 'a'], true, 1],
    [[[5, 'a'], 'b'], true, 2],
    [[[5], [6], [7]], true, 3],
  ])('for the prompt %j has tokens: %j, and %i answers', (prompt, tokenInput, count) => {
    expect(request('/completion', { prompt })).toMatchObject({ tokenInput, count });
    expect(request('/completion', { prompt, n: 2, n_cmpl: 3 }).count).toBe(3 * count);
  });

  test.each([
    [{}, undefined, undefined, { n_predict: 9 }],
    [{ n_predict: -1 }, undefined, undefined, { n_predict: 9 }],
    [{ n_predict: null }, undefined, undefined, { n_predict: 9 }],
    [{ n_predict: 0 }, 0, 0, { n_predict: 0 }],
    [{ n_predict: 5 }, 5, 5, { n_predict: 5 }],
    [{ n_predict: 10 }, 10, 10, { n_predict: 9 }],
    [{ max_tokens: 4 }, 4, undefined, { n_predict: 4, max_tokens: 4 }],
    [{ max_tokens: 40 }, 40, undefined, { n_predict: 9, max_tokens: 9 }],
    [{ n_predict: -2, max_tokens: 40 }, undefined, undefined, { n_predict: 9, max_tokens: 9 }],
  ])('with %j has the limit %j', (body, asked, bound, becomes) => {
    expect(request('/completion', { prompt: 'a', ...body })).toMatchObject({
      maxOutputTokens: asked,
      outputBound: bound,
    });
    expect(limited('/completion', { prompt: 'a', ...body }, 9)).toEqual({ prompt: 'a', ...becomes });
  });

  test.each([
    [{}, false],
    [{ stop: ['a'] }, true],
    [{ grammar: 'root ::= "a"' }, true],
    [{ t_max_predict_ms: 5 }, true],
    [{ n_indent: 5 }, true],
    [{ logit_bias: [[2, 20]] }, true],
    [{ logit_bias: { 2: 20 } }, true],
    [{ logit_bias: [] }, false],
    [{ unheard_of: 5 }, true],
  ])('with %j may end where its caller chose: %j', (body, stops) => {
    expect(request('/completion', { prompt: 'a', ...body }).stops).toBe(stops);
  });

  test.each([
    ['/completion', {}, 'prompt'],
    ['/completion', { prompt: 'a', lora: [{ id: 0, scale: 1 }] }, 'lora'],
    ['/completion', { prompt: 'a', response_fields: ['prompt'] }, 'response_fields'],
    ['/completion', { prompt: 'a', n_predict: 1.5 }, 'n_predict'],
    ['/completion', { prompt: 'a', n_cmpl: 1_000 }, 'n_cmpl'],
    ['/completion', { prompt: 'a', chat_template: 't' }, 'chat_template'],
    ['/completion', { prompt: 7 }, 'prompt'],
    ['/infill', { input_prefix: 'a' }, 'input_suffix'],
    ['/embedding', {}, 'input'],
  ])('to %s that is %j is refused for %s', (path, body, detail) => {
    expect(() => request(path, body)).toThrow(refused(detail));
  });

  it('names a model to a router', () => {
    expect(request('/completion', { prompt: 'a', model: 'm' }).model).toBe('m');
    expect(() => request('/completion', { prompt: 'a', model: '' })).toThrow(refused('model'));
    expect(() => request('/completion', { prompt: 'a' }, 'model=m')).toThrow(refused('query'));
  });
});

const entry = { id: 9, token: 'a', logprob: -1, bytes: [97], top_logprobs: [{ id: 8, token: 'b', logprob: -2 }] };
const whole = {
  ...{ index: 0, content: 'ab', tokens: [9, 8], stop: true, stop_type: 'eos', stopping_word: '', prompt: 'p' },
  ...{ model: 'm', tokens_predicted: 2, tokens_evaluated: 3, truncated: false },
  generation_settings: { seed: 1, stop: ['END'], samplers: ['top_k'], grammar: 'g', strange: 's' },
  completion_probabilities: [entry],
};

describe('an answer', () => {
  test.each(['/completion', '/infill', '/completions'])('at %s is read in every text', (path) => {
    const view = answer(path, whole);
    expect(lanes(view)).toEqual([
      ...[
        'content=ab',
        'stopping_word=',
        'prompt=p',
        'generation_settings.stop[0]=END',
        'generation_settings.grammar=g',
      ],
      'generation_settings.{}=s',
    ]);
    expect(removed(whole, view)).toEqual(['[9,8]']);
    expect(view.tokenLanes.map(({ id, shape }) => [id, shape])).toEqual([['completion_probabilities', 'entries']]);
    expect([view.ends, view.usage]).toEqual([[{ prefix: '', end: 'complete' }], { input: 3, output: 2 }]);
  });

  it('hides probabilities that it cannot write anew', () => {
    for (const probabilities of [
      [{ id: 9, token: 'a', prob: 1, top_probs: [{ id: 8, token: 'b', prob: 0.5 }] }],
      [{ content: 'a', probs: [{ tok_str: 'b', prob: 0.5 }] }],
    ]) {
      const body = { content: 'a', completion_probabilities: probabilities };
      expect(removed(body, answer('/completion', body))).toEqual([JSON.stringify(probabilities)]);
    }
  });

  test.each([
    [{ stop_type: 'limit' }, 'cut'],
    [{ stop_type: 'word' }, 'cut'],
    [{ stop_type: undefined }, 'cut'],
    [{ stop_type: undefined, stopped_eos: true }, 'complete'],
    [{ stop_type: undefined, stopped_limit: true }, 'cut'],
  ])('that stopped by %j is %s', (how, end) => {
    expect(answer('/completion', { ...whole, ...how }).ends).toEqual([{ prefix: '', end }]);
  });

  it('to several prompts is a list', () => {
    const view = answer('/completion', [whole, { ...whole, stop_type: 'limit' }]);
    expect(view.ends).toEqual([
      { prefix: '[0].', end: 'complete' },
      { prefix: '[1].', end: 'cut' },
    ]);
    expect(view.usage).toEqual({ input: 6, output: 4 });
    expect(lanes(view)).toContain('[1].content=ab');
  });

  it('of embeddings is numbers', () => {
    for (const path of ['/embedding', '/embeddings', '/v1/embeddings']) {
      const view = answer(path, [
        {
          index: 0,
          embedding: [
            [0.5, 1],
            [2, 3],
          ],
          x: 'y',
        },
      ]);
      expect([lanes(view), view.integerArrays]).toEqual([['[0].{}=y'], []]);
    }
    expect(lanes(answer('/embedding', { embedding: [0.5, 1] }))).toEqual([]);
  });

  test.each([
    ['/completion', {}, 'content'],
    ['/completion', { content: 7 }, 'content'],
    ['/completion', [7], 'body'],
    ['/completions', { text: 'a' }, 'choices'],
    ['/embedding', [{ index: 0 }], 'embedding'],
    ['/embedding', [{ index: 0, embedding: [['words']] }], '[0].embedding[0][0]'],
    ['/embeddings', [{ index: 0 }], 'embedding'],
  ])('at %s that is %j is refused', (path, body, detail) => {
    expect(() => answer(path, body)).toThrow(unread(detail));
  });

  it('of an error is read', () => {
    expect(lanes(answer('/completion', { error: { code: 400, message: 'bad', type: 't' } }, 400))).toEqual([
      'error.message=bad',
    ]);
  });
});

describe('an event', () => {
  it('is a piece of the answer of its index', () => {
    const body = { index: 1, content: 'a', tokens: [9], stop: false };
    const view = frame('/completion', body);
    expect([lanes(view), view.kind, view.ends]).toEqual([['[1].content=a'], 'data', []]);
    expect(removed(body, view)).toEqual(['[9]']);
    expect(lanes(frame('/completions', { content: 'a', stop: false }))).toEqual(['[0].content=a']);
  });

  it('ends its answer', () => {
    const view = frame('/completion', { ...whole, index: 1, content: '' });
    expect([view.ends, view.usage]).toEqual([[{ prefix: '[1].', end: 'complete' }], { input: 3, output: 2 }]);
  });

  it('of an error is one', () => {
    expect(frame('/completion', { error: { code: 500, message: 'bad', type: 't' } }).kind).toBe('error');
  });

  test.each([
    [{ index: 1 }, 'choices'],
    [{ index: 5_000, content: 'a' }, 'index'],
    [{ index: 0.5, content: 'a' }, 'index'],
  ])('that is %j is refused', (body, detail) => {
    expect(() => frame('/completion', body)).toThrow(unread(detail));
  });

  it('comes at no other route', () => {
    expect(() => frame('/embedding', { content: 'a' })).toThrow(unread('stream'));
    expect(() => frame('/v1/chat/completions', { content: 'a', stop: false })).toThrow(unread('choices'));
    expect(recognise('POST', '/completion').streams).toEqual([sse]);
  });
});

import { describe, expect, it } from '@jest/globals';
import { parseJson } from '../../base/index.ts';
import { spelled } from '../testing/spelled.ts';
import { RefusedError } from '../../core/index.ts';
import type { AnswerView, FrameView } from '../index.ts';
import { recognise } from '../index.ts';

const chat = recognise('POST', '/v1/chat/completions');
const completions = recognise('POST', '/v1/completions');
const embeddings = recognise('POST', '/v1/embeddings');
const models = recognise('GET', '/v1/models');

const answer = (body: unknown, route = chat, status = 200): AnswerView =>
  route.dialect.answer(route, parseJson(JSON.stringify(body)), status);
const frameText = (data: string, event?: string): FrameView => chat.dialect.frame(chat, event, data, parseJson(data));
const frame = (body: unknown, event?: string): FrameView => frameText(JSON.stringify(body), event);
const lanes = (view: AnswerView): string[] => view.lanes.map((lane) => `${spelled(view, lane.id)}=${lane.node.text}`);
const lone = (view: AnswerView): string[] =>
  view.loneValues.map((value) => `${value.path.join('.')}=${value.node.text}`);

function refused(run: () => unknown): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    if (error instanceof RefusedError && error.code === 'response_uninspectable') return error.detail;
    throw error;
  }
}

describe('answers of real servers', () => {
  it('OpenAI: every choice, refusal, tool call, audio and annotation', () => {
    const sound = Buffer.alloc(6000, Buffer.from('00ff9c01e7d3b28a', 'hex')).toString('base64');
    const view = answer({
      id: 'chatcmpl-1',
      object: 'chat.completion',
      created: 1763689000,
      model: 'gpt-4o-2024-08-06',
      choices: [
        {
          index: 0,
          message: {
            role: 'assistant',
            content: 'one',
            refusal: null,
            annotations: [
              { type: 'url_citation', url_citation: { url: 'https://a', title: 't', start_index: 0, end_index: 1 } },
            ],
          },
          logprobs: null,
          finish_reason: 'stop',
        },
        { index: 1, message: { role: 'assistant', content: null, refusal: 'no' }, finish_reason: 'content_filter' },
        {
          index: 2,
          message: {
            role: 'assistant',
            content: null,
            tool_calls: [
              { id: 'a', type: 'function', function: { name: 'f', arguments: '{"x":1}' } },
              { id: 'b', type: 'custom', custom: { name: 'g', input: 'free words' } },
            ],
          },
          finish_reason: 'tool_calls',
        },
        {
          index: 3,
          message: { audio: { id: 'au', data: sound, transcript: 'spoken', expires_at: 1 } },
          finish_reason: 'stop',
        },
      ],
      usage: { prompt_tokens: 9, completion_tokens: 12, total_tokens: 21, prompt_tokens_details: { cached_tokens: 0 } },
      service_tier: 'default',
      system_fingerprint: 'fp_1',
    });
    expect(lanes(view)).toEqual([
      'choices[0].message.content=one',
      'choices[1].message.refusal=no',
      'choices[2].message.tool_calls[0].function.arguments={"x":1}',
      'choices[2].message.tool_calls[1].custom.input=free words',
      'choices[3].message.audio.transcript=spoken',
    ]);
    expect(view.lanes.map((lane) => lane.kind)).toEqual(['text', 'text', 'json', 'text', 'text']);
    expect(view.opaque.map((node) => node.text)).toEqual([sound]);
    expect(view.ends).toEqual([
      { prefix: 'choices[0].', end: 'complete' },
      { prefix: 'choices[1].', end: 'cut' },
      { prefix: 'choices[2].', end: 'complete' },
      { prefix: 'choices[3].', end: 'complete' },
    ]);
    expect(view.usage).toEqual({ input: 9, output: 12 });
    expect(view.loneValues.some((value) => value.key)).toBe(false);
    expect(lone(view)).toContain('choices.2.message.tool_calls.0.function.name=f');
  });

  it('vLLM: reasoning, token ids, prompt log-probabilities', () => {
    const view = answer({
      id: 'chatcmpl-1',
      object: 'chat.completion',
      model: 'm',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', reasoning_content: 'think', reasoning: 'again', content: 'a', tool_calls: [] },
          finish_reason: 'abort',
          stop_reason: null,
          token_ids: [5],
        },
      ],
      usage: { prompt_tokens: 1, total_tokens: 2, completion_tokens: 1, prompt_tokens_details: null },
      prompt_logprobs: [null, { '9906': { logprob: -1, rank: 1, decoded_token: 'Ana' } }],
      prompt_token_ids: [1, 2],
      kv_transfer_params: null,
    });
    expect(lanes(view)).toEqual([
      'choices[0].message.reasoning_content=think',
      'choices[0].message.reasoning=again',
      'choices[0].message.content=a',
    ]);
    expect(view.integerArrays.map((node) => node.items.length)).toEqual([1, 2, 2]);
    expect(view.ends).toEqual([{ prefix: 'choices[0].', end: 'cut' }]);
  });

  it.each([
    [{ stop_reason: 'END' }, 'cut'],
    [{ matched_stop: 'END' }, 'cut'],
    [{ stop_reason: null }, 'complete'],
    // The number of the token that ends every answer.
    [{ matched_stop: 128_009 }, 'complete'],
  ])('a stop by the caller’s own text is a cut: %j', (more, end) => {
    const view = answer({ choices: [{ index: 0, finish_reason: 'stop', message: { content: 'a' }, ...more }] });
    expect(view.ends).toEqual([{ prefix: 'choices[0].', end }]);
  });

  it('SGLang: hidden states tell text as token ids do', () => {
    const view = answer({
      choices: [{ index: 0, finish_reason: 'stop', message: { content: 'a' }, hidden_states: [[0.5, 1.5]] }],
    });
    expect(view.integerArrays.map((node) => node.items.length)).toEqual([1]);
  });

  it('Mistral: what hides the length of a frame is no text that goes on', () => {
    const view = answer({ choices: [{ index: 0, finish_reason: 'stop', message: { content: 'a' } }], p: 'abcdef' });
    expect(lanes(view)).toEqual(['choices[0].message.content=a']);
  });

  it('llama.cpp: timings are known, its verbose copy of everything is read', () => {
    const view = answer({
      choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: 'a' } }],
      timings: { prompt_n: 1, prompt_ms: 1.5, predicted_n: 2 },
      __verbose: { content: 'a', prompt: 'whole prompt', tokens: [1, 2, 3, 4, 5, 6, 7, 8] },
    });
    expect(lanes(view)).toEqual([
      'choices[0].message.content=a',
      '{__verbose}.{content}=a',
      '{__verbose}.{prompt}=whole prompt',
    ]);
    expect(view.lanes[1]?.path).toEqual(['__verbose', 'content']);
    expect(view.integerArrays).toHaveLength(1);
  });

  it('OpenRouter: reasoning details', () => {
    const view = answer({
      provider: 'X',
      choices: [
        {
          finish_reason: 'stop',
          native_finish_reason: 'end_turn',
          message: { content: 'a', reasoning_details: [{ type: 'reasoning.text', text: 'deep', index: 0 }] },
        },
      ],
    });
    expect(lanes(view)).toEqual(['choices[0].message.content=a', 'choices[0].message.reasoning_details[0].text=deep']);
  });

  it('Mistral: content in parts, thoughts among them', () => {
    const view = answer({
      choices: [
        {
          finish_reason: 'stop',
          message: {
            content: [
              { type: 'thinking', thinking: [{ type: 'text', text: 'hm' }] },
              { type: 'text', text: 'a' },
            ],
          },
        },
      ],
    });
    expect(lanes(view)).toEqual(['choices[0].message.content.thinking=hm', 'choices[0].message.content=a']);
  });

  it('completions: text, parallel arrays, the prompt echoed', () => {
    const view = answer(
      {
        object: 'text_completion',
        choices: [
          {
            index: 0,
            text: 'ab',
            logprobs: {
              tokens: ['a', 'b'],
              token_logprobs: [null, -1],
              top_logprobs: [null, { b: -1, c: -2 }],
              text_offset: [0, 1],
            },
            finish_reason: 'length',
          },
        ],
      },
      completions,
    );
    expect(lanes(view)).toEqual(['choices[0].text=ab']);
    expect(view.tokenLanes.map((lane) => [lane.id, lane.shape])).toEqual([['choices[0].logprobs', 'parallel']]);
    expect(view.ends).toEqual([{ prefix: 'choices[0].', end: 'cut' }]);
  });

  it('an answer that does not say how it ended may have been cut', () => {
    const view = answer({
      choices: [{ message: { content: 'a' } }, { message: { content: 'b' }, finish_reason: 'invented' }],
    });
    expect(view.ends.map((one) => one.end)).toEqual(['cut', 'cut']);
  });

  it.each([
    ['OpenAI', { error: { message: 'm', type: 'invalid_request_error', param: null, code: 'x' } }, ['error.message=m']],
    [
      'vLLM before 0.10',
      { object: 'error', message: 'm', type: 'BadRequestError', param: null, code: 400 },
      ['message=m'],
    ],
    [
      'FastAPI',
      { detail: [{ loc: ['body'], msg: 'bad', input: 'echo' }] },
      ['{detail}[0].{loc}[0]=body', '{detail}[0].{msg}=bad', '{detail}[0].{input}=echo'],
    ],
    ['a string', { error: 'words' }, ['error=words']],
  ])('errors of %s are read', (_, body, expected) => {
    expect(lanes(answer(body, chat, 400))).toEqual(expected);
  });
});

describe('embeddings', () => {
  it.each([
    ['prompt_tokens', { prompt_tokens: 7, total_tokens: 9 }, { input: 7, output: 0 }],
    ['total_tokens alone', { total_tokens: 9 }, { input: 9, output: 0 }],
    ['nothing', {}, undefined],
    ['no number', { total_tokens: '9' }, undefined],
  ])('use what the model says, as %s', (_, usage, expected) => {
    expect(answer({ object: 'list', data: [], model: 'm', usage }, embeddings).usage).toEqual(expected);
  });

  const floats = (values: readonly number[]): string => {
    const bytes = Buffer.alloc(values.length * 4);
    values.forEach((value, at) => bytes.writeFloatLE(value, at * 4));
    return bytes.toString('base64');
  };
  const body = (embedding: unknown): unknown => ({
    object: 'list',
    model: 'm',
    data: [{ object: 'embedding', index: 0, embedding }],
  });

  it('pass as numbers, also as integers', () => {
    for (const embedding of [[0.1, -0.2], [1, 2, 3, 4, 5, 6, 7, 8, 9], []]) {
      const view = answer(body(embedding), embeddings);
      expect(view.integerArrays).toEqual([]);
      expect(view.lanes).toEqual([]);
    }
  });

  it('pass as base64 of floats', () => {
    const wave = Array.from({ length: 256 }, (_, at) => Math.sin(at * 7.3) / 16);
    for (const values of [wave, [0.5, -0.25, 1e-8, 0], [0, 0]]) {
      expect(answer(body(floats(values)), embeddings).opaque).toHaveLength(1);
    }
  });

  it.each([
    ['text', Buffer.from('Ana Smith, SSN 078-05-1120, card 4111 1111 1111 1111').toString('base64')],
    ['digits alone', Buffer.from('078-05-1120 4111111111111111').toString('base64')],
    ['text with some bytes between', Buffer.from('078-05-1120\u0000'.repeat(20)).toString('base64')],
    ['no base64', 'hello there'],
    ['a length that is no whole float', Buffer.alloc(6, 1).toString('base64')],
    ['nothing', ''],
    ['infinite numbers', floats([Number.POSITIVE_INFINITY])],
    ['no numbers', floats([Number.NaN])],
    ['numbers that no embedding has', floats([1e30])],
  ])('do not pass as %s', (_, embedding) => {
    expect(refused(() => answer(body(embedding), embeddings))).toBe('data[0].embedding');
  });

  it('with strings among the numbers are read', () => {
    expect(lanes(answer(body([0.5, 'text']), embeddings))).toEqual(['data[0].embedding[1]=text']);
  });
});

describe('model lists', () => {
  it('name each entry, in both lists that llama.cpp gives', () => {
    const view = answer(
      {
        object: 'list',
        data: [
          { id: 'a', object: 'model', owned_by: 'vllm', permission: [{ id: 'p' }] },
          { id: 'b', object: 'model' },
        ],
        models: [{ name: 'a', model: 'a-file' }],
      },
      models,
    );
    expect(view.models.map((one) => one.id)).toEqual(['a', 'b', 'a-file']);
  });

  it.each([
    ['an entry without a name', { data: [{ object: 'model' }] }],
    ['an entry that is a string', { data: ['a'] }],
    ['no list at all', { object: 'list' }],
  ])('are refused with %s', (_, body) => {
    expect(refused(() => answer(body, models))).toBeDefined();
  });

  it("of KServe's are names", () => {
    const view = answer({ models: ['a', 'b'] }, models);
    expect(view.models.map((one) => one.id)).toEqual(['a', 'b']);
    expect(view.loneValues.map((one) => one.node.text)).toEqual(['a', 'b']);
    const page = recognise('GET', '/v1/models/a');
    expect(answer({ name: 'a', ready: true }, page).models).toEqual([]);
    expect(refused(() => answer({ name: 'a' }, page))).toBeDefined();
  });

  it("of Google's name models without what stands before each, and pages", () => {
    const view = answer(
      {
        models: [
          { name: 'models/a', version: '1' },
          { name: 'models/b', model: 'models/b' },
        ],
      },
      models,
    );
    expect(view.models.map((one) => one.id)).toEqual(['a', 'models/b']);
    const page = recognise('GET', '/v1/models/a');
    expect(answer({ name: 'models/a', version: '1' }, page).models).toEqual([]);
  });

  it('one page passes', () => {
    const page = recognise('GET', '/v1/models/a');
    expect(page.model).toBe('a');
    expect(answer({ id: 'a', object: 'model' }, page).models).toEqual([]);
  });
});

describe('frames', () => {
  it('name lanes by the index that each choice and call carries, wherever it stands', () => {
    const view = frame({
      choices: [
        {
          index: 2,
          delta: { content: 'x', tool_calls: [{ index: 1, function: { arguments: '{' } }] },
          finish_reason: null,
        },
        { index: 0, delta: { reasoning_content: 'y' }, finish_reason: 'stop' },
      ],
    });
    expect(lanes(view)).toEqual([
      'choices[2].delta.content=x',
      'choices[2].delta.tool_calls[1].function.arguments={',
      'choices[0].delta.reasoning_content=y',
    ]);
    expect(view.ends).toEqual([
      { prefix: 'choices[2].delta.tool_calls[1].function.name', end: 'complete', repeats: true },
      { prefix: 'choices[0].', end: 'complete' },
    ]);
    expect(view.kind).toBe('data');
  });

  it.each([
    ['a piece of it alone', { name: 'get_' }, false],
    ['a name with the empty arguments that are yet to come', { name: 'get_', arguments: '' }, false],
    ['a name with arguments', { name: 'get_', arguments: '{' }, true],
    ['arguments alone', { arguments: '{' }, true],
    ['null for arguments', { arguments: null }, false],
  ])('a call’s name is a lane, which ends with its arguments: %s', (_what, called, ended) => {
    const view = frame({ choices: [{ delta: { tool_calls: [{ index: 3, function: called }] } }] });
    const name = 'choices[0].delta.tool_calls[3].function.name';
    expect(view.ends).toEqual(ended ? [{ prefix: name, end: 'complete', repeats: true }] : []);
    expect(view.lanes.some((lane) => lane.id === name)).toBe('name' in called);
    expect(view.loneValues).toEqual([]);
  });

  it('name them by position where there is no index', () => {
    expect(lanes(frame({ choices: [{ delta: { tool_calls: [{ function: { arguments: '{' } }] } }] }))).toEqual([
      'choices[0].delta.tool_calls[0].function.arguments={',
    ]);
  });

  it.each([
    ['usage after the last text', { choices: [], usage: { prompt_tokens: 3, completion_tokens: 4 } }, 'usage'],
    [
      'usage with timings',
      { choices: [], usage: { prompt_tokens: 3, completion_tokens: 4 }, timings: { prompt_n: 1 } },
      'usage',
    ],
    [
      'usage beside text',
      { choices: [{ index: 0, delta: { content: 'a' } }], usage: { prompt_tokens: 1, completion_tokens: 1 } },
      'data',
    ],
    [
      'usage beside an unknown text',
      { choices: [], usage: { prompt_tokens: 1, completion_tokens: 1 }, note: 'text' },
      'data',
    ],
    ['an error object', { error: { message: 'm' } }, 'error'],
    ['an error string', { error: 'm' }, 'error'],
    ['an error of older vLLM', { object: 'error', message: 'm', code: 400 }, 'error'],
    [
      "Azure's first frame",
      {
        choices: [],
        prompt_filter_results: [
          { prompt_index: 0, content_filter_results: { hate: { filtered: false, severity: 'safe' } } },
        ],
      },
      'data',
    ],
    [
      'only the role',
      { choices: [{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null }] },
      'data',
    ],
  ])('with %s are known', (_, body, kind) => {
    expect(frame(body).kind).toBe(kind);
  });

  it('under the event name error are errors', () => {
    expect(frame({ message: 'm' }, 'error').kind).toBe('error');
  });

  it('end with the marker, which is no JSON', () => {
    expect(chat.dialect.endMarker('[DONE]')).toBe(true);
    expect(chat.dialect.endMarker(' [DONE] ')).toBe(true);
    expect(chat.dialect.endMarker('[DONE')).toBe(false);
    expect(chat.dialect.frame(chat, undefined, '[DONE]', undefined).kind).toBe('done');
    expect(refused(() => chat.dialect.frame(chat, undefined, 'text', undefined))).toBe('body');
  });

  it.each([
    ['length', 'cut'],
    ['content_filter', 'cut'],
    ['function_call', 'complete'],
    ['tool_calls', 'complete'],
    ['repetition', 'cut'],
  ])('that finish with %s are %s', (reason, end) => {
    expect(frame({ choices: [{ index: 11, delta: {}, finish_reason: reason }] }).ends).toEqual([
      { prefix: 'choices[11].', end },
    ]);
  });

  it('have not finished with null or an empty reason', () => {
    expect(frame({ choices: [{ index: 0, delta: {}, finish_reason: null }] }).ends).toEqual([]);
    expect(frame({ choices: [{ index: 0, delta: {}, finish_reason: '' }] }).ends).toEqual([]);
  });

  it('carry log-probabilities as lanes of their own', () => {
    const entries = [{ token: 'a', logprob: -1, bytes: [97], top_logprobs: [] }];
    const view = frame({
      choices: [{ index: 3, delta: { content: 'a' }, logprobs: { content: entries, refusal: null } }],
    });
    expect(view.tokenLanes.map((lane) => lane.id)).toEqual(['choices[3].logprobs.content']);
    expect(view.integerArrays).toEqual([]);
  });

  it('of older function calling and audio are read', () => {
    const view = frame({
      choices: [
        {
          index: 0,
          delta: {
            function_call: { name: 'f', arguments: '{"a"' },
            audio: { id: 'x', transcript: 'spo', data: 'AAAA' },
          },
        },
      ],
    });
    expect(lanes(view)).toEqual([
      'choices[0].delta.function_call.name=f',
      'choices[0].delta.function_call.arguments={"a"',
      'choices[0].delta.audio.transcript=spo',
      'choices[0].delta.audio.data=AAAA',
    ]);
  });

  it('share empty lists', () => {
    const one = frame({ choices: [{ index: 0, delta: {} }] });
    const two = frame({ choices: [{ index: 0, delta: {} }] });
    expect(one.tokenLanes).toBe(two.tokenLanes);
    expect(one.lanes).toBe(two.lanes);
  });
});

describe('answers and frames that are refused', () => {
  it.each([
    ['an array', '[]', 'body'],
    ['a string', '"hi"', 'body'],
    ['a number', '7', 'body'],
    ['an object of another kind', '{"type":"message_start"}', 'choices'],
    ['choices that are no list', '{"choices":{"0":{}}}', 'choices'],
    ['a choice that is a string', '{"choices":["hi"]}', 'choices[0]'],
    ['a delta that is a string', '{"choices":[{"index":0,"delta":"hi"}]}', 'choices[0].delta'],
    ['an index below zero', '{"choices":[{"index":-1,"delta":{}}]}', 'choices.index'],
    ['an index that is a string', '{"choices":[{"index":"0","delta":{}}]}', 'choices.index'],
    ['an index out of reach', '{"choices":[{"index":99999,"delta":{}}]}', 'choices.index'],
    [
      'a finish reason that is an object',
      '{"choices":[{"index":0,"delta":{},"finish_reason":{}}]}',
      'choices.finish_reason',
    ],
    [
      'tokens that are no entries',
      '{"choices":[{"index":0,"delta":{},"logprobs":{"content":["a"]}}]}',
      'choices[0].logprobs.content[0]',
    ],
    [
      'bytes that are text',
      '{"choices":[{"index":0,"delta":{},"logprobs":{"content":[{"token":"a","bytes":"a"}]}}]}',
      'choices[0].logprobs.content[0]',
    ],
  ])('frames: %s', (_, data, detail) => {
    expect(refused(() => frameText(data))).toBe(detail);
  });

  it.each([
    ['an array', [], chat],
    ['no choices', { id: 'x' }, chat],
    ['a message that is a string', { choices: [{ message: 'hi' }] }, chat],
    ['no data', { object: 'list' }, embeddings],
    ['parallel arrays of other kinds', { choices: [{ logprobs: { tokens: [1] } }] }, completions],
    [
      'alternatives that are strings',
      { choices: [{ logprobs: { tokens: ['a'], top_logprobs: [{ a: 'b' }] } }] },
      completions,
    ],
    ['offsets that are strings', { choices: [{ logprobs: { tokens: ['a'], text_offset: ['b'] } }] }, completions],
  ])('answers: %s', (_, body, route) => {
    expect(refused(() => answer(body, route))).toBeDefined();
  });

  it('streams of operations that do not stream', () => {
    expect(refused(() => embeddings.dialect.frame(embeddings, undefined, '{}', parseJson('{}')))).toBe('stream');
  });
});

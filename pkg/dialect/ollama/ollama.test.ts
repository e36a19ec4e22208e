import { describe, expect, it, test } from '@jest/globals';
import { applyEdits, parseJson } from '../../base/index.ts';
import type { AnswerView, FrameView, RequestView } from '../index.ts';
import { ndjson, recognise } from '../index.ts';

const request = (path: string, body: object, query = ''): RequestView => {
  const route = recognise('POST', path);
  return route.dialect.request(route, parseJson(JSON.stringify(body)), query);
};
const answer = (path: string, body: object, status = 200, method = 'POST'): AnswerView => {
  const route = recognise(method, path);
  return route.dialect.answer(route, parseJson(JSON.stringify(body)), status);
};
const frame = (path: string, body: object): FrameView => {
  const route = recognise('POST', path);
  return route.dialect.frame(route, undefined, '', parseJson(JSON.stringify(body)));
};
/** Keys that are not the dialect's own are spelled as numbers. */
const plain = (id: string): string => id.replaceAll(/\{[0-9a-f]{16}\}/g, '{}');
const lanes = (view: RequestView | AnswerView): string[] =>
  view.lanes.map((lane) => `${plain(lane.id)}=${lane.node.text}`);
const refused = (detail: string): unknown => expect.objectContaining({ code: 'invalid_request', detail });
const unread = (detail: string): unknown => expect.objectContaining({ code: 'response_uninspectable', detail });

const user = { role: 'user', content: 'hi' };
const chat = (more: object): object => ({ model: 'llama3', messages: [user], ...more });

describe('routes', () => {
  it.each([
    ['POST', '/api/chat', 'Chat', true],
    ['POST', '/api/generate', 'Completions', true],
    ['POST', '/api/embed', 'Embeddings', false],
    ['POST', '/api/embeddings', 'Embeddings', false],
    ['POST', '/api/show', 'ListModels', false],
    ['GET', '/api/tags', 'ListModels', false],
    ['GET', '/api/ps', 'ListModels', false],
  ])('%s %s is %s', (method, path, operation, generates) => {
    const route = recognise(method, path);
    expect([route.dialect.name, route.operation, route.generates]).toEqual(['ollama', operation, generates]);
    expect(route.streams).toEqual(generates ? [ndjson] : []);
  });
});

describe('a request', () => {
  it('is read in every text', () => {
    const view = request(
      '/api/chat',
      chat({
        messages: [
          { role: 'system', content: 's' },
          {
            role: 'assistant',
            content: '',
            thinking: 't',
            tool_calls: [{ function: { name: 'f', arguments: { a: 'x' } } }],
          },
          { role: 'tool', content: 'r', tool_name: 'f' },
        ],
        tools: [{ type: 'function', function: { name: 'f', description: 'd', parameters: { description: 'p' } } }],
        format: { type: 'object', description: 'o' },
        options: { stop: ['END'] },
      }),
    );
    expect(lanes(view)).toEqual([
      'messages[0].content=s',
      'messages[1].content=',
      'messages[1].thinking=t',
      'messages[1].tool_calls[0].function.arguments.{}=x',
      'messages[2].content=r',
      'tools[0].function.description=d',
      'tools[0].function.parameters.description=p',
      'format.type=object',
      'format.description=o',
      'options.stop[0]=END',
    ]);
    expect(view.stops).toBe(true);
    expect(lanes(request('/api/generate', { model: 'm', prompt: 'p', suffix: 'x', system: 's' }))).toEqual([
      'system=s',
      'prompt=p',
      'suffix=x',
    ]);
    expect(lanes(request('/api/embed', { model: 'm', input: ['a', 'b'] }))).toEqual(['input[0]=a', 'input[1]=b']);
    expect(lanes(request('/api/embeddings', { model: 'm', prompt: 'a' }))).toEqual(['prompt=a']);
  });

  it('streams unless told not to', () => {
    expect(request('/api/chat', chat({})).stream).toBe(true);
    expect(request('/api/chat', chat({ stream: null })).stream).toBe(true);
    expect(request('/api/chat', chat({ stream: false })).stream).toBe(false);
    expect(request('/api/embed', { model: 'm', input: 'a' }).stream).toBe(false);
  });

  it.each([
    ['llama3', 'llama3'],
    ['llama3:latest', 'llama3'],
    ['Llama3', 'llama3'],
    ['library/llama3:70b', 'llama3:70b'],
    ['registry.ollama.ai/library/llama3:latest', 'llama3'],
    ['hf.co/some/Model', 'hf.co/some/model'],
  ])('for %s is decided for %s', (model, decided) => {
    expect(request('/api/chat', chat({ model })).model).toBe(decided);
  });

  it.each(['https://hf.co/a/b', 'llama3@sha256:00', 'a\\b', 'a,b', ''])('for a model called %j is refused', (model) => {
    expect(() => request('/api/chat', chat({ model }))).toThrow(refused('model'));
  });

  test.each([
    ['/api/chat', { model: 'm', messages: [] }, 'messages'],
    ['/api/chat', { model: 'm', keep_alive: '5m' }, 'messages'],
    ['/api/generate', { model: 'm', keep_alive: '5m' }, 'prompt'],
    ['/api/generate', { model: 'm', prompt: '' }, 'prompt'],
    ['/api/generate', { model: 'm', prompt: 'p', template: '{{ .Prompt }}' }, 'template'],
    ['/api/chat', chat({ Model: 'x' }), 'model'],
    ['/api/chat', chat({ name: 'x' }), 'name'],
    ['/api/chat', chat({ max_tokens: 9 }), 'max_tokens'],
    ...[0, -0, 0.5, '0', '0s', '-0s', '0m0s', '500ms', '1ns', '0.9s', 'soon', ''].map(
      (time): [string, object, string] => ['/api/chat', chat({ keep_alive: time }), 'keep_alive'],
    ),
    ...[
      'num_ctx',
      'num_batch',
      'num_gpu',
      'main_gpu',
      'num_thread',
      'num_gqa',
      'use_mmap',
      'use_mlock',
      'numa',
    ].flatMap((name): [string, object, string][] => [
      ['/api/chat', chat({ options: { [name]: 0 } }), `options.${name}`],
      ['/api/generate', { model: 'm', prompt: 'p', options: { [name]: true } }, `options.${name}`],
      ['/api/embed', { model: 'm', input: 'p', options: { [name]: 1 } }, `options.${name}`],
      ['/api/embeddings', { model: 'm', prompt: 'p', options: { [name]: '1' } }, `options.${name}`],
      ['/api/chat', chat({ [name]: 1 }), name],
    ]),
    // Go takes a name in any letter case.
    ['/api/chat', chat({ options: { Num_Ctx: 1 } }), 'options.num_ctx'],
    ['/api/chat', chat({ options: { num_predict: 1.5 } }), 'options.num_predict'],
    ['/api/chat', chat({ options: { num_predict: '9' } }), 'options.num_predict'],
    ['/api/embed', { model: 'm' }, 'prompt'],
    ['/api/embed', { model: 'm', input: [1, 2] }, 'input'],
  ])('to %s of %j is refused for %s', (path, body, detail) => {
    expect(() => request(path, body)).toThrow(refused(detail));
  });

  it.each([-1, 1, 300, null, '5m', '1h30m', '1.5h', '-1m', '-1', '24h'])('may keep the model for %j', (time) => {
    expect(request('/api/chat', chat({ keep_alive: time })).model).toBe('llama3');
  });

  it('may leave how the model lies in memory to the server', () => {
    expect(request('/api/chat', chat({ options: { num_ctx: null, num_keep: 4, seed: 1 } })).model).toBe('llama3');
  });

  it('with a query is refused', () => {
    expect(() => request('/api/chat', chat({}), 'model=x')).toThrow(refused('query'));
  });

  it('given in tokens cannot be read', () => {
    expect(request('/api/generate', { model: 'm', prompt: 'p', context: [1, 2] }).tokenInput).toBe(true);
    expect(request('/api/generate', { model: 'm', prompt: 'p', context: [] }).tokenInput).toBe(false);
  });

  test.each([
    [{}, undefined, { options: { num_predict: 5 } }],
    [{ options: null }, undefined, { options: { num_predict: 5 } }],
    [{ options: { seed: 1 } }, undefined, { options: { num_predict: 5, seed: 1 } }],
    [{ options: { num_predict: -1 } }, undefined, { options: { num_predict: 5 } }],
    [{ options: { num_predict: 0 } }, undefined, { options: { num_predict: 5 } }],
    [{ options: { num_predict: 9 } }, 9, { options: { num_predict: 5 } }],
    [{ options: { num_predict: 3 } }, 3, { options: { num_predict: 3 } }],
  ])('of %j is limited', (more, asked, limited) => {
    const view = request('/api/chat', chat(more));
    expect([view.maxOutputTokens, view.outputBound]).toEqual([asked, asked]);
    const edited: unknown = JSON.parse(applyEdits(JSON.stringify(chat(more)), view.limitOutput(5)));
    expect(edited).toEqual(chat({ ...more, ...limited }));
  });
});

describe('an answer', () => {
  it('is read in every text, and tells its end and what was used', () => {
    const view = answer('/api/chat', {
      message: {
        role: 'assistant',
        content: 'c',
        thinking: 't',
        tool_calls: [{ function: { arguments: { a: 'x' } } }],
      },
      ...{ done: true, done_reason: 'stop', prompt_eval_count: 1, eval_count: 2, remote: 'r' },
    });
    expect(lanes(view)).toEqual([
      'message.content=c',
      'message.thinking=t',
      'message.tool_calls[0].function.arguments.{}=x',
      '{}=r',
    ]);
    expect(view.ends).toEqual([{ prefix: '', end: 'complete' }]);
    expect(view.usage).toEqual({ input: 1, output: 2 });
  });

  test.each([['length'], [undefined], ['load']])('that ended by %j is cut', (done_reason) => {
    const body = { response: 'r', done: true, done_reason };
    expect(answer('/api/generate', body).ends).toEqual([{ prefix: '', end: 'cut' }]);
    expect(frame('/api/generate', body).ends).toEqual([{ prefix: '', end: 'cut' }]);
  });

  it('of another shape is refused', () => {
    expect(() => answer('/api/chat', { response: 'r' })).toThrow(unread('message'));
    expect(() => frame('/api/generate', { message: {} })).toThrow(unread('response'));
    expect(() => answer('/api/embed', { data: [] })).toThrow(unread('embeddings'));
    expect(answer('/api/chat', { error: 'no such model' }, 404).lanes).toHaveLength(1);
  });

  it('in tokens, or in logarithms of theirs, is found', () => {
    const view = answer('/api/generate', {
      ...{ response: 'r', context: [1, 2], logprobs: [{ token: 'r', logprob: -1, bytes: [114] }], done: true },
    });
    expect(view.integerArrays).toHaveLength(1);
    expect(view.tokenLanes.map(({ id, shape }) => [id, shape])).toEqual([['logprobs', 'entries']]);
  });

  it('of embeddings is numbers', () => {
    const view = answer('/api/embed', {
      embeddings: [
        [0.5, 1],
        [1, 2, 3, 4, 5, 6, 7, 8, 9],
      ],
      prompt_eval_count: 4,
    });
    expect([view.lanes, view.integerArrays, view.usage]).toEqual([[], [], { input: 4, output: 0 }]);
  });

  it('that lists models names each as access is decided for it', () => {
    const models = [{ name: 'llama3:latest', model: 'llama3:latest', details: { family: 'f' } }, { name: 'q:7b' }];
    expect(answer('/api/tags', { models }, 200, 'GET').models.map(({ id }) => id)).toEqual(['llama3', 'q:7b']);
    expect(lanes(answer('/api/show', { system: 's', model_info: { a: 'b' } }))).toEqual(['{}=s', '{}.{}=b']);
  });
});

test('a line with calls tells that each is a text of its own', () => {
  const view = frame('/api/chat', { message: { content: 'c', tool_calls: [{ function: { arguments: { a: 'x' } } }] } });
  expect(view.lanes.map(({ id, whole }) => [plain(id), whole])).toEqual([
    ['message.content', undefined],
    ['message.tool_calls[0].function.arguments.{}', 'complete'],
  ]);
});

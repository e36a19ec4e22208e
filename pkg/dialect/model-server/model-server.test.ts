import { describe, expect, it, test } from '@jest/globals';
import { answer, frame, lanes, refusing, removed, request, unreadable } from '../testing/reading.ts';

const refused = (detail: string): unknown => expect.objectContaining(refusing(detail));
const unread = (detail: string): unknown => expect.objectContaining(unreadable(detail));

const messages = [{ role: 'user', content: 'hi' }];

describe('a request', () => {
  test.each<[string, object, string[]]>([
    ['/tokenize', { model: 'm', prompt: 'a', add_special_tokens: true }, ['prompt=a']],
    ['/v1/tokenize', { model: 'm', prompt: ['a', 'b'] }, ['prompt[0]=a', 'prompt[1]=b']],
    ['/tokenize', { model: 'm', messages }, ['messages[0].content=hi']],
    ['/tokenize', { content: 'a', with_pieces: true }, ['content=a']],
    ['/tokenize', { inputs: 'a' }, ['inputs=a']],
    ['/chat_tokenize', { model: 'm', messages }, ['messages[0].content=hi']],
    ['/apply-template', { messages }, ['messages[0].content=hi']],
    [
      '/v1/rerank',
      { model: 'm', query: 'q', documents: ['a', { text: 'b' }], top_n: 1 },
      ['query=q', 'documents[0]=a', 'documents[1].text=b'],
    ],
    ['/rerank', { query: 'q', texts: ['a'], raw_scores: false }, ['query=q', 'texts[0]=a']],
    [
      '/v2/rerank',
      { model: 'm', query: 'q', documents: { content: [{ type: 'text', text: 'b' }] } },
      ['query=q', 'documents.content[0].text=b'],
    ],
    ['/score', { model: 'm', text_1: 'a', text_2: ['b', 'c'] }, ['text_1=a', 'text_2[0]=b', 'text_2[1]=c']],
    ['/v1/score', { model: 'm', query: 'q', items: ['a'], label_token_ids: [5, 6] }, ['query=q', 'items[0]=a']],
    ['/pooling', { model: 'm', input: 'a', x: 'y' }, ['input=a', '{}=y']],
    ['/classify', { model: 'm', input: ['a'] }, ['input[0]=a']],
  ])('to %s that is %j is read', (path, body, texts) => {
    const view = request(path, body);
    expect(lanes(view)).toEqual(texts);
    expect(view).toMatchObject({ generates: false, stream: false, tokenInput: false });
    expect(view.model).toBe('model' in body ? 'm' : undefined);
  });

  test.each([
    ['/detokenize', { tokens: [5] }],
    ['/detokenize', { tokens: [[5], [6]] }],
    ['/v1/score', { query: [5], items: [[6], [7]], label_token_ids: [1] }],
    ['/tokenize', { content: [5, 'a'] }],
    ['/pooling', { input: [5] }],
    ['/classify', { input: [[5]] }],
  ])('to %s that is %j cannot be read', (path, body) => {
    expect(request(path, body).tokenInput).toBe(true);
  });

  test.each([
    ['/tokenize', {}, 'prompt'],
    ['/tokenize', { prompt: 7 }, 'prompt'],
    ['/tokenize', { messages: [] }, 'messages'],
    ['/tokenize', { messages, chat_template: 't' }, 'chat_template'],
    ['/tokenize', { inputs: 'a', parameters: { adapter_id: 'x' } }, 'parameters'],
    ['/detokenize', { tokens: ['a'] }, 'tokens'],
    ['/detokenize', { tokens: 'a' }, 'tokens'],
    ['/v1/score', { query: 'q', items: ['a', [5]] }, 'items[1]'],
    ['/v1/rerank', { query: 'q' }, 'documents'],
    ['/v1/rerank', { query: 'q', documents: [5] }, 'documents'],
    ['/score', { text_2: 'b' }, 'text_1'],
    ['/pooling', { model: 'a,b', input: 'a' }, 'model'],
    ['/pooling', { input: 'a', api_base: 'http://x' }, 'api_base'],
    ['/pooling', { input: 'a', keep_alive: 0 }, 'keep_alive'],
    ['/pooling', { model: 'm', data: { data: 'https://evil.example/x.tif', data_format: 'url' } }, 'data'],
    ['/pooling', { model: 'm', data: 'a' }, 'data'],
  ])('to %s that is %j is refused for %s', (path, body, detail) => {
    expect(() => request(path, body)).toThrow(refused(detail));
  });

  it('with a query is refused', () => {
    expect(() => request('/tokenize', { prompt: 'a' }, 'model=m')).toThrow(refused('query'));
  });
});

describe('an answer', () => {
  test.each<[string, unknown, string[], string[]]>([
    ['/tokenize', { count: 1, max_model_len: 9, tokens: [5], token_strs: ['a'] }, [], ['[5]', '["a"]']],
    ['/tokenize', { tokens: [{ id: 5, piece: 'a' }] }, [], ['[{"id":5,"piece":"a"}]']],
    ['/tokenize', [{ id: 5, text: 'a', start: 0, stop: 1 }], [], ['[{"id":5,"text":"a","start":0,"stop":1}]']],
    [
      '/chat_tokenize',
      { tokenize_response: [{ id: 5, text: 'a' }], templated_text: 't' },
      ['templated_text=t'],
      ['[{"id":5,"text":"a"}]'],
    ],
    ['/detokenize', { prompt: 'a' }, ['prompt=a'], []],
    ['/detokenize', { text: ['a', 'b'] }, ['text[0]=a', 'text[1]=b'], []],
    ['/detokenize', { content: 'a' }, ['content=a'], []],
    ['/apply-template', { prompt: 'a' }, ['prompt=a'], []],
    [
      '/v1/rerank',
      { id: 'i', results: [{ index: 0, document: { text: 'a' }, relevance_score: 1 }] },
      ['results[0].document.text=a'],
      [],
    ],
    ['/v1/rerank', [{ score: 1, document: 'a', index: 0, x: 'y' }], ['[0].document=a', '[0].{}=y'], []],
    ['/rerank', [{ index: 0, score: 0.5, text: 'a' }], ['[0].text=a'], []],
    ['/score', { data: [{ index: 0, object: 'score', score: 0.5 }] }, [], []],
    ['/v1/score', { scores: [[0.5, 0.5]], model: 'm' }, [], []],
    // As many whole numbers as may be a text.
    ['/v1/score', { scores: [[1, 2, 3, 4, 5, 6, 7, 8]] }, [], ['[1,2,3,4,5,6,7,8]']],
    ['/pooling', { data: [{ index: 0, object: 'pooling', data: [[0.5], [1]] }] }, [], []],
    ['/classify', { data: [{ index: 0, label: 'spam', probs: [0.5], num_classes: 1 }] }, ['data[0].label=spam'], []],
  ])('of %s that is %j is read', (path, body, texts, hidden) => {
    const view = answer(path, body);
    expect(lanes(view)).toEqual(texts);
    expect(removed(body, view)).toEqual(hidden);
  });

  it('counts what its server counted', () => {
    expect(answer('/v1/rerank', { results: [], usage: { total_tokens: 7 } }).usage).toEqual({ input: 7, output: 0 });
  });

  it('of an error is read', () => {
    expect(lanes(answer('/tokenize', { error: { message: 'bad', type: 't', code: 400 } }, 400))).toEqual([
      'error.message=bad',
    ]);
    expect(lanes(answer('/rerank', { message: 'bad', object: 'error' }, 400))).toEqual(['message=bad']);
  });

  test.each([
    ['/tokenize', {}, 'tokens'],
    ['/detokenize', { tokens: [5] }, 'prompt'],
    ['/detokenize', ['a'], 'body'],
    ['/v1/rerank', { data: [] }, 'results'],
    ['/score', { results: [] }, 'data'],
    ['/pooling', { data: [{ data: ['words'] }] }, 'data[0].data[0]'],
    ['/classify', 'text', 'body'],
  ])('of %s that is %j is refused', (path, body, detail) => {
    expect(() => answer(path, body)).toThrow(unread(detail));
  });

  it('never streams', () => {
    expect(() => frame('/tokenize', { tokens: [5] })).toThrow(unread('stream'));
  });
});

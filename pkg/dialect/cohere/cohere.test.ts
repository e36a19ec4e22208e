import { describe, expect, it, test } from '@jest/globals';
import { parseJson } from '../../base/index.ts';
import { recognise } from '../recognise.ts';
import { answer, frame, lanes, limited, refusing, removed, request, unreadable } from '../testing/reading.ts';

const path = '/v2/chat';
const messages = [{ role: 'user', content: 'hello' }];

describe("Cohere's routes", () => {
  it.each([
    ['/v2/chat', 'Chat', true],
    ['/cohere/v2/chat', 'Chat', true],
    ['/v1/chat', 'Chat', true],
    ['/cohere/v1/chat', 'Chat', true],
    ['/v2/embed', 'Embeddings', false],
    ['/v1/embed', 'Embeddings', false],
    ['/cohere/v2/embed', 'Embeddings', false],
  ])('POST %s is %s; the model writes: %s', (at, operation, generates) => {
    const route = recognise('POST', at);
    expect([route.dialect.name, route.operation, route.generates, route.body]).toEqual([
      ...['cohere', operation, generates, 'json'],
    ]);
  });

  it('leave its other routes to those who read them, or to nobody', () => {
    expect(recognise('POST', '/v2/rerank').dialect.name).toBe('model-server');
    for (const [method, at] of [
      ['POST', '/v1/chat/'],
      ['POST', '/v2/chat/'],
      ['GET', '/v2/chat'],
      ['POST', '/v1/classify/x'],
      ['POST', '/v1/connectors'],
    ] as const)
      expect([at, recognise(method, at).operation]).toEqual([at, 'Other']);
  });
});

describe('a request', () => {
  it('has every text in a lane', () => {
    const view = request(path, {
      model: 'command-a',
      messages: [
        { role: 'system', content: 'be kind' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'one' },
            { type: 'image_url', image_url: { url: 'https://x/' } },
          ],
        },
        {
          role: 'assistant',
          tool_plan: 'two',
          tool_calls: [{ id: 't', type: 'function', function: { name: 'f', arguments: '{"a":"b"}' } }],
        },
        {
          role: 'tool',
          tool_call_id: 't',
          content: [{ type: 'document', document: { id: 'd', data: { c: 'three' } } }],
        },
      ],
      documents: ['four', { data: { title: 'five' } }],
      tools: [{ type: 'function', function: { name: 'f', description: 'six', parameters: { title: 'seven' } } }],
      stop_sequences: ['eight'],
      max_tokens: 9,
    });
    expect(lanes(view)).toEqual([
      'messages[0].content=be kind',
      'messages[1].content[0].text=one',
      'messages[2].tool_plan=two',
      'messages[2].tool_calls[0].function.arguments={"a":"b"}',
      'messages[3].content[0].document.data.{}=three',
      'documents[0]=four',
      'documents[1].data.{}=five',
      'tools[0].function.description=six',
      'tools[0].function.parameters.title=seven',
      'stop_sequences[0]=eight',
    ]);
    expect([view.model, view.stops, view.stream, view.maxOutputTokens]).toEqual(['command-a', true, false, 9]);
  });

  it.each([
    [{ messages }, 'model'],
    [{ model: 'a,b', messages }, 'model'],
    [{ model: 'm' }, 'messages'],
    [{ model: 'm', messages, conversation_id: 'c' }, 'conversation_id'],
    [{ model: 'm', messages, connectors: [{ id: 'web' }] }, 'connectors'],
    [{ model: 'm', messages, message: 'hi' }, 'message'],
    [{ model: 'm', messages, max_completion_tokens: 5 }, 'max_completion_tokens'],
    [{ model: 'm', messages, num_generations: 5 }, 'num_generations'],
    [{ model: 'm', messages, max_tokens: 1.5 }, 'max_tokens'],
    [{ model: 'm', messages, Max_Tokens: 5 }, 'max_tokens'],
    [{ model: 'm', messages, api_base: 'x' }, 'api_base'],
    [[], 'body'],
  ])('%j is refused for %s', (body, detail) => {
    expect(() => request(path, body)).toThrow(expect.objectContaining(refusing(detail)));
  });

  it('is limited, and has no query', () => {
    expect(limited(path, { model: 'm', messages }, 5)).toEqual({ model: 'm', messages, max_tokens: 5 });
    expect(limited(path, { model: 'm', messages, max_tokens: 9 }, 5)).toEqual({ model: 'm', messages, max_tokens: 5 });
    expect(limited('/v2/embed', { model: 'm', texts: ['a'] }, 5)).toEqual({ model: 'm', texts: ['a'] });
    expect(() => request(path, { model: 'm', messages }, 'model=x')).toThrow(
      expect.objectContaining(refusing('query')),
    );
  });

  it('for embeddings has its texts, pictures and both together', () => {
    const view = request('/v2/embed', {
      model: 'embed-v4',
      input_type: 'search_document',
      texts: ['one'],
      inputs: [
        {
          content: [
            { type: 'text', text: 'two' },
            { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } },
          ],
        },
      ],
      embedding_types: ['float'],
    });
    expect(lanes(view)).toEqual([
      'texts[0]=one',
      'inputs[0].content[0].text=two',
      'inputs[0].content[1].image_url.url=data:image/png;base64,AAAA',
    ]);
    expect(() => request('/v2/embed', { model: 'm', texts: [] })).toThrow(expect.objectContaining(refusing('texts')));
  });
});

const usage = { billed_units: { input_tokens: 1, output_tokens: 2 }, tokens: { input_tokens: 3, output_tokens: 4 } };
const message = (content: unknown, more: object = {}): object => ({ role: 'assistant', content, ...more });

describe('an answer', () => {
  it('has each block, plan and call', () => {
    const view = answer(path, {
      id: 'i',
      finish_reason: 'COMPLETE',
      message: message(
        [
          { type: 'thinking', thinking: 'hm' },
          { type: 'text', text: 'one' },
        ],
        {
          tool_plan: 'two',
          tool_calls: [{ id: 't', type: 'function', function: { name: 'f', arguments: '{}' } }],
          citations: [
            { start: 0, end: 3, text: 'one', sources: [{ type: 'document', id: 'd', document: { t: 'three' } }] },
          ],
        },
      ),
      usage,
    });
    expect(lanes(view)).toEqual([
      'message.content[0].thinking=hm',
      'message.content.text=one',
      'message.tool_plan=two',
      'message.tool_calls[0].function.arguments={}',
      'message.citations[0].sources[0].document.{}=three',
    ]);
    expect(view.ends).toEqual([
      { prefix: 'message.content[0].', end: 'complete' },
      { prefix: 'message.content.text', end: 'complete' },
      { prefix: '', end: 'complete' },
    ]);
    expect(view.usage).toEqual({ input: 3, output: 4 });
  });

  it.each(['MAX_TOKENS', 'STOP_SEQUENCE', 'NEW_WORD', null, undefined])(
    'that ended by %s may be cut',
    (finish_reason) => {
      const said = { finish_reason, message: message([{ type: 'text', text: 'a' }]) };
      expect(answer(path, said).ends).toEqual([
        { prefix: 'message.content.text', end: 'cut' },
        { prefix: '', end: 'cut' },
      ]);
    },
  );

  it('that spells its text token by token loses that where a rule looks', () => {
    const body = {
      message: message([]),
      logprobs: [{ token_ids: [5], text: 'a', logprobs: [-1] }],
    };
    expect(removed(body, answer(path, body))).toEqual(['[{"token_ids":[5],"text":"a","logprobs":[-1]}]']);
  });

  it.each([
    [path, { message: 'hi' }, 'message'],
    [path, { id: 'x' }, 'message'],
    [path, [], 'body'],
    ['/v2/embed', { id: 'x' }, 'embeddings'],
  ])('of %s that is none is refused: %j', (at, body, detail) => {
    expect(() => answer(at, body)).toThrow(expect.objectContaining(unreadable(detail)));
  });

  it('of an error and of embeddings is read', () => {
    expect(lanes(answer(path, { id: 'x', message: 'too long' }, 400))).toEqual(['message=too long']);
    const view = answer('/v2/embed', {
      embeddings: { float: [[0.5, 0.25]], int8: [[1, 2, 3, 4, 5, 6, 7, 8, 9]] },
      texts: ['one'],
      meta: { billed_units: { input_tokens: 7 } },
    });
    expect([lanes(view), view.integerArrays, view.usage]).toEqual([['texts[0]=one'], [], { input: 7, output: 0 }]);
  });
});

describe('an event', () => {
  const delta = (content: object): object => ({ message: { content } });

  it('has each piece at its place in the message', () => {
    expect(lanes(frame(path, { type: 'content-delta', index: 1, delta: delta({ text: 'a' }) }))).toEqual([
      'content.text=a',
    ]);
    expect(lanes(frame(path, { type: 'content-delta', index: 0, delta: delta({ thinking: 'a' }) }))).toEqual([
      'content[0].thinking=a',
    ]);
    const call = {
      type: 'tool-call-delta',
      index: 2,
      delta: { message: { tool_calls: { function: { arguments: '{"a' } } } },
    };
    expect(lanes(frame(path, call))).toEqual(['tool_calls[2].function.arguments={"a']);
    expect(lanes(frame(path, { type: 'tool-plan-delta', delta: { message: { tool_plan: 'a' } } }))).toEqual([
      'delta.message.tool_plan=a',
    ]);
  });

  it('ends a text where the next begins, and all where the message does', () => {
    const begin = { type: 'content-start', index: 1, delta: delta({ type: 'text', text: '' }) };
    expect(frame(path, begin).ends).toEqual([{ prefix: 'content[0].', end: 'complete' }]);
    expect(frame(path, { type: 'content-end', index: 0 }).ends).toEqual([]);
    const end = frame(path, { type: 'message-end', delta: { finish_reason: 'COMPLETE', usage } });
    expect([end.kind, end.ends, end.usage]).toEqual([
      'data',
      [{ prefix: '', end: 'complete' }],
      { input: 3, output: 4 },
    ]);
    expect(frame(path, { type: 'message-end', delta: { finish_reason: 'MAX_TOKENS' } }).ends).toEqual([
      { prefix: '', end: 'cut' },
    ]);
  });

  it('with sources has them whole', () => {
    const view = frame(path, {
      ...{ type: 'citation-start', index: 0 },
      delta: { message: { citations: { text: 'a', sources: [{ document: { t: 'b' } }] } } },
    });
    expect(view.lanes.map(({ node, whole }) => [node.text, whole])).toEqual([['b', 'complete']]);
  });

  it('that says an error is one', () => {
    const view = frame(path, { type: 'message-end', delta: { finish_reason: 'ERROR', error: 'lost' } });
    expect([view.kind, lanes(view)]).toEqual(['error', ['delta.error=lost']]);
  });

  it.each([
    [{ type: 'content-new', index: 0 }, 'type'],
    [{}, 'type'],
    [{ type: 'content-delta', delta: delta({ text: 'a' }) }, 'index'],
    [{ type: 'content-delta', index: 1e6, delta: delta({ text: 'a' }) }, 'index'],
    [{ type: 'message-end', delta: { finish_reason: 7 } }, 'finish_reason'],
  ])('%j is refused for %s', (body, detail) => {
    expect(() => frame(path, body)).toThrow(expect.objectContaining(unreadable(detail)));
  });
});

test('a refusal is an error, and the last event of a stream', () => {
  const { dialect } = recognise('POST', path);
  const text = dialect.refusal({
    ...{ status: 403, code: 'guard_blocked', message: 'no', rule: 'ml/test/r', requestId: 'q', detail: undefined },
  });
  expect(parseJson(text).get('message')?.text).toBe('no');
  const body = JSON.parse(text) as object;
  expect(body).toMatchObject({ code: 'guard_blocked', rule: 'ml/test/r' });
  expect(frame(path, body).kind).toBe('error');
});

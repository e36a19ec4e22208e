import { describe, expect, it, test } from '@jest/globals';
import { parseJson } from '../../base/index.ts';
import { recognise } from '../recognise.ts';
import { answer, frame, lanes, limited, refusing, removed, request, unreadable } from '../testing/reading.ts';

// Cohere's first chat: one message, and what was said before it.

const path = '/v1/chat';
const ask = { model: 'command-r', message: 'hello' };

describe('a request', () => {
  it('has every text in a lane', () => {
    const view = request(path, {
      ...ask,
      preamble: 'be kind',
      chat_history: [
        { role: 'USER', message: 'one' },
        { role: 'CHATBOT', message: 'two', tool_calls: [{ name: 'f', parameters: { a: 'three' } }] },
        { role: 'TOOL', tool_results: [{ call: { name: 'f', parameters: {} }, outputs: [{ b: 'four' }] }] },
      ],
      documents: [{ title: 'five', snippet: 'six' }],
      tools: [{ name: 'f', description: 'seven', parameter_definitions: { a: { description: 'eight', type: 'str' } } }],
      tool_results: [{ call: { name: 'f', parameters: { a: 'nine' } }, outputs: [{ b: 'ten' }] }],
      stop_sequences: ['eleven'],
      max_tokens: 9,
    });
    const texts = view.lanes.map(({ node }) => node.text);
    for (const text of 'hello|be kind|one|two|three|four|five|six|seven|eight|nine|ten|eleven'.split('|'))
      expect(texts).toContain(text);
    expect([view.model, view.stops, view.stream, view.maxOutputTokens]).toEqual(['command-r', true, false, 9]);
    expect(request(path, { ...ask, stream: true })).toMatchObject({ stream: true, stops: false, generates: true });
  });

  it.each([
    [{ message: 'hi' }, 'model'],
    [{ model: 'm' }, 'message'],
    [{ model: 'm', message: ['hi'] }, 'message'],
    [{ ...ask, conversation_id: 'c' }, 'conversation_id'],
    [{ ...ask, connectors: [{ id: 'web' }] }, 'connectors'],
    [{ ...ask, messages: [{}] }, 'messages'],
    [{ ...ask, num_generations: 5 }, 'num_generations'],
    [{ ...ask, max_completion_tokens: 5 }, 'max_completion_tokens'],
    [{ ...ask, max_tokens: 1.5 }, 'max_tokens'],
    [{ ...ask, Message: 'x' }, 'message'],
    [{ ...ask, api_base: 'x' }, 'api_base'],
    [[], 'body'],
  ])('%j is refused for %s', (body, detail) => {
    expect(() => request(path, body)).toThrow(expect.objectContaining(refusing(detail)));
  });

  it('is limited, and has no query', () => {
    expect(limited(path, ask, 5)).toEqual({ ...ask, max_tokens: 5 });
    expect(limited(path, { ...ask, max_tokens: 9 }, 5)).toEqual({ ...ask, max_tokens: 5 });
    expect(() => request(path, ask, 'model=x')).toThrow(expect.objectContaining(refusing('query')));
  });
});

const meta = { api_version: { version: '1' }, tokens: { input_tokens: 3, output_tokens: 4 } };

describe('an answer', () => {
  it('has its text, what it rests on, and its calls', () => {
    const view = answer(path, {
      ...{ response_id: 'i', generation_id: 'g', text: 'one', finish_reason: 'COMPLETE' },
      citations: [{ start: 0, end: 3, text: 'one', document_ids: ['d'] }],
      documents: [{ id: 'd', snippet: 'two' }],
      search_queries: [{ text: 'three', generation_id: 'g' }],
      tool_calls: [{ name: 'f', parameters: { a: 'four' } }],
      chat_history: [{ role: 'USER', message: 'five' }],
      meta,
    });
    expect(view.lanes.map(({ node }) => node.text)).toEqual(
      expect.arrayContaining(['one', 'two', 'three', 'four', 'five']),
    );
    expect(view.ends).toEqual([{ prefix: '', end: 'complete' }]);
    expect(view.usage).toEqual({ input: 3, output: 4 });
  });

  it.each(['MAX_TOKENS', 'STOP_SEQUENCE', 'ERROR', 'NEW_WORD', null, undefined])(
    'that ended by %s may be cut',
    (finish_reason) => {
      expect(answer(path, { text: 'a', finish_reason }).ends).toEqual([{ prefix: '', end: 'cut' }]);
    },
  );

  it('that is none is refused; one that spells its tokens loses those; an error is read', () => {
    for (const [body, detail] of [
      [{ message: { content: [] } }, 'text'],
      [[], 'body'],
    ] as const)
      expect(() => answer(path, body)).toThrow(expect.objectContaining(unreadable(detail)));
    const body = { text: 'a', logprobs: [{ token_ids: [5], text: 'a', logprobs: [-1] }] };
    expect(removed(body, answer(path, body))).toEqual(['[{"token_ids":[5],"text":"a","logprobs":[-1]}]']);
    expect(lanes(answer(path, { message: 'too long' }, 400))).toEqual(['message=too long']);
  });
});

describe('an event', () => {
  const of = (event_type: string, more: object): ReturnType<typeof frame> =>
    frame(path, { is_finished: event_type === 'stream-end', event_type, ...more });

  it('brings a piece of the text, or says something whole', () => {
    expect(lanes(of('text-generation', { text: 'a' }))).toEqual(['text=a']);
    expect(of('text-generation', { text: 'a' }).lanes[0]).not.toHaveProperty('whole');
    for (const [type, more] of [
      ['search-results', { documents: [{ snippet: 'a' }] }],
      ['search-queries-generation', { search_queries: [{ text: 'a' }] }],
      ['tool-calls-generation', { text: 'a' }],
      ['debug', { prompt: 'a' }],
    ] as const)
      expect(of(type, more).lanes).toMatchObject([{ node: { text: 'a' }, whole: 'complete' }]);
  });

  it('brings pieces of calls by their index', () => {
    const chunk = (delta: object): ReturnType<typeof frame> => of('tool-calls-chunk', { tool_call_delta: delta });
    expect(lanes(chunk({ index: 1, parameters: '{"a' }))).toEqual(['calls[1].parameters={"a']);
    expect(chunk({ index: 1, name: 'f' }).ends).toEqual([{ prefix: 'calls[0].', end: 'complete' }]);
    expect(lanes(of('tool-calls-chunk', { text: 'I will' }))).toEqual(['plan=I will']);
    expect(() => chunk({ index: -1, parameters: 'a' })).toThrow(expect.objectContaining(unreadable('index')));
  });

  it('that is the last says the text again, and how it ended', () => {
    const last = of('stream-end', {
      finish_reason: 'COMPLETE',
      response: { text: 'a', meta: { tokens: meta.tokens } },
    });
    expect(last).toMatchObject({
      kind: 'data',
      ends: [{ prefix: '', end: 'complete' }],
      usage: { input: 3, output: 4 },
    });
    expect(last.lanes).toMatchObject([{ id: 'event.response.text', whole: 'complete' }]);
    expect(of('stream-end', { finish_reason: 'MAX_TOKENS', response: { text: 'a' } })).toMatchObject({
      ...{ ends: [{ end: 'cut' }], lanes: [{ whole: 'cut' }] },
    });
    expect(of('stream-end', { response: { text: 'a', finish_reason: 'COMPLETE' } }).ends).toMatchObject([
      { end: 'complete' },
    ]);
    expect(of('stream-end', { finish_reason: 'ERROR_TOXIC', response: { text: 'a' } })).toMatchObject({
      ...{ kind: 'error', ends: [] },
    });
  });

  it('of another type is refused', () => {
    for (const body of [{}, { event_type: 'content-delta' }, { type: 'text-generation', text: 'a' }])
      expect(() => frame(path, body)).toThrow(expect.objectContaining(unreadable('event_type')));
  });
});

test('its streams are lines or events, and a refusal is their last', () => {
  const route = recognise('POST', path);
  const types = route.streams.map(({ mediaTypes }) => [...mediaTypes]);
  expect(types[0]).toContain('application/stream+json');
  expect(types[1]).toEqual(['text/event-stream']);
  const refusal = route.dialect.refusal({
    ...{ status: 403, code: 'guard_blocked', message: 'No.', rule: 'r', requestId: 'i', detail: undefined },
  });
  expect(JSON.parse(refusal)).toMatchObject({ message: 'No.', code: 'guard_blocked', finish_reason: 'ERROR' });
  expect(route.dialect.frame(route, undefined, refusal, parseJson(refusal)).kind).toBe('error');
});

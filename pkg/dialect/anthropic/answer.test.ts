import { describe, expect, it } from '@jest/globals';
import { parseJson } from '../../base/index.ts';
import { spelled } from '../testing/spelled.ts';
import { RefusedError } from '../../core/index.ts';
import type { AnswerView, FrameView } from '../index.ts';
import { recognise } from '../index.ts';

const route = recognise('POST', '/v1/messages');
const counting = recognise('POST', '/v1/messages/count_tokens');
const answer = (body: object, status = 200): AnswerView =>
  route.dialect.answer(route, parseJson(JSON.stringify(body)), status);
const frame = (body: object, event?: string): FrameView => {
  const data = JSON.stringify(body);
  return route.dialect.frame(route, event, data, parseJson(data));
};
const lanes = (view: AnswerView): unknown[] =>
  view.lanes.map((lane) => `${spelled(view, lane.id)} ${lane.kind} ${lane.node.text}`);
const lone = (view: AnswerView): unknown[] => view.loneValues.map((value) => value.node.text);

function refused(run: () => unknown): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    if (error instanceof RefusedError && error.code === 'response_uninspectable') return error.detail;
    throw error;
  }
}

describe('an answer', () => {
  const body = {
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    model: 'claude',
    content: [
      { type: 'thinking', thinking: 'hm', signature: 'sig' },
      {
        type: 'text',
        text: 'hello',
        citations: [{ type: 'char_location', cited_text: 'cited', document_title: 'doc' }],
      },
      { type: 'tool_use', id: 'tu', name: 'f', input: { city: 'Rome' } },
    ],
    stop_reason: 'tool_use',
    stop_sequence: null,
    usage: { input_tokens: 3, cache_read_input_tokens: 4, cache_creation_input_tokens: 5, output_tokens: 7 },
  };

  it('is read block by block', () => {
    const view = answer(body);
    expect(lanes(view)).toEqual([
      'content[0].thinking text hm',
      'content.text text hello',
      'content[2].input.{city} text Rome',
    ]);
    expect(lone(view)).toEqual(expect.arrayContaining(['sig', 'cited', 'doc', 'f', 'claude']));
    expect(view.usage).toEqual({ input: 12, output: 7 });
  });

  it.each([
    ['end_turn', 'complete'],
    ['tool_use', 'complete'],
    ['max_tokens', 'cut'],
    ['stop_sequence', 'cut'],
    ['refusal', 'cut'],
    ['pause_turn', 'cut'],
    [null, 'cut'],
  ])('that stopped by %s is %s at its end', (reason, end) => {
    expect(answer({ ...body, stop_reason: reason }).ends).toEqual([
      { prefix: 'content[0].', end: 'complete' },
      { prefix: 'content[1].', end: 'complete' },
      // A call stands behind it.
      { prefix: 'content.text', end: 'complete' },
      { prefix: '', end },
    ]);
  });

  it('of another shape is refused, an error of any shape is read', () => {
    expect(refused(() => answer({ choices: [] }))).toBe('content');
    expect(refused(() => answer({ content: 'text' }))).toBe('content');
    expect(lanes(answer({ type: 'error', error: { type: 'api_error', message: 'words' } }, 500))).toEqual([
      'error.message text words',
    ]);
    expect(lanes(answer({ detail: 'words' }, 500))).toEqual(['{detail} text words']);
  });

  it('that counts tokens is a number', () => {
    const count = (body: object): AnswerView => counting.dialect.answer(counting, parseJson(JSON.stringify(body)), 200);
    expect(count({ input_tokens: 9 }).lanes).toEqual([]);
    expect(refused(() => count({ content: [] }))).toBe('input_tokens');
  });
});

describe('an event', () => {
  it.each([
    [
      'the beginning',
      { type: 'message_start', message: { id: 'm', content: [], usage: { input_tokens: 5, output_tokens: 1 } } },
      [],
    ],
    [
      'content that the beginning brings',
      { type: 'message_start', message: { content: [{ type: 'text', text: 'a' }] } },
      ['content.text text a'],
    ],
    [
      'the beginning of a block',
      { type: 'content_block_start', index: 1, content_block: { type: 'text', text: 'a' } },
      ['content.text text a'],
    ],
    [
      'text',
      { type: 'content_block_delta', index: 1, delta: { type: 'text_delta', text: 'b' } },
      ['content.text text b'],
    ],
    [
      'thinking',
      { type: 'content_block_delta', index: 0, delta: { type: 'thinking_delta', thinking: 'c' } },
      ['content[0].thinking text c'],
    ],
    [
      'arguments',
      { type: 'content_block_delta', index: 2, delta: { type: 'input_json_delta', partial_json: '{"a' } },
      ['content[2].partial_json json {"a'],
    ],
    [
      'an unknown piece',
      { type: 'content_block_delta', index: 2, delta: { type: 'new_delta', news: 'd' } },
      ['content[2].{news} text d'],
    ],
    [
      'text without a block',
      { type: 'content_block_delta', delta: { type: 'text_delta', text: 'e' } },
      ['{text} text e'],
    ],
    ['what is nobody’s', { type: 'ping', note: 'f' }, ['{note} text f']],
  ])('is read at the place of its block: %s', (_, body, expected) => {
    expect(lanes(frame(body))).toEqual(expected);
  });

  it('ends a block where the next begins, and the last where the message says how', () => {
    expect(frame({ type: 'content_block_stop', index: 0 }).ends).toEqual([]);
    expect(frame({ type: 'content_block_start', index: 1, content_block: { type: 'text', text: '' } }).ends).toEqual([
      { prefix: 'content[0].', end: 'complete' },
    ]);
    const last = (reason: string | null): unknown =>
      frame({ type: 'message_delta', delta: { stop_reason: reason } }).ends;
    expect(last('end_turn')).toEqual([{ prefix: 'content', end: 'complete' }]);
    expect(last('max_tokens')).toEqual([{ prefix: 'content', end: 'cut' }]);
    expect(last(null)).toEqual([]);
  });

  it('says what it is', () => {
    expect(frame({ type: 'message_stop' }).kind).toBe('done');
    expect(frame({ type: 'error', error: { type: 'overloaded_error', message: 'm' } }).kind).toBe('error');
    expect(frame({ type: 'ping' }, 'error').kind).toBe('error');
    expect(frame({ type: 'message_delta', delta: {}, usage: { output_tokens: 8 } }).usage).toEqual({
      input: 0,
      output: 8,
    });
    const begun = { type: 'message_start', message: { content: [], usage: { input_tokens: 5, output_tokens: 1 } } };
    expect(frame(begun).usage).toEqual({ input: 5, output: 1, early: true });
  });

  it.each([
    ['type', { type: 'message_extra', text: 'x' }],
    ['type', {}],
    ['index', { type: 'content_block_delta', index: -1, delta: {} }],
    ['index', { type: 'content_block_delta', index: 4_096, delta: {} }],
    ['index', { type: 'content_block_delta', index: '0', delta: {} }],
    ['stop_reason', { type: 'message_delta', delta: { stop_reason: 7 } }],
  ])('of unknown %s is refused', (field, body) => {
    expect(refused(() => frame(body))).toBe(field);
  });
});

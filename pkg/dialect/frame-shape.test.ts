import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { jsonValue, parseJson } from '../base/index.ts';
import { FrameShapeCache, recognise } from './index.ts';
import type { FrameView } from './index.ts';

const route = recognise('POST', '/v1/chat/completions');

function readWhole(data: string, loneSurrogates: boolean): FrameView {
  return route.dialect.frame(route, undefined, data, parseJson(data, { loneSurrogates }));
}

/** A view in plain values, without offsets. */
function plain(view: FrameView): unknown {
  return {
    kind: view.kind,
    lanes: view.lanes.map((lane) => [lane.id, lane.kind, lane.node.text, lane.path]),
    lone: view.loneValues.map((value) => [value.path, value.node.text, value.key]),
    tokens: view.tokenLanes.map((lane) => [lane.id, jsonValue(lane.node)]),
    integers: view.integerArrays.map(jsonValue),
    opaque: view.opaque.map(jsonValue),
    ends: view.ends,
    usage: view.usage,
  };
}

const chunk = (delta: string, more = ''): string =>
  `{"id":"c1","choices":[{"index":0,"delta":${delta},"finish_reason":null${more}}]}`;

describe('a frame that repeats the one before it', () => {
  it('is read without parsing, with offsets of its own', () => {
    const cache = new FrameShapeCache({ loneSurrogates: true });
    const first = chunk('{"content":"a"}');
    cache.keep(undefined, first, readWhole(first, true));
    const second = chunk('{"content":" longer"}');
    const lane = cache.match(undefined, second);
    expect(lane?.id).toBe('choices[0].delta.content');
    expect(lane?.node.text).toBe(' longer');
    expect(second.slice(lane!.node.start, lane!.node.end)).toBe('" longer"');
  });

  it.each([
    ['another field', chunk('{"reasoning":"b"}')],
    ['an escape', chunk('{"content":"b\\n"}')],
    ['a string that closes early', chunk('{"content":"b","x":"y"}')],
    ['a raw control character', chunk('{"content":"b\tc"}')],
    ['a finish', chunk('{"content":"b"}').replace('null', '"stop"')],
    ['another choice', chunk('{"content":"b"}').replace('"index":0', '"index":1')],
    ['another id', chunk('{"content":"b"}').replace('c1', 'c2')],
    ['less than head and tail together', '{"id":"c1","choices":[{"index":0,"delta":{"content":"'],
    ['the end marker', '[DONE]'],
  ])('is not recognised when it has %s', (_, data) => {
    const cache = new FrameShapeCache({ loneSurrogates: true });
    const first = chunk('{"content":"a"}');
    cache.keep(undefined, first, readWhole(first, true));
    expect(cache.match(undefined, data)).toBeUndefined();
  });

  it('is read without parsing where it ends again what such frames always end: a tool’s name', () => {
    const cache = new FrameShapeCache({ loneSurrogates: true });
    const call = (text: string): string => chunk(`{"tool_calls":[{"index":0,"function":{"arguments":"${text}"}}]}`);
    const first = readWhole(call('a'), true);
    expect(first.ends).toHaveLength(1);
    cache.keep(undefined, call('a'), first);
    expect(cache.match(undefined, call('bc'))?.node.text).toBe('bc');
    expect(readWhole(call(''), true).ends).toEqual(first.ends);
  });

  it('is not recognised under another event name, nor after forgetting', () => {
    const cache = new FrameShapeCache({ loneSurrogates: true });
    const first = chunk('{"content":"a"}');
    cache.keep(undefined, first, readWhole(first, true));
    expect(cache.match('error', first)).toBeUndefined();
    cache.forget();
    expect(cache.match(undefined, first)).toBeUndefined();
  });

  it.each([
    ['two lanes', chunk('{"content":"a","reasoning":"b"}')],
    ['an end', chunk('{"content":"a"}').replace('null', '"length"')],
    ['usage', chunk('{"content":"a"}').replace('"id"', '"usage":{"prompt_tokens":1,"completion_tokens":1},"id"')],
    ['tokens', chunk('{"content":"a"}', ',"logprobs":{"content":[{"token":"a","logprob":-1}]}')],
    ['token ids', chunk('{"content":"a"}', ',"token_ids":[7]')],
    ['an error', '{"error":{"message":"a"}}'],
    ['no lane', chunk('{}')],
  ])('is not kept when it carries %s', (_, data) => {
    const cache = new FrameShapeCache({ loneSurrogates: true });
    cache.keep(undefined, data, readWhole(data, true));
    expect(cache.match(undefined, data)).toBeUndefined();
  });

  it('leaves halves of surrogate pairs to a parser that refuses them', () => {
    const first = chunk('{"content":"a"}');
    const half = chunk('{"content":"\ud83d"}');
    const strict = new FrameShapeCache({ loneSurrogates: false });
    strict.keep(undefined, first, readWhole(first, false));
    expect(strict.match(undefined, half)).toBeUndefined();
    const lenient = new FrameShapeCache({ loneSurrogates: true });
    lenient.keep(undefined, first, readWhole(first, true));
    expect(lenient.match(undefined, half)?.node.text).toBe('\ud83d');
  });

  it('gives what the whole parse gives, for any two frames', () => {
    const piece = fc.oneof(
      fc.constantFrom(
        '',
        ' a',
        'bc',
        ' the',
        ' é',
        '"',
        '\\',
        '\\"',
        '\n',
        '"}',
        '","content":"',
        '\ud83d',
        '😀',
        '日本',
        ']}',
        '"stop"',
      ),
      fc.string({ unit: 'binary', maxLength: 6 }),
    );
    const delta = fc.record({ content: piece, role: piece, extra: piece }, { requiredKeys: [] });
    const frame = fc
      .record({
        delta,
        finish: fc.constantFrom(null, null, null, 'stop'),
        index: fc.constantFrom(0, 0, 0, 1),
        space: fc.constantFrom('', ' '),
      })
      .map(({ delta, finish, index, space }) => {
        const data = JSON.stringify({ id: 'x', choices: [{ index, delta, finish_reason: finish }] });
        return data.replaceAll('":', `":${space}`);
      });
    let hits = 0;
    fc.assert(
      fc.property(frame, frame, piece, (first, other, text) => {
        const cache = new FrameShapeCache({ loneSurrogates: true });
        const view = readWhole(first, true);
        cache.keep(undefined, first, view);
        const node = view.lanes[0]?.node;
        // The other frame, the same frame, and the first with raw text put in the lane's place: valid JSON or not.
        const spliced = node === undefined ? first : first.slice(0, node.start + 1) + text + first.slice(node.end - 1);
        for (const data of [other, first, spliced]) {
          const lane = cache.match(undefined, data);
          if (lane === undefined) continue;
          hits++;
          const whole = readWhole(data, true);
          expect(plain({ ...view, lanes: [lane] })).toEqual(plain(whole));
          expect([lane.node.start, lane.node.end]).toEqual([whole.lanes[0]!.node.start, whole.lanes[0]!.node.end]);
        }
      }),
      { numRuns: 5_000 },
    );
    expect(hits).toBeGreaterThan(300);
  });
});

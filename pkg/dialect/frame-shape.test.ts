import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { jsonValue, parseJson } from '../base/index.ts';
import { FrameShapeCache, recognise } from './index.ts';
import type { FrameView } from './index.ts';

const route = recognise('POST', '/v1/chat/completions');

function readWhole(data: string, loneSurrogates: boolean): FrameView {
  return route.dialect.frame(route, undefined, data, parseJson(data, { loneSurrogates }));
}

/** A cache that has seen this frame. */
function cacheOf(data: string, loneSurrogates = true): FrameShapeCache {
  const cache = new FrameShapeCache({ loneSurrogates });
  const root = parseJson(data, { loneSurrogates });
  cache.keep(undefined, data, root, route.dialect.frame(route, undefined, data, root));
  return cache;
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
    const cache = cacheOf(chunk('{"content":"a"}'));
    const second = chunk('{"content":" longer"}');
    const found = cache.match(undefined, second);
    expect(found?.lane.id).toBe('choices[0].delta.content');
    expect(found?.text).toBe(' longer');
    expect(second.slice(found!.start, found!.end)).toBe('" longer"');
  });

  it('is looked at itself where a file is in it: each is asked for', () => {
    const data = chunk('{"content":"a"}');
    const cache = new FrameShapeCache({ loneSurrogates: true });
    const root = parseJson(data);
    const view = route.dialect.frame(route, undefined, data, root);
    cache.keep(undefined, data, root, { ...view, files: [] });
    expect(cache.match(undefined, data)).toBeDefined();
    cache.keep(undefined, data, root, { ...view, files: [{ type: 'audio/pcm', bytes: 9 }] });
    expect(cache.match(undefined, data)).toBeUndefined();
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
    const cache = cacheOf(chunk('{"content":"a"}'));
    expect(cache.match(undefined, data)).toBeUndefined();
  });

  it('is read without parsing where it ends again what such frames always end: a tool’s name', () => {
    const call = (text: string): string => chunk(`{"tool_calls":[{"index":0,"function":{"arguments":"${text}"}}]}`);
    const first = readWhole(call('a'), true);
    expect(first.ends).toHaveLength(1);
    expect(cacheOf(call('a')).match(undefined, call('bc'))?.text).toBe('bc');
    expect(readWhole(call(''), true).ends).toEqual(first.ends);
  });

  it('is not recognised under another event name, nor after forgetting', () => {
    const first = chunk('{"content":"a"}');
    const cache = cacheOf(first);
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
    expect(cacheOf(data).match(undefined, data)).toBeUndefined();
  });

  const timed = (created: string, content = 'a'): string =>
    `{"created":${created},"choices":[{"index":0,"delta":{"content":"${content}"},"finish_reason":null}]}`;

  it.each([
    ['the next second', '1767225600', '1767225601'],
    ['microseconds', '999', '1767225600123456'],
    ['none', '17', '0'],
  ])('is read without parsing where its time is another: %s', (_, before, after) => {
    const found = cacheOf(timed(before)).match(undefined, timed(after, 'bcd'));
    const whole = readWhole(timed(after, 'bcd'), true).lanes[0]!;
    expect(found?.text).toBe('bcd');
    expect([found?.start, found?.end]).toEqual([whole.node.start, whole.node.end]);
  });

  it.each([
    ['a leading zero', '01'],
    ['no digits', ''],
    ['a sign', '-1'],
    ['a fraction', '1.5'],
    ['an exponent', '1e3'],
    ['more digits than a time has', '17672256001234567'],
    ['a string', '"1"'],
    ['a list', '[1]'],
    ['another member behind it', '1,"x":"y"'],
    ['nothing', 'null'],
  ])('is not recognised where its time is %s', (_, after) => {
    expect(cacheOf(timed('1767225600')).match(undefined, timed(after))).toBeUndefined();
    expect(cacheOf(timed('1767225600')).match(undefined, timed('1', after.replaceAll('"', '')))).toBeDefined();
  });

  it.each(['/v1/chat/completions', '/v1/completions', '/something/else'])('no dialect reads that time: %s', (path) => {
    const other = recognise('POST', path);
    const view = (data: string): unknown => plain(other.dialect.frame(other, undefined, data, parseJson(data)));
    for (const created of ['0', '4111111111111111', '1767225600'])
      expect(view(timed(created))).toEqual(view(timed('1')));
  });

  it.each([
    ['is cut within the time', '{"created":17'],
    ['is cut behind the time', '{"created":17,'],
    ['has another member in front', timed('1').replace('{', '{"id":"x",')],
  ])('is not recognised when it %s', (_, data) => {
    expect(cacheOf(timed('17')).match(undefined, data)).toBeUndefined();
  });

  it('is not recognised where another number is another, nor a time of other spelling, nor one behind the lane', () => {
    const seed = (value: number): string => timed('1').replace('{', `{"seed":${value},`);
    expect(cacheOf(seed(1)).match(undefined, seed(2))).toBeUndefined();
    for (const created of ['1.5', '-1', '"1"'])
      expect(cacheOf(timed(created)).match(undefined, timed('1'))).toBeUndefined();
    const inner = (value: number): string =>
      chunk('{"content":"a"}').replace('{"index"', `{"created":${value},"index"`);
    expect(cacheOf(inner(1)).match(undefined, inner(2))).toBeUndefined();
    const behind = (value: number): string => chunk('{"content":"a"}').replace(/\}$/, `,"created":${value}}`);
    expect(cacheOf(behind(1)).match(undefined, behind(2))).toBeUndefined();
    expect(cacheOf(behind(1)).match(undefined, behind(1))?.text).toBe('a');
  });

  it('is not recognised where a text that no dialect knows becomes a token spelled by its id', () => {
    const odd = (text: string): string => chunk('{}').replace('{"id"', `{"odd":"${text}","id"`);
    const cache = cacheOf(odd('a'));
    expect(cache.match(undefined, odd('token_id:9'))).toBeUndefined();
    expect(cache.match(undefined, odd('token_id:9b'))?.text).toBe('token_id:9b');
    const known = cacheOf(chunk('{"content":"a"}'));
    expect(known.match(undefined, chunk('{"content":"token_id:9"}'))?.text).toBe('token_id:9');
  });

  it('leaves halves of surrogate pairs to a parser that refuses them', () => {
    const first = chunk('{"content":"a"}');
    const half = chunk('{"content":"\ud83d"}');
    expect(cacheOf(first, false).match(undefined, half)).toBeUndefined();
    expect(cacheOf(first).match(undefined, half)?.text).toBe('\ud83d');
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
        'token_id:9',
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
        created: fc.constantFrom(undefined, 0, 1, 1767225600, 1767225601, 1767225600123456, 1e21, 1.5, -1, '7', [7]),
      })
      .map(({ delta, finish, index, space, created }) => {
        const data = JSON.stringify({ id: 'x', created, choices: [{ index, delta, finish_reason: finish }] });
        return data.replaceAll('":', `":${space}`);
      });
    // Numbers or not.
    const digits = fc.stringMatching(/^[0-9]{0,3}[0-9.e"-]{0,3}[0-9]{0,14}$/);
    let hits = 0;
    fc.assert(
      fc.property(frame, frame, piece, digits, (first, other, text, digits) => {
        const cache = cacheOf(first);
        const view = readWhole(first, true);
        const node = view.lanes[0]?.node;
        // The other frame, the same frame, and the first with raw text put in the lane's place: valid JSON or not.
        const spliced = node === undefined ? first : first.slice(0, node.start + 1) + text + first.slice(node.end - 1);
        const later = first.replace(/"created":( ?)\d+/, `"created":$1${digits}`);
        for (const data of [other, first, spliced, later]) {
          const found = cache.match(undefined, data);
          if (found === undefined) continue;
          hits++;
          const whole = readWhole(data, true);
          const node = parseJson(data.slice(found.start, found.end), { loneSurrogates: true });
          expect(node.text).toBe(found.text);
          expect(plain({ ...view, lanes: [{ ...found.lane, node }] })).toEqual(plain(whole));
          expect([found.start, found.end]).toEqual([whole.lanes[0]!.node.start, whole.lanes[0]!.node.end]);
        }
      }),
      { numRuns: 5_000 },
    );
    expect(hits).toBeGreaterThan(300);
  });
});

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { RefusedError } from '../../core/index.ts';
import { SseSplitter } from './sse.ts';
import type { StreamFrame } from './stream-framing.ts';
import { cpuMs } from '../../../test/support/cost.ts';

/** All frames of a stream that comes in the given chunks, the unterminated one with them. */
function frames(chunks: readonly (string | Buffer)[], max?: number): StreamFrame[] {
  const splitter = new SseSplitter(max);
  const all = chunks.flatMap((chunk) => [...splitter.push(Buffer.from(chunk))]);
  const last = splitter.end();
  return last === undefined ? all : [...all, last];
}

const view = (list: readonly StreamFrame[]): unknown[] =>
  list.map(({ raw, event, data, complete }) => ({ raw, event, data, complete }));

/** WHATWG HTML section 9.2.6, line by line and slow, for comparison: [event, data] of each dispatched event. */
function reference(text: string): [string, string][] {
  const lines = text.replace(/^\ufeff/, '').split(/\r\n|\r|\n/);
  lines.pop(); // what is not terminated is not a line
  const events: [string, string][] = [];
  let data: string[] = [];
  let type = '';
  for (const line of lines) {
    if (line === '') {
      if (data.length > 0) events.push([type, data.join('\n')]);
      data = [];
      type = '';
      continue;
    }
    const colon = line.indexOf(':');
    if (colon === 0) continue;
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (name === 'data') data.push(value);
    if (name === 'event') type = value;
  }
  return events;
}

const dispatched = (list: readonly StreamFrame[]): [string, string][] =>
  list.filter((one) => one.complete && one.data !== undefined).map((one) => [one.event ?? '', one.data ?? '']);

// Source of each: WHATWG HTML section 9.2 and web-platform-tests eventsource/format-*.
const streams: readonly (readonly [string, string])[] = [
  ['LF', 'data: a\n\ndata: b\n\n'],
  ['CRLF', 'data: a\r\n\r\ndata: b\r\n\r\n'],
  ['CR', 'data: a\r\rdata: b\r\r'],
  ['mixed line ends', 'data: a\n\r\ndata: b\r\n\ndata: c\r\n\rdata: d\n\r'],
  ['a byte order mark', '\ufeffdata: a\n\n'],
  ['two byte order marks', '\ufeff\ufeffdata: a\n\ndata: b\n\n'],
  ['a byte order mark later', 'data: a\n\n\ufeffdata: b\n\n'],
  ['comments', ': hello\n\ndata: a\n: in between\ndata: b\n\n'],
  ['several data lines', 'data: {"a":\ndata:  1}\n\n'],
  ['no space after the colon', 'data:a\n\ndata:\tb\n\n'],
  ['no colon', 'data\n\ndata\ndata\n\n'],
  ['empty data', 'data:\n\ndata: \n\n'],
  ['event, id, retry', 'event: x\nid: 1\nretry: 2\ndata: a\n\n'],
  ['the last event field', 'event: x\nevent: y\ndata: a\n\n'],
  ['other fields', 'dat: a\nDATA: b\n data: c\ndata : d\n\n'],
  ['colons in data', 'data: a: b:\n\n'],
  ['empty lines alone', '\n\n\ndata: a\n\n\n\n'],
  ['CRLF alone', '\r\n\r\ndata: a\r\n\r\n'],
  ['unterminated', 'data: a\n\ndata: b\n'],
  ['unterminated without a line end', 'data: a\n\ndata: b'],
  ['ends in a CR', 'data: a\r\n\r'],
  ['one CR', '\r'],
  ['NUL', 'data: \0a\n\n'],
  ['letters of four bytes', 'data: 😀é漢\n\n'],
  ['a lone surrogate', 'data: \ud800\n\n'],
];

describe('every stream, whole, byte by byte and at every cut', () => {
  test.each(streams)('%s', (_name, text) => {
    const bytes = Buffer.from(text);
    const sane = bytes.toString();
    const whole = frames([bytes]);
    expect(whole.map((one) => one.raw).join('')).toBe(sane);
    expect(dispatched(whole)).toEqual(reference(sane));
    expect(view(frames([...bytes].map((byte) => Buffer.of(byte))))).toEqual(view(whole));
    for (let cut = 0; cut <= bytes.length; cut++) {
      expect(view(frames([bytes.subarray(0, cut), bytes.subarray(cut)]))).toEqual(view(whole));
    }
  });
});

test('random streams at random cuts give the same frames, and what a client reads', () => {
  const piece = fc.constantFrom(
    'data: a',
    'data:',
    'data',
    'event: x',
    ': c',
    'id: 1',
    'é😀',
    '\ufeff',
    '\n',
    '\r',
    '\r\n',
    '\n\n',
    '\r\r',
    '\r\n\r\n',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), fc.array(fc.nat(200), { maxLength: 8 }), (pieces, cuts) => {
      const bytes = Buffer.from(pieces.join(''));
      const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
      const chunks = places.slice(1).map((place, at) => bytes.subarray(places[at], place));
      const list = frames(chunks);
      expect(list.map((one) => one.raw).join('')).toBe(bytes.toString());
      expect(dispatched(list)).toEqual(reference(bytes.toString()));
      expect(view(list)).toEqual(view(frames([bytes])));
    }),
    { numRuns: 500 },
  );
});

test('a frame is given as soon as its empty line is in, before anything else comes', () => {
  const splitter = new SseSplitter();
  expect(splitter.push(Buffer.from('data: a\n')).length).toBe(0);
  expect(splitter.push(Buffer.from('\ndata: b')).map((one) => one.data)).toEqual(['a']);
  expect(splitter.push(Buffer.from('\r\n\r\n')).map((one) => one.data)).toEqual(['b']);
});

test('the unterminated last frame says that it is not complete', () => {
  expect(view(frames(['data: a\n\ndata: b\n']))).toEqual([
    { raw: 'data: a\n\n', event: undefined, data: 'a', complete: true },
    { raw: 'data: b\n', event: undefined, data: 'b', complete: false },
  ]);
});

describe('withData replaces data and nothing else', () => {
  test.each([
    ['data: a\n\n', 'x', 'data: x\n\n'],
    ['data:a\r\n\r\n', 'x', 'data: x\r\n\r\n'],
    ['event: e\nid: 1\ndata: a\n: c\ndata: b\nretry: 2\n\n', 'x', 'event: e\nid: 1\ndata: x\n: c\nretry: 2\n\n'],
    ['data: a\n\n', 'x\ny', 'data: x\ndata: y\n\n'],
    ['data: a\r\n\r\n', 'x\ny', 'data: x\r\ndata: y\r\n\r\n'],
    ['data: a\n\n', '', 'data: \n\n'],
    [': only a comment\n\n', 'x', ': only a comment\ndata: x\n\n'],
    ['\ufeffdata: a\n\n', 'x', '\ufeffdata: x\n\n'],
    ['data: a', 'x', 'data: x\n'],
  ])('%j with %j', (raw, data, expected) => {
    const [frame] = frames([raw]);
    expect(frame!.withData(data)).toBe(expected);
    const [again] = frames([`${expected}\n\n`]);
    expect(again!.data).toBe(data);
  });
});

describe('long frames', () => {
  test('a frame past the cap is refused, in one chunk and in many', () => {
    const code = { code: 'response_uninspectable' };
    const long = `data: ${'a'.repeat(200)}\n\n`;
    expect(() => frames([long], 100)).toThrow(RefusedError);
    expect(() => frames(long.match(/.{1,7}|\n/gs) ?? [], 100)).toThrow(expect.objectContaining(code));
    expect(frames([`data: ${'a'.repeat(90)}\n\n`], 100)).toHaveLength(1);
  });

  test('a frame of 4 MiB in small chunks costs in proportion to its length', () => {
    const chunk = Buffer.from('a'.repeat(256));
    const cost = cpuMs(() => {
      const splitter = new SseSplitter();
      splitter.push(Buffer.from('data: '));
      for (let at = 0; at < 16_384; at++) splitter.push(chunk);
      expect(splitter.push(Buffer.from('\n\n'))[0]!.data!.length).toBe(4 * 1024 * 1024);
    });
    expect(cost).toBeLessThan(1000);
  });
});

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ndjson, ndjsonSplitter } from './ndjson.ts';
import type { StreamFrame } from './stream-framing.ts';

/** All lines of a stream that comes in the given chunks, the unterminated one with them. */
function lines(chunks: readonly Buffer[], most?: number): StreamFrame[] {
  const splitter = ndjsonSplitter(most);
  const all = chunks.flatMap((chunk) => [...splitter.push(chunk)]);
  const last = splitter.end();
  expect(splitter.pendingBytes).toBe(0);
  return last === undefined ? all : [...all, last];
}

const view = (frames: readonly StreamFrame[]): unknown[] =>
  frames.map(({ raw, data, complete, plain, event }) => ({ raw, data, complete, plain, event }));

describe('lines', () => {
  test('are the same whatever the cuts, and joined they are the stream', () => {
    const piece = fc.constantFrom('{"a":1}', '{"é":"😀"}', '\n', '\n', '\r\n', '\r', ' ', '\t', '"\u2028"');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), fc.array(fc.nat({ max: 9 }), { maxLength: 40 }), (all, sizes) => {
        const bytes = Buffer.from(all.join(''));
        let from = 0;
        const chunks = sizes.map((size) => bytes.subarray(from, (from += size)));
        const whole = lines([bytes]);
        expect(view(lines([...chunks, bytes.subarray(from)]))).toEqual(view(whole));
        expect(view(lines(Array.from(bytes, (byte) => Buffer.of(byte))))).toEqual(view(whole));
        expect(whole.map((frame) => frame.raw).join('')).toBe(all.join(''));
        // What clients split: by LF.
        const values = all
          .join('')
          .split('\n')
          .map((line) => line.replace(/\r$/, ''));
        const read = whole.flatMap(({ data }) => data ?? []);
        expect(read.map((one) => one.trim())).toEqual(values.map((one) => one.trim()).filter((one) => one !== ''));
      }),
    );
  });

  test('keep their end where their data changes', () => {
    const [first, second, third] = lines([Buffer.from('{"a":1}\r\n{"b":2}\n{"c":3}')]);
    expect(first?.withData('x')).toBe('x\r\n');
    expect(second?.withData('x')).toBe('x\n');
    expect(third?.withData('x')).toBe('x');
    expect(third && [third.complete, third.plain]).toEqual([false, false]);
    expect(third && ndjson.bare(third, 'error').raw).toBe('{"c":3}\n');
  });

  test('that are longer than allowed are refused, in one chunk or in many', () => {
    expect(lines([Buffer.from('123456789\n')], 10)).toHaveLength(1);
    const refused = expect.objectContaining({ code: 'response_uninspectable', detail: 'frame_size' });
    for (const chunks of [['1234567890\n'], ['123456', '7890\n'], ['1234567890', '1']])
      expect(() =>
        lines(
          chunks.map((one) => Buffer.from(one)),
          10,
        ),
      ).toThrow(refused);
  });

  test('that are not whole count, and can be forgotten', () => {
    const splitter = ndjsonSplitter();
    splitter.push(Buffer.from('{}\n{"é'));
    expect(splitter.pendingBytes).toBe(4);
    splitter.clear();
    expect(splitter.pendingBytes).toBe(0);
    expect(splitter.end()).toBeUndefined();
  });
});

describe('what we write', () => {
  test('is a line, whatever it is called', () => {
    expect(ndjson.frame('{"error":"x"}', 'error')).toBe('{"error":"x"}\n');
    expect(ndjson.comment).toBeUndefined();
    expect(ndjson.cover).toBeUndefined();
  });

  test('is filled up by white space that every parser passes over', () => {
    for (const text of ['{"a":1}\n', '{"a":1}\n{"é":2}\n', '{}\n'])
      for (const multiple of [2, 7, 64]) {
        const padded = ndjson.padded(text, multiple);
        expect(Buffer.byteLength(padded) % multiple).toBe(0);
        const values = padded.trimEnd().split('\n');
        expect(values.map((line) => JSON.parse(line) as unknown)).toEqual(
          text
            .trimEnd()
            .split('\n')
            .map((line) => JSON.parse(line) as unknown),
        );
        expect(padded.endsWith('\n')).toBe(true);
      }
    expect(ndjson.padded('{}', 64)).toBe('{}');
  });
});

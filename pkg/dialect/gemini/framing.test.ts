import { describe, expect, it } from '@jest/globals';
import type { StreamFrame } from '../framing/stream-framing.ts';
import { geminiEvents } from './framing.ts';

const split = (text: string, at: number): StreamFrame[] => {
  const splitter = geminiEvents.splitter();
  const bytes = Buffer.from(text);
  const frames = [...splitter.push(bytes.subarray(0, at)), ...splitter.push(bytes.subarray(at))];
  const last = splitter.end();
  return last === undefined ? frames : [...frames, last];
};

describe("Gemini's events", () => {
  const error = '{\n  "error": {\n    "code": 503\n  }\n}';

  it.each(['', '\n', '\r\n\r\n', '\n\n'])('read an error that comes bare, followed by %j, as their last', (end) => {
    const text = `data: {"a":1}\n\n${error}${end}`;
    for (let at = 0; at <= text.length; at++) {
      const frames = split(text, at);
      expect(frames.map(({ raw }) => raw).join('')).toBe(text);
      expect(frames.map(({ event, data }) => [event, data])).toEqual([
        [undefined, '{"a":1}'],
        ['error', error],
      ]);
    }
  });

  it('say an error to those who read events, and leave it open for those who look for it bare', () => {
    const said = 'event: error\ndata: {"error":1}\n\n{"error":1}';
    expect(geminiEvents.frame('{"error":1}', 'error')).toBe(said);
    const [, frame] = split(`data: {"a":1}\n\n${error}`, 3);
    const outgoing = geminiEvents.bare(frame!, 'error');
    expect(outgoing.withData('{"error":1}')).toBe(said);
    expect(outgoing.raw).toContain('"code": 503');
    expect(geminiEvents.frame('{"a":1}')).toBe('data: {"a":1}\n\n');
  });

  it('fill an error up without an end', () => {
    const text = geminiEvents.frame('{"error":1}', 'error');
    const padded = geminiEvents.padded(text, 64);
    expect(padded.length % 64).toBe(0);
    expect(padded.trimEnd()).toBe(text);
    expect(padded).not.toMatch(/\n\n$/);
    expect(geminiEvents.padded('data: {}\n\n', 64)).toMatch(/^data: \{\}\n\n: +\n\n$/);
  });
});

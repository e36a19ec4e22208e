import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { maskedStream } from '../../../test/support/masked-stream.ts';
import { parseJson } from '../../base/index.ts';
import { recognise, sse } from '../index.ts';
import { around, bare, carried, sound, transcript } from './events.ts';

// Every event of the client's own list is known here, so that none of them ends a stream.

const declared = readFileSync(
  new URL('../../../node_modules/openai/resources/responses/responses.d.ts', import.meta.url),
  'utf8',
);

/** The types of events that `ResponseStreamEvent` is made of. */
function eventTypes(): readonly string[] {
  const union = /export type ResponseStreamEvent = ([^;]+);/.exec(declared)?.[1] ?? '';
  return union.split('|').map((name) => {
    const body = new RegExp(`export interface ${name.trim()} \\{[^]*?\\n    type: '([^']+)';`).exec(declared);
    return body?.[1] ?? `no type of ${name}`;
  });
}

describe("the events of the client's ResponseStreamEvent", () => {
  const known = new Set([...carried.keys(), ...around, ...bare, sound, transcript]);

  test('are told by the types that it declares', () => {
    expect(eventTypes().length).toBeGreaterThan(50);
    expect(eventTypes()).toEqual(
      expect.arrayContaining(['response.output_text.delta', 'response.audio.done', 'error']),
    );
  });

  test.each(eventTypes())('%s is known', (type) => {
    expect(known).toContain(type);
  });
});

describe('what is spoken in a Response', () => {
  const route = recognise('POST', '/v1/responses');
  const event = (type: string, body: object): string =>
    `event: ${type}\ndata: ${JSON.stringify({ type, ...body })}\n\n`;

  test('is masked in its transcript, over pieces and until the Response has ended', () => {
    const stream = maskedStream(route, sse);
    for (const delta of ['Call 4111 11', '11 1111 ', '1111 and 41'])
      stream.data(Buffer.from(event(transcript, { delta })));
    expect(stream.left).not.toContain('and 41');
    const end = event('response.completed', { response: { status: 'completed', output: [] } });
    stream.data(Buffer.from(event('response.audio.transcript.done', {}) + event('response.audio.done', {}) + end));
    stream.end();
    const spoken = [...stream.left.matchAll(/"delta":"([^"]*)"/g)].map(([, text]) => text).join('');
    expect(spoken).toBe('Call [hidden] and 41');
    expect(stream.record['transcript']).toBe('Call [hidden] and 41');
  });

  test('is a file, that passes only where policy lets it', () => {
    const delta = Buffer.from(Array.from({ length: 96 }, (_, at) => (at * 37) % 256)).toString('base64');
    expect(() => maskedStream(route, sse).data(Buffer.from(event(sound, { delta })))).toThrow();
    const view = route.dialect.frame(route, sound, '', parseJson(JSON.stringify({ type: sound, delta })));
    expect(view.files).toEqual([{ type: 'audio/pcm', bytes: 96 }]);
    expect(view.lanes).toEqual([]);
  });
});

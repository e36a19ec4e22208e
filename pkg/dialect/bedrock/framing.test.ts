import { describe, expect, it } from '@jest/globals';
import { decodeEvent, encodeEvent } from '../framing/event-stream.ts';
import type { StreamFrame, StreamFraming } from '../framing/stream-framing.ts';
import { converseEvents, invokeChunks } from './framing.ts';

const message = (headers: Readonly<Record<string, string>>, payload: string | Buffer = '{"a":1}'): Buffer =>
  encodeEvent(Object.entries(headers), Buffer.from(payload));
const event = (name: string, payload?: string): Buffer =>
  message({ ':event-type': name, ':content-type': 'application/json', ':message-type': 'event' }, payload);
const inside = (data: string): string => `{"bytes":"${Buffer.from(data).toString('base64')}","p":"abc"}`;

function framesOf(framing: StreamFraming, ...messages: readonly Buffer[]): StreamFrame[] {
  const splitter = framing.splitter();
  const frames = [...splitter.push(Buffer.concat(messages))];
  expect(splitter.end()).toBeUndefined();
  return frames;
}
const read = (raw: string): { headers: object; payload: string } => {
  const { headers, payload } = decodeEvent(Buffer.from(raw, 'latin1'));
  return { headers: Object.fromEntries(headers), payload: payload.toString('utf8') };
};
const unreadable = expect.objectContaining({ code: 'response_uninspectable', detail: 'frame' });

describe("Converse's events", () => {
  it('have a name and JSON, and leave with nothing else', () => {
    const sent = message(
      { ':event-type': 'contentBlockDelta', ':message-type': 'event', secret: 'told' },
      '{"delta":{"text":"é"}}',
    );
    const [frame] = framesOf(converseEvents, sent);
    expect([frame?.event, frame?.data]).toEqual(['contentBlockDelta', '{"delta":{"text":"é"}}']);
    expect(frame?.raw).toBe(sent.toString('latin1'));
    const outgoing = converseEvents.bare(frame!, frame?.event);
    const headers = {
      ':event-type': 'contentBlockDelta',
      ':content-type': 'application/json',
      ':message-type': 'event',
    };
    expect(read(outgoing.raw)).toEqual({ headers, payload: '{"delta":{"text":"é"}}' });
    expect(read(outgoing.withData('{"b":"ü"}'))).toEqual({ headers, payload: '{"b":"ü"}' });
    expect(read(converseEvents.bare(frame!, undefined).raw).headers).not.toHaveProperty(':event-type');
  });

  it('without a payload say nothing', () => {
    expect(framesOf(converseEvents, event('contentBlockStop', ''))[0]?.data).toBe('{}');
  });

  it('may be exceptions, and errors without a name', () => {
    const [exception, error] = framesOf(
      converseEvents,
      message({ ':exception-type': 'throttlingException', ':message-type': 'exception' }, '{"message":"slow"}'),
      message({ ':error-code': 'InternalFailure', ':error-message': 'lost', ':message-type': 'error' }, ''),
    );
    expect([exception?.event, exception?.data]).toEqual(['throttlingException', '{"message":"slow"}']);
    expect([error?.event, error?.data]).toEqual(['internalServerException', '{"message":"lost"}']);
    expect(read(converseEvents.bare(exception!, exception?.event).raw).headers).toEqual({
      ...{ ':exception-type': 'throttlingException', ':content-type': 'application/json' },
      ':message-type': 'exception',
    });
    expect(read(converseEvents.frame('{"message":"no"}', 'modelStreamErrorException')).headers).toMatchObject({
      ':message-type': 'exception',
    });
  });

  it.each([
    ['of no kind', message({ ':event-type': 'a' })],
    ['of another kind', message({ ':event-type': 'a', ':message-type': 'other' })],
    ['without a name', message({ ':message-type': 'event' })],
    ['that are called exceptions', message({ ':event-type': 'aException', ':message-type': 'event' })],
    ['of another API', event('chunk', inside('{}'))],
    ['that are exceptions by another name', message({ ':exception-type': 'metadata', ':message-type': 'exception' })],
    ['that are no UTF-8', message({ ':event-type': 'a', ':message-type': 'event' }, Buffer.from([0x22, 0xff, 0x22]))],
  ])('%s are refused', (_, bytes) => {
    expect(() => framesOf(converseEvents, bytes)).toThrow(unreadable);
  });

  it('that break off are refused', () => {
    const splitter = converseEvents.splitter();
    splitter.push(event('metadata').subarray(0, 20));
    expect(splitter.pendingBytes).toBe(20);
    expect(() => splitter.end()).toThrow(unreadable);
  });

  it('are filled up behind their JSON', () => {
    const two = framesOf(converseEvents, event('messageStart'), event('metadata'));
    const text = two.map((frame) => converseEvents.bare(frame, frame.event).raw).join('');
    const padded = converseEvents.padded(text, 256);
    expect(padded.length % 256).toBe(0);
    const again = framesOf(converseEvents, Buffer.from(padded, 'latin1'));
    expect(again.map((frame) => [frame.event, frame.data?.trimEnd()])).toEqual([
      ['messageStart', '{"a":1}'],
      ['metadata', '{"a":1}'],
    ]);
    expect(converseEvents.padded('', 256)).toBe('');
  });
});

describe("a model's own chunks", () => {
  it('are read inside of their base64, and leave in it', () => {
    const [frame] = framesOf(invokeChunks, event('chunk', inside('{"type":"ping","é":1}')));
    expect([frame?.event, frame?.data]).toEqual(['chunk', '{"type":"ping","é":1}']);
    const { payload, headers } = read(invokeChunks.bare(frame!, 'chunk').withData('{"type":"ü"}'));
    expect(headers).toMatchObject({ ':event-type': 'chunk' });
    const { bytes } = JSON.parse(payload) as { bytes: string };
    expect(Buffer.from(bytes, 'base64').toString()).toBe('{"type":"ü"}');
  });

  it('may be exceptions, whose JSON stands by itself', () => {
    const [frame] = framesOf(
      invokeChunks,
      message({ ':exception-type': 'validationException', ':message-type': 'exception' }, '{"message":"no"}'),
    );
    expect(frame?.data).toBe('{"message":"no"}');
    expect(read(invokeChunks.frame('{"message":"no"}', 'modelStreamErrorException')).payload).toBe('{"message":"no"}');
  });

  it.each([
    ['no JSON', event('chunk', 'x')],
    ['no base64', event('chunk', '{"bytes":"%%%%"}')],
    ['base64 that is cut', event('chunk', '{"bytes":"abc"}')],
    ['nothing', event('chunk', '{}')],
    ['no text', event('chunk', `{"bytes":"${Buffer.from([0xff, 0xfe]).toString('base64')}"}`)],
    ['an event of Converse', event('metadata')],
  ])('of %s are refused', (_, bytes) => {
    expect(() => framesOf(invokeChunks, bytes)).toThrow(unreadable);
  });
});

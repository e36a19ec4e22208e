import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { cuts, maskedStream, maskedWhole, piece } from '../../test/support/masked-stream.ts';
import { readSocketRecords, recogniseSocket, socketMessages, socketRecord } from '../dialect/index.ts';

// The guarantee on streams for OpenAI's Realtime events over a WebSocket: what has left of a text is at all times a prefix of what masking the whole text
// gives, whatever the cuts into events, frames and reads, and when its answer is done it equals that; so does what is said again.

interface Step {
  readonly kind: 'text' | 'said' | 'call' | 'heard' | 'sound';
  readonly text: string;
}

const event = (type: string, more: object): object => ({ type, event_id: 'e', ...more });
const at = { response_id: 'r', output_index: 0, content_index: 0 };

function eventOf({ kind, text }: Step): object {
  switch (kind) {
    case 'text':
      return event('response.output_text.delta', { ...at, item_id: 'a', delta: text });
    case 'said':
      return event('response.output_audio_transcript.delta', { ...at, item_id: 'a', delta: text });
    case 'call':
      return event('response.function_call_arguments.delta', { ...at, item_id: 'b', call_id: 'c', delta: text });
    case 'heard':
      return event('conversation.item.input_audio_transcription.delta', {
        item_id: 'u',
        content_index: 0,
        delta: text,
      });
    default:
      return event('response.output_audio.delta', { ...at, item_id: 'a', delta: '' });
  }
}

const kinds = ['text', 'said', 'call', 'heard'] as const;
const types: Readonly<Record<string, (typeof kinds)[number]>> = {
  'response.output_text.delta': 'text',
  'response.output_audio_transcript.delta': 'said',
  'response.function_call_arguments.delta': 'call',
  'conversation.item.input_audio_transcription.delta': 'heard',
};

/** What a client joins, and what it is told again. */
function read(stream: string): { joined: Record<string, string>; again: Record<string, string> } {
  const joined: Record<string, string> = {};
  const again: Record<string, string> = {};
  let message = Buffer.alloc(0);
  for (const { first, payload } of readSocketRecords(Buffer.from(stream, 'latin1'))) {
    if ((first & 0x0f) === 8) continue;
    message = Buffer.concat([message, payload]);
    if ((first & 0x80) === 0) continue;
    const one = JSON.parse(message.toString('utf8')) as Record<string, unknown>;
    message = Buffer.alloc(0);
    const kind = types[String(one['type'])];
    if (kind !== undefined) joined[kind] = (joined[kind] ?? '') + String(one['delta']);
    if (one['type'] === 'response.output_text.done') again['text'] = (again['text'] ?? '') + String(one['text']);
    if (one['type'] === 'conversation.item.input_audio_transcription.completed')
      again['heard'] = String(one['transcript']);
  }
  return { joined, again };
}

const step: fc.Arbitrary<Step> = fc.record({ kind: fc.constantFrom(...kinds, 'sound' as const), text: piece });

/** A message in frames of these lengths. */
function framesOf(text: string, sizes: readonly number[]): Buffer {
  const bytes = Buffer.from(text);
  const records: Buffer[] = [];
  let from = 0;
  for (const size of [...sizes, bytes.length]) {
    const to = Math.min(bytes.length, from + size);
    const isLast = to === bytes.length;
    records.push(socketRecord((isLast ? 0x80 : 0) | (records.length === 0 ? 1 : 0), bytes.subarray(from, to)));
    from = to;
    if (isLast) break;
  }
  return Buffer.concat(records);
}

test('a conversation is a prefix of its mask at all times, and all of it when it is done', () => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 40 }),
      cuts,
      fc.array(fc.integer({ min: 0, max: 60 }), { maxLength: 4 }),
      fc.constantFrom('completed', 'incomplete', 'cancelled'),
      (steps, sizes, fragments, status) => {
        const whole: Record<string, string> = {};
        for (const { kind, text } of steps) if (kind !== 'sound') whole[kind] = (whole[kind] ?? '') + text;
        const events = [
          ...steps.map(eventOf),
          ...(whole['heard'] === undefined
            ? []
            : [
                event('conversation.item.input_audio_transcription.completed', {
                  ...{ item_id: 'u', content_index: 0, transcript: whole['heard'] },
                }),
              ]),
          ...(whole['text'] === undefined
            ? []
            : [event('response.output_text.done', { ...at, item_id: 'a', text: whole['text'] })]),
          event('response.done', {
            response: { id: 'r', status, output: [], usage: { input_tokens: 3, output_tokens: 4 } },
          }),
        ];
        const messages = events.map((one) => framesOf(JSON.stringify(one), fragments));
        const end = status === 'completed' ? 'complete' : 'cut';
        const expected = Object.fromEntries(
          Object.entries(whole).map(([kind, text]) => [
            kind,
            maskedWhole(text, kind === 'call' ? 'json' : 'text', kind === 'heard' ? 'complete' : end),
          ]),
        );
        const bytes = Buffer.concat(messages);
        let from = 0;
        const cut = sizes.map((size) => bytes.subarray(from, (from += size)));
        for (const reads of [messages, [bytes], [...cut, bytes.subarray(from)]]) {
          const stream = maskedStream(recogniseSocket('/v1/realtime'), socketMessages);
          for (const some of reads) {
            stream.data(Buffer.from(some));
            const { joined } = read(stream.left);
            for (const [kind, text] of Object.entries(joined)) expect(expected[kind]?.startsWith(text)).toBe(true);
          }
          const { joined, again } = read(stream.left);
          for (const [kind, text] of Object.entries(expected)) expect(joined[kind] ?? '').toBe(text);
          if (whole['text'] !== undefined) expect(again['text']).toBe(expected['text']);
          if (whole['heard'] !== undefined) expect(again['heard']).toBe(expected['heard']);
          expect(stream.usage).toEqual({ input: 3, output: 4 });
        }
      },
    ),
    { numRuns: 150 },
  );
});

test('messages that nothing is hidden of leave in the frames in which they came, at every cut', () => {
  const text = JSON.stringify(event('response.output_text.delta', { ...at, item_id: 'a', delta: 'good é day.' }));
  const done = JSON.stringify(event('response.done', { response: { id: 'r', status: 'completed', output: [] } }));
  for (let size = 0; size < Buffer.byteLength(text); size++) {
    const bytes = Buffer.concat([framesOf(text, [size, 1]), framesOf(done, [])]);
    const stream = maskedStream(recogniseSocket('/v1/realtime'), socketMessages);
    stream.data(bytes.subarray(0, size));
    stream.data(bytes.subarray(size));
    expect(stream.left).toBe(bytes.toString('latin1'));
  }
});

test.each([
  ['text', 'response.output_text.delta', { ...at, item_id: 'a', delta: 'good day. ' }],
  ['sound', 'response.output_audio.delta', { ...at, item_id: 'a', delta: '' }],
  [
    'an item',
    'response.output_item.added',
    { ...at, item: { id: 'a', type: 'message', role: 'assistant', content: [] } },
  ],
  ['a part', 'response.content_part.added', { ...at, item_id: 'a', part: { type: 'text', text: '' } }],
])('a field that nobody knows beside %s holds nothing back, and is masked by itself', (_what, type, more) => {
  const stream = maskedStream(recogniseSocket('/v1/realtime'), socketMessages);
  const sent = [
    event(type, { ...more, trace: 'abc' }),
    event('response.output_text.done', {
      ...at,
      item_id: 'a',
      text: type === 'response.output_text.delta' ? 'good day. ' : '',
    }),
    event(type, {
      ...more,
      item_id: 'b',
      item: { id: 'b', type: 'message', role: 'assistant', content: [] },
      trace: 'ana@example.com',
    }),
    event('response.done', { response: { id: 'r', status: 'completed', output: [] } }),
  ].map((one) => JSON.stringify(one));
  for (const one of sent) stream.data(framesOf(one, []));
  const left = readSocketRecords(Buffer.from(stream.left, 'latin1')).map(({ payload }) => payload.toString());
  expect(left.map((one) => one.replace('[hidden]', 'ana@example.com'))).toEqual(sent);
  expect(stream.left).not.toContain('ana@');
});

test('usage of several answers is summed, and what is done is forgotten, however many there are', () => {
  const stream = maskedStream(recogniseSocket('/v1/realtime'), socketMessages);
  for (let turn = 0; turn < 1_300; turn++) {
    const its = { response_id: `r${turn}`, output_index: 0, content_index: 0, item_id: `i${turn}` };
    const usage = { input_tokens: 1, output_tokens: 2 };
    for (const one of [
      event('response.output_text.delta', { ...its, delta: 'good day 4111' }),
      event('response.done', { response: { id: `r${turn}`, status: 'completed', output: [], usage } }),
    ])
      stream.data(framesOf(JSON.stringify(one), []));
  }
  expect(stream.usage).toEqual({ input: 1_300, output: 2_600 });
});

test('of what was heard nothing is kept once it is complete, however many turns of speech there are', () => {
  const stream = maskedStream(recogniseSocket('/v1/realtime'), socketMessages);
  const heard = 'conversation.item.input_audio_transcription';
  for (let turn = 0; turn < 1_300; turn++) {
    const its = { item_id: `u${turn}`, content_index: 0 };
    for (const one of [
      event(`${heard}.segment`, { ...its, text: 'good day 4111' }),
      event(`${heard}.delta`, { ...its, delta: 'good day' }),
      event(`${heard}.completed`, { ...its, transcript: 'good day' }),
    ])
      stream.data(framesOf(JSON.stringify(one), []));
  }
  expect(readSocketRecords(Buffer.from(stream.left, 'latin1'))).toHaveLength(3 * 1_300);
});

const refused = (events: readonly object[]): (() => void) => {
  const stream = maskedStream(recogniseSocket('/v1/realtime'), socketMessages);
  return () => events.forEach((one) => stream.data(framesOf(JSON.stringify(one), [])));
};
const added = (text: string): object =>
  event('response.content_part.added', { ...at, item_id: 'a', part: { type: 'text', text } });

test.each([
  [
    'a text after its answer was done',
    [
      eventOf({ kind: 'text', text: 'a' }),
      event('response.done', { response: { id: 'r' } }),
      eventOf({ kind: 'text', text: 'b' }),
    ],
  ],
  [
    'what was heard after it was complete',
    [
      event('conversation.item.input_audio_transcription.completed', { item_id: 'u', transcript: 'a' }),
      eventOf({ kind: 'heard', text: 'b' }),
    ],
  ],
  [
    'a segment of what was heard after some of it was complete',
    [
      event('conversation.item.input_audio_transcription.completed', { item_id: 'u', transcript: 'a' }),
      event('conversation.item.input_audio_transcription.segment', { item_id: 'u', content_index: 1, text: 'b' }),
    ],
  ],
  [
    'a piece of what was heard, behind an item that has it whole',
    [
      event('conversation.item.added', {
        item: { id: 'u', type: 'message', role: 'user', content: [{ type: 'input_audio', transcript: '4111 1111' }] },
      }),
      eventOf({ kind: 'heard', text: ' 1111 1111' }),
    ],
  ],
  ['a beginning that is said twice', [added('41'), added('11')]],
  ['an event without a type', [{ delta: 'x' }]],
  ['a text of no item', [event('response.output_text.delta', { delta: 'x' })]],
  [
    'log-probabilities',
    [
      event('conversation.item.input_audio_transcription.delta', {
        item_id: 'u',
        delta: 'x',
        logprobs: [{ token: 'x' }],
      }),
    ],
  ],
  ['sound, where nothing lets it pass', [event('response.output_audio.delta', { ...at, item_id: 'a', delta: 'nJyc' })]],
])('%s ends the connection', (_what, events) => {
  expect(refused(events)).toThrow(expect.objectContaining({ name: 'RefusedError' }));
});

test('a text that began with its part is one with what follows', () => {
  const stream = maskedStream(recogniseSocket('/v1/realtime'), socketMessages);
  for (const one of [
    added('4111 1111 '),
    eventOf({ kind: 'text', text: '1111 1111' }),
    event('response.done', { response: { id: 'r', status: 'completed' } }),
  ])
    stream.data(framesOf(JSON.stringify(one), []));
  expect(stream.left).not.toMatch(/4111|1111/);
});

test('a message that is not UTF-8 ends it, and a connection that ends without a close frame is not whole', () => {
  const stream = maskedStream(recogniseSocket('/v1/realtime'), socketMessages);
  expect(() => stream.data(socketRecord(0x81, Buffer.from([0x22, 0xff, 0x22])))).toThrow(
    expect.objectContaining({ code: 'response_uninspectable' }),
  );
  expect(() => maskedStream(recogniseSocket('/v1/realtime'), socketMessages).end()).toThrow(
    expect.objectContaining({ code: 'upstream_protocol' }),
  );
});

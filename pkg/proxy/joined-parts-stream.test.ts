import { expect, test } from '@jest/globals';
import { maskedStream } from '../../test/support/masked-stream.ts';
import { recognise } from '../dialect/index.ts';
import type { Route } from '../dialect/index.ts';

// Texts that stand in several parts of a message, in streams, cut anywhere: a value over two parts leaves in neither. Anthropic's and Responses' have
// tests of their own.

const event = (body: object): string => `data: ${JSON.stringify(body)}\n\n`;
const choice = (delta: object): string => event({ choices: [{ index: 0, delta }] });
const cohere = (type: string, index: number, content: object): string =>
  event({ type, index, delta: { message: { content } } });
const converse = recognise('POST', '/model/m/converse-stream');
const bedrock = (name: string, body: object): string => converse.streams[0]!.frame(JSON.stringify(body), name);
const said = (contentBlockIndex: number, delta: object): string =>
  bedrock('contentBlockDelta', { contentBlockIndex, delta });

const text = (one: string): object => ({ type: 'text', text: one });
const [first, second] = ['Card 4111 1111 ', '1111 1111.'];
const finish = event({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] });
const thinking = { type: 'thinking', thinking: [{ type: 'text', text: 'hm' }] };
const chat = recognise('POST', '/v1/chat/completions');
const cohereChat = recognise('POST', '/v2/chat');
const ended = event({ type: 'message-end', delta: { finish_reason: 'COMPLETE' } });

const streams: [string, Route, readonly string[]][] = [
  ['Chat: two parts of a frame', chat, [choice({ content: [text(first), text(second)] }), finish]],
  ['Chat: two frames', chat, [choice({ content: [text(first)] }), choice({ content: [text(second)] }), finish]],
  ['Chat: a text and a list', chat, [choice({ content: first }), choice({ content: [text(second)] }), finish]],
  [
    'Chat: thoughts between',
    chat,
    [choice({ content: [text(first)] }), choice({ content: [thinking] }), choice({ content: [text(second)] }), finish],
  ],
  [
    'Cohere',
    cohereChat,
    [
      ...[first, second].flatMap((one, index) => [
        cohere('content-start', index, { type: 'text', text: '' }),
        cohere('content-delta', index, { text: one }),
        event({ type: 'content-end', index }),
      ]),
      ended,
    ],
  ],
  [
    'Cohere: thoughts between',
    cohereChat,
    [
      cohere('content-start', 0, { type: 'text', text: first }),
      cohere('content-start', 1, { type: 'thinking', thinking: 'hm' }),
      cohere('content-start', 2, { type: 'text', text: second }),
      ended,
    ],
  ],
  [
    'Bedrock',
    converse,
    [said(0, { text: first }), said(1, { text: second }), bedrock('messageStop', { stopReason: 'end_turn' })],
  ],
  [
    'Bedrock: thoughts between',
    converse,
    [
      said(0, { text: first }),
      said(1, { reasoningContent: { text: 'hm' } }),
      said(2, { text: second }),
      bedrock('messageStop', { stopReason: 'end_turn' }),
    ],
  ],
];

test.each(streams)('%s', (_name, route, frames) => {
  const bytes = Buffer.from(frames.join(''), route === converse ? 'latin1' : 'utf8');
  for (let at = 0; at < bytes.length; at++) {
    const stream = maskedStream(route, route.streams[0]!);
    stream.data(bytes.subarray(0, at));
    stream.data(bytes.subarray(at));
    stream.end();
    expect(stream.left).toContain('[hidden]');
    expect(stream.left).not.toContain('1111');
  }
});

const cases: [string, Route, readonly string[]][] = [
  [
    'Cohere',
    cohereChat,
    [
      cohere('content-start', 0, text('number 41')),
      event({
        type: 'tool-call-start',
        index: 0,
        delta: { message: { tool_calls: { id: 'i', type: 'function', function: { name: 'f', arguments: '' } } } },
      }),
    ],
  ],
  [
    'Bedrock',
    converse,
    [
      said(0, { text: 'number 41' }),
      bedrock('contentBlockStart', { contentBlockIndex: 1, start: { toolUse: { toolUseId: 't', name: 'f' } } }),
    ],
  ],
];
test.each(cases)('a text leaves when a call begins behind it, though it may go on: %s', (_name, route, frames) => {
  const stream = maskedStream(route, route.streams[0]!);
  const [begun = '', call = ''] = frames;
  stream.data(Buffer.from(begun, 'latin1'));
  expect(stream.left).toBe('');
  stream.data(Buffer.from(call, 'latin1'));
  expect(stream.left).toContain('number 41');
  expect(stream.left).toContain(route === converse ? 'toolUseId' : 'tool-call-start');
});

import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { cuts, maskedStream, maskedWhole, piece, readsOf } from '../../test/support/masked-stream.ts';
import { ndjson, recognise } from '../dialect/index.ts';

// The guarantee on streams for Ollama's lines: what has left of a text is at all times a prefix of what masking the whole text gives, whatever the
// cuts into lines and reads, and at the end it equals that. Calls of tools come whole, each for itself.

const chat = recognise('POST', '/api/chat');
const generate = recognise('POST', '/api/generate');

const line = (body: object): string => `${JSON.stringify({ model: 'm', created_at: 't', ...body })}\n`;
const last = (reason: string): object => ({ done: true, done_reason: reason, prompt_eval_count: 3, eval_count: 4 });

interface Message {
  readonly content?: string;
  readonly thinking?: string;
  readonly tool_calls?: readonly { readonly function: { readonly arguments: { readonly to: string } } }[];
}

/** What a client joins: the texts, and each call by itself. */
function read(stream: string): { content: string; thinking: string; calls: string[] } {
  const joined = { content: '', thinking: '', calls: [] as string[] };
  for (const one of stream.split('\n').slice(0, -1)) {
    const { message, response } = JSON.parse(one) as { message?: Message; response?: string };
    joined.content += message?.content ?? response ?? '';
    joined.thinking += message?.thinking ?? '';
    for (const call of message?.tool_calls ?? []) joined.calls.push(call.function.arguments.to);
  }
  return joined;
}

/** What is recorded of the first call of each line: the name of an argument is not the dialect's own, so it is spelled as a number. */
const call0 = (record: Readonly<Record<string, string>>): string =>
  Object.entries(record).find(([lane]) => lane.startsWith('message.tool_calls[0].function.arguments.'))?.[1] ?? '';

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ content: piece }) },
  { weight: 4, arbitrary: fc.record({ content: fc.constant(''), thinking: piece }) },
  fc.record({ content: piece, calls: fc.array(fc.array(piece, { maxLength: 5 }), { minLength: 1, maxLength: 2 }) }),
);

test('a chat is a prefix of its mask at all times, and all of it at the end', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), cuts, fc.constantFrom('stop', 'length'), (steps, sizes, reason) => {
      const lines = steps.map((one) => {
        const calls = 'calls' in one ? one.calls.map((call) => call.join('')) : [];
        const tool_calls = calls.map((to) => ({ function: { name: 'send', arguments: { to } } }));
        const message = { role: 'assistant', ...one, calls: undefined, ...(calls.length > 0 && { tool_calls }) };
        return line({ message, done: false });
      });
      lines.push(line({ message: { role: 'assistant', content: '' }, ...last(reason) }));
      const whole = read(lines.join(''));
      const end = reason === 'stop' ? 'complete' : 'cut';
      const expected = {
        content: maskedWhole(whole.content, 'text', end),
        thinking: maskedWhole(whole.thinking, 'text', end),
        calls: whole.calls.map((call) => maskedWhole(call, 'text', 'complete')),
      };
      for (const reads of readsOf(lines, sizes)) {
        const stream = maskedStream(chat, ndjson);
        for (const some of reads) {
          stream.data(some);
          const left = read(stream.left);
          expect(expected.content.startsWith(left.content)).toBe(true);
          expect(expected.thinking.startsWith(left.thinking)).toBe(true);
          expect(expected.calls.slice(0, left.calls.length)).toEqual(left.calls);
        }
        stream.end();
        expect(read(stream.left)).toEqual(expected);
        expect(stream.record['message.content'] ?? '').toBe(expected.content);
        expect(call0(stream.record)).toBe(
          steps
            .flatMap((one) => ('calls' in one ? [one.calls[0]?.join('') ?? ''] : []))
            .map((call) => maskedWhole(call, 'text', 'complete'))
            .join(''),
        );
        expect(stream.usage).toEqual({ input: 3, output: 4 });
      }
    }),
    { numRuns: 200 },
  );
});

test('a completion is, too', () => {
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 60 }), cuts, (pieces, sizes) => {
      const lines = [
        ...pieces.map((response) => line({ response, done: false })),
        line({ response: '', ...last('stop') }),
      ];
      const expected = maskedWhole(pieces.join(''), 'text', 'complete');
      for (const reads of readsOf(lines, sizes)) {
        const stream = maskedStream(generate, ndjson);
        for (const some of reads) {
          stream.data(some);
          expect(expected.startsWith(read(stream.left).content)).toBe(true);
        }
        stream.end();
        expect(read(stream.left).content).toBe(expected);
      }
    }),
    { numRuns: 200 },
  );
});

test('lines in which nothing is masked leave as they came', () => {
  const lines = [
    line({ message: { content: 'All is' }, done: false }),
    '\r\n',
    line({ message: { content: ' well.' }, ...last('stop') }),
  ];
  const stream = maskedStream(chat, ndjson);
  stream.data(Buffer.from(lines.join('')));
  stream.end();
  expect(stream.left).toBe(lines.join('').replace('\r\n', '\n'));
});

test('more calls than lanes may be are read', () => {
  const stream = maskedStream(chat, ndjson);
  const call = { function: { name: 'send', arguments: { to: 'ana@example.com' } } };
  for (let at = 0; at < 2_000; at++) stream.data(Buffer.from(line({ message: { tool_calls: [call] }, done: false })));
  expect(read(stream.left).calls).toEqual(Array<string>(2_000).fill('[hidden]'));
});

test('an error breaks off what is held, and is told', () => {
  const stream = maskedStream(chat, ndjson);
  stream.data(
    Buffer.from(
      line({ message: { content: 'Pay 4111 1111 1111' }, done: false }) +
        '{"error":"out of memory at ana@example.com"}\n',
    ),
  );
  stream.end();
  expect(stream.left).toBe('{"error":"out of memory at [hidden]"}\n');
});

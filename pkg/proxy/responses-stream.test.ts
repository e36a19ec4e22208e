import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { cuts, maskedParts, maskedStream, maskedWhole, piece, readsOf } from '../../test/support/masked-stream.ts';
import { recognise, sse } from '../dialect/index.ts';

// The guarantee on streams for the events of OpenAI's Responses: what has left of a text is at all times a prefix of what masking the whole text gives,
// whatever the cuts into events and reads; at the end it equals that; and each event that says it again, whole, says just that.

const route = recognise('POST', '/v1/responses');

type Body = Readonly<Record<string, unknown>>;
const event = (type: string, body: Body): string => `event: ${type}\ndata: ${JSON.stringify({ type, ...body })}\n\n`;

/** What differs between the kinds of items: names of events, and the item around a text. */
interface Kind {
  readonly events: string;
  readonly field: string;
  readonly kind: 'text' | 'json';
  readonly part: { readonly events: string; readonly index: string; readonly of: (text: string) => Body } | undefined;
  readonly item: (text: string) => Body;
  readonly textOf: (item: Body) => unknown;
}
interface Texts {
  readonly content?: readonly { readonly text: string }[];
  readonly summary?: readonly { readonly text: string }[];
  readonly arguments?: string;
  readonly input?: string;
}
const kinds: readonly Kind[] = [
  {
    ...{ events: 'output_text', field: 'text', kind: 'text' },
    part: {
      events: 'content_part',
      index: 'content_index',
      of: (text) => ({ type: 'output_text', text, annotations: [] }),
    },
    item: (text) => ({ type: 'message', role: 'assistant', content: [{ type: 'output_text', text, annotations: [] }] }),
    textOf: (item) => (item as Texts).content?.[0]?.text,
  },
  {
    ...{ events: 'reasoning_summary_text', field: 'text', kind: 'text' },
    part: { events: 'reasoning_summary_part', index: 'summary_index', of: (text) => ({ type: 'summary_text', text }) },
    item: (text) => ({ type: 'reasoning', summary: [{ type: 'summary_text', text }] }),
    textOf: (item) => (item as Texts).summary?.[0]?.text,
  },
  {
    ...{ events: 'function_call_arguments', field: 'arguments', kind: 'json', part: undefined },
    item: (text) => ({ type: 'function_call', name: 'f', call_id: 'c', arguments: text }),
    textOf: (item) => (item as Texts).arguments,
  },
  {
    ...{ events: 'custom_tool_call_input', field: 'input', kind: 'text', part: undefined },
    item: (text) => ({ type: 'custom_tool_call', name: 'f', call_id: 'c', input: text }),
    textOf: (item) => (item as Texts).input,
  },
];

interface Item {
  readonly kind: Kind;
  readonly pieces: readonly string[];
}
const textOf = ({ pieces }: Item): string => pieces.join('');

function eventsOf(item: Item, output_index: number): string[] {
  const { events, field, part } = item.kind;
  const at = { output_index, item_id: 'i', ...(part !== undefined && { [part.index]: 0 }) };
  const text = textOf(item);
  const begun = part === undefined ? item.kind.item('') : { ...item.kind.item(''), content: [], summary: [] };
  return [
    event('response.output_item.added', { output_index, item: { ...begun, status: 'in_progress' } }),
    ...(part === undefined ? [] : [event(`response.${part.events}.added`, { ...at, part: part.of('') })]),
    ...item.pieces.map((delta, sequence_number) =>
      event(`response.${events}.delta`, { ...at, delta, sequence_number }),
    ),
    event(`response.${events}.done`, { ...at, [field]: text }),
    ...(part === undefined ? [] : [event(`response.${part.events}.done`, { ...at, part: part.of(text) })]),
    // vLLM calls an item completed that was cut.
    event('response.output_item.done', { output_index, item: { ...item.kind.item(text), status: 'completed' } }),
  ];
}

interface Seen {
  /** Joined from pieces, by item. */
  readonly joined: string[];
  /** Each time that a whole was said, by item. */
  readonly wholes: string[][];
}

/** What a client has: pieces joined, and what it is told whole. */
function read(stream: string, kindOf: (index: number) => Kind): Seen {
  const seen: Seen = { joined: [], wholes: [] };
  const told = (index: number, text: unknown): void => void (seen.wholes[index] ??= []).push(String(text));
  for (const [, data] of stream.matchAll(/^data: (\{.*\})$/gm)) {
    const body = JSON.parse(data ?? '') as { type: string; output_index: number; [field: string]: unknown };
    const { type, output_index: at } = body;
    if (type === 'response.completed' || type === 'response.incomplete')
      (body['response'] as { output: Body[] }).output.forEach((item, index) => told(index, kindOf(index).textOf(item)));
    else if (type.endsWith('.delta')) seen.joined[at] = (seen.joined[at] ?? '') + String(body['delta']);
    else if (type === 'response.output_item.done') told(at, kindOf(at).textOf(body['item'] as Body));
    else if (type.endsWith('_part.done')) told(at, (body['part'] as { text: string }).text);
    else if (type.endsWith('.done')) told(at, body[kindOf(at).field]);
  }
  return seen;
}

const texts = fc.record({
  kind: fc.constantFrom(...kinds.filter((one) => one.kind === 'text')),
  pieces: fc.array(piece, { maxLength: 30 }),
});
const calls = fc
  .record({ note: fc.array(piece, { maxLength: 20 }), size: fc.integer({ min: 1, max: 30 }) })
  .map(({ note, size }): Item => ({
    kind: kinds[2] as Kind,
    pieces: JSON.stringify({ note: note.join('') }).match(new RegExp(`.{1,${size}}`, 'gsu')) ?? [],
  }));
const item = fc.oneof({ weight: 3, arbitrary: texts }, calls);

test('each text is a prefix of its mask at all times, and whatever says it whole says that mask', () => {
  fc.assert(
    fc.property(
      fc.array(item, { minLength: 1, maxLength: 3 }),
      cuts,
      fc.constantFrom('completed', 'incomplete'),
      (items, sizes, status) => {
        const whole = { id: 'r', object: 'response', usage: { input_tokens: 3, output_tokens: 4 } };
        const output = items.map((one) => one.kind.item(textOf(one)));
        const events = [
          event('response.created', {
            response: { id: 'r', status: 'in_progress', output: [], instructions: 'for bob@example.com' },
          }),
          ...items.flatMap(eventsOf),
          event(`response.${status}`, { response: { ...whole, status, output } }),
        ];
        const kindOf = (index: number): Kind => (items[index] as Item).kind;
        // Clients join what all messages say.
        const says = items.map((one) => (one.kind.events === 'output_text' ? textOf(one) : undefined));
        const ends = status === 'incomplete' ? 'cut' : 'complete';
        // What was said before is decided as at a cut when the next item begins.
        const said = maskedParts(
          says.flatMap((text) => (text === undefined ? [undefined] : [undefined, text])),
          ends,
        );
        let next = 0;
        const expected = items.map((one, at): string => {
          if (says[at] !== undefined) return said[next++] ?? '';
          return maskedWhole(textOf(one), one.kind.kind, at === items.length - 1 ? ends : 'complete');
        });
        const joinedAll = expected.filter((_, at) => says[at] !== undefined).join('');
        expect(maskedWhole(joinedAll, 'text', 'complete')).toBe(joinedAll);
        for (const reads of readsOf(events, sizes)) {
          const stream = maskedStream(route, sse);
          for (const some of reads) {
            stream.data(some);
            const { joined, wholes } = read(stream.left, kindOf);
            joined.forEach((text, at) => expect(expected[at]?.startsWith(text)).toBe(true));
            wholes.forEach((told, at) => told.forEach((text) => expect(text).toBe(expected[at])));
          }
          stream.end();
          const { joined, wholes } = read(stream.left, kindOf);
          expected.forEach((text, at) => {
            expect(joined[at] ?? '').toBe(text);
            // `*.done`, the part where there is one, the item, the Response.
            expect(wholes[at]).toEqual(Array<string>(kindOf(at).part === undefined ? 3 : 4).fill(text));
          });
          expect(stream.left).not.toContain('bob@');
          expect(stream.usage).toEqual({ input: 3, output: 4 });
        }
      },
    ),
    { numRuns: 200 },
  );
});

test('a value over two messages, or two parts of one, is in none of the events', () => {
  const message = kinds[0] as Kind;
  const search = { type: 'web_search_call', id: 'ws', status: 'completed' };
  const [first, second] = ['Card 4111 1111 ', '1111 1111.'];
  const output = [message.item(first), search, message.item(second)];
  const told = [
    ...eventsOf({ kind: message, pieces: [first] }, 0),
    event('response.output_item.added', { output_index: 1, item: search }),
    event('response.output_item.done', { output_index: 1, item: search }),
    ...eventsOf({ kind: message, pieces: [second] }, 2),
  ];
  const parts = [first, second].map((text) => ({ type: 'output_text', text, annotations: [] }));
  const partEvents = parts.flatMap((part, content_index) => {
    const at = { output_index: 0, item_id: 'i', content_index };
    return [
      event('response.content_part.added', { ...at, part: { ...part, text: '' } }),
      event('response.output_text.delta', { ...at, delta: part.text }),
      event('response.output_text.done', { ...at, text: part.text }),
      event('response.content_part.done', { ...at, part }),
    ];
  });
  const one = { type: 'message', role: 'assistant', content: parts };
  for (const [events, all] of [
    [told, output],
    [[...partEvents, event('response.output_item.done', { output_index: 0, item: one })], [one]],
    // One that sends no event for the beginning of anything.
    [told.filter((text) => text.includes('.delta')), output],
  ] as const) {
    const end = event('response.completed', { response: { status: 'completed', output: all } });
    const stream = maskedStream(route, sse);
    for (const text of [...events, end]) stream.data(Buffer.from(text));
    stream.end();
    expect(stream.left).toContain('[hidden]');
    expect(stream.left).not.toContain('1111');
  }
});

test('a message leaves before the next item does, though what it ends with may go on', () => {
  const message = kinds[0] as Kind;
  const events = eventsOf({ kind: message, pieces: ['I ask for number 41'] }, 0);
  const call = event('response.output_item.added', {
    output_index: 1,
    item: { type: 'function_call', name: 'f', arguments: '' },
  });
  const stream = maskedStream(route, sse);
  stream.data(Buffer.from(events.join('') + call));
  expect(stream.left).toBe(events.join('') + call);
});

test('a text of a message that others have followed ends the stream', () => {
  const at = (output_index: number): string =>
    event('response.output_text.delta', { output_index, content_index: 0, delta: 'a ' });
  expect(() => maskedStream(route, sse).data(Buffer.from(at(0) + at(1) + at(0)))).toThrow();
});

test('a stream in which nothing is masked leaves event by event as it came', () => {
  const one: Item = { kind: kinds[0] as Kind, pieces: ['All ', 'is ', 'well.'] };
  const response = { id: 'r', status: 'completed', output: [one.kind.item('All is well.')] };
  const events = [...eventsOf(one, 0), event('response.completed', { response }), 'data: [DONE]\n\n'];
  const stream = maskedStream(route, sse);
  stream.data(Buffer.from(events.join('')));
  stream.end();
  expect(stream.left).toBe(events.join(''));
});

test('a Response that failed takes what is held with it, and tells why', () => {
  const stream = maskedStream(route, sse);
  const one: Item = { kind: kinds[0] as Kind, pieces: ['Pay 4111 1111 1111'] };
  stream.data(Buffer.from(eventsOf(one, 0).slice(0, 3).join('')));
  const error = { code: 'server_error', message: 'lost ana@example.com' };
  stream.data(
    Buffer.from(
      event('response.failed', {
        response: { status: 'failed', error, output: [one.kind.item('Pay 4111 1111 1111')] },
      }),
    ),
  );
  stream.end();
  expect(stream.left).not.toContain('4111 1111');
  expect(stream.left).toContain('lost [hidden]');
});

test.each([
  ['an event that nobody knows', event('response.new_thing.delta', { output_index: 0, delta: 'x' })],
  [
    'text behind the end',
    event('response.completed', { response: { status: 'completed', output: [] } }) +
      event('response.output_text.delta', { output_index: 0, content_index: 0, delta: 'x' }),
  ],
  ['an index that is none', event('response.output_text.delta', { output_index: 1e9, content_index: 0, delta: 'x' })],
])('%s ends the stream', (_, text) => {
  expect(() => maskedStream(route, sse).data(Buffer.from(text))).toThrow();
});

import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { maskedParts } from '../../test/support/masked-stream.ts';
import type { ScanRule } from '../core/index.ts';
import { compileScanner } from '../detect/index.ts';
import { recognise, sse } from '../dialect/index.ts';
import { StreamAnswer } from './answer-stream.ts';
import { CleanTexts } from './clean-texts.ts';
import { Departure } from './departure.ts';

// The guarantee on streams for Anthropic's events: what has left of a block is at all times a prefix of what masking the whole block gives, and of the
// texts of all blocks, which clients join, what masking all of it gives, whatever the cuts into events and reads; at the end it equals that.

const rule: ScanRule = {
  index: 0,
  id: 'test/rule',
  label: 'hidden',
  on: 'Response',
  action: 'Mask',
  enforce: true,
  match: { detectors: ['Email', 'CreditCard'], patterns: [], words: [] },
  fields: [],
  replacement: { style: 'Label' },
};
const scanner = compileScanner([rule], { hashKey: new Uint8Array(32) });
const [one, none] = [Uint8Array.of(1), Uint8Array.of(0)];
const view = scanner.view({ replace: one, stop: none, note: none });
const route = recognise('POST', '/v1/messages');

function streamInto(departure: Departure): StreamAnswer {
  const clean = (): CleanTexts => new CleanTexts();
  const views = {
    ...{ act: view, record: view, pair: scanner.pair(view, view), sealed: undefined, hiding: one },
    ...{ clean: clean(), cleanRecord: clean(), cleanReadings: clean(), guarded: true, same: true },
  };
  const onHits = (): void => undefined;
  return new StreamAnswer(
    { route, framing: sse, views, stops: false, dropUsage: false, observes: false, onHits },
    departure,
  );
}

const event = (body: { readonly type: string; readonly [field: string]: unknown }): string =>
  `event: ${body.type}\ndata: ${JSON.stringify(body)}\n\n`;

type Kind = 'text' | 'thinking' | 'partial_json';
interface Block {
  readonly kind: Kind;
  readonly first: string;
  readonly pieces: readonly string[];
}
const wholeOf = ({ first, pieces }: Block): string => first + pieces.join('');

const eventsOf = (block: Block, index: number): string[] => [
  event({ type: 'content_block_start', index, content_block: { type: block.kind, [block.kind]: block.first } }),
  ...block.pieces.map((text) =>
    event({ type: 'content_block_delta', index, delta: { type: `${block.kind}_delta`, [block.kind]: text } }),
  ),
  event({ type: 'content_block_stop', index }),
];
const ending = (reason: string): string[] => [
  event({ type: 'message_delta', delta: { stop_reason: reason }, usage: { output_tokens: 1 } }),
  event({ type: 'message_stop' }),
];

/** What a client joins of each block. */
function read(stream: string): string[] {
  const texts: string[] = [];
  for (const [, data] of stream.matchAll(/^data: (\{.*\})$/gm)) {
    const { index, content_block: begun, delta } = JSON.parse(data ?? '') as Record<string, Record<string, string>>;
    const some = begun ?? delta;
    if (index !== undefined && some !== undefined)
      texts[Number(index)] =
        (texts[Number(index)] ?? '') + (some['text'] ?? some['thinking'] ?? some['partial_json'] ?? '');
  }
  return texts;
}

const piece = fc.constantFrom(
  ...[' plain', ' words', ' ana', '@exa', 'mple', '.com', ' 4111', ' 1111', '1111', '\n', ' é', '😀', '"', '', '. '],
);
const texts = fc.record({
  kind: fc.constantFrom<Kind>('text', 'text', 'thinking'),
  first: fc.constantFrom('', '', ' 4111 1111'),
  pieces: fc.array(piece, { maxLength: 40 }),
});
/** Arguments of a tool: JSON, in pieces of any size. */
const argumentsOf = fc
  .record({ note: fc.array(piece, { maxLength: 20 }), size: fc.integer({ min: 1, max: 30 }) })
  .map(({ note, size }): Block => ({
    kind: 'partial_json',
    first: '',
    pieces: JSON.stringify({ note: note.join('') }).match(new RegExp(`.{1,${size}}`, 'gsu')) ?? [],
  }));
const block = fc.oneof({ weight: 3, arbitrary: texts }, argumentsOf);

test('each block is a prefix of its mask at all times, and all of it at the end', () => {
  const cuts = fc.array(fc.integer({ min: 1, max: 700 }), { maxLength: 14 });
  const reasons = fc.constantFrom('end_turn', 'max_tokens');
  fc.assert(
    fc.property(fc.array(block, { minLength: 1, maxLength: 3 }), cuts, reasons, (blocks, sizes, reason) => {
      const events = [...blocks.flatMap(eventsOf), ...ending(reason)];
      const bytes = Buffer.from(events.join(''));
      let from = 0;
      const cut = sizes.map((size) => bytes.subarray(from, (from += size)));
      for (const reads of [events.map((text) => Buffer.from(text)), [bytes], [...cut, bytes.subarray(from)]]) {
        const departure = new Departure();
        const stream = streamInto(departure);
        const record: Record<string, string> = {};
        let left = '';
        const ends = reason === 'max_tokens' ? 'cut' : 'complete';
        const parts = blocks.map((one) => (one.kind === 'text' ? wholeOf(one) : undefined));
        const masked = maskedParts(parts, ends)[Symbol.iterator]();
        const expected = blocks.map((one, at): string => {
          if (one.kind === 'text') return masked.next().value ?? '';
          const end = at === blocks.length - 1 ? ends : 'complete';
          return view.mask(wholeOf(one), one.kind === 'partial_json' ? 'json' : 'text', end).text;
        });
        for (const some of reads) {
          stream.data(some);
          left += departure.take((lane, text) => (record[lane] = (record[lane] ?? '') + text));
          for (const [at, text] of read(left).entries())
            if (!(expected[at] ?? '').startsWith(text)) throw new Error(`${text} is no part of ${expected[at]}`);
        }
        stream.end();
        left += departure.take((lane, text) => (record[lane] = (record[lane] ?? '') + text));
        expect(read(left)).toEqual(expected);
        const spoken = expected.filter((_, at) => blocks[at]?.kind === 'text').join('');
        expect(record['content.text'] ?? '').toBe(spoken);
        // As Python's clients join it, and as those of npm do.
        for (const text of [spoken, expected.filter((_, at) => blocks[at]?.kind === 'text').join(' ')])
          expect(view.mask(text, 'text', 'complete').text).toBe(text);
        for (const [at, text] of expected.entries())
          if (blocks[at]?.kind !== 'text') expect(record[`content[${at}].${blocks[at]?.kind}`] ?? '').toBe(text);
        expect(stream.usage).toEqual({ input: 0, output: 1 });
      }
    }),
    { numRuns: 300 },
  );
});

/** What leaves of blocks, each in a read of its own. */
function leaves(blocks: readonly Block[], reason = 'end_turn'): { readonly texts: string[]; readonly stream: string } {
  const departure = new Departure();
  const stream = streamInto(departure);
  let left = '';
  for (const one of [...blocks.flatMap(eventsOf), ...ending(reason)]) {
    stream.data(Buffer.from(one));
    left += departure.take(() => undefined);
  }
  stream.end();
  left += departure.take(() => undefined);
  return { texts: read(left), stream: left };
}
const said = (...pieces: string[]): Block => ({ kind: 'text', first: '', pieces });

test('a value over two blocks leaves in neither, whatever stands between', () => {
  const thought: Block = { kind: 'thinking', first: '', pieces: ['hm'] };
  expect(leaves([said('Card 4111 1111 '), said('1111 1111.')]).texts).toEqual(['Card [hidden]', '.']);
  expect(leaves([said('Card 4111 1111'), said('1111 1111.')]).texts.join('')).not.toContain('1111');
  expect(leaves([said('Card 4111 1111 '), thought, said('1111 1111.')]).texts.join('')).not.toContain('1111');
  // Less than half of it has left when something else begins.
  expect(leaves([said('Card 4111 '), thought, said('1111 1111 1111.')]).texts).toEqual([
    'Card 4111 ',
    'hm',
    '[hidden].',
  ]);
});

test('a block that another follows leaves before more of a text has come, and as it came', () => {
  const call: Block = { kind: 'partial_json', first: '', pieces: ['{"a":', '1}'] };
  const blocks = [said('I ask for number 41'), call];
  const events = blocks.flatMap(eventsOf);
  const departure = new Departure();
  const stream = streamInto(departure);
  const begun = events.slice(0, 4).join('');
  stream.data(Buffer.from(begun));
  expect(departure.take(() => undefined)).toBe(begun);
  expect(leaves(blocks, 'tool_use').stream).toBe([...events, ...ending('tool_use')].join(''));
});

test('sentences that citations cut up leave as they came', () => {
  const blocks = [
    said('It says that ', 'grass is'),
    said(' green'),
    said('.', ' And the sky is '),
    said('blue'),
    said(', too.'),
  ];
  expect(leaves(blocks).texts).toEqual(blocks.map(wholeOf));
  // But where a text may be a new one it is read as such.
  expect(leaves([said('refb'), said('4111 1111 1111 1111')]).texts).toEqual(['refb', '\n[hidden]']);
});

test('a text of a block that others have followed ends the stream', () => {
  const [start = ''] = eventsOf(said(), 0);
  const text = (index: number): string => eventsOf(said('a '), index)[1] ?? '';
  const stream = streamInto(new Departure());
  stream.data(Buffer.from(start + text(0) + text(1)));
  expect(() => stream.data(Buffer.from(text(0)))).toThrow();
});

test('what was written and is not counted yet is charged by its text', () => {
  const departure = new Departure();
  const stream = streamInto(departure);
  const begun = { type: 'message_start', message: { content: [], usage: { input_tokens: 9, output_tokens: 1 } } };
  const block = eventsOf({ kind: 'text', first: '', pieces: Array<string>(100).fill(' word') }, 0);
  stream.data(Buffer.from(event(begun) + block.join('')));
  // Its caller goes before the model says how much it was.
  expect(stream.usage).toEqual({ input: 9, output: 125 });
  stream.data(
    Buffer.from(event({ type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 100 } })),
  );
  expect(stream.usage).toEqual({ input: 9, output: 100 });
});

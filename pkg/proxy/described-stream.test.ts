import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { cuts, maskedStream, maskedWhole, piece, readsOf } from '../../test/support/masked-stream.ts';
import type { RouteSpec } from '../core/index.ts';
import { RefusedError } from '../core/index.ts';
import { describedRoutes, recognise, sse } from '../dialect/index.ts';
import type { Route } from '../dialect/index.ts';
import { StoppedError } from './answer-stream.ts';

// The guarantee on streams for routes that a policy describes: the elements of a list are joined as it says, and what it does not say passes only where
// every way to join them is the same.

function routeOf(response: Partial<RouteSpec['response']>): Route {
  const body = { format: 'JSON', texts: [], values: [], others: 'Refused' } as const;
  const described = describedRoutes([
    {
      ...{ path: '/v1/tale', webSocket: false, operation: 'Completions', model: undefined, request: body },
      response: { ...body, messages: 'Joined', ...response },
    },
  ]);
  return recognise('POST', '/v1/tale', described);
}

const event = (body: object): string => `data: ${JSON.stringify(body)}\n\n`;
const bodies = (stream: string): Record<string, unknown>[] =>
  [...stream.matchAll(/^data: (\{.*\})$/gm)].map(([, data]) => JSON.parse(data ?? '') as Record<string, unknown>);

/** Holds a stream to the guarantee, for each text that clients join. */
function hold(
  route: Route,
  events: readonly string[],
  sizes: readonly number[],
  texts: (left: string) => readonly string[],
): void {
  const expected = texts(events.join('')).map((text) => maskedWhole(text, 'text', 'cut'));
  for (const reads of readsOf(events, sizes)) {
    const stream = maskedStream(route, sse);
    for (const some of reads) {
      stream.data(some);
      const left = texts(stream.left);
      left.forEach((text, at) => expect([at, expected[at]?.startsWith(text)]).toEqual([at, true]));
    }
    stream.end();
    expect(texts(stream.left)).toEqual(expected);
  }
}

/** What of this has left, or why nothing more did. */
function leaves(route: Route, events: readonly object[]): string {
  const stream = maskedStream(route, sse);
  try {
    stream.data(Buffer.from(events.map(event).join('')));
    stream.end();
  } catch (error) {
    if (!(error instanceof RefusedError || error instanceof StoppedError)) throw error;
    return error instanceof RefusedError ? error.code : 'stopped';
  }
  return stream.left;
}

describe('elements of a list in a stream', () => {
  test('are joined by a field of their own, wherever they stand', () => {
    const element = fc.record({
      at: fc.constantFrom<number | string | undefined>(undefined, 0, 1, 2, 'a'),
      text: piece,
    });
    const route = routeOf({ texts: ['$.choices[*].text'], values: ['$.choices[*].at'], elements: '.at' });
    const texts = (left: string): string[] => {
      const joined: Record<string, string> = { 0: '', 1: '', 2: '', a: '' };
      for (const { choices } of bodies(left))
        for (const { at = 0, text } of choices as { at?: number | string; text: string }[]) joined[String(at)] += text;
      return Object.values(joined);
    };
    fc.assert(
      fc.property(fc.array(fc.array(element, { maxLength: 3 }), { maxLength: 25 }), cuts, (messages, sizes) => {
        const said = messages.filter((some) => some.length < 2 || some.some(({ at }) => at !== undefined));
        hold(
          route,
          said.map((choices) => event({ choices })),
          sizes,
          texts,
        );
      }),
      { numRuns: 60 },
    );
  });

  test('are one text where the policy says so', () => {
    const route = routeOf({ texts: ['$.pieces[*]'], elements: 'Joined' });
    const texts = (left: string): string[] => [
      bodies(left)
        .flatMap(({ pieces }) => pieces as string[])
        .join(''),
    ];
    fc.assert(
      fc.property(fc.array(fc.array(piece, { maxLength: 4 }), { maxLength: 25 }), cuts, (messages, sizes) =>
        hold(
          route,
          messages.map((pieces) => event({ pieces })),
          sizes,
          texts,
        ),
      ),
      { numRuns: 60 },
    );
  });

  test('go by their position where the policy says so', () => {
    const route = routeOf({ texts: ['$.pieces[*]'], elements: 'Position' });
    const texts = (left: string): string[] => {
      const joined = ['', '', ''];
      for (const { pieces } of bodies(left)) (pieces as string[]).forEach((text, at) => (joined[at] += text));
      return joined;
    };
    fc.assert(
      fc.property(fc.array(fc.array(piece, { maxLength: 3 }), { maxLength: 25 }), cuts, (messages, sizes) =>
        hold(
          route,
          messages.map((pieces) => event({ pieces })),
          sizes,
          texts,
        ),
      ),
      { numRuns: 60 },
    );
  });

  test('of which nobody says how they are joined pass where there is one, without a number of its own', () => {
    const texts = routeOf({ texts: ['$.choices[*].text', '$.pieces[*]'], values: ['$.choices[*].index'] });
    const ways: readonly (readonly [object, boolean])[] = [
      [{ choices: [{ text: 'a' }] }, true],
      [{ choices: [{ text: 'a', index: 0 }], pieces: ['b'] }, true],
      [{ choices: [{ text: 'a', index: null }], pieces: [] }, true],
      [{ choices: [{ text: 'a', index: 1 }] }, false],
      [{ choices: [{ text: 'a', index: '0' }] }, false],
      [{ choices: [{ text: 'a', choiceIndex: 2 }] }, false],
      [{ choices: [{ text: 'a' }, { text: 'b' }] }, false],
      [{ pieces: ['a', 'b'] }, false],
    ];
    for (const [body, passes] of ways)
      expect([body, leaves(texts, [body])]).toEqual([body, passes ? event(body) : 'response_uninspectable']);
  });

  test('that nothing tells apart, or what no field of theirs can be, are refused', () => {
    const route = routeOf({ texts: ['$.choices[*].text'], values: ['$.choices[*].index'], elements: '.index' });
    for (const choices of [
      [{ text: 'a' }, { text: 'b' }],
      [{ text: 'a', index: -1 }],
      [{ text: 'a', index: 0.5 }],
      [{ text: 'a', index: 5_000 }],
      [{ text: 'a', index: true }],
      [{ text: 'a', index: 'x'.repeat(129) }],
    ])
      expect([choices, leaves(route, [{ choices }])]).toEqual([choices, 'response_uninspectable']);
    expect(leaves(route, [{ choices: [{ text: 'a' }, { text: 'b', index: 1 }] }])).toContain('"b"');
  });

  test('that are each message’s own are read in every way', () => {
    const route = routeOf({ texts: ['$.pieces[*]'], messages: 'Separate' });
    const numbered = routeOf({ texts: ['$.pieces[*].text'], messages: 'Separate' });
    const [one, two] = ['4111 1111 ', '1111 1111'];
    const pieces = [
      { index: 0, text: one },
      { index: 1, text: 'x' },
      { index: 0, text: two },
    ];
    expect(leaves(numbered, [{ pieces }])).toBe('response_uninspectable');
    const left = (...pieces: string[]): unknown => bodies(leaves(route, [{ pieces }]))[0]?.['pieces'];
    expect(left('Pay 4111 1111 ', '1111 1111 now')).toEqual(['Pay [hidden]', ' now']);
    expect(left('to ana', '@example.com')).toEqual(['to [hidden]', '']);
    expect(left('ref 9', '4111 1111 1111 1111')).toEqual(['ref 9', '[hidden]']);
    const stream = maskedStream(route, sse);
    stream.data(Buffer.from(event({ pieces: ['Pay 4111 1111 ', '1111 1111 now'] })));
    stream.end();
    expect(stream.record).toEqual({ 'pieces[*]': 'Pay [hidden] now' });
  });
});

describe('texts of which each message says all so far', () => {
  const route = routeOf({ texts: ['$.text', '$.choices[*].text'], messages: 'Growing', elements: 'Position' });
  /** Each message as its client has it: all of each text. */
  const last = (left: string, name: 'text'): string => (bodies(left).at(-1)?.[name] as string | undefined) ?? '';

  test('are at all times a prefix of what masking the whole gives, and grow', () => {
    fc.assert(
      fc.property(fc.array(piece, { minLength: 1, maxLength: 30 }), cuts, (pieces, sizes) => {
        const events = pieces.map((_, at) => event({ text: pieces.slice(0, at + 1).join('') }));
        const expected = maskedWhole(pieces.join(''), 'text', 'cut');
        for (const reads of readsOf(events, sizes)) {
          const stream = maskedStream(route, sse);
          for (const some of reads) {
            stream.data(some);
            let before = '';
            for (const { text } of bodies(stream.left)) {
              expect(expected.startsWith(text as string) && (text as string).startsWith(before)).toBe(true);
              before = text as string;
            }
          }
          stream.end();
          expect(last(stream.left, 'text')).toBe(expected);
          expect(stream.record['text'] ?? '').toBe(expected);
        }
      }),
      { numRuns: 100 },
    );
  });

  const card = '4111 1111 1111 1111 is it, and more of it';
  const grown = Array.from(card, (_, at) => card.slice(0, at + 1));
  test.each<[string, readonly string[], (text: string) => object]>([
    ['a list where the policy has a text', ['$.text'], (text) => ({ text: [text] })],
    ['what the policy does not list', ['$.other'], (text) => ({ text })],
    ['what the policy does not list, far below', [], (text) => ({ a: [{ b: [text] }] })],
  ])('are read so in %s, too', (_what, texts, say) => {
    const open = routeOf({ texts, messages: 'Growing', others: 'Texts' });
    const left = leaves(open, grown.map(say));
    expect(left).not.toMatch(/4111 1/);
    expect(bodies(left).at(-1)).toEqual(say('[hidden] is it, and more of it'));
    expect(leaves(open, ['4111 1', '111 1111 1111'].map(say))).toBe('response_uninspectable');
    expect(leaves(open, ['same', 'same'].map(say))).toBe(['same', 'same'].map((text) => event(say(text))).join(''));
  });

  test('end the stream where a message says one of them twice', () => {
    const one = routeOf({ texts: ['$.pieces[*]'], elements: 'Joined', messages: 'Growing' });
    expect(leaves(one, [{ pieces: ['On'] }, { pieces: ['Once'] }])).toContain('Once');
    for (const pieces of [
      ['4444 4444 ', '4444 4444 4448 '],
      ['a', 'a'],
    ])
      expect(leaves(one, [{ pieces }])).toBe('response_uninspectable');
  });

  test('are apart in fields that the policy does not list', () => {
    const open = routeOf({ texts: ['$.text'], messages: 'Growing', others: 'Texts' });
    const apart = { text: 'a', id: 'b', more: { text: 'c', id: ['d', 'e'] } };
    expect(leaves(open, [apart, apart])).toBe(event(apart).repeat(2));
  });

  test('do not hold what the policy lists as a value to that', () => {
    const open = routeOf({ texts: ['$.text'], values: ['$.at'], messages: 'Growing', others: 'Texts' });
    const events = [
      { text: 'On', at: 'one' },
      { text: 'Once', at: 'two' },
    ];
    expect(leaves(open, events)).toBe(events.map(event).join(''));
  });

  test('leave byte for byte where nothing is hidden', () => {
    const events = ['On', 'Once', 'Once upon'].map((text) => ({ text }));
    expect(leaves(route, events)).toBe(events.map(event).join(''));
  });

  test('end the stream where they shrink, or have another beginning', () => {
    for (const [one, two] of [
      ['Once', 'On'],
      ['Once', 'upon'],
      ['Once', ''],
    ])
      expect(leaves(route, [{ text: one }, { text: two }])).toBe('response_uninspectable');
    expect(leaves(route, [{ text: 'Once' }, { text: 'Once' }])).toContain('Once');
  });

  test('of elements of a list are each one by itself', () => {
    const left = leaves(route, [
      { choices: [{ text: 'Pay 4111 1111 1111 111' }, { text: 'a' }] },
      { choices: [{ text: 'Pay 4111 1111 1111 1111 now' }, { text: 'ab' }] },
      { choices: [{ text: `Pay 4111 1111 1111 1111 now${' and so on'.repeat(20)}` }, { text: 'abc' }] },
    ]);
    expect(left).not.toContain('4111');
    expect(bodies(left).at(-1)?.['choices']).toEqual([
      { text: `Pay [hidden] now${' and so on'.repeat(20)}` },
      { text: 'abc' },
    ]);
  });

  test('say what is left of them when the last of several that were held leaves', () => {
    const long = 'word '.repeat(1_000);
    const stream = maskedStream(route, sse);
    stream.data(Buffer.from(event({ text: `${long}Call 4111 1111 ` })));
    expect(last(stream.left, 'text')).not.toContain('4111');
    stream.data(Buffer.from(event({ text: `${long}Call 4111 1111 or me` })));
    stream.end();
    expect(last(stream.left, 'text')).toBe(maskedWhole(`${long}Call 4111 1111 or me`, 'text', 'cut'));
  });
});

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { applyEdits, parseJson } from '../base/index.ts';
import type { JsonValue } from '../base/index.ts';
import { RefusedError } from '../core/index.ts';
import type { BodySpec, RouteSpec } from '../core/index.ts';
import { ndjson } from './framing/ndjson.ts';
import { plainText } from './framing/plain-text.ts';
import { sse } from './framing/sse.ts';
import { describedRoutes, recognise, recogniseSocket } from './index.ts';
import type { AnswerView, RequestView, Route } from './index.ts';

// Routes that a policy describes: which operation they are, and where texts stand.

const body = (more: Partial<BodySpec> = {}): BodySpec => ({
  format: 'JSON',
  texts: [],
  values: [],
  others: 'Texts',
  ...more,
});

const spec = (more: Partial<RouteSpec> = {}): RouteSpec => ({
  path: '/v1/stories',
  webSocket: false,
  operation: 'Completions',
  model: undefined,
  request: body(),
  response: { ...body(), messages: 'Joined' },
  ...more,
});

const routeOf = (more: Partial<RouteSpec> = {}): Route =>
  recognise('POST', '/v1/stories', describedRoutes([spec(more)]));
const asked = (route: Route, value: JsonValue): RequestView =>
  route.dialect.request(route, parseJson(JSON.stringify(value)));
const lanes = (view: RequestView | AnswerView): unknown => view.lanes.map(({ id, node }) => [id, node.text]);
const lone = (view: RequestView | AnswerView): string[] => view.loneValues.map(({ node }) => node.text);
const refusal = (run: () => unknown): unknown => {
  try {
    run();
  } catch (error) {
    if (error instanceof RefusedError) return error.code;
    throw error;
  }
  return undefined;
};

test('what stands in a body is what the policy says; the rest is text by its place', () => {
  const route = routeOf({
    model: '$.model',
    request: body({ texts: ['$.prompt', '$.turns[*].content'], values: ['$.user', '$.turns[*].role'] }),
  });
  expect(route).toMatchObject({ operation: 'Completions', described: 'JSON', dialect: { name: 'generic' } });
  const view = asked(route, {
    model: 'small',
    prompt: 'p',
    turns: [{ role: 'user', content: 'a' }],
    user: 'u',
    note: 'n',
  });
  expect(view.model).toBe('small');
  expect(lanes(view)).toEqual([
    ['prompt', 'p'],
    ['turns[0].content', 'a'],
    [expect.stringMatching(/^\{/), 'n'],
  ]);
  expect(lone(view)).toEqual(['small', 'user', 'u', 'note']);
  expect(view.countsInput).toBe(true);
  for (const model of [undefined, '', 7, 'x'.repeat(513)])
    expect(refusal(() => asked(route, { ...(model !== undefined && { model }), prompt: 'p' }))).toBe('invalid_request');
});

test('where others are refused, nothing but what is listed passes', () => {
  const only = body({ texts: ['$.prompt'], others: 'Refused' });
  const route = routeOf({ request: only, response: { ...only, messages: 'Joined' } });
  for (const value of [
    { prompt: 'a', note: 'b' },
    { prompt: { deep: 'b' } },
    { prompt: ['b'] },
    { other: [{ deep: 'b' }] },
    'b',
    ['b'],
  ]) {
    expect([value, refusal(() => asked(route, value))]).toEqual([value, 'invalid_request']);
    expect(refusal(() => route.dialect.answer(route, parseJson(JSON.stringify(value)), 200))).toBe(
      'response_uninspectable',
    );
  }
  expect(refusal(() => asked(route, { prompt: 'a', n: 3, flag: true, none: null, empty: '' }))).toBeUndefined();
});

/** Each string of a JSON value that is no key. */
function* strings(value: JsonValue): Generator<string, void, void> {
  if (typeof value === 'string') yield value;
  else if (Array.isArray(value)) for (const one of value) yield* strings(one);
  else if (value !== null && typeof value === 'object')
    for (const one of Object.values(value)) yield* strings(one as JsonValue);
}

test('whatever is listed, each string of any body is seen once, or the body is refused', () => {
  const name = fc.constantFrom('prompt', 'turns', 'content', 'user', 'deep');
  const path = fc
    .array(fc.oneof(name, fc.constant('*')), { minLength: 1, maxLength: 4 })
    .map((steps) => steps.reduce((all, one) => all + (one === '*' ? '[*]' : `.${one}`), '$'));
  let next = 0;
  const tree = fc.letrec<{ value: JsonValue }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.constant(null).map(() => `text ${next++}~`),
      fc.integer({ min: 0, max: 9 }),
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(name, tie('value'), { maxKeys: 3 }),
    ),
  })).value;
  fc.assert(
    fc.property(
      fc.array(path, { maxLength: 4 }),
      fc.array(path, { maxLength: 4 }),
      fc.constantFrom<BodySpec['others']>('Texts', 'Refused'),
      tree,
      (texts, values, others, value) => {
        const route = routeOf({ request: body({ texts, values, others }) });
        let view: RequestView;
        try {
          view = asked(route, value);
        } catch (error) {
          if (!(error instanceof RefusedError)) throw error;
          return;
        }
        const seen = [...view.lanes.map(({ node }) => node.text), ...lone(view)];
        for (const text of strings(value)) expect([text, seen.filter((one) => one === text).length]).toEqual([text, 1]);
      },
    ),
    { numRuns: 1_000 },
  );
});

describe('token ids', () => {
  const lists = { texts: ['$.prompt', '$.turns[*].content'], values: ['$.user'] };
  const route = routeOf({ request: body(lists), response: { ...body(lists), messages: 'Joined' } });

  test.each<[JsonValue, boolean]>([
    [{ prompt: [5] }, true],
    [{ prompt: [[5], [6]] }, true],
    [{ turns: [{ content: [5, 6] }] }, true],
    [{ user: [5] }, true],
    [{ token_ids: [5] }, true],
    [{ other: { numbers: [1, 2, 3] } }, false],
    [{ other: { numbers: [1, 2, 3, 4, 5, 6, 7, 8] } }, true],
    [{ prompt: 'a', turns: [{ content: 'b' }] }, false],
  ])('of a request, %j: %s', (value, unread) => {
    expect(asked(route, value).tokenInput).toBe(unread);
  });

  test.each<[JsonValue, number]>([
    [{ prompt: [5] }, 1],
    [{ turns: [{ content: [5, 6] }] }, 1],
    [{ token_ids: [5] }, 1],
    [{ token: 5 }, 1],
    [{ prompt: 'a' }, 0],
  ])('of an answer, %j: %s', (value, count) => {
    const view = route.dialect.answer(route, parseJson(JSON.stringify(value)), 200);
    expect(view.integerArrays).toHaveLength(count);
  });
});

test('where the body names the model, the query may not', () => {
  const route = routeOf({ model: '$.params.model', operation: 'Other' });
  const ask = (query: string): unknown =>
    refusal(() => route.dialect.request(route, parseJson('{"params":{"model":"small"}}'), query));
  for (const query of ['model=large', 'a=b&MODEL=x', '%6dodel=x', 'a=1;model=x', 'model[]=x', '+model=x'])
    expect([query, ask(query)]).toEqual([query, 'invalid_request']);
  for (const query of ['', 'stream=true', 'a=model']) expect([query, ask(query)]).toEqual([query, undefined]);
});

test('of Chat, Completions and Embeddings no query passes but the version of the API', () => {
  for (const operation of ['Chat', 'Completions', 'Embeddings'] as const) {
    const route = routeOf({ operation });
    const ask = (query: string): unknown =>
      refusal(() => route.dialect.request(route, parseJson('{"prompt":"a"}'), query));
    for (const query of ['lora_path=/x', 'fallbacks=big', 'deployment=big', 'a=1;model=big', 'api-version=1&model=big'])
      expect([query, ask(query)]).toEqual([query, 'invalid_request']);
    for (const query of ['', 'api-version=2026-02-01']) expect([query, ask(query)]).toEqual([query, undefined]);
  }
});

test('what names another model or server is refused, unless the policy lists it by its name', () => {
  const lists = [body(), body({ texts: ['$.prompt'] }), body({ values: ['$.user'] }), body({ texts: ['$[*].prompt'] })];
  const bodies: JsonValue[] = [
    { fallbacks: [{ model: 'big' }] },
    { models: ['big'] },
    { extra_body: { model: 'big' } },
    { lora_path: '/x' },
    { api_base: 'http://evil' },
    { chat_template: '{{x}}' },
    { kv_transfer_params: { a: 'b' } },
    { FallBacks: ['big'] },
    { my_endpoint: 'http://evil' },
  ];
  for (const request of lists)
    for (const webSocket of [false, true])
      for (const value of bodies) {
        const described = describedRoutes([spec({ request, webSocket })]);
        const route = webSocket
          ? recogniseSocket('/v1/stories', described)
          : recognise('POST', '/v1/stories', described);
        const one = { prompt: 'p', ...(value as object) } as JsonValue;
        expect([value, refusal(() => asked(route, one))]).toEqual([value, 'invalid_request']);
      }
  for (const request of lists)
    expect(refusal(() => asked(routeOf({ request }), [{ prompt: 'p', models: ['big'] }]))).toBe('invalid_request');
  // However deep.
  for (const request of lists)
    for (const name of [
      'model',
      'file_id',
      'server_url',
      'voiceId',
      'vector_store_ids',
      'previous_response_id',
      'api_key',
    ])
      for (const value of [{ turns: [{ [name]: 'a' }] }, { a: { b: { [name]: ['a'] } } }] as JsonValue[]) {
        const one = { prompt: 'p', ...(value as object) } as JsonValue;
        expect([value, refusal(() => asked(routeOf({ request }), one))]).toEqual([value, 'invalid_request']);
      }
  const deep = routeOf({
    request: body({ texts: ['$.turns[*].say'], values: ['$.turns[*].file_id', '$.turns[*].url'] }),
  });
  expect(refusal(() => asked(deep, { turns: [{ say: 'a', file_id: 'b', url: 'c' }] }))).toBeUndefined();
  expect(refusal(() => asked(deep, { turns: [{ say: 'a', server_url: 'b' }] }))).toBe('invalid_request');
  const listed = routeOf({ request: body({ texts: ['$.tags[*]'], values: ['$.lora_path'] }) });
  expect(refusal(() => asked(listed, { tags: ['a'], lora_path: 'b', models: [], fallbacks: null }))).toBeUndefined();
  expect(refusal(() => asked(listed, { Tags: ['a'] }))).toBe('invalid_request');
});

describe('what is known stays what it is', () => {
  const paths = ['/v1/chat/completions', '/v1/load_lora_adapter', '/api/pull', '/v1/responses', '/slots'];
  test.each(paths)('%s', (path) => {
    const described = describedRoutes([spec({ path })]);
    expect(recognise('POST', path, described)).toBe(recognise('POST', path));
  });

  test('and other spellings and methods of what is described are not it', () => {
    const described = describedRoutes([spec(), spec({ path: '/ws', webSocket: true })]);
    for (const path of ['/v1/Stories', '/v1/stories/', '/v1/stories/x', '/ws'])
      expect([path, recognise('POST', path, described).operation]).toEqual([path, 'Other']);
    for (const method of ['GET', 'PUT', 'HEAD'])
      expect(recognise(method, '/v1/stories', described).operation).toBe('Other');
    expect(recogniseSocket('/v1/stories', described).operation).toBe('Other');
    expect(recogniseSocket('/ws', described)).toMatchObject({
      operation: 'Completions',
      described: 'JSON',
      dialect: { name: 'generic-websocket' },
    });
    expect(
      recogniseSocket(
        '/v1/load_lora_adapter',
        describedRoutes([spec({ path: '/v1/load_lora_adapter', webSocket: true })]),
      ),
    ).toMatchObject({
      operation: 'Admin',
    });
  });
});

describe('answers', () => {
  test('of streams have their texts by their places, which go on or are each their own', () => {
    const response = { ...body({ texts: ['$.piece'], values: ['$.id'] }), messages: 'Joined' as const };
    const frameOf = (route: Route): AnswerView =>
      route.dialect.frame(route, undefined, '', parseJson('{"piece":"a","id":"7"}'));
    const joined = frameOf(routeOf({ response }));
    expect([lanes(joined), lone(joined), joined.lanes[0]?.whole]).toEqual([[['piece', 'a']], ['7'], undefined]);
    expect(frameOf(routeOf({ response: { ...response, messages: 'Separate' } })).lanes[0]?.whole).toBe('cut');
    const route = routeOf({ response });
    expect(route.streams).toEqual([sse, ndjson]);
    expect(route.dialect.frame(route, undefined, '[DONE]', undefined).kind).toBe('done');
  });

  test('in lists are read in every way where nobody says how they are joined, else as the policy says', () => {
    const some = [
      { index: 1, text: 'a' },
      { index: 0, text: 'b' },
      { index: 1, text: 'c' },
    ];
    const joinedBy = (elements: string | undefined, choices: { text: string }[] = some): unknown => {
      const texts = ['$.choices[*].text'];
      const route = routeOf({
        response: { ...body({ texts, values: ['$.choices[*].index'] }), messages: 'Joined', elements },
      });
      const view = route.dialect.answer(route, parseJson(JSON.stringify({ choices })), 200);
      return {
        lanes: lanes(view),
        joined: view.joined?.map(({ id, nodes, each }) => [id, nodes.map(({ text }) => text).join(''), each]),
      };
    };
    const plain = some.map(({ text }) => ({ text }));
    expect(joinedBy(undefined, plain)).toEqual({ lanes: [], joined: [['choices[*].text', 'abc', true]] });
    expect(joinedBy('Joined')).toEqual({ lanes: [], joined: [['choices[*].text', 'abc', undefined]] });
    expect(joinedBy('.index')).toEqual({
      lanes: [],
      joined: [
        ['choices[1].text', 'ac', undefined],
        ['choices[0].text', 'b', undefined],
      ],
    });
    const byPosition = ['a', 'b', 'c'].map((text, at) => [`choices[${at}].text`, text]);
    expect(joinedBy('Position')).toEqual({ lanes: byPosition, joined: undefined });
  });

  test('in lists of which nobody says how they are joined pass where a number of their own keeps their order', () => {
    const texts = ['$.choices[*].text'];
    const route = routeOf({ response: { ...body({ texts }), messages: 'Joined' } });
    const ways: readonly (readonly [(object | undefined)[], boolean])[] = [
      [[{}, {}], true],
      [[{ index: null }, {}], true],
      [[{ index: 0 }, { index: 1 }, { index: 4 }], true],
      [[{ chunk_idx: 1 }, { chunk_idx: 2 }], true],
      [[{}, { index: 1 }], true],
      [[{ index: 7 }], true],
      [[{ index: 0 }, { index: 0 }], false],
      [[{ index: 1 }, { index: 0 }], false],
      [[{ index: 1 }, {}], false],
      [[{}, { index: 0 }], false],
      [[{ index: 0 }, {}, { index: 1 }], false],
      [[{ index: 'a' }, { index: 'b' }], false],
      [
        [
          { index: 0, chunkIndex: 3 },
          { index: 1, chunkIndex: 3 },
        ],
        false,
      ],
    ];
    for (const [some, passes] of ways) {
      const choices = some.map((one) => ({ ...one, text: 'a' }));
      const run = (): unknown => route.dialect.answer(route, parseJson(JSON.stringify({ choices })), 200);
      expect([some, refusal(run)]).toEqual([some, passes ? undefined : 'response_uninspectable']);
    }
  });

  test('that are text are one text, in JSON they are read as the policy says', () => {
    const route = routeOf({ response: { ...body({ format: 'Text', values: ['$.error'] }), messages: 'Joined' } });
    const view = route.dialect.answer(route, parseJson('"once upon"'), 200);
    expect(lanes(view)).toEqual([['text', 'once upon']]);
    expect(lone(route.dialect.answer(route, parseJson('{"error":"none"}'), 500))).toEqual(['none']);
    expect(route.streams[0]).toBe(plainText);
  });
});

test('chunks of text are joined, whatever is said of events', () => {
  const route = routeOf({ response: { ...body({ format: 'Text' }), messages: 'Separate' } });
  const wholeOf = (data: string): unknown =>
    route.dialect.frame(route, undefined, data, parseJson(data)).lanes[0]?.whole;
  expect([wholeOf('"pay 4111 1111 "'), wholeOf('{"piece":"a"}')]).toEqual([undefined, 'cut']);
});

test('a body of text is one text', () => {
  const route = routeOf({ request: body({ format: 'Text' }) });
  expect(lanes(asked(route, 'hello'))).toEqual([['text', 'hello']]);
});

test('chunks of text are the same text wherever they are cut, and can be changed', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.array(fc.nat(6), { maxLength: 12 }), (whole, sizes) => {
      const bytes = Buffer.from(whole.toWellFormed());
      const splitter = plainText.splitter();
      let at = 0;
      const frames = sizes.flatMap((size) => [...splitter.push(bytes.subarray(at, (at += size)))]);
      frames.push(...splitter.push(bytes.subarray(at)));
      expect(splitter.end()).toBeUndefined();
      expect(frames.map(({ raw }) => raw).join('')).toBe(whole.toWellFormed());
      for (const frame of frames) {
        expect(parseJson(frame.data ?? '').string).toBe(frame.raw);
        const data = frame.data ?? '';
        expect(frame.withData(applyEdits(data, [{ start: 0, end: data.length, text: '"é\\n"' }]))).toBe('é\n');
      }
    }),
  );
  const splitter = plainText.splitter();
  expect(splitter.push(Buffer.from([0x61, 0xc3]))).toHaveLength(1);
  expect(splitter.end()?.raw).toBe('\ufffd');
});

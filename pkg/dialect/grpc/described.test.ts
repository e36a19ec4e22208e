import { describe, expect, test } from '@jest/globals';
import { create, toBinary } from '@bufbuild/protobuf';
import {
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from '@bufbuild/protobuf/wkt';
import fc from 'fast-check';
import { taleBytes, tales } from '../../../test/support/grpc-stories.ts';
import { ByteChain } from '../../base/index.ts';
import type { JsonNode } from '../../base/index.ts';
import { RefusedError, serviceFaults } from '../../core/index.ts';
import type { MethodSpec, Operation } from '../../core/index.ts';
import { describedServices, recogniseRpc } from '../index.ts';
import type { AnswerView, Projected, RequestView, Route, StreamFrame } from '../index.ts';
import { framed } from './framing.ts';
import { trailerFrame } from './trailers.ts';

// A service that a policy describes: what it lists is read, what it does not list does not pass.

interface Said {
  readonly texts?: readonly string[];
  readonly values?: readonly string[];
  readonly messages?: 'Joined' | 'Separate';
  readonly elements?: string;
}

const method = (name: string, request: Said, response: Said, more: Partial<MethodSpec> = {}): MethodSpec => ({
  name,
  operation: 'Completions',
  model: undefined,
  request: { texts: [], values: [], ...request },
  response: { texts: [], values: [], messages: 'Joined', ...response },
  ...more,
});

function routeOf(name: string, request: Said, response: Said, more: Partial<MethodSpec> = {}): Route {
  const services = describedServices([
    { service: 'tales.v1.Tales', descriptorSet: tales, methods: [method(name, request, response, more)] },
  ]);
  return recogniseRpc('POST', `/tales.v1.Tales/${name}`, services);
}

function asked(route: Route, value: object): RequestView {
  const projected = route.rpc?.request(ByteChain.of(taleBytes('Ask', value)));
  if (projected === undefined) throw new Error('not described');
  return route.dialect.request(route, projected.root);
}

function answered(route: Route, value: object): AnswerView {
  const projected = route.rpc?.answer(ByteChain.of(taleBytes('Piece', value)));
  if (projected === undefined) throw new Error('not described');
  return route.dialect.answer(route, projected.root, 200);
}

function rootOf(projected: Projected | undefined): JsonNode {
  if (projected === undefined) throw new Error('not described');
  return projected.root;
}

const lanes = (view: RequestView | AnswerView): unknown => view.lanes.map(({ id, node }) => [id, node.text]);
const pieces = ({ joined = [] }: AnswerView): unknown =>
  joined.map(({ id, nodes }) => [id, nodes.map(({ text }) => text)]);
const lone = (view: RequestView | AnswerView): string[] => view.loneValues.map(({ node }) => node.text);
const refusal = (run: () => unknown): unknown => {
  try {
    run();
  } catch (error) {
    if (error instanceof RefusedError) return [error.code, error.detail];
    throw error;
  }
  return undefined;
};

test('texts and values are what the policy says, wherever they stand', () => {
  const route = routeOf(
    'One',
    { texts: ['prompt', 'turns.content', 'image', 'labels'], values: ['user', 'tags'] },
    { texts: ['piece', 'turn.replies.content'], values: ['id'] },
    { model: 'model', operation: 'Chat' },
  );
  expect(route).toMatchObject({ operation: 'Chat', body: 'rpc' });
  const view = asked(route, {
    model: 'm',
    prompt: 'p',
    turns: [{ content: 'a' }, { content: 'b' }],
    user: 'u',
    image: Buffer.from('i'),
    tags: ['x', 'y'],
    labels: { key: 'v' },
  });
  expect(view.model).toBe('m');
  expect(lanes(view)).toEqual([
    ['prompt', 'p'],
    ['turns[0].content', 'a'],
    ['turns[1].content', 'b'],
    ['image', 'i'],
    [expect.stringMatching(/^labels\./), 'v'],
  ]);
  expect(lone(view)).toEqual(['m', 'u', 'x', 'y', 'key']);
  expect(view.tokenInput).toBe(false);
  const answer = answered(route, { id: '1', piece: 'q', turn: { replies: [{ content: 'c' }] } });
  expect(pieces(answer)).toEqual([['turn.replies.content', ['c']]]);
  expect([lanes(answer), lone(answer)]).toEqual([[['piece', 'q']], ['1']]);
});

test.each([
  ['inference', 'ModelInferRequest', 'ModelInferResponse', 7, 6],
  ['grpc.reflection.v1', 'FileDescriptorResponse', 'FileDescriptorResponse', 1, 1],
])('a message that is named as one of %s is not read as that', (pack, input, output, asks, answers) => {
  const { OPTIONAL, REPEATED } = FieldDescriptorProto_Label;
  const { BYTES, MESSAGE, STRING } = FieldDescriptorProto_Type;
  const tensors = { name: 't', number: 5, label: REPEATED, type: MESSAGE, typeName: `.${pack}.T` };
  const file = create(FileDescriptorProtoSchema, {
    name: 'x.proto',
    package: pack,
    syntax: 'proto3',
    messageType: [
      { name: 'T', field: [{ name: 'datatype', number: 2, label: OPTIONAL, type: STRING }] },
      ...[...new Set([input, output])].map((name) => ({
        name,
        field: [tensors, { name: 'body', number: name === input ? asks : answers, label: REPEATED, type: BYTES }],
      })),
    ],
    service: [
      { name: 'Own', method: [{ name: 'Do', inputType: `.${pack}.${input}`, outputType: `.${pack}.${output}` }] },
    ],
  });
  const set = Buffer.from(toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file: [file] })));
  const named = (values: readonly string[], texts: readonly string[] = []): Route =>
    recogniseRpc(
      'POST',
      `/${pack}.Own/Do`,
      describedServices([
        {
          service: `${pack}.Own`,
          descriptorSet: set.toString('base64'),
          methods: [method('Do', { values, texts }, { values, texts })],
        },
      ]),
    );
  const part = (number: number, value: string): Buffer =>
    Buffer.concat([Buffer.from([number * 8 + 2, value.length]), Buffer.from(value)]);
  const of = (number: number): ByteChain => ByteChain.of(part(5, part(2, 'FP32').toString()), part(number, 'a secret'));
  const shut = named(['t.datatype']);
  const request = rootOf(shut.rpc?.request(of(asks)));
  const answer = rootOf(shut.rpc?.answer(of(answers)));
  expect(refusal(() => shut.dialect.request(shut, request))).toEqual(['invalid_request', expect.anything()]);
  expect(refusal(() => shut.dialect.answer(shut, answer, 200))).toEqual(['response_uninspectable', expect.anything()]);
  const open = named(['t.datatype'], ['body']);
  expect(lanes(open.dialect.request(open, request))).toEqual([['body[0]', 'a secret']]);
  expect(pieces(open.dialect.answer(open, answer, 200))).toEqual([['body', ['a secret']]]);
  // What is no UTF-8 is no text, in whatever list.
  const bytes = ByteChain.of(Buffer.from([asks * 8 + 2, 1, 0xff]));
  const unread = rootOf(open.rpc?.request(bytes));
  expect(open.dialect.request(open, unread).tokenInput).toBe(true);
});

/** Each string of an Ask: its path, and a message that has nothing but it. */
const asks: readonly (readonly [string, (text: string) => object])[] = [
  ['model', (model) => ({ model })],
  ['prompt', (prompt) => ({ prompt })],
  ['turns.role', (role) => ({ turns: [{}, { role }] })],
  ['turns.content', (content) => ({ turns: [{ content }] })],
  ['turns.replies.content', (content) => ({ turns: [{ replies: [{ content }] }] })],
  ['user', (user) => ({ user })],
  ['image', (image) => ({ image: Buffer.from(image) })],
  ['tags', (tag) => ({ tags: ['', tag] })],
  ['labels', (label) => ({ labels: { k: label } })],
];

test('whatever is listed, each string is seen once or refused, in requests and answers', () => {
  const paths = asks.map(([path]) => path);
  fc.assert(
    fc.property(
      fc.subarray(paths),
      fc.subarray(paths),
      fc.constantFrom(...asks),
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }),
      (texts, some, [path, make], text) => {
        const values = some.filter((one) => !texts.includes(one));
        const route = routeOf('One', { texts, values }, {});
        const isListed = texts.includes(path) || values.includes(path);
        if (!isListed) {
          expect(refusal(() => asked(route, make(text)))).toEqual(['invalid_request', expect.any(String)]);
          return;
        }
        const view = asked(route, make(text));
        const found = [...view.lanes.map(({ node }) => node.text), ...lone(view)].filter((one) => one === text);
        // The key of a label is one of its own.
        expect(found.length).toBe(path === 'labels' && text === 'k' ? 2 : 1);
        expect(view.lanes.some(({ node }) => node.text === text)).toBe(texts.includes(path));
      },
    ),
    { numRuns: 300 },
  );
  for (const [name, value] of Object.entries({
    id: { id: 'x' },
    piece: { piece: 'x' },
    thought: { thought: 'x' },
    'turn.content': { turn: { content: 'x' } },
    'turn.replies[0].role': { turn: { replies: [{ role: 'x' }] } },
  }))
    expect(refusal(() => answered(routeOf('One', {}, {}), value))).toEqual(['response_uninspectable', name]);
});

test('what holds itself is refused at any depth that is not listed, and leaves nothing behind', () => {
  const route = routeOf('One', { texts: ['turns.content'] }, {});
  let turn: object = { content: 'deep' };
  for (let depth = 0; depth < 20; depth++) turn = { replies: [turn] };
  expect(refusal(() => asked(route, { turns: [turn] }))).toMatchObject([
    'invalid_request',
    expect.stringMatching(/content$/),
  ]);
  expect(refusal(() => asked(route, { turns: [{ replies: [{}, {}] }] }))).toBeUndefined();
});

describe('numbers', () => {
  const route = routeOf('One', { texts: ['prompt'] }, { texts: ['piece'] });
  const some = (count: number): number[] => Array.from({ length: count }, () => 70);

  test.each<[string, object, boolean]>([
    ['a few', { numbers: some(7) }, false],
    ['eight', { numbers: some(8) }, true],
    ['of floats, many', { weights: some(900) }, false],
    ['ids of tokens, however few', { tokenIds: [5] }, true],
    ['the id of one token', { tokenId: 5 }, true],
    ['a setting', { strict: true }, false],
    ['a prompt of numbers, however few', { inputs: [5] }, true],
  ])('%s: %j', (_what, value, unread) => {
    expect(asked(route, value).tokenInput).toBe(unread);
  });

  test('long ones are looked at', () => {
    expect(lone(asked(route, { account: 4111_1111_1111_1111n }))).toEqual(['4111111111111111']);
  });

  test('of an answer as of a request', () => {
    expect(answered(route, { numbers: some(8) }).integerArrays).toHaveLength(1);
    expect(answered(route, { tokenId: 7 }).integerArrays).toHaveLength(1);
    expect(answered(route, { numbers: some(7) }).integerArrays).toEqual([]);
  });
});

test('a method whose callers stream is described only where no text goes on from message to message', () => {
  const routeWith = (messages: 'Joined' | 'Separate'): Route => routeOf('Talk', { texts: ['prompt'] }, { messages });
  expect([routeWith('Joined').rpc, routeWith('Separate').rpc?.clientStreams]).toEqual([undefined, true]);
  const faults = (['Joined', 'Separate'] as const).map((messages) =>
    serviceFaults({
      service: 'tales.v1.Tales',
      descriptorSet: tales,
      methods: [method('Talk', {}, { messages }), method('Tell', {}, {})],
    }).map(({ path }) => path.join('.')),
  );
  expect(faults).toEqual([['methods.0.response.messages'], []]);
});

describe('a stream', () => {
  const frames = (route: Route, chunks: readonly Buffer[]): StreamFrame[] => {
    const splitter = route.streams[0]?.splitter();
    return chunks.flatMap((chunk) => [...(splitter?.push(chunk) ?? [])]);
  };
  const bytesOfFrames = (found: readonly StreamFrame[]): Buffer =>
    ByteChain.concat(found.map(({ message }) => message?.bytes ?? ByteChain.of())).bytes();
  const bytesOf = (values: readonly object[]): Buffer =>
    Buffer.concat([...values.map((value) => framed(taleBytes('Piece', value))), trailerFrame({ 'grpc-status': '0' })]);

  test('is the same frames wherever it is cut, and its lanes go by their fields', () => {
    const route = routeOf('Tell', {}, { texts: ['piece'], values: ['id'] });
    const text = fc.string({ unit: 'grapheme', maxLength: 12 });
    fc.assert(
      fc.property(fc.array(text, { maxLength: 6 }), fc.array(fc.nat(40), { maxLength: 12 }), (pieces, sizes) => {
        const bytes = bytesOf(pieces.map((piece) => ({ id: '7', piece })));
        let at = 0;
        const chunks = [...sizes.map((size) => bytes.subarray(at, (at += size))), bytes.subarray(at)];
        const found = frames(route, chunks);
        expect(bytesOfFrames(found).equals(bytes)).toBe(true);
        const views = found.slice(0, -1).map(({ message }) => route.dialect.frame(route, undefined, '', message?.root));
        expect(views.flatMap((view) => view.lanes.map(({ node }) => node.text)).join('')).toBe(pieces.join(''));
        for (const { lanes: some } of views)
          for (const lane of some) expect([lane.id, lane.whole]).toEqual(['piece', undefined]);
      }),
      { numRuns: 60 },
    );
  });

  test('of texts that are each message’s own has them whole', () => {
    const route = routeOf('Talk', {}, { texts: ['piece'], messages: 'Separate' });
    const [frame] = frames(route, [bytesOf([{ piece: 'a' }])]);
    const view = route.dialect.frame(route, undefined, '', frame?.message?.root);
    expect(view.lanes.map(({ whole }) => whole)).toEqual(['cut']);
  });

  test('tells token ids one by one no more than in one message', () => {
    const route = routeOf('Tell', {}, { texts: ['piece'] });
    const found = frames(route, [bytesOf(Array.from({ length: 8 }, (_, at) => ({ numbers: [at + 1] })))]);
    const unread = found.slice(0, -1).map(({ message }) => message?.root.get('numbers')?.numberCount === 8);
    expect(unread).toEqual([false, false, false, false, false, false, false, true]);
  });
});

describe('elements of a list on the way to a text', () => {
  const replies = [
    { role: 'b', content: 'x' },
    { role: 'a', content: 'y' },
    { role: 'b', content: 'z' },
  ];
  const read = (name: 'One' | 'Tell', elements?: string, some: readonly object[] = replies): unknown => {
    const said = { texts: ['turn.replies.content'], values: ['turn.replies.role'] };
    const route = routeOf(name, {}, { ...said, ...(elements !== undefined && { elements }) });
    const value = { turn: { replies: some } };
    const root = rootOf(route.rpc?.answer(ByteChain.of(taleBytes('Piece', value))));
    const view = route.dialect.frame(route, undefined, '', root);
    const byId = new Map<string, string>();
    for (const { id, node } of view.lanes) byId.set(id, (byId.get(id) ?? '') + node.text);
    return [
      [...byId.values()],
      (view.joined ?? []).map(({ nodes, each }) => [nodes.map(({ text }) => text).join(''), each]),
    ];
  };

  test('are joined in a stream as the policy says, and refused where it does not', () => {
    expect(read('Tell', 'Joined')).toEqual([['xyz'], []]);
    expect(read('Tell', 'Position')).toEqual([['x', 'y', 'z'], []]);
    expect(read('Tell', '.role')).toEqual([['xz', 'y'], []]);
    expect(refusal(() => read('Tell'))).toEqual(['response_uninspectable', 'turn.replies']);
    expect(read('Tell', undefined, replies.slice(0, 1))).toEqual([['x'], []]);
  });

  test('are read in every way in one whole answer where nobody says', () => {
    expect(read('One')).toEqual([[], [['xyz', true]]]);
    expect(read('One', 'Joined')).toEqual([[], [['xyz', undefined]]]);
    expect(read('One', 'Position')).toEqual([['x', 'y', 'z'], []]);
    expect(read('One', '.role')).toEqual([
      [],
      [
        ['xz', undefined],
        ['y', undefined],
      ],
    ]);
  });
});

test('a number, a flag or a message refers to what is not in the request by its name, unless the policy lists it', () => {
  const texts = ['prompt'];
  const route = routeOf('One', { texts }, {});
  for (const [name, value] of [
    ['session_id', { sessionId: 7n }],
    ['adapter_id', { adapterId: 7 }],
    ['slot_ids', { slotIds: [7] }],
    ['with_cache', { withCache: true }],
    ['within.chat_id', { within: { chatId: 7 } }],
  ] as const) {
    expect(refusal(() => asked(route, { prompt: 'a', ...value }))).toEqual(['invalid_request', name]);
    const listed = routeOf('One', { texts, values: [name] }, {});
    expect(refusal(() => asked(listed, { prompt: 'a', ...value }))).toBeUndefined();
  }
  const nothing = { sessionId: 0n, adapterId: 0, slotIds: [], withCache: false, within: { chatId: 0, count: 7 } };
  expect(lanes(asked(route, { prompt: 'a', account: 7n, strict: true, ...nothing }))).toEqual([['prompt', 'a']]);
  const zero = rootOf(route.rpc?.request(ByteChain.of(Buffer.from([15 * 8, 0, 0x80, 1, 0, 0x90, 1, 0]))));
  expect(refusal(() => route.dialect.request(route, zero))).toBeUndefined();
});

test('a policy may list numbers as values, and as texts it may not', () => {
  const faults = (request: Said): unknown =>
    serviceFaults({
      service: 'tales.v1.Tales',
      descriptorSet: tales,
      methods: [method('One', request, {})],
    }).map(({ path, message }) => [path.join('.'), message]);
  expect(faults({ values: ['session_id', 'slot_ids', 'within.chat_id', 'user'] })).toEqual([]);
  expect(faults({ values: ['within'] })).toEqual([['methods.0.request.values.0', expect.stringContaining('message')]]);
  expect(faults({ texts: ['session_id'] })).toEqual([
    ['methods.0.request.texts.0', expect.stringContaining('holds no text')],
  ]);
});

test('what is not described is not read: other methods, services, spellings, and what is known stays what it is', () => {
  const services = describedServices([
    { service: 'tales.v1.Tales', descriptorSet: tales, methods: [method('One', {}, {})] },
    { service: 'inference.GRPCInferenceService', descriptorSet: tales, methods: [method('ModelInfer', {}, {})] },
    { service: 'tales.v1.Broken', descriptorSet: 'AAAA', methods: [method('One', {}, {})] },
  ]);
  const operation = (path: string, verb = 'POST'): [Operation, boolean] => {
    const route = recogniseRpc(verb, path, services);
    return [route.operation, route.rpc !== undefined];
  };
  expect(operation('/tales.v1.Tales/One')).toEqual(['Completions', true]);
  for (const path of [
    '/tales.v1.Tales/Hidden',
    '/tales.v1.Tales/one',
    '/tales.v1.Tales/One/',
    '/tales.v1.Tale/One',
    '/tales.v1.Broken/One',
    '//One',
  ])
    expect([path, ...operation(path)]).toEqual([path, 'Other', false]);
  expect(operation('/tales.v1.Tales/One', 'GET')).toEqual(['Other', false]);
  expect(operation('/inference.GRPCInferenceService/ModelInfer')).toEqual(['Completions', true]);
  expect(recogniseRpc('POST', '/inference.GRPCInferenceService/ModelInfer', services)).toBe(
    recogniseRpc('POST', '/inference.GRPCInferenceService/ModelInfer'),
  );
});

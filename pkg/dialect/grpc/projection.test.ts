import { resolve } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import type { DescMessage, MessageInitShape } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { grpcRegistry } from '../../../cmd/gen/grpc-descriptors.ts';
import { ByteChain, jsonValue, parseJson } from '../../base/index.ts';
import type { JsonNode, JsonValue } from '../../base/index.ts';
import { NotReadError, referenceReading } from '../../../test/support/grpc-reference.ts';
import { project, unread } from './projection.ts';
import { methodOf, methodPaths } from './registry.ts';
import type { FieldType, MessageType } from './registry.ts';
import { WireError } from './wire.ts';

const method = (name: string): NonNullable<ReturnType<typeof methodOf>> => {
  const found = methodOf(`/inference.GRPCInferenceService/${name}`);
  if (found === undefined) throw new Error(name);
  return found;
};
const infer = method('ModelInfer');
const registry = grpcRegistry(resolve(import.meta.dirname, '../../..'));
/** As the library of protobuf itself writes it. */
function bytesOf({ typeName }: MessageType, value: object): Uint8Array {
  const type = registry.getMessage(typeName);
  if (type === undefined) throw new Error(typeName);
  return toBinary(type, create(type, value as MessageInitShape<DescMessage>));
}

/** Elements of a BYTES tensor, in KServe's form. */
function elements(...texts: readonly (string | Uint8Array)[]): Buffer {
  return Buffer.concat(
    texts.flatMap((text) => {
      const bytes = Buffer.from(text as string);
      const length = Buffer.alloc(4);
      length.writeUInt32LE(bytes.length);
      return [length, bytes];
    }),
  );
}

const read = (type: MessageType, bytes: Uint8Array): ReturnType<typeof project> => project(type, ByteChain.of(bytes));
const shown = (type: MessageType, bytes: Uint8Array): JsonValue => jsonValue(read(type, bytes).root);
const saidOf = (type: MessageType, bytes: Uint8Array): string => JSON.stringify(shown(type, bytes));

/** Every string node that is no key. */
function* strings(node: JsonNode): Generator<JsonNode, void, void> {
  if (node.kind === 'string') yield node;
  if (node.kind === 'object' || node.kind === 'array') for (const item of node.items) yield* strings(item);
}

const request = {
  modelName: 'llama',
  id: '7',
  parameters: { max_tokens: { parameterChoice: { case: 'int64Param', value: 4111_1111_1111_1111n } } },
  inputs: [
    { name: 'text_input', datatype: 'BYTES', shape: [1n] },
    { name: 'temperature', datatype: 'FP32', shape: [1n] },
  ],
  rawInputContents: [elements('wer ist der Präsident?', ''), Buffer.alloc(4)],
};

test('a message shows as the JSON that says the same, contents of tensors beside their names', () => {
  expect(shown(infer.input, bytesOf(infer.input, request))).toEqual({
    model_name: 'llama',
    id: '7',
    parameters: { max_tokens: { int64_param: 4111111111111111 } },
    inputs: [
      { name: 'text_input', datatype: 'BYTES', shape: null, raw: ['wer ist der Präsident?', ''] },
      { name: 'temperature', datatype: 'FP32', shape: null, raw: null },
    ],
  });
});

test('every string can be changed by itself, lengths are repaired, and nothing else moves', () => {
  const bytes = bytesOf(infer.input, {
    ...request,
    rawInputContents: [elements('a'.repeat(120), 'zwei'), Buffer.from([1, 2, 3, 4])],
    inputs: [...request.inputs],
  });
  const projection = read(infer.input, bytes);
  const every = [...strings(projection.root)];
  expect(every.map((node) => node.start)).toEqual([...projection.starts]);
  // What a tensor holds is read by its data type.
  const found = every.filter((node) => node.text !== 'BYTES' && node.text !== 'FP32');
  for (const node of found) {
    for (const text of ['', 'x', 'é'.repeat(9_000)]) {
      const edited = projection.edited([{ start: node.start, end: node.end, text: JSON.stringify(text) }]);
      // And back: byte for byte what it was.
      const back = project(infer.input, edited);
      const again = [...strings(back.root)];
      expect(again.map((one) => one.text)).toEqual(every.map((one) => (one === node ? text : one.text)));
      const same = again[every.indexOf(node)];
      if (same === undefined) throw new Error('gone');
      const restored = back.edited([{ start: same.start, end: same.end, text: JSON.stringify(node.text) }]);
      expect(restored.bytes().equals(bytes)).toBe(true);
    }
  }
  const all = found.map(({ start, end }) => ({ start, end, text: '"q"' }));
  const values = [...strings(project(infer.input, projection.edited(all)).root)].map((node) => node.text);
  expect(values).toEqual(every.map((node) => (found.includes(node) ? 'q' : node.text)));
  expect(projection.edited([]).pieces[0]?.buffer).toBe(bytes.buffer);
});

test('a tensor whose own contents are an empty message has those that stand apart, as MLServer writes it', () => {
  const bytes = bytesOf(infer.output, {
    outputs: [{ name: 'text', datatype: 'BYTES', contents: {} }],
    rawOutputContents: [elements('hello')],
  });
  expect(shown(infer.output, bytes)).toEqual({
    outputs: [{ name: 'text', datatype: 'BYTES', contents: {}, raw: ['hello'] }],
  });
  const projection = read(infer.output, bytes);
  const [hello] = [...strings(projection.root)].filter((node) => node.text === 'hello');
  if (hello === undefined) throw new Error('gone');
  const edited = projection.edited([{ start: hello.start, end: hello.end, text: '"by"' }]);
  expect(shown(infer.output, edited.bytes())).toEqual({
    outputs: [{ name: 'text', datatype: 'BYTES', contents: {}, raw: ['by'] }],
  });
});

test('random messages: what is written is what is read, and unedited bytes are the very bytes', () => {
  const text = fc.string({ unit: 'grapheme', maxLength: 40 });
  fc.assert(
    fc.property(fc.array(fc.array(text, { maxLength: 4 }), { maxLength: 4 }), text, (tensors, name) => {
      const bytes = bytesOf(infer.output, {
        modelName: name,
        outputs: tensors.map((_, at) => ({ name: `o${at}`, datatype: 'BYTES' })),
        rawOutputContents: tensors.map((one) => elements(...one)),
      });
      const chain = ByteChain.of(bytes);
      const projection = project(infer.output, chain);
      const root = jsonValue(projection.root) as { model_name?: string; outputs?: { raw: string[] }[] };
      expect(root.model_name ?? '').toBe(name);
      expect((root.outputs ?? []).map((one) => one.raw)).toEqual(tensors);
      expect(projection.edited([])).toBe(chain);
    }),
  );
});

describe('what cannot be read as text shows as such', () => {
  const tensor = (datatype: string, raw: Uint8Array): unknown =>
    shown(infer.input, bytesOf(infer.input, { inputs: [{ name: 'a', datatype }], rawInputContents: [raw] }));
  const raw = (value: unknown): unknown => ({ inputs: [expect.objectContaining({ raw: value })] });
  const marked: unknown = JSON.parse(unread);

  test.each(['BOOL', 'INT8', 'UINT8', 'INT16', 'UINT16', 'INT32', 'UINT32', 'INT64', 'UINT64'])('%s', (datatype) => {
    const size = datatype === 'BOOL' ? 1 : Number(/\d+/.exec(datatype)?.[0]) / 8;
    expect(tensor(datatype, Buffer.alloc(8 * size, 65))).toEqual(raw(marked));
    expect(tensor(datatype, Buffer.alloc(7 * size, 65))).toEqual(raw(null));
  });
  test.each(['FP16', 'BF16', 'FP32', 'FP64'])('%s is not looked at', (datatype) => {
    expect(tensor(datatype, Buffer.alloc(64))).toEqual(raw(null));
  });
  test('an unknown data type, and bytes that are not UTF-8', () => {
    expect(tensor('STRING', Buffer.from('abc'))).toEqual(raw(marked));
    expect(tensor('BYTES', elements('a', Buffer.from([0xff, 0xd8])))).toEqual(raw(['a', marked]));
  });
  test('whole numbers of a tensor that is no raw one, and of many small ones together', () => {
    const contents = (many: number): object => ({ contents: { intContents: Array.from({ length: many }, () => 70) } });
    const some = (list: readonly object[]): string => saidOf(infer.input, bytesOf(infer.input, { inputs: list }));
    expect(some([contents(8)])).toContain(unread);
    expect(some([contents(7)])).not.toContain(unread);
    expect(some([contents(4), contents(4)])).toContain(unread);
    expect(some([{ shape: [1n, 2n, 3n, 4n] }, { shape: [1n, 2n, 3n, 4n] }])).not.toContain(unread);
    expect(some([{ shape: Array.from({ length: 8 }, () => 1n) }])).toContain(unread);
  });
});

describe('what two readers could take differently is refused', () => {
  const field = (number: number, value: Uint8Array | string): Uint8Array => {
    const writer = new BinaryWriter().tag(number, WireType.LengthDelimited);
    return (typeof value === 'string' ? writer.string(value) : writer.bytes(value)).finish();
  };
  test.each<[string, Uint8Array]>([
    ['an unknown field', field(15, 'secret')],
    ['an unknown number', new BinaryWriter().tag(15, WireType.Varint).uint32(1).finish()],
    ['a field that comes twice', Buffer.concat([field(1, 'a'), field(1, 'b')])],
    ['a string that is not UTF-8', field(1, Buffer.from([0xff]))],
    ['another wire type', new BinaryWriter().tag(1, WireType.Varint).uint32(1).finish()],
    ['a group', Buffer.from([0x0b, 0x0c])],
    ['a field longer than the message', Buffer.from([0x0a, 0x7f, 0x61])],
    ['a length without end', Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])],
    ['contents of no tensor', field(7, elements('x'))],
    [
      'contents twice',
      bytesOf(infer.input, {
        inputs: [{ datatype: 'BYTES', contents: { bytesContents: [Buffer.from('a')] } }],
        rawInputContents: [elements('b')],
      }),
    ],
    [
      'an element longer than its tensor',
      bytesOf(infer.input, {
        inputs: [{ datatype: 'BYTES' }],
        rawInputContents: [Buffer.from([9, 0, 0, 0, 65])],
      }),
    ],
    [
      'half of a length',
      bytesOf(infer.input, {
        inputs: [{ datatype: 'BYTES' }],
        rawInputContents: [Buffer.from([1, 0, 0])],
      }),
    ],
  ])('%s', (_what, bytes) => {
    expect(() => read(infer.input, bytes)).toThrow(WireError);
  });

  test('more fields than are read, and deeper nesting', () => {
    const many = Buffer.alloc(2 * 200_001, Buffer.from([0x32, 0x00]));
    expect(() => read(infer.input, many)).toThrow(WireError);
    const itself: MessageType = { typeName: 'x.Itself', fields: new Map<number, FieldType>(), gathers: true };
    const inside: FieldType = { name: 'inside', kind: 'one', holds: itself, keys: 0 };
    (itself.fields as Map<number, FieldType>).set(1, inside);
    const deep = (levels: number): Uint8Array => {
      let bytes: Uint8Array = Buffer.alloc(0);
      for (let level = 0; level < levels; level++) bytes = field(1, bytes);
      return bytes;
    };
    expect(saidOf(itself, deep(2))).toBe('{"inside":{"inside":{}}}');
    for (const levels of [64, 5_000]) expect(() => read(itself, deep(levels))).toThrow(WireError);
  });

  test('tags and lengths of more than 32 bits, which readers cut in different places', () => {
    const long = (...bytes: readonly number[]): Uint8Array => Buffer.from(bytes);
    expect(shown(infer.input, long(0x8a, 0x80, 0x00, 0x81, 0x00, 0x61))).toEqual({ model_name: 'a' });
    for (const bytes of [
      long(0x8a, 0x80, 0x80, 0x80, 0x80, 0x00, 0x01, 0x61),
      long(0x8a, 0x80, 0x80, 0x80, 0x10, 0x01, 0x61),
      long(0x0a, 0x81, 0x80, 0x80, 0x80, 0x10, 0x61),
      long(0x0a, 0x81, 0x80, 0x80, 0x80, 0x80, 0x00, 0x61),
    ])
      expect(() => read(infer.input, bytes)).toThrow(WireError);
  });
});

test('whoever bounds what is kept of a message hears of its values while it is read', () => {
  const told: number[] = [];
  const bytes = bytesOf(infer.input, {
    inputs: [{ datatype: 'BYTES' }],
    rawInputContents: [elements(...Array.from({ length: 9_000 }, () => ''))],
  });
  const full = new Error('full');
  const stop = (nodes: number): void => {
    told.push(nodes);
    if (nodes > 4_000) throw full;
  };
  expect(() => project(infer.input, ByteChain.of(bytes), { grown: stop })).toThrow(full);
  expect(told).toEqual([1_024, 2_048, 3_072, 4_096]);
  const counted = read(infer.input, bytes);
  expect(counted.nodes).toBeGreaterThan(9_000);
  expect(counted.units).toBeGreaterThan(27_000);
});

describe('it reads as the reader of @bufbuild/protobuf does', () => {
  type Reading =
    { readonly value: JsonValue; readonly numbers: unknown; readonly strings: readonly string[] } | 'refused';

  /** By the reference; what is no JSON is a map with one key twice. */
  function expected(type: MessageType, bytes: Uint8Array, tells: boolean): Reading {
    try {
      const { text, numbers, strings: spans } = referenceReading(type, bytes, tells);
      const value = jsonValue(parseJson(text));
      return { value, numbers, strings: spans.map(([from, to]) => Buffer.from(bytes.subarray(from, to)).toString()) };
    } catch (error) {
      if (error instanceof NotReadError || String(error).includes('duplicate key')) return 'refused';
      throw error;
    }
  }

  function found(type: MessageType, bytes: ByteChain, tellsByNumbers: boolean): Reading {
    try {
      const { root, numbers, starts } = project(type, bytes, { tellsByNumbers });
      const at = new Set(starts);
      const own = [...strings(root)].filter((node) => at.has(node.start)).map((node) => node.text);
      return { value: jsonValue(root), numbers, strings: own };
    } catch (error) {
      if (error instanceof WireError) return 'refused';
      throw error;
    }
  }

  /** Cut anywhere, also within a varint. */
  function cut(bytes: Uint8Array, sizes: readonly number[]): ByteChain {
    let from = 0;
    const pieces = sizes.map((size) => Buffer.from(bytes.subarray(from, (from += size))));
    return ByteChain.of(...pieces, Buffer.from(bytes.subarray(from)));
  }

  const text = fc.string({ unit: 'grapheme', maxLength: 40 });
  const raw = fc.oneof(
    fc.array(text, { maxLength: 3 }).map((texts) => elements(...texts)),
    fc.uint8Array({ maxLength: 70 }).map((bytes) => Buffer.from(bytes)),
  );
  const datatype = fc.constantFrom('BYTES', 'FP32', 'INT8', 'INT64', 'BOOL', 'x', '');
  const parameter = fc.oneof(
    text.map((value) => ({ case: 'stringParam', value })),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((value) => ({ case: 'int64Param', value })),
    fc.boolean().map((value) => ({ case: 'boolParam', value })),
    fc.double().map((value) => ({ case: 'doubleParam', value })),
  );
  const contents = fc.record(
    {
      intContents: fc.array(fc.integer(), { maxLength: 9 }),
      uint64Contents: fc.array(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), { maxLength: 9 }),
      fp64Contents: fc.array(fc.double(), { maxLength: 9 }),
      bytesContents: fc.array(
        fc.oneof(
          text.map((one) => Buffer.from(one)),
          fc.uint8Array({ maxLength: 9 }),
        ),
        { maxLength: 3 },
      ),
      boolContents: fc.array(fc.boolean(), { maxLength: 9 }),
    },
    { requiredKeys: [] },
  );
  const tensor = fc.record(
    {
      name: fc.oneof(text, fc.constant('input_ids')),
      datatype,
      shape: fc.array(fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }), { maxLength: 9 }),
      contents,
      parameters: fc
        .dictionary(text, parameter, { maxKeys: 2 })
        .map((all) => Object.fromEntries(Object.entries(all).map(([key, one]) => [key, { parameterChoice: one }]))),
    },
    { requiredKeys: ['datatype'] },
  );
  const message = fc
    .record({
      modelName: text,
      id: text,
      tensors: fc.array(fc.tuple(tensor, raw), { maxLength: 3 }),
      isRaw: fc.boolean(),
    })
    .map(({ modelName, id, tensors, isRaw }) =>
      bytesOf(infer.output, {
        modelName,
        id,
        outputs: tensors.map(([one]) => (isRaw ? { ...one, contents: undefined } : one)),
        ...(isRaw && { rawOutputContents: tensors.map(([, one]) => one) }),
      }),
    );
  /** Bytes changed, left out, put in, said twice and put elsewhere. */
  const change = fc.record({
    kind: fc.constantFrom('set', 'drop', 'insert', 'repeat', 'move'),
    at: fc.nat(),
    long: fc.nat(12),
    byte: fc.oneof(fc.nat(255), fc.constantFrom(0x00, 0x7f, 0x80, 0xff, 0x0a, 0x2a, 0x32)),
  });
  type Change = { readonly kind: string; readonly at: number; readonly long: number; readonly byte: number };
  function changed(bytes: Uint8Array, changes: readonly Change[]): Uint8Array {
    let all = Buffer.from(bytes);
    for (const { kind, at, long, byte } of changes) {
      const from = at % (all.length + 1);
      const part = all.subarray(from, from + long);
      const [before, after] = [all.subarray(0, from), all.subarray(from)];
      if (kind === 'set' && from < all.length) all[from] = byte;
      if (kind === 'drop') all = Buffer.concat([before, after.subarray(long)]);
      if (kind === 'insert') all = Buffer.concat([before, Buffer.of(byte), after]);
      if (kind === 'repeat') all = Buffer.concat([before, part, after]);
      if (kind === 'move') all = Buffer.concat([before, after.subarray(long), part]);
    }
    return all;
  }
  const sizes = fc.array(fc.nat(9), { maxLength: 40 });

  test('whole and mutated messages of tensors, wherever their bytes are cut', () => {
    const seen = { read: 0, refused: 0 };
    fc.assert(
      fc.property(message, fc.array(change, { maxLength: 3 }), sizes, fc.boolean(), (whole, changes, pieces, tells) => {
        const bytes = changed(whole, changes);
        const wanted = expected(infer.output, bytes, tells);
        seen[wanted === 'refused' ? 'refused' : 'read']++;
        expect(found(infer.output, ByteChain.of(bytes), tells)).toEqual(wanted);
        expect(found(infer.output, cut(bytes, pieces), tells)).toEqual(wanted);
      }),
      { numRuns: 1_000 },
    );
    // Both happen, or nothing was compared.
    expect(Math.min(seen.read, seen.refused)).toBeGreaterThan(100);
  });

  test('any bytes, of every method', () => {
    const types = methodPaths().flatMap((path) => {
      const one = methodOf(path);
      return one === undefined ? [] : [one.input, one.output];
    });
    fc.assert(
      fc.property(fc.nat(types.length - 1), fc.uint8Array({ maxLength: 60 }), sizes, (at, bytes, pieces) => {
        const type = types[at];
        if (type === undefined) throw new Error('no type');
        const wanted = expected(type, bytes, false);
        expect(found(type, ByteChain.of(bytes), false)).toEqual(wanted);
        expect(found(type, cut(bytes, pieces), false)).toEqual(wanted);
      }),
      { numRuns: 1_000 },
    );
  });

  test('an edit of any of its strings, as the reader of @bufbuild/protobuf sees the bytes that leave', () => {
    fc.assert(
      fc.property(message, sizes, fc.array(fc.tuple(fc.nat(), text), { maxLength: 4 }), (bytes, pieces, edits) => {
        const before = expected(infer.output, bytes, false);
        if (before === 'refused') return; // contents that are no elements
        const projection = project(infer.output, cut(bytes, pieces));
        const every = [...strings(projection.root)].filter((node) => node.text !== 'BYTES');
        const texts = new Map<number, string>();
        for (const [at, put] of every.length === 0 ? [] : edits) texts.set(at % every.length, put);
        const made = projection.edited(
          [...texts].map(([at, put]) => {
            const { start, end } = every[at] ?? projection.root;
            return { start, end, text: JSON.stringify(put) };
          }),
        );
        const readable = [...texts.keys()].every(
          (at) => !['FP32', 'INT8', 'INT64', 'BOOL', 'x', ''].includes(every[at]?.text ?? ''),
        );
        if (!readable) return; // the data type is how contents are read
        const after = expected(infer.output, made.bytes(), false);
        if (after === 'refused') throw new Error('it was read before');
        const own = [...strings(projection.root)].map((node) => {
          const at = every.indexOf(node);
          return texts.get(at) ?? node.text;
        });
        expect(after.strings).toEqual(own);
      }),
      { numRuns: 300 },
    );
  });
});

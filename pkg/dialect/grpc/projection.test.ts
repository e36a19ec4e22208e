import { resolve } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import type { DescMessage, MessageInitShape } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { grpcRegistry } from '../../../cmd/gen/grpc-descriptors.ts';
import { parseJson } from '../../base/index.ts';
import type { JsonNode } from '../../base/index.ts';
import { project, unread } from './projection.ts';
import { methodOf } from './registry.ts';
import type { MessageType } from './registry.ts';
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

const shown = (type: MessageType, bytes: Uint8Array): unknown => JSON.parse(project(type, bytes).text);

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
  const projection = project(infer.input, bytes);
  const every = [...strings(parseJson(projection.text))];
  expect(every.map((node) => node.start)).toEqual([...projection.starts]);
  // What a tensor holds is read by its data type.
  const found = every.filter((node) => node.text !== 'BYTES' && node.text !== 'FP32');
  for (const node of found) {
    for (const text of ['', 'x', 'é'.repeat(9_000)]) {
      const edited = projection.edited([{ start: node.start, end: node.end, text: JSON.stringify(text) }]);
      const expected = projection.text.slice(0, node.start) + JSON.stringify(text) + projection.text.slice(node.end);
      expect(project(infer.input, edited).text).toBe(expected);
      // And back: byte for byte what it was.
      const back = project(infer.input, edited);
      const again = [...strings(parseJson(back.text))][every.indexOf(node)];
      if (again === undefined) throw new Error('gone');
      const restored = back.edited([{ start: again.start, end: again.end, text: JSON.stringify(node.text) }]);
      expect(Buffer.from(restored).equals(bytes)).toBe(true);
    }
  }
  const all = found.map(({ start, end }) => ({ start, end, text: '"q"' }));
  const values = [...strings(parseJson(project(infer.input, projection.edited(all)).text))].map((node) => node.text);
  expect(values).toEqual(every.map((node) => (found.includes(node) ? 'q' : node.text)));
  expect(projection.edited([])).toBe(bytes);
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
      const projection = project(infer.output, bytes);
      const root = JSON.parse(projection.text) as { model_name?: string; outputs?: { raw: string[] }[] };
      expect(root.model_name ?? '').toBe(name);
      expect((root.outputs ?? []).map((one) => one.raw)).toEqual(tensors);
      expect(projection.edited([])).toBe(bytes);
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
    const some = (list: readonly object[]): string => project(infer.input, bytesOf(infer.input, { inputs: list })).text;
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
    expect(() => project(infer.input, bytes)).toThrow(WireError);
  });

  test('any bytes are read or refused, and no other error comes of them', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        try {
          parseJson(project(infer.input, bytes).text);
        } catch (error) {
          // A map with one key twice is left to the parser.
          if (!(error instanceof WireError) && !String(error).includes('key')) throw error;
        }
      }),
    );
  });

  test('more fields than are read', () => {
    const many = Buffer.alloc(2 * 200_001, Buffer.from([0x32, 0x00]));
    expect(() => project(infer.input, many)).toThrow(WireError);
  });
});

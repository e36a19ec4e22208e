import { describe, expect, it, test } from '@jest/globals';
import fc from 'fast-check';
import { cpuMs } from '../../../test/support/cost.ts';
import { parseJson } from '../../base/index.ts';
import type { JsonEdit, JsonNode } from '../../base/index.ts';
import { recognise } from '../index.ts';
import { binaryTensors } from './binary.ts';

const route = recognise('POST', '/v2/models/m/infer');

/** Elements of a BYTES tensor, each behind its length. */
const packed = (...texts: (string | Buffer)[]): Buffer =>
  Buffer.concat(
    texts.flatMap((text) => {
      const bytes = Buffer.from(text as string);
      const length = Buffer.alloc(4);
      length.writeUInt32LE(bytes.length);
      return [length, bytes];
    }),
  );
const tensor = (datatype: string, bytes: Buffer, name = 'x'): object => ({
  name,
  shape: [1],
  datatype,
  parameters: { binary_data_size: bytes.length },
});
interface Made {
  readonly body: Buffer;
  readonly length: string;
}
function made(head: object, ...bytes: Buffer[]): Made {
  const json = Buffer.from(JSON.stringify(head));
  return { body: Buffer.concat([json, ...bytes]), length: String(json.length) };
}
/** A request, or an answer, of one tensor. */
const one = (datatype: string, bytes: Buffer, name?: string, list = 'inputs'): Made =>
  made({ [list]: [tensor(datatype, bytes, name)] }, bytes);

const shown = ({ body, length }: Made): unknown => parsed(binaryTensors.request(body, length).text);
const parsed = (text: string): unknown => JSON.parse(text);

const refused = expect.objectContaining({ code: 'invalid_request', detail: 'binary_data' });

describe('a body of JSON and tensors', () => {
  it('shows the texts of its tensors where they would stand as JSON', () => {
    const [first, second] = [packed('a "b"', 'é😀', ''), packed('c')];
    const numbers = Buffer.from([1, 2, 3, 4]);
    const body = made(
      {
        id: 'i',
        inputs: [
          { name: 'j', shape: [1], datatype: 'BYTES', data: ['json'] },
          tensor('BYTES', first),
          tensor('FP32', numbers, 'f'),
          tensor('BYTES', second, 'y'),
        ],
        outputs: [{ name: 'o', parameters: { binary_data: true } }],
      },
      first,
      numbers,
      second,
    );
    const parameters = { binary_data_size: null };
    expect(shown(body)).toEqual({
      id: 'i',
      inputs: [
        { name: 'j', shape: [1], datatype: 'BYTES', data: ['json'] },
        { name: 'x', shape: [1], datatype: 'BYTES', parameters, data: ['a "b"', 'é😀', ''] },
        { name: 'f', shape: [1], datatype: 'FP32', parameters, data: [] },
        { name: 'y', shape: [1], datatype: 'BYTES', parameters, data: ['c'] },
      ],
      outputs: [{ name: 'o', parameters: { binary_data: true } }],
    });
    const { text } = binaryTensors.request(body.body, body.length);
    const view = route.dialect.request(route, parseJson(text));
    expect(view.lanes.map(({ node }) => node.text)).toEqual(['json', 'a "b"', 'é😀', '', 'c']);
    expect(view.tokenInput).toBe(false);
  });

  test.each([
    ['INT64', Buffer.alloc(56), 'x', false],
    ['INT64', Buffer.alloc(64), 'x', true],
    ['UINT8', Buffer.alloc(8), 'x', true],
    ['INT32', Buffer.alloc(4), 'input_ids', true],
    ['INT32', Buffer.alloc(0), 'input_ids', false],
    ['FP16', Buffer.alloc(64), 'x', false],
    ['COMPLEX', Buffer.alloc(0), 'x', true],
    ['BYTES', packed(Buffer.from([0xff, 0xd8])), 'x', true],
  ])('of %s cannot be read where its numbers may be a text', (datatype, bytes, name, tokenInput) => {
    const { body, length } = one(datatype, bytes, name);
    const { text } = binaryTensors.request(body, length);
    expect(route.dialect.request(route, parseJson(text)).tokenInput).toBe(tokenInput);
    const answer = one(datatype, bytes, name, 'outputs');
    const view = route.dialect.answer(route, parseJson(binaryTensors.answer(answer.body, answer.length).text), 200);
    expect(view.integerArrays.length > 0).toBe(tokenInput);
  });

  it('counts whole numbers over all of its tensors', () => {
    const four = Buffer.alloc(4);
    const { body, length } = made({ inputs: [tensor('INT8', four), tensor('INT8', four, 'y')] }, four, four);
    expect(route.dialect.request(route, parseJson(binaryTensors.request(body, length).text)).tokenInput).toBe(true);
  });

  it.each([
    [4, true],
    [3, false],
  ])('counts them with those that stand in the JSON: four, and %j there', (count, tokenInput) => {
    const data = Array.from({ length: count }, () => 7);
    for (const list of ['inputs', 'outputs']) {
      const beside = { name: 'z', shape: [count], datatype: 'INT32', data };
      const { body, length } = made({ [list]: [tensor('INT8', Buffer.alloc(4)), beside] }, Buffer.alloc(4));
      if (list === 'inputs') {
        const root = parseJson(binaryTensors.request(body, length).text);
        expect(route.dialect.request(route, root).tokenInput).toBe(tokenInput);
      } else {
        const root = parseJson(binaryTensors.answer(body, length).text);
        expect(route.dialect.answer(route, root, 200).integerArrays).toHaveLength(tokenInput ? 2 : 0);
      }
    }
  });

  it('of more values than are read of a body is refused before there is a tree of it', () => {
    const many = (list: string, count: number): Made =>
      made({ [list]: Array.from({ length: count }, () => []) }, Buffer.alloc(0));
    for (const list of ['inputs', 'outputs'] as const) {
      const read = list === 'inputs' ? binaryTensors.request : binaryTensors.answer;
      const most = list === 'inputs' ? 80_000 : 200_000;
      const few = many(list, most - 10);
      expect(() => read(few.body, few.length)).not.toThrow();
      const more = many(list, most + 1);
      expect(() => read(more.body, more.length)).toThrow(expect.objectContaining({ detail: 'binary_data' }));
    }
  });

  const good = one('BYTES', packed('a'));
  test.each<[string, Buffer, string]>([
    ['no length', good.body, ''],
    ['a length that is none', good.body, '1e2'],
    ['two lengths', good.body, `${good.length}, ${good.length}`],
    ['a length of nothing', good.body, '0'],
    ['a length beyond the body', good.body, '99999'],
    ['a length within the JSON', good.body, String(Number(good.length) - 1)],
    ['a length within the tensors', good.body, String(Number(good.length) + 1)],
    ['bytes of no tensor', Buffer.concat([good.body, Buffer.alloc(1)]), good.length],
    ['a tensor longer than the body', good.body.subarray(0, -1), good.length],
    ['JSON that is not UTF-8', Buffer.concat([Buffer.from([0xff]), good.body]), String(Number(good.length) + 1)],
    ...(
      [
        ['contents twice', [{ ...tensor('BYTES', packed('a')), data: ['b'] }], packed('a')],
        ['a size that is none', [{ datatype: 'BYTES', parameters: { binary_data_size: 1.5 } }], packed('a')],
        ['a size of words', [{ datatype: 'BYTES', parameters: { binary_data_size: '5' } }], packed('a')],
        ['a negative size', [{ datatype: 'BYTES', parameters: { binary_data_size: -5 } }], Buffer.alloc(0)],
        ['half of a number', [tensor('INT64', Buffer.alloc(7))], Buffer.alloc(7)],
        [
          'an element longer than its tensor',
          [tensor('BYTES', Buffer.from([9, 0, 0, 0, 1]))],
          Buffer.from([9, 0, 0, 0, 1]),
        ],
        ['half of a length', [tensor('BYTES', Buffer.from([1, 0]))], Buffer.from([1, 0])],
      ] as const
    ).map(([what, inputs, bytes]): [string, Buffer, string] => {
      const { body, length } = made({ inputs }, bytes);
      return [what, body, length];
    }),
  ])('with %s is refused', (_, body, length) => {
    expect(() => binaryTensors.request(body, length)).toThrow(refused);
  });

  it('is read or refused, whatever it is made of', () => {
    let read = 0;
    const change = fc.record({ at: fc.nat({ max: 400 }), to: fc.nat({ max: 255 }) });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 3 }), fc.integer({ min: -2, max: 2 }), (changes, off) => {
        const texts = packed('first', 'second');
        const { body, length } = made(
          { inputs: [tensor('BYTES', texts), tensor('INT8', Buffer.alloc(3), 'n')] },
          texts,
          Buffer.alloc(3),
        );
        for (const { at, to } of changes) body[at % body.length] = to;
        try {
          const { text, edited } = binaryTensors.request(body, String(Number(length) + off));
          read += edited(replacing(parseJson(text), () => 'x')).jsonBytes > 0 ? 1 : 0;
        } catch (error) {
          expect(['invalid_request', 'guard_blocked']).toContain((error as { readonly code?: string }).code);
        }
      }),
      { numRuns: 500 },
    );
    expect(read).toBeGreaterThan(20);
  });

  it('of more elements than are read is refused', () => {
    const { body, length } = one('BYTES', Buffer.alloc(4 * 80_001));
    expect(() => binaryTensors.request(body, length)).toThrow(refused);
  });
});

/** Edits that put another text where a string is. */
function replacing(root: JsonNode, replace: (text: string) => string | undefined): JsonEdit[] {
  if (root.kind === 'string') {
    const text = replace(root.text);
    return text === undefined ? [] : [{ start: root.start, end: root.end, text: JSON.stringify(text) }];
  }
  return root.kind === 'object' || root.kind === 'array' ? root.items.flatMap((item) => replacing(item, replace)) : [];
}

type Part =
  | { readonly kind: 'BYTES' | 'JSON'; readonly texts: readonly string[] }
  | { readonly kind: 'FP32'; readonly numbers: readonly number[] };

describe('edits', () => {
  test('change texts and the lengths around them, and no other byte', () => {
    const element = fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 9 }),
      fc.constantFrom('secret', 'a secret é', ''),
    );
    const part: fc.Arbitrary<Part> = fc.oneof(
      fc.record({ kind: fc.constant('BYTES' as const), texts: fc.array(element, { maxLength: 4 }) }),
      fc.record({ kind: fc.constant('FP32' as const), numbers: fc.array(fc.float(), { maxLength: 4 }) }),
      fc.record({ kind: fc.constant('JSON' as const), texts: fc.array(element, { maxLength: 3 }) }),
    );
    const mask = (text: string): string => text.replaceAll('secret', '[hidden by a rule]');
    const bytesOf = (one: Part, change: (text: string) => string): Buffer => {
      if (one.kind === 'FP32') return Buffer.from(new Float32Array(one.numbers).buffer);
      return one.kind === 'BYTES' ? packed(...one.texts.map(change)) : Buffer.alloc(0);
    };
    const whole = (parts: readonly Part[], change: (text: string) => string): Made =>
      made(
        {
          id: change('my secret'),
          outputs: parts.map((one) =>
            one.kind === 'JSON'
              ? { name: 'j', shape: [1], datatype: 'BYTES', data: one.texts.map(change) }
              : tensor(one.kind, bytesOf(one, change)),
          ),
          parameters: { z: change('secret') },
        },
        ...parts.map((one) => bytesOf(one, change)),
      );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 5 }), (parts) => {
        const { body, length } = whole(parts, (text) => text);
        const split = binaryTensors.answer(body, length);
        const edits = replacing(parseJson(split.text), (text) => (text.includes('secret') ? mask(text) : undefined));
        const edited = split.edited(edits);
        const expected = whole(parts, mask);
        expect([edited.jsonBytes, edited.body]).toEqual([Number(expected.length), expected.body]);
        expect(split.edited([]).body).toBe(body);
      }),
      { numRuns: 200 },
    );
  });

  it('take time as they are many, and not as they are many times the tensors', () => {
    const cost = (count: number): number => {
      const texts = Array.from({ length: count }, (_, at) => packed(`secret ${at}`));
      const { body, length } = made({ id: 'i', outputs: texts.map((bytes) => tensor('BYTES', bytes)) }, ...texts);
      const split = binaryTensors.answer(body, length);
      const edits = replacing(parseJson(split.text), (text) =>
        text.startsWith('secret') || text === 'x' ? 'm' : undefined,
      );
      expect(edits).toHaveLength(2 * count);
      return cpuMs(() => split.edited(edits));
    };
    cost(1_000);
    // Eight times as many: 64 times as long where each is held against each.
    expect(cost(8_000)).toBeLessThan(24 * Math.max(1, cost(1_000)));
  });

  it('of anything but texts are refused', () => {
    const { body, length } = one('INT64', Buffer.alloc(64), 'x', 'outputs');
    const split = binaryTensors.answer(body, length);
    const at = split.text.indexOf('[0,0');
    const unread = expect.objectContaining({ code: 'response_uninspectable', detail: 'binary_data' });
    expect(() => split.edited([{ start: at, end: split.text.indexOf(']', at) + 1, text: '[]' }])).toThrow(unread);
    const request = one('BYTES', packed('a'));
    const asked = binaryTensors.request(request.body, request.length);
    const string = asked.text.indexOf('"a"');
    const blocked = expect.objectContaining({ code: 'guard_blocked' });
    expect(() => asked.edited([{ start: string, end: string + 3, text: '7' }])).toThrow(blocked);
  });
});

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { talesSet } from '../../test/support/grpc-stories.ts';
import { threadCpuMs } from '../../test/support/cost.ts';
import { serviceFaults } from './described-service.ts';
import { DescriptorError, readDescriptorSet } from './descriptor-set.ts';

test('a set shows its messages and methods, maps as maps and enums as numbers', () => {
  const { messages, services } = readDescriptorSet(talesSet);
  expect([...messages.keys()]).toEqual(
    ['Ask', 'Ask.LabelsEntry', 'Within', 'Turn', 'Piece'].map((name) => `tales.v1.${name}`),
  );
  const ask = messages.get('tales.v1.Ask');
  expect(ask?.get('labels')).toEqual({
    number: 7,
    name: 'labels',
    kind: 'map',
    holds: 9,
    keys: 9,
  });
  expect(ask?.get('turns')).toMatchObject({ kind: 'list', holds: 'tales.v1.Turn' });
  expect(ask?.get('prompt')).toMatchObject({ kind: 'one', holds: 9 });
  expect(services.get('tales.v1.Tales')?.get('Talk')).toEqual({
    input: 'tales.v1.Ask',
    output: 'tales.v1.Piece',
    clientStreams: true,
    serverStreams: true,
  });
});

/** Length-delimited, and numbers. */
const part = (number: number, value: Buffer | string): Buffer => {
  const bytes = Buffer.from(value as string);
  return Buffer.concat([Buffer.from([number * 8 + 2, bytes.length]), bytes]);
};
const count = (number: number, value: number): Buffer => Buffer.from([number * 8, value]);
const field = (name: string, number: number, type: number, typeName?: string): Buffer =>
  Buffer.concat([
    part(1, name),
    count(3, number),
    count(4, 1),
    count(5, type),
    ...(typeName === undefined ? [] : [part(6, typeName)]),
  ]);
const set = (...messages: readonly Buffer[]): Buffer => part(1, Buffer.concat(messages.map((one) => part(4, one))));
const message = (name: string, ...fields: readonly Buffer[]): Buffer =>
  Buffer.concat([part(1, name), ...fields.map((one) => part(2, one))]);

describe('is refused', () => {
  test.each<[string, Buffer, string]>([
    ['nothing at all', Buffer.alloc(0), 'is empty'],
    ['what is no protobuf', Buffer.from('hello, world'), 'is no descriptor set'],
    ['a name that would be more than a name in JSON', set(message('A', field('a":1,"b', 1, 9))), 'no identifier'],
    ['a field twice', set(message('A', field('a', 1, 9), field('b', 1, 9))), 'two fields of one name or number'],
    ['a name twice', set(message('A', field('a', 1, 9), field('a', 2, 9))), 'two fields of one name or number'],
    ['a message twice', set(message('A'), message('A')), 'has A twice'],
    ['a type that is not there', set(message('A', field('a', 1, 11, '.B'))), 'lacks B'],
    ['a type by a relative name', set(message('A', field('a', 1, 11, 'B'))), 'not absolute'],
    ['a type that there is not', set(message('A', field('a', 1, 19))), 'is no descriptor set'],
    [
      'a service whose messages are not there',
      part(
        1,
        part(6, Buffer.concat([part(1, 'S'), part(2, Buffer.concat([part(1, 'M'), part(2, '.X'), part(3, '.X')]))])),
      ),
      'lacks X',
    ],
  ])('%s', (_what, bytes, says) => {
    expect(() => readDescriptorSet(bytes)).toThrow(
      expect.objectContaining({ name: 'DescriptorError', message: expect.stringContaining(says) }),
    );
  });

  test('whatever is cut or changed of a set, or another error than that comes of it', () => {
    const whole = talesSet;
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.nat(255), fc.boolean(), (at, byte, cut) => {
        const bytes = cut ? whole.subarray(0, at) : Buffer.from(whole).fill(byte, at, at + 1);
        try {
          for (const fields of readDescriptorSet(bytes).messages.values())
            for (const name of fields.keys()) expect(name).toMatch(/^[A-Za-z_][A-Za-z0-9_]*$/);
        } catch (error) {
          expect(error).toBeInstanceOf(DescriptorError);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

test('a group is no field: it is refused wherever it comes', () => {
  const { messages } = readDescriptorSet(set(message('A', field('g', 1, 10, '.A.G'), field('a', 2, 9))));
  expect([...(messages.get('A')?.keys() ?? [])]).toEqual(['a']);
});

test('one that is made to be dear, and paths through it, cost no more than a policy may', () => {
  // As long as a policy may have it: a message that holds itself, its last field behind thousands of others.
  const digits = (value: number): number[] =>
    value < 128 ? [value] : [(value % 128) + 128, ...digits(Math.floor(value / 128))];
  const long = (number: number, bytes: Buffer): Buffer =>
    Buffer.concat([Buffer.from([number * 8 + 2, ...digits(bytes.length)]), bytes]);
  const some = Array.from({ length: 5_500 }, (_, at) =>
    long(
      2,
      Buffer.concat([
        part(1, `f${at}`),
        Buffer.from([24, ...digits(at + 1)]),
        count(5, at === 5_499 ? 11 : 9),
        part(6, '.A'),
      ]),
    ),
  );
  const method = long(2, Buffer.concat([part(1, 'M'), part(2, '.A'), part(3, '.A')]));
  const file = Buffer.concat([
    long(4, Buffer.concat([part(1, 'A'), ...some])),
    long(6, Buffer.concat([part(1, 'S'), method])),
  ]);
  const descriptorSet = long(1, file).toString('base64');
  expect(descriptorSet.length).toBeLessThan(131_072);
  const path = Array.from({ length: 32 }, () => 'f5499').join('.');
  const paths = { texts: Array.from({ length: 64 }, () => path), values: Array.from({ length: 64 }, () => path) };
  const response = { ...paths, messages: 'Joined' } as const;
  const methods = Array.from({ length: 32 }, () => ({
    name: 'M',
    operation: 'Chat' as const,
    model: path,
    request: paths,
    response,
  }));
  const from = threadCpuMs();
  expect(serviceFaults({ service: 'S', descriptorSet, methods })).toHaveLength(32);
  expect(threadCpuMs() - from).toBeLessThan(1_500);
});

test('more messages than are walked are refused', () => {
  const many = Array.from({ length: 1_001 }, (_, at) => message(`M${at}`));
  const file = Buffer.concat(many.map((one) => part(4, one)));
  const set = Buffer.concat([Buffer.from([10, (file.length % 128) + 128, Math.floor(file.length / 128) % 128]), file]);
  expect(() => readDescriptorSet(set)).toThrow('more than 1000 messages');
});

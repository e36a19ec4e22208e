import { resolve } from 'node:path';
import { ScalarType, create, toBinary } from '@bufbuild/protobuf';
import type { DescField, DescMessage, DescMethod, MessageInitShape } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { expect, test } from '@jest/globals';
import { grpcRegistry } from '../../../cmd/gen/grpc-descriptors.ts';
import { ByteChain, jsonValue } from '../../base/index.ts';
import { RefusedError } from '../../core/index.ts';
import { recogniseRpc } from '../index.ts';
import type { AnswerView, RequestView, Route } from '../index.ts';
import { methodPaths } from './registry.ts';

// Each message type of each method: every string and bytes field, however deep, is seen exactly once, and every field's name is our own.

const registry = grpcRegistry(resolve(import.meta.dirname, '../../..'));

function methodAt(path: string): DescMethod | undefined {
  const [, service = '', name] = path.split('/');
  return registry.getService(service)?.methods.find((one) => one.name === name);
}

/** Every field filled, with texts that are found again; of a oneof the field that is given. */
function filled(type: DescMessage, next: () => string, oneof: (names: readonly string[]) => string): object {
  const value: Record<string, unknown> = {};
  for (const field of type.fields) {
    const one = (): unknown => valueOf(field, next, oneof);
    if (refusedFields.has(`${type.typeName}.${field.name}`)) continue;
    if (field.oneof !== undefined) {
      if (oneof(field.oneof.fields.map(({ name }) => name)) !== field.name) continue;
      value[field.oneof.localName] = { case: field.localName, value: one() };
    } else if (field.fieldKind === 'map') {
      const key = (number: string): string => (field.mapKey === ScalarType.STRING ? next() : number);
      value[field.localName] = { [key('1')]: one(), [key('2')]: one() };
    } else value[field.localName] = field.fieldKind === 'list' ? [one(), one()] : one();
  }
  return value;
}

/** Of requests: what would be refused for them. */
const refusedFields = new Set(['generate.v3.Request.adapter_id']);

function valueOf(field: DescField, next: () => string, oneof: (names: readonly string[]) => string): unknown {
  if (field.message !== undefined) return filled(field.message, next, oneof);
  switch (field.scalar) {
    case ScalarType.STRING:
      // A data type by which contents are read.
      return field.name === 'datatype' ? 'BYTES' : next();
    case ScalarType.BYTES:
      // What is no descriptor does not pass.
      if (field.name === 'file_descriptor_proto')
        return Buffer.from(
          toBinary(
            FileDescriptorProtoSchema,
            create(FileDescriptorProtoSchema, { name: next(), dependency: [next()] }),
          ),
        );
      return Buffer.from(next());
    case ScalarType.BOOL:
      return true;
    case ScalarType.INT64:
    case ScalarType.UINT64:
      return 3n;
    default:
      return 3;
  }
}

function expectSeen(texts: readonly string[], view: RequestView | AnswerView): void {
  const seen = [...view.lanes.map(({ node }) => node.text), ...view.loneValues.map(({ node }) => node.text)];
  for (const text of texts) expect([text, seen.filter((one) => one.includes(text)).length]).toEqual([text, 1]);
}

/** As many as the largest oneof has fields. */
const choices = [0, 1, 2, 3, 4] as const;
const routeOf = (path: string): Route => recogniseRpc('POST', path);

test.each(methodPaths())('%s: every text of its messages is looked at', (path) => {
  const method = methodAt(path);
  const route = routeOf(path);
  if (method === undefined || route.rpc === undefined) throw new Error(path);
  for (const side of ['input', 'output'] as const) {
    for (const choice of choices) {
      // Contents beside tensors and in them exclude each other.
      for (const left of ['contents', 'raw']) {
        const texts: string[] = [];
        const next = (): string => `text-${side}-${texts.push('') - 1}~`;
        const noted = (): string => {
          const text = next();
          texts[texts.length - 1] = text;
          return text;
        };
        const oneof = (names: readonly string[]): string => names[choice % names.length] ?? '';
        const value = without(filled(method[side], noted, oneof), left);
        const bytes = toBinary(method[side], create(method[side], value as MessageInitShape<DescMessage>));
        const kept = texts.filter((text) => Buffer.from(bytes).includes(text));
        const chain = ByteChain.of(bytes);
        const { root } = side === 'input' ? route.rpc.request(chain) : route.rpc.answer(chain);
        const said = JSON.stringify(jsonValue(root));
        for (const text of kept) expect(said).toContain(text);
        try {
          expectSeen(
            kept,
            side === 'input' ? route.dialect.request(route, root) : route.dialect.answer(route, root, 200),
          );
        } catch (error) {
          // Refused as a whole is seen, too.
          if (!(error instanceof RefusedError)) throw error;
          expect(`${path} ${side} ${String(error.detail)}`).toBe('');
        }
      }
    }
  }
});

/** Without one of the two ways in which tensors have contents; raw ones in KServe's form. */
function without(value: object, what: string): object {
  if (Array.isArray(value)) return value.map((one: object) => without(one, what));
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return value;
  const kept: Record<string, unknown> = {};
  for (const [name, one] of Object.entries(value) as [string, object][]) {
    if (name === 'contents' && what === 'contents') continue;
    if (!/^raw\w+Contents$/.test(name)) kept[name] = without(one, what);
    else if (what !== 'raw') kept[name] = (one as Buffer[]).map(element);
  }
  return kept;
}

function element(text: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(text.length);
  return Buffer.concat([length, text]);
}

test('what nobody has described is not read, whatever it is called', () => {
  for (const path of [
    '/inference.GRPCInferenceService/ModelConfigs',
    '/inference.GRPCInferenceService/modelInfer',
    '/x.Y/Z',
    '/',
    '/generate.v2.TextGenerationService/Prefill',
    '/grpc.reflection.v2.ServerReflection/ServerReflectionInfo',
  ])
    expect(routeOf(path)).toMatchObject({ operation: 'Other', body: 'rpc', rpc: undefined });
  expect(recogniseRpc('GET', '/inference.GRPCInferenceService/ModelInfer').rpc).toBeUndefined();
});

test.each([
  [
    'Health',
    'inference.GRPCInferenceService/ServerLive generate.v3.TextGenerationService/Info grpc.health.v1.Health/List',
  ],
  ['ListModels', 'inference.GRPCInferenceService/ModelMetadata'],
  ['Completions', 'inference.GRPCInferenceService/ModelInfer'],
  [
    'Other',
    'inference.GRPCInferenceService/ModelConfig inference.GRPCInferenceService/ModelStatistics grpc.reflection.v1.ServerReflection/ServerReflectionInfo grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo',
  ],
  [
    'Admin',
    'inference.GRPCInferenceService/TraceSetting inference.GRPCInferenceService/LogSettings inference.GRPCInferenceService/CudaSharedMemoryStatus generate.v3.TextGenerationService/Prefill generate.v3.TextGenerationService/Decode generate.v3.TextGenerationService/ServiceDiscovery',
  ],
])('%s: %s', (operation, paths) => {
  for (const path of paths.split(' ')) expect([path, routeOf(`/${path}`).operation]).toEqual([path, operation]);
});

test('every method that is described is read, and has an operation', () => {
  for (const path of methodPaths()) expect([path, routeOf(path).rpc === undefined]).toEqual([path, false]);
});

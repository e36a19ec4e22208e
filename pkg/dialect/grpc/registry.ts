import { createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import type { DescField, DescMessage, DescMethod } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { descriptors } from './descriptors.ts';

/** The services that Sidegate reads, from the descriptor set of `proto/`. Made when the first gRPC request comes: most pods see none. */

let methods: ReadonlyMap<string, DescMethod> | undefined;

/** @param path `/package.Service/Method` */
export function methodOf(path: string): DescMethod | undefined {
  methods ??= readMethods();
  return methods.get(path);
}

/** Paths of all methods. */
export function methodPaths(): readonly string[] {
  methods ??= readMethods();
  return [...methods.keys()];
}

function readMethods(): ReadonlyMap<string, DescMethod> {
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, Buffer.from(descriptors, 'base64')));
  const found = new Map<string, DescMethod>();
  for (const type of registry) {
    if (type.kind !== 'service') continue;
    for (const method of type.methods) found.set(`/${type.typeName}/${method.name}`, method);
  }
  return found;
}

const byNumber = new WeakMap<DescMessage, ReadonlyMap<number, DescField>>();

export function fieldsOf(type: DescMessage): ReadonlyMap<number, DescField> {
  let fields = byNumber.get(type);
  if (fields === undefined) {
    fields = new Map(type.fields.map((field) => [field.number, field]));
    byNumber.set(type, fields);
  }
  return fields;
}

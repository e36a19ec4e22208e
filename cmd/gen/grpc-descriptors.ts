import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { create, createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import type { DescField, DescMessage, FileRegistry } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import type { DescriptorProto, FileDescriptorProto } from '@bufbuild/protobuf/wkt';
import { loadSync } from '@grpc/proto-loader';

/**
 * Messages and methods of pkg/dialect/grpc/proto as a table, so that nothing has to compile anything at run time, and sidecars need not keep
 * descriptors of descriptors.
 */
export function grpcDescriptors(root: string): string {
  const registry = grpcRegistry(root);
  const messages: Record<string, readonly unknown[]> = {};
  const methods: Record<string, readonly [string, string, string]> = {};
  const add = (type: DescMessage): void => {
    if (type.typeName in messages) return;
    messages[type.typeName] = type.fields.map(fieldOf);
    for (const { message } of type.fields) if (message !== undefined) add(message);
  };
  for (const type of registry) {
    if (type.kind !== 'service') continue;
    for (const { name, methodKind, input, output } of type.methods) {
      methods[`/${type.typeName}/${name}`] = [methodKind, input.typeName, output.typeName];
      add(input);
      add(output);
    }
  }
  return `// Written by \`make gen\` from pkg/dialect/grpc/proto; do not edit by hand.
import type { FieldRow, MethodRow } from './rows.ts';

export const messageRows: Readonly<Record<string, readonly FieldRow[]>> = {
${Object.entries(messages)
  .map(([name, rows]) => `  '${name}': [\n${rows.map((row) => `    ${literal(row)},\n`).join('')}  ],\n`)
  .join('')}};

export const methodRows: Readonly<Record<string, MethodRow>> = {
${Object.entries(methods)
  .map(([name, row]) => `  '${name}': ${literal(row)},\n`)
  .join('')}};
`;
}

function literal(value: unknown): string {
  return Array.isArray(value)
    ? `[${value.map(literal).join(', ')}]`
    : typeof value === 'string'
      ? `'${value}'`
      : String(value);
}

/** Number, name, kind, and what it holds: a scalar's number, a message's name; of maps both. */
function fieldOf(field: DescField): readonly unknown[] {
  const { number, name, fieldKind } = field;
  const scalar = fieldKind === 'enum' || field.enum !== undefined ? 5 : field.scalar;
  const holds = field.message?.typeName ?? scalar;
  return fieldKind === 'map' ? [number, name, fieldKind, holds, field.mapKey] : [number, name, fieldKind, holds];
}

/**
 * Read by protobufjs, which writes names of types as short as their place allows: they are made absolute, as the format wants.
 *
 * @throws Error where a name leads nowhere.
 */
export function grpcRegistry(root: string): FileRegistry {
  const folder = join(root, 'pkg/dialect/grpc/proto');
  const names = readdirSync(folder).filter((name) => name.endsWith('.proto'));
  const files = new Map<string, FileDescriptorProto>();
  for (const definition of Object.values(loadSync(names.sort(), { includeDirs: [folder], keepCase: true }))) {
    const protos = 'fileDescriptorProtos' in definition ? definition.fileDescriptorProtos : [];
    if (!Array.isArray(protos)) continue; // of a service, a method of that name
    for (const bytes of protos) {
      const file = fromBinary(FileDescriptorProtoSchema, bytes);
      files.set(file.package, file);
    }
  }
  const file = [...files.keys()].sort().map((name) => absolute(files.get(name) as FileDescriptorProto));
  return createFileRegistry(create(FileDescriptorSetSchema, { file }));
}

function absolute(file: FileDescriptorProto): FileDescriptorProto {
  const known = new Set<string>();
  const learn = (scope: string, { name, nestedType, enumType }: DescriptorProto): void => {
    const own = `${scope}.${name}`;
    known.add(own);
    for (const one of enumType) known.add(`${own}.${one.name}`);
    for (const one of nestedType) learn(own, one);
  };
  const top = file.package === '' ? '' : `.${file.package}`;
  for (const one of file.enumType) known.add(`${top}.${one.name}`);
  for (const one of file.messageType) learn(top, one);
  const find = (scope: string, name: string): string => {
    if (name === '' || name.startsWith('.')) return name;
    for (let at = scope; ; at = at.slice(0, at.lastIndexOf('.'))) {
      if (known.has(`${at}.${name}`)) return `${at}.${name}`;
      if (at === '') throw new Error(`no type ${name} in ${scope}`);
    }
  };
  const fix = (scope: string, message: DescriptorProto): void => {
    const own = `${scope}.${message.name}`;
    for (const field of message.field) field.typeName = find(own, field.typeName);
    for (const one of message.nestedType) fix(own, one);
  };
  for (const one of file.messageType) fix(top, one);
  for (const service of file.service) {
    for (const method of service.method) {
      method.inputType = find(top, method.inputType);
      method.outputType = find(top, method.outputType);
    }
  }
  return file;
}

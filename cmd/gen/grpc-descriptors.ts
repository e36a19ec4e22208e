import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { create, createFileRegistry, fromBinary, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import type { DescriptorProto, FileDescriptorProto } from '@bufbuild/protobuf/wkt';
import { loadSync } from '@grpc/proto-loader';

/**
 * The descriptor set of pkg/dialect/grpc/proto as a module, so that nothing has to compile anything at run time. Read by
 * protobufjs, which writes names of types as short as their place allows: they are made absolute, as the format wants.
 */
export function grpcDescriptors(root: string): string {
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
  const set = create(FileDescriptorSetSchema, { file });
  createFileRegistry(set); // throws where a name leads nowhere
  const base64 = Buffer.from(toBinary(FileDescriptorSetSchema, set)).toString('base64');
  const lines = base64.match(/.{1,110}/g) ?? [];
  return `// Written by \`make gen\` from pkg/dialect/grpc/proto; do not edit by hand.
/** A google.protobuf.FileDescriptorSet, as base64. */
export const descriptors =
${lines.map((line) => `  '${line}'`).join(' +\n')};
`;
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

import { create, createFileRegistry, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { DescMessage, MessageInitShape } from '@bufbuild/protobuf';
import {
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from '@bufbuild/protobuf/wkt';

/** A service of gRPC that Sidegate does not know, with every kind of field: as a descriptor set, and as bytes that the library of protobuf writes. */

const { OPTIONAL, REPEATED } = FieldDescriptorProto_Label;
const types = FieldDescriptorProto_Type;
type Kind = keyof typeof types;

const field = (number: number, name: string, kind: Kind | string, isList = false) => ({
  number,
  name,
  jsonName: name,
  label: isList ? REPEATED : OPTIONAL,
  ...(kind in types ? { type: types[kind as Kind] } : { type: types.MESSAGE, typeName: `.tales.v1.${kind}` }),
});

const file = create(FileDescriptorProtoSchema, {
  name: 'tales.proto',
  package: 'tales.v1',
  syntax: 'proto3',
  enumType: [{ name: 'Mood', value: [{ name: 'CALM', number: 0 }] }],
  messageType: [
    {
      name: 'Ask',
      field: [
        field(1, 'model', 'STRING'),
        field(2, 'prompt', 'STRING'),
        field(3, 'turns', 'Turn', true),
        field(4, 'user', 'STRING'),
        field(5, 'image', 'BYTES'),
        field(6, 'tags', 'STRING', true),
        field(7, 'labels', 'Ask.LabelsEntry', true),
        field(8, 'numbers', 'INT32', true),
        field(9, 'token_ids', 'UINT32', true),
        field(10, 'weights', 'FLOAT', true),
        field(11, 'account', 'INT64'),
        field(12, 'token_id', 'INT32'),
        field(13, 'strict', 'BOOL'),
        field(14, 'inputs', 'INT32', true),
        field(15, 'session_id', 'INT64'),
        field(16, 'adapter_id', 'UINT32'),
        field(17, 'slot_ids', 'INT32', true),
        field(18, 'with_cache', 'BOOL'),
        field(19, 'within', 'Within'),
      ],
      nestedType: [
        {
          name: 'LabelsEntry',
          field: [field(1, 'key', 'STRING'), field(2, 'value', 'STRING')],
          options: { mapEntry: true },
        },
      ],
    },
    { name: 'Within', field: [field(1, 'chat_id', 'INT32'), field(2, 'count', 'INT32')] },
    {
      name: 'Turn',
      field: [field(1, 'role', 'STRING'), field(2, 'content', 'STRING'), field(3, 'replies', 'Turn', true)],
    },
    {
      name: 'Piece',
      field: [
        field(1, 'id', 'STRING'),
        field(2, 'piece', 'STRING'),
        field(3, 'thought', 'STRING'),
        field(4, 'numbers', 'INT32', true),
        field(5, 'token_id', 'INT32'),
        field(6, 'turn', 'Turn'),
      ],
    },
  ],
  service: [
    {
      name: 'Tales',
      method: [
        { name: 'One', inputType: '.tales.v1.Ask', outputType: '.tales.v1.Piece' },
        { name: 'Tell', inputType: '.tales.v1.Ask', outputType: '.tales.v1.Piece', serverStreaming: true },
        {
          name: 'Talk',
          inputType: '.tales.v1.Ask',
          outputType: '.tales.v1.Piece',
          clientStreaming: true,
          serverStreaming: true,
        },
        { name: 'Hidden', inputType: '.tales.v1.Ask', outputType: '.tales.v1.Piece' },
      ],
    },
  ],
});

const set = toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file: [file] }));
const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, set));

/** Of the service `tales.v1.Tales`. */
export const talesSet = Buffer.from(set);
export const tales = talesSet.toString('base64');

/** As the library of protobuf itself writes it. */
export function taleBytes(typeName: 'Ask' | 'Piece' | 'Turn', value: object): Uint8Array {
  const type = registry.getMessage(`tales.v1.${typeName}`);
  if (type === undefined) throw new Error(typeName);
  return toBinary(type, create(type, value as MessageInitShape<DescMessage>));
}

import { messageRows, methodRows } from './descriptors.ts';
import type { MethodKind } from './rows.ts';

/** The services that Sidegate reads: messages and methods of `proto/`, put together when the first call of gRPC comes, as most pods see none. */

/** Types of single values, by their number in google.protobuf.FieldDescriptorProto.Type. */
export const scalar = {
  double: 1,
  float: 2,
  int64: 3,
  uint64: 4,
  int32: 5,
  fixed64: 6,
  fixed32: 7,
  bool: 8,
  string: 9,
  bytes: 12,
  uint32: 13,
  sfixed32: 15,
  sfixed64: 16,
  sint32: 17,
  sint64: 18,
} as const;

export interface FieldType {
  readonly name: string;
  /** `one`: at most once. */
  readonly kind: 'one' | 'list' | 'map';
  /** A scalar, or a message. */
  readonly holds: number | MessageType;
  /** Of a map. */
  readonly keys: number;
}

export interface MessageType {
  readonly typeName: string;
  readonly fields: ReadonlyMap<number, FieldType>;
  /** Whole numbers of its lists are counted with those of all other such messages of a body, since they may be one text; otherwise list by list. */
  readonly gathers: boolean;
  /**
   * What its numbers and bytes are to KServe, TGI or server reflection. A message that a policy describes has none of these, whatever it is
   * called: else its bytes would be read as another's.
   */
  readonly special?: Special;
}

/** What a message of these services is beyond its fields. */
export type Special =
  /** The contents of its tensors stand in a list of their own: numbers of the two fields. */
  | { readonly is: 'tensors'; readonly tensors: number; readonly raw: number }
  | { readonly is: 'tensor' }
  /** Its lists of bytes are files of descriptors. */
  | { readonly is: 'files' }
  /** Its lists of numbers are tokens' ids, though no name says so. */
  | { readonly is: 'ids' };

export interface MethodType {
  readonly methodKind: MethodKind;
  readonly input: MessageType;
  readonly output: MessageType;
}

/** @param path `/package.Service/Method` */
export function methodOf(path: string): MethodType | undefined {
  const row = Object.hasOwn(methodRows, path) ? methodRows[path] : undefined;
  if (row === undefined) return undefined;
  const [methodKind, input, output] = row;
  return { methodKind, input: messageOf(input), output: messageOf(output) };
}

/** Paths of all methods. */
export const methodPaths = (): readonly string[] => Object.keys(methodRows);

/** What holds numbers of the caller's or of the model's; elsewhere numbers are sizes, counts and places of memory. */
const gathering: ReadonlySet<string> = new Set(['inference.InferTensorContents', 'generate.v3.Tokens']);

const specials: ReadonlyMap<string, Special> = new Map<string, Special>([
  ['inference.ModelInferRequest', { is: 'tensors', tensors: 5, raw: 7 }],
  ['inference.ModelInferResponse', { is: 'tensors', tensors: 5, raw: 6 }],
  ['inference.ModelInferRequest.InferInputTensor', { is: 'tensor' }],
  ['inference.ModelInferResponse.InferOutputTensor', { is: 'tensor' }],
  ['grpc.reflection.v1.FileDescriptorResponse', { is: 'files' }],
  ['grpc.reflection.v1alpha.FileDescriptorResponse', { is: 'files' }],
  ['generate.v3.Tokens', { is: 'ids' }],
]);

const messages = new Map<string, MessageType>();

function messageOf(typeName: string): MessageType {
  const known = messages.get(typeName);
  if (known !== undefined) return known;
  const fields = new Map<number, FieldType>();
  const special = specials.get(typeName);
  const made: MessageType = { typeName, fields, gathers: gathering.has(typeName), ...(special && { special }) };
  messages.set(typeName, made);
  for (const [number, name, kind, holds, keys = 0] of messageRows[typeName] ?? []) {
    fields.set(number, {
      name,
      kind: kind === 'list' || kind === 'map' ? kind : 'one',
      holds: typeof holds === 'string' ? messageOf(holds) : holds,
      keys,
    });
  }
  return made;
}

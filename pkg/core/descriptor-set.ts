/**
 * Reads a google.protobuf.FileDescriptorSet (protobuf's descriptor.proto), as `protoc --include_imports --descriptor_set_out` and `buf build`
 * write it: of messages their fields, of services their methods. Options, comments and extensions are passed over.
 *
 * Promise: what comes of it is whole. Each type that a message names is there, names are identifiers, and no two fields of a message have one
 * number or one name.
 */

/** Number of google.protobuf.FieldDescriptorProto.Type; enums are int32. */
export interface DescribedField {
  readonly number: number;
  readonly name: string;
  readonly kind: 'one' | 'list' | 'map';
  /** A scalar's number, or a message's name. */
  readonly holds: number | string;
  /** Of a map, the scalar of its keys; else 0. */
  readonly keys: number;
}

export interface DescribedMethod {
  readonly clientStreams: boolean;
  readonly serverStreams: boolean;
  readonly input: string;
  readonly output: string;
}

export interface DescriptorSet {
  /** Fields by the message's full name, and by their own. */
  readonly messages: ReadonlyMap<string, ReadonlyMap<string, DescribedField>>;
  /** Methods by the service's full name, and by their own. */
  readonly services: ReadonlyMap<string, ReadonlyMap<string, DescribedMethod>>;
}

/** It is no descriptor set, or not a whole one: what is wrong, for whoever wrote it. */
export class DescriptorError extends Error {
  override readonly name = 'DescriptorError';
}

const stringType = 9;
const groupType = 10;
const messageType = 11;
const bytesType = 12;
const enumType = 14;
const lastType = 18;
const repeated = 3;
/** Fields of all messages together. */
const mostFields = 20_000;
/** They are walked one within the other. */
const mostMessages = 1_000;
/** Messages within messages. */
const deepest = 32;

export const isTextType = (holds: number | string): boolean => holds === stringType || holds === bytesType;
/** The scalar of a `string`. */
export const stringScalar = stringType;

type Value = number | Uint8Array;

/** A message's fields as they come, nothing decoded. @throws DescriptorError */
function* fieldsOf(bytes: Uint8Array): Generator<readonly [number, Value], void, void> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = bytes[at++];
      if (byte === undefined || shift > 2 ** 63) throw new DescriptorError('is no descriptor set');
      value += (byte & 0x7f) * shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const wire = tag % 8;
    const number = Math.floor(tag / 8);
    if (wire === 0) yield [number, varint()];
    else if (wire === 2) {
      const length = varint();
      if (at + length > bytes.length) throw new DescriptorError('is no descriptor set');
      yield [number, bytes.subarray(at, at + length)];
      at += length;
    } else if (wire === 1 || wire === 5) at += wire === 1 ? 8 : 4;
    else throw new DescriptorError('is no descriptor set');
  }
  if (at > bytes.length) throw new DescriptorError('is no descriptor set');
}

const identifier = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;

function nameOf(value: Value | undefined): string {
  const text = typeof value === 'object' ? new TextDecoder().decode(value) : '';
  if (!identifier.test(text)) throw new DescriptorError('has a name that is no identifier');
  return text;
}

/** `.package.Type` as types are named here. */
function typeNameOf(value: Value | undefined): string {
  const text = typeof value === 'object' ? new TextDecoder().decode(value) : '';
  if (!text.startsWith('.')) throw new DescriptorError('has a type whose name is not absolute');
  return text.slice(1);
}

/** Of repeated fields the last. */
function partsOf(value: Value): ReadonlyMap<number, Value> {
  return new Map(typeof value === 'object' ? fieldsOf(value) : []);
}

interface RawField {
  readonly number: number;
  readonly name: string;
  readonly repeated: boolean;
  readonly holds: number | string;
}

class SetReader {
  readonly #raw = new Map<string, readonly RawField[]>();
  /** Messages that are entries of maps. */
  readonly #entries = new Set<string>();
  readonly services = new Map<string, Map<string, DescribedMethod>>();
  #fields = 0;

  file(bytes: Uint8Array): void {
    const parts = [...fieldsOf(bytes)];
    const named = parts.findLast(([number]) => number === 2)?.[1];
    const scope = typeof named === 'object' ? new TextDecoder().decode(named) : '';
    if (scope !== '' && !scope.split('.').every((one) => identifier.test(one)))
      throw new DescriptorError('has a package whose name is none');
    for (const [number, value] of parts) {
      if (number === 4) this.#message(value, scope, 0);
      if (number === 6) this.#service(value, scope);
    }
  }

  #message(value: Value, scope: string, depth: number): void {
    if (typeof value !== 'object' || depth > deepest) throw new DescriptorError('is no descriptor set');
    const parts = [...fieldsOf(value)];
    const name = nameOf(parts.findLast(([number]) => number === 1)?.[1]);
    const full = scope === '' ? name : `${scope}.${name}`;
    if (this.#raw.has(full)) throw new DescriptorError(`has ${full} twice`);
    if (this.#raw.size >= mostMessages) throw new DescriptorError(`has more than ${mostMessages} messages`);
    const fields: RawField[] = [];
    this.#raw.set(full, fields);
    const seen = new Set<string | number>();
    for (const [number, part] of parts) {
      if (number === 2) {
        const field = this.#field(part);
        if (field === undefined) continue;
        if (seen.has(field.number) || seen.has(field.name))
          throw new DescriptorError(`has two fields of one name or number in ${full}`);
        seen.add(field.number).add(field.name);
        fields.push(field);
      }
      if (number === 3) this.#message(part, full, depth + 1);
      if (number === 7 && partsOf(part).get(7) === 1) this.#entries.add(full);
    }
  }

  /** Undefined: a group, which is refused wherever it comes. */
  #field(value: Value): RawField | undefined {
    if (++this.#fields > mostFields) throw new DescriptorError(`has more than ${mostFields} fields`);
    const parts = partsOf(value);
    const type = parts.get(5);
    const number = parts.get(3);
    if (typeof type !== 'number' || type < 1 || type > lastType || typeof number !== 'number' || number < 1)
      throw new DescriptorError('is no descriptor set');
    if (type === groupType) return undefined;
    const holds = type === messageType ? typeNameOf(parts.get(6)) : type === enumType ? 5 : type;
    return { number, name: nameOf(parts.get(1)), repeated: parts.get(4) === repeated, holds };
  }

  #service(value: Value, scope: string): void {
    if (typeof value !== 'object') throw new DescriptorError('is no descriptor set');
    const parts = [...fieldsOf(value)];
    const name = nameOf(parts.findLast(([number]) => number === 1)?.[1]);
    const methods = new Map<string, DescribedMethod>();
    for (const [number, part] of parts) {
      if (number !== 2) continue;
      const method = partsOf(part);
      methods.set(nameOf(method.get(1)), {
        input: typeNameOf(method.get(2)),
        output: typeNameOf(method.get(3)),
        clientStreams: method.get(5) === 1,
        serverStreams: method.get(6) === 1,
      });
    }
    this.services.set(scope === '' ? name : `${scope}.${name}`, methods);
  }

  messages(): DescriptorSet['messages'] {
    const known = (type: string): readonly RawField[] => {
      const fields = this.#raw.get(type);
      if (fields === undefined)
        throw new DescriptorError(`lacks ${type}: it must have what it imports (protoc --include_imports)`);
      return fields;
    };
    for (const methods of this.services.values())
      for (const { input, output } of methods.values()) [input, output].forEach(known);
    const described = ({ repeated: isList, ...field }: RawField): DescribedField => {
      const { holds } = field;
      if (typeof holds === 'number') return { ...field, kind: isList ? 'list' : 'one', keys: 0 };
      const inner = known(holds);
      if (!isList || !this.#entries.has(holds)) return { ...field, kind: isList ? 'list' : 'one', keys: 0 };
      const key = inner.find(({ number }) => number === 1)?.holds;
      const value = inner.find(({ number }) => number === 2)?.holds;
      if (typeof key !== 'number' || value === undefined || inner.length !== 2)
        throw new DescriptorError('has a map that is none');
      return { ...field, kind: 'map', holds: value, keys: key };
    };
    return new Map(
      [...this.#raw].map(([name, fields]) => [name, new Map(fields.map((one) => [one.name, described(one)]))]),
    );
  }
}

/** @throws DescriptorError whose message completes "the descriptor set …" */
export function readDescriptorSet(bytes: Uint8Array): DescriptorSet {
  const reader = new SetReader();
  let files = 0;
  for (const [number, value] of fieldsOf(bytes)) {
    if (number !== 1 || typeof value !== 'object') throw new DescriptorError('is no descriptor set');
    reader.file(value);
    files++;
  }
  if (files === 0) throw new DescriptorError('is empty');
  return { messages: reader.messages(), services: reader.services };
}

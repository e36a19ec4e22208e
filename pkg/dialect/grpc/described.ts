import { DescriptorError, areRead, descriptorsOf } from '../../core/index.ts';
import type { DescribedField, DescriptorSet, Joining, MethodSpec, ServiceSpec } from '../../core/index.ts';
import type { JsonNode } from '../../base/index.ts';
import { elementNames, piecesOf } from '../elements.ts';
import { referringWord, refusedFields } from '../refused-fields.ts';
import { either, list, lone, number, object, text } from '../shape.ts';
import type { Shape, ShapePlace, ShapeReader } from '../shape.ts';
import { namesId } from '../token-ids.ts';
import { scalar } from './registry.ts';
import type { FieldType, MessageType, MethodType } from './registry.ts';

/**
 * Messages of a service that a policy describes: their types by its descriptor set, their texts by its paths.
 *
 * Promise: each string, all bytes and each key of a map is a text or a value that the policy lists, or looked at by itself (keys), or the
 * message is refused.
 */

export interface DescribedMessages {
  readonly type: MethodType;
  readonly request: Shape;
  readonly answer: Shape;
}

/** Undefined: the descriptor set has no such method, or is none; or its callers' messages are not read as its server takes them. */
export function describedMethod(
  spec: ServiceSpec,
  { name, model, request, response }: MethodSpec,
): DescribedMessages | undefined {
  let set: DescriptorSet;
  try {
    set = descriptorsOf(spec);
  } catch (error) {
    if (error instanceof DescriptorError) return undefined;
    throw error;
  }
  const method = set.services.get(spec.service)?.get(name);
  if (method === undefined || !areRead(method, { response })) return undefined;
  const { clientStreams, serverStreams } = method;
  const types = new Map<string, MessageType>();
  const typeOf = (typeName: string): MessageType => {
    const known = types.get(typeName);
    if (known !== undefined) return known;
    const fields = new Map<number, FieldType>();
    const made: MessageType = { typeName, fields, gathers: true };
    types.set(typeName, made);
    for (const field of set.messages.get(typeName)?.values() ?? [])
      fields.set(field.number, {
        name: field.name,
        kind: field.kind,
        holds: typeof field.holds === 'string' ? typeOf(field.holds) : field.holds,
        keys: field.keys,
      });
    return made;
  };
  const { elements, messages } = response;
  const joins = { elements, streamed: serverStreams && messages !== 'Separate', grows: messages === 'Growing' };
  return {
    type: {
      methodKind: clientStreams
        ? serverStreams
          ? 'bidi_streaming'
          : 'client_streaming'
        : serverStreams
          ? 'server_streaming'
          : 'unary',
      input: typeOf(method.input),
      output: typeOf(method.output),
    },
    // The name of a model is a value, said so or not.
    request: new Shapes(set, undefined).of(
      method.input,
      treeOf(request.texts, model === undefined ? request.values : [model, ...request.values]),
    ),
    answer: new Shapes(set, joins).of(method.output, treeOf(response.texts, response.values)),
  };
}

/** What the policy says of a field, and of those below it. */
interface Tree {
  role?: 'text' | 'value';
  readonly below: Map<string, Tree>;
}

/** How elements on the way to a text of an answer are read. */
interface ElementsSpec extends Pick<Joining, 'elements'> {
  /** Texts go on in the next message. */
  readonly streamed: boolean;
  /** Each message says all of them so far. */
  readonly grows: boolean;
}

/** Whether something below it is a text. */
const holdsText = ({ role, below }: Tree): boolean => role === 'text' || [...below.values()].some(holdsText);

function treeOf(texts: readonly string[], values: readonly string[]): Tree {
  const root: Tree = { below: new Map() };
  const add = (path: string, role: NonNullable<Tree['role']>): void => {
    let tree = root;
    for (const name of path.split('.')) {
      const next: Tree = tree.below.get(name) ?? { below: new Map() };
      tree.below.set(name, next);
      tree = next;
    }
    tree.role = role;
  };
  for (const path of values) add(path, 'value');
  for (const path of texts) add(path, 'text');
  return root;
}

/** What nobody can read shows as numbers. */
const unread: Shape = list(number);
const flag: Shape = { boolean: true };

/** A text that the policy does not list: nothing of it passes. */
const closed: Shape = {
  read(reader, node, place) {
    if (node.kind !== 'null' && node.string !== '') reader.refuse(place);
    return true;
  },
};

/** Whether a field is as if it were not there. A list of a few whole numbers shows as `null`. */
function saysNothing(node: JsonNode): boolean {
  switch (node.kind) {
    case 'number':
      return node.number === 0;
    case 'string':
      return node.string === '';
    case 'false':
      return true;
    case 'array':
      return node.numberCount === 0 && node.items.every(saysNothing);
    case 'object':
      return node.items.every(saysNothing);
    default:
      return false;
  }
}

/** What refers to something that is not in the request, and is not listed: a number, as a name does. */
const referring: Shape = {
  read(reader, node, place) {
    if (!saysNothing(node)) reader.refuse(place);
    return true;
  },
};

/** Whether servers take it, in whatever type, for something that is not in the request. @param atRoot a field of the request itself */
const refers = (name: string, atRoot: boolean): boolean =>
  referringWord(name) !== undefined || (atRoot && Object.hasOwn(refusedFields, name.toLowerCase()));

/** Long ones say who somebody is: they are looked at as texts are. Those that tell a token are a text that nobody reads. */
const plainNumber: Shape = { number: true, noTokens: true };
const tokenNumber: Shape = {
  number: true,
  read(reader: ShapeReader, node: JsonNode, _place: ShapePlace) {
    if (node.kind === 'number') reader.tokens(node);
    return node.kind === 'number';
  },
};

class Shapes {
  readonly #set: DescriptorSet;
  readonly #joins: ElementsSpec | undefined;
  /** Of messages in which the policy lists nothing. */
  readonly #closed = new Map<string, Shape>();

  /** @param joins undefined: elements go by their position. */
  constructor(set: DescriptorSet, joins: ElementsSpec | undefined) {
    this.#set = set;
    this.#joins = joins;
  }

  /** @param way to it. */
  of(type: string, tree: Tree | undefined, way: Way = { names: [], list: false }): Shape {
    const known = tree === undefined ? this.#closed.get(type) : undefined;
    if (known !== undefined) return known;
    const fields = new Map<string, Shape>();
    const shape: Shape = { fields, ...(tree === undefined && { nests: true }) };
    if (tree === undefined) this.#closed.set(type, shape);
    for (const field of this.#set.messages.get(type)?.values() ?? [])
      fields.set(field.name, this.#field(field, tree?.below.get(field.name), way));
    return shape;
  }

  #field({ name, kind, holds }: DescribedField, tree: Tree | undefined, before: Way): Shape {
    // Of requests: in an answer it is the model's.
    if (this.#joins === undefined && tree === undefined && refers(name, before.names.length === 0)) return referring;
    const way = { names: [...before.names, name], list: before.list || kind === 'list' };
    const one = typeof holds === 'string' ? this.of(holds, tree, way) : this.#scalar(name, holds, tree, way);
    if (kind === 'map') return object({}, { rest: one, nests: true });
    if (kind === 'one') return one;
    if (typeof holds !== 'string' && holds !== scalar.string && holds !== scalar.bytes) return unread;
    const joins = tree !== undefined && holdsText(tree) ? this.#joins : undefined;
    const names = joins === undefined ? undefined : elementNames(joins, joins.streamed);
    return list(one, names === undefined ? {} : { names });
  }

  #scalar(name: string, holds: number, tree: Tree | undefined, { names, list: isListed }: Way): Shape {
    const joins = this.#joins;
    const plain = scalarShape(name, holds, tree?.role);
    const shape = tree?.role === 'text' && joins?.grows === true && joins.streamed ? { ...plain, grows: true } : plain;
    const pieces = joins === undefined || joins.streamed || !isListed ? undefined : piecesOf(joins);
    if (tree?.role !== 'text' || joins === undefined || pieces === undefined) return shape;
    return {
      ...shape,
      read(reader, node, place) {
        if (node.kind !== 'string') return false;
        // Told by a field of theirs, those of one name are pieces of one.
        reader.join(joins.elements?.startsWith('.') === true ? place.id : names.join('.'), node, pieces.each);
        return true;
      },
    };
  }
}

/** Names of fields, as the policy spells them. */
interface Way {
  readonly names: readonly string[];
  /** A list is on it. */
  readonly list: boolean;
}

function scalarShape(name: string, holds: number, role: Tree['role']): Shape {
  if (holds === scalar.string || holds === scalar.bytes) {
    if (role === undefined) return closed;
    const read = role === 'text' ? text : lone;
    return holds === scalar.bytes ? either(read, unread) : read;
  }
  if (holds === scalar.bool) return flag;
  return namesId(name) ? tokenNumber : plainNumber;
}

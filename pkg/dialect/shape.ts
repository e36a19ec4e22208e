import type { JsonNode } from '../base/index.ts';
import type { FilePart, MediaPart, TokenLane } from './dialect.ts';

/** What a shape that reads a value itself sees of its place: {@link Place} is one. */
export interface ShapePlace {
  readonly id: string;
  /** The id of the nearest place whose name is all the dialect's own words and numbers: safe in an error. */
  readonly publicId: string;
  /** From `$`, as the body spells it; elements by the number that names them. */
  readonly path: readonly (string | number)[];
  readonly shape: Shape;
  /** Undefined: the dialect has no such field here. */
  known(name: string): ShapePlace | undefined;
  /** A field that the dialect does not have. */
  stranger(name: string): ShapePlace;
  element(index: number): ShapePlace;
  /** This place, read as something else. */
  as(shape: Shape): ShapePlace;
}

/** Where such a shape puts what it found: {@link Reader} is one. */
export interface ShapeReader {
  read(node: JsonNode, place: ShapePlace): void;
  /** @throws RefusedError naming the place (dialect's own words and numbers only) and a field of it. */
  refuse(place: ShapePlace, field?: string): never;
  lane(node: JsonNode, place: ShapePlace, kind: 'text' | 'json'): void;
  lone(node: JsonNode, place: ShapePlace, key?: boolean): void;
  /** A piece of a text that is read with the other pieces of this name. @param each every piece is a text by itself as well; the first says it for all */
  join(id: string, node: JsonNode, each?: boolean): void;
  /** A string proven to be no text. */
  hide(node: JsonNode): void;
  /** Something that passes only where policy lets such files pass. */
  file(part: FilePart): void;
  /** A file of which a model reads the text: where a guard reads the request, it passes only where policy lets such files pass. Its node is in a list beside. */
  document(part: FilePart): void;
  /** A picture, a sound or a file: in a request policy may not let it pass. */
  medium(part: MediaPart): void;
  /** The same, which the server is to fetch. Its node is in a list beside. */
  link(url: string): void;
  /** A prompt that cannot be read; the node, if given, tells text by token ids. */
  tokens(node?: JsonNode): void;
  tokenLane(lane: TokenLane): void;
  /** An entry of a model list. */
  model(id: string, node: JsonNode): void;
}

/** What each element of an array is called: elements of one name are one. A word is never part of an id as it stands. */
export type ElementNames = (reader: ShapeReader, node: JsonNode, place: ShapePlace) => readonly (number | string)[];

/**
 * What a dialect knows of one place in a body, as data: which kinds of value may stand there, and what a string there is.
 * A kind that is not listed refuses a request; in an answer the value is read as {@link free}. `null` may stand anywhere.
 */
export interface Shape {
  /** `text`, `json`: a lane. `lone`: a value of its own. */
  readonly string?: 'text' | 'json' | 'lone';
  readonly number?: boolean;
  readonly boolean?: boolean;
  readonly fields?: ReadonlyMap<string, Shape>;
  /** Fields of a request whose texts the model reads one behind the other, in this order, wherever the body has them. */
  readonly order?: readonly string[];
  /** What stands under names that `fields` does not have; default {@link unlisted}. */
  readonly rest?: Shape;
  readonly items?: Shape;
  /** Elements are named by their own `index` instead of their position: streams send an array in pieces. */
  readonly byIndex?: boolean;
  /** The same, by something else. */
  readonly names?: ElementNames;
  /** A string here is all of a text so far, in each message of a stream. */
  readonly grows?: boolean;
  /** In answers too, any other kind is refused. */
  readonly strict?: boolean;
  /** Strings and integer arrays here never reach the model as tokens: schemas. */
  readonly noTokens?: boolean;
  /** It may stand within itself: places below are not kept. */
  readonly nests?: boolean;
  /** Not part of the dialect: lanes tell their path. */
  readonly unknown?: boolean;
  /** Nobody said that it is the caller's own words: a server may obey it. */
  readonly unlisted?: boolean;
  /** An object or a list here is all that a tool is called with: paths of field rules begin there. */
  readonly isToolInput?: boolean;
  /** In answers too, long numbers are values that are looked at, and none is the id of a token. */
  readonly digits?: boolean;
  /** Reads the value itself; false: it has not, go on by the rest of the shape. */
  readonly read?: (reader: ShapeReader, node: JsonNode, place: ShapePlace) => boolean;
}

/** Anything at all, in the caller's own words or the model's (metadata, arguments, documents): every string a text lane by its path, every key a lone key. */
export const free: Shape = {
  string: 'text',
  number: true,
  boolean: true,
  unknown: true,
  fields: new Map(),
  get rest() {
    return free;
  },
  get items() {
    return free;
  },
};

/**
 * As {@link free}, of what no dialect knows, or of settings that a server obeys: what stands there is read, and may be an instruction as well. In a request
 * a field whose name refers to something that the server would take or ask (`referringWord`) is refused. A schema in it is the caller's own words.
 */
export const unlisted: Shape = {
  string: 'text',
  number: true,
  boolean: true,
  unknown: true,
  unlisted: true,
  fields: new Map(),
  get rest() {
    return unlisted;
  },
  get items() {
    return unlisted;
  },
};

/**
 * As {@link free}, for what a tool is called with, or gave, where that is JSON and no text of JSON: a number there is what the model says, as the digits of a
 * text of JSON are.
 */
export const toolInput: Shape = {
  ...{ string: 'text', number: true, boolean: true, unknown: true, digits: true, fields: new Map(), isToolInput: true },
  get rest() {
    return inToolInput;
  },
  get items() {
    return inToolInput;
  },
};

const inToolInput: Shape = {
  ...{ string: 'text', number: true, boolean: true, unknown: true, digits: true, fields: new Map() },
  get rest() {
    return inToolInput;
  },
  get items() {
    return inToolInput;
  },
};

/** As {@link free}, for schemas: what stands there is text to the model, never token ids. */
export const schema: Shape = {
  string: 'text',
  number: true,
  boolean: true,
  noTokens: true,
  get fields() {
    return schemaFields;
  },
  get rest() {
    return schema;
  },
  get items() {
    return schema;
  },
};

export const text: Shape = { string: 'text' };
export const json: Shape = { string: 'json' };
export const lone: Shape = { string: 'lone' };
export const number: Shape = { number: true };
export const boolean: Shape = { boolean: true };
/** Lists of numbers that say nothing: probabilities, token ids that only steer sampling. */
export const numbers: Shape = { items: number, noTokens: true };

export const object = (fields: Readonly<Record<string, Shape>>, more: Partial<Shape> = {}): Shape => ({
  fields: new Map(Object.entries(fields)),
  ...more,
});
export const list = (items: Shape, more: Partial<Shape> = {}): Shape => ({ items, ...more });
/** What each shape says of the kinds that the ones before it leave open. */
export function either(first: Shape, ...others: readonly Shape[]): Shape {
  const merged: Shape = Object.assign({}, ...[first, ...others].reverse());
  return { ...merged, unknown: first.unknown === true, unlisted: first.unlisted === true };
}
export const named = (names: readonly string[], shape: Shape): Record<string, Shape> =>
  Object.fromEntries(names.map((name) => [name, shape]));

/**
 * An object whose `type` is one of these, or has none: what a server would do with another nobody here knows.
 *
 * @param types names; an expression has to match the whole of one
 */
export const typed = (types: readonly (string | RegExp)[], shape: Shape): Shape => {
  const names = new Set(types.filter((type) => typeof type === 'string'));
  const forms = types.filter((type) => typeof type !== 'string');
  return {
    ...shape,
    read(reader, node, place) {
      const type = node.kind === 'object' ? node.get('type') : undefined;
      const name = type?.string ?? '';
      if (type !== undefined && type.kind !== 'null' && !names.has(name) && !forms.some((form) => form.test(name)))
        reader.refuse(place, 'type');
      return shape.read?.(reader, node, place) === true;
    },
  };
};

/** Words of JSON Schema 2020-12 (and draft 7) as keys: nobody's content. `properties` and its like hold names of the caller. */
const keywords = [
  '$schema $id $ref $defs $comment $anchor type title description default examples enum const format pattern properties',
  'required additionalProperties patternProperties propertyNames minProperties maxProperties items prefixItems contains',
  'minItems maxItems uniqueItems minLength maxLength minimum maximum exclusiveMinimum exclusiveMaximum multipleOf',
  'allOf anyOf oneOf not if then else definitions nullable deprecated readOnly writeOnly strict',
]
  .join(' ')
  .split(' ');
const schemaFields: ReadonlyMap<string, Shape> = new Map(keywords.map((word): [string, Shape] => [word, schema]));

/** What schemas are called, wherever they stand: NIM's `nvext.guided_json` and its like. */
const schemaNames: ReadonlySet<string> = new Set(['guided_json', 'json_schema', 'schema', 'properties']);

/** Whether what stands under this name in a request is a schema, whoever knows the field: its keys are names of the caller's own. */
export const namesSchema = (name: string): boolean => schemaNames.has(name);

import type { JsonEdit, JsonNode } from '../base/index.ts';
import { given, insert, refuse, replace } from './request-fields.ts';
import type { Fields } from './request-fields.ts';

/** Where the limit of the output stands, when it stands in an object of the body: Ollama's `options.num_predict`. */
export interface NestedLimit {
  readonly object: string;
  readonly name: string;
}

/**
 * The node that says the limit, and the limit; undefined: none, since nothing is said, or 0 and less, by which servers mean no end.
 *
 * @throws RefusedError `invalid_request` for what servers could take in two ways
 */
export function nestedLimit(
  fields: Fields,
  { object, name }: NestedLimit,
): { readonly node: JsonNode | undefined; readonly limit: number | undefined } {
  const node = given(fields, object)?.get(name);
  if (node === undefined || node.kind === 'null') return { node, limit: undefined };
  // Go takes 1.5 for 1 and 1e3 for 1000; other servers do not: refused, so that all agree.
  if (node.number === undefined || !/^-?[0-9]{1,15}$/.test(node.text)) refuse(`${object}.${name}`);
  return { node, limit: node.number > 0 ? node.number : undefined };
}

export function nestedLimitEdits(
  root: JsonNode,
  fields: Fields,
  place: NestedLimit,
  most: number,
): readonly JsonEdit[] {
  const { node, limit } = nestedLimit(fields, place);
  if (node !== undefined) return limit !== undefined && limit <= most ? [] : [replace(node, String(most))];
  const object = fields.get(place.object);
  const member = `"${place.name}":${most}`;
  if (object === undefined) return [insert(root, `"${place.object}":{${member}}`)];
  return [object.kind === 'null' ? replace(object, `{${member}}`) : insert(object, member)];
}

import type { JsonEdit, JsonNode } from '../base/index.ts';
import { RefusedError } from '../core/index.ts';
import { limitingWord, tellingWord } from './refused-fields.ts';
import type { Shape } from './shape.ts';

/** The decisive fields of a request, read so that no server can take them for something else. What each throws is `invalid_request` with the field's name. */

export type Fields = ReadonlyMap<string, JsonNode>;

export function fieldsOf(root: JsonNode): Fields {
  const fields = new Map<string, JsonNode>();
  root.keys.forEach((key, at) => {
    const item = root.items[at];
    if (item !== undefined) fields.set(key.text, item);
  });
  return fields;
}

/** @throws RefusedError `invalid_request` */
export function refuse(detail: string): never {
  throw new RefusedError('invalid_request', { detail });
}

/** Absent and null are the same to every server. */
export function given(fields: Fields, name: string): JsonNode | undefined {
  const node = fields.get(name);
  return node?.kind === 'null' ? undefined : node;
}

/** @throws RefusedError `invalid_request` */
export function required(fields: Fields, name: string): JsonNode {
  return given(fields, name) ?? refuse(name);
}

/** @throws RefusedError `invalid_request` */
export function wholeNumber(fields: Fields, name: string, least: number, most: number): number | undefined {
  const node = given(fields, name);
  if (node === undefined) return undefined;
  const value = node.number;
  // Go and Rust servers refuse `1.0` and `1e3` for an integer, Python takes them: refused, so that all agree.
  if (value === undefined || !/^[0-9]{1,15}$/.test(node.text) || value < least || value > most) refuse(name);
  return value;
}

/** Names are matched, recorded and measured: no server's is longer. */
const longestModel = 512;

/** The model that the body names. @throws RefusedError `invalid_request` */
export function modelNamed(fields: Fields): string {
  const model = required(fields, 'model').text;
  // LiteLLM takes a list of names, and asks each of them.
  if (model === '' || model.length > longestModel || model.includes(',')) refuse('model');
  return model;
}

/**
 * Whether an object of the body, which says what its own fields do elsewhere, has fields that its shape does not.
 *
 * @throws RefusedError `invalid_request` for one of them whose name tells that it would make a decision untrue, or limit the output
 */
export function hasStrangers(fields: Fields, name: string, shape: Shape): boolean {
  const object = given(fields, name);
  let any = false;
  object?.keys.forEach(({ text }, at) => {
    const value = object.items[at];
    if (value === undefined || shape.fields?.has(text) === true) return;
    any = true;
    const word = tellingWord(text) ?? limitingWord(text, value);
    if (word !== undefined) refuse(`${name}.${word}`);
  });
  return any;
}

/** Whether an end of the caller's own choice is given: texts, tokens, or what makes some tokens likely. */
export function stopsEarly(node: JsonNode | undefined): boolean {
  if (node === undefined || node.kind === 'null') return false;
  if (node.kind === 'object') return node.keys.length > 0;
  return node.kind === 'array' ? node.numberCount > 0 || node.items.length > 0 : node.text !== '';
}

/** Messages are there, and each says whose it is. @throws RefusedError `invalid_request` */
export function checkMessages(fields: Fields): void {
  const messages = required(fields, 'messages');
  if (messages.items.length === 0) refuse('messages');
  messages.items.forEach((message, at) => {
    if (message.kind !== 'object') refuse(`messages[${at}]`);
    if (message.get('role')?.kind !== 'string') refuse(`messages[${at}].role`);
  });
}

/** Where a field goes that the request does not have: first, so that no key of the caller's is behind it. */
export function insert(object: JsonNode, member: string): JsonEdit {
  const at = object.start + 1;
  return { start: at, end: at, text: object.keys.length === 0 ? member : `${member},` };
}

export const replace = (node: JsonNode, text: string): JsonEdit => ({ start: node.start, end: node.end, text });

import type { JsonValue } from '../base/index.ts';
import { WireError } from './wire-error.ts';

/** Reads a value that a peer sent into a type, or refuses it. `at` names the field for the error. */
export type Reader<Value> = (value: JsonValue | undefined, at: string) => Value;

function refuse(at: string, what: string): never {
  throw new WireError('message_shape', `${at}: ${what}`);
}

export const text =
  (maxLength: number, minLength = 0): Reader<string> =>
  (value, at) =>
    typeof value === 'string' && value.length >= minLength && value.length <= maxLength
      ? value
      : refuse(at, `not a text of ${minLength} to ${maxLength} characters`);

/** A text that fits a pattern with bounds of its own. */
export const matching =
  (pattern: RegExp): Reader<string> =>
  (value, at) =>
    typeof value === 'string' && pattern.test(value) ? value : refuse(at, 'not in the form that it has');

export const integer =
  (min: number, max: number): Reader<number> =>
  (value, at) =>
    typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
      ? value
      : refuse(at, `not an integer from ${min} to ${max}`);

export const boolean: Reader<boolean> = (value, at) =>
  typeof value === 'boolean' ? value : refuse(at, 'not true or false');

export const oneOf =
  <const Value extends string>(...values: readonly Value[]): Reader<Value> =>
  (value, at) =>
    values.find((one) => one === value) ?? refuse(at, 'not one of its values');

export const nullable =
  <Value>(reader: Reader<Value>): Reader<Value | null> =>
  (value, at) =>
    value === null ? null : reader(value, at);

export const maybe =
  <Value>(reader: Reader<Value>): Reader<Value | undefined> =>
  (value, at) =>
    value === undefined ? undefined : reader(value, at);

export const list =
  <Value>(reader: Reader<Value>, maxItems: number): Reader<readonly Value[]> =>
  (value, at) =>
    Array.isArray(value) && value.length <= maxItems
      ? value.map((item, index) => reader(item, `${at}[${index}]`))
      : refuse(at, `not a list of at most ${maxItems}`);

const isObject = (value: JsonValue | undefined): value is { [key: string]: JsonValue } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** An object used as a map. */
export const record =
  <Value>(key: RegExp, reader: Reader<Value>, maxItems: number): Reader<Readonly<Record<string, Value>>> =>
  (value, at) => {
    if (!isObject(value)) return refuse(at, 'not an object');
    const entries = Object.entries(value);
    if (entries.length > maxItems) return refuse(at, `more than ${maxItems} entries`);
    const result = Object.create(null) as Record<string, Value>;
    for (const [name, item] of entries) {
      if (!key.test(name)) return refuse(at, 'a key that is not in the form that it has');
      result[name] = reader(item, `${at}.${name}`);
    }
    return result;
  };

/** An object with these fields; others are left out, so that a newer peer may say more. */
export const fields =
  <Value>(readers: { readonly [Key in keyof Value]-?: Reader<Value[Key] | undefined> }): Reader<Value> =>
  (value, at) => {
    if (!isObject(value)) return refuse(at, 'not an object');
    const result: Record<string, unknown> = {};
    for (const [name, reader] of Object.entries<Reader<unknown>>(readers)) {
      const read = reader(value[name], `${at}.${name}`);
      if (read !== undefined) result[name] = read;
    }
    return result as Value;
  };

/** An object as it came. */
export const anyObject: Reader<{ readonly [key: string]: JsonValue }> = (value, at) =>
  isObject(value) ? value : refuse(at, 'not an object');

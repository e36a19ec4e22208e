import { CodedError, JsonError, describeError, jsonValue, parseJson } from '../../base/index.ts';

export type Fields = Readonly<Record<string, unknown>>;

const longest = 1_024;

export const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
export const isText = (value: unknown): value is string =>
  typeof value === 'string' && value !== '' && value.length <= longest;
export const areTexts = (value: unknown, atMost: number): value is readonly string[] =>
  Array.isArray(value) && value.length > 0 && value.length <= atMost && value.every(isText);

/** Settings that come as one JSON object. @param name For the fault. @throws CodedError `settings_invalid` */
export function readSettings(name: string, json: string): Fields {
  let value: unknown;
  try {
    value = jsonValue(parseJson(json, { maxDepth: 6, maxNodes: 50_000 }));
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw new CodedError('settings_invalid', `${name}: this is no JSON: ${describeError(error)}`);
  }
  if (!isFields(value)) throw new CodedError('settings_invalid', `${name}: it must be an object`);
  return value;
}

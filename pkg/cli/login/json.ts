import { JsonError, jsonValue, parseJson } from '../../base/index.ts';
import type { JsonValue } from '../../base/index.ts';

export type Fields = { readonly [key: string]: JsonValue };

/** The members of an object; none of them where it is none. */
export function fieldsOf(text: string): Fields {
  try {
    const value = jsonValue(parseJson(text));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {};
  } catch (error) {
    if (error instanceof JsonError) return {};
    throw error;
  }
}

export const textOf = (value: JsonValue | undefined): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined;

/** Claims of a JWT, as they stand there: nothing is verified, the sidecar does that. Undefined: it is no JWT. */
export function claimsOf(token: string): Fields | undefined {
  const parts = token.split('.');
  if (parts.length !== 3) return undefined;
  const claims = fieldsOf(Buffer.from(parts[1] ?? '', 'base64url').toString());
  return Object.keys(claims).length === 0 ? undefined : claims;
}

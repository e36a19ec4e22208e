import type { StructuralSchema } from '../definition/structural.ts';

/**
 * What the API server takes by a structural schema when unknown fields are refused (fieldValidation=Strict, kubectl's default),
 * written as slowly and plainly as can be. Rules in CEL and list types are not read: they are tested on a real API server.
 */
export function structurallyValid(schema: StructuralSchema, value: unknown): boolean {
  if (schema['x-kubernetes-preserve-unknown-fields'] === true) return true;
  if (schema['enum'] !== undefined && !(schema['enum'] as unknown[]).includes(value)) return false;
  const open = schema['x-kubernetes-int-or-string'] === true;
  if (typeof value === 'number') return (open || schema.type === 'integer') && validNumber(schema, value);
  if (typeof value === 'string') return (open || schema.type === 'string') && validText(schema, value);
  if (typeof value === 'boolean') return schema.type === 'boolean';
  if (Array.isArray(value)) return schema.type === 'array' && validList(schema, value);
  if (value === null || typeof value !== 'object') return false;
  return schema.type === 'object' && validObject(schema, value as Record<string, unknown>);
}

function validNumber(schema: StructuralSchema, value: number): boolean {
  return (
    Number.isInteger(value) && value >= at(schema, 'minimum', -Infinity) && value <= at(schema, 'maximum', Infinity)
  );
}

function validText(schema: StructuralSchema, value: string): boolean {
  // Characters, not UTF-16 units: Go counts runes.
  const length = [...value].length;
  if (length < at(schema, 'minLength', 0) || length > at(schema, 'maxLength', Infinity)) return false;
  // eslint-disable-next-line no-restricted-syntax -- patterns of our own schema, on texts of our own
  return typeof schema['pattern'] !== 'string' || new RegExp(schema['pattern'], 'u').test(value);
}

function at(schema: StructuralSchema, word: string, unset: number): number {
  const limit = schema[word];
  return typeof limit === 'number' ? limit : unset;
}

function validList(schema: StructuralSchema, items: readonly unknown[]): boolean {
  const { items: item } = schema;
  if (items.length < at(schema, 'minItems', 0) || items.length > at(schema, 'maxItems', Infinity)) return false;
  return item !== undefined && items.every((one) => structurallyValid(item, one));
}

function validObject(schema: StructuralSchema, value: Record<string, unknown>): boolean {
  const names = Object.keys(value);
  if (names.length > at(schema, 'maxProperties', Infinity)) return false;
  if ((schema.required ?? []).some((name) => !Object.hasOwn(value, name))) return false;
  return names.every((name) => {
    const known = schema.properties ?? {};
    const child = Object.hasOwn(known, name) ? known[name] : schema.additionalProperties;
    return child !== undefined && structurallyValid(child, value[name]);
  });
}

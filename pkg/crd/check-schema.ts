import type { JsonValue } from '../base/index.ts';
import type { DocumentFault, FaultPath } from './fault.ts';
import type { SchemaNode } from './schema-node.ts';
import { suggestion } from './shape.ts';

/** RFC 3339, as Kubernetes writes times. */
const dateTime = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})$/;

const words: Readonly<Record<NonNullable<SchemaNode['type']>, string>> = {
  object: 'fields (name: value)',
  array: 'a list',
  string: 'text',
  integer: 'a whole number',
  boolean: 'true or false',
};

function hasType(type: SchemaNode['type'], value: JsonValue): boolean {
  switch (type) {
    case undefined:
      return true;
    case 'object':
      return typeof value === 'object' && value !== null && !Array.isArray(value);
    case 'array':
      return Array.isArray(value);
    case 'integer':
      return Number.isSafeInteger(value);
    default:
      return typeof value === type;
  }
}

function checkText(node: SchemaNode, value: string): string | undefined {
  const { enum: known, minLength = 0, maxLength = Number.POSITIVE_INFINITY, pattern, format } = node;
  if (known !== undefined && !known.includes(value))
    return `"${value.slice(0, 60)}" is not known here: one of ${known.join(', ')}.${suggestion(value, known.map(String))}`;
  if (value.length < minLength)
    return minLength === 1 ? 'must not be empty' : `must have at least ${minLength} characters`;
  if (value.length > maxLength) return `must have at most ${maxLength} characters`;
  // eslint-disable-next-line no-restricted-syntax -- patterns of our own schemas, which are linear, on bounded texts
  if (pattern !== undefined && !new RegExp(pattern, 'u').test(value))
    return `must be ${node['x-sidegate-form'] ?? 'in the form that is wanted here'}`;
  if (format === 'date-time' && !(dateTime.test(value) && Number.isFinite(Date.parse(value))))
    return 'must be a time, such as 2026-01-31T12:00:00Z';
  return undefined;
}

/**
 * What of a value does not fit a schema, in words that say what to do; nothing: it fits. For documents beside policies, which
 * validator.ts checks; conditions over several fields are not looked at.
 */
export function checkSchema(node: SchemaNode, value: JsonValue, path: FaultPath = []): DocumentFault[] {
  if (node['x-kubernetes-preserve-unknown-fields'] === true) return [];
  if (!hasType(node.type, value)) {
    const quotes = node.type === 'string' && (typeof value === 'number' || typeof value === 'boolean');
    return [{ path, message: `must be ${words[node.type ?? 'object']}${quotes ? ': put it in quotes' : ''}` }];
  }
  if (typeof value === 'string') {
    const message = checkText(node, value);
    return message === undefined ? [] : [{ path, message }];
  }
  if (typeof value === 'number') {
    const { minimum = Number.NEGATIVE_INFINITY, maximum = Number.POSITIVE_INFINITY } = node;
    return value < minimum || value > maximum
      ? [{ path, message: `must be a number from ${minimum} to ${maximum}` }]
      : [];
  }
  if (Array.isArray(value)) return checkList(node, value, path);
  return typeof value === 'object' && value !== null ? checkObject(node, value, path) : [];
}

function checkList(node: SchemaNode, value: readonly JsonValue[], path: FaultPath): DocumentFault[] {
  const { items, minItems = 0, maxItems = Number.POSITIVE_INFINITY } = node;
  if (value.length < minItems) return [{ path, message: 'must have at least one entry' }];
  if (value.length > maxItems) return [{ path, message: `must have at most ${maxItems} entries` }];
  return items === undefined ? [] : value.flatMap((item, at) => checkSchema(items, item, [...path, at]));
}

function checkObject(node: SchemaNode, value: Readonly<Record<string, JsonValue>>, path: FaultPath): DocumentFault[] {
  const { properties, required = [], additionalProperties, maxProperties = Number.POSITIVE_INFINITY } = node;
  const entries = Object.entries(value);
  if (entries.length > maxProperties) return [{ path, message: `must have at most ${maxProperties} fields` }];
  const missing = required
    .filter((name) => !Object.hasOwn(value, name))
    .map((name) => ({ path, message: `lacks the field "${name}": ${properties?.[name]?.description ?? ''}` }));
  const inside = entries.flatMap(([name, member]) => {
    const at = [...path, name];
    const known = properties !== undefined && Object.hasOwn(properties, name) ? properties[name] : additionalProperties;
    if (known !== undefined) return checkSchema(known, member, at);
    const names = Object.keys(properties ?? {});
    return [{ path: at, message: `there is no such field.${suggestion(name, names)} Known: ${names.join(', ')}` }];
  });
  return [...missing, ...inside];
}

import type { ErrorObject } from 'ajv';
import type { JsonValue } from '../base/index.ts';
import type { DocumentFault, FaultPath } from './fault.ts';
import { resourceSchema } from './schema.ts';
import type { PolicyResource } from './schema.ts';
import type { SchemaNode } from './schema-node.ts';
import { validateResource } from './validator.ts';

/** Checks a document's shape against the schema and says faults in words that name the fix. */

const kindWords: Readonly<Record<string, string>> = {
  object: 'fields (name: value)',
  array: 'a list',
  string: 'text',
  integer: 'a whole number',
  boolean: 'true or false',
};

function describeValue(value: unknown): string {
  if (value === undefined || value === null) return 'has no value';
  if (Array.isArray(value)) return 'is a list';
  if (typeof value === 'object') return 'is fields';
  return typeof value === 'string' ? 'is text' : `is ${String(value)}`;
}

/** Letters to change, at most `most` + 1: finds what was probably meant. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? Number.POSITIVE_INFINITY;
}

/** ` Did you mean "models"?`, or nothing. */
export function suggestion(word: string, known: readonly string[]): string {
  if (word.length > 64) return '';
  const [best] = known
    .map((name) => ({ name, away: distance(word.toLowerCase(), name.toLowerCase()) }))
    .sort((a, b) => a.away - b.away);
  return best !== undefined && best.away <= Math.max(1, Math.ceil(word.length / 3))
    ? ` Did you mean "${best.name}"?`
    : '';
}

function parsePointer(pointer: string): FaultPath {
  if (pointer === '') return [];
  return pointer
    .slice(1)
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((part) => (/^(0|[1-9][0-9]{0,8})$/.test(part) ? Number(part) : part));
}

function valueAt(root: unknown, path: FaultPath): unknown {
  return path.reduce<unknown>(
    (value, part) =>
      value !== null && typeof value === 'object' && Object.hasOwn(value, part)
        ? (value as Record<string | number, unknown>)[part]
        : undefined,
    root,
  );
}

function schemaAt(path: FaultPath): SchemaNode | undefined {
  return path.reduce<SchemaNode | undefined>((node, part) => {
    if (typeof part === 'number') return node?.items;
    const { properties } = node ?? {};
    return properties !== undefined && Object.hasOwn(properties, part) ? properties[part] : node?.additionalProperties;
  }, resourceSchema);
}

function quoted(value: unknown): string {
  if (typeof value === 'string') return `"${value.slice(0, 60)}"`;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : 'this';
}

/** For the keywords that compare a value with its schema. */
function describeMismatch(error: ErrorObject, path: FaultPath, value: unknown): string {
  const node = schemaAt(path);
  const { limit } = error.params as { limit?: unknown };
  switch (error.keyword) {
    case 'enum': {
      const known = (node?.enum ?? []).map(String);
      return `${quoted(value)} is not known here: one of ${known.join(', ')}.${typeof value === 'string' ? suggestion(value, known) : ''}`;
    }
    case 'pattern':
    case 'anyOf':
      return `${quoted(value)} is not ${node?.['x-sidegate-form'] ?? 'in the form that is wanted here'}`;
    case 'minItems':
      return 'must have at least one entry';
    case 'maxItems':
      return `must have at most ${String(limit)} entries`;
    case 'maxProperties':
      return `must have at most ${String(limit)} fields`;
    case 'minLength':
      return limit === 1 ? 'must not be empty' : `must have at least ${String(limit)} characters`;
    case 'maxLength':
      return `must have at most ${String(limit)} characters`;
    case 'minimum':
      return `must be at least ${String(limit)}`;
    case 'maximum':
      return `must be at most ${String(limit)}`;
    default:
      return `does not fit the schema (${error.keyword})`;
  }
}

function describeUnknown(name: string, path: FaultPath, node: SchemaNode | undefined): DocumentFault {
  const known = Object.keys(node?.properties ?? {});
  const formerDirection = (name === 'on' || name === 'true') && known.includes('direction');
  const hint = formerDirection
    ? ' Write direction: Request or direction: Response (YAML 1.1 reads a bare `on` as true).'
    : suggestion(name, known);
  return { path: [...path, name], message: `there is no such field.${hint} Known: ${known.join(', ')}` };
}

function describeMissing(name: string, path: FaultPath, node: SchemaNode | undefined): DocumentFault {
  const wanted = node?.properties?.[name]?.description;
  return { path, message: `lacks the field "${name}"${wanted === undefined ? '' : `: ${wanted}`}` };
}

function describeType(path: FaultPath, node: SchemaNode | undefined, value: unknown): DocumentFault {
  const unquoted = node?.type === 'string' && (typeof value === 'number' || typeof value === 'boolean');
  const wanted = kindWords[node?.type ?? ''] ?? 'something else';
  return { path, message: `must be ${wanted}, but ${describeValue(value)}${unquoted ? ': put it in quotes' : ''}` };
}

function describeError(error: ErrorObject, root: unknown): DocumentFault[] {
  const path = parsePointer(error.instancePath);
  const value = valueAt(root, path);
  const node = schemaAt(path);
  // The halves of a size are reported once, by `anyOf`.
  if (node?.['x-kubernetes-int-or-string'] === true && error.keyword !== 'anyOf') return [];
  const params = error.params as { additionalProperty?: string; missingProperty?: string };
  switch (error.keyword) {
    case 'additionalProperties':
      return [describeUnknown(params.additionalProperty ?? '', path, node)];
    case 'required':
      return [describeMissing(params.missingProperty ?? '', path, node)];
    case 'type':
      return [describeType(path, node, value)];
    default:
      return [{ path, message: describeMismatch(error, path, value) }];
  }
}

const mostFaults = 100;

/** The document as a policy resource, or what is wrong with its shape. */
export function checkShape(
  value: JsonValue,
): { readonly resource: PolicyResource } | { readonly faults: readonly DocumentFault[] } {
  if (validateResource(value)) return { resource: value as unknown as PolicyResource };
  const faults = (validateResource.errors ?? []).slice(0, mostFaults).flatMap((error) => describeError(error, value));
  return { faults: faults.length > 0 ? faults : [{ path: [], message: 'does not fit the schema' }] };
}

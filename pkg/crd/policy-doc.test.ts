import { describe, expect, test } from '@jest/globals';
import { formatFault, parsePolicies } from './parse-policies.ts';
import { fieldRows } from './policy-doc.ts';
import { readYaml } from './read-yaml.ts';
import { apiVersion, inferencePolicySchema, sharedSchemas } from './schema.ts';
import type { Condition, SchemaNode } from './schema-node.ts';

type Fields = Record<string, unknown>;

function exampleOf(node: SchemaNode | undefined): unknown {
  const [document] = readYaml(`value: ${node?.['x-sidegate-example'] ?? 'null'}`);
  const value = document?.value;
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    throw new Error('an example that is no YAML');
  return (value as Fields)['value'];
}

/** What a condition wants beside the fields that are there, as far as an example is part of it. */
function wanted(condition: Condition, fields: Fields, excluded: readonly string[]): readonly string[] {
  switch (condition.kind) {
    case 'ExactlyOne':
    case 'AtLeastOne':
      return condition.of.some((name) => name in fields)
        ? []
        : condition.of.filter((name) => !excluded.includes(name)).slice(0, 1);
    case 'Needs':
      return condition.field in fields && !(condition.beside in fields) ? [condition.beside] : [];
    case 'Wants':
      return fields[condition.where] === condition.is ? [condition.field] : [];
    default:
      return [];
  }
}

/** The fields with what must stand beside them: values that conditions name, and examples. */
function completed(node: SchemaNode, fields: Fields): Fields {
  const all: Fields = { ...fields };
  const conditions = node['x-sidegate-conditions'] ?? [];
  const excluded = conditions.flatMap((one) => (one.kind === 'NotBeside' && one.field in all ? one.others : []));
  for (const condition of conditions) {
    if (condition.kind === 'Needs' && condition.is !== undefined && condition.field in all)
      all[condition.beside] ??= [condition.is].flat()[0];
  }
  const names = conditions.flatMap((condition) => wanted(condition, all, excluded));
  for (const name of [...(node.required ?? []), ...names]) all[name] ??= exampleOf(node.properties?.[name]);
  return all;
}

/** A value of the schema in which the path has the value, and no more than must be with it. */
function around(node: SchemaNode, path: readonly string[], value: unknown): Fields {
  const [step = '', ...rest] = path;
  const name = step.replace('[]', '');
  const child = node.properties?.[name];
  if (rest.length === 0 || child === undefined) return completed(node, { [name]: value });
  const inner = around(child.items ?? child, rest, value);
  return completed(node, { [name]: step.endsWith('[]') ? [inner] : inner });
}

const { subject, replacement } = sharedSchemas;
const rows = fieldRows().flatMap(({ of, rows: some }) =>
  some.map((row) => ({ name: of === subject || of === replacement ? `shared ${row.path}` : row.path, of, ...row })),
);

/** A shared part where a policy has it. */
function specOf(of: SchemaNode, path: string, value: unknown): Fields {
  const steps = path.split('.');
  if (of === inferencePolicySchema) return around(of, steps, value);
  const fields = around(of, steps, value);
  if (of === subject) return around(inferencePolicySchema, ['access[]', 'subjects'], [fields]);
  if (of === replacement) return around(inferencePolicySchema, ['classification[]', 'replacement'], fields);
  return { selector: fields };
}

describe('docs/policy.md', () => {
  test('has a row for every field, each with its meaning', () => {
    expect(rows.length).toBeGreaterThan(150);
    expect(rows.filter(({ node }) => node.description.length < 3)).toEqual([]);
  });

  test('gives an example of every field', () => {
    expect(rows.filter(({ node }) => node['x-sidegate-example'] === undefined).map(({ name }) => name)).toEqual([]);
  });

  test.each(rows.map((row) => [row.name, row] as const))('the example of %s is taken', (_name, { of, path, node }) => {
    const spec = specOf(of, path, exampleOf(node));
    // Only In and NotIn compare with values; no condition of the schema says so.
    if (path === 'matchExpressions[].values')
      Object.assign(at(spec, 'selector', 'matchExpressions', 0), { operator: 'In' });
    const kind = ['namespaceSelector', 'maxPolicyAge'].includes(path) ? 'ClusterInferencePolicy' : 'InferencePolicy';
    const metadata = { name: 'p', ...(kind === 'InferencePolicy' ? { namespace: 'ml' } : {}) };
    const { faults, policies } = parsePolicies(JSON.stringify({ apiVersion, kind, metadata, spec }), 'example.yaml');
    expect(faults.map(formatFault)).toEqual([]);
    expect(policies).toHaveLength(1);
  });

  test('an example that is wrong would be seen', () => {
    const spec = specOf(inferencePolicySchema, 'access[].limits', { requestsPerMinute: 0 });
    const resource = { apiVersion, kind: 'InferencePolicy', metadata: { name: 'p', namespace: 'ml' }, spec };
    expect(parsePolicies(JSON.stringify(resource), 'example.yaml').faults).toHaveLength(1);
  });
});

function at(from: unknown, ...path: readonly (string | number)[]): object {
  return path.reduce<unknown>((value, step) => (value as Record<string | number, unknown>)[step], from) as object;
}

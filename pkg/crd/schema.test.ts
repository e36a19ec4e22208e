import { describe, expect, test } from '@jest/globals';
import { readFileSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { compileSnapshot } from '../core/index.ts';
import { formatFault, parsePolicies } from './parse-policies.ts';
import { policyDoc } from './policy-doc.ts';
import { inferencePolicySchema } from './schema.ts';
import type { SchemaNode } from './schema-node.ts';

const root = resolve(import.meta.dirname, '../..');

function nodes(node: SchemaNode, path = 'spec'): [string, SchemaNode][] {
  const below = [
    ...Object.entries(node.properties ?? {}).map(([name, child]) => [`${path}.${name}`, child] as const),
    ...(node.items === undefined ? [] : [[`${path}[]`, node.items] as const]),
    ...(node.additionalProperties === undefined ? [] : [[`${path}.*`, node.additionalProperties] as const]),
  ];
  return [[path, node], ...below.flatMap(([at, child]) => nodes(child, at))];
}

describe('the schema fits a CRD:', () => {
  const all = nodes(inferencePolicySchema);
  const faults = (wrong: (node: SchemaNode) => boolean) => all.filter(([, node]) => wrong(node)).map(([path]) => path);

  test('every node has a type, or is int-or-string', () => {
    expect(faults((node) => (node.type === undefined) !== (node['x-kubernetes-int-or-string'] === true))).toEqual([]);
  });
  test('every node is described', () => {
    expect(faults((node) => node.description.length < 3)).toEqual([]);
  });
  test('no node has free keys beside named ones', () => {
    expect(faults((node) => node.properties !== undefined && node.additionalProperties !== undefined)).toEqual([]);
  });
  test('required fields exist', () => {
    expect(faults((node) => (node.required ?? []).some((name) => node.properties?.[name] === undefined))).toEqual([]);
  });
  test('every text, list and map is bounded, so that rules over them have a bounded cost', () => {
    expect(faults((node) => node.type === 'string' && node.enum === undefined && node.maxLength === undefined)).toEqual(
      [],
    );
    expect(
      faults((node) => node.type === 'array' && (node.maxItems === undefined || node.items === undefined)),
    ).toEqual([]);
    expect(faults((node) => node.additionalProperties !== undefined && node.maxProperties === undefined)).toEqual([]);
  });
  test('nothing is defaulted, since unset fields take no part in combining', () => {
    expect(faults((node) => 'default' in node)).toEqual([]);
  });
  test('no field or choice has a name that YAML 1.1 reads as a boolean or as nothing', () => {
    const boolean = /^(y|n|yes|no|on|off|true|false|null|~)$/i;
    expect(
      faults(
        (node) =>
          Object.keys(node.properties ?? {}).some((name) => boolean.test(name)) ||
          (node.enum ?? []).some((choice) => typeof choice === 'string' && boolean.test(choice)),
      ),
    ).toEqual([]);
  });
  test('patterns say what is wanted in words', () => {
    expect(faults((node) => node.pattern !== undefined && node['x-sidegate-form'] === undefined)).toEqual([]);
  });
});

describe('example policies', () => {
  const folder = join(root, 'manifests');
  // Beside them stands the installation itself, which is no policy.
  const files = readdirSync(folder).filter((name) => name.endsWith('.yaml') && name !== 'install.yaml');

  test('are there', () => {
    expect(files).toEqual(
      expect.arrayContaining(['minimal.yaml', 'observe.yaml', 'platform-floor.yaml', 'support-llm.yaml']),
    );
  });
  test.each(files)('%s is valid, in a cluster too, and has no rule that cannot fire', (name) => {
    const { policies, faults } = parsePolicies(readFileSync(join(folder, name), 'utf8'), name, { local: false });
    expect(faults.map(formatFault)).toEqual([]);
    expect(compileSnapshot(policies, { revision: 1 }).notices).toEqual([]);
  });
});

test('docs/policy.md is fresh (make gen writes it)', () => {
  const example = readFileSync(join(root, 'manifests/support-llm.yaml'), 'utf8');
  expect(readFileSync(join(root, 'docs/policy.md'), 'utf8')).toBe(policyDoc(example));
});

test('docs/policy.md says that analyzers cannot be called yet', () => {
  const rows = readFileSync(join(root, 'docs/policy.md'), 'utf8').split('\n');
  expect(rows.find((row) => row.startsWith('| `analyzers` | list'))).toContain('None can be called yet');
  expect(rows.find((row) => row.startsWith('| `analyzers[].failureMode`'))).toContain('`analyzer_unavailable`');
});

test('docs/policy.md names every field', () => {
  const doc = policyDoc('x');
  for (const [path] of nodes(inferencePolicySchema)) {
    const name = path
      .replace(/(\[\]|\.\*)$/, '')
      .split('.')
      .at(-1)!
      .replace('[]', '');
    expect(doc).toMatch(new RegExp(`${name}\\b`));
  }
});

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { readFileSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { JsonValue } from '../../base/index.ts';
import { checkRules } from '../rules.ts';
import { inferencePolicySchema } from '../schema.ts';
import type { SchemaNode } from '../schema-node.ts';
import { checkShape } from '../shape.ts';
import { nearSchema } from '../testing/some-resource.ts';
import { structurallyValid } from '../testing/structural-validator.ts';
import { compareDefinition } from './compare.ts';
import { definitionYaml } from './definition-yaml.ts';
import { resourceDefinitions, schemaHash, schemaHashAnnotation } from './definitions.ts';
import type { CustomResourceDefinition } from './definitions.ts';
import { toStructural } from './structural.ts';
import type { StructuralSchema } from './structural.ts';

const root = resolve(import.meta.dirname, '../../..');
const definitions = resourceDefinitions();
const rootOf = (one: CustomResourceDefinition): StructuralSchema => one.spec.versions[0]!.schema.openAPIV3Schema;

function nodes(node: StructuralSchema, path: string): [string, StructuralSchema][] {
  return [
    [path, node],
    ...Object.entries(node.properties ?? {}).flatMap(([name, child]) => nodes(child, `${path}.${name}`)),
    ...(node.items === undefined ? [] : nodes(node.items, `${path}[]`)),
    ...(node.additionalProperties === undefined ? [] : nodes(node.additionalProperties, `${path}.*`)),
  ];
}
const all = definitions.flatMap((one) => nodes(rootOf(one), one.spec.names.kind));
const faults = (wrong: (node: StructuralSchema, path: string) => boolean) =>
  all.filter(([path, node]) => wrong(node, path)).map(([path]) => path);

describe('the schemas are structural, by the rules of Kubernetes:', () => {
  const words = [
    'type description properties items additionalProperties required enum pattern format anyOf',
    'minLength maxLength minimum maximum minItems maxItems maxProperties',
    'x-kubernetes-int-or-string x-kubernetes-list-type x-kubernetes-list-map-keys x-kubernetes-validations',
  ]
    .join(' ')
    .split(' ');

  test('no word that a structural schema has not', () => {
    expect(faults((node) => Object.keys(node).some((word) => !words.includes(word)))).toEqual([]);
  });
  test('every node has a type, or is int-or-string with the two types', () => {
    expect(faults((node) => (node.type === undefined) !== (node['x-kubernetes-int-or-string'] === true))).toEqual([]);
    expect(
      faults(
        (node) =>
          node['anyOf'] !== undefined &&
          (node['x-kubernetes-int-or-string'] !== true ||
            JSON.stringify(node['anyOf']) !== '[{"type":"integer"},{"type":"string"}]'),
      ),
    ).toEqual([]);
  });
  test('an object has named fields or free keys, never both; a list has items', () => {
    expect(faults((node) => node.properties !== undefined && node.additionalProperties !== undefined)).toEqual([]);
    expect(faults((node) => (node.type === 'array') !== (node.items !== undefined))).toEqual([]);
  });
  test('required fields are fields', () => {
    expect(faults((node) => (node.required ?? []).some((name) => node.properties?.[name] === undefined))).toEqual([]);
  });
  test('keys of list maps are required scalars of their items', () => {
    const wrong = (node: StructuralSchema) =>
      ((node['x-kubernetes-list-map-keys'] as string[] | undefined) ?? []).some(
        (key) =>
          node['x-kubernetes-list-type'] !== 'map' ||
          node.items?.required?.includes(key) !== true ||
          !['string', 'integer', 'boolean'].includes(node.items.properties?.[key]?.type ?? ''),
      );
    expect(faults(wrong)).toEqual([]);
    expect(all.filter(([, node]) => node['x-kubernetes-list-type'] === 'map').length).toBeGreaterThan(10);
  });
  test('every text, list and map is bounded', () => {
    const under = (node: StructuralSchema, path: string) => /^[A-Za-z]+\.(spec|status)\b/.test(path) && node;
    expect(
      faults((node, path) => {
        if (under(node, path) === false) return false;
        if (node.type === 'string') return node['enum'] === undefined && node['maxLength'] === undefined;
        if (node.type === 'array') return node['maxItems'] === undefined;
        return node.additionalProperties !== undefined && node['maxProperties'] === undefined;
      }),
    ).toEqual([]);
  });
  test('every pattern reads the same in Go and here: no class but in brackets, no lookaround, no reference back', () => {
    const patterns = all.map(([, node]) => node['pattern']).filter((one) => typeof one === 'string');
    expect(patterns.length).toBeGreaterThan(10);
    expect(patterns.filter((one) => /\\[sSwWdDbBpPk1-9]|\(\?/.test(one))).toEqual([]);
  });
  test('nothing is defaulted: what is unset takes no part in combining', () => {
    expect(faults((node) => 'default' in node)).toEqual([]);
  });
  test('nothing of a file stands in a cluster', () => {
    expect(faults((_, path) => /\.(file|caFile|allowInsecureLoopback)$/.test(path))).toEqual([]);
    expect(all.find(([path]) => path === 'InferencePolicy.spec.upstream.credential')?.[1].required).toEqual([
      'secretRef',
    ]);
  });
});

describe('each definition', () => {
  const expected = [
    ['InferencePolicy', 'inferencepolicies.sidegate.dev', 'Namespaced'],
    ['ClusterInferencePolicy', 'clusterinferencepolicies.sidegate.dev', 'Cluster'],
    ['InferenceApproval', 'inferenceapprovals.sidegate.dev', 'Namespaced'],
    ['InferenceGrant', 'inferencegrants.sidegate.dev', 'Namespaced'],
  ];
  test('is of the group, in its scope', () => {
    expect(definitions.map(({ spec, metadata }) => [spec.names.kind, metadata.name, spec.scope])).toEqual(expected);
  });
  test('has a status of its own with conditions by the API conventions', () => {
    for (const one of definitions) {
      expect(one.spec.versions[0]?.subresources).toEqual({ status: {} });
      expect(rootOf(one).properties?.['status']?.properties?.['conditions']).toMatchObject({
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['type'],
        items: { required: ['type', 'status', 'lastTransitionTime', 'reason', 'message'] },
      });
    }
  });
  test('is in crds/ as it is here, and nothing else is there (make gen writes it)', () => {
    const files = definitions.map((one) => `${one.metadata.name}.yaml`);
    expect(readdirSync(join(root, 'crds')).sort()).toEqual([...files].sort());
    for (const one of definitions)
      expect(readFileSync(join(root, 'crds', `${one.metadata.name}.yaml`), 'utf8')).toBe(definitionYaml(one));
  });
  test('is small enough for the annotation of kubectl apply (256 KiB)', () => {
    for (const one of definitions) expect(JSON.stringify(one).length).toBeLessThan(128 * 1024);
  });
});

describe('the hash of a schema', () => {
  const schema = toStructural(inferencePolicySchema);
  const changed = (more: Partial<SchemaNode>) => toStructural({ ...inferencePolicySchema, ...more });

  test('stands in the annotation', () => {
    for (const one of definitions) {
      expect(one.metadata.annotations[schemaHashAnnotation]).toBe(schemaHash(rootOf(one)));
      expect(one.metadata.annotations[schemaHashAnnotation]).toMatch(/^sha256:[0-9a-f]{64}$/);
    }
  });
  test('differs between kinds', () => {
    expect(new Set(definitions.map((one) => one.metadata.annotations[schemaHashAnnotation])).size).toBe(4);
  });
  test('stays with other words and another order', () => {
    expect(schemaHash(changed({ description: 'Other words.' }))).toBe(schemaHash(schema));
    const properties = Object.fromEntries(Object.entries<SchemaNode>(inferencePolicySchema.properties).reverse());
    expect(schemaHash(changed({ properties }))).toBe(schemaHash(schema));
  });
  test('changes with a field, a bound and a rule', () => {
    const { mode: _mode, ...properties } = inferencePolicySchema.properties;
    const rule = { rule: 'true', message: 'x' };
    const others = [{ properties }, { required: ['mode'] }, { 'x-kubernetes-validations': [rule] }].map((more) =>
      schemaHash(changed(more)),
    );
    expect(new Set([schemaHash(schema), ...others]).size).toBe(4);
  });
  test('changes when a field that is named description does', () => {
    const named = (type: string): StructuralSchema => ({ type: 'object', properties: { description: { type } } });
    expect(schemaHash(named('string'))).not.toBe(schemaHash(named('integer')));
  });
});

test('what the schema of files takes, the schema of the cluster takes, and the other way round', () => {
  const schema = toStructural(inferencePolicySchema);
  const seen = { taken: 0, refused: 0 };
  fc.assert(
    fc.property(nearSchema(inferencePolicySchema), (spec) => {
      const resource = { apiVersion: 'sidegate.dev/v1alpha1', kind: 'InferencePolicy', metadata: { name: 'p' }, spec };
      const shape = checkShape(resource as JsonValue);
      const structural = structurallyValid(schema, spec);
      seen[structural ? 'taken' : 'refused']++;
      // What is required where only one way is left, and bounds of sizes: files hear of them from the rules.
      const file =
        'resource' in shape &&
        (structural || checkRules(shape.resource, { checkPattern: undefined, local: false }).length === 0);
      expect(file).toBe(structural);
    }),
    { numRuns: 4800, seed: 4 },
  );
  // Else the property would hold of nothing.
  expect(Math.min(seen.taken, seen.refused)).toBeGreaterThan(150);
});

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- JSON that tests take apart
type Json = any;

describe('a served definition is compared with ours:', () => {
  const [ours] = definitions as [CustomResourceDefinition];
  const hash = ours.metadata.annotations[schemaHashAnnotation];
  /** Ours as served, after a change to its JSON. */
  const served = (change: (served: Json) => void) => {
    const copy = JSON.parse(JSON.stringify(ours)) as Json;
    change(copy);
    return compareDefinition(ours, copy);
  };
  const schemaOf = (copy: Json) => copy.spec.versions[0].schema.openAPIV3Schema;

  test('the same', () => {
    expect(served(() => undefined)).toEqual({ sameHash: true, missingVersions: [], prunedFields: [] });
  });
  test('without a field at the top, in a list, in a map', () => {
    expect(served((copy) => delete schemaOf(copy).properties.spec.properties.onUnknown).prunedFields).toEqual([
      'spec.onUnknown',
    ]);
    expect(
      served((copy) => delete schemaOf(copy).properties.spec.properties.guards.items.properties.match.properties.words)
        .prunedFields,
    ).toEqual(['spec.guards[].match.words']);
    expect(
      served((copy) => {
        const { selector } = schemaOf(copy).properties.spec.properties;
        selector.properties.matchLabels = { type: 'object' };
      }).prunedFields,
    ).toEqual(['spec.selector.matchLabels.*']);
  });
  test('without a whole part, which is named once', () => {
    expect(served((copy) => delete schemaOf(copy).properties.spec.properties.guards).prunedFields).toEqual([
      'spec.guards',
    ]);
    expect(served((copy) => delete schemaOf(copy).properties.status).prunedFields).toEqual(['status']);
  });
  test('with a field more, which loses nothing of ours', () => {
    const newer = served((copy) => {
      schemaOf(copy).properties.spec.properties.extra = { type: 'string' };
      copy.metadata.annotations[schemaHashAnnotation] = 'sha256:newer';
    });
    expect(newer).toEqual({ sameHash: false, missingVersions: [], prunedFields: [] });
  });
  test('that keeps what it does not know', () => {
    const open = served((copy) => {
      schemaOf(copy).properties.spec = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
    });
    expect(open.prunedFields).toEqual([]);
  });
  test('that does not serve our version, or has no status of its own', () => {
    expect(served((copy) => (copy.spec.versions[0].served = false)).missingVersions).toEqual(['v1alpha1']);
    expect(served((copy) => (copy.spec.versions[0].name = 'v1')).missingVersions).toEqual(['v1alpha1']);
    expect(served((copy) => delete copy.spec.versions[0].subresources).prunedFields).toEqual(['status']);
  });
  test('whose annotation is kept while its schema is not: the schema counts', () => {
    const edited = served((copy) => delete schemaOf(copy).properties.spec.properties.access);
    expect(edited).toEqual({ sameHash: true, missingVersions: [], prunedFields: ['spec.access'] });
    expect(hash).toBeDefined();
  });
  test.each([undefined, null, 'x', 1, [], {}, { spec: null }, { spec: { versions: [null] } }])(
    'that is %j',
    (value) => {
      expect(compareDefinition(ours, value)).toEqual({
        sameHash: false,
        missingVersions: ['v1alpha1'],
        prunedFields: [],
      });
    },
  );
  test('that serves the version without a schema: everything would be pruned', () => {
    const empty = { spec: { versions: [{ name: 'v1alpha1', served: true, subresources: { status: {} } }] } };
    expect(compareDefinition(ours, empty).prunedFields).toEqual(['spec', 'status']);
  });
});

test('every column of kubectl get shows a field that there is', () => {
  const columns = definitions.flatMap((one) =>
    one.spec.versions[0]!.additionalPrinterColumns.map(({ jsonPath }) => ({ one, jsonPath })),
  );
  const missing = columns.filter(({ one, jsonPath }) => {
    if (jsonPath.startsWith('.metadata.')) return false;
    const steps = jsonPath
      .replace(/\[\?[^\]]*\]/g, '.*')
      .split('.')
      .slice(1);
    let node: StructuralSchema | undefined = rootOf(one);
    for (const step of steps) node = step === '*' ? node?.items : node?.properties?.[step];
    return node === undefined;
  });
  expect(columns.length).toBeGreaterThan(10);
  expect(missing.map(({ jsonPath }) => jsonPath)).toEqual([]);
});
